"""Estimates with their intervals on one axis, a row each: better, worse or unclear at a glance."""

from __future__ import annotations

from typing import Any, Final

from promptarena.definitions.readout import Interval
from promptarena.reporting.charts import LABEL_WIDTH, STEP, Row, altair, data, finished, rule_at, tooltips

__all__ = ["goes_beyond", "interval_chart", "interval_row", "scaled"]

_OUTCOMES: Final = ("better", "unclear", "worse")
_COLOURS: Final = ["var(--good)", "var(--unclear)", "var(--bad)"]
_SHAPES: Final = ["circle", "diamond", "square"]
# A few wide intervals must not flatten the rest: beyond this many times the median bound they are cut.
_WIDEST: Final = 4.0


def interval_row(
    label: tuple[str, str],
    value: float,
    interval: Interval,
    *,
    better: str = "higher",
    reference: float = 0.0,
    margin: float | None = None,
    tooltip: dict[str, str],
) -> Row:
    """One estimate.

    Args:
        label: two lines that name it, unlike any other row's.
        value: the estimate, in the unit of the axis.
        interval: its interval, likewise.
        better: `higher` or `lower`.
        reference: where neither side is better.
        margin: where a heavy tick marks what the interval must stay clear of.
        tooltip: what hovering shows besides the name, keys capitalised.
    """
    low, high = interval
    return {
        "label": "\n".join(" ".join(line.split()) for line in label),
        "value": value,
        "low": low,
        "high": high,
        "margin": margin,
        "outcome": _outcome(interval, better, reference),
        "About": ", ".join(label),
        **tooltip,
    }


def scaled(interval: Interval, factor: float) -> Interval:
    """An interval in another unit."""
    low, high = interval
    return None if low is None else low * factor, None if high is None else high * factor


def goes_beyond(rows: list[Row], reference: float = 0.0) -> bool:
    """Whether an interval reaches beyond the picture and ends in an arrow."""
    low, high = _window(rows, reference)
    return any(_cut_low(row, low) or _cut_high(row, high) for row in rows)


def interval_chart(
    rows: list[Row], title: str, *, reference: float = 0.0, legend: bool = True
) -> dict[str, Any]:
    """The chart of rows made by `interval_row`, in their order.

    Args:
        rows: at least one.
        title: of the axis, with its unit.
        reference: where the thin line stands.
        legend: whether better, unclear and worse are told apart.
    """
    alt = altair()
    low, high = _window(rows, reference)
    shown = [
        row
        | {
            "from": low if _cut_low(row, low) else min(row["low"], high),
            "to": high if _cut_high(row, high) else max(row["high"], low),
            "at": row["value"] if low <= row["value"] <= high else None,
        }
        for row in rows
    ]
    x = alt.X(
        "from:Q",
        title=title,
        scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        axis=alt.Axis(tickCount=6),
    )
    y, colour, shape = _rows_axis(shown), _outcome_colour(legend=legend), _outcome_shape(legend=legend)
    base = alt.Chart(data(shown)).encode(y=y, tooltip=tooltips(shown[0]))
    layers = [
        rule_at(reference),
        base.mark_rule(strokeWidth=3).encode(x=x, x2="to:Q", color=colour),
        base.mark_point(filled=True, size=110, opacity=1).encode(x="at:Q", color=colour, shape=shape),
        *_margins([row for row in shown if row["margin"] is not None and low <= row["margin"] <= high], y),
        *_arrows([row for row in shown if _cut_low(row, low)], "from", 270, y, colour),
        *_arrows([row for row in shown if _cut_high(row, high)], "to", 90, y, colour),
    ]
    return finished(layers, height=alt.Step(STEP))


def _rows_axis(rows: list[Row]) -> Any:
    alt = altair()
    # Labels are text in a string literal of ours; names from the data only ever arrive as `datum.label`.
    axis = alt.Axis(
        labelExpr="split(datum.label, '\\n')", labelLimit=LABEL_WIDTH, labelPadding=8, ticks=False
    )
    return alt.Y("label:N", sort=list(dict.fromkeys(row["label"] for row in rows)), title=None, axis=axis)


def _outcome_colour(*, legend: bool) -> Any:
    alt = altair()
    shown = alt.Legend(orient="top") if legend else None
    return alt.Color(
        "outcome:N", title=None, scale=alt.Scale(domain=list(_OUTCOMES), range=_COLOURS), legend=shown
    )


def _outcome_shape(*, legend: bool) -> Any:
    alt = altair()
    scale = alt.Scale(domain=list(_OUTCOMES), range=_SHAPES)
    shown = alt.Legend(orient="top") if legend else None
    return alt.Shape("outcome:N", title=None, scale=scale, legend=shown)


def _margins(rows: list[Row], y: Any) -> list[Any]:
    if not rows:
        return []
    alt = altair()
    ticks = alt.Chart(data(rows)).mark_tick(thickness=4, size=26, opacity=1, color="var(--text)")
    return [ticks.encode(y=y, x="margin:Q", tooltip=["About:N", alt.Tooltip("margin:Q", format=".3g")])]


def _arrows(rows: list[Row], end: str, angle: int, y: Any, colour: Any) -> list[Any]:
    if not rows:
        return []
    mark = (
        altair().Chart(data(rows)).mark_point(shape="triangle", angle=angle, filled=True, size=90, opacity=1)
    )
    return [mark.encode(y=y, x=f"{end}:Q", color=colour, tooltip=tooltips(rows[0]))]


def _outcome(interval: Interval, better: str, reference: float) -> str:
    low, high = interval
    if low is not None and low > reference:
        return "better" if better == "higher" else "worse"
    if high is not None and high < reference:
        return "worse" if better == "higher" else "better"
    return "unclear"


def _window(rows: list[Row], reference: float) -> tuple[float, float]:
    """The part of the axis that is shown: the reference, and every bound not far out of proportion."""
    known = [
        row[key] - reference
        for row in rows
        for key in ("low", "high", "value", "margin")
        if row[key] is not None
    ]
    sizes = sorted(abs(distance) for distance in known)
    limit = max(_WIDEST * sizes[len(sizes) // 2], sizes[0])
    low = min(0.0, *(max(distance, -limit) for distance in known))
    high = max(0.0, *(min(distance, limit) for distance in known))
    pad = 0.06 * (high - low) or 1.0
    return reference + low - pad, reference + high + pad


def _cut_low(row: Row, low: float) -> bool:
    return row["low"] is None or bool(row["low"] < low)


def _cut_high(row: Row, high: float) -> bool:
    return row["high"] is None or bool(row["high"] > high)
