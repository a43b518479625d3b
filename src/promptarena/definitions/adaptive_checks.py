"""What an experiment may not say beside an allocation that moves, or beside interleaving."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from promptarena.definitions.analysis_plan import Test
from promptarena.definitions.bandit import FOLLOWED, Bandit
from promptarena.definitions.experiment_file import ExperimentFile
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.definitions.metric_file import default_window
from promptarena.definitions.suggestion import listed
from promptarena.definitions.validation import Mistakes

__all__ = ["check_bandit", "check_interleaving"]

Find = Callable[[str], Metric | None]

_OF_LOOKS: Final = ("looks", "spending", "gamma", "critical_z", "futility", "burn_in")


def check_bandit(
    written: ExperimentFile, bandit: Bandit, find: Find, accepted: Iterable[str], mistakes: Mistakes
) -> None:
    """Note what does not go with weights that follow the outcomes."""
    variants = len(written.variants or ())
    if variants and not mistakes.damaged("variants") and bandit.min_share * variants >= 1:
        mistakes.add(
            f"{variants} variants with at least {bandit.min_share * 100:.4g}% each leave nothing to move.",
            "allocation",
            "min_share",
            hint=f"Say less than {100 / variants:.4g}%.",
        )
    _refuse_looks(
        written, "Under a bandit there are no looks: `ship` rests on an always-valid sequence.", mistakes
    )
    _refuse_weights(written, "The weights of a bandit begin equal and then follow the outcomes.", mistakes)
    if bandit.reward is not None and not mistakes.broken("allocation", "reward"):
        _check_reward(bandit.reward, find, accepted, mistakes)
    if not mistakes.broken("primary"):
        primary = find(written.primary.metric)
        if primary is not None and primary.kind not in FOLLOWED:
            mistakes.add(
                f"`{primary.name}` is a {primary.kind}; under a bandit the primary is one number a unit: "
                f"{listed(FOLLOWED)}.",
                "primary",
            )
    _refuse_audits(written, bandit, find, mistakes)
    reward = find(bandit.reward or written.primary.metric) if not mistakes.broken("primary") else None
    window = reward and (reward.window or default_window(written.unit or "user"))
    if bandit.delay is not None and window and bandit.delay > window:
        mistakes.add(
            f"The delay is longer than the window of `{reward and reward.name}`, after which nothing counts.",
            "allocation",
            "delay",
        )


def check_interleaving(written: ExperimentFile, find: Find, mistakes: Mistakes) -> None:
    """Note what cannot be told of two rankers whose items stand in one list."""
    if written.allocation is not None:
        mistakes.add("Both rankers are in every list: there is nothing to allocate.", "allocation", key=True)
    if not mistakes.broken("unit") and written.unit != "request":
        mistakes.add(
            f"Lists are merged request by request; found the unit `{written.unit}`.",
            "unit",
            hint="Write `unit: request`; what lists have in common is the `cluster`.",
        )
    if not mistakes.broken("variants") and not mistakes.damaged("variants") and len(written.variants) > 2:
        mistakes.add(f"Two rankers are merged; found {len(written.variants)} variants.", "variants", key=True)
    _refuse_looks(written, "An interleaved preference has no looks: its p-value holds at any time.", mistakes)
    _refuse_weights(written, "Both rankers have the same chance in every list.", mistakes)
    for role in ("guardrails", "secondary", "segments"):
        if getattr(written, role):
            mistakes.add(
                f"In an interleaved list every request meets both variants: `{role}` cannot tell them apart.",
                role,
                key=True,
                hint="Take them into the A/B test that follows.",
            )
    if not mistakes.broken("primary"):
        _check_credit(written, find, mistakes)


def _check_reward(name: str, find: Find, accepted: Iterable[str], mistakes: Mistakes) -> None:
    at = ("allocation", "reward")
    metric = find(name)
    if metric is None and not mistakes.damaged("metrics", name):
        mistakes.unknown("metric", name, accepted, *at)
    elif metric is not None and metric.kind not in FOLLOWED:
        mistakes.add(f"`{name}` is a {metric.kind}; a reward is one number a unit: {listed(FOLLOWED)}.", *at)


def _refuse_audits(written: ExperimentFile, bandit: Bandit, find: Find, mistakes: Mistakes) -> None:
    """Labels correct a judge's mean with fixed weights; under weights that move nothing is known of it."""
    places: list[tuple[str, tuple[str | int, ...]]] = []
    if not mistakes.broken("primary"):
        places.append((written.primary.metric, ("primary",)))
    places += [(rail.metric, ("guardrails", i)) for i, rail in enumerate(written.guardrails)]
    if bandit.reward is not None:
        places.append((bandit.reward, ("allocation", "reward")))
    for name, at in places:
        if (metric := find(name)) is not None and metric.audited_by is not None:
            mistakes.add(f"`{name}` is audited by labels, which goes with fixed weights only.", *at)


def _check_credit(written: ExperimentFile, find: Find, mistakes: Mistakes) -> None:
    if written.primary.test is not Test.SUPERIORITY:
        mistakes.add("An interleaved preference is a test of superiority.", "primary", "test")
    primary = find(written.primary.metric)
    if primary is None:
        return
    if primary.source != "measurement" or primary.kind not in (MetricKind.RATE, MetricKind.COUNT):
        mistakes.add(
            f"The credit goes by a measurement of items, such as {{rate: click}}; `{primary.name}` is a "
            f"{primary.kind} of a {primary.source}.",
            "primary",
        )


def _refuse_looks(written: ExperimentFile, why: str, mistakes: Mistakes) -> None:
    for name in _OF_LOOKS:
        if name in written.design.model_fields_set:
            mistakes.add(f"{why} `{name}` means nothing here.", "design", name, hint="Leave it out.")


def _refuse_weights(written: ExperimentFile, why: str, mistakes: Mistakes) -> None:
    said = [name for name, entry in (written.variants or {}).items() if entry.weight is not None]
    if said and not mistakes.damaged("variants"):
        mistakes.add(why, "variants", said[0], "weight", hint="Leave every `weight` out.")
