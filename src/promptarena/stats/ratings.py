"""Ratings of several players from pairwise comparisons: Bradley-Terry, Elo and the average win rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, stdtrit

from promptarena.stats.proportions import cluster_codes, normal_quantile

__all__ = [
    "BradleyTerry",
    "average_win_rates",
    "bradley_terry",
    "comparable_groups",
    "elo",
    "fit_strengths",
    "win_matrix",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Codes = NDArray[np.intp]

ELO_SCALE: Final = 400 / math.log(10)
"""Rating points for one unit of log-odds: 400 points are odds of ten to one."""
ELO_MEAN: Final = 1000.0
_MAX_STEPS: Final = 200


@dataclass(frozen=True, slots=True)
class BradleyTerry:
    """Strengths with P(i beats j) = 1 / (1 + exp(strength_j - strength_i))."""

    strengths: Vector
    """Shape (k,), log-odds that sum to zero."""
    covariance: Matrix
    """Shape (k, k), of the strengths, clustered by case."""
    cases: int
    """Independent cases behind the covariance."""

    def ratings(self) -> Vector:
        """Strengths on Elo's scale: mean 1000, 400 points for odds of ten to one."""
        return ELO_MEAN + ELO_SCALE * self.strengths

    def intervals(self, confidence: float = 0.95) -> Matrix:
        """Shape (k, 2): an interval of each rating against the mean of all, by Student's t over cases."""
        normal_quantile(confidence)  # refuses what is no confidence
        critical = float(stdtrit(self.cases - 1, 0.5 + confidence / 2))
        half = critical * ELO_SCALE * np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))
        ratings = self.ratings()
        return np.column_stack([ratings - half, ratings + half])

    def win_probability(self, player: int, against: int) -> float:
        """Of the first over the second, a tie being half a win."""
        return float(expit(self.strengths[player] - self.strengths[against]))


def win_matrix(first: ArrayLike, second: ArrayLike, first_scores: ArrayLike, players: int) -> Matrix:
    """Add comparisons up: entry (i, j) is what i won against j, a tie being half to each.

    >>> win_matrix([0, 0], [1, 1], [1, 0.5], players=2)
    array([[0. , 1.5],
           [0.5, 0. ]])

    Args:
        first: shape (n,), a player 0 .. players - 1.
        second: shape (n,), another player.
        first_scores: shape (n,), the first player's score in [0, 1]: 1 won, 1/2 tie, 0 lost.
        players: how many there are.

    Raises:
        ValueError: unknown players, a player against itself, scores outside [0, 1], shapes that differ.
    """
    one, other = _players(first, players), _players(second, players)
    scores = np.asarray(first_scores, dtype=np.float64)
    if not one.shape == other.shape == scores.shape:
        raise ValueError("each comparison has a first player, a second player and a score")
    if (one == other).any():
        raise ValueError("a player is compared with itself")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("scores are finite numbers between 0 and 1")
    cell = one * players + other
    size = players * players
    won = np.bincount(cell, weights=scores, minlength=size).reshape(players, players)
    met = np.bincount(cell, minlength=size).reshape(players, players)
    return np.asarray(won + (met - won).T, dtype=np.float64)


def comparable_groups(wins: ArrayLike) -> list[list[int]]:
    """Groups of players that one scale can hold: circles of players who each won something off the next.

    One group means that strengths exist (Ford 1957). Several mean that some players never met the others, or
    that a group won (or lost) all it played outside, so that its lead has no finite estimate.

    >>> comparable_groups([[0, 1, 2], [1, 0, 2], [0, 0, 0]])
    [[0, 1], [2]]

    Args:
        wins: shape (k, k), as `win_matrix`.
    """
    reaches = (_wins(wins) > 0) | np.eye(len(np.asarray(wins)), dtype=bool)
    for _ in range(max(1, math.ceil(math.log2(len(reaches))))):
        reaches = (reaches.astype(np.float64) @ reaches) > 0
    mutual = reaches & reaches.T
    groups: dict[int, list[int]] = {}
    for player, leader in enumerate(mutual.argmax(axis=1)):
        groups.setdefault(int(leader), []).append(player)
    return list(groups.values())


