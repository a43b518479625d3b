"""An experiment as resolved: names looked up, files read, everything said; frozen by its content hash."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Guardrail, Primary, SegmentRule
from promptarena.definitions.bandit import Bandit
from promptarena.definitions.catalogue import BUILT_IN
from promptarena.definitions.content_hash import canonical_json, content_hash
from promptarena.definitions.document import FieldPath, read_document
from promptarena.definitions.eligibility import Condition
from promptarena.definitions.experiment_checks import check_experiment
from promptarena.definitions.experiment_file import ExperimentFile
from promptarena.definitions.file_reference import find_file
from promptarena.definitions.frozen import Frozen
from promptarena.definitions.interleave import Interleave
from promptarena.definitions.metric import Metric
from promptarena.definitions.metric_file import resolve
from promptarena.definitions.monitor import Monitor
from promptarena.definitions.project import Project, check_secrets, find_project, load_project, resolve_files
from promptarena.definitions.rollout_plan import OfflineStage, Stage
from promptarena.definitions.validation import Mistakes, examine
from promptarena.definitions.variant import Settings, Variant

__all__ = ["CONTROL", "Experiment", "load_experiment"]

CONTROL: Final = "control"


class Experiment(Frozen):
    """One change, with everything said."""

    file: Path
    name: str
    feature: str
    hypothesis: str | None
    unit: str
    eligibility: dict[str, Condition]
    variants: tuple[Variant, ...]
    """Control first, then by name: an order that does not depend on how the file was written, because
    allocation follows it."""
    metrics: tuple[Metric, ...]
    """Those that stand under `metrics`, then those that only have a role; monitors' are apart."""
    declared: tuple[str, ...]
    """Names of the metrics that stand under `metrics`."""
    primary: Primary
    guardrails: tuple[Guardrail, ...]
    secondary: tuple[str, ...]
    segments: tuple[SegmentRule, ...]
    design: Design
    rollout: tuple[Stage, ...] | None
    """Files in it are absolute."""
    monitors: tuple[Monitor, ...]
    monitored: tuple[Metric, ...]
    """The metrics of the monitors."""
    allocation: Bandit | None = None
    """Its reward is said."""
    interleave: Interleave | None = None
    notes: tuple[str, ...] = ()
    """What is right but may not be meant."""

    @cached_property
    def content_hash(self) -> str:
        """Of exactly what is frozen at start: unit, eligibility, variants, metrics, primary, guardrails,
        design, segments, allocation and interleaving. Layout does not matter; monitors, stages and
        secondaries may be amended."""
        return content_hash(self.frozen_parts)

    @property
    def frozen_parts(self) -> dict[str, Any]:
        """What is frozen at start, by its field in the file."""
        frozen_metrics = set(self.declared) | {self.primary.metric, *(g.metric for g in self.guardrails)}
        if self.allocation is not None:
            frozen_metrics.add(str(self.allocation.reward))
        # Only where they are said: an experiment without them is the one that it was before they existed.
        special = {"allocation": self.allocation, "interleave": self.interleave}
        return {
            "unit": self.unit,
            "eligibility": {name: _as_sets(condition) for name, condition in self.eligibility.items()},
            "variants": {variant.name: [variant.weight, variant.settings] for variant in self.variants},
            "metrics": {metric.name: metric for metric in self.metrics if metric.name in frozen_metrics},
            "primary": self.primary,
            "guardrails": {guardrail.metric: guardrail for guardrail in self.guardrails},
            "design": self.design,
            "segments": {segment.name: segment for segment in self.segments},
            **{name: said for name, said in special.items() if said is not None},
        }

    @property
    def weights(self) -> dict[str, float]:
        """Allocation by variant, summing to 1."""
        return {variant.name: variant.weight for variant in self.variants}

    def analysis_plan(self) -> AnalysisPlan:
        """What an analysis is told: all of it fixed before the data."""
        return AnalysisPlan(
            experiment=self.name,
            control=CONTROL,
            variants=tuple(self.weights),
            weights=self.weights,
            metrics=self.metrics,
            primary=self.primary,
            guardrails=self.guardrails,
            secondary=self.secondary,
            segments=self.segments,
            design=self.design,
            bandit=self.allocation,
            preregistered=True,
        )


