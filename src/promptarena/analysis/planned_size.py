"""How large a declared trial is to be."""

from __future__ import annotations

from pathlib import Path

from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.plan import plan as size_plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.document import read_document
from promptarena.definitions.experiment import Experiment
from promptarena.errors import UsageError

__all__ = ["check_size", "planned_size"]


def check_size(experiment: Experiment, file: Path) -> None:
    """Refuse a trial of which no readout could say how far it has come. Bandits and lists need no size.

    Raises:
        DefinitionError: its design lacks what sizing takes.
    """
    if experiment.interleave is not None or experiment.allocation is not None:
        return
    try:
        planned_size(experiment.analysis_plan())
    except UsageError as error:
        raise read_document(file).located(error) from None


def planned_size(plan: AnalysisPlan) -> PlannedSize | None:
    """The size that the design was planned for; `None` where all data is one look."""
    design = plan.design
    sized = design.mde is not None or design.units is not None or plan.primary.margin is not None
    if not plan.preregistered or (len(design.looks) == 1 and not sized):
        return None
    size = size_plan(PlanRequest.from_analysis_plan(plan))
    return PlannedSize(size.max_information, size.total)
