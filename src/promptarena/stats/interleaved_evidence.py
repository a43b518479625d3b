"""Evidence of an interleaved preference that may be looked at after every list.

The test of `interleaved_preference` is exact at one look. Whoever looks again and again needs evidence that
holds at every look together; the coin, which is known, gives it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from promptarena.stats.anytime import AsymptoticSequence, anytime_p_value
from promptarena.stats.harm import MIN_UNITS
from promptarena.stats.interleaved_preference import ListOutcome
from promptarena.stats.proportions import cluster_codes

__all__ = ["PreferenceSequence", "interleaved_log_e_value", "preference_sequence"]

_STAKES: Final = 2.0 ** (-np.arange(1, 17) / 2)
# The best stake is of the order of the preference over the variance: 2^-8 serves up to about 1e5 lists.


def interleaved_log_e_value(outcomes: Sequence[ListOutcome]) -> float:
    """Evidence against clicks that go by position alone, at any time and from the first list.

    A gambler stakes a part k of what he has on b winning a list by more than the coin alone would give, and
    another one on a: his wealth is the product over lists of 1 + k (score - expected). Given the positions
    that were clicked each factor has mean 1 over the coin, so that the wealth is a martingale without a
    preference, whatever users and queries do. e is the mean over 16 stakes on either side.

    >>> won, lost = ListOutcome(1.0, 0.5, 0.0), ListOutcome(0.0, 0.5, 0.0)
    >>> round(math.exp(interleaved_log_e_value([won] * 70 + [lost] * 30)))
    149

    Args:
        outcomes: those of lists with a click; in any order, since the product knows none.

    Returns:
        Natural logarithm of the e-value; 0 without lists.

    Source: Waudby-Smith and Ramdas (2024), "Estimating means of bounded random variables by betting", JRSS B
        86(1), for wealth averaged over stakes.
    """
    gains = np.array([outcome.score - outcome.expected for outcome in outcomes])
    stakes = np.concatenate([_STAKES, -_STAKES])
    wealth = np.log1p(np.outer(stakes, gains)).sum(axis=1)
    return float(logsumexp(wealth) - math.log(len(stakes)))


@dataclass(frozen=True, slots=True)
class PreferenceSequence:
    """How much more often b wins than by the coin alone; valid at every look together."""

    low: float | None
    """Two-sided 1 - alpha; `None` below 100 clusters, or without spread. So too `high`."""
    high: float | None
    p_value: float
    """Always-valid and two-sided, exact by the coin, of clicks that go by position alone."""


def preference_sequence(
    outcomes: Sequence[ListOutcome | None],
    *,
    clusters: ArrayLike | None = None,
    alpha: float = 0.05,
    n_opt: float = 1000.0,
) -> PreferenceSequence:
    """Interval and p-value over the lists whose outcome the coin could have changed.

    The p-value needs nothing but the coin. The interval is asymptotic over clusters (queries, users), for
    what other lists of the same kind would show.

    Args:
        outcomes: one a list shown.
        clusters: what lists have in common, of the same length; `None`: nothing.
        alpha: of the interval, in (0, .5).
        n_opt: clusters at which the interval is tightest, fixed before the data.

    Raises:
        ValueError: no list says anything, or shapes that differ.
    """
    kept = [i for i, outcome in enumerate(outcomes) if outcome is not None and outcome.variance > 0]
    if not kept:
        raise ValueError("no list was clicked where the coin could have changed the outcome")
    informative = [outcome for i in kept if (outcome := outcomes[i]) is not None]
    p_value = anytime_p_value(interleaved_log_e_value(informative))
    gains = np.array([outcome.score - outcome.expected for outcome in informative])
    codes: NDArray[np.int64] = np.arange(len(gains))
    if clusters is not None:
        names = np.asarray(clusters)
        if names.shape != (len(outcomes),):
            raise ValueError("there is one cluster for each list")
        codes = cluster_codes(names[kept], len(kept))
    lists, sums = np.bincount(codes), np.bincount(codes, weights=gains)
    n, mean = len(lists), float(gains.mean())
    residuals = sums - mean * lists
    variance = float(residuals @ residuals) * n / max(n - 1, 1) / len(gains) ** 2
    if n < MIN_UNITS or variance == 0:
        return PreferenceSequence(None, None, p_value)
    low, high = AsymptoticSequence(n_opt, alpha).interval(mean, math.sqrt(variance), n)
    return PreferenceSequence(low, high, p_value)
