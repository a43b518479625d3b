"""From exposures to units: the first one says a unit's variant, epoch, stage, day and segment values.

What a unit met later changes nothing: seen in another variant it is a crossover, counted and kept in its
first. An experiment has few distinct combinations of variant, epoch, stage and segment values (placements):
they are numbered, so that a unit whose exposures all say the same is told by the least and the greatest
number alone. Only the others are put in order, by time and then by event id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import ibis
import pyarrow as pa

from promptarena.analysis.engine_words import DAY, EngineWords
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.fields import MISSING
from promptarena.definitions.rollout_plan import STAGES
from promptarena.errors import DataError
from promptarena.storage.warehouse import fetch, held

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Arrived", "FirstExposures", "Placement", "Refused", "first_exposures", "last_exposed"]

MOST_PLACEMENTS: Final = 100_000
"""Beyond so many combinations some segment is no segment."""
_STRIDE: Final = 2**20
"""Placements are numbered by variant first: of one variant are those between two multiples of it."""
_FIRST_DAY: Final = date(1970, 1, 1)
_BEFORE_AB: Final = STAGES[: STAGES.index("ab")]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a unit stood when it was first exposed."""

    variant: str
    epoch: str
    stage: str
    segments: tuple[str, ...]
    """Values in the order of the definition's segments."""

    @property
    def confirmatory(self) -> bool:
        """Whether the verdict is about it; what was exposed before stage `ab` is reported apart."""
        return self.stage not in _BEFORE_AB


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


@dataclass(frozen=True, slots=True)
class Refused:
    """Exposures under the experiment's name that do not count."""

    other_definition: int
    """Of a definition that is not the running one."""
    undeclared: int
    """In a variant that the definition has not."""
    before_start: int
    """Dated before the experiment began."""


