"""A readout goes through its looks in order, keeps late data out, and says what it may and may not."""

from __future__ import annotations

from datetime import date
from statistics import NormalDist

import numpy as np
import pytest
from tests.analysis.cubes import Array, by_day, counts_of, cube, metric, plan

from promptarena.analysis.cube import Cube
from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.readout import build_readout
from promptarena.definitions.analysis_plan import AnalysisPlan, Guardrail, Primary, SegmentRule
from promptarena.definitions.metric import Better, Covariate
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Comparison, Readout, Status
from promptarena.errors import UsageError
from promptarena.reporting.readout_outline import outline_readout
from promptarena.stats.multiplicity import adjust

FOUR_LOOKS = {"looks": (0.25, 0.5, 0.75, 1.0)}


def _flips(successes: int, n: int) -> Array:
    return np.repeat([1.0, 0.0], [successes, n - successes])


def _information(rate: float, n: int) -> PlannedSize:
    """Sized for two rates that are alike, with n units each."""
    return PlannedSize(1 / (2 * rate * (1 - rate) / n), 2 * n)


def _width(comparison: Comparison) -> float:
    assert comparison.interval is not None
    low, high = comparison.interval
    assert low is not None
    assert high is not None
    return high - low


def _read(made: Cube, plan_: AnalysisPlan, planned: PlannedSize | None = None) -> Readout:
    return build_readout(made, counts_of(made), plan_, source="here", planned=planned)


def _weeks(control: list[int], treatment: list[int], n: int = 1_000) -> Cube:
    """Units of a whole week all on its last day but for one pair on its first, so that weeks are whole."""
    return by_day(
        {
            name: [
                _flips(successes if day == 6 else 1, n - 12 if day == 6 else 2)
                for successes in weekly
                for day in range(7)
            ]
            for name, weekly in (("control", control), ("treatment", treatment))
        }
    )


def test_a_single_look_equals_the_fixed_test() -> None:
    made = cube({("control",): {"value": _flips(600, 1_000)}, ("treatment",): {"value": _flips(650, 1_000)}})
    readout = _read(made, plan(metric("value", "rate")))
    comparison = readout.metrics["value"].comparisons["treatment"]
    z = 0.05 / np.sqrt(0.625 * 0.375 * 2 / 1_000)  # the pooled test: rates are alike under the null
    assert comparison.p_value == pytest.approx(2 * NormalDist().cdf(-z))
    assert readout.verdict.status is Status.SHIP
    assert not readout.verdict.preregistered
    assert readout.paths == ()


def test_an_early_crossing_ends_the_trial_and_keeps_later_units_out() -> None:
    made = _weeks([500, 500, 500, 500], [600, 640, 640, 300])
    readout = _read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), _information(0.5, 4_000)
    )
    [path] = readout.paths
    assert readout.verdict.status is Status.SHIP
    assert [look.day for look in path.looks] == ["2026-03-08"]
    assert path.looks[0].crossed
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert comparison.n_control == 1_000
    assert any("6,000 units arrived after the deciding look" in note for note in readout.notes)


def test_after_stopping_the_estimate_shrinks_and_secondaries_are_marked() -> None:
    rng = np.random.default_rng(0)
    arms = {}
    for name, rate in (("control", 0.5), ("treatment", 0.56)):
        for week in range(4):
            for day in range(7):
                key = (name, date(2026, 3, 2 + 7 * week + day).isoformat())
                arms[key] = {"value": _flips(round(150 * rate), 150), "other": rng.normal(size=150)}
    readout = _read(
        cube(arms, ["day"]),
        plan(metric("value", "rate"), metric("other"), preregistered=True, design=FOUR_LOOKS),
        _information(0.5, 4_200),
    )
    [path] = readout.paths
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert readout.verdict.status is Status.SHIP
    assert comparison.interval == path.interval
    assert path.estimate is not None
    assert comparison.difference is not None
    assert 0 < path.estimate < comparison.difference
    assert "stage-wise" in comparison.method
    assert any("after stopping" in note for note in readout.metrics["other"].comparisons["treatment"].notes)


