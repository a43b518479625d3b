"""What a node assigns by: every feature's baseline and the experiments that run on it, made ready once.

A configuration never changes. A node swaps the whole of it, so no request sees half of a transition.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from promptarena.assignment.arms import Arms
from promptarena.assignment.assigned import Assignment, Placement, Reason
from promptarena.assignment.bucketing import LONGEST_UNIT
from promptarena.assignment.eligibility import as_text
from promptarena.assignment.layers import WHOLE, Layer
from promptarena.assignment.running import RunningExperiment
from promptarena.errors import Problem, UsageError

if TYPE_CHECKING:
    from promptarena.definitions.variant import Settings

__all__ = ["Configuration", "Route"]


class Configuration:
    """An immutable snapshot.

    Args:
        baselines: every feature's settings.
        running: the experiments that run, paused and rolled-back ones included.
        version: names the snapshot, for those who ask a node what it serves.

    Raises:
        UsageError: a name twice, an experiment on a feature that is not there, experiments of one feature
            whose slots overlap or whose units are of different kinds.
    """

    __slots__ = ("pinned", "routes", "running", "version")

    def __init__(
        self,
        baselines: Mapping[str, Settings],
        running: Iterable[RunningExperiment] = (),
        version: str = "",
    ) -> None:
        self.running: Final = tuple(running)
        self.version: Final = version
        self.pinned: Final = any(experiment.pinned for experiment in self.running)
        """Whether some experiment pins its units, so that a pin store is needed."""
        by_feature: defaultdict[str, list[RunningExperiment]] = defaultdict(list)
        for experiment in self.running:
            by_feature[experiment.definition.feature].append(experiment)
        if problems := list(_problems(baselines, by_feature)):
            raise UsageError(problems)
        routes = {name: Route(name, settings, by_feature[name]) for name, settings in baselines.items()}
        self.routes: Final[Mapping[str, Route]] = MappingProxyType(routes)


def _problems(
    baselines: Mapping[str, Settings], by_feature: Mapping[str, Sequence[RunningExperiment]]
) -> Iterator[Problem]:
    names = Counter(experiment.name for running in by_feature.values() for experiment in running)
    for name in [name for name, times in names.items() if times > 1]:
        yield Problem(f"Two experiments that run are called `{name}`.", hint="Names salt their assignments.")
    for feature, running in by_feature.items():
        if feature not in baselines:
            called = ", ".join(f"`{experiment.name}`" for experiment in running)
            yield Problem(f"{called}: there is no feature `{feature}`.", hint="Add it to arena.yaml.")
        for one, other in combinations(running, 2):
            if not one.slot.places().isdisjoint(other.slot.places()):
                yield Problem(
                    f"`{one.name}` and `{other.name}` hold the same places of the layer of `{feature}`.",
                    hint="Start the second one in a part that is free.",
                )
        kinds = {experiment.definition.unit for experiment in running}
        if len(kinds) > 1:
            yield Problem(
                f"Experiments on `{feature}` randomise {', '.join(sorted(kinds))}: units of different kinds "
                "cannot be kept apart.",
                hint="Run them one after the other, or on the same kind of unit.",
            )


class Route:
    """How one feature's requests are assigned."""

    __slots__ = ("_arms", "_clustered", "_without_unit", "baseline", "layer", "only", "unit_kind")

    def __init__(self, feature: str, settings: Settings, running: Sequence[RunningExperiment]) -> None:
        self.baseline: Final = Placement(
            feature=feature, reason=Reason.BASELINE, settings=settings, config_hash=settings.config_hash
        )
        self.unit_kind: Final = running[0].definition.unit if running else ""
        """What all experiments of this feature randomise; empty where there are none."""
        self._arms: Final = tuple(Arms(experiment, self.baseline) for experiment in running)
        alone = len(running) == 1 and running[0].slot == WHOLE
        self.only: Final = self._arms[0] if alone else None
        """The experiment that holds the whole layer; where it is `None` the layer knows."""
        slots = zip(self._arms, (experiment.slot for experiment in running), strict=True)
        self.layer: Final[Layer[Arms]] = Layer(feature, slots)
        self._clustered: Final = bool(running) and _is_attribute(self.unit_kind)
        self._without_unit: Final = {
            reason: Assignment(replace(self.baseline, reason=reason), None)
            for reason in (Reason.BASELINE, Reason.NOT_ELIGIBLE, Reason.NO_UNIT)
        }

    def other_unit(self, units: Mapping[str, object], attributes: Mapping[str, object]) -> str | None:
        """The unit where no usable text was given for its kind.

        A number's text; where the kind is an attribute, the attribute's. `None` where there is none, or none
        that an event could hold.
        """
        unit = as_text(units.get(self.unit_kind))
        if not unit and self._clustered:
            unit = as_text(attributes.get(self.unit_kind))
        if not unit:
            return None
        try:
            return unit if len(unit.encode()) <= LONGEST_UNIT else None
        except UnicodeEncodeError:
            return None

    def without_unit(self, attributes: Mapping[str, object]) -> Assignment:
        """The baseline. That the unit is missing is the reason only where it could have taken part."""
        if not self._arms:
            return self._without_unit[Reason.BASELINE]
        admitted = any(arms.rules is None or arms.rules.admit(attributes) for arms in self._arms)
        return self._without_unit[Reason.NO_UNIT if admitted else Reason.NOT_ELIGIBLE]


def _is_attribute(unit_kind: str) -> bool:
    from promptarena.definitions.experiment_file import UNITS

    return unit_kind not in UNITS
