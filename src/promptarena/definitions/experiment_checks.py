"""What must hold across the fields of an experiment, and between it and its project."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from promptarena.definitions.adaptive_checks import check_bandit, check_interleaving
from promptarena.definitions.analysis_plan import Spending
from promptarena.definitions.catalogue import BUILT_IN
from promptarena.definitions.document import FieldPath
from promptarena.definitions.experiment_file import ExperimentFile
from promptarena.definitions.metric import Better, Metric, MetricKind
from promptarena.definitions.metric_file import resolve
from promptarena.definitions.project import Project
from promptarena.definitions.quantities import Margin
from promptarena.definitions.rollout_plan import STAGES, AbStage, CanaryStage
from promptarena.definitions.suggestion import listed, nearest
from promptarena.definitions.validation import Mistakes

__all__ = ["check_experiment"]

CONTROL: Final = "control"
_WEIGHTS_TOLERANCE: Final = 1e-9


def check_experiment(written: ExperimentFile, project: Project, mistakes: Mistakes) -> None:
    """Note what does not fit together. Fields that were themselves wrong are absent and not judged."""
    if not mistakes.broken("feature") and written.feature not in project.features:
        mistakes.unknown("feature", written.feature, project.features, "feature")
    if not mistakes.broken("variants"):
        _check_variants(written, project, mistakes)
    metrics = _Metrics(written, project)
    _check_metric_names(written, metrics, mistakes)
    _check_roles(written, mistakes)
    _check_margins(written, metrics, mistakes)
    _check_design(written, metrics, mistakes)
    _check_unit(written, metrics, mistakes)
    _check_rollout(written, mistakes)
    if written.allocation is not None:
        check_bandit(written, written.allocation, metrics.get, metrics.accepted, mistakes)
    if written.interleave is not None:
        check_interleaving(written, metrics.get, mistakes)


class _Metrics:
    """Metrics by name, as the experiment would resolve them."""

    def __init__(self, written: ExperimentFile, project: Project) -> None:
        self.own = {name: entry for name, entry in written.metrics.items() if entry is not None}
        self.shared = project.metrics
        # The kind of unit decides only windows, which no check is about.
        self.unit = written.unit or "user"
        self.accepted = list(dict.fromkeys((*self.own, *self.shared, *BUILT_IN)))

    def get(self, name: str) -> Metric | None:
        return resolve(name, self.unit, self.own, self.shared)


def _uses(written: ExperimentFile, mistakes: Mistakes) -> Iterator[tuple[str, str, FieldPath]]:
    """Every place where a metric has a role: the role, the metric's name, where it is said."""

    def said(*at: str | int) -> FieldPath:
        return (*at, "metric") if mistakes.document.holds((*at, "metric")) else at

    if not mistakes.broken("primary"):
        yield "primary", written.primary.metric, said("primary")
    for index, guardrail in enumerate(written.guardrails):
        yield "guardrail", guardrail.metric, said("guardrails", index)
    for index, name in enumerate(written.secondary):
        yield "secondary", name, ("secondary", index)
    for index, monitor in enumerate(written.monitors):
        yield "monitor", monitor.metric, said("monitors", index)


def _check_variants(written: ExperimentFile, project: Project, mistakes: Mistakes) -> None:
    variants = written.variants
    if CONTROL not in variants and not mistakes.damaged("variants"):
        close = nearest(CONTROL, variants)
        hint = f"Is `{close}` meant to be it?" if close else "Add `control: {}`, which is the baseline."
        found = listed(variants) if variants else "none"
        mistakes.add(
            f"Exactly one variant is called `control`; found {found}.", "variants", key=True, hint=hint
        )
    elif len(variants) < 2 and not mistakes.damaged("variants"):
        mistakes.add("There is no treatment to compare with the control.", "variants", key=True)
    for name, entry in variants.items():
        if entry.provider is not None and entry.provider not in project.providers:
            mistakes.unknown("provider", entry.provider, project.providers, "variants", name, "provider")
        for setting in ("provider", "model"):
            if setting in entry.model_fields_set and getattr(entry, setting) is None:
                mistakes.add(f"A variant cannot be without a {setting}.", "variants", name, setting)
    weights = {name: entry.weight for name, entry in variants.items() if entry.weight is not None}
    if weights and not mistakes.damaged("variants"):
        if missing := [name for name in variants if name not in weights]:
            text = f"Either every variant says its `weight` or none does; {listed(missing)} says none."
            mistakes.add(text, "variants", next(iter(weights)), "weight")
        elif abs(math.fsum(weights.values()) - 1) > _WEIGHTS_TOLERANCE:
            total = f"{math.fsum(weights.values()) * 100:.6g}%"
            mistakes.add(f"The weights sum to {total}; they must sum to 100%.", "variants", key=True)


