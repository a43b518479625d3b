"""Off-policy estimates equal the reference, agree with slow definitions, cover, and say when they cannot."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Calibration

from promptarena.stats.off_policy import LoggedRounds

Vector = NDArray[np.float64]
METHODS = ("ips", "snips", "dm", "dr", "sndr")


def _value(log: LoggedRounds, method: str) -> float:
    return float(getattr(log, method)().value)


def _read(path: Path) -> dict[str, Vector]:
    with gzip.open(path, "rt") as lines:
        rows = list(csv.DictReader(lines))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def _campaign(shared_data: Path, behaviour: str, evaluation: str) -> tuple[LoggedRounds, dict[str, float]]:
    folder = shared_data / "obd_men"
    columns = _read(folder / f"men_{behaviour}_to_{evaluation}.csv.gz")
    log = LoggedRounds.of(
        columns["reward"],
        logged=columns["pscore"],
        evaluated=columns["pi_e"],
        predicted=columns["q_logged"],
        baseline=columns["dm_baseline"],
    )
    with (folder / "reference_ope.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["behavior"] == behaviour]
    return log, {name: float(value) for name, value in list(rows[0].items())[3:]}


@pytest.mark.parametrize(("behaviour", "evaluation"), [("random", "bts"), ("bts", "random")])
def test_real_logs_give_the_reference_estimates(shared_data: Path, behaviour: str, evaluation: str) -> None:
    log, reference = _campaign(shared_data, behaviour, evaluation)
    # The stored inputs have ten digits, the reference was computed before they were rounded.
    for method, name in zip(METHODS, ("ipw", "snipw", "dm", "dr", "sndr"), strict=True):
        assert _value(log, method) == pytest.approx(reference[f"obp_{name}"], rel=1e-8)
    assert log.logged_policy().value == pytest.approx(reference["behavior_value"], rel=1e-12)
    assert log.ips().standard_error == pytest.approx(reference["ipw_se"], rel=1e-7)
    weights = log.check_weights()
    assert weights.effective_rounds == pytest.approx(reference["ess"], rel=1e-7)
    assert weights.mean_weight == pytest.approx(reference["mean_w"], rel=1e-7)
    assert weights.largest_share == pytest.approx(
        reference["max_w"] / reference["n"] / reference["mean_w"], rel=1e-7
    )
    # Their interval is a bootstrap's, so it leans towards the long tail.
    low, high = log.ips().interval(0.05)
    assert low == pytest.approx(reference["ipw_ci_lo"], abs=5e-4)
    assert high == pytest.approx(reference["ipw_ci_hi"], abs=5e-4)


def test_only_the_real_log_whose_weights_explode_warns(shared_data: Path) -> None:
    good, _ = _campaign(shared_data, "random", "bts")
    bad, _ = _campaign(shared_data, "bts", "random")
    assert good.ips().warning is None
    for method in ("ips", "snips", "dr", "sndr"):
        warning = getattr(bad, method)().warning
        assert "10,000 rounds tell as much as 655.7" in warning
        assert "1.9% of all weight" in warning
    assert bad.dm().warning is None
    assert bad.logged_policy().warning is None


def _arrays(seed: int, n: int = 60) -> dict[str, Vector]:
    rng = np.random.default_rng(seed)
    return {
        "rewards": rng.normal(3, 1, n),
        "logged": rng.uniform(0.1, 1, n),
        "evaluated": rng.uniform(0, 1, n),
        "predicted": rng.normal(3, 1, n),
        "baseline": rng.normal(3, 1, n),
    }


def _direct(
    rewards: Vector, logged: Vector, evaluated: Vector, predicted: Vector, baseline: Vector
) -> Vector:
    """The five estimators round by round, in the order of METHODS."""
    n, weights = len(rewards), [e / p for e, p in zip(evaluated, logged, strict=True)]
    total = sum(weights)
    earned = sum(w * r for w, r in zip(weights, rewards, strict=True))
    missed = sum(w * (r - q) for w, r, q in zip(weights, rewards, predicted, strict=True))
    base = sum(baseline) / n
    return np.array([earned / n, earned / total, base, base + missed / n, base + missed / total])


@given(seed=st.integers(0, 2**32 - 1))
def test_estimates_equal_their_definitions(seed: int) -> None:
    arrays = _arrays(seed)
    log = LoggedRounds.of(**arrays)
    found = [_value(log, method) for method in METHODS]
    np.testing.assert_allclose(found, _direct(**arrays), rtol=1e-10)


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(2, 58))
def test_logs_split_anywhere_and_added_say_the_same(seed: int, cut: int) -> None:
    arrays = _arrays(seed)
    whole = LoggedRounds.of(**arrays)
    parts = LoggedRounds.of(**{k: v[:cut] for k, v in arrays.items()}) + LoggedRounds.of(
        **{k: v[cut:] for k, v in arrays.items()}
    )
    for method in METHODS:
        first, second = getattr(whole, method)(), getattr(parts, method)()
        assert first.value == pytest.approx(second.value, rel=1e-9)
        assert first.standard_error == pytest.approx(second.standard_error, rel=1e-9)
    assert whole.check_weights().effective_rounds == pytest.approx(parts.check_weights().effective_rounds)


def test_standard_errors_are_those_of_the_jackknife_over_clusters() -> None:
    arrays = _arrays(5, 3000)
    clusters = np.random.default_rng(6).integers(0, 600, 3000)
    log = LoggedRounds.of(**arrays, clusters=clusters)
    names = np.unique(clusters)
    left_out = []
    for name in names:
        kept = clusters != name
        left_out.append(_direct(**{k: v[kept] for k, v in arrays.items()}))
    deviations = np.array(left_out) - np.mean(left_out, axis=0)
    jackknife = np.sqrt((len(names) - 1) / len(names) * (deviations**2).sum(axis=0))
    found = [getattr(log, method)().standard_error for method in METHODS]
    np.testing.assert_allclose(found, jackknife, rtol=0.01)


def test_the_effect_against_the_logged_policy_is_paired() -> None:
    arrays = _arrays(7, 4000)
    effect = LoggedRounds.of(**arrays).effect("ips")
    differences = (arrays["evaluated"] / arrays["logged"] - 1) * arrays["rewards"]
    assert effect.difference == pytest.approx(differences.mean())
    assert effect.standard_error == pytest.approx(differences.std(ddof=1) / math.sqrt(4000))


def test_the_same_policy_has_no_effect_and_full_weight() -> None:
    arrays = _arrays(8)
    log = LoggedRounds.of(arrays["rewards"], logged=arrays["logged"], evaluated=arrays["logged"])
    assert log.ips().value == log.snips().value == pytest.approx(arrays["rewards"].mean())
    assert log.effect("ips").difference == pytest.approx(0)
    assert log.check_weights().effective_rounds == pytest.approx(60)


def _simulated(rng: np.random.Generator, n: int, model_error: float, chance_error: float) -> LoggedRounds:
    """Two contexts, three actions; the other policy's true value is 2.0."""
    means = np.array([[1.0, 2.0, 3.0], [4.0, 2.0, 1.0]])
    ran = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
    other = np.array([[0.2, 0.4, 0.4], [0.1, 0.4, 0.5]])
    # Context 0: .2 + .8 + 1.2 = 2.2; context 1: .4 + .8 + .5 = 1.7; with chances .6 and .4 that is 2.0.
    context = (rng.random(n) < 0.4).astype(int)
    action = (rng.random(n)[:, None] > np.cumsum(ran, axis=1)[context][:, :2]).sum(axis=1)
    reward = means[context, action] + rng.exponential(1.0, n) - 1
    model = means + model_error * np.array([[1, -0.5, 1], [0.2, 1, 1]])
    chances = ran[context, action] ** (1 - chance_error)
    return LoggedRounds.of(
        reward,
        logged=chances,
        evaluated=other[context, action],
        predicted=model[context, action],
        baseline=(other * model).sum(axis=1)[context],
    )