def test_the_interval_is_that_of_the_primarys_crossing_though_a_guardrail_kept_the_trial_going() -> None:
    rng = np.random.default_rng(0)
    arms, early = {}, {}
    for name, rate in (("control", 0.5), ("treatment", 0.6)):
        for week in range(4):
            for day in range(7):
                key = (name, date(2026, 3, 2 + 7 * week + day).isoformat())
                # At the margin, so that it is not shown to be kept.
                slower = rng.normal(0.2 * (name == "treatment"), size=150)
                arms[key] = {"value": _flips(round(150 * rate), 150), "slow": slower}
                early[key] = arms[key] | {"slow": slower - 10 * (name == "treatment")}
    guarded = plan(
        metric("value", "rate"),
        metric("slow", better=Better.LOWER),
        preregistered=True,
        design=FOUR_LOOKS,
        guardrails=(Guardrail(metric="slow", margin=Margin(value=0.2)),),
    )
    kept, stopped = (
        _read(cube(cells, ["day"]), guarded, _information(0.5, 4_200)) for cells in (arms, early)
    )
    assert (kept.verdict.status, stopped.verdict.status) == (Status.HOLD, Status.SHIP)
    assert (len(kept.paths[0].looks), len(stopped.paths[0].looks)) == (4, 1)
    assert kept.paths[0].interval == stopped.paths[0].interval
    assert kept.paths[0].estimate == stopped.paths[0].estimate
    assert "of look 1" in kept.paths[0].interval_label


def test_between_looks_only_an_always_valid_interval_is_shown() -> None:
    made = by_day(
        {name: [_flips(50 + extra, 100)] * 10 for name, extra in (("control", 0), ("treatment", 2))}
    )
    readout = _read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), _information(0.5, 2_800)
    )
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert readout.verdict.status is Status.CONTINUE
    assert "always-valid" in comparison.method
    assert comparison.p_value is None
    fixed = 2 * 1.96 * np.sqrt(2 * 0.25 / 1_000)
    assert _width(comparison) > 1.4 * fixed
    assert "2026-03-15" in " ".join(readout.verdict.reasons)


def test_a_look_that_does_not_stop_shows_the_repeated_interval() -> None:
    made = _weeks([500, 500], [520, 520])
    readout = _read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), _information(0.5, 4_000)
    )
    comparison = readout.metrics["value"].comparisons["treatment"]
    [path] = readout.paths
    assert readout.verdict.status is Status.CONTINUE
    assert comparison.standard_error is not None
    reach = _width(comparison) / 2 / comparison.standard_error
    assert reach == pytest.approx(path.looks[1].critical_z)
    assert [look.crossed for look in path.looks] == [False, False, None, None]


def test_no_look_before_a_whole_week_whatever_the_effect() -> None:
    made = by_day({"control": [_flips(500, 1_000)] * 6, "treatment": [_flips(650, 1_000)] * 6})
    readout = _read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), _information(0.5, 4_000)
    )
    assert readout.verdict.status is Status.CONTINUE
    assert "no look has been taken yet" in readout.verdict.reasons[0]


def test_skipped_looks_leave_their_error_to_the_next() -> None:
    # 60% of the information arrives in the first week: looks at 25% and 50% are passed over.
    made = _weeks([1_200], [1_230], n=2_400)
    readout = _read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), _information(0.5, 4_000)
    )
    [path] = readout.paths
    assert path.looks[0].fraction == pytest.approx(0.6, abs=0.02)
    # The whole allowance of an O'Brien-Fleming type function at that fraction, in one look.
    normal = NormalDist()
    spent = 2 * normal.cdf(normal.inv_cdf(0.0125) / path.looks[0].fraction ** 0.5)
    assert path.looks[0].alpha_spent == pytest.approx(2 * spent, rel=1e-6)
    assert path.looks[0].critical_z == pytest.approx(-normal.inv_cdf(spent), rel=1e-6)


def test_the_calendar_may_force_the_last_look() -> None:
    made = _weeks([500, 500], [510, 510])
    declared = plan(metric("value", "rate"), preregistered=True, design={**FOUR_LOOKS, "max_days": 14})
    readout = _read(made, declared, _information(0.5, 40_000))
    assert readout.verdict.status is Status.HOLD
    assert readout.paths[0].looks[-1].alpha_spent == pytest.approx(0.05)