def fit_strengths(wins: ArrayLike, *, tolerance: float = 1e-12) -> Vector:
    """The maximum-likelihood strengths of Bradley and Terry (1952), by Newton's method with step halving.

    Maximises sum_ij w_ij log(1 / (1 + exp(s_j - s_i))) with sum(s) = 0; the log-likelihood is strictly
    concave there, so that what converges is the maximum.

    >>> fit_strengths([[0, 3], [1, 0]]).round(4)
    array([ 0.5493, -0.5493])

    Args:
        wins: shape (k, k), as `win_matrix`; any weights of zero or more.
        tolerance: largest gradient accepted, relative to the comparisons of the busiest player.

    Returns:
        Shape (k,), log-odds that sum to zero.

    Raises:
        ValueError: not a square matrix of finite weights, or several `comparable_groups`: no maximum exists.
        ArithmeticError: not converged.
    """
    won = _wins(wins)
    groups = comparable_groups(won)
    if len(groups) > 1:
        raise ValueError(
            f"strengths do not exist: the comparisons leave {len(groups)} groups that no circle of wins joins"
        )
    met = won + won.T
    strengths = np.zeros(len(won))
    best = _log_likelihood(won, strengths)
    limit = tolerance * max(float(met.sum(axis=1).max()), 1e-300)
    for _ in range(_MAX_STEPS):
        expected = met * expit(strengths[:, None] - strengths[None, :])
        gradient = won.sum(axis=1) - expected.sum(axis=1)
        if np.abs(gradient).max() <= limit:
            return strengths
        step = cho_solve(cho_factor(_bordered(_information(met, strengths))), gradient)
        for _ in range(60):
            candidate = strengths + step
            candidate -= candidate.mean()
            likelihood = _log_likelihood(won, candidate)
            if likelihood >= best - 1e-12 * abs(best):
                break
            step = step / 2
        strengths, best = candidate, likelihood
    raise ArithmeticError(f"Bradley-Terry did not converge in {_MAX_STEPS} steps")


def bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    first_scores: ArrayLike,
    players: int,
    cases: ArrayLike | None = None,
) -> BradleyTerry:
    """Bradley-Terry strengths with sandwich errors: comparisons of one case may depend on each other.

    Covariance = H^+ (G / (G - 1) sum_g u_g u_g') H^+, where u_g is the case's part of the gradient, H the
    information and G the number of cases (White 1982, Econometrica 50(1), with clusters as Liang and Zeger
    1986, Biometrika 73(1)). It also sets right what half a win for a tie does to the variance.

    Args:
        first: shape (n,), a player 0 .. players - 1.
        second: shape (n,), another player.
        first_scores: shape (n,), the first player's score in [0, 1].
        players: how many there are; at least 2.
        cases: shape (n,), the case of each comparison. None: each is a case of its own.

    Raises:
        ValueError: as `win_matrix` and `fit_strengths`, or fewer than two cases.
        ArithmeticError: not converged.
    """
    won = win_matrix(first, second, first_scores, players)
    one, other = _players(first, players), _players(second, players)
    strengths = fit_strengths(won)
    residuals = np.asarray(first_scores, dtype=np.float64) - expit(strengths[one] - strengths[other])
    if cases is None:
        count, meat = len(one), _laplacian(one, other, residuals**2, players)
    else:
        codes = cluster_codes(cases, len(one))
        count = int(codes.max()) + 1
        gained = np.bincount(codes * players + one, weights=residuals, minlength=count * players)
        lost = np.bincount(codes * players + other, weights=residuals, minlength=count * players)
        gradients = np.asarray(gained - lost, dtype=np.float64).reshape(count, players)
        meat = gradients.T @ gradients
    if count < 2:
        raise ValueError("errors clustered by case need at least 2 cases")
    factor = cho_factor(_bordered(_information(won + won.T, strengths)))
    covariance = cho_solve(factor, cho_solve(factor, meat).T) * (count / (count - 1))
    return BradleyTerry(strengths, covariance, count)


