"""Trust in a judge by the bounds of its agreement; its bias by variant, beside Hotelling's and Student's tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multivariate import test_mvmean as hotelling
from tests.calibration import Calibration

from promptarena.stats.agreement import raw_agreement
from promptarena.stats.judge_audit import Trust, bias_by_variant, decide_trust, labels_needed
from promptarena.stats.proportions import proportion


def test_six_of_eight_against_a_policy_of_eighty_percent_is_recalibrated() -> None:
    audit = raw_agreement([1] * 8, [1] * 6 + [0] * 2)
    assert (round(audit.low, 2), round(audit.high, 2)) == (0.41, 0.93)
    assert decide_trust(audit.low, 0.8) is Trust.RECALIBRATE


def test_eight_of_eight_is_not_yet_eighty_percent_and_enough_of_them_are() -> None:
    assert decide_trust(proportion([1] * 8).low, 0.8) is Trust.RECALIBRATE
    assert decide_trust(proportion([1] * 40).low, 0.8) is Trust.ENABLE


def test_an_agreement_without_a_bound_enables_nothing() -> None:
    assert decide_trust(None, 0.1) is Trust.RECALIBRATE


@pytest.mark.parametrize(("agreement", "threshold"), [(0.9, 0.8), (0.95, 0.9), (0.7, 0.6)])
def test_the_labels_needed_just_reach_the_threshold(agreement: float, threshold: float) -> None:
    def low(n: int) -> float:
        # Wilson's bound of n labels of which a share, whole or not, agrees.
        z2 = float(scipy.stats.norm.ppf(0.975)) ** 2
        centre = agreement + z2 / (2 * n)
        half = math.sqrt(z2 * (agreement * (1 - agreement) / n + z2 / (4 * n * n)))
        return (centre - half) / (1 + z2 / n)

    needed = labels_needed(agreement, threshold)
    assert needed is not None
    assert low(needed) >= threshold > low(needed - 1)
    assert labels_needed(threshold, threshold) is None


def test_with_two_variants_it_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    human = rng.integers(1, 6, (40, 2))
    judge = human + rng.normal([0.4, 0.0], 1, (40, 2))
    case, variant = np.indices((40, 2))
    found = bias_by_variant(judge.ravel(), human.ravel(), variant.ravel(), case.ravel())
    difference = judge - human
    assert found.p_value == pytest.approx(
        scipy.stats.ttest_rel(difference[:, 0], difference[:, 1]).pvalue, rel=1e-9
    )
    assert found.variants[0].value == pytest.approx(difference[:, 0].mean())
    assert found.variants[0].standard_error == pytest.approx(difference[:, 0].std(ddof=1) / math.sqrt(40))
    assert found.overall.value == pytest.approx(difference.mean())
    assert found.overall.standard_error == pytest.approx(difference.mean(axis=1).std(ddof=1) / math.sqrt(40))


def test_with_four_variants_it_is_hotellings() -> None:
    rng = np.random.default_rng(2)
    difference = rng.normal(0.2, 1, (30, 4)) + rng.normal(size=(30, 1))
    case, variant = np.indices((30, 4))
    found = bias_by_variant(difference.ravel(), np.zeros(120), variant.ravel(), case.ravel())
    theirs = hotelling(difference[:, 1:] - difference[:, :1])
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_nothing_that_varies_and_too_few_cases_have_no_p_value() -> None:
    assert bias_by_variant([3, 3, 3, 3], [2, 2, 2, 2], list("abab"), [1, 1, 2, 2]).p_value is None
    assert bias_by_variant([3, 4], [2, 2], list("ab"), [1, 1]).p_value is None
    alone = bias_by_variant([3, 4, 5], [2, 2, 2], list("aaa"))
    assert alone.p_value is None
    assert alone.variants["a"].value == 2


@pytest.mark.parametrize(
    ("judge", "human", "variants", "said"),
    [
        ([], [], [], "at least one"),
        ([float("nan")], [1], ["a"], "finite"),
        ([1, 2], [1, 2], ["a"], "one variant"),
    ],
)
def test_what_has_no_bias_is_refused(
    judge: list[float], human: list[float], variants: list[str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        bias_by_variant(judge, human, variants)


def test_a_judge_alike_to_all_is_called_biased_as_often_as_declared() -> None:
    """Five variants, some answers unlabelled, cases that differ: 5% of 2,000 audits."""
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(2_000):
        difference = rng.integers(-1, 2, (40, 3)) + rng.normal(size=(40, 1))
        kept = rng.random((40, 3)) < 0.8
        case, variant = np.indices((40, 3))
        found = bias_by_variant(difference[kept], np.zeros(kept.sum()), variant[kept], case[kept])
        rejected += found.p_value is not None and found.p_value < 0.05
    assert abs(rejected / 2_000 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 2_000) + 0.01


@pytest.mark.slow
def test_calibration_of_a_judges_audit(calibration: Calibration) -> None:
    rng, runs = np.random.default_rng(30), 10_000
    rejected = 0
    for _ in range(runs):
        difference = rng.integers(-1, 2, (40, 3)) + rng.normal(size=(40, 1))
        kept = rng.random((40, 3)) < 0.8
        case, variant = np.indices((40, 3))
        found = bias_by_variant(difference[kept], np.zeros(kept.sum()), variant[kept], case[kept])
        rejected += found.p_value is not None and found.p_value < 0.05
    rows = [
        calibration.record(
            "Audits of a judge",
            "40 cases of three variants, a fifth unlabelled, the judge alike to all",
            "called biased",
            nominal=0.05,
            observed=rejected / runs,
            runs=runs,
            seed=30,
            slack=0.01,
        )
    ]
    for labels in (20, 50, 200):
        right = rng.binomial(labels, 0.8, runs)
        lows = {k: proportion([1.0] * k + [0.0] * (labels - k)).low for k in np.unique(right).tolist()}
        enabled = np.mean([decide_trust(lows[k], 0.8) is Trust.ENABLE for k in right.tolist()])
        rows.append(
            calibration.record(
                "Audits of a judge",
                f"{labels} labels, true agreement at the threshold of .8",
                "enabled",
                nominal=0.025,
                observed=float(enabled),
                runs=runs,
                seed=30,
                bound="at most",
                slack=0.005,
            )
        )
    assert all(row.kept for row in rows)
