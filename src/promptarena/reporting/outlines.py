"""Which outline and which charts a report has."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from promptarena.definitions.calibration_readout import CalibrationReadout
from promptarena.definitions.duel_readout import DuelPlan, DuelReadout
from promptarena.definitions.interleaving_readout import InterleavingReadout
from promptarena.definitions.off_policy_readout import OffPolicyReadout
from promptarena.definitions.readout import Readout
from promptarena.definitions.simulated import Simulation
from promptarena.definitions.win_rate_plan import WinRatePlan
from promptarena.reporting.calibration_outline import outline_calibration
from promptarena.reporting.charts import Chart
from promptarena.reporting.duel_charts import duel_charts
from promptarena.reporting.duel_outline import outline_duel
from promptarena.reporting.duel_plan_outline import outline_duel_plan
from promptarena.reporting.interleaving_outline import outline_interleaving
from promptarena.reporting.off_policy_outline import outline_off_policy
from promptarena.reporting.outline import Outline
from promptarena.reporting.plan_charts import plan_charts
from promptarena.reporting.plan_outline import outline_plan, outline_win_rate_plan
from promptarena.reporting.readout_charts import readout_charts
from promptarena.reporting.readout_outline import outline_readout
from promptarena.reporting.simulation_outline import outline_simulation

if TYPE_CHECKING:  # a plan's module brings numpy and scipy, which a readout's text does not need
    from promptarena.analysis.plan import Plan

__all__ = ["Report", "charts", "outline"]

Report: TypeAlias = (
    "Readout | InterleavingReadout | DuelReadout | DuelPlan | CalibrationReadout | OffPolicyReadout"
    " | Simulation | WinRatePlan | Plan"
)


def outline(report: Report) -> Outline:
    """What a report says, for any face to render."""
    if isinstance(report, Readout):
        return outline_readout(report)
    if isinstance(report, DuelReadout):
        return outline_duel(report)
    if isinstance(report, InterleavingReadout):
        return outline_interleaving(report)
    if isinstance(report, DuelPlan):
        return outline_duel_plan(report)
    if isinstance(report, OffPolicyReadout):
        return outline_off_policy(report)
    if isinstance(report, CalibrationReadout):
        return outline_calibration(report)
    if isinstance(report, Simulation):
        return outline_simulation(report)
    if isinstance(report, WinRatePlan):
        return outline_win_rate_plan(report)
    return outline_plan(report)


def charts(report: Report) -> dict[str, Chart]:
    """The charts of a report, by the key of the section they belong to; others than these three have none.

    Raises:
        MissingExtraError: altair is not installed.
    """
    if isinstance(report, Readout):
        return readout_charts(report)
    if isinstance(report, DuelReadout):
        return duel_charts(report)
    if isinstance(
        report,
        DuelPlan | InterleavingReadout | CalibrationReadout | OffPolicyReadout | Simulation | WinRatePlan,
    ):
        return {}
    return plan_charts(report)
