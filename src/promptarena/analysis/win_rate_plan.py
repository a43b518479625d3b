"""How many cases a golden set needs to show a win rate, or what those it has can show."""

from __future__ import annotations

import math
from typing import Final

from promptarena.definitions.win_rate_plan import PowerPoint, WinRatePlan
from promptarena.errors import Location, Problem, UsageError
from promptarena.stats.power import achieved_power, detectable_effect, units_needed
from promptarena.stats.spread import Spread, win_rate_spread

__all__ = ["plan_win_rate"]

_EVEN: Final = 0.5
_CURVE: Final = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""True distances from even over the one that is looked for."""


def plan_win_rate(
    win_rate: float | None = None,
    *,
    ties: float = 0.0,
    cases: int | None = None,
    power: float = 0.8,
    alpha: float = 0.05,
) -> WinRatePlan:
    """Cases for a win rate; or, given the cases, the win rate that they show, or with what power.

    Args:
        win_rate: of the treatment, wins plus half of the ties, above 1/2.
        ties: the share of cases that end in a tie.
        cases: that there are.
        power: in (alpha / 2, 1).
        alpha: two-sided, of a difference from 1/2.

    Raises:
        UsageError: values out of range, or neither a win rate nor cases; all told together.
    """
    if problems := _problems(win_rate, ties, cases, power, alpha):
        raise UsageError(problems)

    def spread(distance: float) -> Spread:
        return win_rate_spread(_EVEN + distance, ties)

    distance = None if win_rate is None else win_rate - _EVEN
    most = (1 - ties) / 2
    if cases is None:
        assert distance is not None, "without cases a win rate is asked for"
        cases = math.ceil(units_needed(distance, spread(distance), alpha=alpha, power=power) - 1e-9)
    elif distance is not None:
        power = achieved_power(distance, spread(distance), cases, alpha=alpha)
    else:
        distance = detectable_effect(spread, cases, most=most, alpha=alpha, power=power)
    curve = () if distance is None else tuple(share * distance for share in _CURVE if share * distance < most)
    return WinRatePlan(
        win_rate=None if distance is None else _EVEN + distance,
        ties=ties,
        alpha=alpha,
        power=power,
        cases=cases,
        verdicts=2 * cases,
        power_curve=tuple(
            PowerPoint(effect=_EVEN + each, power=achieved_power(each, spread(each), cases, alpha=alpha))
            for each in curve
        ),
    )


def _problems(
    win_rate: float | None, ties: float, cases: int | None, power: float, alpha: float
) -> list[Problem]:
    found = []

    def tell(flag: str, message: str, hint: str | None = None) -> None:
        found.append(Problem(f"{message}.", Location(field=flag), hint))

    if not 0 <= ties < 1:
        tell("--ties", f"a share of ties lies in [0, 1); found {ties:g}")
    elif win_rate is not None and not _EVEN < win_rate < 1 - ties / 2:
        tell(
            "--win-rate",
            f"with {ties:.0%} ties a win rate lies between 50% and {1 - ties / 2:.0%}; found {win_rate:g}",
            "A tie is half a win.",
        )
    if win_rate is None and cases is None:
        tell("--win-rate", "without a win rate to look for there is no size", "Or give --cases.")
    if cases is not None and cases < 2:
        tell("--cases", f"{cases} cases have no error")
    if not 0 < alpha < 0.5:
        tell("--alpha", f"alpha lies between 0 and 0.5; found {alpha:g}", "Commonly 0.05.")
    elif not alpha / 2 < power < 1:
        tell("--power", f"power lies between alpha / 2 and 1; found {power:g}", "Commonly 0.8.")
    return found
