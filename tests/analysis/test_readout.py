"""A readout says what it may of a trial, and what it may not."""

from __future__ import annotations

import numpy as np
import pytest
from tests.analysis.cubes import by_day, counts_of, cube, metric, plan
from tests.analysis.readouts import FOUR_LOOKS, flips, information_of, read, width

from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.readout import build_readout
from promptarena.definitions.analysis_plan import Guardrail, Primary, SegmentRule
from promptarena.definitions.metric import Better, Covariate
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Status
from promptarena.errors import UsageError
from promptarena.reporting.readout_outline import outline_readout
from promptarena.stats.multiplicity import adjust


def test_fewer_than_200_observed_values_never_ship() -> None:
    made = cube({("control",): {"value": flips(10, 150)}, ("treatment",): {"value": flips(140, 150)}})
    readout = read(made, plan(metric("value", "rate")))
    assert readout.verdict.status is Status.CONTINUE
    assert any("200 are needed" in reason for reason in readout.verdict.reasons)


def test_harm_is_told_before_any_look() -> None:
    made = by_day({"control": [flips(600, 1_000)], "treatment": [flips(450, 1_000)]})
    readout = read(
        made,
        plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS),
        information_of(0.5, 10_000),
    )
    assert readout.verdict.status is Status.HARMFUL


def test_a_guardrail_that_is_not_shown_to_hold_bars_from_ship() -> None:
    rng = np.random.default_rng(1)
    arms = {
        (name,): {"value": flips(successes, 1_000), "latency": rng.normal(mean, 100, 1_000)}
        for name, successes, mean in (("control", 500, 800), ("treatment", 600, 806))
    }
    latency = metric("latency", better=Better.LOWER)
    tight = plan(
        metric("value", "rate"), latency, guardrails=(Guardrail(metric="latency", margin=Margin(value=5)),)
    )
    wide = plan(
        metric("value", "rate"), latency, guardrails=(Guardrail(metric="latency", margin=Margin(value=30)),)
    )
    assert read(cube(arms), tight).verdict.status is Status.HOLD
    assert read(cube(arms), wide).verdict.status is Status.SHIP
    assert read(cube(arms), wide).metrics["latency"].role == "guardrail"


def test_non_inferiority_ships_what_is_no_worse() -> None:
    made = cube(
        {("control",): {"value": flips(6_000, 10_000)}, ("treatment",): {"value": flips(5_990, 10_000)}}
    )
    primary = Primary.model_validate({"metric": "value", "test": "non-inferiority", "margin": "5%"})
    assert read(made, plan(metric("value", "rate"), primary=primary)).verdict.status is Status.SHIP
    assert read(made, plan(metric("value", "rate"))).verdict.status is Status.HOLD


def test_a_loss_within_the_non_inferiority_margin_is_no_harm_however_sure_it_is() -> None:
    made = cube(
        {
            ("control",): {"value": flips(600_000, 1_000_000)},
            ("treatment",): {"value": flips(594_000, 1_000_000)},
        }
    )
    primary = Primary.model_validate({"metric": "value", "test": "non-inferiority", "margin": "5%"})
    assert read(made, plan(metric("value", "rate"), primary=primary)).verdict.status is Status.SHIP
    assert read(made, plan(metric("value", "rate"))).verdict.status is Status.HARMFUL


def test_lower_is_better_where_the_metric_says_so() -> None:
    rng = np.random.default_rng(2)
    arms = {("control",): {"cost": rng.normal(10, 1, 900)}, ("treatment",): {"cost": rng.normal(9, 1, 900)}}
    assert read(cube(arms), plan(metric("cost", better=Better.LOWER))).verdict.status is Status.SHIP
    assert read(cube(arms), plan(metric("cost"))).verdict.status is Status.HARMFUL


def test_a_sample_ratio_mismatch_is_invalid_and_unknown_weights_say_so() -> None:
    made = cube({("control",): {"value": flips(600, 1_000)}, ("treatment",): {"value": flips(900, 1_300)}})
    mismatch = read(made, plan(metric("value", "rate")))
    assert mismatch.verdict.status is Status.INVALID
    assert mismatch.balance.status == "mismatch"
    unknown = read(made, plan(metric("value", "rate"), weights=None))
    assert unknown.balance.status == "unknown"
    assert unknown.balance.p_value is None
    assert unknown.verdict.status is Status.SHIP


