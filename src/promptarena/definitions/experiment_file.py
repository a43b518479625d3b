"""An experiment as users write it; `experiment.load_experiment` reads and resolves it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from promptarena.definitions.analysis_plan import Design, Guardrail, Primary, SegmentRule
from promptarena.definitions.bandit import Bandit
from promptarena.definitions.eligibility import Condition
from promptarena.definitions.frozen import Frozen
from promptarena.definitions.interleave import Interleave
from promptarena.definitions.metric_file import MetricMap
from promptarena.definitions.monitor import Monitor
from promptarena.definitions.names import Name, Text
from promptarena.definitions.rollout_plan import Stage
from promptarena.definitions.suggestion import nearest
from promptarena.definitions.variant import VariantEntry

__all__ = ["UNITS", "ExperimentFile", "Unit"]

UNITS = ("request", "session", "conversation", "user")
"""The kinds of unit that are known; any attribute may be one too."""


def _unit(written: Any) -> Any:
    # Any attribute may be a unit, so a misspelt kind would pass in silence and enrol nobody.
    if isinstance(written, str) and written not in UNITS and (close := nearest(written, UNITS, 0.75)):
        raise ValueError(
            f"{written!r} is no kind of unit ({', '.join(UNITS)}) and too like one for an attribute's name. "
            f"Did you mean {close!r}?"
        )
    return written


def _nothing_said(written: Any) -> Any:
    return {} if written is None else written


Unit = Annotated[Name, BeforeValidator(_unit)]
"""What is randomised: request, session, conversation, user, or the name of an attribute (a cluster)."""
Inheriting = Annotated[
    VariantEntry, BeforeValidator(_nothing_said, json_schema_input_type=VariantEntry | None)
]


class ExperimentFile(Frozen):
    """One change, from the golden dataset to its verdict."""

    experiment: Name
    """Its name, unique in the project; also the salt of its assignment."""
    feature: Name
    """The feature in arena.yaml that it changes."""
    hypothesis: Text | None = None
    """What is expected to happen, and why."""
    unit: Unit
    eligibility: dict[Name, Condition] = Field(default_factory=dict)
    """Conditions on attributes; all must hold."""
    variants: Annotated[
        dict[Name, Inheriting], Field(json_schema_extra={"required": ["control"], "minProperties": 2})
    ]
    """Exactly one is called `control`; the others are treatments."""
    metrics: MetricMap = Field(default_factory=dict)
    primary: Primary
    """The one metric on which the verdict rests."""
    guardrails: tuple[Guardrail, ...] = ()
    """Metrics that must not become worse than their margins."""
    secondary: tuple[Name, ...] = ()
    """Metrics that are shown, adjusted for their number, and decide nothing."""
    design: Design = Design()
    allocation: Bandit | None = None
    """How the weights follow the outcomes; without it they stay as they are."""
    interleave: Interleave | None = None
    """The variants are two rankers whose items are shown in one list."""
    segments: tuple[SegmentRule, ...] = ()
    """Attributes whose every value is checked for harm to the primary."""
    rollout: Annotated[tuple[Stage, ...], Field(min_length=1)] | None = None
    """The stages in order; without them an experiment can be planned and analysed, and not started."""
    monitors: tuple[Monitor, ...] = ()