def load_experiment(path: Path, project: Project | None = None) -> Experiment:
    """Read an experiment.

    Args:
        path: its file.
        project: the project that it belongs to; that of the nearest arena.yaml above where it is `None`.

    Raises:
        DefinitionError: with every mistake of the file; or of the project's files, where those have some.
    """
    document = read_document(path)
    project = project or load_project(find_project(path.resolve().parent))
    written, mistakes = examine(ExperimentFile, document)
    check_secrets(mistakes.document, mistakes)
    variants: tuple[Variant, ...] = ()
    rollout: tuple[Stage, ...] | None = None
    if written is not None:
        check_experiment(written, project, mistakes)
        rollout = _rollout(written, project, mistakes)
        if not mistakes.broken("variants"):
            variants = _variants(written, project, mistakes)
    mistakes.raise_any()
    assert written is not None
    return _resolved(written, project, path, variants, rollout)


def _as_sets(condition: Condition) -> dict[str, Any]:
    """A condition whose values have one order and no repetitions."""
    return {
        name: [json.loads(value) for value in sorted({canonical_json(value) for value in values})]
        for name, values in (("in", condition.one_of), ("not", condition.none_of))
        if values is not None
    }


def _variants(written: ExperimentFile, project: Project, mistakes: Mistakes) -> tuple[Variant, ...]:
    """Variants with what they inherit; notes what is wrong with their files."""
    baseline = project.features.get(written.feature, Settings())
    names = sorted(written.variants, key=lambda name: (name != CONTROL, name))
    variants = []
    for name in names:
        entry = written.variants[name]
        said = resolve_files(entry, project.root, mistakes, ("variants", name))
        weight = entry.weight if entry.weight is not None else 1 / len(names)
        variants.append(Variant(name=name, weight=weight, settings=baseline.changed(said)))
    return tuple(variants)


def _rollout(written: ExperimentFile, project: Project, mistakes: Mistakes) -> tuple[Stage, ...] | None:
    """Stages with absolute file names; notes the files that are not there."""
    if written.rollout is None:
        return None
    stages: list[Stage] = []
    for index, stage in enumerate(written.rollout):
        if isinstance(stage, OfflineStage):
            stage = _with_files(stage, project, mistakes, ("rollout", index))
        stages.append(stage)
    return tuple(stages)


def _with_files(stage: OfflineStage, project: Project, mistakes: Mistakes, at: FieldPath) -> OfflineStage:
    def found(written: Path | str | None, name: str) -> Path | None:
        return None if written is None else find_file(str(written), project.root, mistakes, (*at, name))

    named = {name: found(getattr(stage.dataset, name), "dataset") for name in ("file", "holdout")}
    files = {name: str(file) for name, file in named.items() if file is not None}
    return stage.model_copy(
        update={"dataset": stage.dataset.model_copy(update=files), "judge": found(stage.judge, "judge")}
    )


def _resolved(
    written: ExperimentFile,
    project: Project,
    path: Path,
    variants: tuple[Variant, ...],
    rollout: tuple[Stage, ...] | None,
) -> Experiment:
    own = {name: entry for name, entry in written.metrics.items() if entry is not None}

    def metrics(*names: str) -> tuple[Metric, ...]:
        found = (resolve(name, written.unit, own, project.metrics) for name in dict.fromkeys(names))
        return tuple(metric for metric in found if metric is not None)

    allocation = written.allocation
    if allocation is not None:
        allocation = allocation.model_copy(update={"reward": allocation.reward or written.primary.metric})
    roles = (
        written.primary.metric,
        *(rail.metric for rail in written.guardrails),
        *written.secondary,
        *([] if allocation is None else [str(allocation.reward)]),
    )
    return Experiment(
        file=path,
        name=written.experiment,
        feature=written.feature,
        hypothesis=written.hypothesis,
        unit=written.unit,
        eligibility=written.eligibility,
        variants=variants,
        metrics=metrics(*written.metrics, *roles),
        declared=tuple(written.metrics),
        primary=written.primary,
        guardrails=written.guardrails,
        secondary=written.secondary,
        segments=written.segments,
        design=written.design,
        allocation=allocation,
        interleave=written.interleave,
        rollout=rollout,
        monitors=written.monitors,
        monitored=metrics(*(monitor.metric for monitor in written.monitors)),
        notes=_notes(variants, own, project, metrics(*roles) if allocation is not None else ()),
    )


def _notes(
    variants: tuple[Variant, ...], own: dict[str, Any], project: Project, adaptive: tuple[Metric, ...]
) -> tuple[str, ...]:
    control, *treatments = variants
    same = [variant.name for variant in treatments if variant.settings == control.settings]
    notes = [f"`{name}` has the same settings as the control: an A/A test." for name in same]
    shadowed = [name for name in own if name in project.metrics or name in BUILT_IN]
    notes += [
        f"The covariate of `{metric.name}` is not used: under a bandit it adjusts nothing."
        for metric in adaptive
        if metric.covariates
    ]
    notes += [f"`{name}` is defined here in place of the shared or built-in metric." for name in shadowed]
    return tuple(notes)
