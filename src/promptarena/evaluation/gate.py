"""May the change meet users? Pass, fail or inconclusive, at a declared error; invalid where nothing follows.

A condition passes where its one-sided lower bound is above the threshold, with everything that is missing
counted against the treatment; it fails where the upper bound is below, with everything that is missing
counted for it; else the cases do not tell. So a judge that was down makes a gate inconclusive, never passed
and never failed. All treatments must pass all conditions, which needs no correction for their number: a
gate that passes too often would have to err in its weakest condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import Gate, GateCondition, GateStatus
from promptarena.definitions.gate_rule import CheckRule, ConflictRule, GateRule
from promptarena.evaluation.check_rates import CheckResults, Codes, paired_scores, to_difference
from promptarena.evaluation.pairs import JudgedPair
from promptarena.evaluation.recorded import FAILED, MISSING, NOT_APPLICABLE, PASSED
from promptarena.stats.proportions import cautious_bounds, proportion

__all__ = ["decide_gate"]

Scores = NDArray[np.float64]

MOST_MISSING: Final = 0.5
"""Where more of the cases than this have no outcome, the rest are no sample of the dataset."""
MOST_DECIDED_BY_POSITION: Final = 0.5
"""Where surely more of the cases than this have a winner by display position, the judge reads positions."""
EVEN_DISPLAY: Final = 0.5
"""The share of first places that is fair; where a variant surely has more, or surely less, a judge that reads
positions would decide."""

_ORDER: Final = (GateStatus.INVALID, GateStatus.FAIL, GateStatus.INCONCLUSIVE, GateStatus.PASS)


def decide_gate(
    rule: GateRule,
    treatments: Sequence[str],
    control: str,
    pairs: Mapping[str, JudgedPair],
    checks: Mapping[str, CheckResults],
    conflicts: ConflictRule,
) -> Gate:
    """Decide.

    Args:
        rule: what is asked.
        treatments: names, in order.
        control: its name.
        pairs: each treatment against the control; empty without a judge.
        checks: results by check and variant.
        conflicts: what a conflict counts for.
    """
    conditions: list[GateCondition] = []
    for treatment in treatments:
        if rule.win_rate is not None:
            conditions += _win_rate(
                treatment, control, pairs[treatment], rule.win_rate.above, conflicts, rule.alpha
            )
        for name, results in checks.items():
            if asked := rule.checks.get(name, rule.checks.get("all")):
                conditions.append(
                    _check(name, treatment, results[treatment], results[control], asked, rule.alpha)
                )
    status = min((condition.status for condition in conditions), key=_ORDER.index)
    ordered = sorted(conditions, key=lambda condition: _ORDER.index(condition.status))
    return Gate(
        status=status,
        reasons=tuple(condition.text for condition in ordered),
        alpha=rule.alpha,
        conditions=tuple(conditions),
    )


def _win_rate(
    treatment: str, control: str, pair: JudgedPair, above: float, conflicts: ConflictRule, alpha: float
) -> list[GateCondition]:
    outcomes = pair.outcomes(conflicts)
    decided = outcomes[~np.isnan(outcomes)]
    missing = pair.missing(conflicts)
    if not len(decided):
        text = f"{treatment} against {control}: no case has an outcome."
        return [_condition("win_rate", treatment, GateStatus.INVALID, text, above)]
    value = float(decided.mean())
    low, high = _bounds(decided, missing, alpha)
    status = _status(low, high, above)
    if missing > MOST_MISSING * (len(decided) + missing):
        status = GateStatus.INVALID
    tail = {
        GateStatus.PASS: f"surely more than the {above:.1%} asked",
        GateStatus.FAIL: f"surely not the {above:.1%} asked",
        GateStatus.INCONCLUSIVE: f"which does not settle the {above:.1%} asked",
        GateStatus.INVALID: "but most cases have no outcome, so it says nothing of the dataset",
    }[status]
    text = (
        f"{treatment} wins {value:.1%} of {len(decided):,} cases against {control} "
        f"({_bounds_words(f'{low:.1%}', f'{high:.1%}', alpha, missing)}), {tail}."
    )
    return [
        GateCondition(
            name="win_rate",
            variant=treatment,
            status=status,
            text=text,
            value=value,
            low=low,
            high=high,
            threshold=above,
        ),
        *_position(treatment, pair, alpha),
        *_display(treatment, control, pair.shares_first(conflicts), alpha),
    ]


def _position(treatment: str, pair: JudgedPair, alpha: float) -> list[GateCondition]:
    """A condition only where it is broken: the display order, not the answer, decides most cases."""
    both = pair.both
    if not both.any():
        return []
    by_position = both & (np.abs(pair.shown_first - pair.shown_second) == 1)
    share = proportion(by_position[both].astype(np.float64))
    low, high = cautious_bounds(share, alpha=alpha)
    if low <= MOST_DECIDED_BY_POSITION:
        return []
    text = (
        f"The judge decides by display position: in {int(by_position.sum()):,} of {int(both.sum()):,} cases "
        f"the two orders name different winners (lower bound {low:.1%}); its verdicts say nothing of "
        f"{treatment}."
    )
    return [
        GateCondition(
            name="judge",
            variant=treatment,
            status=GateStatus.INVALID,
            text=text,
            value=share.value,
            low=low,
            high=high,
            threshold=MOST_DECIDED_BY_POSITION,
        )
    ]


def _display(treatment: str, control: str, shares: Scores, alpha: float) -> list[GateCondition]:
    """A condition only where it is broken: who was shown first tells who is who.

    The bounds are those of the win rate, so a judge that names whatever is shown first can neither pass a
    gate at 0.5 or above nor fail one at 0.5 or below.
    """
    found = proportion(shares)
    low, high = cautious_bounds(found, alpha=alpha)
    if low <= EVEN_DISPLAY <= high and 0 < found.value < 1:
        return []
    ahead, behind = (treatment, control) if found.value > EVEN_DISPLAY else (control, treatment)
    alone = int((shares == float(found.value > EVEN_DISPLAY)).sum())
    other = int((shares == float(found.value < EVEN_DISPLAY)).sum())
    text = (
        f"Display order is confounded with the variant: of {len(shares):,} cases {alone:,} showed only "
        f"{ahead} first and {other:,} only {behind}, so a preference for that position would look the same. "
        "Have every case judged in both orders, or in one drawn at random."
    )
    return [
        GateCondition(
            name="judge",
            variant=treatment,
            status=GateStatus.INVALID,
            text=text,
            value=found.value,
            low=low,
            high=high,
            threshold=EVEN_DISPLAY,
        )
    ]


def _check(
    name: str,
    treatment: str,
    variant: Codes,
    control: Codes,
    rule: CheckRule,
    alpha: float,
) -> GateCondition:
    absolute = rule.min is not None
    applies = (variant != NOT_APPLICABLE) & (control != NOT_APPLICABLE)
    one, other = variant[applies], control[applies]
    gone = (one == MISSING) if absolute else (one == MISSING) | (other == MISSING)
    missing = int(gone.sum())
    known, worst, best = _check_scores(one, other, absolute)
    threshold = _threshold(rule)
    title = f"check: {name}"
    if not len(known):
        text = f"{title}: no case tells of {treatment}."
        return _condition(title, treatment, GateStatus.INVALID, text, threshold)
    value = proportion(known).value
    low = cautious_bounds(proportion(worst), alpha=alpha)[0]
    high = cautious_bounds(proportion(best), alpha=alpha)[1]
    if not absolute:
        value, low, high = to_difference(value), to_difference(low), to_difference(high)
    status = _status(low, high, threshold)
    if missing > MOST_MISSING * len(one):
        status = GateStatus.INVALID
    asked = f"at least {threshold:.1%}" if absolute else f"a difference above {threshold * 100:+.1f} points"
    tail = {
        GateStatus.PASS: f"which shows {asked}",
        GateStatus.FAIL: f"which rules out {asked}",
        GateStatus.INCONCLUSIVE: f"which does not settle {asked}",
        GateStatus.INVALID: "but most outputs are missing, so it says nothing of the dataset",
    }[status]
    found = f"passes {value:.1%}" if absolute else f"differs from the control by {value * 100:+.1f} points"
    ends = (f"{low:.1%}", f"{high:.1%}") if absolute else (f"{low * 100:+.1f}", f"{high * 100:+.1f}")
    bounds = _bounds_words(*ends, alpha, missing)
    return GateCondition(
        name=title,
        variant=treatment,
        status=status,
        text=f"{title}: {treatment} {found} over {len(known):,} cases ({bounds}), {tail}.",
        value=value,
        low=low,
        high=high,
        threshold=threshold,
    )


def _threshold(rule: CheckRule) -> float:
    if rule.min is not None:
        return rule.min
    return rule.above if rule.above is not None else -(rule.margin or 0.0)


def _check_scores(one: Codes, other: Codes, absolute: bool) -> tuple[Scores, Scores, Scores]:
    """Scores of the known cases; of all, the missing counted against the treatment; and counted for it."""
    if absolute:
        known = one[one != MISSING].astype(np.float64)
        missing = len(one) - len(known)
        return known, np.append(known, np.zeros(missing)), np.append(known, np.ones(missing))
    return (
        paired_scores(one, other),
        paired_scores(one, other, missing_variant=FAILED, missing_control=PASSED),
        paired_scores(one, other, missing_variant=PASSED, missing_control=FAILED),
    )


def _bounds(decided: Scores, missing: int, alpha: float) -> tuple[float, float]:
    worst = proportion(np.concatenate([decided, np.zeros(missing)]))
    best = proportion(np.concatenate([decided, np.ones(missing)]))
    return cautious_bounds(worst, alpha=alpha)[0], cautious_bounds(best, alpha=alpha)[1]


def _status(low: float, high: float, threshold: float) -> GateStatus:
    if low > threshold:
        return GateStatus.PASS
    return GateStatus.FAIL if high < threshold else GateStatus.INCONCLUSIVE


def _bounds_words(low: str, high: str, alpha: float, missing: int) -> str:
    told = f"bounds {low} and {high}, each at error {alpha:.4g}"
    return told + (
        f", {missing:,} missing counted against it in one and for it in the other" if missing else ""
    )


def _condition(name: str, variant: str, status: GateStatus, text: str, threshold: float) -> GateCondition:
    return GateCondition(
        name=name,
        variant=variant,
        status=status,
        text=text,
        value=None,
        low=None,
        high=None,
        threshold=threshold,
    )
