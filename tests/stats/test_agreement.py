"""Agreement against statsmodels, evalica, slow direct definitions, published figures and simulation."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import evalica
import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as other_fleiss_kappa
from tests.calibration import Calibration

from promptarena.stats.agreement import (
    Agreement,
    Level,
    Weights,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    raw_agreement,
)


def _two_raters(
    rng: np.random.Generator, n: int, same: float = 0.6, k: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    first = rng.integers(0, k, n)
    return first, np.where(rng.random(n) < same, first, rng.integers(0, k, n))


def test_the_judge_of_llmbar_agrees_with_gold_and_with_itself_as_published(shared_data: Path) -> None:
    with (shared_data / "judge_llmbar" / "judgments_both_orders.csv").open() as file:
        rows = [
            row for row in csv.DictReader(file) if (row["judge"], row["strategy"]) == ("GPT-4", "Vanilla")
        ]
    gold, one, other = ([row[name] for row in rows] for name in ("label", "w_noswap", "w_swap"))
    right = raw_agreement(gold * 2, one + other, [*range(100), *range(100)])
    assert right.value == pytest.approx(0.955)
    assert right.low < 0.93 < right.value < right.high
    assert sum(g == a == b for g, a, b in zip(gold, one, other, strict=True)) == 93
    assert cohen_kappa(one, other).value == pytest.approx(0.8977, abs=5e-5)


def test_the_consistent_verdicts_of_prd_agree_with_most_people_as_published(shared_data: Path) -> None:
    with (shared_data / "judge_prd" / "ratings.csv").open() as file:
        rows = list(csv.DictReader(file))
    flip = {"1": "2", "2": "1", "3": "3"}
    judge: dict[tuple[str, str, str], set[str]] = {}
    people: dict[tuple[str, str, str], Counter[str]] = {}
    for row in rows:
        a, b, score = row["a"], row["b"], row["score"]
        if a > b:
            a, b, score = b, a, flip[score]
        if row["judge"] == "gpt4":
            judge.setdefault((a, b, row["q"]), set()).add(score)
        else:
            people.setdefault((a, b, row["q"]), Counter())[score] += 1
    said: list[str] = []
    most: list[str] = []
    for pair, verdicts in judge.items():
        winner = next(
            (score for score, n in people.get(pair, Counter()).items() if 2 * n > people[pair].total()), "3"
        )
        if len(verdicts) == 1 and "3" not in verdicts and winner != "3":
            said += verdicts
            most.append(winner)
    found = raw_agreement(said, most)
    assert (found.n, round(found.value, 4)) == (457, 0.8578)


@pytest.mark.parametrize(
    ("weights", "theirs"), [("unweighted", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_cohens_kappa_and_its_error_are_those_of_statsmodels(weights: Weights, theirs: str | None) -> None:
    first, second = _two_raters(np.random.default_rng(3), 250)
    table = np.zeros((4, 4))
    np.add.at(table, (first, second), 1)
    expected = cohens_kappa(table, wt=theirs)
    found = cohen_kappa(first, second, weights=weights)
    assert found.value == pytest.approx(expected.kappa, rel=1e-12)
    assert found.standard_error == pytest.approx(expected.std_kappa, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((expected.kappa_low, expected.kappa_upp), rel=1e-6)


@given(labels=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=30))
def test_kappa_does_not_depend_on_who_is_first_nor_on_what_labels_are_called(
    labels: list[tuple[int, int]],
) -> None:
    one, other = (list(side) for side in zip(*labels, strict=True))
    if len(set(one + other)) < 2:
        return
    found = cohen_kappa(one, other)
    assert cohen_kappa(other, one).value == pytest.approx(found.value)
    named = cohen_kappa([f"label {label}" for label in one], [f"label {label}" for label in other])
    assert named == found
    assert found.value <= 1


def test_labels_copied_within_a_case_add_no_certainty() -> None:
    first, second = _two_raters(np.random.default_rng(4), 120)
    once = cohen_kappa(first, second)
    cases = np.repeat(np.arange(120), 3)
    again = cohen_kappa(np.repeat(first, 3), np.repeat(second, 3), cases)
    assert again.value == pytest.approx(once.value)
    assert again.standard_error == pytest.approx(once.standard_error)


def test_perfect_agreement_has_no_known_error() -> None:
    found = cohen_kappa([1, 2, 1], [1, 2, 1])
    assert (found.value, found.standard_error, found.low, found.high) == (1.0, None, None, None)


def test_one_label_only_leaves_chance_agreement_undefined() -> None:
    with pytest.raises(ValueError, match="every label is the same"):
        cohen_kappa([1, 1], [1, 1])
    with pytest.raises(ValueError, match="every label is the same"):
        fleiss_kappa([[3, 0], [3, 0]])
    with pytest.raises(ValueError, match="every label is the same"):
        krippendorff_alpha([[1, 1], [1, 1]])


def _many_raters(rng: np.random.Generator, n: int, m: int) -> np.ndarray:
    truth = rng.integers(0, 3, (n, 1))
    return np.where(rng.random((n, m)) < 0.6, truth, rng.integers(0, 3, (n, m))).astype(float)


def _counts(ratings: np.ndarray) -> np.ndarray:
    return np.stack([(ratings == value).sum(axis=1) for value in range(3)], axis=1)


def test_fleiss_kappa_is_that_of_statsmodels_and_its_error_the_jackknifes() -> None:
    counts = _counts(_many_raters(np.random.default_rng(5), 80, 5))
    found = fleiss_kappa(counts)
    assert found.value == pytest.approx(other_fleiss_kappa(counts), rel=1e-12)
    without = np.array([other_fleiss_kappa(np.delete(counts, item, axis=0)) for item in range(80)])
    jackknife = math.sqrt(79 / 80 * ((without - without.mean()) ** 2).sum())
    assert found.standard_error == pytest.approx(jackknife, rel=0.02)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_krippendorffs_alpha_is_that_of_evalica_with_ratings_missing(level: Level) -> None:
    rng = np.random.default_rng(6)
    ratings = _many_raters(rng, 60, 4)
    ratings[rng.random(ratings.shape) < 0.25] = math.nan
    expected = evalica.alpha(pandas.DataFrame(ratings.T), distance=level).alpha
    assert krippendorff_alpha(ratings, level=level).value == pytest.approx(expected, rel=1e-9)


def test_krippendorffs_worked_example_has_its_published_alphas() -> None:
    # Krippendorff (2011), "Computing Krippendorff's alpha-reliability", example C: four observers, twelve
    # units.
    nan = math.nan
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    ratings = np.array(observers).T
    assert krippendorff_alpha(ratings, level="nominal").value == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(ratings, level="ordinal").value == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(ratings, level="interval").value == pytest.approx(0.849, abs=5e-4)


def _measure_of(name: str) -> Callable[[np.ndarray], Agreement]:
    if name == "cohen":
        return lambda ratings: cohen_kappa(ratings[:, 0], ratings[:, 1])
    return krippendorff_alpha if name == "krippendorff" else lambda ratings: fleiss_kappa(_counts(ratings))


@pytest.mark.parametrize("measure", ["cohen", "fleiss", "krippendorff"])
def test_intervals_cover_the_agreement_of_all_items(measure: str) -> None:
    rng = np.random.default_rng(8)
    compute = _measure_of(measure)
    truth = compute(_many_raters(np.random.default_rng(9), 20_000, 3)).value
    runs, covered = 300, 0
    for _ in range(runs):
        found = compute(_many_raters(rng, 80, 3))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert covered / runs > 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([1], [1, 2]), ([1.0, math.nan], [1.0, 1.0]), ([[1]], [[1]])]
)
def test_what_cannot_be_compared_is_refused(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError):
        raw_agreement(first, second)


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="same number of raters"):
        fleiss_kappa([[2, 1], [2, 0]])
    with pytest.raises(ValueError, match="two items"):
        krippendorff_alpha([[1.0, math.nan], [1.0, 2.0]])
    with pytest.raises(ValueError, match="finite"):
        krippendorff_alpha([[1.0, math.inf], [1.0, 2.0]])


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["cohen", "fleiss", "krippendorff"])
@pytest.mark.parametrize("items", [40, 80, 300])
def test_calibration_of_intervals_of_agreement(measure: str, items: int, calibration: Calibration) -> None:
    rng, runs = np.random.default_rng(28), 2_000
    compute = _measure_of(measure)
    truth = compute(_many_raters(np.random.default_rng(9), 100_000, 3)).value
    covered = 0
    for _ in range(runs):
        found = compute(_many_raters(rng, items, 3))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    row = calibration.record(
        "Coefficients of agreement",
        f"{measure}, {items} items",
        "coverage",
        nominal=0.95,
        observed=covered / runs,
        runs=runs,
        seed=28,
        slack=0.02,
    )
    assert row.kept
