"""Rubric scores: the worked table, clusters, repeats, weights, the gate by axis, and its error by simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Calibration

from promptarena.definitions.duel_readout import Gate, GateStatus
from promptarena.definitions.gate_rule import ConflictRule, GateRule
from promptarena.definitions.readout import Interval
from promptarena.definitions.recorded_judge import RecordedScores
from promptarena.errors import DataError
from promptarena.evaluation.axes import axis_readout
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.conditions import list_conditions
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.duel import run_duel
from promptarena.evaluation.gate import decide_gate
from promptarena.evaluation.recorded_scores import load_scores
from promptarena.evaluation.scores import AxisScores

Scores = NDArray[np.float64]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def frame(cases: int, clusters: list[int] | None = None, weights: list[float] | None = None) -> CaseFrame:
    return CaseFrame(
        ids=[str(number) for number in range(cases)],
        clusters=None if clusters is None else np.array(clusters, dtype=np.intp),
        weights=None if weights is None else np.array(weights),
    )


def axis(old: Scores | list[float], new: Scores | list[float], name: str = "accuracy") -> AxisScores:
    """Shape (cases,) or (cases, repeats); NaN is unscored."""
    columns = {"old": np.array(old, dtype=np.float64), "new": np.array(new, dtype=np.float64)}
    values = {who: each[:, None] if each.ndim == 1 else each for who, each in columns.items()}
    return AxisScores(name, 1.0, 5.0, values, {who: ~np.isnan(each) for who, each in values.items()})


def gate(scores: AxisScores, rule: Mapping[str, object], cases: CaseFrame | None = None) -> Gate:
    asked = GateRule.model_validate({"axes": {"accuracy": rule}})
    conditions = list_conditions(asked, ["new"], "old", {}, [scores], {}, ConflictRule.TIE)
    return decide_gate(
        conditions, {}, cases or frame(len(scores.values["old"])), ConflictRule.TIE, asked.alpha
    )


def test_the_worked_rubric_table_comes_out() -> None:
    found = run_duel(EXAMPLES / "worked-rubric" / "duel.yaml")
    means = {each.name: (each.means["control"].mean, each.means["treatment"].mean) for each in found.axes}
    assert means == {
        "accuracy": (3.4, 4.2),
        "helpfulness": (3.2, 4.2),
        "cites_policy": (1.0, 4.8),
    }
    (pair,) = found.pairs
    assert (found.cases, pair.win_rate, pair.wins, pair.ties) == (5, 0.9, 4, 1)
    assert pair.interval == pytest.approx((0.511, 0.988), abs=1e-3)
    assert found.axes[0].differences["treatment"].interval == pytest.approx((0.2447, 1.3553), abs=1e-4)
    assert found.gate is not None
    assert found.gate.status is GateStatus.INCONCLUSIVE, "five questions prove little"


def test_differences_are_paired_and_intervals_are_students() -> None:
    found = axis_readout(axis([1, 2, 3, 4], [2, 2, 5, 4]), frame(4), "old", 0.95).differences["new"]
    assert (found.difference, found.better, found.worse, found.missing) == (0.75, 2, 0, 0)
    half = 3.182446 * math.sqrt(np.var([1, 0, 2, 0], ddof=1) / 4)
    assert found.interval == pytest.approx((0.75 - half, 0.75 + half), abs=1e-5)


def test_what_is_unscored_is_left_out_counted_and_never_the_lowest_level() -> None:
    scores = axis([3, 3, 3, math.nan], [4, math.nan, 5, 5])
    found = axis_readout(scores, frame(4), "old", 0.95)
    assert found.means["new"].mean == pytest.approx(14 / 3)
    assert (found.means["new"].unscored, found.means["new"].cases) == (1, 3)
    apart = found.differences["new"]
    assert (apart.difference, apart.cases, apart.missing) == (1.5, 2, 2)


def test_repeats_are_averaged_and_never_count_as_cases() -> None:
    rng = np.random.default_rng(1)
    cases = rng.normal(3, 0.5, 200)
    old = cases[:, None] + rng.normal(0, 0.4, (200, 3))
    new = cases[:, None] + 0.2 + rng.normal(0, 0.3, (200, 4))
    found = axis_readout(axis(old, new), frame(200), "old", 0.95).differences["new"]
    single = axis_readout(axis(old.mean(axis=1), new.mean(axis=1)), frame(200), "old", 0.95).differences[
        "new"
    ]
    assert found.interval == pytest.approx(single.interval)
    assert found.repeat_variance == pytest.approx(0.4**2 + 0.3**2, rel=0.15)
    assert found.between_variance == pytest.approx(0.0, abs=0.02)
    assert (single.repeat_variance, single.between_variance) == (None, None)


def test_cases_of_one_conversation_are_one_cluster() -> None:
    old, new = np.full(8, 3.0), np.array([5, 5, 5, 5, 3, 3, 4, 4.0])
    alone = axis_readout(axis(old, new), frame(8), "old", 0.95).differences["new"]
    together = axis_readout(axis(old, new), frame(8, [0, 0, 0, 0, 1, 1, 2, 2]), "old", 0.95).differences[
        "new"
    ]
    assert width(together.interval) > 1.5 * width(alone.interval)


def width(interval: Interval | None) -> float:
    assert interval is not None
    low, high = interval
    assert low is not None
    assert high is not None
    return high - low


def test_a_heavier_case_counts_for_more() -> None:
    found = axis_readout(axis([3, 3], [5, 3]), frame(2, weights=[3.0, 1.0]), "old", 0.95)
    assert found.differences["new"].difference == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("new", "rule", "status"),
    [
        ([3.0] * 300, {"margin": 0.1}, "pass"),
        ([3.0] * 30, {"margin": 0.1}, "inconclusive"),
        ([2.0] * 60, {"margin": 0.1}, "fail"),
        ([4.0] * 60, {"above": 0.5}, "pass"),
        ([3.0] * 60, {"above": 0.5}, "fail"),
        ([4.0] * 60, {"min": 3.5}, "pass"),
        ([3.0] * 60, {"min": 3.5}, "fail"),
        ([3.0] * 300, {"margin": "4%"}, "pass"),
        ([2.8] * 300, {"margin": "4%"}, "fail"),
        ([4.0] * 60 + [math.nan] * 30, {"above": 0.5}, "inconclusive"),
        ([4.0] * 10 + [math.nan] * 30, {"above": 0.5}, "invalid"),
        ([math.nan] * 9, {"margin": 0.1}, "invalid"),
    ],
)
def test_axes_decide_by_margin_superiority_or_floor(
    new: list[float], rule: dict[str, object], status: str
) -> None:
    assert gate(axis([3.0] * len(new), new), rule).status == status


def test_a_reason_has_its_numbers_in_levels() -> None:
    (reason,) = gate(axis([3.0] * 300, [3.0] * 300), {"margin": 0.1}).reasons
    assert reason.startswith(
        "axis: accuracy: new differs from the control by +0.00 levels over 300 cases (bounds "
    )
    assert reason.endswith("which shows a difference above -0.1 levels.")


def test_a_floor_does_not_ask_whether_the_control_was_scored() -> None:
    assert gate(axis([math.nan] * 60, [4.0] * 60), {"min": 3.5}).status is GateStatus.PASS


@given(
    drawn=st.lists(
        st.tuples(*[st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, math.nan])] * 2), min_size=1, max_size=20
    ),
    rule=st.sampled_from([{"margin": 0.2}, {"above": 0.1}, {"min": 3.0}, {"margin": "5%"}]),
)
@example(drawn=[(1.0, 5.0), (2.0, math.nan)], rule={"margin": 0.2})  # what is missing is 3 levels at most
def test_bounds_hold_the_estimate_whatever_is_missing(
    drawn: list[tuple[float, float]], rule: dict[str, object]
) -> None:
    old, new = zip(*drawn, strict=True)
    (condition,) = gate(axis(list(old), list(new)), rule).conditions
    if condition.value is not None:
        assert condition.low is not None
        assert condition.high is not None
        known = [b - a for a, b in drawn if not math.isnan(a) and not math.isnan(b)]
        if rule == {"margin": 0.2}:
            assert condition.value == pytest.approx(np.mean(known))
        assert condition.low <= condition.value + 1e-9
        assert condition.high >= condition.value - 1e-9


def test_an_axis_that_was_not_scored_is_told() -> None:
    asked = GateRule.model_validate({"axes": {"acuracy": {"margin": 0.1}}})
    with pytest.raises(DataError, match=r"axis `acuracy`, which was not scored; scored axes: `accuracy`"):
        list_conditions(asked, ["new"], "old", {}, [axis([3], [3])], {}, ConflictRule.TIE)


def _passes(rng: np.random.Generator, runs: int, cases: int, drop: float, fall: float) -> float:
    """Share of gates that pass at a true difference of exactly the margin, by rare falls of some levels."""
    passed, margin = 0, drop * fall
    for _ in range(runs):
        old = np.full(cases, 5.0)
        new = np.where(rng.random(cases) < drop, 5.0 - fall, 5.0)
        passed += gate(axis(old, new), {"margin": margin}).status is GateStatus.PASS
    return passed / runs


@pytest.mark.parametrize(("drop", "fall"), [(0.1, 1.0), (0.02, 4.0), (0.4, 2.0)])
def test_a_treatment_at_its_margin_passes_no_more_often_than_declared(drop: float, fall: float) -> None:
    assert _passes(np.random.default_rng(2), 300, 80, drop, fall) <= 0.025 + 2 * math.sqrt(
        0.025 * 0.975 / 300
    )


@pytest.mark.slow
@pytest.mark.parametrize("cases", [60, 200])
@pytest.mark.parametrize(("drop", "fall"), [(0.1, 1.0), (0.015, 4.0), (0.4, 2.0)])
def test_calibration_of_gates_by_axis(cases: int, drop: float, fall: float, calibration: Calibration) -> None:
    runs = 2000
    assert calibration.record(
        "Gate by axis: non-inferiority", f"{cases} cases, {drop:.1%} fall by {fall:g} of 4 levels",
        "passes at its margin", nominal=0.025, bound="at most", runs=runs, seed=3,
        observed=_passes(np.random.default_rng(3), runs, cases, drop, fall),
    ).kept  # fmt: skip


def load(folder: Path, content: str, **declared: object) -> tuple[AxisScores, ...]:
    (folder / "s.csv").write_text(content, encoding="utf-8")
    problems = DataProblems()
    source = RecordedScores.model_validate({"file": "s.csv", **declared})
    cases = Dataset(folder / "golden.jsonl", {"1": 0, "2": 1}, {})
    found = load_scores(source, folder, cases, ["old", "new"], problems)
    problems.raise_any()
    return found


def test_scores_are_read_by_axis_variant_and_repeat(tmp_path: Path) -> None:
    content = "id,variant,axis,score,repeat\n1,old,tone,4,0\n1,old,tone,2,1\n2,new,tone,,0\n1,new,care,n/a,0\n2,new,care,5,0\n"
    tone, care = load(tmp_path, content)
    assert (tone.axis, care.axis, tone.low, tone.high) == ("tone", "care", 1.0, 5.0)
    assert tone.known("old")[0].tolist() == [4.0, 2.0]
    assert tone.means("old")[0] == 3.0
    assert (tone.unscored("new"), tone.unscored("old")) == (1, 0)
    assert care.unscored("new") == 1
    assert not care.scored["new"][0, 0]


@pytest.mark.parametrize(
    ("content", "declared", "told"),
    [
        ("id,variant,axis,score\n1,old,tone,6\n", {}, "score 6 is off the scale of 1 to 5"),
        ("id,variant,axis,score\n1,old,tone,4\n1,old,tone,5\n", {}, "scored twice on this axis; the first is on line 2"),
        ("id,variant,axis,score\n1,oldd,tone,4\n", {}, "no variant 'oldd'.*Did you mean `old`"),
        ("id,variant,axis,score\n1,old,,4\n", {}, "The axis is missing"),
        ("id,variant,axis,score\n9,old,tone,4\n", {}, "'9' is not in the dataset"),
        ("id,variant,axis,score\n1,old,tone,good\n", {}, "Most scores are no numbers; found: `good`"),
        ("id,variant,axis,score,repeat\n1,old,tone,4,x\n", {}, "A repeat is a whole number"),
        ("id,variant,score\n1,old,4\n", {}, "There is no column 'axis'"),
    ],
)  # fmt: skip
def test_bad_scores_are_told_with_their_line(
    tmp_path: Path, content: str, declared: dict[str, object], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        load(tmp_path, content, **declared)


def test_a_scale_of_ones_own_is_declared(tmp_path: Path) -> None:
    (found,) = load(tmp_path, "id,variant,axis,score\n1,old,tone,0.5\n", scale=[0, 1])
    assert (found.low, found.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="1 is not below 1"):
        RecordedScores.model_validate({"file": "s.csv", "scale": [1, 1]})


@pytest.mark.parametrize("margin", ["100%", "200%"])
def test_a_margin_that_allows_everything_is_refused(margin: str) -> None:
    with pytest.raises(ValueError, match="allows every score there is"):
        GateRule.model_validate({"axes": {"accuracy": {"margin": margin}}})
