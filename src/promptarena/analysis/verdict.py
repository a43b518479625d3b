"""The verdict: evidence in, one word out, in the order that protects users first.

`invalid`, `harmful`, `ship`, `hold`, `continue`: the first that applies. Every condition is a `Check` made
elsewhere; this file only decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from promptarena.definitions.readout import LOOKED_ONCE, NOT_PREREGISTERED, Check, Status, Verdict

__all__ = ["TreatmentEvidence", "decide", "is_futile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentEvidence:
    """What is known of one treatment when the verdict is asked for."""

    variant: str
    effect: float
    """Good-signed effect on the primary, to choose among several that may ship; 0 where unknown."""
    harm: tuple[Check, ...] = ()
    """`passed=False`: shown to be harmful."""
    primary: Check
    """`True`: crossed the good way; `False`: crossed the bad way; `None`: neither."""
    requirements: tuple[Check, ...]
    """Guardrails, observed units, days, segments, selective absence: `False` bars from `ship`.

    `None` bars a guardrail only: what could not be tested has not passed.
    """
    futility: Check | None = None
    """`passed=False`: going on is unlikely to pay. Without a declared bound `None`."""
    unripe: tuple[Check, ...] = ()
    """Requirements that more of the same data will meet (too few units or days)."""
    final: bool
    """Whether this was the last look."""
    outlook: str
    """What comes next, as a sentence: the date or the size of the next look."""


# A guardrail that could not be tested has not passed; a missing time column only leaves a rule unchecked.
_BARS_WHEN_UNKNOWN = frozenset({"guardrail"})


def decide(
    trust: Sequence[Check],
    treatments: Sequence[TreatmentEvidence],
    *,
    preregistered: bool,
    looks_known: bool = True,
) -> Verdict:
    """The first status that applies, over all treatments.

    Args:
        trust: what makes the data believable or not.
        treatments: what is known of each.
        preregistered: whether a definition announced the analysis.
        looks_known: whether the data shows which looks came before; else the verdict says that it must be the
            only one.

    With several treatments a harmful one is told before one that may ship, and each one's own status is in
    `by_variant`. Among several that may ship the best on the primary is named.
    """
    checks = (*trust, *(check for treatment in treatments for check in _checks(treatment)))
    mark = (NOT_PREREGISTERED,) if not preregistered else () if looks_known else (LOOKED_ONCE,)
    broken = [check for check in trust if check.passed is False]
    if broken:
        return Verdict(
            status=Status.INVALID,
            reasons=(*_texts(broken), *mark),
            preregistered=preregistered,
            checks=checks,
        )
    statuses = {treatment.variant: _status(treatment) for treatment in treatments}
    chosen = min(treatments, key=lambda t: (_ORDER.index(statuses[t.variant]), -t.effect))
    status = statuses[chosen.variant]
    others = [
        f"{variant} on its own would be told `{other}`"
        for variant, other in statuses.items()
        if variant != chosen.variant
    ]
    caveats = [check.text for check in trust if check.passed is None]
    return Verdict(
        status=status,
        reasons=(*filter(None, _reasons(chosen, status)), *others, *caveats, *mark),
        variant=chosen.variant,
        by_variant=statuses,
        preregistered=preregistered,
        checks=checks,
    )


# A trial goes on while any treatment does; one that is held only leaves it.
_ORDER = [Status.HARMFUL, Status.SHIP, Status.CONTINUE, Status.HOLD]


def _status(treatment: TreatmentEvidence) -> Status:
    if any(check.passed is False for check in treatment.harm):
        return Status.HARMFUL
    if treatment.primary.passed and not _barring(treatment):
        return Status.SHIP
    if treatment.primary.passed is False or is_futile(treatment):
        return Status.HOLD
    if treatment.final and not treatment.unripe:
        return Status.HOLD
    return Status.CONTINUE


def is_futile(treatment: TreatmentEvidence) -> bool:
    """Whether it is held for want of effect, from which it may come back."""
    return treatment.futility is not None and treatment.futility.passed is False


def _barring(treatment: TreatmentEvidence) -> list[Check]:
    return [
        check
        for check in (*treatment.requirements, *treatment.unripe)
        if check.passed is False or (check.passed is None and check.name in _BARS_WHEN_UNKNOWN)
    ]


def _reasons(treatment: TreatmentEvidence, status: Status) -> tuple[str, ...]:
    primary, barring = treatment.primary.text, _texts(_barring(treatment))
    unknown = [c.text for c in treatment.requirements if c.passed is None and c.text not in barring]
    match status:
        case Status.HARMFUL:
            return _texts(check for check in treatment.harm if check.passed is False)
        case Status.SHIP:
            return (primary, *_texts(check for check in treatment.requirements if check.passed), *unknown)
        case Status.HOLD:
            futile = (treatment.futility.text,) if treatment.futility and is_futile(treatment) else ()
            return (*futile, primary, *barring, *unknown)
        case _:
            return (primary, *barring, treatment.outlook, *unknown)


def _checks(treatment: TreatmentEvidence) -> tuple[Check, ...]:
    futility = () if treatment.futility is None else (treatment.futility,)
    return (*treatment.harm, treatment.primary, *futility, *treatment.requirements, *treatment.unripe)


def _texts(checks: Iterable[Check]) -> tuple[str, ...]:
    return tuple(check.text for check in checks)
