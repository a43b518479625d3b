"""From what was observed in a duel to its readout: the one place where a duel is concluded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from promptarena.definitions.duel import Duel
from promptarena.definitions.duel_readout import CaseFinding, DuelReadout, Gate, GateCondition, SegmentEffect
from promptarena.evaluation.axes import axis_readout
from promptarena.evaluation.check_rates import check_readout
from promptarena.evaluation.conditions import Condition, list_conditions
from promptarena.evaluation.duel_plan import plan_duel
from promptarena.evaluation.early_stop import decide_early, taking_order
from promptarena.evaluation.evidence import DuelEvidence
from promptarena.evaluation.gate import decide_gate, gate_of, judge_conditions
from promptarena.evaluation.pair_readouts import judge_readout, pair_readout
from promptarena.evaluation.pairs import JudgedPair, judge_pairs
from promptarena.evaluation.ranking import rank
from promptarena.evaluation.recorded import Verdicts
from promptarena.evaluation.scores import AxisScores
from promptarena.evaluation.segment_effects import segment_effects
from promptarena.evaluation.worst_cases import worst_cases

__all__ = ["conclude", "gate_conditions", "judged_against", "scales_of"]

_STOPPED: Final = (
    "the duel ended early, so what it saw leans towards its decision: the gate's bounds hold, win rates, "
    "differences and their intervals are those of a run of that length that nobody ended"
)


def conclude(duel: Duel, evidence: DuelEvidence, *, pilot: Mapping[str, float] | None = None) -> DuelReadout:
    """Conclude a duel from everything that was observed, recorded or run.

    Args:
        duel: the definition.
        evidence: what was observed.
        pilot: spread by condition, from an earlier duel, for what the cases could show.

    Raises:
        DataError: the gate asks for something that was not observed at all.
    """
    everything = evidence
    if evidence.taken is not None:
        evidence = evidence.of(evidence.taken)
    frame, names, confidence = evidence.cases, list(duel.variants), duel.confidence
    pairs = _pairs(duel, evidence)
    notes = [*evidence.notes, *(evidence.conduct.notes if evidence.conduct is not None else ())]
    if evidence.verdicts is not None:
        notes += _undeclared(evidence.verdicts)
    if len(frame) < len(everything.cases):
        notes.append(_STOPPED)
    return DuelReadout(
        duel=duel.duel,
        cases=len(frame),
        variants=tuple(names),
        control=duel.baseline,
        conflict_rule=duel.conflicts.value,
        confidence=confidence,
        pairs=tuple(
            pair_readout(pair, names, frame, duel.conflicts, confidence, evidence.lengths) for pair in pairs
        ),
        judge=judge_readout(pairs, frame, confidence) if pairs else None,
        ranking=rank(pairs, names, frame, duel.conflicts, confidence) if pairs and len(names) > 2 else None,
        checks=tuple(
            check_readout(title, by, frame, duel.baseline, confidence)
            for title, by in evidence.checks.items()
        ),
        gate=_early_gate(duel, everything) if duel.early_stop else _gate(duel, evidence, pairs),
        notes=tuple(notes),
        axes=tuple(axis_readout(scores, frame, duel.baseline, confidence) for scores in evidence.axes),
        clusters=None if frame.clusters is None else len(set(frame.clusters.tolist())),
        weighted=frame.weights is not None,
        conduct=evidence.conduct,
        segments=_segments(duel, evidence, pairs),
        worst=_worst(duel, evidence, pairs),
        plan=plan_duel(duel, everything.cases, scales_of(evidence.axes), pilot),
    )


def scales_of(axes: Sequence[AxisScores]) -> dict[str, tuple[float, float]]:
    """The lowest and the highest level of each axis."""
    return {each.axis: (each.low, each.high) for each in axes}


def judged_against(duel: Duel, evidence: DuelEvidence) -> dict[str, JudgedPair]:
    """Each treatment's pair with the control; none without a control or without verdicts."""
    return _against(duel, _pairs(duel, evidence))


