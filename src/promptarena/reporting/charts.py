"""What every chart shares: a title, a sentence on how to read it, and a Vega-Lite specification.

Colours are the page's CSS variables, so one specification serves light, dark and paper. Meaning is never in
colour alone: shapes or words repeat it, and a table with the same numbers stands below each chart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from promptarena.errors import MissingExtraError

__all__ = [
    "HEIGHT",
    "LABEL_WIDTH",
    "SERIES",
    "STEP",
    "Chart",
    "Row",
    "altair",
    "data",
    "finished",
    "missing_charts",
    "rule_at",
    "tooltips",
]

Row = dict[str, Any]

SERIES: Final = [f"var(--series-{i})" for i in range(1, 7)]
LABEL_WIDTH: Final = 150
"""Pixels beyond which a name on an axis is cut; the table has it whole."""
STEP: Final = 44
"""Pixels a row."""
HEIGHT: Final = 280
# Named, not a CSS variable: text is measured on a canvas, which knows no variables.
_FONT: Final = "system-ui, sans-serif"


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture."""

    title: str
    reading: str
    """How to read it, in a sentence or two."""
    spec: dict[str, Any]
    """Vega-Lite, data inside."""


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


def data(rows: list[Row]) -> Any:
    """Rows as a chart's own data."""
    return altair().InlineData(values=rows)


def tooltips(row: Row) -> list[str]:
    """What is shown on hovering: the columns whose names are capitalised, which are written for people."""
    return [f"{key}:N" for key in row if key[0].isupper()]


def rule_at(value: float, *, horizontal: bool = False) -> Any:
    """A thin line of reference across the chart."""
    rule = altair().Chart(data([{"reference": value}])).mark_rule(color="var(--text)", strokeWidth=1)
    return rule.encode(y="reference:Q") if horizontal else rule.encode(x="reference:Q")


def finished(layers: list[Any], *, height: Any) -> dict[str, Any]:
    """Layers as one specification, as wide as the place that it is put into."""
    alt = altair()
    done = (
        alt.layer(*layers)
        .properties(
            width="container",
            height=height,
            background="transparent",
            autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        )
        .configure(
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
    )
    spec: dict[str, Any] = done.to_dict()
    return spec
