"""A readout's charts as Vega-Lite specifications, one for each section of the outline that has a picture.

Colours are the page's CSS variables, so one specification serves light, dark and paper. Meaning is never in
colour alone: better, worse and unclear differ in shape too, and a table with the same numbers stands below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from promptarena.definitions.readout import Balance, Comparison, Interval, LookPath, MetricReadout, Readout
from promptarena.errors import MissingExtraError
from promptarena.reporting.figures import Scale, count, percent, relative

__all__ = ["Chart", "readout_charts"]

Row = dict[str, Any]

_OUTCOMES: Final = ("better", "unclear", "worse")
_OUTCOME_COLOURS: Final = ["var(--good)", "var(--unclear)", "var(--bad)"]
_OUTCOME_SHAPES: Final = ["circle", "diamond", "square"]
_VARIANT_COLOURS: Final = [f"var(--series-{i})" for i in range(1, 7)]
# Named, not a CSS variable: text is measured on a canvas, which knows no variables.
_FONT: Final = "system-ui, sans-serif"
_LABEL_WIDTH: Final = 150
_STEP: Final = 44
_HEIGHT: Final = 260
# A few wide intervals must not flatten the rest: beyond this many times the median bound they are cut.
_WIDEST: Final = 4.0


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture."""

    title: str
    reading: str
    """How to read it, in a sentence or two."""
    spec: dict[str, Any]
    """Vega-Lite, data inside."""


def readout_charts(readout: Readout) -> dict[str, Chart]:
    """The charts of a readout by the key of the section they belong to; sections without data have none.

    Raises:
        MissingExtraError: altair is not installed.
    """
    charts: dict[str, Chart | None] = {
        "metrics": _forest(readout),
        "balance": _shares(readout.balance),
        **{f"looks:{path.variant}": _path(path, readout) for path in readout.paths},
    }
    for name, metric in readout.metrics.items():
        charts[f"daily:{name}"] = _daily(metric, readout)
        charts[f"segments:{name}"] = _segments(metric, readout)
    return {key: chart for key, chart in charts.items() if chart is not None}


