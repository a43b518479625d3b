"""Drawn units are what was assumed of them, whatever their metric's kind, and effects move exactly what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.simulation.assumptions import Assumed
from promptarena.simulation.units import Population, Units, draw_units

_MANY = 40_000


def _metric(kind: str, **fields: object) -> Metric:
    return Metric.model_validate(
        {"name": "value", "kind": kind, "of": "fact", "absent": Absence.ZERO} | fields
    )


def _population(*assumed: Assumed, **fields: object) -> Population:
    usual = Population(assumed, (0.5, 0.5), (_MANY / 10,), 10, (), 0.5, 0.0)
    return replace(usual, **fields)  # type: ignore[arg-type]


def _drawn(*assumed: Assumed, effect: float = 0.0, seed: int = 1, **fields: object) -> Units:
    rng = np.random.default_rng(seed)
    return draw_units(rng, _population(*assumed, **fields), [{"value": effect}])


_SHAPES = [
    (_metric("rate"), 0.3, math.sqrt(0.21), 0.1),
    (_metric("mean"), 3.8, 1.1, -0.3),
    (_metric("sum"), 2.0, 3.0, 0.5),
    (_metric("count"), 3.0, 2.5, 0.0),
    (_metric("count"), 3.0, 0.5, 1.0),
]


@pytest.mark.parametrize(("metric", "expected", "sd", "effect"), _SHAPES)
def test_unit_values_have_the_mean_spread_and_effect_that_were_assumed(
    metric: Metric, expected: float, sd: float, effect: float
) -> None:
    units = _drawn(Assumed(metric, expected, sd, known=True), effect=effect)
    values = units.facts["value"].values
    control, treatment = (values[units.variant == arm] for arm in (0, 1))
    # Counts cannot vary less than Poisson ones do.
    spread = max(sd, math.sqrt(expected)) if metric.kind is MetricKind.COUNT else sd
    assert control.mean() == pytest.approx(expected, abs=4 * spread / math.sqrt(_MANY / 2))
    assert control.std() == pytest.approx(spread, rel=0.06)
    error = 6 * spread / math.sqrt(_MANY / 2)
    assert treatment.mean() - control.mean() == pytest.approx(effect, abs=error)


def test_a_ratio_and_its_linearised_values_are_what_was_assumed() -> None:
    metric = _metric("ratio", over="calls")
    units = _drawn(Assumed(metric, 0.2, 0.3, known=True), effect=0.05)
    facts = units.facts["value"]
    assert facts.over is not None
    control = units.variant == 0
    x, y = facts.values[control], facts.over[control]
    ratio = x.sum() / y.sum()
    assert ratio == pytest.approx(0.2, abs=0.01)
    assert ((x - ratio * y) / y.mean()).std() == pytest.approx(0.3, rel=0.05)
    treated = facts.values[~control].sum() / facts.over[~control].sum()
    assert treated - ratio == pytest.approx(0.05, abs=0.015)
    assert x.min() >= 0
    assert y.min() >= 1


def test_a_share_of_calls_counts_them() -> None:
    metric = _metric("ratio", of="error", over="requests")
    facts = _drawn(Assumed(metric, 0.1, 0.17, known=True)).facts["value"]
    assert facts.over is not None
    assert (facts.values <= facts.over).all()
    assert (facts.values == facts.values.astype(int)).all()
    assert facts.values.sum() / facts.over.sum() == pytest.approx(0.1, abs=0.005)


def test_a_quantile_and_its_density_are_what_was_assumed() -> None:
    assumed = Assumed(_metric("quantile", q=0.9, absent="missing"), 1800.0, 2400.0, known=True)
    values = _drawn(assumed).facts["value"].values
    assert np.quantile(values, 0.9) == pytest.approx(1800, rel=0.03)
    low, high = np.quantile(values, [0.88, 0.92])
    assert math.sqrt(0.9 * 0.1) / (0.04 / (high - low)) == pytest.approx(2400, rel=0.1)


def test_units_come_by_weekday_and_meet_variants_by_their_shares() -> None:
    daily = (100.0, 200.0, 300.0, 400.0, 500.0, 0.0, 700.0)
    assumed = Assumed(_metric("rate"), 0.5, 0.5, known=True)
    population = _population(assumed, shares=(0.5, 0.3, 0.2), daily=daily, days=21, segments=("tier",))
    units = draw_units(np.random.default_rng(3), population, [{}, {}])
    came = np.bincount(units.day, minlength=21).reshape(3, 7).mean(axis=0)
    assert came == pytest.approx(daily, abs=4 * math.sqrt(700 / 3))
    assert came[5] == 0
    shares = np.bincount(units.variant) / len(units.variant)
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.03)
    assert np.bincount(units.segments["tier"]) / len(units.day) == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_a_covariate_correlates_as_asked_and_is_the_same_in_every_variant() -> None:
    metric = _metric("rate", covariates=[{"of": "before"}])
    units = _drawn(Assumed(metric, 0.4, math.sqrt(0.24), known=True), effect=0.3, correlation=0.7)
    facts = units.facts["value"]
    assert facts.covariates is not None
    before = facts.covariates[:, 0]
    control = units.variant == 0
    assert np.corrcoef(facts.values[control], before[control])[0, 1] == pytest.approx(0.7, abs=0.02)
    gap = before[~control].mean() - before[control].mean()
    assert abs(gap) < 4 * math.sqrt(4 / _MANY)


def test_some_have_no_value_where_absence_is_missing_and_nobody_where_it_is_zero() -> None:
    rated = Assumed(_metric("mean", absent="missing"), 3.8, 1.1, known=True)
    seen = _drawn(rated, missing=0.3).facts["value"].seen
    assert seen is not None
    assert seen.mean() == pytest.approx(0.7, abs=0.02)
    assert _drawn(Assumed(_metric("mean"), 3.8, 1.1, known=True), missing=0.3).facts["value"].seen is None


def test_metrics_of_one_fact_read_the_same_values() -> None:
    resolved = Assumed(_metric("rate", of="resolved"), 0.6, 0.49, known=True)
    ratio = Assumed(_metric("ratio", name="cost", of="cost_usd", over="resolved"), 0.2, 0.3, known=True)
    for order in ((resolved, ratio), (ratio, resolved)):
        units = draw_units(np.random.default_rng(5), _population(*order), [{}])
        np.testing.assert_array_equal(units.facts["cost"].over, units.facts["value"].values)
