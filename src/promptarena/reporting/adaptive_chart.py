"""The share of the traffic that each variant was given, epoch by epoch."""

from __future__ import annotations

from promptarena.definitions.readout import Adaptive, Readout
from promptarena.reporting.charts import HEIGHT, SERIES, Chart, Row, altair, data, finished, tooltips
from promptarena.reporting.figures import count, percent, share

__all__ = ["allocation_chart"]


def allocation_chart(readout: Readout, adaptive: Adaptive) -> Chart | None:
    """Weights as steps, shares of the units that came as points; `None` before anybody came."""
    rows: list[Row] = [
        {
            "epoch": epoch.epoch,
            "variant": name,
            "weight": epoch.weights.get(name, 0.0) * 100,
            "came": epoch.units.get(name, 0) / total * 100 if total else None,
            "Epoch": str(epoch.epoch),
            "Variant": name,
            "Weight": percent(epoch.weights.get(name, 0.0)),
            "Came": share(epoch.units.get(name, 0), total, 1),
            "Units": count(epoch.units.get(name, 0)),
        }
        for epoch in adaptive.epochs
        for total in [sum(epoch.units.values())]
        for name in readout.variants
    ]
    if not rows:
        return None
    alt = altair()
    base = alt.Chart(data(rows)).encode(
        x=alt.X("epoch:O", title="Epoch", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        color=alt.Color(
            "variant:N",
            title=None,
            scale=alt.Scale(domain=list(readout.variants), range=SERIES),
            legend=alt.Legend(orient="top"),
        ),
        tooltip=tooltips(rows[0]),
    )
    y = alt.Y("weight:Q", title="Share of the enrolled, %", scale=alt.Scale(domain=[0, 100]))
    layers = [
        base.mark_line(interpolate="step", strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=45, opacity=1).encode(y="came:Q"),
    ]
    return Chart(
        "Weights, epoch by epoch",
        "Lines are the weights that the bandit gave, points the shares of the units that came. A line near"
        " the lower edge is a variant that is kept at its least share.",
        finished(layers, height=HEIGHT),
    )