def test_the_planned_number_of_units_makes_the_last_look_though_they_tell_less_than_planned() -> None:
    made = cube({("control",): {"value": _flips(500, 1_000)}, ("treatment",): {"value": _flips(510, 1_000)}})
    declared = plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS)
    hopeful = PlannedSize(_information(0.5, 1_500).information, 2_000)
    readout = _read(made, declared, hopeful)
    assert readout.verdict.status is Status.HOLD
    assert readout.paths[0].looks[-1].fraction == pytest.approx(2 / 3, abs=0.01)
    assert readout.paths[0].looks[-1].alpha_spent == pytest.approx(0.05)


def test_fewer_than_200_observed_values_never_ship() -> None:
    made = cube({("control",): {"value": _flips(10, 150)}, ("treatment",): {"value": _flips(140, 150)}})
    readout = _read(made, plan(metric("value", "rate")))
    assert readout.verdict.status is Status.CONTINUE
    assert any("200 are needed" in reason for reason in readout.verdict.reasons)


def test_harm_is_told_before_any_look() -> None:
    made = by_day({"control": [_flips(600, 1_000)], "treatment": [_flips(450, 1_000)]})
    readout = _read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), _information(0.5, 10_000)
    )
    assert readout.verdict.status is Status.HARMFUL


def test_a_guardrail_that_is_not_shown_to_hold_bars_from_ship() -> None:
    rng = np.random.default_rng(1)
    arms = {
        (name,): {"value": _flips(successes, 1_000), "latency": rng.normal(mean, 100, 1_000)}
        for name, successes, mean in (("control", 500, 800), ("treatment", 600, 806))
    }
    latency = metric("latency", better=Better.LOWER)
    tight = plan(
        metric("value", "rate"), latency, guardrails=(Guardrail(metric="latency", margin=Margin(value=5)),)
    )
    wide = plan(
        metric("value", "rate"), latency, guardrails=(Guardrail(metric="latency", margin=Margin(value=30)),)
    )
    assert _read(cube(arms), tight).verdict.status is Status.HOLD
    assert _read(cube(arms), wide).verdict.status is Status.SHIP
    assert _read(cube(arms), wide).metrics["latency"].role == "guardrail"


def test_non_inferiority_ships_what_is_no_worse() -> None:
    made = cube(
        {("control",): {"value": _flips(6_000, 10_000)}, ("treatment",): {"value": _flips(5_990, 10_000)}}
    )
    primary = Primary.model_validate({"metric": "value", "test": "non-inferiority", "margin": "5%"})
    assert _read(made, plan(metric("value", "rate"), primary=primary)).verdict.status is Status.SHIP
    assert _read(made, plan(metric("value", "rate"))).verdict.status is Status.HOLD


def test_a_loss_within_the_non_inferiority_margin_is_no_harm_however_sure_it_is() -> None:
    made = cube(
        {
            ("control",): {"value": _flips(600_000, 1_000_000)},
            ("treatment",): {"value": _flips(594_000, 1_000_000)},
        }
    )
    primary = Primary.model_validate({"metric": "value", "test": "non-inferiority", "margin": "5%"})
    assert _read(made, plan(metric("value", "rate"), primary=primary)).verdict.status is Status.SHIP
    assert _read(made, plan(metric("value", "rate"))).verdict.status is Status.HARMFUL


def test_lower_is_better_where_the_metric_says_so() -> None:
    rng = np.random.default_rng(2)
    arms = {("control",): {"cost": rng.normal(10, 1, 900)}, ("treatment",): {"cost": rng.normal(9, 1, 900)}}
    assert _read(cube(arms), plan(metric("cost", better=Better.LOWER))).verdict.status is Status.SHIP
    assert _read(cube(arms), plan(metric("cost"))).verdict.status is Status.HARMFUL


