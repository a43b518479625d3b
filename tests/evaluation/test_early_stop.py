"""Duels that end early: the order they take, what they make of gaps and of the missing, and their errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Calibration
from tests.evaluation.test_duel_run import write_duel

from promptarena.definitions.duel import Duel
from promptarena.definitions.duel_readout import GateStatus
from promptarena.definitions.gate_rule import ConflictRule
from promptarena.errors import DefinitionError, UsageError
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.conclude import conclude, gate_conditions
from promptarena.evaluation.conditions import Condition
from promptarena.evaluation.duel import run_duel
from promptarena.evaluation.early_stop import EarlyDecision, EarlyStop, decide_early, taking_order
from promptarena.evaluation.evidence import DuelEvidence
from promptarena.evaluation.gate import decide_condition
from promptarena.evaluation.recorded import Verdicts
from promptarena.stats.betting import log_wealth_above

Scores = NDArray[np.float64]
ALPHA = 0.025


def frame(cases: int, clusters: list[int] | None = None, weights: list[float] | None = None) -> CaseFrame:
    return CaseFrame(
        ids=[f"q{number}" for number in range(cases)],
        clusters=None if clusters is None else np.array(clusters, dtype=np.intp),
        weights=None if weights is None else np.array(weights),
    )


def asked(scores: Scores, above: float = 0.5) -> Condition:
    """A win rate; NaN is missing."""
    gone = np.isnan(scores)
    return Condition(
        name="win_rate",
        variant="new",
        control="old",
        scores=scores,
        worst=np.where(gone, 0.0, scores),
        best=np.where(gone, 1.0, scores),
        asked=above,
        unit="share",
    )


def decide(scores: Scores, cases: CaseFrame | None = None, done: Scores | None = None) -> EarlyDecision:
    """Scores in the order in which cases are taken."""
    cases = cases or frame(len(scores))
    order = taking_order("d", cases)
    placed, finished = np.empty(len(scores)), np.ones(len(scores), dtype=np.bool_)
    placed[order.cases] = scores
    if done is not None:
        finished[order.cases] = done
    return decide_early([asked(placed)], order, cases, finished, ALPHA)


def judged(rng: np.random.Generator, cases: int, rate: float, consistency: float) -> Scores:
    """One score a case, in quarters; where the two orders disagree they lean to neither side."""
    truth = (rng.random(cases) < rate).astype(np.float64)
    return np.where(rng.random(cases) < consistency, truth, rng.choice([0.25, 0.5, 0.5, 0.75], cases))


def test_the_order_is_of_the_names_and_not_of_the_file() -> None:
    names = [f"case {number}" for number in range(50)]
    one, other = CaseFrame(ids=names), CaseFrame(ids=names[::-1])
    first = [names[case] for case in taking_order("d", one).cases]
    assert first == [names[::-1][case] for case in taking_order("d", other).cases]
    assert first != [names[case] for case in taking_order("another", one).cases]
    assert sorted(first) == sorted(names)


def test_cases_of_one_cluster_are_taken_together() -> None:
    cases = frame(7, clusters=[0, 1, 0, 2, 2, 2, 1])
    order = taking_order("d", cases)
    assert cases.clusters is not None
    groups = [cases.clusters[part].tolist() for part in np.split(order.cases, order.ends[:-1])]
    assert sorted(map(len, groups)) == [2, 2, 3]
    assert all(len(set(group)) == 1 for group in groups)


def test_it_stops_where_the_wealth_first_suffices() -> None:
    scores = np.array(([1.0] * 7 + [0.0]) * 25)
    found = decide(scores)
    wealth = log_wealth_above(scores, 0.5, alpha=ALPHA, planned=200)
    expected = int((wealth >= math.log(1 / ALPHA)).argmax()) + 1
    assert (found.decided, found.readout.taken, len(found.taken)) == (True, expected, expected)
    (condition,) = found.conditions
    assert condition.status is GateStatus.PASS
    assert f"settled after {expected} of 200 cases" in condition.text
    (path,) = found.readout.paths
    last, before = path.evidence_for[-1], path.evidence_for[-2]
    assert last is not None
    assert before is not None
    assert before < 1 <= last


def test_a_lost_duel_stops_as_failed() -> None:
    (condition,) = decide(np.array(([0.0] * 7 + [1.0]) * 25)).conditions
    assert condition.status is GateStatus.FAIL


def test_even_duels_go_to_the_end_undecided() -> None:
    found = decide(np.array([1.0, 0.0] * 50))
    assert (found.decided, found.readout.taken) == (False, 100)
    assert found.conditions[0].status is GateStatus.INCONCLUSIVE


def test_what_lies_behind_a_gap_is_not_looked_at() -> None:
    scores, done = np.ones(200), np.ones(200)
    done[5] = 0
    found = decide(scores, done=done)
    assert (found.decided, found.readout.taken) == (False, 5)
    done[5] = 1
    assert decide(scores, done=done).decided


@given(seed=st.integers(0, 10_000), holes=st.lists(st.integers(0, 59), max_size=20))
def test_the_order_of_completion_decides_nothing(seed: int, holes: list[int]) -> None:
    scores = np.random.default_rng(seed).choice([0.0, 0.25, 0.5, 1.0, 1.0], 60)
    done = np.ones(60)
    done[holes] = 0
    part, whole = decide(scores, done=done), decide(scores)
    if part.decided:
        assert part.conditions == whole.conditions
        assert part.taken.tolist() == whole.taken.tolist()


def test_the_missing_are_lost_for_passing_and_won_for_failing() -> None:
    good = np.array(([1.0] * 7 + [0.0]) * 25)
    gaps = good.copy()
    gaps[::3] = math.nan
    lost, full = decide(gaps), decide(good)
    assert lost.readout.taken > full.readout.taken
    assert "missing counted against it" in lost.conditions[0].text
    nobody = decide(np.full(60, math.nan))
    assert nobody.conditions[0].status is GateStatus.INVALID


def test_equal_weights_change_nothing_and_a_heavy_case_counts_for_more() -> None:
    scores = np.array(([1.0] * 7 + [0.0]) * 25)
    plain, equal = decide(scores), decide(scores, frame(200, weights=[2.0] * 200))
    assert plain.readout.taken == equal.readout.taken
    order = taking_order("d", frame(200))
    weights = np.empty(200)
    weights[order.cases] = np.where(scores == 0, 7.0, 1.0)
    even = decide(scores, frame(200, weights=weights.tolist()))
    assert not even.decided, "wins and losses weigh alike"


def test_copies_in_a_cluster_are_one_score() -> None:
    single = np.array(([1.0] * 7 + [0.0]) * 8)
    copied = decide_copies(single, 3)
    assert copied.readout.taken == 3 * decide_copies(single, 1).readout.taken


def decide_copies(scores: Scores, size: int) -> EarlyDecision:
    cases = frame(len(scores) * size, clusters=np.repeat(np.arange(len(scores)), size).tolist())
    order = taking_order("d", cases)
    placed = np.empty(len(scores) * size)
    placed[order.cases] = np.repeat(scores, size)
    return decide_early([asked(placed)], order, cases, np.ones(len(placed), dtype=np.bool_), ALPHA)


def live() -> Duel:
    return Duel.model_validate(
        {
            "duel": "d",
            "dataset": "g.jsonl",
            "variants": {"old": {}, "new": {}},
            "judge": {"recorded": "v.csv"},
            "gate": {"win_rate": {"above": 0.5}},
            "early_stop": True,
        }
    )


def said(cases: list[int], scores: Scores) -> Verdicts:
    """Both orders of these cases; who is 1 wins in both."""
    at = np.repeat(np.array(cases, dtype=np.intp), 2)
    new_first = np.tile([True, False], len(cases))
    return Verdicts(
        case=at,
        first=np.where(new_first, 1, 0).astype(np.intp),
        second=np.where(new_first, 0, 1).astype(np.intp),
        first_score=np.where(new_first, scores[at], 1 - scores[at]),
        scored=np.ones(len(at), dtype=np.bool_),
        undeclared={},
    )


def test_a_run_asks_for_batches_until_its_gate_is_decided() -> None:
    cases, duel = frame(200), live()
    scores = (np.random.default_rng(3).random(200) < 0.8).astype(np.float64)
    stop, asked_for = EarlyStop(duel, cases), list[int]()
    done = np.zeros(200, dtype=np.bool_)
    while batch := stop.next_cases(16):
        asked_for += batch
        done[batch] = True
        evidence = DuelEvidence(cases=cases, verdicts=said(asked_for, scores), taken=done)
        stop.look(gate_conditions(duel, evidence), done)
    assert stop.decided
    assert len(asked_for) % 16 == 0
    assert len(asked_for) < 100
    readout = conclude(duel, evidence)
    assert readout.cases == len(asked_for), "cases that were never asked are not missing"
    assert readout.pairs[0].missing == 0
    assert any("ended early" in note for note in readout.notes)
    assert readout.gate is not None
    assert readout.gate.status is GateStatus.PASS
    assert readout.gate.early_stop is not None
    assert readout.gate.early_stop.taken <= len(asked_for)
    # All 200 cases recorded, the same decision at the same place.
    replayed = conclude(duel, DuelEvidence(cases=cases, verdicts=said(list(range(200)), scores)))
    assert replayed.gate == readout.gate


def test_a_recorded_duel_is_replayed(tmp_path: Path) -> None:
    path = write_duel(tmp_path, cases=120, new_wins=100, extra="gate: {win_rate: {above: 0.5}}\n")
    fixed = run_duel(path)
    path.write_text(path.read_text() + "early_stop: true\n")
    found = run_duel(path)
    assert fixed.gate is not None
    assert fixed.gate.early_stop is None
    assert found.gate is not None
    assert found.gate.early_stop is not None
    assert (found.gate.status, found.gate.early_stop.stopped) == (GateStatus.PASS, True)
    assert found.gate.early_stop.taken < 100
    assert found.conflict_rule == "average"


def test_conflicts_are_averaged_unless_the_definition_says_otherwise() -> None:
    duel = live()
    assert duel.conflicts is ConflictRule.AVERAGE
    plain = duel.model_copy(update={"early_stop": False})
    assert plain.stopping_early().conflicts is ConflictRule.AVERAGE
    written = {**duel.model_dump(mode="json", exclude_unset=True), "conflicts": "tie"}
    assert Duel.model_validate(written).conflicts is ConflictRule.TIE


def test_without_a_gate_there_is_nothing_to_stop_for(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="there is no `gate`"):
        run_duel(write_duel(tmp_path, extra="early_stop: true\n"))
    with pytest.raises(UsageError, match="this one has no `gate`"):
        live().model_copy(update={"gate": None}).stopping_early()


def _shares(
    rng: np.random.Generator, runs: int, rate: float, consistency: float
) -> tuple[float, float, float]:
    """Share passed when stopping early, passed when looked at once, and of the cases that were taken."""
    early = fixed = taken = 0.0
    cases = frame(200)
    for _ in range(runs):
        scores = judged(rng, 200, rate, consistency)
        found = decide(scores, cases)
        early += found.conditions[0].status is GateStatus.PASS
        taken += found.readout.taken / 200
        fixed += decide_condition(asked(scores), cases, ALPHA).status is GateStatus.PASS
    return early / runs, fixed / runs, taken / runs


def test_a_better_variant_passes_with_fewer_calls() -> None:
    early, fixed, taken = _shares(np.random.default_rng(5), 250, 0.65, 1.0)
    assert taken <= 0.6
    assert early >= fixed - 0.1


@pytest.mark.parametrize("consistency", [0.6, 0.95])
def test_no_better_variant_passes_early_more_often_than_declared(consistency: float) -> None:
    early, _, _ = _shares(np.random.default_rng(6), 250, 0.5, consistency)
    assert early <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / 250)


@pytest.mark.slow
@pytest.mark.parametrize("consistency", [0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_calibration_of_the_early_gate(consistency: float, calibration: Calibration) -> None:
    runs = 2000
    setting = f"200 cases, swap consistency {consistency:g}"
    early, _, _ = _shares(np.random.default_rng(7), runs, 0.5, consistency)
    kept = calibration.record(
        "Gate of a duel that stops early", setting, "passes at win rate .5",
        nominal=ALPHA, observed=early, runs=runs, seed=7, bound="at most",
    ).kept  # fmt: skip
    assert kept
    if consistency == 1.0:
        early, fixed, taken = _shares(np.random.default_rng(8), runs, 0.65, consistency)
        powerful = calibration.record(
            "Gate of a duel that stops early", setting,
            "power at win rate .65; nominal: ten points less than looked at once",
            nominal=fixed - 0.1, observed=early, runs=runs, seed=8, bound="at least",
        )  # fmt: skip
        cheap = calibration.record(
            "Gate of a duel that stops early", setting, "share of the calls at win rate .65",
            nominal=0.6, observed=taken, runs=runs, seed=8, bound="at most",
        )  # fmt: skip
        assert powerful.kept
        assert cheap.kept
