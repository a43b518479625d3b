"""What one request of the application is served, and all that is to be remembered of it until its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from promptarena.assignment.assigned import Assignment, Reason

if TYPE_CHECKING:
    from promptarena.definitions.variant import Settings

__all__ = ["RequestAssignment"]


@dataclass(frozen=True, slots=True)
class RequestAssignment:
    """An assignment with the ids of its request.

    `settings` are what to call the model with; `chat(messages)` has them as arguments of a chat completion.
    """

    assigned: Assignment
    request_id: str
    """Our key of the request; measurements of this answer name it."""
    at: datetime
    """When it was assigned."""
    units: Mapping[str, str]
    """Ids by kind, as they were given."""
    attributes: Mapping[str, object]

    @property
    def feature(self) -> str:
        return self.assigned.feature

    @property
    def settings(self) -> Settings:
        """What to call the model with."""
        return self.assigned.settings

    @property
    def config_hash(self) -> str:
        """Of these settings."""
        return self.assigned.config_hash

    @property
    def experiment(self) -> str | None:
        return self.assigned.experiment

    @property
    def variant(self) -> str | None:
        """The unit's own variant; `None` where it takes no part."""
        return self.assigned.variant

    @property
    def served(self) -> str | None:
        """The variant whose settings these are; `None`: the baseline."""
        return self.assigned.served

    @property
    def reason(self) -> Reason:
        """Why it is served this."""
        return self.assigned.reason

    @property
    def stage(self) -> str | None:
        return self.assigned.stage

    @property
    def epoch(self) -> int | None:
        return self.assigned.epoch

    @property
    def propensity(self) -> float | None:
        return self.assigned.propensity

    @property
    def unit_kind(self) -> str | None:
        return self.assigned.unit_kind

    @property
    def unit_id(self) -> str | None:
        return self.assigned.unit_id

    @property
    def exposed(self) -> bool:
        """Whether this is an exposure; after `assign` it has been queued."""
        return self.assigned.exposed

    def chat(self, messages: str | Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Keyword arguments of `client.chat.completions.create` (see `chat_request`)."""
        from promptarena.llm.chat_request import chat_request

        return chat_request(self.settings, messages)
