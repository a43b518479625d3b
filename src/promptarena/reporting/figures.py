"""One number as a person reads it: as many digits as its uncertainty deserves, with its unit.

Rates are written in per cent and their differences in percentage points; everything else in the metric's
own unit. All of it is ASCII, so that it survives any terminal, log or pager.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from promptarena.definitions.readout import Interval, MetricReadout

__all__ = [
    "NOT_KNOWN",
    "Scale",
    "count",
    "decimals_for",
    "digits",
    "number",
    "p_value",
    "percent",
    "relative",
    "share",
    "written",
]

NOT_KNOWN: Final = "n/a"
_MOST_DECIMALS: Final = 9
_MOST_EXTRA: Final = 3
_SIGNIFICANT: Final = 4


def decimals_for(interval: Interval | None, factor: float = 1.0) -> int | None:
    """Decimals that show two significant digits of the interval's half-width.

    A few more where a bound would else round to zero: its side of zero is what people look for.
    `None` where the interval is absent, unbounded or of no width: it then says nothing about digits.

    >>> decimals_for((0.021, 0.071), factor=100)
    1
    >>> decimals_for((-120.0, 480.0)), decimals_for((0.04, 58.0))
    (0, 2)
    """
    if interval is None or interval[0] is None or interval[1] is None:
        return None
    half = abs(interval[1] - interval[0]) / 2 * factor
    if half == 0 or not math.isfinite(half):
        return None
    decimals = max(0, 1 - math.floor(math.log10(half)))
    for bound in interval:
        if bound and round(bound * factor, decimals) == 0:
            decimals = min(_first_digit(bound * factor), decimals + _MOST_EXTRA)
    return min(decimals, _MOST_DECIMALS)


def _first_digit(value: float) -> int:
    return -math.floor(math.log10(abs(value)))


def number(value: float | None, decimals: int | None = None, *, signed: bool = False) -> str:
    """A number with thousands separated; four significant digits where no decimals are asked for.

    >>> number(1234.5678, 1), number(-0.00004, 2, signed=True), number(0.000012345), number(None)
    ('1,234.6', '0.00', '0.00001234', 'n/a')
    """
    if value is None:
        return NOT_KNOWN
    if decimals is None:
        decimals = _decimals_of(value)
    rounded = round(value, decimals)
    if abs(rounded) >= 1e15:
        return f"{value:{'+' if signed else ''}.{_SIGNIFICANT}g}"
    if rounded == 0:
        return f"{0:.{decimals}f}"
    return f"{rounded:{'+' if signed else ''},.{decimals}f}"


def _decimals_of(value: float, significant: int = _SIGNIFICANT) -> int:
    if value == 0 or value == int(value):
        return 0
    return min(max(0, significant - 1 - math.floor(math.log10(abs(value)))), _MOST_DECIMALS)


def written(value: float) -> str:
    """A number as somebody would write it down: four significant digits at most, no trailing zeros.

    >>> written(1.2), written(0.1 + 0.2), written(300.0), written(12345.678)
    ('1.2', '0.3', '300', '12,346')
    """
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def digits(value: float, significant: int) -> str:
    """A number with so many significant digits, none of its integer part lost.

    >>> digits(4.99912, 3), digits(1234.5, 3)
    ('5.00', '1,234')
    """
    return number(value, _decimals_of(value, significant))


def count(value: int) -> str:
    """A count, thousands separated."""
    return f"{value:,}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction in per cent, without a sign.

    >>> percent(0.4983), percent(1)
    ('49.8%', '100.0%')
    """
    return NOT_KNOWN if fraction is None else number(fraction * 100, decimals) + "%"


def share(part: float, whole: float, decimals: int = 2) -> str:
    """A part of a whole in per cent; `n/a` of nothing."""
    return NOT_KNOWN if whole == 0 else percent(part / whole, decimals)


