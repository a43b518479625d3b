"""The gate: its four answers, what is missing, a judge that reads positions, and its error by simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from tests.calibration import Calibration

from promptarena.definitions.duel_readout import Gate, GateStatus
from promptarena.definitions.gate_rule import CheckRule, ConflictRule, GateRule, WinRateRule
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.check_rates import CheckResults
from promptarena.evaluation.conditions import list_conditions
from promptarena.evaluation.gate import decide_gate
from promptarena.evaluation.pairs import JudgedPair
from promptarena.evaluation.recorded import FAILED, MISSING, NOT_APPLICABLE, PASSED
from promptarena.evaluation.scores import AxisScores


def pair(shown_first: list[float], shown_second: list[float] | None = None) -> JudgedPair:
    """Scores of the treatment; NaN is no verdict."""
    forward = np.array(shown_first, dtype=np.float64)
    backward = forward if shown_second is None else np.array(shown_second, dtype=np.float64)
    columns = forward[:, None], backward[:, None]
    return JudgedPair(0, 1, *columns, verdicts=2 * len(forward), unscored=0, repeated=0)


def decide(
    rule: GateRule,
    treatments: list[str],
    pairs: Mapping[str, JudgedPair],
    checks: Mapping[str, CheckResults],
    conflicts: ConflictRule = ConflictRule.TIE,
    axes: Sequence[AxisScores] = (),
    frame: CaseFrame | None = None,
) -> Gate:
    conditions = list_conditions(rule, treatments, "old", pairs, axes, checks, conflicts)
    cases = CaseFrame(ids=[str(number) for number in range(len(conditions[0].scores))])
    return decide_gate(conditions, pairs, frame or cases, conflicts, rule.alpha)


def win_gate(judged: JudgedPair, above: float = 0.5, alpha: float = 0.025) -> Gate:
    rule = GateRule(win_rate=WinRateRule(above=above), alpha=alpha)
    return decide(rule, ["new"], {"new": judged}, {})


def check_gate(new: list[int], old: list[int], **rule: float | str) -> Gate:
    results = {"new": np.array(new, dtype=np.int8), "old": np.array(old, dtype=np.int8)}
    asked = GateRule(checks={"polite": CheckRule.model_validate(rule)})
    return decide(asked, ["new"], {}, {"polite": results})


@pytest.mark.parametrize(
    ("wins", "losses", "missing", "status"),
    [
        (70, 30, 0, GateStatus.PASS),
        (30, 70, 0, GateStatus.FAIL),
        (55, 45, 0, GateStatus.INCONCLUSIVE),
        (1, 0, 0, GateStatus.INCONCLUSIVE),
        (70, 30, 25, GateStatus.INCONCLUSIVE),  # 70 of 125 if all that is missing was lost
        (30, 70, 45, GateStatus.INCONCLUSIVE),  # 75 of 145 if it was won
        (10, 0, 30, GateStatus.INVALID),  # most of the dataset was not judged
        (0, 0, 10, GateStatus.INVALID),
    ],
)
def test_the_win_rate_decides_with_what_is_missing_counted_against(
    wins: int, losses: int, missing: int, status: GateStatus
) -> None:
    found = win_gate(pair([1.0] * wins + [0.0] * losses + [math.nan] * missing))
    assert found.status is status
    assert [condition.status for condition in found.conditions] == [status]
    assert found.reasons == (found.conditions[0].text,)


def test_a_reason_has_its_numbers() -> None:
    # Clopper and Pearson of 70 of 102 below and 72 of 102 above.
    (reason,) = win_gate(pair([1.0] * 70 + [0.0] * 30 + [math.nan] * 2)).reasons
    assert reason == (
        "new wins 70.0% of 100 cases against old (bounds 58.7% and 79.2%, each at error 0.025, 2 missing "
        "counted against it in one and for it in the other), surely more than the 50.0% asked."
    )


def test_a_judge_that_always_says_first_is_invalid_not_inconclusive() -> None:
    found = win_gate(pair([1.0] * 60, [0.0] * 60))
    assert found.status is GateStatus.INVALID
    assert "decides by display position: in 60 of 60 cases" in found.reasons[0]


def test_a_judge_that_often_contradicts_itself_may_still_be_heard() -> None:
    found = win_gate(pair([1.0] * 100, [1.0] * 60 + [0.0] * 40))
    assert found.status is GateStatus.PASS


def one_order(treatment_first: list[float], treatment_second: list[float]) -> JudgedPair:
    """Each case judged in one order only: first those that showed the treatment first."""
    unseen = [math.nan]
    return pair(
        treatment_first + unseen * len(treatment_second), unseen * len(treatment_first) + treatment_second
    )


@pytest.mark.parametrize(
    ("treatment_first", "treatment_second", "told"),
    [
        ([1.0] * 40, [], "of 40 cases 40 showed only new first and 0 only old"),
        ([], [0.0] * 40, "of 40 cases 40 showed only old first and 0 only new"),
        ([1.0] * 36, [0.0] * 4, "of 40 cases 36 showed only new first and 4 only old"),
        ([1.0] * 4, [0.0] * 36, "of 40 cases 36 showed only old first and 4 only new"),
        ([1.0] * 30 + [0.0] * 10, [], "of 40 cases 40 showed only new first and 0 only old"),
        ([1.0, 1.0, 0.0], [], "of 3 cases 3 showed only new first and 0 only old"),
    ],
)
def test_a_display_order_that_tells_who_is_who_is_invalid(
    treatment_first: list[float], treatment_second: list[float], told: str
) -> None:
    found = win_gate(one_order(treatment_first, treatment_second))
    assert found.status is GateStatus.INVALID
    assert found.reasons[0].startswith("Display order is confounded with the variant: " + told)
    assert found.conditions[-1].name == "judge"


def test_few_cases_in_both_orders_do_not_clear_many_in_one() -> None:
    both_forward, both_backward = [1.0] * 15, [0.0] * 15
    judged = pair(both_forward + [1.0] * 25, both_backward + [math.nan] * 25)
    found = win_gate(judged)
    assert found.status is GateStatus.INVALID
    assert any("of 40 cases 25 showed only new first and 0 only old" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    ("wins", "losses", "status"),
    [(70, 30, GateStatus.PASS), (30, 70, GateStatus.FAIL), (50, 50, "inconclusive")],
)
def test_one_order_a_case_decides_where_both_orders_are_about_as_common(
    wins: int, losses: int, status: GateStatus
) -> None:
    outcomes = np.random.default_rng(7).permutation([1.0] * wins + [0.0] * losses).tolist()
    assert win_gate(one_order(outcomes[:45], outcomes[45:])).status == status


def test_a_few_cases_short_of_an_order_leave_a_judgement_in_both_orders_alone() -> None:
    found = win_gate(pair([1.0] * 100, [1.0] * 90 + [math.nan] * 10))
    assert found.status is GateStatus.PASS


@pytest.mark.parametrize("conflicts", list(ConflictRule))
def test_a_judge_of_positions_never_decides_whatever_the_mix_of_orders(conflicts: ConflictRule) -> None:
    rule = GateRule(win_rate=WinRateRule(above=0.5))
    for first in range(31):
        for both in (0, 3, 14, 31):
            forward = [1.0] * both + [1.0] * first + [math.nan] * (30 - first)
            backward = [0.0] * both + [math.nan] * first + [0.0] * (30 - first)
            found = decide(rule, ["new"], {"new": pair(forward, backward)}, {}, conflicts)
            assert found.status in (GateStatus.INVALID, GateStatus.INCONCLUSIVE), (first, both)


def test_orders_drawn_at_random_are_rarely_called_uneven() -> None:
    rng = np.random.default_rng(44)
    runs, invalid = 1000, 0
    for first in rng.binomial(100, 0.5, runs):
        outcomes = (rng.random(100) < 0.7).astype(float).tolist()
        invalid += win_gate(one_order(outcomes[:first], outcomes[first:])).status is GateStatus.INVALID
    assert invalid / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("new", "old", "rule", "status"),
    [
        ([PASSED] * 100, [PASSED] * 100, {"margin": 0.05}, GateStatus.PASS),
        ([PASSED] * 80 + [FAILED] * 20, [PASSED] * 100, {"margin": 0.05}, GateStatus.FAIL),
        ([PASSED] * 96 + [FAILED] * 4, [PASSED] * 100, {"margin": 0.05}, GateStatus.INCONCLUSIVE),
        ([PASSED] * 100, [PASSED] * 100, {"margin": "5%"}, GateStatus.PASS),
        # Half of the control's passes are gone, which is 5 points of the rate.
        ([PASSED] * 50 + [FAILED] * 950, [PASSED] * 100 + [FAILED] * 900, {"margin": 0.1}, GateStatus.PASS),
        ([PASSED] * 50 + [FAILED] * 950, [PASSED] * 100 + [FAILED] * 900, {"margin": "10%"}, GateStatus.FAIL),
        ([PASSED] * 90 + [MISSING] * 10, [PASSED] * 100, {"margin": "5%"}, GateStatus.INCONCLUSIVE),
        ([PASSED] * 100, [PASSED] * 90 + [MISSING] * 10, {"margin": "5%"}, GateStatus.PASS),
        ([PASSED] * 100, [FAILED] * 20 + [PASSED] * 80, {"above": 0.0}, GateStatus.PASS),
        ([PASSED] * 100, [PASSED] * 100, {"above": 0.0}, GateStatus.INCONCLUSIVE),
        ([PASSED] * 100, [FAILED] * 100, {"min": 0.95}, GateStatus.PASS),
        ([PASSED] * 30, [FAILED] * 30, {"min": 0.95}, GateStatus.INCONCLUSIVE),
        ([PASSED] * 50 + [FAILED] * 50, [FAILED] * 100, {"min": 0.95}, GateStatus.FAIL),
        ([PASSED] * 90 + [MISSING] * 10, [PASSED] * 100, {"margin": 0.05}, GateStatus.INCONCLUSIVE),
        ([PASSED] * 100, [PASSED] * 90 + [MISSING] * 10, {"margin": 0.05}, GateStatus.PASS),
        ([PASSED] * 90 + [MISSING] * 10, [PASSED] * 100, {"min": 0.95}, GateStatus.INCONCLUSIVE),
        ([PASSED] * 10 + [MISSING] * 30, [PASSED] * 40, {"margin": 0.05}, GateStatus.INVALID),
        ([MISSING] * 9, [PASSED] * 9, {"min": 0.5}, GateStatus.INVALID),
        (
            [NOT_APPLICABLE] * 900 + [PASSED] * 100,
            [NOT_APPLICABLE] * 900 + [PASSED] * 100,
            {"margin": 0.05},
            "pass",
        ),
    ],
)
def test_checks_decide_by_margin_superiority_or_floor(
    new: list[int], old: list[int], rule: dict[str, float | str], status: GateStatus
) -> None:
    assert check_gate(new, old, **rule).status == status


def test_a_margin_of_a_check_in_per_cent_is_of_the_controls_own_rate() -> None:
    new, old = [PASSED] * 60 + [FAILED] * 40, [PASSED] * 80 + [FAILED] * 20
    [condition] = check_gate(new, old, margin="10%").conditions
    assert condition.value == pytest.approx(0.6 - 0.9 * 0.8)
    assert condition.threshold == 0
    assert condition.text.startswith("check: polite: new differs from 0.9 of the control by -12.0 points")


def test_a_change_exactly_at_a_checks_margin_in_per_cent_seldom_passes() -> None:
    rng, runs, cases = np.random.default_rng(29), 400, 200
    passed = 0
    for _ in range(runs):
        old = rng.random(cases) < 0.8
        new = np.where(rng.random(cases) < 0.5, old & (rng.random(cases) < 0.9), rng.random(cases) < 0.72)
        gate = check_gate(new.astype(int).tolist(), old.astype(int).tolist(), margin="10%")
        passed += gate.status is GateStatus.PASS
    assert passed / runs <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / runs)


def test_all_treatments_must_pass_all_conditions_and_the_worst_is_told_first() -> None:
    rule = GateRule(
        win_rate=WinRateRule(),
        checks={"polite": CheckRule.model_validate({"margin": 0.05}), "all": CheckRule(min=0.5)},
    )
    passed = np.ones(100, dtype=np.int8)
    checks = {
        "polite": {"old": passed, "good": passed, "bad": passed},
        "short": {"old": passed, "good": passed},
    }
    checks["short"]["bad"] = 1 - passed
    judged = {"good": pair([1.0] * 90 + [0.0] * 10), "bad": pair([1.0] * 55 + [0.0] * 45)}
    found = decide(rule, ["good", "bad"], judged, checks)
    assert found.status is GateStatus.FAIL
    assert found.reasons[0].startswith("check: short: bad passes 0.0%")
    assert found.reasons[1].startswith("bad wins 55.0%")
    assert [(each.variant, each.name, each.status.value) for each in found.conditions] == [
        ("good", "win_rate", "pass"),
        ("good", "check: polite", "pass"),
        ("good", "check: short", "pass"),
        ("bad", "win_rate", "inconclusive"),
        ("bad", "check: polite", "pass"),
        ("bad", "check: short", "fail"),
    ]


def _passes(rng: np.random.Generator, runs: int, cases: int, rate: float, ties: float, bias: float) -> float:
    """Share of simulated duels that pass; cases have a true order, and the judge errs towards the first."""
    passed = 0
    chances = [rate - ties / 2, ties, 1 - rate - ties / 2]
    for _ in range(runs):
        truth = rng.choice([1.0, 0.5, 0.0], cases, p=chances)
        forward = np.where(rng.random(cases) < bias, 1.0, truth)
        backward = np.where(rng.random(cases) < bias, 0.0, truth)
        passed += win_gate(pair(forward.tolist(), backward.tolist())).status is GateStatus.PASS
    return passed / runs


@pytest.mark.parametrize(("ties", "bias"), [(0.0, 0.0), (0.3, 0.0), (0.1, 0.3)])
def test_no_better_treatment_passes_more_often_than_declared(ties: float, bias: float) -> None:
    runs = 1200
    found = _passes(np.random.default_rng(41), runs, 60, rate=0.5, ties=ties, bias=bias)
    assert found <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / runs)


def test_a_better_treatment_passes_mostly() -> None:
    # Normal approximation without ties: 200 cases at .65 have power .99 at one-sided .025.
    assert _passes(np.random.default_rng(42), 300, 200, rate=0.65, ties=0.0, bias=0.0) > 0.96


@pytest.mark.slow
@pytest.mark.parametrize("cases", [20, 60, 200])
@pytest.mark.parametrize(("ties", "bias"), [(0.0, 0.0), (0.2, 0.0), (0.5, 0.0), (0.1, 0.2), (0.0, 0.4)])
def test_the_error_is_as_declared_at_sizes_that_matter(
    cases: int, ties: float, bias: float, calibration: Calibration
) -> None:
    runs = 4_000
    found = _passes(np.random.default_rng(43), runs, cases, rate=0.5, ties=ties, bias=bias)
    calibration.record(
        "The offline gate on a win rate of one half",
        f"{cases} cases, ties {ties:g}, position bias {bias:g}",
        "passes",
        nominal=0.025,
        observed=found,
        runs=runs,
        seed=43,
        bound="at most",
    )
    assert found <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / runs)
