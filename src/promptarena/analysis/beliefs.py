"""What a bandit believes of its variants, and with which probability each is the best."""

from __future__ import annotations

from collections.abc import Mapping

from promptarena.definitions.metric import Better, Metric, MetricKind
from promptarena.stats.moments import Moments
from promptarena.stats.posteriors import BetaPosterior, NormalPosterior, Posterior, probability_best

__all__ = ["belief", "chances_of_best"]


def belief(metric: Metric, moments: Moments) -> Posterior | None:
    """Of the mean reward: Beta(1, 1) for a rate, else the normal model with the reference prior.

    Returns:
        `None` where there are fewer than two units, or all have the same value, of what is no rate.
    """
    if metric.kind is MetricKind.RATE:
        events = round(moments.n * float(moments.mean[0])) if moments.n else 0
        return BetaPosterior.prior().updated(events, moments.n)
    try:
        return NormalPosterior.of(moments)
    except ValueError:
        return None


def chances_of_best(metric: Metric, arms: Mapping[str, Moments]) -> dict[str, float] | None:
    """The probability that each variant is the best, summing to 1; `None` while one has no belief."""
    beliefs = {name: belief(metric, moments) for name, moments in arms.items()}
    known = [each for each in beliefs.values() if each is not None]
    if len(known) < len(beliefs):
        return None
    found = probability_best(known, higher_is_better=metric.better is Better.HIGHER)
    return dict(zip(beliefs, map(float, found), strict=True))
