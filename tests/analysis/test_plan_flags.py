"""A plan asked for on the command line: what is read, and what is said of mistakes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from scipy.special import ndtr

from promptarena.analysis.plan import plan
from promptarena.analysis.plan_flags import request_from_definition, request_from_flags
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Primary, Spending
from promptarena.definitions.bandit import Bandit, BanditRule
from promptarena.definitions.metric import Absence, Better, Metric, MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.errors import UsageError
from promptarena.stats.anytime import AsymptoticSequence


def test_flags_become_a_request() -> None:
    request = request_from_flags(
        baseline=0.6,
        mde="8%",
        looks="0.25,50%,0.75,1",
        spending="pocock",
        daily_units="500,500,500,500,500,200,100",
        guardrails=2,
    )
    assert request.kind is MetricKind.RATE
    assert request.effect == pytest.approx(0.048)
    assert request.looks == (0.25, 0.5, 0.75, 1.0)
    assert request.spending is Spending.POCOCK
    assert sum(request.daily_units or ()) == 2800
    assert request.variants == ("control", "treatment")


def test_a_standard_deviation_makes_it_a_mean() -> None:
    assert request_from_flags(sd=3.0, mde=0.5).kind is MetricKind.MEAN


def test_a_minus_sign_is_a_fall() -> None:
    assert request_from_flags(baseline=0.6, mde="-0.05").effect == pytest.approx(-0.05)
    assert request_from_flags(baseline=0.6, mde=-0.05).effect == pytest.approx(-0.05)
    assert request_from_flags(baseline=0.6, mde="-10%").effect == pytest.approx(-0.06)


def test_a_number_of_looks_is_spaced_equally() -> None:
    assert request_from_flags(baseline=0.6, mde=0.05, looks="4").looks == (0.25, 0.5, 0.75, 1.0)
    assert request_from_flags(baseline=0.6, mde=0.05, looks="1").looks == (1.0,)


@pytest.mark.parametrize(
    ("flags", "variants", "shares"),
    [
        ({"variants": 4}, ("control", "treatment", "treatment_2", "treatment_3"), (0.25,) * 4),
        ({"allocation": "0.8,0.2"}, ("control", "treatment"), (0.8, 0.2)),
        ({"allocation": "0.5,30%,20%"}, ("control", "treatment", "treatment_2"), (0.5, 0.3, 0.2)),
        ({"allocation": "old=80%, new=20%"}, ("old", "new"), (0.8, 0.2)),
    ],
)
def test_variants_are_counted_or_named(
    flags: dict[str, Any], variants: tuple[str, ...], shares: tuple[float, ...]
) -> None:
    request = request_from_flags(baseline=0.6, mde=0.05, **flags)
    assert request.variants == variants
    assert request.shares == pytest.approx(shares)


@pytest.mark.parametrize(
    ("flags", "where", "words"),
    [
        ({"mde": 0.05}, "--baseline", "expected of the control"),
        ({"baseline": 1.2, "mde": 0.05}, "--baseline", "between 0 and 1; found 1.2"),
        ({"baseline": 0.0, "mde": 0.05}, "--baseline", "between 0 and 1; found 0"),
        ({"baseline": float("nan"), "mde": 0.05}, "--baseline", "between 0 and 1"),
        ({"sd": 1.0, "baseline": float("inf"), "mde": 0.05}, "--baseline", "finite"),
        ({"baseline": 0.6}, "--mde", "Without an effect"),
        ({"baseline": 0.6, "mde": 0}, "--mde", "An effect of 0"),
        ({"baseline": 0.6, "mde": "0%"}, "--mde", "An effect of 0"),
        ({"baseline": 0.6, "mde": 0.4}, "--mde", "0.6 +0.4 = 1 is no rate"),
        ({"baseline": 0.6, "mde": "-0.7"}, "--mde", "= -0.1 is no rate"),
        ({"baseline": 0.6, "mde": "5 points"}, "--mde", "write 0.05"),
        ({"baseline": 0.6, "mde": "nan"}, "--mde", "is not an effect"),
        ({"sd": 1.0, "mde": "5%"}, "--mde", "relative to the baseline, which is not given"),
        ({"sd": 1.0, "baseline": 0.0, "mde": "5%"}, "--mde", "which is 0"),
        ({"sd": 0.0, "mde": 0.05}, "--sd", "above 0; found 0"),
        ({"baseline": 0.6, "margin": "-2%"}, "--margin", "it is positive"),
        ({"baseline": 0.6, "margin": 0}, "--margin", "An effect of 0"),
        ({"baseline": 0.6, "units": 3}, "--units", "too few for 2 variants"),
        ({"baseline": 0.6, "mde": 0.05, "power": 0.02}, "--power", "alpha / 2 = 0.025"),
        ({"baseline": 0.6, "mde": 0.05, "power": 1.0}, "--power", "found 1"),
        ({"baseline": 0.6, "mde": 0.05, "alpha": 0.0}, "--alpha", "found 0"),
        ({"baseline": 0.6, "mde": 0.05, "alpha": 0.7}, "--alpha", "found 0.7"),
        ({"baseline": 0.6, "mde": 0.05, "looks": "0.5,0.25,1"}, "--looks", "increasing"),
        ({"baseline": 0.6, "mde": 0.05, "looks": "0.25,0.5"}, "--looks", "end in 1; found 0.25, 0.5"),
        ({"baseline": 0.6, "mde": 0.05, "looks": "0,1"}, "--looks", "increasing"),
        ({"baseline": 0.6, "mde": 0.05, "looks": "half,1"}, "--looks", "not a list of looks"),
        ({"baseline": 0.6, "mde": 0.05, "looks": "0.9999,1"}, "--looks", "less than 0.1%"),
        ({"baseline": 0.6, "mde": 0.05, "spending": "haybittle"}, "--spending", "choose obrien-fleming"),
        ({"baseline": 0.6, "mde": 0.05, "gamma": 99.0}, "--gamma", "between -40 and 40"),
        ({"baseline": 0.6, "mde": 0.05, "better": "up"}, "--better", "higher or lower"),
        ({"baseline": 0.6, "mde": 0.05, "critical_z": "2,x"}, "--critical-z", "list of numbers"),
        ({"baseline": 0.6, "mde": 0.05, "critical_z": "2,2"}, "--critical-z", "found 2 for 1"),
        ({"baseline": 0.6, "mde": 0.05, "critical_z": "-2"}, "--critical-z", "positive"),
        ({"baseline": 0.6, "mde": 0.05, "critical_z": "2", "variants": 3}, "--critical-z", "shared"),
        ({"baseline": 0.6, "mde": 0.05, "variants": 1}, "--variants", "2 variants or more; found 1"),
        ({"baseline": 0.6, "mde": 0.05, "guardrails": -1}, "--guardrails", "found -1"),
        ({"baseline": 0.6, "mde": 0.05, "allocation": "0.5,0.6"}, "--allocation", "sum to 1"),
        ({"baseline": 0.6, "mde": 0.05, "allocation": "1,0"}, "--allocation", "positive"),
        ({"baseline": 0.6, "mde": 0.05, "allocation": "a=.5,.5"}, "--allocation", "every variant"),
        ({"baseline": 0.6, "mde": 0.05, "allocation": "a=.5,a=.5"}, "--allocation", "each once"),
        ({"baseline": 0.6, "mde": 0.05, "allocation": "half"}, "--allocation", "not an allocation"),
        (
            {"baseline": 0.6, "mde": 0.05, "allocation": ".5,.5", "variants": 3},
            "--allocation",
            "found 2 for 3",
        ),
        ({"baseline": 0.6, "mde": 0.05, "daily_units": "1,2"}, "--daily-units", "seven"),
        ({"baseline": 0.6, "mde": 0.05, "daily_units": 0}, "--daily-units", "positive"),
        ({"baseline": 0.6, "mde": 0.05, "daily_units": "many"}, "--daily-units", "list of numbers"),
        ({"baseline": 0.6, "mde": 0.05, "correlation": 1.0}, "--correlation", "found 1"),
        ({"baseline": 0.6, "mde": 0.05, "rows_per_unit": 0.0}, "--rows-per-unit", "found 0"),
        ({"baseline": 0.6, "mde": 0.05, "icc": 2.0}, "--icc", "found 2"),
    ],
)
def test_a_mistake_is_told_with_its_flag(flags: dict[str, Any], where: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        request_from_flags(**flags)
    [problem] = raised.value.problems
    assert problem.where is not None
    assert problem.where.field == where
    assert words in problem.message


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(UsageError) as raised:
        request_from_flags(baseline=0.6, mde=0.0, power=2.0, looks="0.5", guardrails=-1)
    assert len(raised.value.problems) == 4
    with pytest.raises(UsageError) as raised:
        request_from_flags(baseline=0.6, mde="x", looks="y", spending="z")
    assert len(raised.value.problems) == 3


def test_a_bandit_is_told_what_an_always_valid_sequence_costs() -> None:
    declared = AnalysisPlan(
        experiment="x",
        control="control",
        metrics=(Metric(name="ok", kind=MetricKind.RATE, of="ok", absent=Absence.ZERO),),
        primary=Primary(metric="ok"),
        design=Design(expected=0.6, mde=Margin(value=0.05)),
    )
    assert not any("bandit" in note for note in plan(PlanRequest.from_analysis_plan(declared)).notes)
    adaptive = declared.model_copy(update={"bandit": Bandit(bandit=BanditRule.THOMPSON)})
    [note] = plan(PlanRequest.from_analysis_plan(adaptive)).notes
    assert "about 1.9 times as many" in note
    # With 1.9 times the units, read once there, the sequence has the power that was asked for.
    drift = math.sqrt(1.92) * (1.959964 + 0.841621)
    assert ndtr(drift - AsymptoticSequence(1.0, 0.05).multiplier(1.0)) == pytest.approx(0.8, abs=0.005)


def test_interleaved_lists_are_not_sized(tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(
        "providers: {p: {base_url: http://127.0.0.1/v1}}\nfeatures: {search: {provider: p, model: m}}\n"
    )
    file = tmp_path / "e.yaml"
    file.write_text(
        "experiment: e\nfeature: search\nunit: request\nvariants: {control: {}, b: {top_p: 0.5}}\n"
        "metrics: {clicked: {rate: click}}\nprimary: clicked\ninterleave: team-draft\n"
    )
    with pytest.raises(UsageError, match="holds at every look"):
        request_from_definition(file)


def test_a_definition_is_told_its_own_names() -> None:
    cost = Metric(name="cost", kind=MetricKind.MEAN, of="cost", better=Better.LOWER, absent=Absence.MISSING)
    declared = AnalysisPlan(
        experiment="x", control="old", metrics=(cost,), primary=Primary(metric="cost"), design=Design()
    )
    with pytest.raises(UsageError) as raised:
        PlanRequest.from_analysis_plan(declared)
    fields = [problem.where.field for problem in raised.value.problems if problem.where]
    assert fields == ["design.sd", "design.mde"]
