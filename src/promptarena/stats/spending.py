"""Spending functions: how much of the type I error may be used up by a given share of the information."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scipy.special import ndtr, ndtri

__all__ = ["FAMILIES", "SpendingFunction"]

FAMILIES: Final = ("obrien-fleming", "pocock", "hwang-shih-decani")
_RESOLUTION: Final = math.ulp(1.0)


@dataclass(frozen=True, slots=True)
class SpendingFunction:
    """A family of increasing functions a(t), with a(0) = 0 and a(1) = alpha.

    With t the information fraction and alpha the error of one side:

    - `obrien-fleming`: 2 - 2 Phi(z / sqrt(t)) with z = Phi^-1(1 - alpha/2) (Lan and DeMets 1983, "Discrete
      sequential boundaries for clinical trials", Biometrika 70); almost nothing early.
    - `pocock`: alpha ln(1 + (e - 1) t) (the same place); nearly constant critical values.
    - `hwang-shih-decani`: alpha (1 - exp(-gamma t)) / (1 - exp(-gamma)), and alpha t at gamma = 0 (Hwang,
    Shih
      and DeCani 1990, "Group sequential designs using a family of type I error probability spending
      functions", Statistics in Medicine 9). -4 resembles O'Brien and Fleming, 1 resembles Pocock.

    Raises:
        ValueError: the family has another name, or gamma is not within -40..40.
    """

    family: str = "obrien-fleming"
    gamma: float = -4.0
    """Of `hwang-shih-decani` only."""

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"a spending function is one of {', '.join(FAMILIES)}, not {self.family!r}")
        if not -40 <= self.gamma <= 40:
            raise ValueError(f"gamma must lie between -40 and 40, not {self.gamma}")

    def spent(self, alpha: float, fraction: float) -> float:
        """Error spent, cumulatively, once `fraction` of the planned information is there.

        Args:
            alpha: the whole error of one side, in (0, 1).
            fraction: information over the planned maximum, 0 or more; from 1 on all is spent.

        >>> round(SpendingFunction("obrien-fleming").spent(0.025, 0.5), 6)
        0.001525

        Raises:
            ValueError: alpha outside (0, 1), or a negative fraction.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
        if not fraction >= 0:
            raise ValueError(f"an information fraction is 0 or more, not {fraction}")
        if fraction == 0:
            return 0.0
        if fraction >= 1:
            return alpha
        if self.family == "obrien-fleming":
            return _as_published(2 * float(ndtr(ndtri(alpha / 2) / math.sqrt(fraction))))
        if self.family == "pocock":
            return alpha * math.log1p(math.expm1(1) * fraction)
        if abs(self.gamma) < 1e-8:
            return alpha * fraction
        return alpha * math.expm1(-self.gamma * fraction) / math.expm1(-self.gamma)


def _as_published(spent: float) -> float:
    # Published boundaries come of 2 - 2 Phi, which resolves 2e-16 and so moves a critical value of 7 by 1e-5.
    # Ours equal them where that is all it does; below, where digits would be lost, the exact tail is kept.
    return round(spent / _RESOLUTION) * _RESOLUTION if spent > 1000 * _RESOLUTION else spent
