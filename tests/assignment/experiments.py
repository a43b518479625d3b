"""Experiments, units and the slow direct definition of an assignment, for the tests of this folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.layers import WHOLE, Slot
from promptarena.assignment.running import RunningExperiment, Serving
from promptarena.definitions.analysis_plan import Design, Primary, SegmentRule
from promptarena.definitions.eligibility import Condition
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.variant import Settings, Variant

BASELINE = Settings(provider="openai", model="gpt-4o-mini", system="Be helpful.")
HALVES = {"control": 0.5, "treatment": 0.5}


def definition(
    name: str = "support-cites-policy",
    weights: Mapping[str, float] = HALVES,
    *,
    feature: str = "support-bot",
    unit: str = "conversation",
    eligibility: Mapping[str, object] | None = None,
    segments: Sequence[str] = (),
) -> Experiment:
    """An experiment whose variants differ in their system prompt."""
    return Experiment(
        file=Path(f"experiments/{name}.yaml"),
        name=name,
        feature=feature,
        hypothesis=None,
        unit=unit,
        eligibility={key: Condition.model_validate(said) for key, said in (eligibility or {}).items()},
        variants=tuple(
            Variant(name=variant, weight=weight, settings=BASELINE.changed({"system": f"You are {variant}."}))
            for variant, weight in weights.items()
        ),
        metrics=(),
        declared=(),
        primary=Primary(metric="resolution"),
        guardrails=(),
        secondary=(),
        segments=tuple(SegmentRule(name=segment) for segment in segments),
        design=Design(),
        rollout=None,
        monitors=(),
        monitored=(),
    )


def running(
    experiment: Experiment | None = None,
    traffic: float = 1.0,
    *,
    weights: Mapping[str, float] | None = None,
    epoch: int = 0,
    stage: str = "ab",
    serving: Serving = Serving.ASSIGNED,
    adaptive: bool = False,
    slot: Slot = WHOLE,
) -> RunningExperiment:
    """An experiment as it stands, by default in its A/B test with all traffic."""
    experiment = experiment or definition()
    return RunningExperiment(
        definition=experiment,
        stage=stage,
        traffic=traffic,
        allocation=Allocation(weights or experiment.weights, epoch),
        serving=serving,
        adaptive=adaptive,
        slot=slot,
    )


def configuration(*experiments: RunningExperiment) -> Configuration:
    """Of one feature, or as many as the experiments are on."""
    features = {"support-bot"} | {experiment.definition.feature for experiment in experiments}
    return Configuration(dict.fromkeys(features, BASELINE), experiments)


def numbers(salt: str, unit: str) -> tuple[Fraction, Fraction]:
    """The two numbers of a digest as exact fractions of 1, read byte by byte."""
    digest = hashlib.sha256(salt.encode("utf-8") + unit.encode("utf-8")).digest()
    first = sum(Fraction(byte, 256 ** (at + 1)) for at, byte in enumerate(digest[:8]))
    second = sum(Fraction(byte, 256 ** (at + 1)) for at, byte in enumerate(digest[8:16]))
    return Fraction(first), Fraction(second)


def place(feature: str, unit: str) -> int:
    """A unit's place in the layer of a feature, in ten-thousandths."""
    digest = hashlib.sha256(f"layer:{feature}/{unit}".encode()).hexdigest()
    return int(digest[:16], 16) * 10_000 // 2**64


def by_definition(name: str, weights: Mapping[str, float], traffic: float, unit: str) -> str | None:
    """The variant of a unit by the words of the design; `None` where it is not enrolled."""
    enrolment, number = numbers(f"{name}/", unit)
    if enrolment >= Fraction(traffic):
        return None
    total = sum(map(Fraction, weights.values()))
    reached = Fraction(0)
    for variant, weight in weights.items():
        reached += Fraction(weight) / total
        if number < reached:
            return variant
    raise AssertionError("shares sum to 1")
