"""Which outline and which charts a report has."""

from __future__ import annotations

from typing import TypeAlias

from promptarena.definitions.readout import Readout
from promptarena.reporting.charts import Chart, readout_charts
from promptarena.reporting.outline import Outline
from promptarena.reporting.readout_outline import outline_readout

__all__ = ["Report", "charts", "outline"]

Report: TypeAlias = Readout


def outline(report: Report) -> Outline:
    """What a report says, for any face to render."""
    return outline_readout(report)


def charts(report: Report) -> dict[str, Chart]:
    """The charts of a report, by the key of the section they belong to."""
    return readout_charts(report)
