"""What a plan promises: sizes, looks, calendar, notes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from promptarena.analysis.plan import Plan, plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Guardrail, Primary, Spending, Test
from promptarena.definitions.metric import Absence, Better, Metric, MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.stats.prediction_powered import AuditMoments, prediction_powered_difference

FIVE_POINTS = Margin(value=0.05)


def rates(**fields: object) -> PlanRequest:
    asked: dict[str, object] = {"baseline": 0.6, "mde": FIVE_POINTS, **fields}
    return PlanRequest(**asked)  # type: ignore[arg-type]


def sized(**fields: object) -> Plan:
    return plan(rates(**fields))


def test_the_agreed_sizes() -> None:
    assert sized().total == sized().total_fixed == 2942
    assert sized(mde=Margin(value=0.02)).total == 18672
    four = sized(looks=(0.25, 0.5, 0.75, 1.0))
    assert (four.total, four.total_fixed) == (3000, 2942)
    assert four.per_variant == {"control": 1500, "treatment": 1500}


def test_looks_say_when_with_what_and_at_which_price() -> None:
    four = sized(looks=(0.25, 0.5, 0.75, 1.0))
    assert [look.n for look in four.looks] == [750, 1500, 2250, 3000]
    assert [look.critical_z for look in four.looks] == pytest.approx(
        [4.332634, 2.963132, 2.359044, 2.014090], abs=1e-6
    )
    assert four.looks[-1].alpha_spent == pytest.approx(0.05)
    assert four.inflation == pytest.approx(1.01964, abs=1e-5)
    five = sized(looks=(0.2, 0.4, 0.6, 0.8, 1.0))
    assert five.inflation == pytest.approx(1.024720, abs=1e-6)
    published = [4.876885, 3.357012, 2.680280, 2.289817, 2.031032]
    assert [look.critical_z for look in five.looks] == pytest.approx(published, abs=1e-6)
    assert four.expected_n is not None
    assert four.expected_n.mde < four.expected_n.null < four.total


def test_pocock_looks_cost_more_and_stop_earlier() -> None:
    careful, eager = (
        sized(looks=(0.25, 0.5, 0.75, 1.0), spending=spending)
        for spending in (Spending.OBRIEN_FLEMING, Spending.POCOCK)
    )
    assert eager.total > careful.total
    assert eager.expected_n is not None
    assert careful.expected_n is not None
    assert eager.expected_n.mde < careful.expected_n.mde


def test_guardrails_make_a_plan_bigger() -> None:
    guarded = sized(guardrails=2)
    assert guarded.total > sized().total
    assert guarded.power_each == pytest.approx(1 - 0.2 / 3)
    assert guarded.power == pytest.approx(0.8)
    assert "2 guardrails" in guarded.notes[0]


def test_several_treatments_share_alpha() -> None:
    three = sized(variants=("control", "treatment", "treatment_2"))
    assert set(three.per_variant.values()) == {1781}
    assert three.looks[0].critical_z == pytest.approx(2.241403, abs=1e-5)
    assert "alpha / 2 = 0.025" in three.notes[0]


def test_the_smallest_treatment_decides_an_unequal_split() -> None:
    uneven = sized(variants=("control", "a", "b"), allocation=(0.5, 0.4, 0.1))
    assert uneven.per_variant["b"] == pytest.approx(uneven.total * 0.1, abs=1)
    assert uneven.total > sized(variants=("control", "a", "b")).total


def test_a_relative_effect_is_of_the_baseline() -> None:
    assert sized(mde=Margin(value=0.1, relative=True)).mde == pytest.approx(0.06)
    assert sized(mde=Margin(value=0.06)).total == sized(mde=Margin(value=0.1, relative=True)).total


def test_a_fall_is_sized_with_the_rate_it_leads_to() -> None:
    assert sized(falls=True).total == 3068


def test_means_need_their_standard_deviation_only() -> None:
    mean = plan(PlanRequest(kind=MetricKind.MEAN, sd=10.0, mde=Margin(value=1.0)))
    assert mean.total == 2 * math.ceil(2 * 100 * (1.959964 + 0.841621) ** 2)
    assert mean.mde_table[3].relative is None
    adjusted = plan(PlanRequest(kind=MetricKind.MEAN, sd=10.0, mde=Margin(value=1.0), correlation=0.5))
    assert adjusted.total == pytest.approx(0.75 * mean.total, abs=2)
    rows = PlanRequest(kind=MetricKind.MEAN, sd=10.0, mde=Margin(value=1.0), rows_per_unit=5, icc=0.4)
    assert plan(rows).total == pytest.approx(0.52 * mean.total, abs=2)


def test_non_inferiority_rests_on_its_margin() -> None:
    kept = sized(mde=None, margin=Margin(value=0.05))
    assert kept.total == 2 * math.ceil(2 * 0.24 * (1.959964 + 0.841621) ** 2 / 0.05**2)
    assert kept.non_inferiority
    assert kept.mde == 0.05
    # treatment - .9 control has less variance than the plain difference.
    relative = sized(mde=None, margin=Margin(value=0.05 / 0.6, relative=True))
    assert relative.total < kept.total
    assert relative.max_information == pytest.approx(relative.total / 0.96)


def test_units_in_hand_say_what_they_find() -> None:
    found = sized(mde=None, units=2942)
    assert found.total == 2942
    assert found.mde == pytest.approx(0.05, abs=1e-4)
    judged = sized(units=1500, looks=(0.5, 1.0))
    assert judged.total == 1500
    assert judged.power == pytest.approx(0.51, abs=0.01)
    assert sized(units=1000, guardrails=3).power < sized(units=1000).power


def test_too_few_units_to_find_anything_is_said() -> None:
    nothing = sized(baseline=0.99, mde=None, units=100)
    assert nothing.mde is None
    assert nothing.expected_n is None
    assert nothing.max_information is None
    assert nothing.notes[0] == "100 units cannot find any effect that a rate of 0.99 leaves room for."
    assert nothing.power_curve == ()


def test_a_plan_with_fewer_units_than_a_verdict_needs_says_so() -> None:
    assert any("200 observed values a variant" in note for note in sized(mde=Margin(value=0.15)).notes)
    assert not any("200 observed values" in note for note in sized().notes)


def test_the_power_curve_goes_through_the_plan_and_grows() -> None:
    for asked in (sized(), sized(looks=(0.25, 0.5, 0.75, 1.0)), sized(guardrails=2)):
        power = [point.power for point in asked.power_curve]
        assert power == sorted(power)
        [planned] = [point for point in asked.power_curve if point.effect == asked.mde]
        assert planned.power == pytest.approx(asked.power_each, abs=2e-3)
    # A rate cannot rise beyond 1, so its curve ends before.
    assert max(point.effect for point in sized(baseline=0.9, mde=Margin(value=0.06)).power_curve) < 0.1


@pytest.mark.parametrize(("share", "correlation"), [(0.05, 0.7), (0.5, 0.0), (1.0, 0.9)])
def test_labels_on_some_and_a_judge_on_all_need_fewer_labels(share: float, correlation: float) -> None:
    powered = sized(labelled=share, judge_correlation=correlation)
    factor = 1 - correlation**2 * (1 - share)
    assert powered.labels == pytest.approx(2942 * factor, abs=2)
    assert powered.total == pytest.approx(2942 * factor / share, abs=2 / share)
    assert any("person's label" in note for note in powered.notes)
    assert sized().labels is None


def test_a_prediction_powered_difference_of_the_planned_size_has_the_planned_error() -> None:
    # The estimator itself, on made-up labels and scores of the planned numbers, against what was planned for.
    share, correlation, sd = 0.2, 0.8, 1.5
    asked = PlanRequest(
        kind=MetricKind.MEAN, sd=sd, mde=Margin(value=0.4), labelled=share, judge_correlation=correlation
    )
    planned = plan(asked)
    assert planned.max_information is not None
    rng, errors = np.random.default_rng(5), []
    for _ in range(30):
        arms = []
        for units in planned.per_variant.values():
            labels = math.ceil(units * share)
            truth = sd * rng.standard_normal(units)
            scores = correlation * truth + sd * math.sqrt(1 - correlation**2) * rng.standard_normal(units)
            arms.append(AuditMoments.from_records(truth[:labels], scores[:labels], scores[labels:]))
        errors.append(prediction_powered_difference(arms[0], arms[1]).standard_error)
    assert np.mean(errors) == pytest.approx(1 / math.sqrt(planned.max_information), rel=0.03)


def test_supplied_boundaries_are_told_their_real_alpha() -> None:
    supplied = sized(looks=(0.25, 0.5, 0.75, 1.0), critical_z=(3.47, 2.45, 2.14, 2.01))
    assert supplied.spending == "supplied"
    assert supplied.looks[-1].alpha_spent == pytest.approx(0.0626, abs=5e-5)
    assert supplied.notes == ("The supplied boundaries spend 0.0626, not 0.05.",)


def test_the_table_has_the_plan_itself_and_falls() -> None:
    table = sized(looks=(0.5, 1.0)).mde_table
    assert [row.n for row in table] == sorted(row.n for row in table)
    assert [row.mde for row in table] == sorted((row.mde for row in table), reverse=True)
    assert table[3].n == sized(looks=(0.5, 1.0)).total
    assert table[3].mde == pytest.approx(0.05, rel=1e-3)
    assert table[3].relative == pytest.approx(0.05 / 0.6, rel=1e-3)


def test_traffic_makes_whole_weeks() -> None:
    weekly = sized(looks=(0.25, 0.5, 0.75, 1.0), daily_units=(100.0,))
    assert weekly.days == 35
    assert [look.days for look in weekly.looks] == [14, 21, 28, 35]
    assert weekly.notes == ()
    assert sized(daily_units=(500.0,) * 5 + (0.0, 0.0)).days == 14
    assert sized(daily_units=(1e6,)).days == 7
    assert sized(daily_units=(1e6,), min_days=10).days == 14
    assert sized().days is None


def test_crowded_and_endless_calendars_are_pointed_out() -> None:
    assert "same week" in sized(looks=(0.25, 0.5, 0.75, 1.0), daily_units=(1000.0,)).notes[0]
    assert "300" not in sized(daily_units=(10.0,)).notes[0]
    assert sized(daily_units=(10.0,)).notes[0].startswith("301 days are long")


def test_planned_units_reach_the_planned_information_with_and_without_effect() -> None:
    planned = sized()
    assert planned.max_information is not None
    for treatment in (0.60, 0.65):
        variance = (0.24 + treatment * (1 - treatment)) / (planned.total / 2)
        assert 1 / variance >= planned.max_information * (1 - 1e-12)


def resolution(better: Better = Better.HIGHER) -> Metric:
    return Metric(name="resolution", kind=MetricKind.RATE, of="resolved", better=better, absent=Absence.ZERO)


def declared(design: Design, **fields: object) -> AnalysisPlan:
    asked: dict[str, object] = {
        "experiment": "cites-policy",
        "control": "old",
        "variants": ("new", "old"),
        "weights": {"new": 0.25, "old": 0.75},
        "metrics": (resolution(),),
        "primary": Primary(metric="resolution"),
        "design": design,
        **fields,
    }
    return AnalysisPlan(**asked)  # type: ignore[arg-type]


def test_a_definition_is_planned_as_its_flags_would_be() -> None:
    design = Design(expected=0.6, mde=FIVE_POINTS, looks=(0.5, 1.0), spending=Spending.POCOCK)
    from_file = plan(PlanRequest.from_analysis_plan(declared(design), daily_units=[200]))
    from_flags = sized(
        looks=(0.5, 1.0),
        spending=Spending.POCOCK,
        variants=("old", "new"),
        allocation=(0.75, 0.25),
        daily_units=(200.0,),
    )
    assert from_file == from_flags
    assert list(from_file.per_variant) == ["old", "new"]


def test_a_definition_says_which_way_is_good_and_how_many_guardrails() -> None:
    design = Design(expected=0.6, mde=FIVE_POINTS)
    lower = declared(design, metrics=(resolution(Better.LOWER),))
    assert PlanRequest.from_analysis_plan(lower).effect == pytest.approx(-0.05)
    guarded = declared(design, guardrails=(Guardrail(metric="resolution"),), weights=None, variants=None)
    request = PlanRequest.from_analysis_plan(guarded)
    assert request.guardrails == 1
    assert request.variants == ("old", "treatment")
    assert request.shares == (0.5, 0.5)


def test_a_non_inferior_primary_is_sized_by_its_margin() -> None:
    kept = Primary(metric="resolution", test=Test.NON_INFERIORITY, margin=Margin(value=0.02, relative=True))
    request = PlanRequest.from_analysis_plan(declared(Design(expected=0.6, mde=FIVE_POINTS), primary=kept))
    planned = plan(request)
    assert planned.mde == pytest.approx(0.012)
    assert "design.mde is not used" in planned.notes[1]


def _guarded(*guardrails: Guardrail, **design: object) -> Plan:
    declared = AnalysisPlan(
        experiment="x",
        control="control",
        variants=("control", "treatment"),
        metrics=(
            Metric(name="resolved", kind=MetricKind.RATE, of="resolved", absent=Absence.ZERO),
            Metric(
                name="latency", kind=MetricKind.MEAN, of="ms", absent=Absence.MISSING, better=Better.LOWER
            ),
            Metric(
                name="refunds", kind=MetricKind.RATE, of="refund", absent=Absence.ZERO, better=Better.LOWER
            ),
        ),
        primary=Primary(metric="resolved"),
        guardrails=guardrails,
        design=Design(expected=0.6, mde=FIVE_POINTS, **design),  # type: ignore[arg-type]
        preregistered=True,
    )
    return plan(PlanRequest.from_analysis_plan(declared))


def test_a_guardrail_is_sized_by_its_own_variance() -> None:
    latency = Guardrail(metric="latency", margin=Margin(value=20), sd=400)
    guarded = _guarded(latency)
    # One-sided at .05 with power .9, two equal arms: (1.644854 + 1.281552)^2 2 400^2 / 20^2 units an arm.
    assert guarded.guardrail_sizes[0].units == pytest.approx(2 * 2 * 400**2 / 20**2 * 8.563847, abs=1)
    assert guarded.total == pytest.approx(guarded.guardrail_sizes[0].units or 0, abs=2)
    assert any("`latency` needs more units than the primary" in note for note in guarded.notes)
    wide = _guarded(Guardrail(metric="latency", margin=Margin(value=100), sd=400))
    assert wide.total == sized(guardrails=1).total
    assert wide.power_each == guarded.power_each == pytest.approx(0.9)


def test_a_percent_margin_of_a_rate_is_sized_as_the_contrast_that_tests_it() -> None:
    [size] = _guarded(
        Guardrail(metric="refunds", margin=Margin(value=0.1, relative=True), expected=0.2)
    ).guardrail_sizes
    variance = 0.2 * 0.8 * 2 * (1 + 1.1**2)
    assert size.units == pytest.approx(variance / 0.02**2 * 8.563847, abs=1)


def test_guardrails_that_cannot_be_sized_say_why() -> None:
    found = _guarded(
        Guardrail(metric="latency", margin=Margin(value=20)), Guardrail(metric="refunds", expected=0.1)
    )
    notes = " ".join(found.notes)
    assert "`latency` is not sized by its own variance: its `sd` is not said" in notes
    assert "`refunds` is not sized by its own variance: with a margin of 0" in notes
    assert found.total == sized(guardrails=2).total
