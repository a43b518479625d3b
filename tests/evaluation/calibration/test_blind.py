"""Blind labelling: what is drawn, in which order it is shown, and what is on disk when."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.errors import NotEnoughDataError, StorageError
from promptarena.evaluation.calibration.blind import LabelFile, LabelItem, Question, draw_questions

ITEMS = [
    LabelItem(f"c{case}", f"question {case}", variant, f"{variant} answers {case}")
    for case in range(30)
    for variant in ("control", "treatment")
]
NOTHING: frozenset[tuple[str, ...]] = frozenset()


def test_whole_cases_are_drawn_each_with_the_probability_that_is_written_down() -> None:
    questions = draw_questions(ITEMS, cases=10, pairs=False, seed="ana", done=NOTHING)
    assert len(questions) == 20
    assert Counter(question.variants[0] for question in questions) == {"control": 10, "treatment": 10}
    assert {question.probability for question in questions} == {1 / 3}
    assert len({question.case for question in questions}) == 10


def test_the_order_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    one, again, other = (
        draw_questions(ITEMS, cases=30, pairs=False, seed=seed, done=NOTHING)
        for seed in ("ana", "ana", "ben")
    )
    assert one == again
    assert one != other
    assert [(question.case, question.variants) for question in one] != sorted(
        (question.case, question.variants) for question in one
    )


def test_of_two_answers_each_is_shown_first_about_half_the_time() -> None:
    first: Counter[str] = Counter()
    for seed in range(40):
        for question in draw_questions(ITEMS, cases=30, pairs=True, seed=str(seed), done=NOTHING):
            first[question.variants[0]] += 1
            assert question.answers[0].startswith(question.variants[0])
    assert 520 < first["control"] < 680
    assert sum(first.values()) == 1_200


def test_every_case_is_drawn_about_equally_often() -> None:
    drawn: Counter[str] = Counter()
    for seed in range(600):
        drawn.update(
            {q.case for q in draw_questions(ITEMS, cases=10, pairs=False, seed=str(seed), done=NOTHING)}
        )
    # Binomial of 600 with 1/3: five standard deviations are 58.
    assert all(abs(count - 200) < 58 for count in drawn.values())
    assert len(drawn) == 30


@given(st.integers(0, 20), st.booleans())
def test_a_session_goes_on_where_it_ended(after: int, pairs: bool) -> None:
    whole = draw_questions(ITEMS, cases=10, pairs=pairs, seed="ana", done=NOTHING)
    done = frozenset((question.case, *sorted(question.variants)) for question in whole[:after])
    assert draw_questions(ITEMS, cases=10, pairs=pairs, seed="ana", done=done) == whole[after:]


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(NotEnoughDataError, match="of two variants"):
        draw_questions(ITEMS[:1], cases=1, pairs=True, seed="", done=NOTHING)


def question(*variants: str) -> Question:
    return Question(1, "c1", "where is my parcel?", tuple(variants), variants, 0.5)


def test_labels_are_on_disk_with_rater_order_and_probability(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "deep" / "labels.jsonl")
    file.append(question("control").record("ana", {"accuracy": 3, "tone": 5}, "2026-01-01T00:00:00Z"))
    file.append(question("treatment", "control").record("ana", {"verdict": "first"}, "2026-01-01T00:00:01Z"))
    lines = [json.loads(line) for line in (tmp_path / "deep" / "labels.jsonl").read_text().splitlines()]
    assert [line.get("axis") for line in lines] == ["accuracy", "tone", None]
    assert lines[2] | {"at": ""} == {
        "id": "c1",
        "first": "treatment",
        "second": "control",
        "verdict": "first",
        "rater": "ana",
        "probability": 0.5,
        "order": 1,
        "at": "",
    }
    assert file.done_by("ana") == {("c1", "control"), ("c1", "control", "treatment")}
    assert file.done_by("ben") == NOTHING


def test_a_line_that_a_crash_tore_spoils_no_later_one(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"id": "c0", "variant": "con')
    LabelFile(path).append(question("control").record("ana", {"tone": 5}, ""))
    assert LabelFile(path).done_by("ana") == {("c1", "control")}
    assert len(path.read_text().splitlines()) == 2


def test_labels_that_cannot_be_written_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        LabelFile(tmp_path / "file" / "labels.jsonl").append([])