@dataclass(frozen=True)
class FirstExposures:
    """All exposed units of an experiment."""

    units: ibis.Table
    """One row a unit: `unit` (its key), `first` (microseconds since 1970), `day` (days since 1970), `place`
    and `crossed`."""
    placements: ibis.Table
    """`place`, `variant`, `name_epoch`, `confirmatory` and `name_<segment>`."""
    arrived: tuple[Arrived, ...]
    propensities: dict[str, dict[str, float]]
    """Mean over exposures, by epoch and variant."""
    refused: Refused

    def variant_number(self, place: Any) -> Any:
        """From a column of places to the variant's position in the definition."""
        return place // _STRIDE


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
    exposures = _own(tables, experiment)
    census = _census(exposures, experiment, started)
    counting = exposures.filter(
        exposures.definition_hash == experiment.content_hash,
        exposures.variant.isin([variant.name for variant in experiment.variants]),
    )
    if started is not None:
        counting = counting.filter(counting.ts >= ibis.literal(started))
    with ExitStack() as stack:
        numbered = ibis.memtable(_numbered(census.placements, experiment))
        rows = _rows(counting, numbered, experiment, tables.words)
        least = stack.enter_context(held(_least_and_greatest(rows)))
        units = _placed(rows, least)
        if units is not least:
            units = stack.enter_context(held(units))
        units = units.mutate(crossed=(units.low // _STRIDE) != (units.high // _STRIDE))
        yield FirstExposures(
            units.select("unit", "first", "day", "place", "crossed"),
            numbered,
            _arrived(units, census.placements),
            census.propensities,
            census.refused,
        )


def last_exposed(tables: EventTables, experiment: Experiment, day: date) -> datetime | None:
    """When the last of the exposures that happened up to the end of a day was received, if there are any."""
    own = _own(tables, experiment)
    until = datetime.combine(day + timedelta(days=1), time.min, UTC)
    early = own.filter(own.ts < ibis.literal(until))
    found: datetime | None = fetch(early.aggregate(last=early.received_at.max()))["last"][0].as_py()
    return found


@dataclass(frozen=True)
class _Census:
    placements: dict[int, Placement]
    """By their numbers."""
    propensities: dict[str, dict[str, float]]
    refused: Refused


def _own(tables: EventTables, experiment: Experiment) -> ibis.Table:
    """Exposures under the experiment's name, with dimensions as text."""
    exposures = tables.exposures.filter(
        tables.exposures.experiment == experiment.name, tables.exposures.unit_kind == experiment.unit
    )
    names = {
        f"name_{rule.name}": exposures.segments[rule.name].fill_null(MISSING) for rule in experiment.segments
    }
    return exposures.mutate(name_epoch=exposures.epoch.cast("string"), **names)


def _dimensions(experiment: Experiment) -> list[str]:
    return ["variant", "name_epoch", "stage", *(f"name_{rule.name}" for rule in experiment.segments)]


def _census(exposures: ibis.Table, experiment: Experiment, started: datetime | None) -> _Census:
    """Which placements there are, in one look at all exposures."""
    early = ibis.literal(False) if started is None else exposures.ts < ibis.literal(started)
    marked = exposures.mutate(running=exposures.definition_hash == experiment.content_hash, early=early)
    counted = marked.group_by(["running", "early", *_dimensions(experiment)]).aggregate(
        n=marked.count(), propensity=marked.propensity.mean()
    )
    found = fetch(counted.limit(MOST_PLACEMENTS + 1)).to_pylist()
    if len(found) > MOST_PLACEMENTS:
        raise DataError(
            f"`{experiment.name}` has more than {MOST_PLACEMENTS:,} combinations of segment values.",
            hint="A segment has few values; group them where they are assigned, or leave it out.",
        )
    declared = [variant.name for variant in experiment.variants]
    ours = [line for line in found if line["running"]]
    known = [line for line in ours if not line["early"] and line["variant"] in declared]
    by_variant: dict[str, set[Placement]] = {name: set() for name in declared}
    sums: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for line in known:
        variant, epoch = line["variant"], line["name_epoch"]
        segments = tuple(line[f"name_{rule.name}"] for rule in experiment.segments)
        by_variant[variant].add(Placement(variant, epoch, line["stage"], segments))
        sums.setdefault(epoch, {}).setdefault(variant, []).append((line["n"], line["propensity"]))
    return _Census(
        {
            at * _STRIDE + i: placement
            for at, name in enumerate(declared)
            for i, placement in enumerate(sorted(by_variant[name], key=_order))
        },
        {
            epoch: {
                name: sum(n * p for n, p in parts) / sum(n for n, _ in parts) for name, parts in arms.items()
            }
            for epoch, arms in sums.items()
        },
        Refused(
            other_definition=sum(line["n"] for line in found if not line["running"]),
            undeclared=sum(line["n"] for line in ours if line["variant"] not in declared),
            before_start=sum(line["n"] for line in ours if line["early"] and line["variant"] in declared),
        ),
    )


def _order(placement: Placement) -> tuple[str, ...]:
    return (placement.epoch, placement.stage, *placement.segments)


def _numbered(placements: dict[int, Placement], experiment: Experiment) -> pa.Table:
    known = list(placements.values())
    columns: dict[str, Any] = {
        "place": pa.array(placements, pa.int64()),
        "variant": pa.array([each.variant for each in known], pa.string()),
        "name_epoch": pa.array([each.epoch for each in known], pa.string()),
        "stage": pa.array([each.stage for each in known], pa.string()),
        "confirmatory": pa.array([each.confirmatory for each in known], pa.bool_()),
    }
    for at, rule in enumerate(experiment.segments):
        columns[f"name_{rule.name}"] = pa.array([each.segments[at] for each in known], pa.string())
    return pa.table(columns)


def _rows(
    exposures: ibis.Table, numbered: ibis.Table, experiment: Experiment, words: EngineWords
) -> ibis.Table:
    """Exposures in numbers: whose, when, where."""
    dimensions = _dimensions(experiment)
    narrow = exposures.select(
        "event_id",
        *dimensions,
        unit=words.key(exposures.unit_id),
        at=words.microseconds(exposures.ts),
    )
    placed = narrow.join(numbered.select("place", *dimensions), dimensions)
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


def _arrived(units: ibis.Table, placements: dict[int, Placement]) -> tuple[Arrived, ...]:
    counted = units.group_by(["place", "day"]).aggregate(
        units=units.count(),
        exposures=units.exposures.sum(),
        repeated=(units.exposures > 1).sum(),
        crossed=units.crossed.sum(),
    )
    return tuple(
        Arrived(
            placement=placements[line["place"]],
            day=_FIRST_DAY + timedelta(days=line["day"]),
            units=line["units"],
            exposures=line["exposures"],
            repeated=line["repeated"],
            crossed=line["crossed"],
        )
        for line in fetch(counted.order_by(["day", "place"])).to_pylist()
    )
