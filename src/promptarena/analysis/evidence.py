"""The checks a verdict needs of one treatment at one look, each with its sentence and its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from promptarena.analysis import wording
from promptarena.analysis.comparisons import compare
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.futility_rule import futility_check
from promptarena.analysis.hypotheses import good_sign
from promptarena.analysis.looks import MIN_OBSERVED, LookPoint
from promptarena.analysis.sequential import GuardrailPath, PrimaryPath, guardrail_path
from promptarena.analysis.trust import observed_checks
from promptarena.analysis.verdict import TreatmentEvidence
from promptarena.definitions.analysis_plan import AnalysisPlan, Guardrail, Test
from promptarena.definitions.readout import Check, SegmentEffect

__all__ = [
    "days_check",
    "enough_check",
    "good_effect",
    "look_evidence",
    "primary_finding",
    "segment_checks",
    "waiting_evidence",
]


def look_evidence(
    plan: AnalysisPlan,
    looks: Sequence[LookPoint],
    path: PrimaryPath,
    critical_z: float,
    futility_z: Sequence[float],
    segments: Sequence[SegmentEffect],
    outlook: str,
) -> TreatmentEvidence:
    """What is known of a treatment at the last of the looks, harm apart (which is judged on all data).

    Args:
        plan: what was declared.
        looks: those taken so far, this one last.
        path: the treatment's primary at those looks.
        critical_z: the primary's boundary at this look.
        futility_z: the declared bounds at the looks, if there are some.
        segments: effects by segment of this treatment, at this look.
        outlook: what comes next.
    """
    look = looks[-1]
    k = len(looks) - 1
    guardrails = [
        _guardrail_check(
            plan, guardrail, path.variant, look, guardrail_path(plan, guardrail, path.variant, looks)
        )
        for guardrail in plan.guardrails
    ]
    days = days_check(plan, look.cube)
    observed = enough_check(plan, look.cube, path.variant)
    return TreatmentEvidence(
        variant=path.variant,
        effect=good_effect(plan, look.cube, path.variant),
        primary=_primary_check(plan, look, path, k, critical_z, len(plan.design.looks)),
        futility=futility_check(plan, looks, path, futility_z),
        requirements=(
            *guardrails,
            *observed_checks(plan, look.cube, path.variant),
            *segment_checks(segments, plan.design.alpha),
            *([days] if days.passed is not False else []),
            *([observed] if observed.passed else []),
        ),
        unripe=tuple(check for check in (days, observed) if check.passed is False),
        final=look.final,
        outlook=outlook,
    )


def waiting_evidence(
    plan: AnalysisPlan,
    cube: Cube,
    treatment: str,
    outlook: str,
    why: str = "no look has been taken yet",
) -> TreatmentEvidence:
    """What is known of a treatment before anything is read of it: next to nothing."""
    return TreatmentEvidence(
        variant=treatment,
        effect=good_effect(plan, cube, treatment),
        primary=Check(
            name="primary",
            passed=None,
            metric=plan.primary.metric,
            variant=treatment,
            text=f"{plan.primary.metric}: {why}",
        ),
        requirements=(),
        final=False,
        outlook=outlook,
    )


def good_effect(plan: AnalysisPlan, cube: Cube, treatment: str) -> float:
    """The difference of the primary towards the good side, to choose among treatments; 0 where unknown."""
    metric = plan.metric(plan.primary.metric)
    effect = arm_pair(cube, metric, plan.control, treatment).effect
    return good_sign(metric) * effect.difference if effect else 0.0


def primary_finding(plan: AnalysisPlan, passed: bool | None, difference: float) -> str:
    """What the primary shows, as the beginning of a sentence."""
    metric, margin = plan.metric(plan.primary.metric), plan.primary.margin
    word = {True: "better", False: "worse", None: "not shown to be better"}
    if plan.primary.test is Test.NON_INFERIORITY:
        word = {True: "no worse", False: "worse", None: "not shown to be no worse"}
    against = "" if margin is None else f" against a margin of {wording.margin(metric, margin)}"
    return f"{metric.name} is {word[passed]}: {wording.difference(metric, difference)}{against}"


def _primary_check(
    plan: AnalysisPlan, look: LookPoint, path: PrimaryPath, k: int, critical_z: float, planned: int
) -> Check:
    metric = plan.metric(plan.primary.metric)
    comparison = compare(arm_pair(look.cube, metric, plan.control, path.variant), metric, plan.design.alpha)
    z, rejected = path.z[k], path.rejected[k]
    if z is None or comparison.difference is None:
        note = comparison.notes[0] if comparison.notes else "the error of the difference is not known"
        text = f"{metric.name} cannot be tested: {note}"
        return Check(name="primary", passed=None, metric=metric.name, variant=path.variant, text=text)
    place = (
        ""
        if planned == 1 and look.final
        else f" at look {look.planned + 1} of {planned} ({look.fraction:.0%} of the information)"
    )
    text = (
        f"{primary_finding(plan, rejected, comparison.difference)}"
        f" ({plan.control} {wording.value(metric, comparison.control_value or 0.0)},"
        f" {path.variant} {wording.value(metric, comparison.variant_value or 0.0)});"
        f" z {z:.2f} against {critical_z:.2f}{place}"
    )
    return Check(
        name="primary",
        passed=rejected,
        metric=metric.name,
        variant=path.variant,
        text=text,
        numbers={
            "difference": comparison.difference,
            "z": z,
            "critical_z": critical_z,
            "p_value": path.p_value,
            "p_adjusted": path.p_adjusted,
            "fraction": look.fraction,
        },
    )


def _guardrail_check(
    plan: AnalysisPlan, guardrail: Guardrail, treatment: str, look: LookPoint, path: GuardrailPath
) -> Check:
    metric = plan.metric(guardrail.metric)
    pair = arm_pair(look.cube, metric, plan.control, treatment)
    z, critical, passed = path.z[-1], path.critical_z[-1], path.passed[-1]
    if pair.effect is None or z is None:
        text = f"guardrail {metric.name} cannot be tested: {pair.problem or 'its error is not known'}"
    else:
        kept = "kept" if passed else "not shown to be kept"
        text = (
            f"guardrail {metric.name} {kept}: {wording.difference(metric, pair.effect.difference)}"
            f" where {wording.margin(metric, guardrail.margin)} is allowed; z {z:.2f} against {critical:.2f}"
        )
    return Check(
        name="guardrail",
        passed=passed,
        metric=metric.name,
        variant=treatment,
        text=text,
        numbers={"z": z, "critical_z": critical, "margin": guardrail.margin.value},
    )


def days_check(plan: AnalysisPlan, cube: Cube) -> Check:
    """Whether there are enough days of cohorts."""
    days = cube.days
    if days is None:
        return Check(
            name="days", passed=None, text="the data has no time: the rule of whole weeks was not checked"
        )
    # Days that hold units, not the span: two busy days a week apart are two days.
    count, needed = len(days), plan.design.min_days
    text = f"{count} days of cohorts" + ("" if count >= needed else f"; {needed} are needed")
    return Check(name="days", passed=count >= needed, text=text, numbers={"days": count, "needed": needed})


def enough_check(plan: AnalysisPlan, cube: Cube, treatment: str) -> Check:
    """Whether each of the two variants has enough observed values of the primary."""
    metric = plan.metric(plan.primary.metric)
    pair = arm_pair(cube, metric, plan.control, treatment)
    least = min(pair.n_control, pair.n_treatment)
    text = f"at least {least:,} observed values of {metric.name} a variant"
    return Check(
        name="observed",
        passed=least >= MIN_OBSERVED,
        metric=metric.name,
        variant=treatment,
        text=text
        if least >= MIN_OBSERVED
        else f"{text.replace('at least', 'only')}; {MIN_OBSERVED} are needed",
        numbers={"observed": least, "needed": MIN_OBSERVED},
    )


def segment_checks(segments: Sequence[SegmentEffect], alpha: float) -> list[Check]:
    """One check a dimension, which names the values that are harmed."""
    checks = []
    for dimension in dict.fromkeys(effect.segment for effect in segments):
        tested = {
            effect.value: effect.harm_p_adjusted
            for effect in segments
            if effect.segment == dimension and effect.harm_p_adjusted is not None
        }
        harmed = {value: p for value, p in tested.items() if p < alpha}
        if harmed:
            names = ", ".join(f"{value} ({wording.p_value(p)} adjusted)" for value, p in harmed.items())
            text = f"segment {dimension} is worse than its margin for {names}"
        elif tested:
            text = f"segment {dimension}: none of {len(tested)} values is shown to be worse than its margin"
        else:
            text = f"segment {dimension} has no value with enough units to test"
        checks.append(
            Check(
                name="segment",
                passed=None if not tested else not harmed,
                variant=segments[0].variant,
                text=text,
                numbers={"least_p_adjusted": min(tested.values(), default=None)},
            )
        )
    return checks
