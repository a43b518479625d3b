"""An experiment that runs, as nodes need to know it: its frozen definition and where it stands now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.layers import WHOLE, Slot
from promptarena.errors import Problem, UsageError

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["RunningExperiment", "Serving", "check_succession"]


class Serving(StrEnum):
    """What the enrolled are served."""

    ASSIGNED = "assigned"
    """Their own variant."""
    PAUSED = "paused"
    """The control, for now. Assignments stand, nobody is newly exposed."""
    ROLLED_BACK = "rolled-back"
    """The control, for good. Assignments stand, nobody is newly exposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningExperiment:
    """One experiment's part of a node's configuration.

    Raises:
        UsageError: traffic that is no share, or an allocation of other variants than the definition's.
    """

    definition: Experiment
    stage: str
    traffic: float
    """Share of the slot's units that are enrolled; 0 before the canary."""
    allocation: Allocation
    serving: Serving = Serving.ASSIGNED
    adaptive: bool = False
    """Whether weights change while it runs (a bandit); its units are then pinned."""
    slot: Slot = WHOLE
    """Its places in the layer of its feature."""

    def __post_init__(self) -> None:
        if not 0 <= self.traffic <= 1:
            raise UsageError(f"Traffic is a share from 0 to 1; found {self.traffic} for `{self.name}`.")
        declared = {variant.name for variant in self.definition.variants}
        if set(self.allocation.weights) != declared:
            allocated = sorted(self.allocation.weights)
            raise UsageError(f"`{self.name}` has the variants {sorted(declared)}; allocated: {allocated}.")

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def pinned(self) -> bool:
        """Whether units are pinned: a request comes once, so nothing could move it."""
        return self.adaptive and self.definition.unit != "request"


def check_succession(before: Iterable[RunningExperiment], after: Iterable[RunningExperiment]) -> None:
    """Make sure that no unit changes its variant when one configuration follows another.

    For every experiment that is in both: the same definition; traffic and slot at least as wide; the same
    weights and epoch, or, where it is adaptive, an epoch that has not gone back and that is new if the
    weights are.

    Raises:
        UsageError: with everything that would move units.
    """
    was = {experiment.name: experiment for experiment in before}
    problems = [
        Problem(f"`{new.name}`: {text}", hint=hint)
        for new in after
        if (old := was.get(new.name)) is not None
        for text, hint in _moves(old, new)
    ]
    if problems:
        raise UsageError(problems)


def _moves(old: RunningExperiment, new: RunningExperiment) -> Iterator[tuple[str, str]]:
    if (new.definition.content_hash, new.definition.feature) != (
        old.definition.content_hash,
        old.definition.feature,
    ):
        yield "its definition is not the one that was started.", "Start the new one under another name."
    if new.traffic < old.traffic:
        shares = f"{old.traffic * 100:g}% to {new.traffic * 100:g}%"
        yield f"traffic only widens; found {shares}.", "`pause` serves the control to everybody."
    if not new.slot.places() >= old.slot.places():
        yield "its slot has lost places of its layer.", "A slot can be widened, and is freed at the end."
    if new.adaptive != old.adaptive:
        yield "units are pinned from the start of an experiment or never.", "Start one under another name."
    yield from _weight_moves(old, new)


def _weight_moves(old: RunningExperiment, new: RunningExperiment) -> Iterator[tuple[str, str]]:
    same = dict(new.allocation.weights) == dict(old.allocation.weights)
    if not old.adaptive and (not same or new.allocation.epoch != old.allocation.epoch):
        yield "its weights are frozen.", "Only the enrolment changes; an adaptive experiment may reweight."
    elif new.allocation.epoch < old.allocation.epoch:
        yield f"epoch {new.allocation.epoch} comes after {old.allocation.epoch}.", "Epochs are counted up."
    elif not same and new.allocation.epoch == old.allocation.epoch:
        yield f"epoch {old.allocation.epoch} has two allocations.", "New weights begin a new epoch."
