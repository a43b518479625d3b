"""Starting: from a file to the first transition, or to an amendment of what was started before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from promptarena.assignment.layers import Slot, free_slot
from promptarena.definitions.clock import Clock
from promptarena.definitions.course import Move, Status
from promptarena.definitions.document import read_document
from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.definitions.project import Project, find_project, load_project
from promptarena.errors import UsageError
from promptarena.rollout import baselines, transitions
from promptarena.rollout.amendments import amended_parts, check_frozen, check_stages, portable
from promptarena.rollout.transitions import State
from promptarena.storage.registry.records import (
    AllocationRecord,
    BaselineRecord,
    Change,
    DefinitionRecord,
    ExperimentRecord,
    SlotRecord,
    Standing,
    TransitionRecord,
)
from promptarena.storage.registry.registry import Registry

__all__ = ["Prepared", "Starter"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `start` is to write."""

    experiment: str
    change: Change | None
    """`None`: it was started before, and the file says the same."""
    notes: tuple[str, ...] = ()


class Starter:
    """Makes the change that `start` writes."""

    def __init__(self, registry: Registry, clock: Clock, actor: str) -> None:
        self._registry = registry
        self._now = clock.now()
        self._actor = actor

    def prepare(self, file: Path, *, slot: float, reason: str | None) -> Prepared:
        """What is to be written.

        Raises:
            DefinitionError: the file, or its project, is wrong; or what is frozen in it has changed.
            UsageError: it has ended or has no rollout; no such share is free; another kind of unit runs.
            StorageError: the registry cannot be read.
        """
        project = load_project(find_project(file.resolve().parent))
        project, edits = self._with_present_baselines(project)
        experiment = portable(load_experiment(file, project), project.root)
        standing = self._registry.standing(experiment.name)
        if standing is not None:
            return self._amendment(file, project, standing, reason)
        from promptarena.analysis.planned_size import check_size  # brings numpy, which assigning does without

        check_size(experiment, file)
        change = self._first(file, experiment, edits, slot, reason)
        return Prepared(experiment.name, change, experiment.notes)

    def _with_present_baselines(self, project: Project) -> tuple[Project, dict[str, BaselineRecord]]:
        """Variants inherit from the baselines that hold, shipped ones included; and what the file changes."""
        edits = {}
        for feature, written in project.features.items():
            versions = self._registry.baselines(feature)
            edit = baselines.edited(feature, written, versions, self._now, self._actor)
            if edit is not None:
                edits[feature] = edit
                versions = (*versions, edit)
            settings = baselines.present_settings(written, versions)
            project = baselines.with_baseline(project, feature, settings)
        return project, edits

    def _first(
        self,
        file: Path,
        experiment: Experiment,
        edits: dict[str, BaselineRecord],
        share: float,
        reason: str | None,
    ) -> Change:
        state = transitions.begin(experiment.rollout)
        slots = self._registry.slots(experiment.feature)
        slot = self._slot(experiment, share)
        new = edits.get(experiment.feature)
        version = new.version if new else self._registry.baselines(experiment.feature)[-1].version
        return Change(
            transition=self._transition(experiment.name, 0, Move.START, state, 0, reason),
            experiment=ExperimentRecord(
                name=experiment.name,
                feature=experiment.feature,
                definition_hash=experiment.content_hash,
                baseline_version=version,
            ),
            definition=_definition(file, experiment, 0),
            allocation=AllocationRecord(
                experiment=experiment.name, epoch=0, weights=experiment.weights, at=self._now
            ),
            slot=SlotRecord(
                feature=experiment.feature, number=len(slots), experiment=experiment.name, ranges=slot.ranges
            ),
            baselines=(new,) if new else (),
        )

    def _slot(self, experiment: Experiment, share: float) -> Slot:
        others = [
            other
            for other in self._registry.standings(ended=False)
            if other.experiment.feature == experiment.feature
        ]
        for other in others:
            if (unit := other.definition.resolved["unit"]) != experiment.unit:
                name = other.experiment.name
                raise UsageError(
                    f"`{name}` randomises {unit}s of `{experiment.feature}`; {experiment.unit}s cannot be "
                    "kept apart from them.",
                    hint=f"Randomise {unit}s here too, or wait until `{name}` has ended.",
                )
        try:
            return free_slot(share, [Slot(other.slot.ranges) for other in others])
        except UsageError as error:
            names = ", ".join(f"`{other.experiment.name}`" for other in others)
            beside = f" On `{experiment.feature}` there are {names}." if others else ""
            raise UsageError(
                f"{error.problems[0].message}{beside}",
                hint="Say a share that is free, such as --slot 50%, or wait until one of them has ended.",
            ) from None

    def _amendment(self, file: Path, project: Project, standing: Standing, reason: str | None) -> Prepared:
        name, feature, last = standing.experiment.name, standing.experiment.feature, standing.last
        if last.status not in (Status.RUNNING, Status.PAUSED):
            raise UsageError(
                f"`{name}` was started before and is {last.status.value.replace('-', ' ')} since "
                f"{last.at:%Y-%m-%d %H:%M} UTC; a name is used once.",
                hint=transitions.WAY_OUT[last.status],
            )
        started = Experiment.model_validate(standing.definition.resolved)
        # Its control was resolved from the baseline of then, which later ones do not change.
        measured = self._registry.baselines(feature)[standing.experiment.baseline_version - 1]
        project = baselines.with_baseline(project, feature, baselines.settings_of(measured))
        written = portable(load_experiment(file, project), project.root)
        document = read_document(file)
        check_frozen(started, written, document)
        parts = amended_parts(started, written)
        if not parts:
            return Prepared(name, None, ("It was started before, and the file says what it said then.",))
        check_stages(started, written, last.stage, document)
        revision = standing.definition.revision + 1
        what = f"amended: {', '.join(parts)}"
        transition = self._transition(
            name,
            last.number + 1,
            Move.AMEND,
            State(last.status, last.stage, last.traffic),
            revision,
            f"{what}. {reason}" if reason else what,
        )
        change = Change(transition=transition, definition=_definition(file, written, revision))
        late = ("What was added to `secondary` is not preregistered.",) if "secondary" in parts else ()
        return Prepared(name, change, late)

    def _transition(
        self, experiment: str, number: int, move: Move, state: State, revision: int, reason: str | None
    ) -> TransitionRecord:
        return TransitionRecord(
            id=new_event_id(self._now),
            experiment=experiment,
            number=number,
            at=self._now,
            actor=self._actor,
            move=move,
            reason=reason,
            status=state.status,
            stage=state.stage,
            traffic=state.traffic,
            revision=revision,
        )


def _definition(file: Path, experiment: Experiment, revision: int) -> DefinitionRecord:
    return DefinitionRecord(
        experiment=experiment.name,
        revision=revision,
        text=file.read_text(encoding="utf-8-sig"),
        resolved=experiment.model_dump(mode="json", by_alias=True),
    )
