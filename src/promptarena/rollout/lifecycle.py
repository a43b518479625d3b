"""An experiment's course, applied to the registry: each move is checked, dated, signed and written whole.

lifecycle = Lifecycle(registry, SystemClock(), actor="anna")
lifecycle.start(Path("experiments/cites-policy.yaml"))
lifecycle.ramp("cites-policy", evidence=read_evidence(Path("duel.json")))
lifecycle.ship("cites-policy", reason="resolution +4 points", evidence=read_evidence(Path("readout.json")))
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptarena.definitions.clock import Clock
from promptarena.definitions.course import Move
from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.experiment import CONTROL, Experiment
from promptarena.definitions.project import Project
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import Problem, UsageError
from promptarena.rollout import baselines, transitions
from promptarena.rollout.evidence import Evidence
from promptarena.rollout.objections import against_leaving, against_shipping
from promptarena.rollout.starting import Starter
from promptarena.rollout.transitions import State
from promptarena.storage.registry.records import BaselineRecord, Change, Standing, TransitionRecord
from promptarena.storage.registry.registry import Registry

__all__ = ["Done", "Lifecycle", "definition_of", "known_standing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command did."""

    experiment: str
    transition: TransitionRecord | None
    """`None`: everything was so already."""
    baseline: BaselineRecord | None = None
    """The feature's new baseline, where it has one."""
    notes: tuple[str, ...] = ()


class Lifecycle:
    """The moves of all experiments of one registry.

    Args:
        registry: what is written to.
        clock: dates the transitions.
        actor: who makes them.
    """

    def __init__(self, registry: Registry, clock: Clock, actor: str) -> None:
        self._registry = registry
        self._clock = clock
        self._actor = actor

    def start(self, file: Path, *, slot: float = 1.0, reason: str | None = None) -> Done:
        """Start an experiment, or amend what may be amended of one that was started.

        Args:
            file: its definition.
            slot: its share of the feature's units, for experiments that run side by side.
            reason: why now.

        Raises:
            DefinitionError: the file, or its project, is wrong; or what is frozen in it has changed.
            UsageError: it has ended or has no rollout; no such share is free; another kind of unit runs.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        starter = Starter(self._registry, self._clock, self._actor)
        prepared = starter.prepare(file, slot=slot, reason=reason)
        if (change := prepared.change) is None:
            return Done(experiment=prepared.experiment, transition=None, notes=prepared.notes)
        self._registry.commit(change)
        return Done(
            experiment=prepared.experiment,
            transition=change.transition,
            baseline=change.baselines[-1] if change.baselines else None,
            notes=prepared.notes,
        )

    def ramp(
        self,
        name: str,
        *,
        to: str | None = None,
        traffic: float | None = None,
        reason: str | None = None,
        evidence: Evidence | None = None,
        override: bool = False,
    ) -> Done:
        """Go on to the next stage, or give the present one more traffic.

        Args:
            name: of the experiment.
            to: the stage; the next one where nothing is said.
            traffic: the share; as declared where nothing is said.
            reason: why; needed with `override`.
            evidence: the gate's result, where the stage that is left has one.
            override: go on although a gate or a time speaks against it.

        Raises:
            UsageError: it cannot follow, or something speaks against it.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        standing = known_standing(self._registry, name)
        rollout = definition_of(standing).rollout
        state = transitions.ramp(_state(standing), rollout, to=to, traffic=traffic)
        against: tuple[str, ...] = ()
        if state.stage != standing.last.stage:
            history, now = self._registry.history(name), self._clock.now()
            against = tuple(against_leaving(standing.last.stage, rollout, history, evidence, now))
        overruled = _overrule(against, override=override, reason=reason)
        return self._write(standing, Move.RAMP, state, reason, evidence=evidence, overrides=overruled)

    def pause(self, name: str, *, reason: str | None = None) -> Done:
        """Serve the control to everybody from the next turn on, until it is resumed; assignments stand.

        Raises:
            UsageError: it does not run.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        return self._plain_move(name, Move.PAUSE, reason)

    def resume(self, name: str, *, reason: str | None = None) -> Done:
        """Let a paused experiment go on as it was.

        Raises:
            UsageError: it is not paused.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        return self._plain_move(name, Move.RESUME, reason)

    def rollback(self, name: str, *, reason: str, evidence: Evidence | None = None) -> Done:
        """End it as harmful: the control for everybody from the next turn on, for good; assignments stand.

        Raises:
            UsageError: it neither runs nor is paused.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        return self._plain_move(name, Move.ROLLBACK, reason, evidence)

    def stop(self, name: str, *, reason: str) -> Done:
        """End it to the baseline, and free its part of the feature's units.

        Raises:
            UsageError: it has ended.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        return self._plain_move(name, Move.STOP, reason)

    def ship(
        self,
        name: str,
        *,
        reason: str,
        variant: str | None = None,
        evidence: Evidence | None = None,
        override: bool = False,
    ) -> Done:
        """Make a treatment the feature's baseline, and end the experiment: one write, all or nothing.

        Args:
            name: of the experiment.
            reason: why.
            variant: the treatment; the only one where nothing is said.
            evidence: a readout with its verdict.
            override: ship although no verdict says so, or the baseline has changed meanwhile.

        Raises:
            UsageError: it cannot follow, there is no such treatment, or something speaks against it.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        standing = known_standing(self._registry, name)
        definition = definition_of(standing)
        state = transitions.ship(_state(standing), definition.rollout)
        treatment = _treatment(definition, variant)
        versions = self._registry.baselines(definition.feature)
        measured_against = standing.experiment.baseline_version
        against = tuple(against_shipping(name, treatment, evidence, measured_against, versions[-1]))
        overruled = _overrule(against, override=override, reason=reason)
        settings = next(v.settings for v in definition.variants if v.name == treatment)
        record = baselines.shipped(
            definition.feature,
            settings,
            versions,
            self._clock.now(),
            self._actor,
            experiment=name,
            variant=treatment,
            reason=reason,
        )
        return self._write(
            standing,
            Move.SHIP,
            state,
            reason,
            evidence=evidence,
            overrides=overruled,
            variant=treatment,
            baseline=record,
        )

    def revert(self, feature: str, *, reason: str, to: int | None = None) -> BaselineRecord:
        """Bring an earlier baseline of a feature back, as a new version; the one before where none is said.

        Raises:
            UsageError: there is no such version, or it holds already.
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        versions = self._registry.baselines(feature)
        now = self._clock.now()
        known = () if versions else tuple(self._registry.known_state(now).baselines)
        record = baselines.reverted(feature, versions, now, self._actor, reason, to, known=known)
        self._registry.add_baseline(record)
        return record

    def adopt_baselines(self, project: Project) -> tuple[BaselineRecord, ...]:
        """Take over what arena.yaml was edited to; for nodes, when they begin to serve. The new versions.

        Features that the registry does not know yet are left to arena.yaml.

        Raises:
            StaleWriteError: somebody else was first.
            StorageError: it cannot be written.
        """
        adopted = []
        for feature, written in project.features.items():
            versions = self._registry.baselines(feature)
            record = baselines.edited(feature, written, versions, self._clock.now(), self._actor)
            if versions and record is not None:
                self._registry.add_baseline(record)
                adopted.append(record)
        return tuple(adopted)

    def _plain_move(
        self, name: str, move: Move, reason: str | None, evidence: Evidence | None = None
    ) -> Done:
        standing = known_standing(self._registry, name)
        return self._write(
            standing, move, transitions.move(_state(standing), move), reason, evidence=evidence
        )

    def _write(
        self,
        standing: Standing,
        move: Move,
        state: State,
        reason: str | None,
        *,
        evidence: Evidence | None = None,
        overrides: tuple[str, ...] = (),
        variant: str | None = None,
        baseline: BaselineRecord | None = None,
    ) -> Done:
        now = self._clock.now()
        transition = TransitionRecord(
            id=new_event_id(now),
            experiment=standing.experiment.name,
            number=standing.last.number + 1,
            at=now,
            actor=self._actor,
            move=move,
            reason=reason,
            evidence=evidence.plain() if evidence else None,
            overrides=overrides,
            status=state.status,
            stage=state.stage,
            traffic=state.traffic,
            revision=standing.definition.revision,
            variant=variant,
        )
        self._registry.commit(Change(transition=transition, baselines=(baseline,) if baseline else ()))
        return Done(experiment=standing.experiment.name, transition=transition, baseline=baseline)