def p_value(p: float | None) -> str:
    """A p-value to three significant digits, never rounded to zero, to one or across .05.

    >>> p_value(0.04996), p_value(0.000004), p_value(0.5), p_value(None)
    ('0.04996', '<0.0001', '0.5', 'n/a')
    """
    if p is None:
        return NOT_KNOWN
    if p < 0.0001:
        return "<0.0001"
    if 0.9995 <= p < 1:
        return ">0.999"
    text = f"{p:.3g}"
    return f"{p:.4g}" if float(text) == 0.05 and p != 0.05 else text


def relative(difference: float | None, interval: Interval | None) -> tuple[str, str]:
    """A relative difference and its interval, both in per cent of control.

    >>> relative(0.0763, (0.034, 0.1196))
    ('+7.6%', '[+3.4%, +12.0%]')
    """
    decimals = decimals_for(interval, 100)
    if difference is None:
        return NOT_KNOWN, ""
    if decimals is None:
        decimals = 1
    text = number(difference * 100, decimals, signed=True) + "%"
    if interval is None:
        return text, ""
    low, high = (_side(bound, 100, decimals, "%") for bound in interval)
    return text, f"[{low}, {high}]"


def _side(bound: float | None, factor: float, decimals: int | None, suffix: str = "") -> str:
    return "unbounded" if bound is None else number(bound * factor, decimals, signed=True) + suffix


@dataclass(frozen=True, slots=True)
class Scale:
    """How one metric's values and differences are written."""

    factor: float = 1.0
    """What is shown over what is stored: 100 for rates."""
    unit: str = ""
    """After a value, such as `%` or ` ms`."""
    difference_unit: str = ""
    """After a difference, such as ` points` or ` ms`."""

    @classmethod
    def of(cls, metric: MetricReadout) -> Scale:
        """The scale of a metric."""
        return cls.of_kind(metric.kind, metric.unit)

    @classmethod
    def of_kind(cls, kind: str, unit: str | None = None) -> Scale:
        """The scale of a kind of metric: per cent for rates, else the metric's unit."""
        if kind == "rate":
            return cls(100.0, "%", " points")
        after = f" {unit}" if unit else ""
        return cls(1.0, after, after)

    def value(self, value: float | None, interval: Interval | None = None) -> str:
        """A variant's value, with the digits that the difference's interval allows, but two at least."""
        if value is None:
            return NOT_KNOWN
        shown = value * self.factor
        decimals = decimals_for(interval, self.factor)
        if decimals is not None:
            decimals = max(decimals, _decimals_of(shown, 2))
        return number(shown, decimals) + self.unit

    def difference(self, difference: float | None, interval: Interval | None = None) -> str:
        """A difference of two values, signed."""
        if difference is None:
            return NOT_KNOWN
        decimals = decimals_for(interval, self.factor)
        return number(difference * self.factor, decimals, signed=True) + self.difference_unit

    def interval(self, interval: Interval | None) -> str:
        """An interval of a difference, without its unit; empty where there is none."""
        if interval is None:
            return ""
        decimals = decimals_for(interval, self.factor)
        low, high = (_side(bound, self.factor, decimals) for bound in interval)
        return f"[{low}, {high}]"

    def margin(self, margin: str | None) -> str:
        """A margin as written (`300`, `10%`), with its unit.

        >>> Scale(100.0, "%", " points").margin("0.02"), Scale(1.0, " ms", " ms").margin("300")
        ('2 points', '300 ms')
        >>> Scale().margin("10%")
        '10% of control'
        """
        if margin is None:
            return NOT_KNOWN
        if margin.endswith("%"):
            return f"{margin} of control"
        return written(float(margin) * self.factor) + self.difference_unit

    @property
    def axis_unit(self) -> str:
        """The unit of a difference, for the title of an axis."""
        unit = self.difference_unit.strip()
        return "percentage points" if unit == "points" else unit or "in the metric's own unit"
