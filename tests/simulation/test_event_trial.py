"""Units that are written as events and read back have the values that they were drawn with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.simulation.designs import design

from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.plan import plan as size_plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.metric import MetricKind
from promptarena.simulation.assumptions import assumptions
from promptarena.simulation.cells import cube_of
from promptarena.simulation.event_trial import readout_from_log
from promptarena.simulation.units import Population, draw_units

_RAILS = (
    "[{metric: rating, margin: 0.2}, {metric: spent, margin: 1}, {metric: questions, margin: 10%},"
    " {metric: cost_per_resolved, margin: 10%}, {metric: latency_p95, margin: 300},"
    " {metric: error_rate, margin: 0.1}, {metric: turns, margin: 10%}, {metric: cost_usd, margin: 10%},"
    " {metric: adjusted, margin: 0.3}]"
)


@pytest.mark.parametrize("unit", ["conversation", "user"])
def test_every_kind_of_metric_comes_back_as_it_was_drawn(tmp_path: Path, unit: str) -> None:
    of = design(tmp_path, "rate", guardrails=_RAILS, segments="[tier]", unit=unit)
    declared = of.analysis_plan()
    size = size_plan(PlanRequest.from_analysis_plan(declared))
    assumed = tuple(assumptions(declared, size, {}).values())
    population = Population(assumed, (0.5, 0.5), (70.0,), 7, ("tier",), 0.5, 0.2)
    units = draw_units(np.random.default_rng(4), population, [{"resolved": 0.1, "spent": 0.5}])
    cube = cube_of(units, population, ("control", "treatment"))
    metrics = tuple(each.metric for each in assumed)
    read = readout_from_log(of, metrics, ("control", "treatment"), units, 7)
    assert read.units.units == len(units.day)
    assert read.balance.counts == {name: cell.units for (name,), cell in cube.by().items()}
    for metric in metrics:
        found = read.metrics[metric.name].comparisons["treatment"]
        pair = arm_pair(cube, metric, "control", "treatment")
        assert (found.n_control, found.n_variant) == (pair.n_control, pair.n_treatment)
        assert pair.effect is not None, metric.name
        exact = metric.kind is not MetricKind.QUANTILE
        assert found.control_value == pytest.approx(pair.effect.control.value, rel=1e-9 if exact else 2e-3)
        assert found.variant_value == pytest.approx(pair.effect.treatment.value, rel=1e-9 if exact else 2e-3)
        assert found.standard_error == pytest.approx(pair.effect.standard_error, rel=1e-6 if exact else 0.02)
    by_segment = {effect.value: effect.comparison for effect in read.metrics["resolved"].segments}
    for value, comparison in by_segment.items():
        pair = arm_pair(cube, metrics[0], "control", "treatment", where=("tier", value))
        assert comparison.n_control == pair.n_control
