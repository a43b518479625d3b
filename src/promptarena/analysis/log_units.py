"""From a log to the table that `moment_pass.measure` reads: one row a unit of the cohorts that count.

Facts count from a unit's first exposure on, for as long as each metric's window; they are summed by unit in
one grouping, whatever stream they are of, and then set beside the units, so that a unit without any fact is
there too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import ibis

from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.engine_words import DAY
from promptarena.analysis.fact_rows import FactRows
from promptarena.analysis.first_exposures import FirstExposures
from promptarena.analysis.metric_facts import Fact, MetricFacts
from promptarena.analysis.placements import variant_number
from promptarena.analysis.served_configuration import misfit
from promptarena.storage.warehouse import fetch, held

__all__ = ["Gathered", "UnitTable", "unit_table", "unit_values"]

_FIRST_DAY: Final = date(1970, 1, 1)
_SECONDS_A_DAY: Final = 86_400
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was met on the way to the units."""

    late: int
    """Facts that were received after their cohort had matured; they count from now on."""
    misfits: int
    """Calls served otherwise than assigned, without a reason."""
    last_received: dict[date, int]
    """The latest fact of each cohort day; microseconds since 1970."""


@dataclass(frozen=True)
class UnitTable:
    """Units of mature cohorts, held by the engine."""

    units: ibis.Table
    """`unit`, `first`, `variant`, `day`, `confirmatory`, `name_<dimension>` and the metrics' parts."""
    gathered: Gathered


@contextmanager
def unit_table(
    exposed: FirstExposures, rows: FactRows, asked: MetricFacts, maturity: Maturity, last_day: date
) -> Iterator[UnitTable]:
    """Gather the facts of every unit first exposed up to a day; the table is held while it is used."""
    mature = exposed.units.filter(exposed.units.day <= (last_day - _FIRST_DAY).days)
    with ExitStack() as stack:
        # Held before it is joined: grouping and both joins at once would need their memory all at once.
        with held(_facts(rows.all, mature, asked, maturity)) as facts:
            units = stack.enter_context(held(_with_parts(mature, facts, exposed, asked)))
        yield UnitTable(units, _gathered(units))


def _with_parts(
    mature: ibis.Table, facts: ibis.Table, exposed: FirstExposures, asked: MetricFacts
) -> ibis.Table:
    """Every mature unit, with what it met and its metrics' values."""
    joined = mature.left_join(facts, "unit").join(exposed.placements.table, "place")
    dimensions = [name for name in exposed.placements.table.columns if name.startswith("name_")]
    return joined.select(
        "unit",
        "first",
        "variant",
        "confirmatory",
        *dimensions,
        "late",
        "misfits",
        "last_received",
        day=(joined.day.cast("int64") * _SECONDS_A_DAY).as_timestamp("s").cast("date"),
        **asked.parts(joined),
    )


def unit_values(rows: FactRows, units: ibis.Table, asked: MetricFacts, fact: Fact) -> ibis.Table:
    """One row a value of a fact: `value`, `at`, and all columns of its unit."""
    source = rows.calls if fact.value.source == "generation" else rows.measured
    if source is None:
        source = rows.calls.limit(0)
    column = f"value_{asked.values.index(fact.value)}"
    narrow = source.filter(source[column].notnull())
    narrow = narrow.select("unit", "at", "until", value=narrow[column])
    joined = narrow.join(units, "unit")
    return joined.filter(_counts(joined, fact)).drop("until")


def _facts(rows: ibis.Table, units: ibis.Table, asked: MetricFacts, maturity: Maturity) -> ibis.Table:
    """One row a unit that has facts."""
    known = units.select("unit", "first", "day", "crossed", number=variant_number(units.place))
    joined = rows.join(known, "unit")
    timely = joined["at"] < joined["first"] + asked.longest
    if all(fact.window is not None for fact in asked.facts):
        timely &= joined["at"] >= joined["first"]
    joined = joined.filter(timely)
    own = ~joined.crossed & (joined["at"] >= joined["first"])
    patience = int((timedelta(days=1) + maturity.window + maturity.lateness) / _MICROSECOND)
    facts = joined.select(
        "unit",
        "received",
        late=_marked(joined.received >= joined.day.cast("int64") * DAY + patience),
        misfit=_marked(own & misfit(joined.fits, joined.number)),
        **{f"fact_{i}": _read(joined, asked, fact) for i, fact in enumerate(asked.facts)},
    )
    return facts.group_by("unit").aggregate(
        late=facts.late.count(),
        misfits=facts.misfit.count(),
        last_received=facts.received.max(),
        **asked.aggregates(facts),
    )


def _read(joined: ibis.Table, asked: MetricFacts, fact: Fact) -> Any:
    value = joined[f"value_{asked.values.index(fact.value)}"]
    plain = fact.window == asked.longest and all(other.window is not None for other in asked.facts)
    if plain and fact.value.source == "generation":
        return value
    return ibis.ifelse(_counts(joined, fact), value, ibis.null("float64"))


def _marked(condition: Any) -> Any:
    """1 or NULL: of these a count costs less than a sum."""
    return ibis.ifelse(condition, 1, ibis.null("int8"))


def _counts(joined: ibis.Table, fact: Fact) -> Any:
    """Whether an event lies in a fact's time, and was the last word at the end of it."""
    if fact.window is None:
        begins, ends = None, joined["first"]
    else:
        begins, ends = joined["first"], joined["first"] + fact.window
    inside = joined["at"] < ends
    if begins is not None:
        inside &= joined["at"] >= begins
    return inside & (joined.until.isnull() | (joined.until >= ends))


def _gathered(units: ibis.Table) -> Gathered:
    by_day = units.group_by("day").aggregate(
        late=units.late.sum(), misfits=units.misfits.sum(), last=units.last_received.max()
    )
    lines = fetch(by_day).to_pylist()
    return Gathered(
        late=sum(line["late"] or 0 for line in lines),
        misfits=sum(line["misfits"] or 0 for line in lines),
        last_received={line["day"]: line["last"] for line in lines if line["last"] is not None},
    )
