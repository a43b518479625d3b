"""Which events a person wants to see: the same choice for those that are stored and for those that come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from promptarena.definitions.events import EVENT_TYPES, Event, Exposure, Generation, Kind
from promptarena.definitions.quantities import parse_duration
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import Problem, UsageError
from promptarena.storage.tombstones import identities

if TYPE_CHECKING:
    import ibis

__all__ = ["FACTS", "EventFilter", "read_filter", "read_since"]

FACTS: Final[tuple[Kind, ...]] = ("exposure", "generation", "measurement")
"""All but content, which is what people said: it is shown only where it is asked for."""

_NAMES_AN_EXPERIMENT: Final = (Exposure, Generation)
_IDS: Final = (
    "unit_id",
    "user_id",
    "session_id",
    "conversation_id",
    "request_id",
    "target",
    "against",
)
"""Columns that say whom or what an event is about, in any kind of event; as `tombstones.identities`."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What an event must be; what is not said accepts all."""

    kinds: tuple[Kind, ...] = FACTS
    experiment: str | None = None
    """As an exposure or a generation says; measurements and content name no experiment, and are left out."""
    unit: str | None = None
    """An id of any kind: of a unit, user, session, conversation, request, or target of a measurement."""
    since: datetime | None = None
    """The earliest `ts`, aware of its zone."""

    def matches(self, event: Event) -> bool:
        """Whether this event, of one of `kinds`, is wanted."""
        if self.since is not None and event.ts < self.since:
            return False
        if self.experiment is not None and not (
            isinstance(event, _NAMES_AN_EXPERIMENT) and event.experiment == self.experiment
        ):
            return False
        return self.unit is None or any(who.id == self.unit for who in identities(event))

    def narrow(self, events: ibis.Table) -> ibis.Table:
        """The same of a relation of one kind, as `events_relation` gives it."""
        import ibis

        if self.since is not None:
            events = events.filter(events.ts >= ibis.literal(self.since))
        if self.experiment is not None:
            named = "experiment" in events.columns
            events = events.filter(events.experiment == self.experiment if named else ibis.literal(False))
        if self.unit is not None:
            columns = [events[name] for name in _IDS if name in events.columns]
            events = events.filter(ibis.or_(*[(column == self.unit).fill_null(False) for column in columns]))
        return events


def read_filter(
    kinds: Sequence[str], experiment: str | None, unit: str | None, since: str | None, now: datetime
) -> EventFilter:
    """A filter as a person writes it; no kinds are all but content.

    Raises:
        UsageError: a kind is none, or `since` is neither a moment nor a duration.
    """
    known: dict[str, Kind] = {kind: kind for kind in EVENT_TYPES}
    problems = [
        Problem(
            f"{kind!r} is not a kind of event.",
            hint=did_you_mean(kind, known) or f"Accepted: {listed(known)}.",
        )
        for kind in kinds
        if kind not in known
    ]
    if problems:
        raise UsageError(problems)
    return EventFilter(
        tuple(dict.fromkeys(known[kind] for kind in kinds)) or FACTS,
        experiment,
        unit,
        read_since(since, now) if since is not None else None,
    )


def read_since(written: str, now: datetime) -> datetime:
    """A moment, or a duration back from now. A moment without a zone is in UTC, a day begins at midnight.

    >>> read_since("36h", datetime(2026, 3, 2, 12, tzinfo=UTC)).isoformat()
    '2026-03-01T00:00:00+00:00'

    Raises:
        UsageError: it is neither.
    """
    try:
        return now - parse_duration(written)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError:
        hint = "Write 2026-01-31, 2026-01-31T12:00:00Z, or 2h, 7d and the like."
        raise UsageError(f"--since {written!r} is neither a moment nor a duration.", hint=hint) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