def altair() -> Any:
    """The altair module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import altair as module
    except ImportError as error:
        raise missing_charts("altair") from error
    return module


def missing_charts(package: str) -> MissingExtraError:
    """The error for a package of the `charts` extra that is not there."""
    return MissingExtraError(
        f"The HTML page needs the package {package}, which is not installed.",
        hint="Install it with: pip install 'promptarena[charts]' (text, Markdown and JSON work without it).",
    )


def _forest(readout: Readout) -> Chart | None:
    rows: list[Row] = []
    absent: list[str] = []
    many = len(readout.variants) > 2
    for metric in readout.metrics.values():
        for variant, found in metric.comparisons.items():
            if found.relative_difference is None or found.relative_interval is None:
                absent.append(f"{metric.name} of {variant}" if many else metric.name)
                continue
            text, interval = relative(found.relative_difference, found.relative_interval)
            rows.append(
                _interval_row(
                    label=(metric.name, f"{variant}, {metric.role}" if many else metric.role),
                    value=found.relative_difference * 100,
                    interval=_scaled(found.relative_interval, 100),
                    better=metric.better,
                    tooltip={"Relative": text, "Interval": interval, "Better": metric.better},
                )
                | {"margin": _relative_margin(metric, found)}
            )
    if not rows:
        return None
    return Chart(
        "Relative effect on every metric",
        "Each line is an interval, its mark the estimate, in % of control. The thin line at 0 is no"
        " difference; a heavy tick is the margin that a guardrail (or a non-inferiority primary) must stay clear of."
        + (" An arrow means that the interval goes on beyond the picture." if _is_cut(rows) else "")
        + (f" Not in it, for want of a relative interval: {', '.join(absent)}." if absent else ""),
        _interval_chart(rows, "Difference from control, % of control"),
    )


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
    scale, many, rows = Scale.of(metric), len(readout.variants) > 2, []
    whole = [("all units", variant, found) for variant, found in metric.comparisons.items()]
    parts = [(f"{each.segment} = {each.value}", each.variant, each.comparison) for each in metric.segments]
    for name, variant, found in (*whole, *parts):
        if found.difference is None or found.interval is None:
            continue
        row = _interval_row(
            label=(
                name,
                f"{variant}, n {count(found.n_control + found.n_variant)}"
                if many
                else f"n {count(found.n_control + found.n_variant)}",
            ),
            value=found.difference * scale.factor,
            interval=_scaled(found.interval, scale.factor),
            better=metric.better,
            tooltip={
                "Difference": scale.difference(found.difference, found.interval),
                "Interval": scale.interval(found.interval),
                "n": f"{count(found.n_control)} and {count(found.n_variant)}",
            },
        )
        rows.append(row | {"margin": None})
    if not metric.segments or not rows:
        return None
    return Chart(
        f"Effect on {metric.name} by segment",
        "Intervals of single segments are wider than that of all units: unless one lies wholly on the other"
        " side of 0, the segments do not contradict the whole.",
        _interval_chart(rows, f"Difference, {scale.axis_unit}"),
    )


def _interval_row(
    *, label: tuple[str, str], value: float, interval: Interval, better: str, tooltip: dict[str, str]
) -> Row:
    low, high = interval
    return {
        "label": "\n".join(_one_line(line) for line in label),
        "value": value,
        "low": low,
        "high": high,
        "outcome": _outcome(interval, better),
        "About": ", ".join(label),
        **tooltip,
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _outcome(interval: Interval, better: str) -> str:
    low, high = interval
    if low is not None and low > 0:
        return "better" if better == "higher" else "worse"
    if high is not None and high < 0:
        return "worse" if better == "higher" else "better"
    return "unclear"


def _scaled(interval: Interval, factor: float) -> Interval:
    low, high = interval
    return None if low is None else low * factor, None if high is None else high * factor


def _window(rows: list[Row]) -> tuple[float, float]:
    """The part of the axis that is shown: zero, and every bound that is not far out of proportion."""
    known = [row[key] for row in rows for key in ("low", "high", "value", "margin") if row[key] is not None]
    sizes = sorted(abs(bound) for bound in known)
    limit = max(_WIDEST * sizes[len(sizes) // 2], sizes[0])
    low, high = (
        min(0.0, *(max(bound, -limit) for bound in known)),
        max(0.0, *(min(bound, limit) for bound in known)),
    )
    pad = 0.06 * (high - low) or 1.0
    return low - pad, high + pad


def _is_cut(rows: list[Row]) -> bool:
    low, high = _window(rows)
    return any(_cut_low(row, low) or _cut_high(row, high) for row in rows)


def _cut_low(row: Row, low: float) -> bool:
    return row["low"] is None or bool(row["low"] < low)


def _cut_high(row: Row, high: float) -> bool:
    return row["high"] is None or bool(row["high"] > high)


def _interval_chart(rows: list[Row], title: str) -> dict[str, Any]:
    alt = altair()
    low, high = _window(rows)
    shown = [
        row
        | {
            "from": low if _cut_low(row, low) else row["low"],
            "to": high if _cut_high(row, high) else row["high"],
            "at": row["value"] if low <= row["value"] <= high else None,
        }
        for row in rows
    ]
    tooltip = [f"{key}:N" for key in rows[0] if key[0].isupper()]
    names = list(dict.fromkeys(row["label"] for row in rows))
    y = alt.Y(
        "label:N",
        sort=names,
        title=None,
        axis=alt.Axis(
            labelExpr="split(datum.label, '\\n')", labelLimit=_LABEL_WIDTH, labelPadding=8, ticks=False
        ),
    )
    x = alt.X(
        "from:Q",
        title=title,
        scale=alt.Scale(domain=[low, high], nice=False, zero=False),
        axis=alt.Axis(tickCount=6),
    )
    colour = alt.Color(
        "outcome:N",
        title=None,
        scale=alt.Scale(domain=list(_OUTCOMES), range=_OUTCOME_COLOURS),
        legend=alt.Legend(orient="top"),
    )
    shape = alt.Shape("outcome:N", title=None, scale=alt.Scale(domain=list(_OUTCOMES), range=_OUTCOME_SHAPES))
    base = alt.Chart(_data(shown)).encode(y=y, tooltip=tooltip)
    layers = [
        _rule_at_zero(),
        base.mark_rule(strokeWidth=3).encode(x=x, x2="to:Q", color=colour),
        base.mark_point(filled=True, size=110, opacity=1).encode(x="at:Q", color=colour, shape=shape),
    ]
    margins = [row for row in shown if row["margin"] is not None and low <= row["margin"] <= high]
    if margins:
        ticks = alt.Chart(_data(margins)).mark_tick(thickness=4, size=26, opacity=1, color="var(--text)")
        layers.append(
            ticks.encode(y=y, x="margin:Q", tooltip=["About:N", alt.Tooltip("margin:Q", format=".3g")])
        )
    for key, angle, cut in (("from", -90, _cut_low), ("to", 90, _cut_high)):
        arrows = [row for row in shown if cut(row, low if key == "from" else high)]
        if arrows:
            mark = alt.Chart(_data(arrows)).mark_point(
                shape="triangle", angle=angle % 360, filled=True, size=90, opacity=1
            )
            layers.append(mark.encode(y=y, x=f"{key}:Q", color=colour, tooltip=tooltip))
    return _finished(alt.layer(*layers), height=alt.Step(_STEP))


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
        for low, high in [_scaled(effect.interval, scale.factor)]
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
        scale=alt.Scale(domain=list(readout.variants[1:]), range=_VARIANT_COLOURS),
        legend=alt.Legend(orient="top") if many else None,
    )
    tooltip = [f"{key}:N" for key in rows[0] if key[0].isupper()]
    base = alt.Chart(_data(rows)).encode(x=x, color=variants, tooltip=tooltip)
    if many:
        base = base.encode(xOffset="variant:N")
    layers = [
        _rule_at_zero(horizontal=True),
        base.mark_rule(strokeWidth=2).encode(y=y, y2="high:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(y="value:Q"),
    ]
    return Chart(
        f"Effect on {metric.name} day by day",
        f"Difference from control among the units first seen on each day, in {scale.axis_unit}, with its"
        " interval. A steady drift towards 0 or away from it is news; single days are chance.",
        _finished(alt.layer(*layers), height=_HEIGHT),
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
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("variant:N", sort=None, title=None, axis=alt.Axis(labelLimit=_LABEL_WIDTH, ticks=False)),
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
    return Chart("Share of units by variant", reading, _finished(alt.layer(*layers), height=alt.Step(_STEP)))


def _path(path: LookPath, readout: Readout) -> Chart | None:
    if not path.looks:
        return None
    alt = altair()
    two_sided = readout.metrics[readout.primary].margin is None
    last_taken = max((i for i, look in enumerate(path.looks) if look.z is not None), default=-1)
    boundary = [
        {
            "information": look.fraction * 100,
            "z": side * look.critical_z,
            "side": name,
            "time": time,
            "Boundary": f"{side * look.critical_z:+.3f}",
            "Look": str(position),
        }
        for side, name in ((1, "good"), (-1, "bad"))[: 2 if two_sided else 1]
        for position, look in enumerate(path.looks, 1)
        for time in _times(position - 1, last_taken)
    ]
    taken = [
        {
            "information": look.fraction * 100,
            "z": look.z,
            "Look": str(position),
            "z seen": f"{look.z:+.3f}",
            "Boundary": f"{look.critical_z:.3f}",
            "Units": count(look.n),
            "Last day": look.day or "not known",
        }
        for position, look in enumerate(path.looks, 1)
        if look.z is not None
    ]
    x = alt.X(
        "information:Q", title="Information, % of the planned maximum", scale=alt.Scale(domain=[0, 105])
    )
    y = alt.Y("z:Q", title="z (upwards is good)", scale=alt.Scale(zero=True))
    bounds = alt.Chart(_data(boundary)).encode(x=x, y=y, color=_side_colour(), detail="time:N")
    dash = alt.StrokeDash(
        "time:N", legend=None, scale=alt.Scale(domain=["past", "to come"], range=[[1, 0], [5, 4]])
    )
    layers = [
        _rule_at_zero(horizontal=True),
        bounds.mark_line(strokeWidth=2).encode(strokeDash=dash),
        bounds.mark_point(size=40, opacity=1).encode(tooltip=["Look:N", "Boundary:N"]),
        _side_names(path, two_sided=two_sided).encode(x=x, y=y, color=_side_colour()),
    ]
    if taken:
        seen = alt.Chart(_data(taken)).encode(x=x, y=y)
        layers.append(seen.mark_line(strokeWidth=2, color="var(--text)"))
        tooltip = [f"{key}:N" for key in taken[0] if key not in ("information", "z")]
        layers.append(
            seen.mark_point(filled=True, size=110, opacity=1, color="var(--text)").encode(tooltip=tooltip)
        )
    sides = (
        "upper line: better than control; beyond the lower line: worse"
        if two_sided
        else "line: the margin is kept"
    )
    return Chart(
        f"Evidence at each look: {path.variant}",
        f"Filled points are the z of the primary at the looks taken. Beyond the {sides}. Boundaries of looks"
        " still to come are dashed.",
        _finished(alt.layer(*layers), height=_HEIGHT + 40),
    )


def _side_colour() -> Any:
    alt = altair()
    scale = alt.Scale(domain=["good", "bad"], range=["var(--good)", "var(--bad)"])
    return alt.Color("side:N", legend=None, scale=scale)


def _side_names(path: LookPath, *, two_sided: bool) -> Any:
    last = path.looks[-1]
    names = [("good", 1, "better" if two_sided else "margin kept"), ("bad", -1, "worse")][
        : 2 if two_sided else 1
    ]
    rows = [
        {"information": last.fraction * 100, "z": side * (last.critical_z + 0.45), "side": key, "name": name}
        for key, side, name in names
    ]
    alt = altair()
    return alt.Chart(_data(rows)).mark_text(align="right", fontSize=12).encode(text="name:N")


def _times(position: int, last_taken: int) -> tuple[str, ...]:
    # The last look taken ends the solid line and begins the dashed one.
    if position < last_taken:
        return ("past",)
    return ("past", "to come") if position == last_taken else ("to come",)


def _rule_at_zero(*, horizontal: bool = False) -> Any:
    alt = altair()
    rule = alt.Chart(_data([{"zero": 0}])).mark_rule(color="var(--text)", strokeWidth=1)
    return rule.encode(y="zero:Q") if horizontal else rule.encode(x="zero:Q")


def _data(rows: list[Row]) -> Any:
    return altair().InlineData(values=rows)


def _finished(chart: Any, *, height: Any) -> dict[str, Any]:
    alt = altair()
    done = chart.properties(
        width="container",
        height=height,
        background="transparent",
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    ).configure(
        font=_FONT,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor="var(--text)",
            titleColor="var(--muted)",
            gridColor="var(--line)",
            domainColor="var(--line)",
            tickColor="var(--line)",
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        ),
        legend=alt.LegendConfig(labelColor="var(--text)", labelFontSize=12),
    )
    spec: dict[str, Any] = done.to_dict()
    return spec
