from __future__ import annotations

from datetime import UTC, datetime

from tests.evaluation.judges.asking import CASE, RUBRIC, answer, calls_of, judge, pair, says, says_object

from promptarena.definitions.event_lines import decode_line, encode_events

AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
REQUESTS = {"control": "r-control", "treatment": "r-treatment"}


def test_a_verdict_is_a_measurement_of_the_answer_shown_first_against_the_other() -> None:
    prepared = judge()
    asked = pair(prepared)[1]
    [event] = prepared.events(
        prepared.read(asked, says_object(asked, rationale="It helps.", verdict="second")), REQUESTS, at=AT
    )
    assert (event.name, event.value, event.label) == ("preference", 0.0, "second")
    assert (event.target_kind, event.target, event.against, event.position) == (
        "request",
        "r-treatment",
        "r-control",
        0,
    )
    assert (event.source, event.evaluator, event.evaluator_hash) == ("judge", "support", prepared.hash)
    assert (event.rationale, event.ts) == ("It helps.", AT)


def test_scores_are_one_measurement_an_axis() -> None:
    prepared = judge(rubric=RUBRIC)
    [asked] = calls_of(prepared.score_calls(CASE, answer("control", "a")))
    axes = {"accuracy": {"rationale": "r", "score": 4}, "tone": {"rationale": "r", "score": 0}}
    events = prepared.events(prepared.read(asked, says_object(asked, axes=axes)), REQUESTS, at=AT)
    assert [(event.name, event.value, event.label) for event in events] == [
        ("accuracy", 4.0, None),
        ("tone", None, "unscored"),
    ]
    assert events[0].against is None
    assert events[0].position is None
    assert events[1].rationale == "a score off its scale"


def test_what_could_not_be_read_has_no_value_and_says_why() -> None:
    prepared = judge()
    asked = pair(prepared)[0]
    [event] = prepared.events(prepared.read(asked, says("hm")), REQUESTS, at=AT)
    assert (event.value, event.label, event.rationale) == (None, "unscored", "no JSON object in the answer")


def test_members_of_a_panel_are_told_apart() -> None:
    prepared = judge(panel=[{"model": "a"}, {"model": "b"}])
    evaluators = [
        event.evaluator
        for asked in pair(prepared)
        for event in prepared.events(prepared.failed(asked, "down"), REQUESTS, at=AT)
    ]
    assert evaluators == ["support/openai/a", "support/openai/b"] * 2


def test_they_are_events_that_the_log_takes() -> None:
    prepared = judge()
    asked = pair(prepared)[0]
    said = says_object(asked, rationale="half a pair \ud83d", verdict="tie")
    [event] = prepared.events(prepared.read(asked, said), REQUESTS, at=AT)
    assert decode_line(encode_events([event])) == event
