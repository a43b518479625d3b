"""How large a declared trial is to be."""

from __future__ import annotations

from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.plan import plan as size_plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.analysis_plan import AnalysisPlan

__all__ = ["planned_size"]


def planned_size(plan: AnalysisPlan) -> PlannedSize | None:
    """The size that the design was planned for; `None` where all data is one look."""
    design = plan.design
    sized = design.mde is not None or design.units is not None or plan.primary.margin is not None
    if not plan.preregistered or (len(design.looks) == 1 and not sized):
        return None
    size = size_plan(PlanRequest.from_analysis_plan(plan))
    return PlannedSize(size.max_information, size.total)
