"""Noise beside bias, length, segments, worst cases, and what a golden set can show."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.evaluation.test_axes import axis, frame
from tests.evaluation.test_duel_run import write_duel

from promptarena.definitions.duel import Duel
from promptarena.definitions.gate_rule import ConflictRule
from promptarena.errors import DataError
from promptarena.evaluation.case_frame import CaseFrame, independent_cases
from promptarena.evaluation.conclude import conclude
from promptarena.evaluation.duel import run_duel
from promptarena.evaluation.duel_plan import plan_duel, read_pilot
from promptarena.evaluation.evidence import DuelEvidence
from promptarena.evaluation.length_effects import length_effect
from promptarena.evaluation.pair_readouts import judge_readout
from promptarena.evaluation.pairs import judge_pairs
from promptarena.evaluation.recorded import Verdicts
from promptarena.evaluation.segment_effects import segment_effects
from promptarena.evaluation.worst_cases import worst_cases
from promptarena.stats.bounded_mean import bounded_mean_bounds

Scores = NDArray[np.float64]
DUEL = Duel.model_validate(
    {
        "duel": "d",
        "dataset": "g.jsonl",
        "variants": {"old": {}, "new": {}},
        "judge": {"recorded": "v.csv"},
        "gate": {"win_rate": {"above": 0.5}},
    }
)


def rows(said: list[tuple[int, int, float, int, bool]]) -> Verdicts:
    """Case, variant shown first, its score, repeat, whether asked again."""
    columns = list(zip(*said, strict=True))
    first = np.array(columns[1], dtype=np.intp)
    return Verdicts(
        case=np.array(columns[0], dtype=np.intp),
        first=first,
        second=1 - first,
        first_score=np.array(columns[2], dtype=np.float64),
        scored=np.ones(len(said), dtype=np.bool_),
        undeclared={},
        repeat=np.array(columns[3], dtype=np.intp),
        again=np.array(columns[4], dtype=np.bool_),
    )


def test_answers_that_were_repeated_are_averaged_within_their_case() -> None:
    said = [
        (case, first, float(first == 1) if repeat < 2 else 0.5, repeat, False)
        for case in range(3)
        for repeat in range(3)
        for first in (0, 1)
    ]
    (pair,) = judge_pairs(rows(said), 3, 2, control=0)
    assert pair.outcomes(ConflictRule.TIE) == pytest.approx([5 / 6] * 3)
    found = conclude(DUEL, DuelEvidence(cases=frame(3), verdicts=rows(said)))
    assert found.pairs[0].wins == 3
    assert found.pairs[0].win_rate == pytest.approx(5 / 6)
    assert found.pairs[0].clusters == 3
    assert found.pairs[0].repeat_variance == pytest.approx(1 / 12)


def test_asking_again_measures_noise_and_decides_nothing() -> None:
    said = [(case, first, float(first == 1), 0, False) for case in range(10) for first in (0, 1)]
    # In two of ten cases the judge, asked the very same again, says the opposite.
    said += [(case, 1, 0.0 if case < 2 else 1.0, 0, True) for case in range(10)]
    (pair,) = judge_pairs(rows(said), 10, 2, control=0)
    assert pair.outcomes(ConflictRule.TIE).tolist() == [1.0] * 10
    assert (pair.repeated, pair.verdicts) == (0, 20)
    judge = judge_readout([pair], frame(10), 0.95)
    assert (judge.asked_again, judge.noise_rate, judge.conflict_rate) == (10, 0.2, 0.0)
    assert judge.noise_interval is not None


def test_longer_answers_that_win_are_found_out() -> None:
    rng = np.random.default_rng(3)
    lengths = rng.normal(200, 60, 300)
    won = (rng.random(300) < 1 / (1 + np.exp(-(lengths - 170) / 30))).astype(np.float64)
    found = length_effect(won, lengths, np.full(300, 170.0), frame(300), 0.95)
    assert found is not None
    assert found.longer_wins is not None
    assert found.longer_wins > 0.7
    assert found.controlled == pytest.approx(0.5, abs=0.1)
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert found.mean_difference == pytest.approx(float((lengths - 170).mean()))


def test_what_length_cannot_tell_says_why() -> None:
    same = length_effect(np.array([1.0, 0, 1, 0, 1]), np.full(5, 9.0), np.full(5, 9.0), frame(5), 0.95)
    assert same is not None
    assert (same.controlled, same.longer_wins) == (None, None)
    assert same.note == "the answers are all of one length"
    assert length_effect(np.full(3, math.nan), np.ones(3), np.ones(3), frame(3), 0.95) is None


def _segmented(values: list[tuple[str, ...]]) -> CaseFrame:
    return CaseFrame(ids=[str(at) for at in range(len(values))], segments={"tier": values})


def test_segments_have_their_own_effects_adjusted_together() -> None:
    values: list[tuple[str, ...]] = [("free",)] * 60 + [("paid", "vip")] * 40 + [()] * 5
    outcomes = np.array([1.0] * 55 + [0.0] * 5 + [0.0] * 30 + [1.0] * 10 + [1.0] * 5)
    scores = axis(np.full(105, 3.0), 3.0 + outcomes)
    found = segment_effects({"new": outcomes}, [scores], "old", _segmented(values), 0.95)
    told = {(each.value, each.measure): each for each in found}
    assert set(told) == {(v, m) for v in ("free", "paid", "vip") for m in ("win_rate", "axis: accuracy")}
    assert told["free", "win_rate"].effect == pytest.approx(55 / 60)
    assert told["paid", "win_rate"].cases == 40
    assert told["paid", "axis: accuracy"].effect == pytest.approx(0.25)
    for each in found:
        assert each.p_value is not None
        assert each.p_adjusted is not None
        assert each.p_adjusted >= each.p_value


def test_a_small_segment_is_shown_and_not_tested() -> None:
    values: list[tuple[str, ...]] = [("rare" if at < 9 else "common",) for at in range(20)]
    found = segment_effects({"new": np.ones(20)}, [], "old", _segmented(values), 0.95)
    assert [(each.value, each.p_value is None) for each in found] == [("common", False), ("rare", True)]


def test_segments_without_effect_are_rarely_called_different() -> None:
    rng = np.random.default_rng(5)
    values: list[tuple[str, ...]] = [(str(at % 5),) for at in range(200)]
    runs = 300
    wrong = sum(
        any((each.p_adjusted or 1) < 0.05 for each in segment_effects({"new": drawn}, [], "old", _segmented(values), 0.95))
        for drawn in (rng.choice([0.0, 0.5, 1.0], 200) for _ in range(runs))
    )  # fmt: skip
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_the_worst_cases_come_first() -> None:
    outcome = np.array([1.0, 0.0, 0.5, 0.0])
    scores = axis([5, 5, 5, 5.0], [5, 1, 4, 4.0])
    checks = {
        "polite": {"old": np.array([1, 1, 1, 1], dtype=np.int8), "new": np.array([1, 0, 1, 1], dtype=np.int8)}
    }
    found = worst_cases("new", "old", None, outcome, [scores], checks, frame(4))
    assert [each.case for each in found] == ["1", "3", "2"]
    assert found[0].badness == 1.0
    assert (found[0].outcome, found[0].axes, found[0].lost_checks) == (0.0, {"accuracy": -4.0}, ("polite",))


def test_clusters_and_unequal_weights_are_worth_fewer_cases() -> None:
    everything = np.arange(8)
    assert independent_cases(frame(8), everything) == 8
    assert independent_cases(frame(8, [0, 0, 1, 1, 2, 2, 3, 3]), everything) == 4
    assert independent_cases(frame(8, weights=[1.0] * 7 + [100.0]), everything) < 1.2


def _power(rng: np.random.Generator, rate: float, cases: int, runs: int) -> float:
    won = rng.binomial(cases, rate, runs)
    lows = {
        w: bounded_mean_bounds([1.0] * w + [0.0] * (cases - w), alpha=0.025)[0] for w in set(won.tolist())
    }
    return float(np.mean([lows[w] > 0.5 for w in won.tolist()]))


def test_what_is_said_to_be_found_is_found_with_that_power() -> None:
    plan = plan_duel(DUEL, frame(150), {})
    assert plan is not None
    (effect,) = plan.effects
    assert effect.detectable is not None
    assert not effect.from_pilot
    found = _power(np.random.default_rng(6), effect.detectable, 150, 4000)
    # Exact bounds lose a few points against the normal approximation that plans.
    assert 0.74 <= found <= 0.85


def test_too_few_cases_show_nothing_however_good_the_treatment_is() -> None:
    few, enough = plan_duel(DUEL, frame(5), {}), plan_duel(DUEL, frame(6), {})
    assert few is not None
    assert enough is not None
    assert (
        bounded_mean_bounds([1.0] * 5, alpha=0.025)[0] < 0.5 < bounded_mean_bounds([1.0] * 6, alpha=0.025)[0]
    )
    assert few.effects[0].detectable is None
    assert enough.effects[0].detectable is not None


def test_a_pilot_says_how_much_less_spread_there_is(tmp_path: Path) -> None:
    from promptarena.reporting.json import to_json

    path = write_duel(tmp_path, cases=60, new_wins=45, extra="gate: {win_rate: {above: 0.5}}\n")
    readout = run_duel(path)
    (tmp_path / "pilot.json").write_text(to_json(readout))
    pilot = read_pilot(tmp_path / "pilot.json")
    assert pilot == {"win_rate": pytest.approx(np.std([1.0] * 45 + [0.0] * 15, ddof=1))}
    blind, seen = plan_duel(DUEL, frame(60), {}), plan_duel(DUEL, frame(60), {}, {"win_rate": 0.25})
    assert blind is not None
    assert seen is not None
    assert seen.effects[0].from_pilot
    assert seen.effects[0].detectable == pytest.approx(0.5 + 2.8016 * 0.25 / math.sqrt(60), abs=1e-3)
    assert (blind.effects[0].detectable or 0) > (seen.effects[0].detectable or 1)
    assert (
        plan_duel(DUEL, frame(60), {}, {"win_rate": 0.0}) == blind
    )  # all agreed: nothing is known of spread


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"gate": null}', json.dumps({"gate": {"conditions": [{"deviation": "x"}]}})]
)
def test_what_is_no_pilot_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(DataError, match="no duel with a gate"):
        read_pilot(tmp_path / "p.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_pilot(tmp_path / "none.json")
