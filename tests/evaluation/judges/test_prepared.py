"""Which calls a judge asks for, and what it reads from their completions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluation.judges.asking import (
    CASE,
    RUBRIC,
    answer,
    calls_of,
    judge,
    message_of,
    pair,
    says,
    says_object,
    shown,
    tokens_of,
)

from promptarena.definitions.content_hash import content_hash
from promptarena.evaluation.judges import PREFERENCE, JudgedCase, Judgment, PreparedJudge, Task
from promptarena.evaluation.judges.prepared import LONGEST_TEXT
from promptarena.evaluation.judges.token_weights import number_places


def test_a_pair_is_asked_about_in_both_orders() -> None:
    first, second = pair(judge(), "Wait.", "After ten days.")
    assert (first.subject.variant, first.subject.against) == ("control", "treatment")
    assert (second.subject.variant, second.subject.against) == ("treatment", "control")
    assert (shown(first)["first_answer"], shown(first)["second_answer"]) == ("| Wait.", "| After ten days.")
    assert (shown(second)["first_answer"], shown(second)["second_answer"]) == ("| After ten days.", "| Wait.")
    assert first.call.request["messages"][0] == second.call.request["messages"][0]


def test_a_request_holds_what_the_definition_says_and_nothing_else() -> None:
    [asked] = calls_of(
        judge(rubric=RUBRIC, top_p=0.9, seed=7, params={"user": "x"}).score_calls(
            CASE, answer("control", "a")
        )
    )
    request = dict(asked.call.request)
    assert [message["role"] for message in request.pop("messages")] == ["system", "user"]
    assert request.pop("response_format")["type"] == "json_schema"
    assert request == {"model": "gpt-4o", "temperature": 0.0, "top_p": 0.9, "seed": 7, "user": "x"}
    assert (asked.call.provider, asked.call.purpose, asked.call.repeat) == ("openai", "judge", 0)


def test_a_setting_that_is_null_is_not_sent() -> None:
    assert "temperature" not in pair(judge(temperature=None))[0].call.request


@pytest.mark.parametrize(
    ("verdict", "score"),
    [("first", 1.0), ("second", 0.0), ("tie", 0.5), (" First ", 1.0), ("TIE", 0.5)],
)
def test_a_verdict_is_a_score_of_the_answer_shown_first(verdict: str, score: float) -> None:
    prepared = judge()
    asked = pair(prepared)[0]
    found = prepared.read(asked, says_object(asked, rationale=" It helps. ", verdict=verdict))
    assert found == Judgment(subject=asked.subject, scores={PREFERENCE: score}, rationale="It helps.")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"verdict": "A"}, "a verdict that was not offered"),
        ({"verdict": "first or second"}, "a verdict that was not offered"),
        ({"verdict": 1}, "a verdict that was not offered"),
        ({"verdict": "cannot tell"}, "a verdict that was not offered"),
        ({"rationale": "so so"}, "no verdict"),
    ],
)
def test_what_is_no_verdict_is_unscored_and_never_a_loss(said: dict[str, Any], reason: str) -> None:
    prepared = judge()
    asked = pair(prepared)[0]
    found = prepared.read(asked, says_object(asked, **said))
    assert (found.scores, found.unscored) == ({}, {PREFERENCE: reason})


def test_a_tie_counts_only_where_it_was_offered() -> None:
    prepared = judge(pairwise={"criteria": "Which?", "ties": False})
    asked = pair(prepared)[0]
    assert '"tie"' not in asked.call.request["messages"][0]["content"]
    assert prepared.read(asked, says_object(asked, verdict="tie")).scores == {}


def test_a_judge_may_abstain_only_where_it_was_offered() -> None:
    prepared = judge(abstain=True, pairwise="Which?", rubric=RUBRIC)
    asked = pair(prepared)[0]
    found = prepared.read(asked, says_object(asked, verdict="cannot tell"))
    assert found.unscored == {PREFERENCE: "abstained"}
    [scoring] = calls_of(prepared.score_calls(CASE, answer("control", "a")))
    axes = {"accuracy": {"rationale": "?", "score": None}, "tone": {"rationale": "!", "score": 5}}
    found = prepared.read(scoring, says_object(scoring, axes=axes))
    assert (found.scores, found.unscored) == ({"tone": 5.0}, {"accuracy": "abstained"})


@pytest.mark.parametrize(
    ("said", "scores", "unscored"),
    [
        ({"accuracy": {"score": 4}, "tone": {"score": 1}}, {"accuracy": 4.0, "tone": 1.0}, {}),
        ({"accuracy": {"score": "4"}, "tone": {"score": 5.0}}, {"accuracy": 4.0, "tone": 5.0}, {}),
        ({"accuracy": 3, "tone": {"score": 2}, "wit": {"score": 9}}, {"accuracy": 3.0, "tone": 2.0}, {}),
        ({"accuracy": {"score": 4}}, {"accuracy": 4.0}, {"tone": "no score"}),
        (
            {"accuracy": {"score": 0}, "tone": {"score": 6}},
            {},
            dict.fromkeys(RUBRIC, "a score off its scale"),
        ),
        ({"accuracy": {"score": 3.5}, "tone": {"score": None}}, {}, dict.fromkeys(RUBRIC, "no score")),
        ({"accuracy": {"score": True}, "tone": {"score": "five"}}, {}, dict.fromkeys(RUBRIC, "no score")),
        ({"accuracy": {"score": 1e400}, "tone": []}, {}, dict.fromkeys(RUBRIC, "no score")),
    ],
)
def test_each_axis_is_read_for_itself(
    said: dict[str, Any], scores: dict[str, float], unscored: dict[str, str]
) -> None:
    prepared = judge(rubric=RUBRIC)
    [asked] = calls_of(prepared.score_calls(CASE, answer("control", "a")))
    found = prepared.read(
        asked, says(json.dumps({"seal": asked.seal, "axes": said}).replace("Infinity", "1e400"))
    )
    assert (found.scores, found.unscored) == (scores, unscored)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.integers()
        | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "axes",
                        "accuracy",
                        "tone",
                        "score",
                        "rationale",
                        "verdict",
                        "statements",
                        "documents",
                        "document",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
@settings(max_examples=200)
def test_whatever_a_judge_says_every_axis_is_scored_or_unscored(value: Any) -> None:
    prepared = judge(pairwise="Which?", rubric=RUBRIC, metrics=["faithfulness", "context-precision"])
    fields = (
        value
        if isinstance(value, dict)
        else {"verdict": value, "axes": value, "statements": value, "documents": value}
    )
    for asked in (*pair(prepared)[:1], *calls_of(prepared.score_calls(CASE, answer("control", "a")))):
        found = prepared.read(asked, says_object(asked, **fields))
        names = {axis.name: axis for axis in prepared.axes}
        wanted = {
            Task.PAIRWISE: {PREFERENCE},
            Task.RUBRIC: set(RUBRIC),
        }.get(asked.subject.task, {asked.subject.task.value})
        assert found.scores.keys() | found.unscored.keys() == wanted
        assert not found.scores.keys() & found.unscored.keys()
        for name, score in found.scores.items():
            low, high = (0, 1) if name == PREFERENCE else (names[name].low, names[name].high)
            assert low <= score <= high


def test_a_rationale_is_kept_and_cut_where_it_is_endless() -> None:
    prepared = judge()
    asked = pair(prepared)[0]
    found = prepared.read(asked, says_object(asked, verdict="tie", rationale="x" * 10_000 + "\ud800"))
    assert found.rationale == "x" * 4000


def test_a_call_that_failed_is_unscored_on_all_its_axes() -> None:
    prepared = judge(rubric=RUBRIC)
    [asked] = calls_of(prepared.score_calls(CASE, answer("control", "a")))
    assert prepared.failed(asked, "429").unscored == dict.fromkeys(RUBRIC, "no answer: 429")


def test_texts_beyond_all_measure_are_not_sent_and_counted() -> None:
    prepared = judge(pairwise="Which?", rubric=RUBRIC)
    long = answer("control", "x" * LONGEST_TEXT)
    asked = prepared.pair_calls(CASE, long, answer("treatment", "short"))
    assert all(isinstance(one, Judgment) and "too long" in one.unscored[PREFERENCE] for one in asked)
    assert len(asked) == 2
    assert len(calls_of(prepared.score_calls(CASE, answer("treatment", "short")))) == 1


def test_two_answers_of_the_same_text_are_a_tie_for_which_nobody_is_asked() -> None:
    prepared = judge(repeat={"times": 2, "share": 1.0}, panel=[{"model": "a"}, {"model": "b"}])
    found = prepared.pair_calls(CASE, answer("control", "Wait."), answer("treatment", "Wait."))
    judgments = [one for one in found if isinstance(one, Judgment)]
    assert len(judgments) == len(found) == 4
    assert prepared.pair_score(judgments, "treatment") == 0.5


def test_a_pair_is_held_to_the_same_documents_whatever_each_retrieved() -> None:
    prepared = judge(sees=["context"])
    one, other = answer("a", "x", context=("mine",)), answer("b", "y", context=("yours",))
    for asked in calls_of(prepared.pair_calls(CASE, one, other)):
        assert shown(asked)["document_1"] == f"| {CASE.context[0]}"
    [scoring] = calls_of(judge(sees=["context"], rubric=RUBRIC).score_calls(CASE, one))
    assert shown(scoring)["document_1"] == "| mine"


# Weighed scores


def weighed(odds: dict[str, float], logprobs: bool = True) -> Judgment:
    prepared = judge(rubric=RUBRIC, scoring="g-eval")
    [asked] = calls_of(prepared.score_calls(CASE, answer("control", "a")))
    assert (asked.call.request["logprobs"], asked.call.request["top_logprobs"]) == (True, 20)
    axes = {name: {"rationale": "r", "score": 4} for name in RUBRIC}
    body = json.dumps({"seal": asked.seal, "axes": axes})
    place = number_places(body, ("axes", "tone", "score"))
    assert place is not None
    text = f"```json\n{body}\n```"
    place = (place[0] + 8, place[1] + 8)
    return prepared.read(asked, says(text, logprobs=tokens_of(text, place, odds) if logprobs else None))


def test_a_score_is_weighted_where_the_provider_gives_probabilities() -> None:
    found = weighed({"4": 0.75, "5": 0.25})
    assert found.scores["tone"] == pytest.approx(4.25)
    assert found.scores["accuracy"] == 4.0  # its token had no alternatives: all of it is on 4
    assert set(found.weighted) == {"tone", "accuracy"}


def test_without_probabilities_the_score_is_as_written_and_that_is_known() -> None:
    found = weighed({}, logprobs=False)
    assert (found.scores, found.weighted) == ({"accuracy": 4.0, "tone": 4.0}, ())


# The configuration


SAME: dict[str, Any] = {"pairwise": "Which?", "rubric": RUBRIC}


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "gpt-4o-mini"},
        {"provider": "other"},
        {"temperature": 0.5},
        {"params": {"user": "x"}},
        {"pairwise": "Which one?"},
        {"pairwise": {"criteria": "Which?", "ties": False}},
        {"rubric": RUBRIC | {"tone": {"question": "Is it friendly?", "levels": {1: "Rude.", 5: "Kind."}}}},
        {"sees": ["reference"]},
        {"abstain": True},
        {"reply": "text"},
        {"scoring": "g-eval"},
        {"metrics": ["faithfulness"]},
        {"prompts": {"pairwise": "Compare by {{ criteria }}"}},
        {"panel": [{"model": "gpt-4o"}, {"model": "gpt-4o"}]},
        {"panel": {"members": [{"model": "gpt-4o"}, {"model": "gpt-4o"}], "min_votes": 1}},
        {"panel": {"members": [{"model": "gpt-4o"}, {"model": "gpt-4o"}], "scores": "median"}},
    ],
)
def test_whatever_a_judgment_depends_on_changes_the_hash(changed: dict[str, Any]) -> None:
    assert judge(**SAME | changed).hash != judge(**SAME).hash


def test_what_a_judgment_does_not_depend_on_does_not_change_the_hash() -> None:
    assert judge(**SAME, repeat=3).hash == judge(**SAME).hash
    assert judge(**SAME, judge="renamed").hash == judge(**SAME).hash
    assert judge(**SAME).hash == judge(**SAME).hash


def test_the_configuration_is_what_is_hashed_and_holds_every_word_that_is_sent() -> None:
    prepared = judge(**SAME)
    assert content_hash(prepared.configuration) == prepared.hash
    told = [asked.call.request["messages"][0]["content"] for asked in pair(prepared)]
    assert set(told) == {prepared.configuration["instructions"]["pairwise"]}
    assert all(asked.call.judge_hash == prepared.hash for asked in pair(prepared))


def test_a_prompt_of_the_users_own_keeps_the_rules_and_the_form() -> None:
    prepared = judge(prompts={"pairwise": "Be strict. {{ criteria }}{% if ties %} Ties are fine.{% endif %}"})
    told = pair(prepared)[0].call.request["messages"][0]["content"]
    assert told.startswith("Be strict. Which one helps more? Ties are fine.")
    assert "# Texts under seal" in told
    assert '"verdict": one of "first", "second", "tie"' in told


def test_templates_never_see_a_text_that_is_judged() -> None:
    prepared = judge(sees=["reference", "context"])
    tricky = JudgedCase(
        id="x", input="{{ criteria }}{% raw %}", reference="{{ 7 * 7 }}", context=("{# gone #}",)
    )
    asked = calls_of(prepared.pair_calls(tricky, answer("a", "{{ self }}"), answer("b", "{% endif %}")))[0]
    assert list(shown(asked).values()) == [
        "| {{ criteria }}{% raw %}",
        "| {{ 7 * 7 }}",
        "| {# gone #}",
        "| {{ self }}",
        "| {% endif %}",
    ]


def test_a_case_without_reference_or_documents_says_so() -> None:
    prepared = judge(sees=["reference", "context"])
    bare = JudgedCase(id="x", input="q")
    message = message_of(calls_of(prepared.pair_calls(bare, answer("a", "x"), answer("b", "y")))[0])
    assert "There is no reference answer to this request." in message
    assert "There are no source documents for this request." in message


# Asking again


def asked_again(prepared: PreparedJudge, cases: int = 400) -> int:
    total = 0
    for number in range(cases):
        case = JudgedCase(id=str(number), input="q")
        asked = calls_of(prepared.pair_calls(case, answer("a", "x"), answer("b", "y")))
        again = [one for one in asked if one.subject.again]
        assert len(again) in (0, 2)
        for one in again:
            [same] = [
                other
                for other in asked
                if not other.subject.again and other.subject.variant == one.subject.variant
            ]
            assert one.call.request == same.call.request
            assert (same.call.repeat, one.call.repeat) == (0, 1)
        total += bool(again)
    return total


def test_a_share_of_the_cases_is_asked_once_more_in_the_same_order() -> None:
    assert asked_again(judge()) == 0
    assert asked_again(judge(repeat={"times": 2, "share": 1.0})) == 400
    # 400 cases at 20%: the binomial's 4 standard errors.
    assert abs(asked_again(judge(repeat=2)) - 80) < 32
    assert asked_again(judge(repeat=2)) == asked_again(judge(repeat=2))


# Panels


def test_each_member_of_a_panel_is_asked_with_its_own_settings() -> None:
    prepared = judge(
        temperature=0.2,
        params={"user": "x"},
        panel=[
            {"model": "gpt-4o"},
            {"provider": "anthropic", "model": "claude", "temperature": None, "params": {"k": 1}},
        ],
    )
    asked = pair(prepared)
    assert [(one.subject.member, one.call.provider) for one in asked] == [
        (0, "openai"),
        (1, "anthropic"),
        (0, "openai"),
        (1, "anthropic"),
    ]
    request = asked[1].call.request
    assert (request["model"], request["user"], request["k"]) == ("claude", "x", 1)
    assert "temperature" not in request
    assert asked[0].call.request["temperature"] == 0.2
    assert asked[0].seal == asked[1].seal


# One case


@pytest.mark.parametrize(
    ("first", "second", "score"),
    [
        ("second", "first", 1.0),
        ("first", "second", 0.0),
        ("tie", "tie", 0.5),
        ("first", "first", 0.5),
        ("tie", "first", 0.75),
        ("first", "tie", 0.25),
    ],
)
def test_one_case_scores_in_quarters(first: str, second: str, score: float) -> None:
    prepared = judge()
    asked = pair(prepared)
    found = [
        prepared.read(one, says_object(one, verdict=v)) for one, v in zip(asked, (first, second), strict=True)
    ]
    assert prepared.pair_score(found, "treatment") == score
    assert prepared.pair_score(found, "control") == 1 - score


def test_one_case_without_a_readable_order_has_no_score() -> None:
    prepared = judge()
    asked = pair(prepared)
    found = [
        prepared.read(asked[0], says_object(asked[0], verdict="first")),
        prepared.failed(asked[1], "down"),
    ]
    assert prepared.pair_score(found, "control") is None
    assert prepared.pair_score(found[:1], "control") is None