def known_standing(registry: Registry, name: str) -> Standing:
    """Where an experiment stands.

    Raises:
        UsageError: no experiment of that name was started.
        StorageError: the registry cannot be read.
    """
    standing = registry.standing(name)
    if standing is None:
        known = [other.experiment.name for other in registry.standings()]
        text = f"No experiment `{name}` was started; the registry knows {listed(known)}."
        raise UsageError(text, hint=did_you_mean(name, known) or "`arena start FILE` starts one.")
    return standing


def definition_of(standing: Standing) -> Experiment:
    """The definition that an experiment runs by."""
    return Experiment.model_validate(standing.definition.resolved)


def _state(standing: Standing) -> State:
    return State(standing.last.status, standing.last.stage, standing.last.traffic)


def _treatment(definition: Experiment, named: str | None) -> str:
    treatments = [variant.name for variant in definition.variants if variant.name != CONTROL]
    if named is None and len(treatments) == 1:
        return treatments[0]
    if named is None:
        raise UsageError(
            f"There are {len(treatments)} treatments: {listed(treatments)}.", hint="Add --variant."
        )
    if named not in treatments:
        text = f"There is no treatment `{named}`; there are {listed(treatments)}."
        raise UsageError(text, hint=did_you_mean(named, treatments))
    return named


def _overrule(against: Iterable[str], *, override: bool, reason: str | None) -> tuple[str, ...]:
    """What is overruled and goes on record.

    Raises:
        UsageError: something speaks against the move and is not overruled, or without a reason.
    """
    against = tuple(against)
    if against and not override:
        hint = "A person may overrule this, on record: --override --reason WHY."
        problems: list[Any] = [Problem(text) for text in against[:-1]]
        raise UsageError([*problems, Problem(against[-1], hint=hint)])
    if against and not reason:
        raise UsageError("Overruling needs a reason, which goes on record.", hint="Add --reason WHY.")
    return against