@pytest.mark.parametrize(
    ("crossovers", "status"),
    [({"control": 4, "treatment": 4}, "ship"), ({"control": 12, "treatment": 12}, "invalid")],
)
def test_many_crossovers_are_invalid(crossovers: dict[str, int], status: str) -> None:
    made = cube({("control",): {"value": flips(600, 1_000)}, ("treatment",): {"value": flips(690, 1_000)}})
    counts = counts_of(made, crossovers=sum(crossovers.values()), crossovers_by_variant=crossovers)
    readout = build_readout(made, counts, plan(metric("value", "rate")), source="here")
    assert readout.verdict.status == status


def test_crossovers_unequal_by_variant_are_invalid_though_few() -> None:
    made = cube(
        {("control",): {"value": flips(6_000, 10_000)}, ("treatment",): {"value": flips(6_900, 10_000)}}
    )
    counts = counts_of(made, crossovers=40, crossovers_by_variant={"control": 38, "treatment": 2})
    readout = build_readout(made, counts, plan(metric("value", "rate")), source="here")
    assert readout.verdict.status is Status.INVALID


def test_absence_that_depends_on_the_variant_bars_from_ship_with_worst_case_bounds() -> None:
    arms = {("control",): {"rating": flips(300, 500)}, ("treatment",): {"rating": flips(290, 350)}}
    made = cube(arms, units={("control",): 1_000, ("treatment",): 1_000})
    readout = read(made, plan(metric("rating", "rate")))
    assert readout.verdict.status is Status.HOLD
    reason = next(reason for reason in readout.verdict.reasons if "absence depends" in reason)
    # All 500 unobserved controls succeed and no treatment does: 29% - 80%; the other way 94% - 30%.
    assert "from -51 points to +64 points" in reason


def test_a_harmed_segment_bars_from_ship() -> None:
    arms = {
        ("control", "phone"): {"value": flips(500, 1_000)},
        ("treatment", "phone"): {"value": flips(700, 1_000)},
        ("control", "desktop"): {"value": flips(240, 400)},
        ("treatment", "desktop"): {"value": flips(190, 400)},
    }
    rules = (SegmentRule(name="device"),)
    readout = read(cube(arms, ["device"]), plan(metric("value", "rate"), segments=rules))
    assert readout.verdict.status is Status.HOLD
    assert any("device is worse than its margin for desktop" in reason for reason in readout.verdict.reasons)
    lenient = (SegmentRule(name="device", margin=Margin(value=0.2)),)
    assert (
        read(cube(arms, ["device"]), plan(metric("value", "rate"), segments=lenient)).verdict.status
        is Status.SHIP
    )


def test_several_treatments_are_held_to_holm() -> None:
    # z = 2.1 each: enough for one treatment alone, not for the first of three.
    arms = {("control",): {"value": flips(5_000, 10_000)}}
    arms |= {(name,): {"value": flips(5_149, 10_000)} for name in ("a", "b", "c")}
    variants = ("control", "a", "b", "c")
    three = plan(metric("value", "rate"), variants=variants, weights=dict.fromkeys(variants, 0.25))
    comparisons = read(cube(arms), three).metrics["value"].comparisons
    assert read(cube(arms), three).verdict.status is Status.HOLD
    p = comparisons["a"].p_value
    assert p is not None
    assert p < 0.05
    assert [comparisons[name].p_adjusted for name in "abc"] == pytest.approx([3 * p] * 3)
    alone = cube({key: arms[key] for key in (("control",), ("a",))})
    one = plan(metric("value", "rate"), variants=("control", "a"), weights=None)
    assert read(alone, one).verdict.status is Status.SHIP


def test_supplied_boundaries_cannot_be_shared_by_several_treatments() -> None:
    arms = {(name,): {"value": flips(500, 1_000)} for name in ("control", "a", "b")}
    declared = plan(
        metric("value", "rate"),
        variants=("control", "a", "b"),
        weights=None,
        preregistered=True,
        design={"critical_z": (1.96,)},
    )
    with pytest.raises(UsageError, match="critical_z"):
        read(cube(arms), declared)


