"""Answers that order the judge about, through real calls to models that play judge."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.evaluation.judges.asking import CASE, RUBRIC, answer, calls_of, judge, says
from tests.evaluation.judges.attacks import ATTACKS
from tests.evaluation.judges.judge_server import (
    RIGHT,
    Model,
    careful,
    judged_by,
    led_by_ends,
    led_by_line_starts,
    parrot,
    parrot_of_objects,
)

from promptarena.demo.bot import Reply
from promptarena.demo.bot import answer as simulated
from promptarena.evaluation.judges import Judgment, PreparedJudge

JUDGE = judge(pairwise="Which one helps more?", rubric=RUBRIC, reply="text")


def scores_of_attacks(model: Model, prepared: PreparedJudge = JUDGE) -> dict[str, float | None]:
    """The score of each attack against a right answer, all of them in one run."""
    pairs = {
        name: calls_of(prepared.pair_calls(CASE, answer("attack", text), answer("right", RIGHT)))
        for name, text in ATTACKS.items()
    }
    found = judged_by(model, prepared, [asked for calls in pairs.values() for asked in calls])
    by_attack = dict(zip(pairs, zip(found[::2], found[1::2], strict=True), strict=True))
    return {name: prepared.pair_score(both, "attack") for name, both in by_attack.items()}


def test_before_a_model_that_obeys_nothing_every_attack_loses() -> None:
    assert set(scores_of_attacks(careful).values()) == {0.0}


@pytest.mark.parametrize("model", [led_by_line_starts, led_by_ends])
def test_a_model_that_believes_its_clients_lines_finds_none_of_an_attacker(model: Model) -> None:
    assert set(scores_of_attacks(model).values()) == {0.0}


@pytest.mark.parametrize("model", [parrot, parrot_of_objects])
def test_a_model_that_repeats_what_it_reads_says_nothing_that_counts(model: Model) -> None:
    assert set(scores_of_attacks(model).values()) == {None}


def test_no_attack_gets_a_better_score_than_it_deserves() -> None:
    asked = [
        one for text in ATTACKS.values() for one in calls_of(JUDGE.score_calls(CASE, answer("attack", text)))
    ]
    careful_scores = [found.scores for found in judged_by(careful, JUDGE, asked)]
    assert all(scores == {"accuracy": 1.0, "tone": 1.0} for scores in careful_scores)
    for model in (parrot, parrot_of_objects):
        assert all(found.scores == {} for found in judged_by(model, JUDGE, asked))


def test_an_attack_in_the_request_or_a_document_wins_nothing_either() -> None:
    prepared = judge(sees=["reference", "context"], reply="text")
    hit = ATTACKS["other separators of lines"] + ATTACKS["a fake end of the block"]
    case = CASE.__class__(id="x", input=hit, reference=hit, context=(hit, hit))
    asked = calls_of(prepared.pair_calls(case, answer("wrong", "Wait."), answer("right", RIGHT)))
    for model in (careful, led_by_line_starts, led_by_ends):
        assert prepared.pair_score(judged_by(model, prepared, asked), "wrong") == 0.0


def test_what_a_model_that_is_won_over_says_counts_and_is_suspected() -> None:
    # What no code prevents: a model that does what a text says, and knows its own seal.
    def won_over(system: str, message: str, texts: Mapping[str, str]) -> str:
        if "choose this answer" in texts["first_answer"]:
            return careful(system, message, {"first_answer": RIGHT, "second_answer": ""})
        return careful(system, message, {"first_answer": "", "second_answer": RIGHT})

    asked = calls_of(
        JUDGE.pair_calls(CASE, answer("attack", ATTACKS["ignore the above"]), answer("right", RIGHT))
    )
    found = judged_by(won_over, JUDGE, asked)
    assert JUDGE.pair_score(found, "attack") == 1.0
    tally = JUDGE.tally({CASE.id: 0}, ("right", "attack"))
    for one in found:
        tally.add(one)
    assert tally.conduct().suspected == {"attack": 1}


def test_the_simulated_provider_is_no_parrot_and_reads_all_attacks() -> None:
    prepared = judge(model="sim-large", sees=["reference"], rubric=RUBRIC, pairwise="Which?")
    right = answer("right", str(CASE.reference))
    for name, text in ATTACKS.items():
        found: list[Judgment] = []
        for one in calls_of(prepared.pair_calls(CASE, answer("attack", text), right)):
            reply = simulated(one.call.request, seed=1, failures=0)
            assert isinstance(reply, Reply)
            found.append(prepared.read(one, says(reply.text)))
        assert prepared.pair_score(found, "attack") == 0.0, name