@pytest.mark.parametrize("model_error", [0.0, 1.0])
def test_weighted_intervals_cover_whatever_the_reward_model(model_error: float) -> None:
    rng = np.random.default_rng(11)
    hits = dict.fromkeys(("ips", "snips", "dr", "sndr"), 0)
    trials = 600
    for _ in range(trials):
        log = _simulated(rng, 400, model_error, 0.0)
        for method in hits:
            low, high = getattr(log, method)().interval(0.05)
            hits[method] += low <= 2.0 <= high
    for count in hits.values():
        assert 0.925 <= count / trials <= 0.975


def test_doubly_robust_survives_a_wrong_model_or_wrong_propensities_but_the_others_do_not() -> None:
    rng = np.random.default_rng(12)
    wrong_model = _simulated(rng, 100_000, 1.0, 0.0)
    wrong_chances = _simulated(rng, 100_000, 0.0, 0.3)
    assert wrong_model.dr().value == pytest.approx(2.0, abs=0.03)
    assert wrong_model.sndr().value == pytest.approx(2.0, abs=0.03)
    assert abs(wrong_model.dm().value - 2.0) > 0.1
    assert wrong_chances.dr().value == pytest.approx(2.0, abs=0.03)
    assert abs(wrong_chances.ips().value - 2.0) > 0.1
    assert "INSTEAD OF 1" in str(wrong_chances.ips().warning)
    assert wrong_model.ips().warning is None


