"""What nobody said is assumed openly, and what cannot be is refused with a way out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.simulation.designs import design

from promptarena.analysis.plan import plan as size_plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.errors import UsageError
from promptarena.simulation.assumptions import Assumed, Stated, assumptions
from promptarena.simulation.flags import asked_from_flags
from promptarena.simulation.units import Population, draw_units


def _assumed(
    folder: Path, kind: str = "rate", stated: dict[str, Stated] | None = None, **lines: str
) -> dict[str, Assumed]:
    plan = design(folder, kind, **lines).analysis_plan()
    return assumptions(plan, size_plan(PlanRequest.from_analysis_plan(plan)), stated or {})


@pytest.mark.parametrize(
    "guardrail",
    [
        "{metric: rating, margin: 0.2}",
        "{metric: rating, margin: 5%}",
        "{metric: latency_p95, margin: 300}",
        "{metric: latency_p95, margin: 10%}",
        "{metric: cost_per_resolved, margin: 10%}",
        "{metric: spent, margin: 1}",
        "{metric: questions, margin: 10%}",
        "{metric: error_rate, margin: 1%}",
        "{metric: error_rate, margin: 0.02}",
        "{metric: thumbs_up_rate, margin: 0.02}",
    ],
)
def test_an_unknown_guardrail_is_as_hard_to_show_as_the_primary(tmp_path: Path, guardrail: str) -> None:
    found = _assumed(tmp_path, guardrails=f"[{guardrail}]")
    primary, rail = found.values()
    margin = float(guardrail.split("margin: ")[1].rstrip("}").rstrip("%"))
    distance = margin / 100 * rail.expected if "%" in guardrail else margin
    assert rail.sd / distance == pytest.approx(primary.sd / 0.1)
    assert not rail.known
    assert "nobody said" in rail.sentence()
    if rail.metric.kind == "quantile":
        population = Population((rail,), (0.5, 0.5), (4000.0,), 7, (), 0.5, 0.0)
        values = draw_units(np.random.default_rng(2), population, [{}]).facts[rail.metric.name].values
        assert np.quantile(values, 0.95) == pytest.approx(rail.expected, rel=0.03)


def test_what_was_said_goes_before_the_definition(tmp_path: Path) -> None:
    found = _assumed(tmp_path, stated={"resolved": Stated(0.3)})
    assert found["resolved"].expected == 0.3
    assert found["resolved"].sd == pytest.approx(math.sqrt(0.21))
    rating = _assumed(tmp_path, "mean", stated={"rating": Stated(2.0)})["rating"]
    assert (rating.expected, rating.sd) == (2.0, 1.1)


def test_a_guardrail_is_what_the_definition_expects_of_it(tmp_path: Path) -> None:
    rails = "[{metric: rating, margin: 0.2, expected: 4, sd: 0.9}, {metric: spent, margin: 1, sd: 2}]"
    found = _assumed(tmp_path, guardrails=rails)
    assert (found["rating"].expected, found["rating"].sd, found["rating"].known) == (4.0, 0.9, True)
    assert (found["spent"].expected, found["spent"].sd) == (4.0, 2.0)
    part = _assumed(tmp_path, guardrails="[{metric: rating, margin: 5%, expected: 4}]")["rating"]
    assert part.sd / 0.2 == pytest.approx(found["resolved"].sd / 0.1)


def test_a_guardrails_margin_of_zero_has_any_spread(tmp_path: Path) -> None:
    assert _assumed(tmp_path, guardrails="[rating]")["rating"].sd == 1.0


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"csat": Stated(1.0)}, "`csat` is neither the primary nor a guardrail"),
        ({"resolved": Stated(1.5)}, "strictly between 0 and 1"),
        ({"latency_p95": Stated(-3.0, 2.0)}, "above 0"),
    ],
)
def test_what_cannot_be_assumed_is_refused(tmp_path: Path, stated: dict[str, Stated], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _assumed(tmp_path, stated=stated, guardrails="[{metric: latency_p95, margin: 300}]")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"effects": ["big"]}, "is not an effect"),
        ({"effects": ["0.1", "resolved=0.2"]}, "said twice"),
        ({"stated": ["rating"]}, "METRIC=EXPECTED:SD"),
        ({"stated": ["rating=3:0"]}, "above 0"),
        ({"stated": ["rating=3", "rating=4"]}, "said twice"),
        ({"daily_units": "1,2,3"}, "seven"),
        ({"missing": "150%"}, "share"),
    ],
)
def test_flags_that_cannot_be_read_are_told(flags: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked_from_flags("resolved", **flags)  # type: ignore[arg-type]


def test_an_effect_without_a_name_is_on_the_primary() -> None:
    asked = asked_from_flags("resolved", effects=["-2%", "rating=0.1"], stated=["rating=3.8:1.1"])
    assert asked.effects["resolved"][0].relative
    assert asked.effects["resolved"][1] is True
    assert asked.effects["rating"][0].value == 0.1
    assert asked.stated == {"rating": Stated(3.8, 1.1)}
