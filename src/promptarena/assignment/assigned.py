"""What an assignment says: which variant a unit has, what it is served, why, and what to log of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from promptarena.assignment.eligibility import as_text

if TYPE_CHECKING:
    from promptarena.assignment.merging import Merging
    from promptarena.definitions.events import Exposure, Scalar
    from promptarena.definitions.variant import Settings

__all__ = ["Assignment", "Placement", "Reason", "loggable"]


class Reason(StrEnum):
    """Why a unit is served what it is served."""

    ENROLLED = "enrolled"
    """It takes part and gets its variant."""
    NOT_ENROLLED = "not-enrolled"
    """Outside of the traffic share: the baseline."""
    NOT_ELIGIBLE = "not-eligible"
    """Its attributes do not fit: the baseline."""
    NO_UNIT = "no-unit"
    """Nobody said which unit this is: the baseline. Worth counting."""
    INTERLEAVED = "interleaved"
    """It takes part in a list of both rankers' items, which `interleave` makes; else it gets the control."""
    PAUSED = "paused"
    """It takes part and gets the control for now."""
    ROLLED_BACK = "rolled-back"
    """It takes part and gets the control for good."""
    PINS_UNAVAILABLE = "pins-unavailable"
    """Where it was pinned could not be read, so its variant is not known: the control."""
    BASELINE = "baseline"
    """No experiment runs on the feature, or none in this part of its layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """All that an assignment says but the unit: the same for every unit that falls there, so made once."""

    feature: str
    reason: Reason
    settings: Settings
    """Of the model call."""
    config_hash: str
    """Of these settings."""
    experiment: str | None = None
    definition_hash: str | None = None
    segments: tuple[str, ...] = ()
    """Attributes whose values an exposure keeps as segments."""
    unit_kind: str | None = None
    variant: str | None = None
    """The variant that is the unit's own; `None` where it takes no part, or where that is not known."""
    served: str | None = None
    """The variant whose settings these are; `None`: the baseline, which belongs to no variant."""
    stage: str | None = None
    epoch: int | None = None
    propensity: float | None = None
    """Probability with which an enrolled unit was given this variant."""
    exposed: bool = False
    """Whether an exposure is to be logged."""
    merging: Merging | None = None
    """How two rankings become one list; `None` but of an experiment that interleaves."""


class Assignment(NamedTuple):
    """What one unit is served, and why."""

    placement: Placement
    unit_id: str | None
    """As given; `None` where there is no unit."""

    @property
    def feature(self) -> str:
        return self.placement.feature

    @property
    def reason(self) -> Reason:
        return self.placement.reason

    @property
    def settings(self) -> Settings:
        """What to call the model with."""
        return self.placement.settings

    @property
    def config_hash(self) -> str:
        return self.placement.config_hash

    @property
    def experiment(self) -> str | None:
        return self.placement.experiment

    @property
    def unit_kind(self) -> str | None:
        return self.placement.unit_kind

    @property
    def variant(self) -> str | None:
        """The unit's own variant, which stands whatever is served."""
        return self.placement.variant

    @property
    def served(self) -> str | None:
        """The variant whose settings are served; `None`: the baseline."""
        return self.placement.served

    @property
    def stage(self) -> str | None:
        return self.placement.stage

    @property
    def epoch(self) -> int | None:
        return self.placement.epoch

    @property
    def propensity(self) -> float | None:
        return self.placement.propensity

    @property
    def exposed(self) -> bool:
        """Whether `exposure` gives an event to log."""
        return self.placement.exposed

    @property
    def deviation(self) -> str | None:
        """The reason to write on a generation: why it may not show the unit's own variant."""
        return None if self.placement.reason is Reason.ENROLLED else self.placement.reason.value

    def exposure(
        self,
        ts: datetime,
        attributes: Mapping[str, object] | None = None,
        request_id: str | None = None,
    ) -> Exposure | None:
        """The event that says that this unit met this variant; `None` where nothing is to be logged.

        Args:
            ts: when it was assigned, aware of its zone.
            attributes: those that it was assigned by; what an event cannot hold is left out.
            request_id: our key of the request.
        """
        placement, unit_id = self
        if not placement.exposed or unit_id is None:
            return None
        from promptarena.definitions.events import Exposure

        known = loggable(attributes or {})
        segments = {name: as_text(known[name]) for name in placement.segments if name in known}
        return Exposure(
            ts=ts,
            experiment=str(placement.experiment),
            definition_hash=str(placement.definition_hash),
            stage=str(placement.stage),
            epoch=int(placement.epoch or 0),
            variant=str(placement.variant),
            propensity=float(placement.propensity or 0),
            unit_kind=str(placement.unit_kind),
            unit_id=unit_id,
            attributes=known,
            segments={name: text for name, text in segments.items() if text is not None},
            request_id=request_id,
        )


def loggable(attributes: Mapping[str, object]) -> dict[str, Scalar]:
    """Those attributes that an event can hold."""
    return {name: value for name, value in attributes.items() if _can_be_logged(value)}


def _can_be_logged(value: object) -> TypeGuard[Scalar]:
    """Whether it is text of whole characters, true or false, a number of 64 bits, or a finite float."""
    match value:
        case str():
            return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
        case int():
            return -(2**63) <= value < 2**63
        case _:
            return as_text(value) is not None
