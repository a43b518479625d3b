"""Always-valid evidence of a preference: equal to its definition, and right however often one looks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.calibration import Calibration

from promptarena.stats.interleaved_evidence import interleaved_log_e_value, preference_sequence
from promptarena.stats.interleaved_preference import ListOutcome, team_draft_outcome
from promptarena.stats.interleaving import team_draft

outcomes = st.builds(
    ListOutcome, st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.05, 0.6), st.floats(0.05, 0.35)
)


@given(found=st.lists(outcomes, max_size=30))
def test_evidence_is_the_mean_wealth_over_stakes(found: list[ListOutcome]) -> None:
    stakes = [sign * 2 ** (-k / 2) for k in range(1, 17) for sign in (1, -1)]
    wealth = [math.prod(1 + stake * (o.score - o.expected) for o in found) for stake in stakes]
    assert math.exp(interleaved_log_e_value(found)) == pytest.approx(sum(wealth) / len(wealth), rel=1e-9)
    assert interleaved_log_e_value(found[::-1]) == pytest.approx(interleaved_log_e_value(found), abs=1e-9)


@given(win=st.floats(0.05, 0.6), tie=st.floats(0.05, 0.35), before=st.lists(outcomes, max_size=5))
def test_a_list_adds_nothing_on_average_without_a_preference(
    win: float, tie: float, before: list[ListOutcome]
) -> None:
    chances = {1.0: win, 0.5: tie, 0.0: 1 - win - tie}
    after = sum(
        chance * math.exp(interleaved_log_e_value([*before, ListOutcome(score, win, tie)]))
        for score, chance in chances.items()
    )
    assert after == pytest.approx(math.exp(interleaved_log_e_value(before)), rel=1e-9)


def test_turning_the_rankings_round_turns_the_interval_round() -> None:
    rng = np.random.default_rng(1)
    found = [ListOutcome(float(rng.random() < 0.6), 0.5, 0.0) for _ in range(400)]
    turned = [ListOutcome(1 - o.score, 1 - o.win - o.tie, o.tie) for o in found]
    one, other = preference_sequence(found), preference_sequence(turned)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.low is not None
    assert one.high is not None
    assert other.low == pytest.approx(-one.high)
    assert other.high == pytest.approx(-one.low)


def test_lists_of_one_query_are_no_evidence_of_their_own() -> None:
    rng = np.random.default_rng(2)
    taste = rng.random(150) < 0.6
    found = [ListOutcome(float(likes), 0.5, 0.0) for likes in taste for _ in range(20)]
    queries = np.repeat(np.arange(150), 20)
    alone, together = preference_sequence(found), preference_sequence(found, clusters=queries)
    widths = [
        each.high - each.low for each in (alone, together) if each.high is not None and each.low is not None
    ]
    assert widths[1] > 3 * widths[0]
    few = preference_sequence(found[:1000], clusters=queries[:1000])
    assert (few.low, few.high) == (None, None)


def test_lists_that_say_nothing_are_no_evidence() -> None:
    with pytest.raises(ValueError, match="no list was clicked"):
        preference_sequence([None, ListOutcome(1.0, 1.0, 0.0)])
    with pytest.raises(ValueError, match="one cluster"):
        preference_sequence([ListOutcome(1.0, 0.5, 0.0)], clusters=[1, 2])


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), [([1, 2, 3, 4, 5], [6]), ([1, 2, 3, 4], [3, 5, 1, 6])])
def test_whoever_looks_after_every_list_errs_as_seldom_as_declared(
    a: list[int], b: list[int], calibration: Calibration
) -> None:
    trials, seed = 1000, 3
    rng, wrong = np.random.default_rng(seed), 0
    for _ in range(trials):
        found = []
        for _ in range(300):
            shown = team_draft(a, b, 5, rng)
            clicked = [i for i in range(len(shown.items)) if rng.random() < 0.5 / (1 + i)]
            if (outcome := team_draft_outcome(a, b, shown, clicked)) is not None:
                found.append(outcome)
        ever = max(interleaved_log_e_value(found[:n]) for n in range(5, len(found), 5))
        wrong += ever >= math.log(20)
    assert calibration.record(
        "Interleaving", f"clicks by position, {len(a)} against {len(b)} items, looked at every fifth list",
        "type I error", nominal=0.05, bound="at most", observed=wrong / trials, runs=trials, seed=seed,
    ).kept  # fmt: skip


@pytest.mark.slow
def test_the_interval_covers_at_every_look(calibration: Calibration) -> None:
    trials, seed, lean = 1000, 4, 0.08
    rng, missed, seen = np.random.default_rng(seed), 0, 0
    for _ in range(trials):
        taste = rng.normal(0, 0.1, 600).clip(-0.25, 0.25)
        users = np.repeat(np.arange(600), 3)
        scores = rng.random(1800) < 0.5 + lean + taste[users]
        found = [ListOutcome(float(score), 0.5, 0.0) for score in scores]
        looks = [preference_sequence(found[: 3 * n], clusters=users[: 3 * n]) for n in range(100, 601, 50)]
        missed += any(each.low is not None and not each.low <= lean <= (each.high or 1) for each in looks)
        seen += looks[-1].p_value <= 0.05
    assert calibration.record(
        "Interleaving", "600 users of three lists, preference of 8 points, 11 looks", "coverage at all looks",
        nominal=0.95, bound="at least", observed=1 - missed / trials, runs=trials, seed=seed,
    ).kept  # fmt: skip
    assert seen / trials > 0.9
