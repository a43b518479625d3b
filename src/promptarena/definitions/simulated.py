"""What a simulation of an experiment returns: plain, frozen values. `None` means "not known", never zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Bound", "Figure", "ScenarioReadout", "Simulation", "StopsAtLook"]

Bound = Literal["at most", "about"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of many simulated experiments."""

    key: str
    """Names it for machines, such as `false_ship`."""
    title: str
    meaning: str
    """One line, in plain words."""
    value: float
    error: float
    """Monte-Carlo standard error: how far `value` would move with another seed."""
    share: bool = True
    """Whether it is a share of the experiments; else a mean over them, in `unit`."""
    unit: str | None = None
    promised: float | None = None
    """What the design promises; `None` where it promises nothing."""
    bound: Bound = "about"
    """How the promise is meant."""

    @property
    def kept(self) -> bool | None:
        """Whether the promise is kept within three Monte-Carlo errors; `None` where there is none.

        The error is that of the promised share, which is not 0 where nothing happened.
        """
        if self.promised is None:
            return None
        room = 3 * self.error + 1e-12
        gap = self.value - self.promised
        return gap <= room if self.bound == "at most" else abs(gap) <= room


@dataclass(frozen=True, slots=True, kw_only=True)
class StopsAtLook:
    """How many of the experiments came to their end at one point."""

    when: str
    """`look 1`, ..., or `between looks`, where only harm or invalid data end a trial."""
    share: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioReadout:
    """What became of the experiments under one truth."""

    key: str
    """`null`, `effect` or `asked`."""
    title: str
    effects: dict[str, float]
    """True treatment - control of the first treatment, by metric, in its unit; absent means none."""
    experiments: int
    figures: tuple[Figure, ...]
    stops: tuple[StopsAtLook, ...]
    through_log: tuple[int, int] | None = None
    """Experiments that also went through an event log, and how many of them came to the same verdict."""

    def figure(self, key: str) -> Figure:
        """The figure of that key.

        Raises:
            KeyError: there is none.
        """
        for figure in self.figures:
            if figure.key == key:
                return figure
        raise KeyError(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What `arena simulate` returns."""

    experiment: str
    unit: str
    primary: str
    variants: tuple[str, ...]
    """Control first."""
    seed: int
    planned_units: int
    """Of all variants."""
    planned_days: int
    """Cohort days until then, in whole weeks."""
    scenarios: tuple[ScenarioReadout, ...]
    assumptions: tuple[str, ...]
    """What had to be assumed of the units, in sentences."""
    notes: tuple[str, ...] = ()
