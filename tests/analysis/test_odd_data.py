"""Data that tempts: no such trial ships, none fails, and every report of it is finite."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from tests.analysis.cubes import START, Array, by_day, counts_of, cube, metric, plan

from promptarena.analysis.cube import Cube
from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.readout import build_readout
from promptarena.definitions.analysis_plan import AnalysisPlan, Guardrail, Primary, SegmentRule
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Status
from promptarena.reporting.json import to_json
from promptarena.reporting.readout_outline import outline_readout

PLANNED = PlannedSize(1 / (2 * 0.25 / 2_000), 4_000)
TENTH = Margin(value=0.1, relative=True)
MEAN, RATE = metric("value"), metric("value", "rate")


def _flips(successes: int, n: int) -> Array:
    return np.repeat([1.0, 0.0], [successes, n - successes])


def _arms(control: Array, treatment: Array) -> Cube:
    return cube({("control",): {"value": control}, ("treatment",): {"value": treatment}})


def _normal(mean: float, n: int = 900, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(mean, 1, n)


def _declared(*metrics: Any, **fields: Any) -> AnalysisPlan:
    design = {"looks": (0.25, 0.5, 0.75, 1.0)} | fields.pop("design", {})
    return plan(*metrics, preregistered=True, design=design, **fields)


def _nobody_observed() -> Cube:
    days = [(START + timedelta(days=i)).isoformat() for i in range(10)]
    return cube(
        {
            (arm, day): {"value": _normal(0, 100) if arm == "control" else np.array([])}
            for arm in ("control", "treatment")
            for day in days
        },
        ["day"],
        units={(arm, day): 100 for arm in ("control", "treatment") for day in days},
    )


def _five() -> Cube:
    return by_day({name: [_flips(40, 80)] * 14 for name in ("control", "a", "b", "c", "d")})


_NON_INFERIOR = Primary.model_validate({"metric": "value", "test": "non-inferiority", "margin": "10%"})
_CASES: Mapping[str, tuple[Cube, AnalysisPlan, PlannedSize | None, set[Status]]] = {
    "one unit each": (_arms(np.array([1.0]), np.array([2.0])), plan(MEAN), None, {Status.CONTINUE}),
    "constant and different": (_arms(np.ones(500), 2 * np.ones(500)), plan(MEAN), None, {Status.HOLD}),
    "control of zero with a percent margin": (
        _arms(np.zeros(900), _normal(0)), plan(MEAN, primary=_NON_INFERIOR), None, {Status.HOLD},
    ),
    "a percent guardrail on a control near zero": (
        cube({
            (name,): {"value": _flips(s, 900), "other": _normal(0, seed=s)}
            for name, s in (("control", 400), ("treatment", 500))
        }),
        plan(RATE, metric("other"), guardrails=(Guardrail(metric="other", margin=TENTH),)), None, {Status.HOLD},
    ),
    "one great day": (
        by_day({"control": [_flips(500, 2_000)], "treatment": [_flips(800, 2_000)]}),
        _declared(RATE), PLANNED, {Status.CONTINUE},
    ),
    "nobody observed in one arm": (_nobody_observed(), _declared(MEAN), PLANNED, {Status.CONTINUE}),
    "a burn-in that leaves nobody": (
        by_day({"control": [_flips(50, 100)] * 2, "treatment": [_flips(70, 100)] * 2}),
        _declared(RATE, design={"burn_in": timedelta(days=5)}), PLANNED, {Status.CONTINUE},
    ),
    "five variants alike": (
        _five(),
        _declared(RATE, variants=("control", "a", "b", "c", "d"), weights=dict.fromkeys(
            ("control", "a", "b", "c", "d"), 0.2)), PLANNED, {Status.HOLD, Status.CONTINUE},
    ),
    "a variant that never came": (
        _five(),
        _declared(RATE, variants=("control", "a", "b", "c", "d", "e"), weights=dict.fromkeys(
            ("control", "a", "b", "c", "d", "e"), 1 / 6)), PLANNED, {Status.INVALID},
    ),
    "segments of one unit": (
        cube({
            ("control", "x"): {"value": _flips(250, 500)}, ("treatment", "x"): {"value": _flips(255, 500)},
            ("control", "y"): {"value": _flips(1, 1)}, ("treatment", "z"): {"value": _flips(0, 1)},
        }, ["tier"]),
        plan(RATE, segments=(SegmentRule(name="tier"),)), None, {Status.HOLD},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_odd_data_ships_nothing_and_can_be_reported(name: str) -> None:
    made, declared, planned, expected = _CASES[name]
    readout = build_readout(made, counts_of(made), declared, source="here", planned=planned)
    assert readout.verdict.status in expected
    assert readout.verdict.reasons
    assert "NaN" not in to_json(readout)
    assert outline_readout(readout).headline
