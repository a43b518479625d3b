"""What planning a duel returns, and the points of any plan's power curve."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PowerPoint", "WinRatePlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPoint:
    """What a plan does if the truth is another than the one it was sized for."""

    effect: float
    """In the metric's unit, without sign; of a non-inferiority test another margin, with no difference; of a
    duel the win rate."""
    power: float
    """With the plan's units and looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRatePlan:
    """A sized duel: each case judged in both orders, a tie half a win."""

    win_rate: float | None
    """That is looked for; `None` if the cases can show none."""
    ties: float
    alpha: float
    """Two-sided."""
    power: float
    cases: int
    """Independent ones: of cases that share a cluster count fewer."""
    verdicts: int
    """Of the judge: two a case, since the order is swapped."""
    power_curve: tuple[PowerPoint, ...]
