"""The charts of a plan: its power by the true effect, and its boundary over the looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from promptarena.reporting.charts import HEIGHT, Chart, Row, altair, data, finished, rule_at, tooltips
from promptarena.reporting.figures import Scale, count, digits, percent

if TYPE_CHECKING:  # only described here: whoever has a plan has paid for its import
    from promptarena.analysis.plan import Plan

__all__ = ["plan_charts"]

_SEVERAL: Final = 2


def plan_charts(plan: Plan) -> dict[str, Chart]:
    """The charts of a plan by the key of the section they belong to; sections without data have none."""
    charts = {"power": _power(plan), "looks": _looks(plan)}
    return {key: chart for key, chart in charts.items() if chart is not None}


def _power(plan: Plan) -> Chart | None:
    if not plan.power_curve:
        return None
    alt, scale = altair(), Scale.of_kind(plan.kind)
    what = "Margin" if plan.non_inferiority else "Effect"
    rows: list[Row] = [
        {
            "effect": point.effect * scale.factor,
            "power": point.power * 100,
            what: digits(point.effect * scale.factor, 3) + scale.difference_unit,
            "Power": percent(point.power),
        }
        for point in plan.power_curve
    ]
    unit = scale.axis_unit
    base = alt.Chart(data(rows)).encode(
        x=alt.X("effect:Q", title=f"True {what.lower()}, {unit}", scale=alt.Scale(zero=False)),
        y=alt.Y("power:Q", title="Power, %", scale=alt.Scale(domain=[0, 100])),
    )
    layers = [
        rule_at(plan.power_each * 100, horizontal=True),
        base.mark_line(strokeWidth=2),
        base.mark_point(size=40, opacity=1, filled=True).encode(tooltip=tooltips(rows[0])),
    ]
    return Chart(
        "Power by true effect",
        f"How probable it is that {count(plan.total)} units show it. The line across is the power asked for.",
        finished(layers, height=HEIGHT),
    )


def _looks(plan: Plan) -> Chart | None:
    if len(plan.looks) < _SEVERAL:
        return None
    alt = altair()
    rows: list[Row] = [
        {
            "units": look.n,
            "z": look.critical_z,
            "Look": str(place),
            "Units": count(look.n),
            "Asked for, |z|": digits(look.critical_z, 4),
        }
        for place, look in enumerate(plan.looks, 1)
    ]
    base = alt.Chart(data(rows)).encode(
        x=alt.X("units:Q", title="Units in all", scale=alt.Scale(zero=True)),
        y=alt.Y("z:Q", title="|z| asked for", scale=alt.Scale(zero=False)),
    )
    layers = [
        base.mark_line(strokeWidth=2),
        base.mark_point(size=40, opacity=1, filled=True).encode(tooltip=tooltips(rows[0])),
    ]
    return Chart(
        "What each look asks for",
        "Evidence on or beyond the line ends the trial at that look.",
        finished(layers, height=HEIGHT),
    )