def test_a_sample_ratio_mismatch_is_invalid_and_unknown_weights_say_so() -> None:
    made = cube({("control",): {"value": _flips(600, 1_000)}, ("treatment",): {"value": _flips(900, 1_300)}})
    mismatch = _read(made, plan(metric("value", "rate")))
    assert mismatch.verdict.status is Status.INVALID
    assert mismatch.balance.status == "mismatch"
    unknown = _read(made, plan(metric("value", "rate"), weights=None))
    assert unknown.balance.status == "unknown"
    assert unknown.balance.p_value is None
    assert unknown.verdict.status is Status.SHIP


@pytest.mark.parametrize(
    ("crossovers", "status"),
    [({"control": 4, "treatment": 4}, "ship"), ({"control": 12, "treatment": 12}, "invalid")],
)
def test_many_crossovers_are_invalid(crossovers: dict[str, int], status: str) -> None:
    made = cube({("control",): {"value": _flips(600, 1_000)}, ("treatment",): {"value": _flips(690, 1_000)}})
    counts = counts_of(made, crossovers=sum(crossovers.values()), crossovers_by_variant=crossovers)
    readout = build_readout(made, counts, plan(metric("value", "rate")), source="here")
    assert readout.verdict.status == status


def test_crossovers_unequal_by_variant_are_invalid_though_few() -> None:
    made = cube(
        {("control",): {"value": _flips(6_000, 10_000)}, ("treatment",): {"value": _flips(6_900, 10_000)}}
    )
    counts = counts_of(made, crossovers=40, crossovers_by_variant={"control": 38, "treatment": 2})
    readout = build_readout(made, counts, plan(metric("value", "rate")), source="here")
    assert readout.verdict.status is Status.INVALID


def test_absence_that_depends_on_the_variant_bars_from_ship_with_worst_case_bounds() -> None:
    arms = {("control",): {"rating": _flips(300, 500)}, ("treatment",): {"rating": _flips(290, 350)}}
    made = cube(arms, units={("control",): 1_000, ("treatment",): 1_000})
    readout = _read(made, plan(metric("rating", "rate")))
    assert readout.verdict.status is Status.HOLD
    reason = next(reason for reason in readout.verdict.reasons if "absence depends" in reason)
    # All 500 unobserved controls succeed and no treatment does: 29% - 80%; the other way 94% - 30%.
    assert "from -51 points to +64 points" in reason


def test_a_harmed_segment_bars_from_ship() -> None:
    arms = {
        ("control", "phone"): {"value": _flips(500, 1_000)},
        ("treatment", "phone"): {"value": _flips(700, 1_000)},
        ("control", "desktop"): {"value": _flips(240, 400)},
        ("treatment", "desktop"): {"value": _flips(190, 400)},
    }
    rules = (SegmentRule(name="device"),)
    readout = _read(cube(arms, ["device"]), plan(metric("value", "rate"), segments=rules))
    assert readout.verdict.status is Status.HOLD
    assert any("device is worse than its margin for desktop" in reason for reason in readout.verdict.reasons)
    lenient = (SegmentRule(name="device", margin=Margin(value=0.2)),)
    assert (
        _read(cube(arms, ["device"]), plan(metric("value", "rate"), segments=lenient)).verdict.status
        is Status.SHIP
    )


def test_several_treatments_are_held_to_holm() -> None:
    # z = 2.1 each: enough for one treatment alone, not for the first of three.
    arms = {("control",): {"value": _flips(5_000, 10_000)}}
    arms |= {(name,): {"value": _flips(5_149, 10_000)} for name in ("a", "b", "c")}
    variants = ("control", "a", "b", "c")
    three = plan(metric("value", "rate"), variants=variants, weights=dict.fromkeys(variants, 0.25))
    comparisons = _read(cube(arms), three).metrics["value"].comparisons
    assert _read(cube(arms), three).verdict.status is Status.HOLD
    p = comparisons["a"].p_value
    assert p is not None
    assert p < 0.05
    assert [comparisons[name].p_adjusted for name in "abc"] == pytest.approx([3 * p] * 3)
    alone = cube({key: arms[key] for key in (("control",), ("a",))})
    one = plan(metric("value", "rate"), variants=("control", "a"), weights=None)
    assert _read(alone, one).verdict.status is Status.SHIP