def test_effects_are_within_epochs() -> None:
    # Simpson: in each epoch treatment is better by 5 points, pooled it looks worse.
    arms = {
        ("control", "0"): {"value": flips(800, 1_000)},
        ("treatment", "0"): {"value": flips(8_500, 10_000)},
        ("control", "1"): {"value": flips(3_000, 10_000)},
        ("treatment", "1"): {"value": flips(350, 1_000)},
    }
    made = cube(arms, ["epoch"])
    readout = read(made, plan(metric("value", "rate"), weights=None))
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert comparison.difference == pytest.approx(0.05)


def test_a_ramp_while_the_mix_of_segments_drifts_is_no_imbalance() -> None:
    arms = {
        (variant, epoch, device): {"value": flips(n // 2, n)}
        for variant, epoch, device, n in (
            ("control", "0", "phone", 1_710), ("control", "0", "desktop", 190),
            ("treatment", "0", "phone", 90), ("treatment", "0", "desktop", 10),
            ("control", "1", "phone", 400), ("control", "1", "desktop", 600),
            ("treatment", "1", "phone", 400), ("treatment", "1", "desktop", 600),
        )
    }  # fmt: skip
    rules = (SegmentRule(name="device"),)
    drifting = read(
        cube(arms, ["epoch", "device"]), plan(metric("value", "rate"), weights=None, segments=rules)
    )
    assert drifting.balance.segments["device"] > 0.5
    pooled: dict[tuple[str, str], int] = {}
    for (variant, _, device), each in arms.items():
        pooled[variant, device] = pooled.get((variant, device), 0) + len(each["value"])
    together = cube({key: {"value": flips(n // 2, n)} for key, n in pooled.items()}, ["device"])
    mixed = read(together, plan(metric("value", "rate"), weights=None, segments=rules))
    assert mixed.verdict.status is Status.INVALID


def test_what_cannot_be_estimated_is_none_with_a_note_never_zero() -> None:
    arms = {("control",): {"value": np.ones(300)}, ("treatment",): {"value": np.ones(300)}}
    comparison = read(cube(arms), plan(metric("value"))).metrics["value"].comparisons["treatment"]
    assert comparison.interval is None
    assert comparison.p_value is None
    assert "same value" in comparison.notes[0]


def test_a_rate_without_events_has_a_score_interval() -> None:
    arms = {("control",): {"value": np.zeros(500)}, ("treatment",): {"value": np.zeros(500)}}
    comparison = read(cube(arms), plan(metric("value", "rate"))).metrics["value"].comparisons["treatment"]
    assert 0.01 < width(comparison) < 0.02
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
        read(cube(arms), plan(metric("value", covariates=(Covariate(of="before"),))))
        .metrics["value"]
        .comparisons["treatment"]
    )
    plain = {key: {"value": each["value"][:, 0]} for key, each in arms.items()}
    unadjusted = read(cube(plain), plan(metric("value"))).metrics["value"].comparisons["treatment"]
    assert (adjusted.standard_error or 1) < 0.6 * (unadjusted.standard_error or 0)
    assert "CUPED" in adjusted.method
    assert "variance" in adjusted.notes[0]


def test_effects_that_differ_between_segments_and_reversals_by_mixing_are_named() -> None:
    # The worked table of Simpson's paradox: 85% against 80%, 70% against 65%, yet 73% against 77% overall.
    arms = {
        ("control", "a"): {"value": flips(800 * 80 // 100, 800)},
        ("treatment", "a"): {"value": flips(200 * 85 // 100, 200)},
        ("control", "b"): {"value": flips(200 * 65 // 100, 200)},
        ("treatment", "b"): {"value": flips(800 * 70 // 100, 800)},
    }
    rules = (SegmentRule(name="tier"),)
    readout = read(cube(arms, ["tier"]), plan(metric("value", "rate"), segments=rules))
    [finding] = readout.metrics["value"].findings
    assert "Simpson's reversal: treatment is better in each of 2 segments" in finding
    assert "yet worse overall (73% against 77%)" in finding
    assert "it is +5 points, 95% interval" in finding
    segments = next(each for each in outline_readout(readout).sections if each.key == "segments:value")
    assert segments.bullets == (finding,)
    assert readout.verdict.status is Status.INVALID
    apart = {
        ("control", "a"): {"value": flips(500, 1_000)},
        ("treatment", "a"): {"value": flips(600, 1_000)},
        ("control", "b"): {"value": flips(500, 1_000)},
        ("treatment", "b"): {"value": flips(500, 1_000)},
    }
    readout = read(cube(apart, ["tier"]), plan(metric("value", "rate"), segments=rules))
    assert any("differs between values of tier" in each for each in readout.metrics["value"].findings)


def test_declared_looks_on_data_without_time_are_valid_only_once() -> None:
    made = cube({("control",): {"value": flips(500, 1_000)}, ("treatment",): {"value": flips(510, 1_000)}})
    declared = plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS)
    assert "looked at once" in read(made, declared, information_of(0.5, 4_000)).verdict.reasons[-1]
    unsized = by_day({"control": [flips(50, 100)] * 7, "treatment": [flips(51, 100)] * 7})
    plain = plan(metric("value", "rate"), preregistered=True)
    assert "looked at once" in read(unsized, plain).verdict.reasons[-1]
    sized = read(unsized, plain, information_of(0.5, 700))
    assert not any("looked at once" in reason for reason in sized.verdict.reasons)


def test_a_verdict_never_contradicts_its_own_p_value_on_rare_events() -> None:
    made = cube({("control",): {"value": np.zeros(200)}, ("treatment",): {"value": flips(10, 2_000)}})
    readout = read(made, plan(metric("value", "rate"), weights=None))
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert comparison.p_value is not None
    assert comparison.p_value > 0.2
    assert readout.verdict.status is Status.HOLD


def test_two_busy_days_a_week_apart_are_not_a_week() -> None:
    days = {day: (flips(300, 1_000), flips(400, 1_000)) for day in ("2026-03-01", "2026-03-08")}
    arms = {
        (variant, day): {"value": each[at]}
        for day, each in days.items()
        for at, variant in enumerate(("control", "treatment"))
    }
    readout = read(cube(arms, ["day"]), plan(metric("value", "rate")))
    assert readout.verdict.status is Status.CONTINUE
    assert any("2 days of cohorts" in reason for reason in readout.verdict.reasons)
    assert all(readout.verdict.reasons)


def test_a_treatment_that_fails_early_does_not_end_the_trial_of_a_good_one() -> None:
    # By the second week b has crossed the bad way; c crosses the good way in the fourth.
    weekly = {"control": [500, 500, 500, 500], "b": [450, 420, 470, 470], "c": [505, 515, 580, 600]}
    made = by_day(
        {
            name: [flips(s if day == 6 else 1, 988 if day == 6 else 2) for s in weeks for day in range(7)]
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
    planned = PlannedSize(information_of(0.5, 4_000).information, 12_000)
    readout = read(made, declared, planned)
    assert readout.verdict.by_variant["b"] in (Status.HOLD, Status.HARMFUL)
    assert readout.verdict.by_variant["c"] is Status.SHIP


def test_of_a_mean_in_very_unequal_arms_the_interval_shown_and_the_test_agree() -> None:
    # Lognormal values: the sparse arm happens to lack its largest, so that it looks surely low and steady.
    rng = np.random.default_rng(11)
    control, treatment = rng.lognormal(0, 1.5, 20_000), np.minimum(rng.lognormal(0, 1.5, 1_000), 4.0)
    arms = {("control",): {"value": control}, ("treatment",): {"value": treatment}}
    readout = read(cube(arms), plan(metric("value", better=Better.LOWER), weights=None))
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
    between = by_day({"control": [flips(0, 30)] * 3, "treatment": [flips(1, 30)] * 3})
    at_look = by_day({"control": [flips(0, 50)] * 7, "treatment": [flips(1, 50)] * 7})
    planned = PlannedSize(1 / (2 * 0.01 * 0.99 / 700), 1_400)
    seen = {}
    for name, made in (("always-valid", between), ("repeated", at_look)):
        comparison = read(made, declared, planned).metrics["value"].comparisons["treatment"]
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