def _check_metric_names(written: ExperimentFile, metrics: _Metrics, mistakes: Mistakes) -> None:
    def told(name: str) -> bool:
        """Whether its definition here was itself wrong."""
        return mistakes.damaged("metrics", name)

    listed_by_name = isinstance(mistakes.document.data.get("metrics"), list)
    for index, (name, entry) in enumerate(written.metrics.items()):
        if entry is None and metrics.get(name) is None:
            at: FieldPath = ("metrics", index) if listed_by_name else ("metrics", name)
            mistakes.unknown("shared or built-in metric", name, (*metrics.shared, *BUILT_IN), *at)
    for _, name, at in _uses(written, mistakes):
        if name not in written.metrics and metrics.get(name) is None and not told(name):
            mistakes.unknown("metric", name, metrics.accepted, *at)


def _check_roles(written: ExperimentFile, mistakes: Mistakes) -> None:
    """A metric has one role; monitors are beside these."""
    first: dict[str, str] = {}
    for role, name, at in _uses(written, mistakes):
        if role == "monitor":
            continue
        if name not in first:
            first[name] = role
        elif first[name] == role:
            mistakes.add(f"`{name}` is named twice as {role}.", *at, hint="Keep one of them.")
        else:
            mistakes.add(f"`{name}` is the {first[name]} already; a metric has one role.", *at)
    segments: set[str] = set()
    for index, segment in enumerate(written.segments):
        if segment.name in segments:
            mistakes.add(f"The segment `{segment.name}` is named twice.", "segments", index)
        segments.add(segment.name)


def _check_margins(written: ExperimentFile, metrics: _Metrics, mistakes: Mistakes) -> None:
    """An absolute margin of 1 or more on a rate is a percentage that lost its sign."""

    def check(name: str, margin: Margin | None, *at: str | int) -> None:
        metric = metrics.get(name)
        if metric is None or metric.kind is not MetricKind.RATE or margin is None or margin.relative:
            return
        if margin.value >= 1:
            mistakes.add(
                f"`{name}` is a rate, from 0 to 1; {margin.value:g} is more than it can change.",
                *at,
                hint=f"Write {margin.value / 100:g} for points of the rate, or {margin.value:g}% relative.",
            )

    if not mistakes.broken("primary"):
        primary = written.primary.metric
        check(primary, written.primary.margin, "primary", "margin")
        check(primary, written.design.mde, "design", "mde")
        for index, segment in enumerate(written.segments):
            check(primary, segment.margin, "segments", index, "margin")
    for index, guardrail in enumerate(written.guardrails):
        check(guardrail.metric, guardrail.margin, "guardrails", index, "margin")


def _check_design(written: ExperimentFile, metrics: _Metrics, mistakes: Mistakes) -> None:
    design = written.design
    said = design.model_fields_set
    other_family = design.spending is not Spending.HWANG_SHIH_DECANI
    if "gamma" in said and other_family and not mistakes.damaged("design", "spending"):
        mistakes.add("`gamma` belongs to `spending: hwang-shih-decani`.", "design", "gamma")
    if design.critical_z is not None and "spending" in said:
        text = "`critical_z` stands in place of a spending function; say one of the two."
        mistakes.add(text, "design", "critical_z")
    if not mistakes.broken("primary"):
        _check_variance(written, metrics, mistakes)
    if design.mde is None:
        return
    if design.mde.relative and design.expected is None and not mistakes.damaged("design", "expected"):
        text = f"An `mde` of {design.mde} is relative to `expected`, which is not said."
        mistakes.add(text, "design", "mde", hint="Add `expected`, or write the effect in the metric's unit.")
    if not mistakes.broken("primary"):
        _check_rate_design(written, metrics, mistakes)


