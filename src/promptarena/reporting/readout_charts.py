"""The charts of a readout, each for the section of the outline that has its table."""

from __future__ import annotations

from promptarena.definitions.readout import Balance, Comparison, Interval, MetricReadout, Readout
from promptarena.reporting.adaptive_chart import allocation_chart
from promptarena.reporting.charts import (
    HEIGHT,
    LABEL_WIDTH,
    SERIES,
    STEP,
    Chart,
    Row,
    altair,
    data,
    finished,
    rule_at,
    tooltips,
)
from promptarena.reporting.figures import Scale, count, percent, relative
from promptarena.reporting.interval_chart import goes_beyond, interval_chart, interval_row, scaled
from promptarena.reporting.look_chart import look_chart

__all__ = ["readout_charts"]


def readout_charts(readout: Readout) -> dict[str, Chart]:
    """The charts of a readout by the key of the section they belong to; sections without data have none.

    Raises:
        MissingExtraError: altair is not installed.
    """
    charts: dict[str, Chart | None] = {
        "metrics": _forest(readout),
        "allocation": allocation_chart(readout, readout.adaptive) if readout.adaptive else None,
        "balance": _shares(readout.balance),
        **{f"looks:{path.variant}": look_chart(path, readout) for path in readout.paths},
    }
    for name, metric in readout.metrics.items():
        charts[f"daily:{name}"] = _daily(metric, readout)
        charts[f"segments:{name}"] = _segments(metric, readout)
    return {key: chart for key, chart in charts.items() if chart is not None}


def _forest(readout: Readout) -> Chart | None:
    rows: list[Row] = []
    absent: list[str] = []
    scaled_by_control = False
    many = len(readout.variants) > 2
    for metric in readout.metrics.values():
        for variant, found in metric.comparisons.items():
            shown = _relative_interval(found, is_primary=metric.name == readout.primary)
            if found.relative_difference is None or shown is None:
                absent.append(f"{metric.name} of {variant}" if many else metric.name)
                continue
            scaled_by_control |= found.relative_interval is None
            text, interval = relative(found.relative_difference, shown)
            rows.append(
                interval_row(
                    (metric.name, f"{variant}, {metric.role}" if many else metric.role),
                    found.relative_difference * 100,
                    scaled(shown, 100),
                    better=metric.better,
                    margin=_relative_margin(metric, found),
                    tooltip={"Relative": text, "Interval": interval, "Better": metric.better},
                )
            )
    if not rows:
        return None
    sentences = [
        "Each line is an interval, its mark the estimate, in % of control. The line at 0 is no difference.",
        "A heavy tick is a margin: the interval must stay clear of it." if _has_margin(rows) else "",
        "An arrow means that the interval goes on beyond the picture." if goes_beyond(rows) else "",
        f"The interval of {readout.primary} is that of its difference, divided by control's value."
        if scaled_by_control
        else "",
        f"Not in it, for want of a relative interval: {', '.join(absent)}." if absent else "",
    ]
    return Chart(
        "Relative effect on every metric",
        " ".join(filter(None, sentences)),
        interval_chart(rows, "Difference from control, % of control"),
    )


def _relative_interval(found: Comparison, *, is_primary: bool) -> Interval | None:
    """The relative interval; of a primary that was looked at while it ran, its difference's over |control|.

    A sequential interval has no relative counterpart; on a picture, leaving the primary out would be worse.
    """
    if found.relative_interval is not None or not is_primary:
        return found.relative_interval
    if found.interval is None or not found.control_value:
        return None
    return scaled(found.interval, 1 / abs(found.control_value))


def _has_margin(rows: list[Row]) -> bool:
    return any(row["margin"] is not None for row in rows)


def _relative_margin(metric: MetricReadout, found: Comparison) -> float | None:
    """Where the margin lies on the relative axis, in % of control, on the bad side; `None` without one."""
    if metric.margin is None:
        return None
    if metric.margin.endswith("%"):
        margin = float(metric.margin[:-1])
    elif not found.control_value:
        return None
    else:
        margin = float(metric.margin) / abs(found.control_value) * 100
    return margin if metric.better == "lower" else -margin


