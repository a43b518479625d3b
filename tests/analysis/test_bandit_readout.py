"""A bandit's conclusion: always-valid over epochs, at the ends of whole weeks, in no look's way."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.analysis.bandit_trials import RATE, Trial, bandit_plan, rates, run
from tests.analysis.cubes import cube, metric
from tests.calibration import Calibration

from promptarena.analysis.adaptive_effects import AdaptiveEffects, NotKnown
from promptarena.analysis.bandit_conclusion import conclude_bandit
from promptarena.analysis.bandit_readout import build_bandit_readout
from promptarena.definitions.analysis_plan import AnalysisPlan, Guardrail, Primary, Test
from promptarena.definitions.metric import Better
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Check, Readout, Status
from promptarena.stats.adaptive_contrasts import AdaptiveContrast, EpochArms, adaptive_contrast
from promptarena.stats.harm import rate_harm
from promptarena.stats.moments import Moments

Vector = NDArray[np.float64]


def _read(trial: Trial, plan: AnalysisPlan | None = None) -> Readout:
    return build_bandit_readout(
        trial.cube, trial.units, plan or bandit_plan(), source="here", arrivals=trial.arrivals
    )


def _check(readout: Readout, name: str) -> Check:
    return next(check for check in readout.verdict.checks if check.name == name)


def test_estimates_are_those_of_the_epochs_in_their_order() -> None:
    trial = run(np.random.default_rng(1), rates(control=0.3, treatment=0.31), days=21, a_day=300)
    epochs = []
    for epoch in range(len(trial.arrivals.weights)):
        arms = [trial.cube.by("epoch").get((name, str(epoch))) for name in ("control", "treatment")]
        control, treatment = (arm.moments["ok"] if arm else Moments.empty(1) for arm in arms)
        epochs.append(EpochArms(control, treatment, trial.arrivals.weights[str(epoch)]["treatment"]))
    # More than ten, so that epochs in the order of their names would be in another one.
    assert len(epochs) > 10
    direct = adaptive_contrast(epochs, alpha=0.05, n_opt=5000)
    readout = _read(trial)
    found = readout.metrics["ok"].comparisons["treatment"]
    assert found.difference == pytest.approx(direct.value)
    assert found.interval == pytest.approx((direct.low, direct.high))
    assert found.p_value == pytest.approx(direct.p_value)
    adaptive = readout.adaptive
    assert adaptive is not None
    assert [epoch.epoch for epoch in adaptive.epochs] == list(range(len(epochs)))


def test_a_better_treatment_ships_at_the_first_whole_week_that_shows_it_and_stays_shipped() -> None:
    rng = np.random.default_rng(2)
    trial = run(rng, rates(control=0.3, treatment=lambda day: 0.5 if day < 7 else 0.3), days=20, a_day=300)
    readout = _read(trial)
    # What came later is kept out of the estimates; harm alone is judged on everything.
    assert readout.verdict.status is Status.SHIP
    found = readout.metrics["ok"].comparisons["treatment"]
    assert found.n_control + found.n_variant == 7 * 300
    assert any("arrived after the deciding week" in note for note in readout.notes)
    assert conclude_bandit(trial.cube, trial.units, bandit_plan(), trial.arrivals).decided
    steady = _read(run(rng, rates(control=0.3, treatment=0.45), days=9, a_day=300))
    assert steady.verdict.status is Status.SHIP, steady.verdict.reasons
    assert (steady.paths, steady.looks) == ((), ())


def test_no_difference_goes_on_until_the_declared_end() -> None:
    trial = run(np.random.default_rng(3), rates(control=0.3, treatment=0.3), days=21, a_day=100)
    going = _read(trial)
    assert going.verdict.status is Status.CONTINUE
    assert "read again with the cohorts of 2026-03-29" in " ".join(going.verdict.reasons)
    assert _read(trial, bandit_plan(design={"max_days": 21})).verdict.status is Status.HOLD
    assert _read(trial, bandit_plan(design={"units": 2000})).verdict.status is Status.HOLD
    early = _read(run(np.random.default_rng(3), rates(control=0.3, treatment=0.9), days=6, a_day=300))
    assert early.verdict.status is Status.CONTINUE
    assert "no whole week" in early.verdict.reasons[0]


def test_a_worse_treatment_is_held_or_harmful_and_never_ships() -> None:
    trial = run(np.random.default_rng(4), rates(control=0.4, treatment=0.3), days=14, a_day=400)
    readout = _read(trial)
    assert readout.verdict.status in (Status.HARMFUL, Status.HOLD)
    assert _check(readout, "primary").passed is False


def _with_cost(control: float, treatment: float) -> Callable[..., Mapping[str, Vector]]:
    usual = rates(control=0.3, treatment=0.5)

    def draw(rng: np.random.Generator, variant: str, day: int, n: int) -> Mapping[str, Vector]:
        level = treatment if variant == "treatment" else control
        return {**usual(rng, variant, day, n), "cost": rng.gamma(4, level / 4, n)}

    return draw


@pytest.mark.parametrize(("treatment", "passed"), [(1.0, True), (1.3, False)])
@pytest.mark.parametrize("margin", [Margin(value=0.15, relative=True), Margin(value=0.15)])
def test_a_guardrail_is_kept_by_its_own_always_valid_bound(
    treatment: float, passed: bool, margin: Margin
) -> None:
    cost = metric("cost", "sum", better=Better.LOWER)
    plan = bandit_plan(RATE, cost, guardrails=(Guardrail(metric="cost", margin=margin),))
    trial = run(np.random.default_rng(5), _with_cost(1.0, treatment), days=14, a_day=400)
    readout = _read(trial, plan)
    check = _check(readout, "guardrail")
    assert check.passed is passed, check.text
    assert (readout.verdict.status is Status.SHIP) == passed


def test_a_non_inferior_treatment_ships_by_its_margin() -> None:
    trial = run(np.random.default_rng(6), rates(control=0.3, treatment=0.3), days=14, a_day=1500)
    margin = Margin(value=0.08)
    primary = Primary(metric="ok", test=Test.NON_INFERIORITY, margin=margin)
    assert _read(trial).verdict.status is Status.CONTINUE
    readout = _read(trial, bandit_plan(primary=primary))
    assert readout.verdict.status is Status.SHIP
    assert "no worse" in readout.verdict.reasons[0]


def test_several_treatments_share_the_error_and_the_best_is_named() -> None:
    names = ("control", "a", "b")
    trial = run(
        np.random.default_rng(7), rates(control=0.3, a=0.31, b=0.45), days=14, a_day=500, variants=names
    )
    readout = _read(trial, bandit_plan(variants=names))
    assert (readout.verdict.status, readout.verdict.variant) == (Status.SHIP, "b")
    worse, better = (readout.metrics["ok"].comparisons[name] for name in ("a", "b"))
    assert worse.p_value is not None
    assert better.p_value is not None
    assert better.p_adjusted == pytest.approx(min(2 * better.p_value, 1))
    adaptive = readout.adaptive
    assert adaptive is not None
    chances = [arm.probability_best for arm in adaptive.arms.values()]
    assert sum(chance or 0 for chance in chances) == pytest.approx(1)


def test_ratios_and_quantiles_are_compared_within_epochs() -> None:
    rng = np.random.default_rng(8)
    sizes = {"0": (400, 400), "1": (100, 700)}
    cells = {}
    for (epoch, pair), level in zip(sizes.items(), (1.0, 3.0), strict=True):
        for variant, n in zip(("control", "treatment"), pair, strict=True):
            over = rng.poisson(2, n) + 1.0
            cells[variant, epoch] = {"spend": np.column_stack([over * level + rng.normal(0, 0.5, n), over])}
    weights = {"0": {"control": 0.5, "treatment": 0.5}, "1": {"control": 0.125, "treatment": 0.875}}
    effects = AdaptiveEffects(cube(cells, ["epoch"]), weights, "control", 2000)
    ratio = metric("spend", "ratio", over="orders")
    found = effects.difference(ratio, "treatment", 0.05)
    assert isinstance(found, AdaptiveContrast)
    # The level rose when most were treated: pooled, treatment would seem to spend much more.
    assert found.low < 0 < found.high
    assert abs(found.value) < 0.1
    assert isinstance(effects.mean(ratio, "control", 0.05), NotKnown)


def test_what_is_not_known_is_said() -> None:
    trial = run(np.random.default_rng(9), rates(control=0.3, treatment=0.5), days=7, a_day=20)
    readout = _read(trial)
    assert readout.verdict.status is Status.CONTINUE
    found = readout.metrics["ok"].comparisons["treatment"]
    assert (found.difference, found.interval) == (None, None)
    assert "100 units" in found.notes[0]
    adaptive = readout.adaptive
    assert adaptive is not None
    assert adaptive.arms["control"].value is None
    assert "100 units" in str(adaptive.arms["control"].note)


def test_harm_bets_on_the_weights_of_each_epoch() -> None:
    trial = run(np.random.default_rng(12), rates(control=0.4, treatment=0.36), days=14, a_day=300)
    cells, weights = trial.cube.by("epoch"), trial.arrivals.weights
    epochs = sorted(weights)  # in whatever order: the evidence is a product
    columns = [[cells.get((arm, epoch)) for epoch in epochs] for arm in ("control", "treatment")]
    events, units = [], []
    for column in columns:
        moments = [Moments.empty(1) if cell is None else cell.moments["ok"] for cell in column]
        events.append([m.n * float(m.mean[0]) for m in moments])
        units.append([m.n for m in moments])
    shares = [weights[epoch]["treatment"] for epoch in epochs]
    direct = rate_harm(events[0], units[0], events[1], units[1], alpha=0.01, treatment_share=shares)
    check = _check(_read(trial), "harm")
    assert check.numbers["p_value"] == pytest.approx(direct.p_value)
    assert len(epochs) > 3


@pytest.mark.parametrize("margin", [Margin(value=0.0), Margin(value=0.2), Margin(value=0.1, relative=True)])
def test_harm_of_a_mean_is_the_margins_contrast_turned_round(margin: Margin) -> None:
    cost = metric("cost", "sum", better=Better.LOWER)
    trial = run(np.random.default_rng(13), _with_cost(1.0, 1.5), days=14, a_day=400)
    effects = AdaptiveEffects(trial.cube, trial.arrivals.weights, "control", 2000)
    harm = effects.harm(cost, "treatment", 0.01, margin)
    kept = effects.against_margin(cost, "treatment", 0.01, margin)
    assert isinstance(kept, AdaptiveContrast)
    assert harm is not None
    assert harm.shown
    lost = 0.0 if margin.relative else margin.value
    assert harm.upper == pytest.approx(kept.upper_bound + lost)
    assert (harm.upper < 0) == harm.shown
    better = effects.harm(cost.model_copy(update={"better": Better.HIGHER}), "treatment", 0.01, margin)
    assert better is not None
    assert (better.shown, better.p_value) == (False, 1.0)


def _steady(_day: int) -> float:
    return 0.3


def _rising(day: int) -> float:
    return 0.15 + 0.01 * day


@pytest.mark.slow
@pytest.mark.parametrize("rate", [_steady, _rising])
@pytest.mark.parametrize("treatments", [1, 2])
def test_a_bandit_of_equal_variants_ships_as_seldom_as_declared(
    rate: Callable[[int], float], treatments: int, calibration: Calibration
) -> None:
    names = ("control", "a", "b")[: 1 + treatments]
    plan, trials, seed = bandit_plan(variants=names), 1000, 10
    rng, shipped, missed = np.random.default_rng(seed), 0, 0
    for _ in range(trials):
        trial = run(rng, rates(**dict.fromkeys(names, rate)), days=28, a_day=200, variants=names)
        found = conclude_bandit(trial.cube, trial.units, plan, trial.arrivals)
        shipped += found.verdict.status is Status.SHIP
        last = found.effects.difference(RATE, "a", 0.05)
        missed += isinstance(last, AdaptiveContrast) and not last.low <= 0 <= last.high
    setting = f"Thompson, {treatments} treatment(s), four weeks, {rate.__name__.strip('_')} rates"
    kept = [
        calibration.record(
            "Bandit", setting, "false ship", nominal=0.025, bound="at most", observed=shipped / trials,
            runs=trials, seed=seed,
        ).kept,
        calibration.record(
            "Bandit", setting, "interval misses at the end", nominal=0.05, bound="at most",
            observed=missed / trials, runs=trials, seed=seed,
        ).kept,
    ]  # fmt: skip
    assert all(kept)


@pytest.mark.slow
def test_a_bandit_earns_more_than_equal_weights_and_its_interval_covers(calibration: Calibration) -> None:
    trials, seed = 400, 11
    rng, earned, even, covered, shipped = np.random.default_rng(seed), 0.0, 0.0, 0, 0
    draw, plan = rates(control=0.30, treatment=0.36), bandit_plan()
    for _ in range(trials):
        trial = run(rng, draw, days=28, a_day=200)
        earned += trial.reward / trials
        even += run(rng, draw, days=28, a_day=200, bandit=None).reward / trials
        found = conclude_bandit(trial.cube, trial.units, plan, trial.arrivals)
        shipped += found.verdict.status is Status.SHIP
        last = found.effects.difference(RATE, "treatment", 0.05)
        covered += isinstance(last, AdaptiveContrast) and last.low <= 0.06 <= last.high
    setting = "Thompson, 30% against 36%, four weeks of 200 units a day"
    assert calibration.record(
        "Bandit", setting, "coverage at the deciding week", nominal=0.95, bound="at least",
        observed=covered / trials, runs=trials, seed=seed,
    ).kept  # fmt: skip
    # The share of the best arm's reward that was not earned: equal weights lose half of the difference.
    regret, of_even = (0.36 - earned) / 0.06, (0.36 - even) / 0.06
    assert calibration.record(
        "Bandit", setting, "regret over that of equal weights", nominal=0.6, bound="at most",
        observed=regret / of_even, runs=trials, seed=seed,
    ).kept  # fmt: skip
    assert shipped / trials > 0.3