def test_supplied_boundaries_cannot_be_shared_by_several_treatments() -> None:
    arms = {(name,): {"value": _flips(500, 1_000)} for name in ("control", "a", "b")}
    declared = plan(
        metric("value", "rate"),
        variants=("control", "a", "b"),
        weights=None,
        preregistered=True,
        design={"critical_z": (1.96,)},
    )
    with pytest.raises(UsageError, match="critical_z"):
        _read(cube(arms), declared)


def test_effects_are_within_epochs() -> None:
    # Simpson: in each epoch treatment is better by 5 points, pooled it looks worse.
    arms = {
        ("control", "0"): {"value": _flips(800, 1_000)},
        ("treatment", "0"): {"value": _flips(8_500, 10_000)},
        ("control", "1"): {"value": _flips(3_000, 10_000)},
        ("treatment", "1"): {"value": _flips(350, 1_000)},
    }
    made = cube(arms, ["epoch"])
    readout = _read(made, plan(metric("value", "rate"), weights=None))
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert comparison.difference == pytest.approx(0.05)


def test_a_ramp_while_the_mix_of_segments_drifts_is_no_imbalance() -> None:
    arms = {
        (variant, epoch, device): {"value": _flips(n // 2, n)}
        for variant, epoch, device, n in (
            ("control", "0", "phone", 1_710), ("control", "0", "desktop", 190),
            ("treatment", "0", "phone", 90), ("treatment", "0", "desktop", 10),
            ("control", "1", "phone", 400), ("control", "1", "desktop", 600),
            ("treatment", "1", "phone", 400), ("treatment", "1", "desktop", 600),
        )
    }  # fmt: skip
    rules = (SegmentRule(name="device"),)
    drifting = _read(
        cube(arms, ["epoch", "device"]), plan(metric("value", "rate"), weights=None, segments=rules)
    )
    assert drifting.balance.segments["device"] > 0.5
    pooled: dict[tuple[str, str], int] = {}
    for (variant, _, device), each in arms.items():
        pooled[variant, device] = pooled.get((variant, device), 0) + len(each["value"])
    together = cube({key: {"value": _flips(n // 2, n)} for key, n in pooled.items()}, ["device"])
    mixed = _read(together, plan(metric("value", "rate"), weights=None, segments=rules))
    assert mixed.verdict.status is Status.INVALID


def test_what_cannot_be_estimated_is_none_with_a_note_never_zero() -> None:
    arms = {("control",): {"value": np.ones(300)}, ("treatment",): {"value": np.ones(300)}}
    comparison = _read(cube(arms), plan(metric("value"))).metrics["value"].comparisons["treatment"]
    assert comparison.interval is None
    assert comparison.p_value is None
    assert "same value" in comparison.notes[0]


def test_a_rate_without_events_has_a_score_interval() -> None:
    arms = {("control",): {"value": np.zeros(500)}, ("treatment",): {"value": np.zeros(500)}}
    comparison = _read(cube(arms), plan(metric("value", "rate"))).metrics["value"].comparisons["treatment"]
    assert 0.01 < _width(comparison) < 0.02
    assert comparison.p_value == 1


def test_a_covariate_narrows_the_interval_and_says_by_how_much() -> None:
    rng = np.random.default_rng(3)
    arms = {}
    for name, shift in (("control", 0.0), ("treatment", 0.1)):
        before = rng.normal(10, 1, 2_000)
        arms[(name,)] = {
            "value": np.column_stack([before + shift + rng.normal(0, 0.5, 2_000), before, np.zeros(2_000)])
        }
    adjusted = (
        _read(cube(arms), plan(metric("value", covariates=(Covariate(of="before"),))))
        .metrics["value"]
        .comparisons["treatment"]
    )
    plain = {key: {"value": each["value"][:, 0]} for key, each in arms.items()}
    unadjusted = _read(cube(plain), plan(metric("value"))).metrics["value"].comparisons["treatment"]
    assert (adjusted.standard_error or 1) < 0.6 * (unadjusted.standard_error or 0)
    assert "CUPED" in adjusted.method
    assert "variance" in adjusted.notes[0]


def test_effects_that_differ_between_segments_and_reversals_by_mixing_are_named() -> None:
    # The worked table of Simpson's paradox: 85% against 80%, 70% against 65%, yet 73% against 77% overall.
    arms = {
        ("control", "a"): {"value": _flips(800 * 80 // 100, 800)},
        ("treatment", "a"): {"value": _flips(200 * 85 // 100, 200)},
        ("control", "b"): {"value": _flips(200 * 65 // 100, 200)},
        ("treatment", "b"): {"value": _flips(800 * 70 // 100, 800)},
    }
    rules = (SegmentRule(name="tier"),)
    readout = _read(cube(arms, ["tier"]), plan(metric("value", "rate"), segments=rules))
    [finding] = readout.metrics["value"].findings
    assert "Simpson's reversal: treatment is better in each of 2 segments" in finding
    assert "yet worse overall (0.73 against 0.77)" in finding
    assert "it is +5 points, 95% interval" in finding
    segments = next(each for each in outline_readout(readout).sections if each.key == "segments:value")
    assert segments.bullets == (finding,)
    assert readout.verdict.status is Status.INVALID
    apart = {
        ("control", "a"): {"value": _flips(500, 1_000)},
        ("treatment", "a"): {"value": _flips(600, 1_000)},
        ("control", "b"): {"value": _flips(500, 1_000)},
        ("treatment", "b"): {"value": _flips(500, 1_000)},
    }
    readout = _read(cube(apart, ["tier"]), plan(metric("value", "rate"), segments=rules))
    assert any("differs between values of tier" in each for each in readout.metrics["value"].findings)


def test_declared_looks_on_data_without_time_are_valid_only_once() -> None:
    made = cube({("control",): {"value": _flips(500, 1_000)}, ("treatment",): {"value": _flips(510, 1_000)}})
    declared = plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS)
    assert "looked at once" in _read(made, declared, _information(0.5, 4_000)).verdict.reasons[-1]
    unsized = by_day({"control": [_flips(50, 100)] * 7, "treatment": [_flips(51, 100)] * 7})
    plain = plan(metric("value", "rate"), preregistered=True)
    assert "looked at once" in _read(unsized, plain).verdict.reasons[-1]
    sized = _read(unsized, plain, _information(0.5, 700))
    assert not any("looked at once" in reason for reason in sized.verdict.reasons)


def test_a_verdict_never_contradicts_its_own_p_value_on_rare_events() -> None:
    made = cube({("control",): {"value": np.zeros(200)}, ("treatment",): {"value": _flips(10, 2_000)}})
    readout = _read(made, plan(metric("value", "rate"), weights=None))
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert comparison.p_value is not None
    assert comparison.p_value > 0.2
    assert readout.verdict.status is Status.HOLD


def test_two_busy_days_a_week_apart_are_not_a_week() -> None:
    days = {day: (_flips(300, 1_000), _flips(400, 1_000)) for day in ("2026-03-01", "2026-03-08")}
    arms = {
        (variant, day): {"value": each[at]}
        for day, each in days.items()
        for at, variant in enumerate(("control", "treatment"))
    }
    readout = _read(cube(arms, ["day"]), plan(metric("value", "rate")))
    assert readout.verdict.status is Status.CONTINUE
    assert any("2 days of cohorts" in reason for reason in readout.verdict.reasons)
    assert all(readout.verdict.reasons)


def test_a_treatment_that_fails_early_does_not_end_the_trial_of_a_good_one() -> None:
    # By the second week b has crossed the bad way; c crosses the good way in the fourth.
    weekly = {"control": [500, 500, 500, 500], "b": [450, 420, 470, 470], "c": [505, 515, 580, 600]}
    made = by_day(
        {
            name: [_flips(s if day == 6 else 1, 988 if day == 6 else 2) for s in weeks for day in range(7)]
            for name, weeks in weekly.items()
        }
    )
    declared = plan(
        metric("value", "rate"),
        variants=("control", "b", "c"),
        weights=None,
        preregistered=True,
        design={**FOUR_LOOKS, "min_days": 7},
    )
    planned = PlannedSize(_information(0.5, 4_000).information, 12_000)
    readout = _read(made, declared, planned)
    assert readout.verdict.by_variant["b"] in (Status.HOLD, Status.HARMFUL)
    assert readout.verdict.by_variant["c"] is Status.SHIP


def test_of_a_mean_in_very_unequal_arms_the_interval_shown_and_the_test_agree() -> None:
    # Lognormal values: the sparse arm happens to lack its largest, so that it looks surely low and steady.
    rng = np.random.default_rng(11)
    control, treatment = rng.lognormal(0, 1.5, 20_000), np.minimum(rng.lognormal(0, 1.5, 1_000), 4.0)
    arms = {("control",): {"value": control}, ("treatment",): {"value": treatment}}
    readout = _read(cube(arms), plan(metric("value", better=Better.LOWER), weights=None))
    comparison = readout.metrics["value"].comparisons["treatment"]
    primary = next(check for check in readout.verdict.checks if check.name == "primary")
    z, error = primary.numbers["z"], comparison.standard_error
    assert z is not None
    assert error is not None
    assert error == pytest.approx(np.sqrt(control.var(ddof=1) * (1 / 20_000 + 1 / 1_000)), rel=1e-3)
    assert z == pytest.approx(-(comparison.difference or 0) / error, rel=0.01)
    assert any("taken to vary as the other does" in note for note in comparison.notes)


def test_intervals_of_few_events_hold_between_looks_and_at_them() -> None:
    # Nobody in control had the event: by its own variance the difference would be known all too well.
    declared = plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS)
    between = by_day({"control": [_flips(0, 30)] * 3, "treatment": [_flips(1, 30)] * 3})
    at_look = by_day({"control": [_flips(0, 50)] * 7, "treatment": [_flips(1, 50)] * 7})
    planned = PlannedSize(1 / (2 * 0.01 * 0.99 / 700), 1_400)
    seen = {}
    for name, made in (("always-valid", between), ("repeated", at_look)):
        comparison = _read(made, declared, planned).metrics["value"].comparisons["treatment"]
        assert comparison.interval_kind == name
        assert comparison.interval is not None
        seen[name] = comparison.interval
        assert comparison.relative_interval is None
    low, high = seen["always-valid"]
    assert low is not None
    assert high is not None
    assert low < -0.05
    assert high > 0.15
    repeated = seen["repeated"]
    assert repeated[0] is not None
    assert repeated[0] < 0  # z is 2.7, far from the boundary of an early look


@pytest.mark.parametrize("method", ["benjamini-hochberg", "holm", "bonferroni"])
def test_secondaries_are_adjusted_as_the_design_says_and_the_primary_by_holm(method: str) -> None:
    rng = np.random.default_rng(41)
    names = ("value", "x", "y", "z")
    shifts = {"control": (0.0, 0.0, 0.0, 0.0), "a": (0.1, 0.2, 0.1, 0.0), "b": (0.0, 0.15, 0.0, 0.05)}
    made = cube(
        {(v,): {n: rng.normal(s, 1, 400) for n, s in zip(names, at, strict=True)} for v, at in shifts.items()}
    )
    declared = plan(
        *(metric(name) for name in names),
        variants=tuple(shifts),
        weights=dict.fromkeys(shifts, 1 / 3),
        design={"adjust": method},
    )
    readout = build_readout(made, counts_of(made), declared, source="")
    told = {"benjamini-hochberg": "Benjamini-Hochberg", "holm": "Holm", "bonferroni": "Bonferroni"}[method]
    assert f"secondary and other metrics: {told} over metrics and treatments" in readout.adjustment
    rest = [c for n in names[1:] for c in readout.metrics[n].comparisons.values()]
    assert [c.p_adjusted for c in rest] == pytest.approx(adjust([c.p_value or 0 for c in rest], method))  # type: ignore[arg-type]
    first = list(readout.metrics["value"].comparisons.values())
    assert [c.p_adjusted for c in first] == pytest.approx(adjust([c.p_value or 0 for c in first], "holm"))
