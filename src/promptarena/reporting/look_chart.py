"""The sequential path: z at every look against its boundary, and the looks still to come."""

from __future__ import annotations

from typing import Any

from promptarena.definitions.readout import LookPath, Readout
from promptarena.reporting.charts import HEIGHT, Chart, Row, altair, data, finished, rule_at, tooltips
from promptarena.reporting.figures import count

__all__ = ["look_chart"]

_NAME_OFFSET = 0.45
"""How far from the boundary its name stands, in z."""


def look_chart(path: LookPath, readout: Readout) -> Chart | None:
    """One treatment's path; `None` without looks."""
    if not path.looks:
        return None
    alt = altair()
    x = alt.X(
        "information:Q",
        title="Information, % of the planned maximum",
        # A last look may have more than was planned.
        scale=alt.Scale(domain=[0, max(105, *(look.fraction * 105 for look in path.looks))]),
        axis=alt.Axis(values=[0, 25, 50, 75, 100]),
    )
    y = alt.Y("z:Q", title="z (upwards is good)", scale=alt.Scale(zero=True))
    colour = alt.Color(
        "side:N",
        legend=None,
        scale=alt.Scale(domain=["good", "bad"], range=["var(--good)", "var(--bad)"]),
    )
    dash = alt.StrokeDash(
        "time:N", legend=None, scale=alt.Scale(domain=["past", "to come"], range=[[1, 0], [5, 4]])
    )
    boundary, names = _boundary(path), _names(path, readout)
    bounds = alt.Chart(data(boundary)).encode(x=x, y=y, color=colour, detail="time:N")
    label = alt.Chart(data(names)).mark_text(align="right", fontSize=12)
    layers = [
        rule_at(0, horizontal=True),
        bounds.mark_line(strokeWidth=2).encode(strokeDash=dash),
        bounds.mark_point(size=40, opacity=1).encode(tooltip=tooltips(boundary[0])),
        label.encode(x=x, y=y, color=colour, text="name:N"),
        *_seen(_taken(path), x, y),
    ]
    good, bad = (row["name"] for row in names)
    return Chart(
        f"Evidence at each look: {path.variant}",
        f"Filled points are the z of {readout.primary} at the looks taken. On or beyond the upper line:"
        f" {good}; on or beyond the lower line: {bad}. Boundaries of looks still to come are dashed.",
        finished(layers, height=HEIGHT),
    )


def _boundary(path: LookPath) -> list[Row]:
    last_taken = max((i for i, look in enumerate(path.looks) if look.z is not None), default=-1)
    return [
        {
            "information": look.fraction * 100,
            "z": sign * look.critical_z,
            "side": side,
            "time": time,
            "Boundary": f"{sign * look.critical_z:+.3f}",
            "Look": str(position + 1),
        }
        for side, sign in (("good", 1), ("bad", -1))
        for position, look in enumerate(path.looks)
        for time in _times(position, last_taken)
    ]


def _times(position: int, last_taken: int) -> tuple[str, ...]:
    # The last look taken ends the solid line and begins the dashed one.
    if position < last_taken:
        return ("past",)
    return ("past", "to come") if position == last_taken else ("to come",)


def _names(path: LookPath, readout: Readout) -> list[Row]:
    last = path.looks[-1]
    superiority = readout.metrics[readout.primary].margin is None
    good, bad = ("better", "worse") if superiority else ("margin kept", "margin broken")
    return [
        {
            "information": last.fraction * 100,
            "z": sign * (last.critical_z + _NAME_OFFSET),
            "side": side,
            "name": name,
        }
        for side, sign, name in (("good", 1, good), ("bad", -1, bad))
    ]


def _taken(path: LookPath) -> list[Row]:
    return [
        {
            "information": look.fraction * 100,
            "z": look.z,
            "Look": str(position),
            "Seen": f"{look.z:+.3f}",
            "Boundary": f"{look.critical_z:.3f}",
            "Units": count(look.n),
            "Last day": look.day or "not known",
        }
        for position, look in enumerate(path.looks, 1)
        if look.z is not None
    ]


def _seen(rows: list[Row], x: Any, y: Any) -> list[Any]:
    if not rows:
        return []
    seen = altair().Chart(data(rows)).encode(x=x, y=y)
    return [
        seen.mark_line(strokeWidth=2, color="var(--text)"),
        seen.mark_point(filled=True, size=110, opacity=1, color="var(--text)").encode(
            tooltip=tooltips(rows[0])
        ),
    ]