def gate_conditions(duel: Duel, evidence: DuelEvidence) -> list[Condition]:
    """What the gate asks, with each case's score; nothing without a gate.

    Raises:
        DataError: as `conclude`.
    """
    return _conditions(duel, evidence, _pairs(duel, evidence))


def _pairs(duel: Duel, evidence: DuelEvidence) -> list[JudgedPair]:
    if evidence.verdicts is None:
        return []
    names = list(duel.variants)
    at = None if duel.baseline is None else names.index(duel.baseline)
    return judge_pairs(evidence.verdicts, len(evidence.cases), len(names), at)


def _against(duel: Duel, pairs: Sequence[JudgedPair]) -> dict[str, JudgedPair]:
    names = list(duel.variants)
    return {names[pair.variant]: pair for pair in pairs if names[pair.against] == duel.baseline}


def _conditions(duel: Duel, evidence: DuelEvidence, pairs: Sequence[JudgedPair]) -> list[Condition]:
    control = duel.baseline
    if duel.gate is None or control is None:
        return []  # the definition of a gate without a control is refused
    treatments = [name for name in duel.variants if name != control]
    against = _against(duel, pairs)
    return list_conditions(
        duel.gate, treatments, control, against, evidence.axes, evidence.checks, duel.conflicts
    )


def _gate(duel: Duel, evidence: DuelEvidence, pairs: Sequence[JudgedPair]) -> Gate | None:
    if duel.gate is None or duel.baseline is None:
        return None
    conditions = _conditions(duel, evidence, pairs)
    return decide_gate(conditions, _against(duel, pairs), evidence.cases, duel.conflicts, duel.gate.alpha)


def _segments(duel: Duel, evidence: DuelEvidence, pairs: Sequence[JudgedPair]) -> tuple[SegmentEffect, ...]:
    if duel.baseline is None or not evidence.cases.segments:
        return ()
    outcomes = {name: pair.outcomes(duel.conflicts) for name, pair in _against(duel, pairs).items()}
    return segment_effects(outcomes, evidence.axes, duel.baseline, evidence.cases, duel.confidence)


def _worst(duel: Duel, evidence: DuelEvidence, pairs: Sequence[JudgedPair]) -> tuple[CaseFinding, ...]:
    control, against = duel.baseline, _against(duel, pairs)
    if control is None:
        return ()
    return tuple(
        finding
        for name in duel.variants
        if name != control
        for pair in [against.get(name)]
        for finding in worst_cases(
            name,
            control,
            pair,
            None if pair is None else pair.outcomes(duel.conflicts),
            evidence.axes,
            evidence.checks,
            evidence.cases,
        )
    )


def _early_gate(duel: Duel, evidence: DuelEvidence) -> Gate | None:
    """The gate along the order in which cases were taken, up to where it was decided."""
    if duel.gate is None or duel.baseline is None:
        return None
    frame, alpha = evidence.cases, duel.gate.alpha
    done = np.ones(len(frame), dtype=np.bool_) if evidence.taken is None else evidence.taken
    pairs = _pairs(duel, evidence)
    conditions = _conditions(duel, evidence, pairs)
    found = decide_early(conditions, taking_order(duel.duel, frame), frame, done, alpha)
    used = np.zeros(len(frame), dtype=np.bool_)
    used[found.taken] = True
    seen = evidence.of(used)
    against = _against(duel, _pairs(duel, seen))
    decided: list[GateCondition] = []
    for condition, result in zip(conditions, found.conditions, strict=True):
        decided.append(result)
        if condition.name == "win_rate" and result.value is not None:
            pair = against[condition.variant]
            decided += judge_conditions(condition, pair, seen.cases, duel.conflicts, alpha)
    return replace(gate_of(decided, alpha), early_stop=found.readout)


def _undeclared(verdicts: Verdicts) -> Iterator[str]:
    if verdicts.undeclared:
        told = ", ".join(f"{text!r} ({count:,})" for text, count in list(verdicts.undeclared.items())[:5])
        more = "" if len(verdicts.undeclared) <= 5 else ", ..."
        yield (
            f"verdicts that are no declared value are unscored: {told}{more}; if they mean something, say so "
            "under `values`"
        )
