"""A gate's condition as one sentence with its numbers."""

from __future__ import annotations

from promptarena.definitions.duel_readout import GateStatus
from promptarena.evaluation.conditions import Condition
from promptarena.evaluation.counted import counted

__all__ = ["anytime_text", "bounds_words", "condition_text", "in_words"]


def condition_text(
    condition: Condition,
    status: GateStatus,
    value: float | None,
    low: float | None,
    high: float | None,
    known: int,
    alpha: float,
) -> str:
    """What was asked, what was found, and what follows.

    Args:
        condition: what was asked.
        status: what follows.
        value: the mean over the cases that are known; None where there are none.
        low: the lower bound, in the condition's unit.
        high: the upper bound.
        known: how many cases are known.
        alpha: the error of each bound.
    """
    if value is None or low is None or high is None:
        if condition.name == "win_rate":
            return f"{condition.variant} against {condition.control}: no case has an outcome."
        return f"{condition.name}: no case tells of {condition.variant}."
    told = bounds_words(in_words(condition, low), in_words(condition, high), alpha, condition.missing)
    if condition.name == "win_rate":
        asked = f"{condition.asked:.1%}"
        tail = {
            GateStatus.PASS: f"surely more than the {asked} asked",
            GateStatus.FAIL: f"surely not the {asked} asked",
            GateStatus.INCONCLUSIVE: f"which does not settle the {asked} asked",
            GateStatus.INVALID: "but most cases have no outcome, so it says nothing of the dataset",
        }[status]
        return (
            f"{condition.variant} wins {value:.1%} of {counted(known, 'case')} against {condition.control} "
            f"({told}), {tail}."
        )
    asked = _asked(condition)
    missing = "outputs are" if condition.outputs else "scores are"
    tail = {
        GateStatus.PASS: f"which shows {asked}",
        GateStatus.FAIL: f"which rules out {asked}",
        GateStatus.INCONCLUSIVE: f"which does not settle {asked}",
        GateStatus.INVALID: f"but most {missing} missing, so it says nothing of the dataset",
    }[status]
    return (
        f"{condition.name}: {condition.variant} {_found(condition, value)} over {counted(known, 'case')} "
        f"({told}), {tail}."
    )


def anytime_text(
    condition: Condition,
    status: GateStatus,
    value: float | None,
    bounds: tuple[float | None, float | None],
    known: int,
    missing: int,
    after: int | None,
    cases: int,
    alpha: float,
) -> str:
    """As `condition_text`, of a duel that stops as soon as it may.

    Args:
        condition: what was asked.
        status: what follows.
        value: the mean over the cases taken that are known.
        bounds: that hold whenever one looks; None where there are none to show.
        known: cases taken that are known.
        missing: cases taken that count and are not.
        after: how many cases had been taken when it was settled.
        cases: how many there are.
        alpha: the error of each side.
    """
    if value is None:
        return condition_text(condition, status, None, None, None, known, alpha)
    low, high = bounds
    told = f"error {alpha:.4g} whenever one looks"
    if low is not None and high is not None:
        told = f"bounds {in_words(condition, low)} and {in_words(condition, high)}, each at {told}"
    if missing:
        told += f", {missing:,} missing counted against it in one and for it in the other"
    if condition.name == "win_rate":
        asked = f"a win rate above {condition.asked:.1%}"
        found = (
            f"{condition.variant} wins {value:.1%} of {counted(known, 'case')} against {condition.control}"
        )
    else:
        asked = _asked(condition)
        found = (
            f"{condition.name}: {condition.variant} {_found(condition, value)} over {counted(known, 'case')}"
        )
    settled = f"it was settled after {after or 0:,} of {counted(cases, 'case')}"
    tail = {
        GateStatus.PASS: f"which shows {asked}; {settled}",
        GateStatus.FAIL: f"which rules out {asked}; {settled}",
        GateStatus.INCONCLUSIVE: f"which does not settle {asked}",
        GateStatus.INVALID: "but most of these cases have no outcome, so it says nothing of the dataset",
    }[status]
    return f"{found} ({told}), {tail}."


def in_words(condition: Condition, value: float) -> str:
    """A number in the condition's unit, as it stands between others."""
    match condition.unit:
        case "share":
            return f"{value:.1%}"
        case "points":
            return f"{value * 100:+.1f}"
        case "levels":
            return f"{value:+.2f}"
        case "level":
            return f"{value:.2f}"


def bounds_words(low: str, high: str, alpha: float, missing: int) -> str:
    """Bounds, their error, and what was made of the missing."""
    told = f"bounds {low} and {high}, each at error {alpha:.4g}"
    return told + (
        f", {missing:,} missing counted against it in one and for it in the other" if missing else ""
    )


def _found(condition: Condition, value: float) -> str:
    of = "the control" if condition.kept == 1 else f"{condition.kept:.4g} of the control"
    match condition.unit:
        case "share":
            return f"passes {value:.1%}"
        case "points":
            return f"differs from {of} by {value * 100:+.1f} points"
        case "levels":
            return f"differs from {of} by {value:+.2f} levels"
        case "level":
            return f"scores {value:.2f}"


def _asked(condition: Condition) -> str:
    match condition.unit:
        case "share":
            return f"at least {condition.asked:.1%}"
        case "points":
            return f"a difference above {condition.asked * 100:+.1f} points"
        case "levels":
            return f"a difference above {condition.asked:+.4g} levels"
        case "level":
            return f"a mean above {condition.asked:.4g}"