def test_actions_that_were_never_taken_are_noticed() -> None:
    rng = np.random.default_rng(13)
    # The other policy takes the second action half of the time; the one that ran never does.
    log = LoggedRounds.of(rng.random(5000), logged=np.ones(5000), evaluated=np.full(5000, 0.5))
    assert log.check_weights().mean_weight == 0.5
    assert "INSTEAD OF 1" in str(log.snips().warning)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logged": [0.0, 0.5]}, "above 0"),
        ({"logged": [1.5, 0.5]}, "at most 1"),
        ({"evaluated": [0.5, 1.1]}, "between 0 and 1"),
        ({"rewards": [math.nan, 1]}, "finite"),
        ({"rewards": [1]}, "length"),
        ({"rewards": []}, "at least one"),
        ({"predicted": [1, 1]}, "both"),
    ],
)
def test_rounds_that_make_no_sense_are_refused(changes: dict[str, list[float]], message: str) -> None:
    rounds = {"rewards": [1, 0], "logged": [0.5, 0.5], "evaluated": [0.5, 0.5]} | changes
    with pytest.raises(ValueError, match=message):
        LoggedRounds.of(**rounds)  # type: ignore[arg-type]


def test_what_cannot_be_estimated_is_refused() -> None:
    log = LoggedRounds.of([1, 0], logged=[0.5, 0.5], evaluated=[0, 0])
    with pytest.raises(ValueError, match="nothing"):
        log.snips()
    with pytest.raises(ValueError, match="nothing"):
        log.ips()
    with pytest.raises(ValueError, match="reward model"):
        log.dr()
    with pytest.raises(ValueError, match="method"):
        log.effect("best")
    with pytest.raises(ValueError, match="at least 2"):
        LoggedRounds.of([1], logged=[0.5], evaluated=[0.5]).ips()
    modelled = LoggedRounds.of([1, 0], logged=[1, 1], evaluated=[1, 1], predicted=[0, 0], baseline=[0, 0])
    with pytest.raises(ValueError, match="do not add"):
        log + modelled
    same = LoggedRounds.of([1, 1], logged=[1, 1], evaluated=[1, 1])
    with pytest.raises(ValueError, match="no spread"):
        same.snips().interval(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 2_000])
@pytest.mark.parametrize("model_error", [0.0, 1.0])
def test_calibration_of_off_policy_intervals(n: int, model_error: float, calibration: Calibration) -> None:
    rng, runs = np.random.default_rng(31), 3_000
    hits = dict.fromkeys(("ips", "snips", "dr", "sndr", "dm"), 0)
    for _ in range(runs):
        log = _simulated(rng, n, model_error, 0.0)
        for method in hits:
            low, high = getattr(log, method)().interval(0.05)
            hits[method] += low <= 2.0 <= high
    rows = [
        calibration.record(
            "Off-policy values",
            f"{method}, {n:,} rounds, reward model {'wrong' if model_error else 'right'}",
            "coverage",
            nominal=0.95,
            observed=count / runs,
            runs=runs,
            seed=31,
            slack=0.0 if method == "dm" else 0.015,
            bound="beside" if method == "dm" else "about",
        )
        for method, count in hits.items()
    ]
    assert all(row.kept is not False for row in rows)
