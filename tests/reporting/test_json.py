"""JSON: the agreed shape, strict and exact."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reporting import duel_examples, examples

from promptarena.analysis.plan import plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Readout
from promptarena.reporting.json import to_json, to_plain


def read(text: str) -> Any:
    """Parse as strict JSON: NaN and Infinity are not in it."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_a_readout_has_the_agreed_shape() -> None:
    parsed = read(to_json(examples.rich()))
    assert parsed["verdict"]["status"] == "continue"
    assert parsed["verdict"]["reasons"][0].startswith("resolution is up 4.9 points")
    assert set(parsed["balance"]) >= {"counts", "expected", "p_value"}
    assert parsed["balance"]["counts"] == {"control": 2996, "treatment": 3012}
    comparison = parsed["metrics"]["resolution"]["comparisons"]["treatment"]
    assert set(comparison) >= {
        "control_value",
        "variant_value",
        "difference",
        "interval",
        "relative_difference",
        "relative_interval",
        "p_value",
        "p_adjusted",
        "n_control",
        "n_variant",
        "method",
    }
    assert len(comparison["interval"]) == 2


def test_what_is_not_known_is_null() -> None:
    parsed = read(to_json(examples.poor()))
    comparison = parsed["metrics"]["revenue"]["comparisons"]["B"]
    assert comparison["difference"] is None
    assert comparison["interval"] is None
    assert parsed["balance"]["expected"] is parsed["days"] is None


def test_an_unbounded_side_is_null_beside_the_bounded_one() -> None:
    parsed = read(to_json(examples.two_treatments()))
    assert parsed["metrics"]["escalations"]["comparisons"]["shorter"]["relative_interval"] == [-0.4, None]


@pytest.mark.parametrize(
    "readout",
    [examples.rich(), examples.poor(), examples.two_treatments(), examples.stopped(), examples.hostile()],
)
def test_every_field_of_every_dataclass_is_there_with_its_value(readout: Readout) -> None:
    # asdict keeps enums and tuples; StrEnum equals its text, and JSON makes lists of tuples.
    assert read(to_json(readout)) == json.loads(json.dumps(asdict(readout)))


def test_duels_and_plans_are_rendered_by_the_same_rule() -> None:
    duel = read(to_json(duel_examples.gated()))
    assert duel["gate"]["status"] == "fail"
    assert {
        "win_rate",
        "interval",
        "wins",
        "losses",
        "ties",
        "conflicts",
        "first_position_rate",
        "unscored",
    } <= set(duel["pairs"][0])
    sized = read(to_json(plan(PlanRequest(baseline=0.6, mde=Margin(value=0.05)))))
    assert sized["total"] == 2942
    assert set(sized["looks"][0]) >= {"fraction", "critical_z", "alpha_spent", "n"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_as_the_same_number(value: float) -> None:
    assert read(to_json(replace(examples.poor(), alpha=value)))["alpha"] == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float64("nan")])
def test_a_number_that_json_cannot_say_is_refused_with_its_place(value: float) -> None:
    comparison = replace(examples.unknown("x"), difference=value)
    metric = replace(examples.poor().metrics["revenue"], comparisons={"B": comparison})
    with pytest.raises(ValueError, match=r"report\.metrics\.revenue\.comparisons\.B\.difference is"):
        to_json(replace(examples.poor(), metrics={"revenue": metric}))


def test_numpy_numbers_become_plain_ones() -> None:
    plain = to_plain({"a": np.float64(0.5), "b": np.int64(3), "c": (np.float32(0.25),)})
    assert json.dumps(plain) == '{"a": 0.5, "b": 3, "c": [0.25]}'


@dataclass
class _Odd:
    value: object


@pytest.mark.parametrize(
    ("value", "problem"),
    [(object(), "report.value is a object"), ({1: "x"}, "key 1"), ({"s": {1, 2}}, "report.value.s is a set")],
)
def test_what_is_not_plain_data_is_refused(value: object, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        to_json(_Odd(value))


def test_text_survives_any_terminal() -> None:
    assert to_json(replace(examples.poor(), experiment="Zürich \ud800 🚀")).isascii()
