"""A judge's scores on all and people's labels on some, together, against direct definitions and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Calibration

from promptarena.stats.moments import Moments
from promptarena.stats.prediction_powered import (
    AuditMoments,
    prediction_powered_difference,
    prediction_powered_mean,
)

Vector = NDArray[np.float64]


def binary(y: int, f: int, yf: int, rest: int, labelled: int = 400, unlabelled: int = 12_000) -> AuditMoments:
    return AuditMoments.from_sums(
        labelled=labelled,
        labels=y,
        labels_squared=y,
        scores=f,
        scores_squared=f,
        products=yf,
        unlabelled=unlabelled,
        unlabelled_scores=rest,
        unlabelled_scores_squared=rest,
    )


CONTROL = binary(234, 242, 209, 6928)
TREATMENT = binary(264, 264, 228, 7560)


def test_the_worked_audit_has_its_lambda_estimate_and_interval() -> None:
    found = prediction_powered_mean(CONTROL)
    assert found.tuning[0] == pytest.approx(0.669, abs=5e-4)
    assert found.value == pytest.approx(0.5665, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((0.5315, 0.6015), abs=1e-4)
    assert prediction_powered_mean(TREATMENT).value == pytest.approx(0.6432, abs=1e-4)


def test_the_worked_difference_is_surer_than_labels_alone() -> None:
    found = prediction_powered_difference(CONTROL, TREATMENT)
    assert found.value == pytest.approx(0.0767, abs=1e-4)
    assert found.standard_error == pytest.approx(0.0262, abs=1e-4)
    assert found.labels_only_error == pytest.approx(0.0342, abs=1e-4)
    assert found.labels_only == pytest.approx(264 / 400 - 234 / 400)
    assert found.judge_bias == pytest.approx(0 - 8 / 400)


def draw(
    rng: np.random.Generator, n: int, unlabelled: int, noise: float = 1.0
) -> tuple[Vector, Vector, Vector]:
    y = rng.normal(3, 1, n + unlabelled)
    f = 0.4 + 0.8 * y + rng.normal(0, noise, len(y))
    return y[:n], f[:n], f[n:]


def test_the_error_is_the_textbooks_for_items_that_stand_alone() -> None:
    y, f, g = draw(np.random.default_rng(5), 300, 5_000)
    found = prediction_powered_mean(AuditMoments.from_records(y, f, g))
    pooled = np.concatenate([f, g]).var()
    tuning = np.cov(y, f, ddof=0)[0, 1] / pooled / (1 + len(y) / len(g))
    value = y.mean() - tuning * (f.mean() - g.mean())
    variance = (y - tuning * f).var(ddof=1) / len(y) + tuning**2 * g.var() / len(g)
    assert found.tuning[0] == pytest.approx(tuning, rel=1e-12)
    assert found.value == pytest.approx(value, rel=1e-12)
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=1e-4)


def test_lambda_zero_is_the_labels_alone_and_one_the_first_proposal() -> None:
    y, f, g = draw(np.random.default_rng(6), 50, 900)
    audit = AuditMoments.from_records(y, f, g)
    alone = prediction_powered_mean(audit, tuning=0)
    assert alone.value == pytest.approx(y.mean())
    assert alone.standard_error == pytest.approx(y.std(ddof=1) / math.sqrt(50))
    first = prediction_powered_mean(audit, tuning=1)
    assert first.value == pytest.approx(g.mean() + (y - f).mean())


def test_the_tuned_lambda_has_less_variance_than_its_neighbours() -> None:
    y, f, g = draw(np.random.default_rng(7), 400, 400)
    audit = AuditMoments.from_records(y, f, g)
    best = prediction_powered_mean(audit)
    for other in (best.tuning[0] - 0.15, best.tuning[0] + 0.15):
        assert prediction_powered_mean(audit, tuning=other).standard_error > best.standard_error


def test_a_judge_that_says_one_thing_or_nothing_of_worth_leaves_the_labels() -> None:
    y, _, g = draw(np.random.default_rng(8), 80, 500)
    constant = AuditMoments.from_records(y, np.full(80, 3.0), np.full(500, 3.0))
    assert prediction_powered_mean(constant).value == pytest.approx(y.mean())
    contrary = AuditMoments.from_records(y, -y, g)
    assert prediction_powered_mean(contrary).tuning == (0.0,)
    all_labelled = AuditMoments.from_records(y, y, [])
    assert prediction_powered_mean(all_labelled).value == pytest.approx(y.mean())


def test_items_copied_within_a_cluster_add_no_certainty() -> None:
    y, f, g = draw(np.random.default_rng(9), 60, 300)
    single = AuditMoments.from_records(y, f, g)
    copied = AuditMoments.from_records(
        np.repeat(y, 3),
        np.repeat(f, 3),
        np.repeat(g, 3),
        clusters=np.repeat(np.arange(60), 3),
        unlabelled_clusters=np.repeat(np.arange(60, 360), 3),
    )
    one = prediction_powered_mean(single)
    other = prediction_powered_mean(copied, tuning=one.tuning[0])
    assert other.value == pytest.approx(one.value)
    assert other.standard_error == pytest.approx(one.standard_error)
    assert other.labelled == 60


def test_the_clustered_error_is_the_jackknifes() -> None:
    rng = np.random.default_rng(10)
    group = rng.integers(0, 80, 1_000)
    y = rng.normal(size=80)[group] + rng.normal(size=1_000)
    f = 0.7 * y + rng.normal(size=1_000)
    labelled = rng.random(1_000) < 0.3

    def estimate(kept: NDArray[np.bool_]) -> AuditMoments:
        one, rest = labelled & kept, ~labelled & kept
        return AuditMoments.from_records(
            y[one], f[one], f[rest], clusters=group[one], unlabelled_clusters=group[rest]
        )

    everything = np.ones(1_000, dtype=np.bool_)
    found = prediction_powered_mean(estimate(everything))
    without = np.array(
        [prediction_powered_mean(estimate(group != each), tuning=found.tuning[0]).value for each in range(80)]
    )
    jackknife = math.sqrt(79 / 80 * ((without - without.mean()) ** 2).sum())
    assert found.standard_error == pytest.approx(jackknife, rel=0.03)


@given(st.integers(1, 59), st.integers(0, 2**32 - 1))
def test_parts_added_are_the_whole(cut: int, seed: int) -> None:
    y, f, g = draw(np.random.default_rng(seed), 60, 60)
    whole = prediction_powered_mean(AuditMoments.from_records(y, f, g))
    parts = AuditMoments.from_records(y[:cut], f[:cut], g[:cut]) + AuditMoments.from_records(
        y[cut:], f[cut:], g[cut:]
    )
    added = prediction_powered_mean(parts)
    assert (added.value, added.standard_error) == pytest.approx((whole.value, whole.standard_error))


def test_moments_and_records_say_the_same() -> None:
    y, f, g = draw(np.random.default_rng(11), 70, 700)
    from_rows = prediction_powered_mean(AuditMoments.from_records(y, f, g))
    parts = AuditMoments.from_parts(Moments.from_values(np.column_stack([y, f])), Moments.from_values(g))
    found = prediction_powered_mean(parts)
    assert found.tuning == pytest.approx(from_rows.tuning)
    assert (found.value, found.standard_error) == pytest.approx((from_rows.value, from_rows.standard_error))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: prediction_powered_mean(AuditMoments.from_records([1], [1], [1, 2])), "at least 2 clusters"),
        (lambda: prediction_powered_mean(CONTROL, tuning=1.5), r"lies in \[0, 1\]"),
        (lambda: AuditMoments.from_records([1, 2], [1], [1]), "one score"),
        (lambda: AuditMoments.from_records([1], [1], [1], clusters=[1]), "or of neither"),
        (lambda: AuditMoments.from_records([1], [1], [1], probabilities=[0.0]), "above 0"),
        (lambda: AuditMoments.from_records([float("nan")], [1], [1]), "finite"),
        (lambda: AuditMoments.from_parts(Moments.empty(1), Moments.empty(1)), "a label and a score"),
    ],
)
def test_what_cannot_be_estimated_is_refused(wrong: object, said: str) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=said):
        wrong()


def test_drawing_bad_answers_more_often_needs_the_weights() -> None:
    """An audit that favours low scores is biased as drawn, and not with its probabilities."""
    rng = np.random.default_rng(12)
    plain, weighted, errors = [], [], []
    for _ in range(300):
        y = (rng.random(2_000) < 0.7).astype(float)
        f = np.where(rng.random(2_000) < 0.2, 1 - y, y)
        p = np.where(f == 0, 0.3, 0.05)
        drawn = rng.random(2_000) < p
        one = AuditMoments.from_records(y[drawn], f[drawn], f[~drawn])
        plain.append(prediction_powered_mean(one).value)
        other = AuditMoments.from_records(y[drawn], f[drawn], f[~drawn], probabilities=p[drawn])
        weighted.append(prediction_powered_mean(other).value)
        errors.append(prediction_powered_mean(other).standard_error)
    assert np.mean(errors) == pytest.approx(np.std(weighted), rel=0.15)
    error = np.std(weighted) / math.sqrt(300)
    assert abs(np.mean(weighted) - 0.7) < 4 * error
    assert abs(np.mean(plain) - 0.7) > 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("design", ["alone", "clustered", "weighted"])
@pytest.mark.parametrize("labels", [50, 400])
def test_intervals_cover_the_mean_whatever_the_judge_is_worth(
    design: str, labels: int, calibration: Calibration
) -> None:
    runs, items = 4_000, 4_000
    for quality in (0.55, 0.75, 0.95):
        seed = (11, labels, round(100 * quality))
        rng = np.random.default_rng(seed)
        covered = surer = 0
        for _ in range(runs):
            group = np.arange(items) // 4 if design == "clustered" else np.arange(items)
            base = rng.beta(3, 2, group[-1] + 1) if design == "clustered" else np.full(items, 0.6)
            y = (rng.random(items) < base[group]).astype(float)
            f = np.where(rng.random(items) < quality, y, 1 - y)
            p = np.full(items, labels / items)
            if design == "weighted":
                p = np.where(f == 0, 1.5, 0.5) * labels / items
            drawn = rng.random(items) < p
            audit = AuditMoments.from_records(
                y[drawn],
                f[drawn],
                f[~drawn],
                clusters=group[drawn] if design == "clustered" else None,
                unlabelled_clusters=group[~drawn] if design == "clustered" else None,
                probabilities=p[drawn] if design == "weighted" else None,
            )
            found = prediction_powered_mean(audit)
            covered += found.low <= 0.6 <= found.high
            surer += found.standard_error < found.labels_only_error
        row = calibration.record(
            "Prediction-powered means",
            f"{design}, about {labels} labels of {items:,}, judge right in {quality:.0%}",
            "coverage",
            nominal=0.95,
            observed=covered / runs,
            runs=runs,
            seed=seed,
            slack=(0.03 if design == "weighted" else 0.015) if labels < 100 else 0.005,
        )
        assert row.kept
        assert surer / runs > (0.9 if quality > 0.9 else 0.2)
