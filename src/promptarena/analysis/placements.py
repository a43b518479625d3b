"""Where units stood when they were exposed: the combinations of variant, epoch, stage and segment values.

An experiment has few of them. The engine numbers them, by variant first, so that everything that is asked of
an exposure's dimensions is asked of one whole number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import ibis

from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.fields import MISSING
from promptarena.definitions.rollout_plan import STAGES
from promptarena.errors import DataError
from promptarena.storage.warehouse import fetch, held

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Placement", "Placements", "Refused", "exposures_of", "find_placements", "variant_number"]

MOST_PLACEMENTS: Final = 100_000
"""Beyond so many combinations some segment is no segment."""
_STRIDE: Final = 2**20
"""Placements of one variant are numbered between two multiples of it."""
_BEFORE_AB: Final = STAGES[: STAGES.index("ab")]


@dataclass(frozen=True, slots=True)
class Placement:
    """One combination."""

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
class Refused:
    """Exposures under the experiment's name that do not count."""

    other_definition: int
    """Of a definition that is not the running one."""
    undeclared: int
    """In a variant that the definition has not."""
    before_start: int
    """Dated before the experiment began."""


@dataclass(frozen=True)
class Placements:
    """All that exposures of the running definition show."""

    table: ibis.Table
    """`place` (the number), `variant`, `name_epoch`, `stage`, `confirmatory` and `name_<segment>`."""
    known: dict[int, Placement]
    """By number."""
    propensities: dict[str, dict[str, float]]
    """Mean over exposures, by epoch and variant."""
    refused: Refused


def variant_number(place: Any) -> Any:
    """From a column of places to the variant's position in the definition."""
    return place // _STRIDE


def exposures_of(tables: EventTables, experiment: Experiment, started: datetime | None) -> ibis.Table:
    """Exposures under the experiment's name, with dimensions as text.

    They have `counts`, and why they may not: `running` (the definition), `declared` (the variant), `early`.
    """
    own = tables.exposures.filter(
        tables.exposures.experiment == experiment.name, tables.exposures.unit_kind == experiment.unit
    )
    segments = {rule.name: own.segments[rule.name].fill_null(MISSING) for rule in experiment.segments}
    marked = own.mutate(
        running=own.definition_hash == experiment.content_hash,
        declared=own.variant.isin([variant.name for variant in experiment.variants]),
        early=ibis.literal(False) if started is None else own.ts < ibis.literal(started),
        name_epoch=own.epoch.cast("string"),
        **{f"name_{name}": value for name, value in segments.items()},
    )
    return marked.mutate(counts=marked.running & marked.declared & ~marked.early)


@contextmanager
def find_placements(exposures: ibis.Table, experiment: Experiment) -> Iterator[Placements]:
    """Which placements there are, in one look at all exposures; held while they are used.

    Args:
        exposures: from `exposures_of`.

    Raises:
        DataError: a segment has so many values that it is none.
    """
    names = ["name_epoch", "stage", *(f"name_{rule.name}" for rule in experiment.segments)]
    reasons = ["counts", "running", "declared", "early"]
    counted = exposures.group_by([*reasons, "variant", *names]).aggregate(
        n=exposures.count(), propensity=exposures.propensity.mean()
    )
    position = ibis.cases(
        *((counted.variant == variant.name, at) for at, variant in enumerate(experiment.variants)), else_=-1
    )
    among = ibis.row_number().over(
        group_by=[*(counted[reason] for reason in reasons), counted.variant],
        order_by=[counted[name] for name in names],
    )
    numbered = counted.mutate(place=position.cast("int64") * _STRIDE + among.cast("int64"))
    with held(numbered.limit(MOST_PLACEMENTS + 1)) as census:
        lines = fetch(census).to_pylist()
        if len(lines) > MOST_PLACEMENTS:
            raise DataError(
                f"`{experiment.name}` has more than {MOST_PLACEMENTS:,} combinations of segment values.",
                hint="A segment has few values; group them where they are assigned, or leave it out.",
            )
        table = census.filter(census.counts)
        confirmatory = ~table.stage.isin(_BEFORE_AB)
        yield Placements(
            table.select("place", "variant", *names, confirmatory=confirmatory),
            {line["place"]: _placement(line, experiment) for line in lines if line["counts"]},
            _propensities([line for line in lines if line["counts"]]),
            Refused(
                other_definition=sum(line["n"] for line in lines if not line["running"]),
                undeclared=sum(line["n"] for line in lines if line["running"] and not line["declared"]),
                before_start=sum(
                    line["n"] for line in lines if line["running"] and line["declared"] and line["early"]
                ),
            ),
        )


def _placement(line: dict[str, Any], experiment: Experiment) -> Placement:
    segments = tuple(line[f"name_{rule.name}"] for rule in experiment.segments)
    return Placement(line["variant"], line["name_epoch"], line["stage"], segments)


def _propensities(lines: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    sums: dict[str, dict[str, tuple[int, float]]] = {}
    for line in lines:
        arms = sums.setdefault(line["name_epoch"], {})
        n, total = arms.get(line["variant"], (0, 0.0))
        arms[line["variant"]] = (n + line["n"], total + line["n"] * line["propensity"])
    return {
        epoch: {variant: total / n for variant, (n, total) in arms.items()} for epoch, arms in sums.items()
    }
