"""The cube of drawn units is that of their values, cell by cell."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from promptarena.definitions.metric import Absence, Metric
from promptarena.simulation.assumptions import Assumed
from promptarena.simulation.cells import EPOCH, FIRST_DAY, arrivals_of, cube_of
from promptarena.simulation.units import SEGMENT_SHARES, Population, draw_units
from promptarena.stats.clustered_counts import ClusteredCounts
from promptarena.stats.moments import Moments


def _metric(name: str, kind: str, **fields: object) -> Metric:
    return Metric.model_validate({"name": name, "kind": kind, "of": name, "absent": Absence.ZERO} | fields)


_ASSUMED = (
    Assumed(_metric("resolved", "rate"), 0.6, 0.49, known=True),
    Assumed(
        _metric(
            "rating",
            "mean",
            absent="missing",
            covariates=[{"of": "before"}, {"of": "spent_before", "over": "calls_before"}],
        ),
        3.8,
        1.1,
        known=True,
    ),
    Assumed(_metric("cost", "ratio", over="calls"), 0.2, 0.3, known=True),
    Assumed(_metric("slow", "quantile", q=0.95, absent="missing"), 1800.0, 2000.0, known=True),
)
_VARIANTS = ("control", "treatment", "other")
_POPULATION = Population(_ASSUMED, (0.5, 0.3, 0.2), (40.0,), 9, ("device", "tier"), 0.5, 0.2)
_UNITS = draw_units(np.random.default_rng(1), _POPULATION, [{"resolved": 0.1}, {}])
_CUBE = cube_of(_UNITS, _POPULATION, _VARIANTS)


def _columns(name: str) -> np.ndarray:
    facts = _UNITS.facts[name]
    columns = [facts.values]
    if name == "slow":
        columns = [np.ones_like(facts.values)]
    if facts.over is not None:
        columns.append(facts.over)
    if facts.covariates is not None:
        columns += [*facts.covariates.T, *np.zeros_like(facts.covariates.T)]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("segment", [None, "device", "tier"])
def test_every_cell_holds_the_moments_of_its_units(segment: str | None) -> None:
    dimensions = ["day", "epoch"] + ([segment] if segment else [])
    cells = _CUBE.by(*dimensions)
    total = 0
    for (variant, day, epoch, *rest), cell in cells.items():
        assert epoch == EPOCH
        age = (date.fromisoformat(day) - FIRST_DAY).days
        here = (_UNITS.variant == _VARIANTS.index(variant)) & (_UNITS.day == age)
        if segment is not None:
            here &= _UNITS.segments[segment] == list(SEGMENT_SHARES).index(rest[0])
        assert cell.units == here.sum()
        total += cell.units
        for name, moments in cell.moments.items():
            seen = _UNITS.facts[name].seen
            expected = Moments.from_values(_columns(name)[here if seen is None else here & seen])
            assert moments.n == expected.n
            np.testing.assert_allclose(moments.mean, expected.mean, atol=1e-9)
            np.testing.assert_allclose(moments.comoments, expected.comoments, atol=1e-9)
    assert total == len(_UNITS.day)


def test_the_values_of_a_quantile_are_counted_by_every_dimension() -> None:
    counted = _CUBE.values["slow"]
    facts = _UNITS.facts["slow"]
    assert facts.seen is not None
    for dimensions in ([], ["device"], ["day", "epoch"]):
        assert counted.has(*dimensions)
        cells = counted.by(*dimensions)
        assert sum(cell.counts.total_units for cell in cells.values()) == facts.seen.sum()
    for place, variant in enumerate(_VARIANTS):
        here = facts.seen & (_UNITS.variant == place)
        expected = ClusteredCounts.from_values(np.flatnonzero(here), facts.values[here])
        found = counted.by()[variant,].counts
        for name in ("bins", "counts", "units", "squares", "products"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_arrivals_are_the_cubes_units_against_the_allocation() -> None:
    arrivals = arrivals_of(_CUBE, _VARIANTS, _POPULATION.shares)
    assert sum(arrivals.exposed.values()) == len(_UNITS.day)
    assert arrivals.weights == {EPOCH: {"control": 0.5, "treatment": 0.3, "other": 0.2}}


def test_an_audited_metrics_units_hold_the_label_only_where_there_is_one() -> None:
    metric = _metric("helpful", "mean", absent="missing", audited_by="helpful_label")
    population = Population((Assumed(metric, 3.0, 1.0, known=True),), (0.5, 0.5), (200.0,), 7, (), 0.8, 0.1)
    units = draw_units(np.random.default_rng(2), population, [{}])
    facts = units.facts["helpful"]
    assert facts.judged is not None
    assert facts.labelled is not None
    assert facts.seen is not None
    assert np.corrcoef(facts.judged, facts.values)[0, 1] == pytest.approx(0.8, abs=0.03)
    own = facts.seen & (units.variant == 0)
    some, score = facts.labelled[own], facts.judged[own]
    expected = Moments.from_values(
        np.column_stack([some, some * facts.values[own], some * score, ~some, ~some * score])
    )
    found = cube_of(units, population, ("control", "treatment")).by()["control",].moments["helpful"]
    assert found.n == expected.n
    assert found.mean == pytest.approx(expected.mean)
    assert found.comoments == pytest.approx(expected.comoments)
