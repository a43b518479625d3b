"""What a node needs of the registry: its configuration, kept fresh."""

from __future__ import annotations

from dataclasses import replace

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.configuration_source import KnownConfiguration
from promptarena.assignment.layers import Slot
from promptarena.assignment.running import RunningExperiment, Serving
from promptarena.definitions.clock import Clock
from promptarena.definitions.course import Status
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.project import Project
from promptarena.errors import StaleWriteError, StorageError
from promptarena.rollout.baselines import settings_of
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.rollout.stages import ENROLLING
from promptarena.storage.log_folder import this_host
from promptarena.storage.registry.known_state import KnownState
from promptarena.storage.registry.records import Standing
from promptarena.storage.registry.watch import Known, RegistryWatch

__all__ = ["RegistrySource", "configuration_of"]

_SERVING = {
    Status.RUNNING: Serving.ASSIGNED,
    Status.PAUSED: Serving.PAUSED,
    Status.ROLLED_BACK: Serving.ROLLED_BACK,
}


def configuration_of(state: KnownState, project: Project) -> Configuration:
    """What a node assigns by.

    Args:
        state: of the registry.
        project: says the baselines of features that the registry does not know.

    Raises:
        UsageError: an experiment is on a feature that arena.yaml does not have any more.
    """
    known = {feature: settings_of(record) for feature, record in state.baselines.items()}
    return Configuration(
        {feature: known.get(feature, written) for feature, written in project.features.items()},
        [_running(standing) for standing in state.experiments],
        version=str(state.changes),
    )


class RegistrySource:
    """A node's configuration from the registry, or, while that is down, as it was last known.

    The first time that the registry answers, it takes over what arena.yaml was edited to: a deployment of the
    file is a new baseline.
    """

    def __init__(self, watch: RegistryWatch, project: Project, clock: Clock) -> None:
        self._watch = watch
        self._project = project
        self._clock = clock
        self._edits_are_taken_over = False
        self._made: tuple[int, Configuration] | None = None

    def look(self) -> KnownConfiguration:
        """The present configuration, the same object while nothing has changed; else the last known one.

        Raises:
            StorageError: nothing is known, now or from before.
            UsageError: an experiment is on a feature that arena.yaml does not have any more.
        """
        known = self._watch.refresh()
        if not self._edits_are_taken_over and known.problem is None:
            known = self._take_over_edits(known)
        if self._made is None or self._made[0] != known.state.changes:
            self._made = known.state.changes, configuration_of(known.state, self._project)
        return KnownConfiguration(self._made[1], known.problem)

    def close(self) -> None:
        """Give back the connections."""
        self._watch.close()

    def _take_over_edits(self, known: Known) -> Known:
        lifecycle = Lifecycle(self._watch.registry, self._clock, f"node {this_host()}")
        try:
            if known.state.baselines and lifecycle.adopt_baselines(self._project):
                known = self._watch.refresh()
        except StaleWriteError:  # another node was first with the same: the next look finds it there
            return known
        except StorageError as error:
            return replace(known, problem=f"What arena.yaml was edited to could not be taken over: {error}")
        self._edits_are_taken_over = True
        return known


def _running(standing: Standing) -> RunningExperiment:
    last, definition = standing.last, Experiment.model_validate(standing.definition.resolved)
    return RunningExperiment(
        definition=definition,
        stage=last.stage,
        traffic=last.traffic if last.stage in ENROLLING else 0.0,
        allocation=Allocation(standing.allocation.weights, standing.allocation.epoch),
        serving=_SERVING[last.status],
        adaptive=definition.allocation is not None,
        slot=Slot(standing.slot.ranges),
    )