def _check_variance(written: ExperimentFile, metrics: _Metrics, mistakes: Mistakes) -> None:
    """What makes the primary vary less, or more, than its unit values do."""
    metric, design = metrics.get(written.primary.metric), written.design
    if metric is None:
        return
    audited = metric.audited_by is not None
    if design.correlation is not None and not audited and not metric.covariates:
        text = f"`{metric.name}` has neither a covariate nor labels that anything could correlate with."
        mistakes.add(text, "design", "correlation", key=True)
    if design.labelled is not None and not audited:
        hint = "Name people's labels by `audited_by` on the metric, or leave this out."
        text = f"`{metric.name}` is not audited by labels."
        mistakes.add(text, "design", "labelled", key=True, hint=hint)
    if audited and design.labelled is None and design.mde is not None:
        text = f"`{metric.name}` is audited by labels; its size depends on the share of units that get one."
        mistakes.add(text, "design", key=True, hint="Add `labelled: 10%`, and `correlation` if it is known.")


def _check_rate_design(written: ExperimentFile, metrics: _Metrics, mistakes: Mistakes) -> None:
    metric, design = metrics.get(written.primary.metric), written.design
    if metric is None or metric.kind is not MetricKind.RATE or design.expected is None or design.mde is None:
        return
    if not 0 < design.expected < 1:
        text = f"`{metric.name}` is a rate; its expected value lies between 0 and 1, not {design.expected:g}."
        mistakes.add(text, "design", "expected")
        return
    effect = design.mde.value * (design.expected if design.mde.relative else 1)
    better = design.expected + (effect if metric.better is Better.HIGHER else -effect)
    if not 0 < better < 1 and (design.mde.relative or design.mde.value < 1):
        text = f"From {design.expected:g}, an effect of {design.mde} would bring a rate to {better:g}."
        mistakes.add(text, "design", "mde")


def _check_unit(written: ExperimentFile, metrics: _Metrics, mistakes: Mistakes) -> None:
    if mistakes.broken("unit") or written.unit != "request":
        return
    for role, name, at in _uses(written, mistakes):
        metric = metrics.get(name)
        if role != "monitor" and metric and metric.kind is MetricKind.COUNT and metric.of == "requests":
            hint = "Randomise conversations, sessions or users."
            mistakes.add(f"`{name}` counts requests a unit, which is 1 with `unit: request`.", *at, hint=hint)


def _check_rollout(written: ExperimentFile, mistakes: Mistakes) -> None:
    if written.rollout is None:
        return
    order = [(index, STAGES.index(stage.stage)) for index, stage in enumerate(written.rollout)]
    for (_, before), (index, after) in pairwise(order):
        if after == before:
            mistakes.add(f"The stage `{STAGES[after]}` is written twice.", "rollout", index)
        elif after < before:
            text = f"`{STAGES[after]}` comes before `{STAGES[before]}`; the order is {listed(STAGES)}."
            mistakes.add(text, "rollout", index)
    stages = [stage.stage for stage in written.rollout]
    for name in STAGES:
        # A stage that is written twice or was wrong may have been meant for the one that lacks.
        if name not in stages and len(set(stages)) == len(stages) and not mistakes.damaged("rollout"):
            mistakes.add(
                f"The stage `{name}` is left out and nothing says why.",
                "rollout",
                key=True,
                hint=f'Add {{stage: {name}, skip: "the reason"}}.',
            )
    canary = next((stage for stage in written.rollout if isinstance(stage, CanaryStage)), None)
    for index, stage in enumerate(written.rollout):
        if isinstance(stage, AbStage) and canary is not None and stage.traffic < canary.traffic:
            shares = [f"{share * 100:g}%" for share in (canary.traffic, stage.traffic)]
            text = f"Traffic only widens; found {shares[0]} in the canary and {shares[1]} after it."
            mistakes.add(text, "rollout", index, "traffic")
