"""Monitors: limits on metrics in event time, and what happens when one is passed.

monitors:
  - {metric: error_rate, max: 0.001, window: 5m, consecutive: 2, action: rollback}
  - {metric: latency_p95, max: {of: stable_period, plus: 20%}, window: 5m, action: pause}
  - {metric: resolution, min: {of: control, less: 10%}, window: 1h, action: alert}
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.names import Name
from promptarena.definitions.quantities import Duration, Margin, Number, Whole

__all__ = ["Action", "Ceiling", "Floor", "Limit", "Monitor", "Reference"]


class Action(StrEnum):
    """What a monitor does."""

    ROLLBACK = "rollback"
    """Everybody gets the control, and the experiment ends as harmful."""
    PAUSE = "pause"
    """Everybody gets the control until somebody resumes."""
    ALERT = "alert"
    """Somebody is told."""


class Reference(StrEnum):
    """What a limit is measured against."""

    STABLE_PERIOD = "stable_period"
    """The feature before the experiment."""
    CONTROL = "control"
    """The control in the same window."""


class Limit(Frozen):
    """A number in the metric's unit, or a distance from a reference."""

    distance: ClassVar[str]
    value: Number | None = None
    of: Reference | None = None

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        if isinstance(written, str):
            raise ValueError(
                f"{written!r} is not a limit: write a number in the metric's unit, "
                f"or {{of: stable_period, {cls.distance}: 20%}}"
            )
        return {"value": written} if isinstance(written, int | float) else written

    @model_validator(mode="after")
    def _absolute_or_relative(self) -> Limit:
        if (self.value is None) == (self.of is None):
            raise mistake(f"A limit is a number, or `of` with `{self.distance}`.")
        if (self.of is None) != (getattr(self, self.distance) is None):
            raise mistake(
                f"`of` goes with `{self.distance}`.", hint=f"Write {{of: control, {self.distance}: 20%}}."
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "number"}, handler(core_schema)]}


class Ceiling(Limit):
    """What must not be exceeded."""

    distance: ClassVar[str] = "plus"
    plus: Margin | None = None


class Floor(Limit):
    """What must be reached."""

    distance: ClassVar[str] = "less"
    less: Margin | None = None


def _some_time(window: timedelta) -> timedelta:
    if window < timedelta(seconds=1):
        raise ValueError("a monitor's window is a second or more")
    return window


class Monitor(Frozen):
    """One limit on one metric."""

    metric: Name
    max: Ceiling | None = None
    min: Floor | None = None
    window: Annotated[Duration, AfterValidator(_some_time)]
    """The last so much of event time."""
    consecutive: Annotated[Whole, Field(ge=1)] = 1
    """How many windows in a row must pass the limit."""
    action: Action

    @model_validator(mode="after")
    def _has_a_limit(self) -> Monitor:
        if self.max is None and self.min is None:
            raise mistake("A monitor has a limit: `max`, `min` or both.", hint="Add for example `max: 0.01`.")
        return self
