"""From exposures to units: the first one says a unit's variant, epoch, stage, day and segment values.

What a unit met later changes nothing: seen in another variant it is a crossover, counted and kept in its
first. A unit whose exposures are all of one placement is told by the least and the greatest number alone;
only the others are put in order, by time and then by event id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import ibis

from promptarena.analysis.engine_words import DAY
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.placements import (
    Placement,
    Placements,
    exposures_of,
    find_placements,
    variant_number,
)
from promptarena.storage.warehouse import fetch, held

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Arrived", "FirstExposures", "first_exposures", "last_exposed"]

_FIRST_DAY: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Arrived:
    """Units of one placement first exposed on one day."""

    placement: Placement
    day: date
    units: int
    exposures: int
    repeated: int
    """Units with several exposures."""
    crossed: int
    """Units that were later seen in another variant."""


@dataclass(frozen=True)
class FirstExposures:
    """All exposed units of an experiment."""

    units: ibis.Table
    """One row a unit: `unit` (its key), `first` (microseconds since 1970), `day` (days since 1970), `place`
    and `crossed`."""
    placements: Placements
    arrived: tuple[Arrived, ...]


@contextmanager
def first_exposures(
    tables: EventTables, experiment: Experiment, started: datetime | None = None
) -> Iterator[FirstExposures]:
    """Find each unit's first exposure to the running definition; tables are held while it is used.

    Args:
        tables: all events that are known.
        experiment: the running definition.
        started: when it began, if that is known: exposures dated earlier are by a wrong clock.

    Raises:
        DataError: a segment has so many values that it is none.
    """
    exposures = exposures_of(tables, experiment, started)
    with ExitStack() as stack:
        placements = stack.enter_context(find_placements(exposures, experiment))
        rows = _rows(exposures.filter(exposures.counts), placements, tables)
        least = stack.enter_context(held(_least_and_greatest(rows)))
        units = _placed(rows, least)
        if units is not least:
            units = stack.enter_context(held(units))
        units = units.mutate(crossed=variant_number(units.low) != variant_number(units.high))
        yield FirstExposures(
            units.select("unit", "first", "day", "place", "crossed"), placements, _arrived(units, placements)
        )


def last_exposed(tables: EventTables, experiment: Experiment, day: date) -> datetime | None:
    """When the last of the exposures that happened up to the end of a day was received, if there are any."""
    own = exposures_of(tables, experiment, None)
    until = datetime.combine(day + timedelta(days=1), time.min, UTC)
    early = own.filter(own.ts < ibis.literal(until))
    found: datetime | None = fetch(early.aggregate(last=early.received_at.max()))["last"][0].as_py()
    return found


def _rows(exposures: ibis.Table, placements: Placements, tables: EventTables) -> ibis.Table:
    """Exposures in numbers: whose, when, where."""
    dimensions = [name for name in placements.table.columns if name not in ("place", "confirmatory")]
    narrow = exposures.select(
        "event_id",
        *dimensions,
        unit=tables.words.key(exposures.unit_id),
        at=tables.words.microseconds(exposures.ts),
    )
    placed = narrow.join(placements.table.drop("confirmatory"), dimensions)
    return placed.select("unit", "at", "event_id", "place")


def _least_and_greatest(rows: ibis.Table) -> ibis.Table:
    units = rows.group_by("unit").aggregate(
        first=rows["at"].min(),
        low=rows.place.min(),
        high=rows.place.max(),
        exposures=rows.count(),
    )
    return units.mutate(place=units.low, day=(units["first"] // DAY).cast("int32"))


def _placed(rows: ibis.Table, least: ibis.Table) -> ibis.Table:
    """Units with the place of their first exposure, where their exposures do not all say the same."""
    moved = least.filter(least.low != least.high).select("unit", "first")
    if not fetch(moved.limit(1)).num_rows:
        return least
    earliest = rows.join(moved, [rows.unit == moved.unit, rows["at"] == moved["first"]])
    earliest = earliest.select("unit", "event_id", "place")
    in_order = ibis.row_number().over(group_by=earliest.unit, order_by=earliest.event_id)
    ranked = earliest.mutate(rank=in_order)
    firsts = ranked.filter(ranked["rank"] == 0).select("unit", began=ranked.place)
    joined = least.left_join(firsts, "unit")
    return joined.select(
        *[least[name] for name in least.columns if name != "place"],
        place=ibis.coalesce(joined.began, least.place),
    )


def _arrived(units: ibis.Table, placements: Placements) -> tuple[Arrived, ...]:
    counted = units.group_by(["place", "day"]).aggregate(
        units=units.count(),
        exposures=units.exposures.sum(),
        repeated=(units.exposures > 1).sum(),
        crossed=units.crossed.sum(),
    )
    return tuple(
        Arrived(
            placement=placements.known[line["place"]],
            day=_FIRST_DAY + timedelta(days=line["day"]),
            units=line["units"],
            exposures=line["exposures"],
            repeated=line["repeated"],
            crossed=line["crossed"],
        )
        for line in fetch(counted.order_by(["day", "place"])).to_pylist()
    )
