"""Facts of the log in one narrow shape: whose, when, and the numbers that metrics need.

A model call belongs to the unit whose id it carries. A measurement belongs to its target, if that is a unit;
one of something finer (a request, in an experiment on conversations) rolls up through the calls that carry
both ids. What is coarser than the unit never attaches; a target that leads to several units is ambiguous, and
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import ibis

from promptarena.analysis.engine_words import EngineWords
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.metric_facts import MetricFacts, Reading, Value
from promptarena.analysis.opinions import is_opinion, replaced_opinions
from promptarena.analysis.served_configuration import fits
from promptarena.storage.warehouse import fetch, held

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["FactRows", "fact_rows"]

_IDS: Final = {
    "request": "request_id",
    "response": "response_id",
    "conversation": "conversation_id",
    "session": "session_id",
    "user": "user_id",
}
"""Where a call says what it is about."""
_FINER: Final = {
    "request": ("response",),
    "conversation": ("response", "request"),
    "session": ("response", "request"),
    "user": ("response", "request", "conversation", "session"),
}
"""What rolls up to a unit; to a cluster that an attribute names, everything does."""
_FLAGS: Final = ("error", "blocked", "retried")


@dataclass(frozen=True)
class FactRows:
    """Every event that may count, for any unit of the feature."""

    calls: ibis.Table
    """`unit`, `at` and `received` (microseconds since 1970), `until` (when a later word on the same matter
    replaced it), `fits` (see `served_configuration`) and `value_<i>`, the i-th of `MetricFacts.values`."""
    measured: ibis.Table | None
    """Likewise; `None` where nothing was measured that any metric needs."""
    refused: tuple[str, ...]
    """What was left out, in words."""

    @property
    def all(self) -> ibis.Table:
        """Both."""
        return self.calls if self.measured is None else self.calls.union(self.measured)


@contextmanager
def fact_rows(tables: EventTables, experiment: Experiment, asked: MetricFacts) -> Iterator[FactRows]:
    """The events that metrics need; tables are held while they are used."""
    calls = _calls(tables, experiment)
    with ExitStack() as stack:
        measured, refused = _measurements(tables, experiment, asked, calls, stack)
        yield FactRows(_call_rows(calls, experiment, asked, tables.words), measured, refused)


def _calls(tables: EventTables, experiment: Experiment) -> ibis.Table:
    """Calls that users were served by the feature, with `unit`, the key of theirs."""
    key = tables.words.key
    served = tables.generations.filter(
        tables.generations.role == "served", tables.generations.feature == experiment.feature
    )
    if experiment.unit in _IDS:
        column = _IDS[experiment.unit]
        return served.filter(served[column].notnull()).mutate(unit=key(served[column]))
    # A cluster: calls do not name it, exposures name it and the request.
    own = tables.exposures.filter(
        tables.exposures.experiment == experiment.name,
        tables.exposures.unit_kind == experiment.unit,
        tables.exposures.request_id.notnull(),
    )
    requests = own.select(request=key(own.request_id), cluster=key(own.unit_id))
    known = requests.group_by("request").aggregate(unit=requests.cluster.min(), other=requests.cluster.max())
    known = known.filter(known.unit == known.other).select("request", "unit")
    return served.mutate(request=key(served.request_id)).join(known, "request").drop("request")


def _call_rows(
    calls: ibis.Table, experiment: Experiment, asked: MetricFacts, words: EngineWords
) -> ibis.Table:
    values = {
        f"value_{i}": _call_value(calls, value) if value.source == "generation" else ibis.null("float64")
        for i, value in enumerate(asked.values)
    }
    return calls.select(
        unit=calls.unit,
        at=words.microseconds(calls.ts),
        received=words.microseconds(calls.received_at),
        until=ibis.null("int64"),
        fits=fits(calls, experiment),
        **values,
    )


def _call_value(calls: ibis.Table, value: Value) -> Any:
    number = _call_number(calls, value.name)
    if value.reading is Reading.NUMBER:
        return number
    if value.reading is Reading.TRUTH:
        return ibis.ifelse(number.isin((0.0, 1.0)), number, ibis.null("float64"))
    there = number == 1.0 if value.name in _FLAGS else number.notnull()
    return ibis.ifelse(there, 1.0, ibis.null("float64"))


def _call_number(calls: ibis.Table, name: str) -> Any:
    match name:
        case "requests":
            return ibis.literal(1.0)
        case "error":
            return calls.error.notnull().cast("float64")
        case "blocked":
            return calls.blocked_by.notnull().cast("float64")
        case "retried":
            return (calls.retry_count > 0).cast("float64")
        case _:
            return calls[name].cast("float64")


def _measurements(
    tables: EventTables,
    experiment: Experiment,
    asked: MetricFacts,
    calls: ibis.Table,
    stack: ExitStack,
) -> tuple[ibis.Table | None, tuple[str, ...]]:
    if not asked.measured:
        return None, ()
    named = tables.measurements.filter(tables.measurements.name.isin(asked.measured))
    kinds, opinions, refused = _census(named, experiment, asked)
    parts = []
    for kind in kinds:
        own = named.filter(named.target_kind == kind)
        if kind == experiment.unit:
            parts.append(own.mutate(unit=tables.words.key(own.target)))
        else:
            attached, ambiguous = _rolled_up(own, kind, calls, tables.words, stack)
            parts.append(attached)
            if ambiguous:
                refused.append(f"{_counted(ambiguous)} of a {kind} that could be of several units")
    if not parts:
        return None, tuple(refused)
    attached = parts[0] if len(parts) == 1 else ibis.union(*parts)
    replaced = stack.enter_context(replaced_opinions(named, tables.words)) if opinions else None
    return _measured_rows(attached, asked, tables.words, replaced), tuple(refused)


def _census(
    named: ibis.Table, experiment: Experiment, asked: MetricFacts
) -> tuple[list[str], bool, list[str]]:
    """Which kinds of target can attach, whether anybody gave an opinion, and what cannot be used."""
    number = _number(named)
    counted = named.group_by(["name", "target_kind", "source"]).aggregate(
        n=named.count(), untrue=(number.notnull() & ~number.isin((0.0, 1.0))).sum()
    )
    lines = fetch(counted.order_by(["name", "target_kind", "source"])).to_pylist()
    attachable = (experiment.unit, *_FINER.get(experiment.unit, tuple(_IDS)))
    refused = [
        f"{_counted(line['n'])} of {line['name']} about a {line['target_kind']}, which does not roll up to a"
        f" {experiment.unit}"
        for line in lines
        if line["target_kind"] not in attachable
    ]
    rates = [value.name for value in asked.values if value.reading is Reading.TRUTH]
    refused += [
        f"{_counted(line['untrue'])} of {line['name']} with a value that is neither 0 nor 1"
        for line in lines
        if line["name"] in rates and line["untrue"] and line["target_kind"] in attachable
    ]
    found = {line["target_kind"] for line in lines}
    return (
        [kind for kind in attachable if kind in found],
        any(is_opinion(line["source"]) for line in lines),
        refused,
    )


def _rolled_up(
    own: ibis.Table, kind: str, calls: ibis.Table, words: EngineWords, stack: ExitStack
) -> tuple[ibis.Table, int]:
    """Measurements of something finer with their units, and how many lead to several."""
    aimed = own.mutate(aim=words.key(own.target))
    column = calls[_IDS[kind]]
    named = calls.filter(column.notnull()).select(aim=words.key(column), unit=calls.unit)
    pairs = named.semi_join(aimed, "aim").group_by("aim")
    units = stack.enter_context(
        held(pairs.aggregate(unit=named.unit.min(), other=named.unit.max()).select("aim", "unit", "other"))
    )
    several = units.filter(units.unit != units.other)
    ambiguous = 0
    if fetch(several.limit(1)).num_rows:
        lost = aimed.semi_join(several, "aim")
        ambiguous = int(fetch(lost.aggregate(n=lost.count()))["n"][0].as_py())
    clear = units.filter(units.unit == units.other).select("aim", "unit")
    return aimed.join(clear, "aim").drop("aim"), ambiguous


def _measured_rows(
    attached: ibis.Table, asked: MetricFacts, words: EngineWords, replaced: ibis.Table | None
) -> ibis.Table:
    if replaced is None:
        marked = attached.mutate(until=ibis.null("int64"))
    else:
        marked = attached.left_join(replaced, "event_id")
    number = _number(marked)
    values = {
        f"value_{i}": _measured_value(marked, number, value)
        if value.source == "measurement"
        else ibis.null("float64")
        for i, value in enumerate(asked.values)
    }
    return marked.select(
        unit=marked.unit,
        at=words.microseconds(marked.ts),
        received=words.microseconds(marked.received_at),
        until=marked.until,
        fits=ibis.null("int64"),
        **values,
    )


def _number(measurements: ibis.Table) -> Any:
    """An event with neither value nor label says that it happened."""
    bare = ibis.ifelse(measurements.label.isnull(), 1.0, ibis.null("float64"))
    return ibis.coalesce(measurements["value"], bare)


def _measured_value(measurements: ibis.Table, number: Any, value: Value) -> Any:
    its = measurements.name == value.name
    match value.reading:
        case Reading.NUMBER:
            return ibis.ifelse(its, number, ibis.null("float64"))
        case Reading.TRUTH:
            return ibis.ifelse(its & number.isin((0.0, 1.0)), number, ibis.null("float64"))
        case Reading.PRESENCE:
            return ibis.ifelse(its, 1.0, ibis.null("float64"))


def _counted(number: int) -> str:
    return "1 measurement" if number == 1 else f"{number:,} measurements"
