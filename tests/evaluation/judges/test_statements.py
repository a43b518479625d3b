"""Metrics of retrieval by their formula, against figures that were worked out elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation.judges.asking import CASE, answer, calls_of, judge, says_object, shown

from promptarena.evaluation.judges import JudgedCase, Judgment
from promptarena.evaluation.judges.statements import context_precision, share_of_yes

LISTS = st.lists(st.booleans(), min_size=1, max_size=8)


def read(metric: str, said: dict[str, Any], case: JudgedCase = CASE) -> Judgment:
    prepared = judge(metrics=[metric])
    [asked] = calls_of(prepared.score_calls(case, answer("control", "Ten days. Then the money.")))
    return prepared.read(asked, says_object(asked, **said))


def statements(*verdicts: str) -> dict[str, Any]:
    return {
        "statements": [{"statement": f"s{n}", "reason": "r", "verdict": v} for n, v in enumerate(verdicts)]
    }


def documents(*verdicts: str, numbers: tuple[int, ...] | None = None) -> dict[str, Any]:
    order = numbers or tuple(range(1, len(verdicts) + 1))
    pairs = zip(order, verdicts, strict=True)
    return {"documents": [{"document": n, "reason": "r", "verdict": v} for n, v in pairs]}


@pytest.mark.parametrize(
    ("useful", "expected"),
    [
        # The example of "LLM Evaluation and Alignment", section 6.3.4: ranks 3 and 4 of 5.
        ([False, False, True, True, False], (1 / 3 + 2 / 4) / 2),
        ([True, False], 1.0),
        ([False, True], 0.5),
        ([True, True, True], 1.0),
        ([False, False], 0.0),
    ],
)
def test_context_precision_rewards_useful_documents_that_stand_first(
    useful: list[bool], expected: float
) -> None:
    assert context_precision(useful) == pytest.approx(expected)


@given(LISTS)
def test_context_precision_is_the_slow_formula(useful: list[bool]) -> None:
    if not any(useful):
        assert context_precision(useful) == 0
        return
    total = 0.0
    for k in range(1, len(useful) + 1):
        precision = sum(useful[:k]) / k
        total += precision * useful[k - 1]
    assert context_precision(useful) == pytest.approx(total / sum(useful))


@given(LISTS)
def test_a_share_is_yes_over_all(verdicts: list[bool]) -> None:
    assert share_of_yes(verdicts) == verdicts.count(True) / len(verdicts)


def test_of_nothing_there_is_no_score() -> None:
    assert share_of_yes([]) is None
    assert context_precision([]) is None


@pytest.mark.parametrize("metric", ["faithfulness", "answer-relevance", "context-recall"])
def test_a_metric_counts_the_statements_that_have_a_yes(metric: str) -> None:
    found = read(metric, statements("yes", "no", "yes", "yes"))
    assert found.scores == {metric: 0.75}
    assert found.rationale is not None
    assert found.rationale.splitlines()[1] == "no: s1 (r)"


def test_documents_are_taken_by_their_number_not_by_the_order_of_the_answer() -> None:
    assert read("context-precision", documents("no", "yes", numbers=(2, 1))).scores == {
        "context-precision": 1.0
    }


@pytest.mark.parametrize(
    ("metric", "said", "reason"),
    [
        ("faithfulness", statements(), "no statement in the answer"),
        ("context-recall", statements(), "no statement in the reference answer"),
        ("faithfulness", statements("yes", "maybe"), "a verdict that is neither yes nor no"),
        ("faithfulness", {"statements": "yes"}, "no list of statements"),
        ("faithfulness", {"statements": ["yes"]}, "no list of statements"),
        ("context-precision", documents("yes"), "not one verdict for each document"),
        ("context-precision", documents("yes", "no", numbers=(1, 1)), "not one verdict for each document"),
        ("context-precision", documents("yes", "no", "no"), "not one verdict for each document"),
        (
            "context-precision",
            {"documents": [{"document": "1", "verdict": "yes"}, {"document": 2, "verdict": "no"}]},
            "not one verdict for each document",
        ),
    ],
)
def test_what_cannot_be_counted_is_unscored(metric: str, said: dict[str, Any], reason: str) -> None:
    found = read(metric, said)
    assert found.scores == {}
    assert found.unscored == {metric: reason}


@pytest.mark.parametrize(
    ("metric", "case", "reason"),
    [
        ("faithfulness", JudgedCase(id="x", input="q"), "no source documents"),
        ("context-precision", JudgedCase(id="x", input="q", context=("d",)), "no reference answer"),
        ("context-recall", JudgedCase(id="x", input="q", reference="r"), "no source documents"),
    ],
)
def test_a_case_without_what_a_metric_needs_is_not_asked_about(
    metric: str, case: JudgedCase, reason: str
) -> None:
    [found] = judge(metrics=[metric]).score_calls(case, answer("control", "a"))
    assert isinstance(found, Judgment)
    assert found.unscored == {metric: reason}


def test_a_metric_shows_what_it_needs_and_nothing_else() -> None:
    blocks = {
        metric: set(shown(calls_of(judge(metrics=[metric]).score_calls(CASE, answer("control", "a")))[0]))
        for metric in ("faithfulness", "answer-relevance", "context-precision", "context-recall")
    }
    both = {"document_1", "document_2"}
    assert blocks == {
        "faithfulness": {"request", "answer", *both},
        "answer-relevance": {"request", "answer"},
        "context-precision": {"request", "reference", *both},
        "context-recall": {"request", "reference", *both},
    }


def test_what_a_variant_retrieved_itself_is_what_it_is_judged_by() -> None:
    [asked] = calls_of(
        judge(metrics=["faithfulness"]).score_calls(CASE, answer("control", "a", context=("mine",)))
    )
    assert shown(asked)["document_1"] == "| mine"
    assert "document_2" not in shown(asked)