def _segments(metric: MetricReadout, readout: Readout) -> Chart | None:
    if not metric.segments:
        return None
    scale, many = Scale.of(metric), len(readout.variants) > 2
    whole = [("all units", variant, found) for variant, found in metric.comparisons.items()]
    parts = [(f"{each.segment} = {each.value}", each.variant, each.comparison) for each in metric.segments]
    rows = []
    for name, variant, found in (*whole, *parts):
        if found.difference is None or found.interval is None:
            continue
        units = f"n {count(found.n_control + found.n_variant)}"
        rows.append(
            interval_row(
                (name, f"{variant}, {units}" if many else units),
                found.difference * scale.factor,
                scaled(found.interval, scale.factor),
                better=metric.better,
                tooltip={
                    "Difference": scale.difference(found.difference, found.interval),
                    "Interval": scale.interval(found.interval),
                    "n": f"{count(found.n_control)} and {count(found.n_variant)}",
                },
            )
        )
    if not rows:
        return None
    return Chart(
        f"Effect on {metric.name} by segment",
        "Intervals of single segments are wider than that of all units: unless one lies wholly on the other"
        " side of 0, the segments do not contradict the whole.",
        interval_chart(rows, f"Difference, {scale.axis_unit}"),
    )


def _daily(metric: MetricReadout, readout: Readout) -> Chart | None:
    scale, many = Scale.of(metric), len(readout.variants) > 2
    rows = [
        {
            "day": effect.day,
            "variant": effect.variant,
            "value": effect.difference * scale.factor,
            "low": low,
            "high": high,
            "First seen": effect.day,
            "Variant": effect.variant,
            "Difference": scale.difference(effect.difference, effect.interval),
            "Interval": scale.interval(effect.interval),
            "Units": count(effect.n_control + effect.n_variant),
        }
        for effect in metric.daily
        if effect.difference is not None and effect.interval is not None
        for low, high in [scaled(effect.interval, scale.factor)]
        if low is not None and high is not None
    ]
    if not rows:
        return None
    alt = altair()
    days = sorted({effect.day for effect in metric.daily})
    x = alt.X(
        "day:O",
        title="Day on which units were first seen (month-day, UTC)",
        scale=alt.Scale(domain=days),
        axis=alt.Axis(labelExpr="slice(datum.label, 5)", labelAngle=0, labelOverlap=True),
    )
    y = alt.Y("low:Q", title=scale.axis_unit, scale=alt.Scale(zero=True))
    variants = alt.Color(
        "variant:N",
        title=None,
        scale=alt.Scale(domain=list(readout.variants[1:]), range=SERIES),
        legend=alt.Legend(orient="top") if many else None,
    )
    base = alt.Chart(data(rows)).encode(x=x, color=variants, tooltip=tooltips(rows[0]))
    if many:
        base = base.encode(xOffset="variant:N")
    layers = [
        rule_at(0, horizontal=True),
        base.mark_rule(strokeWidth=2).encode(y=y, y2="high:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(y="value:Q"),
    ]
    return Chart(
        f"Effect on {metric.name} day by day",
        f"Difference from control among the units first seen on each day, in {scale.axis_unit}, with its"
        " interval. A steady drift towards 0 or away from it is news; single days are chance.",
        finished(layers, height=HEIGHT),
    )


def _shares(balance: Balance) -> Chart | None:
    total = sum(balance.counts.values())
    if total == 0:
        return None
    alt = altair()
    rows = [
        {
            "variant": variant,
            "share": units / total * 100,
            "expected": None
            if balance.expected is None
            else balance.expected.get(variant, 0.0) / total * 100,
            "Variant": variant,
            "Units": count(units),
            "Share": percent(units / total, 2),
        }
        for variant, units in balance.counts.items()
    ]
    base = alt.Chart(data(rows)).encode(
        y=alt.Y("variant:N", sort=None, title=None, axis=alt.Axis(labelLimit=LABEL_WIDTH, ticks=False)),
        tooltip=["Variant:N", "Units:N", "Share:N"],
    )
    x = alt.X("share:Q", title="Share of units, %", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6))
    layers = [base.mark_bar(size=20, color="var(--series-1)").encode(x=x)]
    reading = "No weights are known, so there is nothing to hold the shares against."
    if balance.expected is not None:
        layers.append(
            base.mark_tick(thickness=4, size=32, opacity=1, color="var(--text)").encode(x="expected:Q")
        )
        reading = "Bars are the units that came, heavy ticks what the allocation promised."
    return Chart("Share of units by variant", reading, finished(layers, height=alt.Step(STEP)))
