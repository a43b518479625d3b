"""The list that a request is shown, and all that is to be remembered of it until somebody clicks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promptarena.sdk.request_assignment import RequestAssignment

__all__ = ["ShownList"]


@dataclass(frozen=True, slots=True)
class ShownList:
    """Items, best first."""

    items: tuple[str, ...]
    assignment: RequestAssignment
    slots: Mapping[str, str] | None
    """Item to the variant whose it is; `None` of a list that was not merged."""

    @property
    def request_id(self) -> str:
        """Our key of the request; what is measured of an item names it."""
        return self.assignment.request_id
