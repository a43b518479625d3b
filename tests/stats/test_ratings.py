"""Ratings against published figures, two other implementations, slow direct definitions and simulation."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import choix
import evalica
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.calibration import Bound, Calibration

from promptarena.stats.ratings import (
    average_win_rates,
    bradley_terry,
    comparable_groups,
    elo,
    fit_strengths,
    win_matrix,
)

SCORE = {"left": 1.0, "right": 0.0, "tie": 0.5}
Comparisons = tuple[np.ndarray, np.ndarray, np.ndarray]


def _draw(rng: np.random.Generator, strengths: np.ndarray, n: int, ties: float = 0.0) -> Comparisons:
    k = len(strengths)
    first = rng.integers(0, k, n)
    second = (first + rng.integers(1, k, n)) % k
    chance = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    score = np.where(rng.random(n) < ties, 0.5, (rng.random(n) < chance).astype(float))
    return first, second, score


@pytest.mark.parametrize("name", ["food", "simple"])
def test_published_votes_give_their_golden_columns(name: str, shared_data: Path) -> None:
    folder = shared_data / "votes_llmfao"
    with (folder / f"{name}.csv").open() as file:
        votes = list(csv.DictReader(file))
    with (folder / f"{name}-golden.csv").open() as file:
        golden = {(row["algorithm"], row["item"]): float(row["score"]) for row in csv.DictReader(file)}
    players = sorted({vote["left"] for vote in votes} | {vote["right"] for vote in votes})
    first = [players.index(vote["left"]) for vote in votes]
    second = [players.index(vote["right"]) for vote in votes]
    score = [SCORE[vote["winner"]] for vote in votes]
    wins = win_matrix(first, second, score, len(players))

    odds = np.exp(fit_strengths(wins))
    found = {
        "bradley_terry": odds / odds.sum(),  # their normalisation: odds that sum to one
        "average_win_rate": average_win_rates(wins),
        "elo": elo(first, second, score, len(players)),
    }
    for algorithm, values in found.items():
        expected = [golden[algorithm, player] for player in players]
        assert values == pytest.approx(expected, rel=1e-9), algorithm


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_strengths_equal_those_of_two_other_implementations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second, score = _draw(rng, rng.normal(0, 1, 12), 3000)
    ours = fit_strengths(win_matrix(first, second, score, 12))

    winners = [evalica.Winner.X if won else evalica.Winner.Y for won in score]
    odds = evalica.bradley_terry(
        first.tolist(), second.tolist(), winners, tolerance=1e-12, limit=10_000
    ).scores.sort_index()
    theirs = np.log(odds.to_numpy())
    assert ours == pytest.approx(theirs - theirs.mean(), abs=1e-6)

    wins = [(i, j) if won else (j, i) for i, j, won in zip(first, second, score, strict=True)]
    assert ours == pytest.approx(choix.opt_pairwise(12, wins, alpha=0.0, tol=1e-9), abs=1e-4)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), players=st.integers(2, 7))
def test_strengths_do_not_depend_on_how_players_are_numbered(seed: int, players: int) -> None:
    rng = np.random.default_rng(seed)
    wins = rng.integers(1, 30, (players, players)).astype(float)
    np.fill_diagonal(wins, 0)
    order = rng.permutation(players)
    shuffled = fit_strengths(wins[np.ix_(order, order)])
    assert shuffled == pytest.approx(fit_strengths(wins)[order], abs=1e-8)
    assert shuffled.sum() == pytest.approx(0, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000))
def test_expected_wins_at_the_maximum_are_the_observed_ones(seed: int) -> None:
    wins = np.random.default_rng(seed).gamma(0.3, 10, (6, 6)) + 1e-3
    np.fill_diagonal(wins, 0)
    strengths = fit_strengths(wins)
    for player in range(6):
        expected = sum(
            (wins[player, other] + wins[other, player]) / (1 + math.exp(strengths[other] - strengths[player]))
            for other in range(6)
            if other != player
        )
        assert expected == pytest.approx(wins[player].sum(), rel=1e-7)


def test_very_unequal_players_still_converge() -> None:
    wins = np.array([[0, 1e6, 1e6], [1, 0, 1e6], [1, 1, 0]])
    strengths = fit_strengths(wins)
    assert np.diff(strengths) == pytest.approx([-math.log(1e6)] * 2, rel=0.3)


@pytest.mark.parametrize(
    ("wins", "groups"),
    [
        ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 2], [0, 0, 3, 0]], [[0, 1], [2, 3]]),  # never met
        ([[0, 1, 5], [1, 0, 5], [0, 0, 0]], [[0, 1], [2]]),  # the last lost everything
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [[0, 1, 2]]),  # a circle is enough
        ([[0, 5], [0, 0]], [[0], [1]]),
    ],
)
def test_players_that_one_scale_cannot_hold_are_told_apart(
    wins: list[list[float]], groups: list[list[int]]
) -> None:
    assert comparable_groups(wins) == groups
    if len(groups) > 1:
        with pytest.raises(ValueError, match="strengths do not exist"):
            fit_strengths(wins)
    else:
        assert fit_strengths(wins) == pytest.approx([0.0] * len(wins))


def test_groups_are_those_of_a_walk_along_wins() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        wins = (rng.random((7, 7)) < 0.22) * (1 - np.eye(7))

        def reached(start: int, wins: np.ndarray = wins) -> set[int]:
            seen, todo = {start}, [start]
            while todo:
                player = todo.pop()
                for other in np.flatnonzero(wins[player]):
                    if int(other) not in seen:
                        seen.add(int(other))
                        todo.append(int(other))
            return seen

        reach = [reached(player) for player in range(7)]
        for group in comparable_groups(wins):
            for player in range(7):
                together = player in reach[group[0]] and group[0] in reach[player]
                assert (player in group) == together


def test_errors_are_the_sandwich_written_out() -> None:
    rng = np.random.default_rng(11)
    first, second, score = _draw(rng, np.array([1.0, 0.3, 0.0, -1.3]), 300, ties=0.2)
    cases = rng.integers(0, 40, 300)
    fit = bradley_terry(first, second, score, 4, cases)

    bread, gradients = np.zeros((4, 4)), np.zeros((40, 4))
    for i, j, won, case in zip(first, second, score, cases, strict=True):
        chance = 1 / (1 + math.exp(fit.strengths[j] - fit.strengths[i]))
        direction = np.eye(4)[i] - np.eye(4)[j]
        bread += chance * (1 - chance) * np.outer(direction, direction)
        gradients[case] += (won - chance) * direction
    inverse = np.linalg.pinv(bread)
    assert fit.covariance == pytest.approx(inverse @ (gradients.T @ gradients) @ inverse * 40 / 39, abs=1e-10)

    alone = bradley_terry(first, second, score, 4)
    one_each = bradley_terry(first, second, score, 4, np.arange(300))
    assert alone.covariance == pytest.approx(one_each.covariance, abs=1e-12)
    assert alone.cases == 300


def test_judging_every_comparison_twice_adds_no_certainty() -> None:
    rng = np.random.default_rng(12)
    first, second, score = _draw(rng, np.array([0.5, 0.0, -0.5]), 200)
    cases = np.arange(200)
    once = bradley_terry(first, second, score, 3, cases)
    twice = bradley_terry(np.tile(first, 2), np.tile(second, 2), np.tile(score, 2), 3, np.tile(cases, 2))
    assert twice.intervals() == pytest.approx(once.intervals())


def _coverage(runs: int, cases: int, seed: int) -> tuple[float, float]:
    """Coverage of three players' ratings; every pair is judged on every case in both orders, and cases sway.

    With cases as clusters, and as though each verdict stood alone.
    """
    rng = np.random.default_rng(seed)
    base = np.array([0.8, 0.0, -0.8])
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    first = np.tile([i for i, _ in pairs], cases)
    second = np.tile([j for _, j in pairs], cases)
    case = np.repeat(np.arange(cases), len(pairs))
    big = np.random.default_rng(99)
    swayed = base + big.normal(0, 1.2, (200_000, 3))
    expected = np.zeros((3, 3))
    for i, j in pairs:
        expected[i, j] = (1 / (1 + np.exp(swayed[:, j] - swayed[:, i]))).mean()
    truth = 1000 + 400 / math.log(10) * fit_strengths(expected)
    clustered = alone = 0
    for _ in range(runs):
        strengths = base + rng.normal(0, 1.2, (cases, 3))
        gap = strengths[case, first] - strengths[case, second]
        score = (rng.random(len(first)) < 1 / (1 + np.exp(-gap))).astype(float)
        for cluster in (case, None):
            interval = bradley_terry(first, second, score, 3, cluster).intervals()
            covered = int(((interval[:, 0] <= truth) & (truth <= interval[:, 1])).sum())
            clustered, alone = (
                (clustered + covered, alone) if cluster is not None else (clustered, alone + covered)
            )
    return clustered / (3 * runs), alone / (3 * runs)


def test_intervals_clustered_by_case_cover_where_single_verdicts_do_not() -> None:
    clustered, alone = _coverage(runs=150, cases=60, seed=21)
    assert clustered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / 150)
    assert alone < clustered - 0.03


@pytest.mark.slow
@pytest.mark.parametrize("cases", [20, 60, 200])
def test_intervals_cover_at_sizes_that_matter(cases: int, calibration: Calibration) -> None:
    clustered, alone = _coverage(runs=3000, cases=cases, seed=22)
    figures: tuple[tuple[str, float, Bound], ...] = (
        ("coverage", clustered, "about"),
        ("coverage, every verdict a cluster", alone, "beside"),
    )
    for figure, observed, bound in figures:
        calibration.record(
            "Bradley-Terry ratings clustered by case",
            f"3 players, {cases} cases",
            figure,
            nominal=0.95,
            observed=observed,
            runs=3000,
            seed=22,
            slack=0.015 if bound == "about" else 0.0,
            bound=bound,
        )
    assert clustered == pytest.approx(0.95, abs=0.015)


def test_ratings_are_on_elos_scale() -> None:
    fit = bradley_terry([0] * 11 + [0], [1] * 12, [1.0] * 10 + [0.0, 0.5], 2)
    assert fit.ratings().mean() == pytest.approx(1000)
    assert fit.win_probability(0, 1) == pytest.approx(10.5 / 12)
    assert fit.ratings()[0] - fit.ratings()[1] == pytest.approx(400 * math.log10(10.5 / 1.5))


def test_elo_moves_by_what_was_not_expected() -> None:
    assert elo([0], [1], [1.0], 2, step=32.0) == pytest.approx([1016, 984])
    assert elo([0, 0], [1, 1], [1.0, 1.0], 2, step=32.0)[0] < 1032


@pytest.mark.parametrize(
    ("first", "second", "score"),
    [
        ([0], [0], [1.0]),
        ([0], [2], [1.0]),
        ([-1], [0], [1.0]),
        ([0], [1], [math.nan]),
        ([0], [1], [2.0]),
        ([], [], []),
        ([0, 1], [1], [1.0]),
        ([0.5], [1], [1.0]),
    ],
)
def test_what_is_no_comparison_is_refused(first: list[int], second: list[int], score: list[float]) -> None:
    with pytest.raises(ValueError):
        win_matrix(first, second, score, 2)


def test_one_case_has_no_errors_and_a_player_that_met_nobody_no_win_rate() -> None:
    with pytest.raises(ValueError, match="2 cases"):
        bradley_terry([0, 1], [1, 0], [1.0, 1.0], 2, [7, 7])
    with pytest.raises(ValueError, match="met nobody"):
        average_win_rates([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
