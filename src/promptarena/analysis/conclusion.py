"""The conclusion of a trial: its looks in order, the first of which that decides, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.breakdowns import segment_effects
from promptarena.analysis.burn_in import burn_in_ends, settled
from promptarena.analysis.cube import Cube
from promptarena.analysis.evidence import look_evidence, waiting_evidence
from promptarena.analysis.futility_rule import futility_bounds
from promptarena.analysis.harm import harm_checks
from promptarena.analysis.looks import LookPoint, PlannedSize, Schedule, schedule
from promptarena.analysis.sequential import PrimaryPath, primary_boundary, primary_paths
from promptarena.analysis.trust import sample_balance, trust_checks
from promptarena.analysis.verdict import TreatmentEvidence, decide, is_futile
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.readout import Balance, SegmentEffect, Status, UnitCounts, Verdict

__all__ = ["Conclusion", "Standing", "conclude", "treatments_of"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the trial stands after the looks it has had."""

    looks: tuple[LookPoint, ...]
    """Up to the deciding one."""
    paths: dict[str, PrimaryPath]
    evidence: tuple[TreatmentEvidence, ...]
    stopped: bool
    """Whether the last of the looks decided."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a readout rests on."""

    verdict: Verdict
    balance: Balance
    standing: Standing
    counted: Cube
    """The cohorts that effects may rest on: all but a declared burn-in."""
    shown: Cube
    """Those of them that the estimates are about: up to the deciding look, or all."""


def treatments_of(plan: AnalysisPlan, cube: Cube) -> list[str]:
    """The variants that are compared with the control."""
    return [variant for variant in plan.variants or cube.variants if variant != plan.control]


def conclude(
    cube: Cube,
    units: UnitCounts,
    plan: AnalysisPlan,
    *,
    planned: PlannedSize | None = None,
    arrivals: Arrivals | None = None,
    recorded: Sequence[LookPoint] = (),
    only_decide: bool = False,
) -> Conclusion:
    """Go through the looks in order; the first that decides ends the trial. Harm is judged on everything.

    Args:
        cube: moments by variant and the plan's dimensions.
        units: how rows became units.
        plan: what was declared, or what flags said.
        planned: the size that was planned; `None` makes one look of all data.
        arrivals: what is known of how units arrived; `None` of a table.
        recorded: looks that were taken before, which stand as they were.
        only_decide: without p-values and bounds that are shown and decide nothing; they cost a search each.
    """
    treatments = treatments_of(plan, cube)
    began = burn_in_ends(cube, plan)
    counted = settled(cube, began)
    taken = [replace(look, cube=settled(look.cube, began)) for look in recorded]
    looks = schedule(counted, plan, treatments, planned, taken)
    standing = _stand(counted, plan, treatments, looks, p_values=not only_decide)
    read_once = planned is None or cube.days is None
    balance = sample_balance(
        cube,
        plan,
        arrivals,
        looks=None if read_once else len(plan.design.looks),
        at_look=standing.looks[-1].cube if standing.looks else None,
    )
    trust = trust_checks(units, balance, cube, plan, arrivals)
    evidence = [
        replace(e, harm=harm_checks(plan, cube, e.variant, bounds=not only_decide)) for e in standing.evidence
    ]
    verdict = decide(
        trust,
        evidence,
        preregistered=plan.preregistered,
        looks_known=planned is not None and cube.days is not None,
    )
    shown = standing.looks[-1].cube if standing.stopped else counted
    return Conclusion(verdict, balance, standing, counted, shown)


def _stand(
    cube: Cube, plan: AnalysisPlan, treatments: Sequence[str], looks: Schedule, *, p_values: bool
) -> Standing:
    if not looks.taken:
        waiting = tuple(waiting_evidence(plan, cube, treatment, looks.outlook) for treatment in treatments)
        return Standing((), {}, waiting, stopped=False)
    boundary, bounds = primary_boundary(plan.design, looks.taken), futility_bounds(plan, looks.taken)
    left: dict[str, TreatmentEvidence] = {}

    def after(k: int, *, p_values: bool = False) -> Standing:
        """The first k looks."""
        so_far = looks.taken[:k]
        paths = primary_paths(plan, treatments, so_far, p_values=p_values)
        segments = _primary_segments(plan, so_far[-1].cube, treatments)
        evidence = tuple(
            left.get(treatment)
            or look_evidence(
                plan,
                so_far,
                paths[treatment],
                boundary.critical_z[k - 1],
                bounds[:k],
                [effect for effect in segments if effect.variant == treatment],
                looks.outlook,
            )
            for treatment in treatments
        )
        return Standing(so_far, paths, evidence, stopped=False)

    for k in range(1, len(looks.taken) + 1):
        standing = after(k)
        evidence = standing.evidence
        statuses = decide((), evidence, preregistered=plan.preregistered).by_variant
        # A treatment that is held leaves the trial at that look; all others go on until one ships. One that
        # is held for want of effect may go on: the bound does not bind.
        held = {
            each.variant: each
            for each in evidence
            if statuses[each.variant] is Status.HOLD and not is_futile(each)
        }
        if Status.SHIP in statuses.values() or len(left | held) == len(treatments):
            return replace(after(k, p_values=True) if p_values else standing, stopped=True)
        left |= held
    return after(len(looks.taken), p_values=p_values)


def _primary_segments(plan: AnalysisPlan, cube: Cube, treatments: Sequence[str]) -> tuple[SegmentEffect, ...]:
    return segment_effects(plan, cube, plan.metric(plan.primary.metric), treatments)
