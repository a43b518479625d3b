"""How numbers are written in sentences: rates as percentages, the rest with the digits that count."""

from __future__ import annotations

from promptarena.definitions.metric import Metric, MetricKind
from promptarena.definitions.quantities import Margin

__all__ = ["difference", "margin", "p_value", "value"]


def value(metric: Metric, number: float) -> str:
    """A metric's value, such as `61.3%` or `812 ms`."""
    if metric.kind is MetricKind.RATE:
        return f"{number * 100:.4g}%"
    return f"{number:.4g}" + (f" {metric.unit}" if metric.unit else "")


def difference(metric: Metric, number: float) -> str:
    """A difference with its sign, such as `+4.9 points` or `-12 ms`."""
    if metric.kind is MetricKind.RATE:
        return f"{number * 100:+.3g} points"
    return f"{number:+.3g}" + (f" {metric.unit}" if metric.unit else "")


def margin(metric: Metric, allowed: Margin) -> str:
    """A margin, such as `2 points`, `100 ms` or `10% of control`."""
    if allowed.relative:
        return f"{allowed} of control"
    if metric.kind is MetricKind.RATE:
        return f"{allowed.value * 100:.3g} points"
    return f"{allowed.value:.4g}" + (f" {metric.unit}" if metric.unit else "")


def p_value(p: float) -> str:
    """A p-value, never as zero.

    >>> p_value(0.0312), p_value(1e-9)
    ('p = 0.031', 'p < 0.0001')
    """
    return f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"
