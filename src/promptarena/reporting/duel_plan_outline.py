"""The outline of what a duel can show, before anything is asked."""

from __future__ import annotations

from typing import Final

from promptarena.definitions.duel_readout import DuelPlan
from promptarena.reporting.duel_findings import in_unit, plan_notes, plan_table
from promptarena.reporting.figures import count, percent
from promptarena.reporting.outline import Outline, Section, Tone

__all__ = ["outline_duel_plan", "plan_sentences"]

_MORE: Final = "Add cases, or ask for less, where the effect that you hope for is smaller."
_NOTHING: Final = "The gate asks for nothing that can be planned."


def plan_sentences(plan: DuelPlan) -> tuple[str, ...]:
    """One sentence a condition: from which true value on it passes with the planned power."""
    return tuple(
        f"{effect.name}: passes with {percent(plan.power, 0)} probability from a true value of "
        f"{in_unit(effect, effect.detectable)} on (asked: above {in_unit(effect, effect.threshold)})"
        if effect.detectable is not None
        else f"{effect.name}: {count(plan.cases)} cases cannot show it (asked: above "
        f"{in_unit(effect, effect.threshold)})"
        for effect in plan.effects
    )


def outline_duel_plan(plan: DuelPlan) -> Outline:
    """What a golden set can show, condition by condition."""
    hopeless = any(effect.detectable is None for effect in plan.effects)
    piloted = any(effect.from_pilot for effect in plan.effects)
    return Outline(
        title=plan.duel,
        kind="Plan of a duel",
        status="too few cases" if hopeless else "can show",
        tone=Tone.WARNING if hopeless else Tone.NEUTRAL,
        headline=_headline(plan),
        meaning="Smaller effects than these will mostly be called inconclusive, however real they are.",
        action=_MORE if piloted else f"{_MORE} A pilot mostly has less spread: --pilot FILE.",
        facts=(
            ("Cases", count(plan.cases)),
            ("Gate's error", f"at most {percent(plan.alpha)} that a change without merit passes"),
        ),
        sections=(
            Section(
                key="plan", title="What the cases can show", table=plan_table(plan), notes=plan_notes(plan)
            ),
        ),
    )


def _headline(plan: DuelPlan) -> str:
    """Of the first condition that is out of reach, else of the first."""
    told = zip(plan.effects, plan_sentences(plan), strict=True)
    sentences = sorted(told, key=lambda each: each[0].detectable is not None)
    return sentences[0][1] if sentences else _NOTHING
