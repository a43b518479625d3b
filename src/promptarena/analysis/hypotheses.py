"""What is tested of each metric, as one number towards the good side: superiority, or a margin kept."""

from __future__ import annotations

from typing import Final

from scipy.special import ndtri

from promptarena.analysis.estimates import ArmPair
from promptarena.definitions.metric import Better, Metric
from promptarena.definitions.quantities import Margin
from promptarena.stats.effects import Contrast, margin_contrast
from promptarena.stats.rate_contrasts import margin_rate_contrast
from promptarena.stats.rate_score import rate_score

__all__ = ["NO_MARGIN", "good_sign", "good_z", "information"]

NO_MARGIN: Final = Margin(value=0.0)
_SMALLEST_TAIL: Final = 1e-300


def good_sign(metric: Metric) -> int:
    """1 where higher is better, else -1."""
    return 1 if metric.better is Better.HIGHER else -1


def good_z(pair: ArmPair, metric: Metric, margin: Margin = NO_MARGIN) -> float | None:
    """Distance from the margin towards the good side, in standard errors; `None` where that is not known.

    Rates are tested by their score, whose variance is that of the null, corrected for skewness. Everything
    else by Welch's t, brought to the normal scale of the boundaries through its p-value, which keeps small
    samples honest.
    """
    higher = metric.better is Better.HIGHER
    if pair.rates is not None:
        of_rates = margin_rate_contrast(margin.value, relative=margin.relative, higher_is_better=higher)
        return rate_score(pair.rates, of_rates, pair.weights).even_z
    if pair.effect is None or (margin.relative and pair.effect.control.value == 0):
        return None
    tested = margin_contrast(pair.effect, margin.value, relative=margin.relative, higher_is_better=higher)
    if tested.variance == 0:
        return None
    p = tested.p_value()
    return -float(ndtri(p)) if _SMALLEST_TAIL < p < 0.5 else _from_other_tail(tested)


def information(pair: ArmPair) -> float | None:
    """1 / variance of the difference, of a rate as under no difference; `None` where it is not known."""
    if pair.effect is None:
        return None
    variance = pair.effect.variance
    if pair.rates is not None:
        same = margin_rate_contrast(0.0, relative=False, higher_is_better=True)
        variance = rate_score(pair.rates, same, pair.weights).variance
    return 1 / variance if variance > 0 else None


def _from_other_tail(tested: Contrast) -> float:
    q = tested.harm_p_value()
    # Beyond what a double can hold of a tail, t and normal agree for any sample that could get there.
    return float(ndtri(q)) if _SMALLEST_TAIL < q <= 0.5 else tested.z