def average_win_rates(wins: ArrayLike) -> Vector:
    """For each player the mean, over the opponents it met, of the share it won.

    >>> average_win_rates([[0, 3, 1], [1, 0, 0], [0, 0, 0]])
    array([0.875, 0.25 , 0.   ])

    Args:
        wins: shape (k, k), as `win_matrix`.

    Raises:
        ValueError: a player met nobody.
    """
    won = _wins(wins)
    met = won + won.T
    opponents = (met > 0).sum(axis=1)
    if (opponents == 0).any():
        raise ValueError("a player met nobody, so it has no win rate")
    shares = np.divide(won, met, out=np.zeros_like(won), where=met > 0)
    return np.asarray(shares.sum(axis=1) / opponents, dtype=np.float64)


def elo(
    first: ArrayLike,
    second: ArrayLike,
    first_scores: ArrayLike,
    players: int,
    *,
    start: float = ELO_MEAN,
    step: float = 4.0,
) -> Vector:
    """Elo's ratings (1978), updated comparison by comparison: R += step (score - 1 / (1 + 10^(gap / 400))).

    They depend on the order of the comparisons and have no error; for a verdict use `bradley_terry`.

    Args:
        first, second, first_scores, players: as `win_matrix`.
        start: every player's rating before the first comparison.
        step: the most that one comparison can move a rating (K).

    Raises:
        ValueError: as `win_matrix`.
    """
    win_matrix(first, second, first_scores, players)
    ratings = [start] * players
    scores = np.asarray(first_scores, dtype=np.float64).tolist()
    for i, j, score in zip(
        _players(first, players).tolist(), _players(second, players).tolist(), scores, strict=True
    ):
        move = step * (score - 1 / (1 + 10 ** ((ratings[j] - ratings[i]) / 400)))
        ratings[i] += move
        ratings[j] -= move
    return np.asarray(ratings, dtype=np.float64)


def _players(codes: ArrayLike, players: int) -> Codes:
    array = np.asarray(codes)
    if array.ndim != 1 or len(array) == 0 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError("players are whole numbers, one for each of at least one comparison")
    if array.min() < 0 or array.max() >= players:
        raise ValueError(f"players are numbered 0 to {players - 1}")
    return array.astype(np.intp)


def _wins(wins: ArrayLike) -> Matrix:
    array = np.asarray(wins, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
        raise ValueError("wins are a square matrix of at least two players")
    if not (np.isfinite(array) & (array >= 0)).all() or np.diagonal(array).any():
        raise ValueError("wins are finite, zero or more, and zero on the diagonal")
    return array


def _information(met: Matrix, strengths: Vector) -> Matrix:
    """Minus the second derivative of the log-likelihood; singular along (1, ..., 1)."""
    chance = expit(strengths[:, None] - strengths[None, :])
    weights = met * chance * (1 - chance)
    information: Matrix = np.diag(weights.sum(axis=1)) - weights
    return information


def _laplacian(one: Codes, other: Codes, weights: Vector, players: int) -> Matrix:
    """sum_n weight_n (e_one - e_other)(e_one - e_other)', where every comparison is a case of its own."""
    shared = np.bincount(one * players + other, weights=weights, minlength=players**2)
    both = shared.reshape(players, players) + shared.reshape(players, players).T
    return np.asarray(np.diag(both.sum(axis=1)) - both, dtype=np.float64)


def _bordered(information: Matrix) -> Matrix:
    """Made regular along (1, ..., 1), which no gradient has a part in."""
    scale = float(np.trace(information)) / len(information)
    return information + scale / len(information)


def _log_likelihood(won: Matrix, strengths: Vector) -> float:
    gaps = strengths[:, None] - strengths[None, :]
    return -float((won * np.logaddexp(0.0, -gaps)).sum())
