"""What is known of each pair of variants, and how the judge behaved over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import JudgeReadout, LengthEffect, PairReadout
from promptarena.definitions.gate_rule import ConflictRule
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.length_effects import length_effect
from promptarena.evaluation.pairs import JudgedPair
from promptarena.stats.clustered_mean import variance_parts
from promptarena.stats.preference import OrderConflicts, first_position_rate, order_conflicts, win_rate
from promptarena.stats.proportions import Proportion, proportion

__all__ = ["judge_readout", "pair_readout"]


def pair_readout(
    pair: JudgedPair,
    names: Sequence[str],
    frame: CaseFrame,
    rule: ConflictRule,
    confidence: float,
    lengths: Mapping[str, NDArray[np.float64]] | None = None,
) -> PairReadout:
    """What is known of one pair; of length only where both variants' are known."""
    outcomes = pair.outcomes(rule)
    decided = np.flatnonzero(~np.isnan(outcomes))
    won = None
    if len(decided):
        won = win_rate(
            outcomes[decided], frame.cluster_of(decided), frame.weight_of(decided), confidence=confidence
        )
    orders, position = _position([pair], frame, confidence)
    parts = variance_parts(pair.by_repeat(rule))
    return PairReadout(
        variant=names[pair.variant],
        against=names[pair.against],
        win_rate=won.rate.value if won else None,
        interval=won.rate.interval if won else None,
        wins=won.wins if won else 0,
        losses=won.losses if won else 0,
        ties=won.ties if won else 0,
        conflicts=orders.conflicts if orders else 0,
        unscored=pair.unscored,
        first_position_rate=position.value if position else None,
        first_position_interval=position.interval if position else None,
        conflict_rate=orders.rate.value if orders else None,
        conflict_interval=orders.rate.interval if orders else None,
        both_orders=orders.n if orders else 0,
        consistent=orders.consistent if orders else 0,
        first_both=orders.first_both if orders else 0,
        second_both=orders.second_both if orders else 0,
        missing=pair.missing(rule),
        clusters=won.rate.clusters if won else 0,
        between_variance=parts.between if parts else None,
        repeat_variance=parts.within if parts else None,
        length=_length(pair, names, outcomes, frame, confidence, lengths or {}),
        notes=tuple(_notes(pair, rule)),
    )


def _length(
    pair: JudgedPair,
    names: Sequence[str],
    outcomes: NDArray[np.float64],
    frame: CaseFrame,
    confidence: float,
    lengths: Mapping[str, NDArray[np.float64]],
) -> LengthEffect | None:
    one, other = lengths.get(names[pair.variant]), lengths.get(names[pair.against])
    if one is None or other is None:
        return None
    return length_effect(outcomes, one, other, frame, confidence)


def judge_readout(pairs: Sequence[JudgedPair], frame: CaseFrame, confidence: float) -> JudgeReadout:
    """How the judge behaved over all pairs; a case judged for several pairs is one cluster."""
    orders, position = _position(pairs, frame, confidence)
    noise = _noise(pairs, frame, confidence)
    return JudgeReadout(
        verdicts=sum(pair.verdicts for pair in pairs),
        unscored=sum(pair.unscored for pair in pairs),
        repeated=sum(pair.repeated for pair in pairs),
        both_orders=orders.n if orders else 0,
        consistent=orders.consistent if orders else 0,
        conflicts=orders.conflicts if orders else 0,
        first_both=orders.first_both if orders else 0,
        second_both=orders.second_both if orders else 0,
        conflict_rate=orders.rate.value if orders else None,
        conflict_interval=orders.rate.interval if orders else None,
        first_position_rate=position.value if position else None,
        first_position_interval=position.interval if position else None,
        asked_again=noise.n if noise else 0,
        noise_rate=noise.value if noise else None,
        noise_interval=noise.interval if noise else None,
    )


def _position(
    pairs: Sequence[JudgedPair], frame: CaseFrame, confidence: float
) -> tuple[OrderConflicts | None, Proportion | None]:
    """What the display order did, among what was judged in both orders; None where nothing was."""
    forward = np.concatenate([pair.shown_first[pair.both] for pair in pairs])
    backward = np.concatenate([pair.shown_second[pair.both] for pair in pairs])
    if not len(forward):
        return None, None
    cases = frame.cluster_of(np.concatenate([np.nonzero(pair.both)[0] for pair in pairs]))
    orders = order_conflicts(forward, backward, cases, confidence=confidence)
    first_scores = np.concatenate([forward, 1 - backward])
    return orders, first_position_rate(first_scores, np.concatenate([cases, cases]), confidence=confidence)


def _noise(pairs: Sequence[JudgedPair], frame: CaseFrame, confidence: float) -> Proportion | None:
    """How often the judge contradicts itself where nothing at all was changed."""
    asked = [pair.same_order for pair in pairs if pair.same_order is not None]
    if not asked:
        return None
    cases = frame.cluster_of(np.concatenate([each.case for each in asked]))
    return proportion(np.concatenate([each.disagreement for each in asked]), cases, confidence=confidence)


def _notes(pair: JudgedPair, rule: ConflictRule) -> Iterator[str]:
    either = pair.either.any(axis=1)
    both = int(pair.both.any(axis=1).sum())
    if not either.any():
        yield "no readable verdict, so there is no win rate"
    elif not pair.in_both_orders:
        some = f"only {both:,} of {int(either.sum()):,} judged cases were" if both else "no case was"
        known = "barely measured" if both else "unmeasured"
        yield f"{some} judged in both display orders, so position bias is {known}"
    elif incomplete := int((pair.either & ~pair.both).any(axis=1).sum()):
        yield f"{incomplete:,} cases have a readable verdict in one order only and do not count"
    if pair.repeated:
        yield f"{pair.repeated:,} verdicts repeat a case and order; the majority of them counts once"
    if rule is ConflictRule.DROP and (dropped := int(pair.conflicting.any(axis=1).sum())):
        yield f"{dropped:,} cases whose orders disagree were dropped, as the definition says"
