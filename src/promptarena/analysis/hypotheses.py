"""What is tested of each metric, as one number towards the good side: superiority, or a margin kept."""

from __future__ import annotations

from typing import Final

from scipy.special import ndtri

from promptarena.definitions.analysis_plan import Primary
from promptarena.definitions.metric import Better, Metric
from promptarena.definitions.quantities import Margin
from promptarena.stats.effects import Contrast, Effect, margin_contrast

__all__ = ["NO_MARGIN", "contrast", "good_sign", "primary_contrast", "z_score"]

NO_MARGIN: Final = Margin(value=0.0)
_SMALLEST_TAIL: Final = 1e-300


def good_sign(metric: Metric) -> int:
    """1 where higher is better, else -1."""
    return 1 if metric.better is Better.HIGHER else -1


def contrast(effect: Effect, metric: Metric, margin: Margin) -> Contrast:
    """The good-signed distance from the margin.

    Raises:
        ValueError: a relative margin of a control that is zero.
    """
    return margin_contrast(
        effect, margin.value, relative=margin.relative, higher_is_better=metric.better is Better.HIGHER
    )


def primary_contrast(effect: Effect, metric: Metric, primary: Primary) -> Contrast:
    """What the primary is about: the difference itself, or its distance from the non-inferiority margin."""
    return contrast(effect, metric, primary.margin or NO_MARGIN)


def z_score(tested: Contrast) -> float | None:
    """The normal score with the same one-sided p-value as the contrast's t; `None` without variance.

    Boundaries are on the normal scale; going through the p-value keeps small samples honest.
    """
    if tested.variance == 0:
        return None
    p = tested.p_value()
    return -float(ndtri(p)) if _SMALLEST_TAIL < p < 0.5 else _from_other_tail(tested)


def _from_other_tail(tested: Contrast) -> float:
    q = tested.harm_p_value()
    # Beyond what a double can hold of a tail, t and normal agree for any sample that could get there.
    return float(ndtri(q)) if _SMALLEST_TAIL < q <= 0.5 else tested.z
