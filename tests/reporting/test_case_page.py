"""The cases on a duel's page: everything is there, nothing of it can run, filters know what there is."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from tests.reporting import duel_examples
from tests.reporting.test_html import _Page

from promptarena.definitions.case_story import AnswerStory, CaseStories, CaseStory, JudgeWord
from promptarena.reporting.case_views import case_views, filters_of
from promptarena.reporting.html import to_html
from promptarena.reporting.outline import Tone

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'><!-- {{ 7*7 }} <ins>"


def answer(text: str | None, score: float | None = 3.0, *, short: bool = True) -> AnswerStory:
    return AnswerStory(text=text, checks={"short": short}, scores={"accuracy": score}, rationale="clear")


def case(name: str, outcome: float | None, *, badness: float = 0.5, words: str = "because") -> CaseStory:
    return CaseStory(
        id=name,
        input=f"question {name}",
        cut=0,
        reference="what is expected",
        segments={"tier": ("free",) if name == "a" else ("paid",), "tag": ("t1", "t2")},
        weight=2.0,
        answers={"new": answer("the new words", 2.0, short=False), "old": answer("the old words")},
        words=(
            JudgeWord(first="new", second="old", verdict="second", rationale=words),
            JudgeWord(first="old", second="new", verdict="tie"),
            JudgeWord(first="old", second="new", verdict="unscored", again=True),
        ),
        outcomes={"new": outcome},
        conflicts=("new",) if name == "a" else (),
        badness=badness,
    )


STORIES = CaseStories(
    cases=(case("a", 0.25), case("b", 1.0, badness=-0.5)), total=2, control="old", variants=("new", "old")
)


def page(stories: CaseStories = STORIES) -> _Page:
    return _Page(to_html(duel_examples.gated(), stories))


def test_answers_that_seem_to_steer_the_judge_are_marked() -> None:
    assert "Injection suspected" not in page().text
    steering = replace(
        case("a", 0.0), answers={"new": replace(answer("x"), signs=("hides characters",)), "old": answer("y")}
    )
    text = page(replace(STORIES, cases=(steering,), total=1)).text
    assert "Injection suspected: it hides characters. The signs change no score" in text


def test_answers_reasons_and_both_orders_are_on_the_page() -> None:
    text = page().text
    for said in ("question a", "the new words", "the old words", "what is expected", "because", "clear"):
        assert said in text
    for shown in ("new shown first, old second", "old shown first, new second", "asked again"):
        assert shown in text
    assert "old wins" in text
    assert "All 2 cases, the worst first." in text


def test_the_control_stands_first_and_the_worst_case_on_top() -> None:
    views = case_views(STORIES)
    assert [view.order for view in views] == [("old", "new")] * 2
    assert [view.tone for view in views] == [Tone.BAD, Tone.GOOD]
    assert views[0].outcomes == (("new", "lost"),)
    assert views[0].changes == (("accuracy -1", "lost"), ("short: fails", "lost"))


def test_filters_hold_what_there_is_to_choose() -> None:
    found = filters_of(STORIES)
    assert found.treatments == ("new",)
    assert found.outcomes == ("lost", "won", "orders disagree")
    assert found.falls == ("accuracy", "short")
    assert found.segments == {"tier": ("free", "paid"), "tag": ("t1", "t2")}
    tags = json.loads(case_views(STORIES)[0].tags)
    assert tags["outcomes"] == {"new": "lost"}
    assert tags["falls"] == {"new": ["accuracy", "short"]}
    assert tags["conflicts"] == ["new"]


def test_a_page_that_leaves_cases_out_says_so() -> None:
    assert "The 2 worst of 90,000 cases; the rest is left out" in page(replace(STORIES, total=90_000)).text


def test_what_was_cut_and_what_is_missing_are_told() -> None:
    cut = replace(answer("long"), cut=12_345)
    answers = {"new": cut, "old": answer(None, None)}
    text = page(replace(STORIES, cases=(replace(case("a", None), answers=answers),))).text
    assert "12,345 more characters are not shown." in text
    assert "No answer." in text
    assert "unscored" in text
    assert "no outcome" in text


def _hostile() -> CaseStories:
    story = CaseStory(
        id=HOSTILE,
        input=HOSTILE,
        cut=0,
        reference=HOSTILE,
        segments={HOSTILE: (HOSTILE,), "tag": ("t1", HOSTILE)},
        weight=2.0,
        answers={
            name: AnswerStory(
                text=HOSTILE, checks={"short": True}, scores={"accuracy": 1.0}, rationale=HOSTILE
            )
            for name in ("new", "old")
        },
        words=(JudgeWord(first="new", second="old", verdict="second", rationale=HOSTILE),) * 3,
        outcomes={"new": 0.25},
        conflicts=("new",),
        badness=0.5,
    )
    return replace(STORIES, cases=(story, story))


def test_nothing_that_an_answer_holds_becomes_a_tag_an_attribute_or_a_script() -> None:
    plain, hostile = page(), page(_hostile())
    assert set(hostile.tags) <= set(plain.tags)
    assert "img" not in hostile.tags
    assert not [name for _, name, _ in hostile.attributes if name.startswith("on")]
    assert len(hostile.scripts) == len(plain.scripts)
    raw = to_html(duel_examples.gated(), _hostile())
    assert HOSTILE not in raw
    assert "<script>alert" not in raw
    assert HOSTILE in hostile.text, "it is shown as the text that it is"


def test_no_template_of_an_answer_is_rendered() -> None:
    assert "49" not in re.sub(r"[^4-9]+", " ", page(_hostile()).text.split("Case by case")[1])[:2000].split()
    assert "{{ 7*7 }}" in page(_hostile()).text


def test_its_script_is_one_more_that_the_policy_names_and_nothing_is_loaded() -> None:
    running = [text for attributes, text in page().scripts if attributes.get("type") != "application/json"]
    assert len(running) == 3
    assert page().policy().count("'sha256-") == 3
    loading = {"src", "href", "srcset", "action", "data", "poster", "background", "formaction"}
    assert not [(tag, name, value) for tag, name, value in page().attributes if name in loading]
    # The only way in which texts reach the page again is as text.
    script = running[-1]
    assert "innerHTML" not in script
    assert "insertAdjacentHTML" not in script


def test_without_cases_the_page_is_as_before() -> None:
    assert to_html(duel_examples.gated(), replace(STORIES, cases=())) == to_html(duel_examples.gated())


def test_the_page_of_many_cases_grows_with_its_cases_only() -> None:
    many = replace(STORIES, cases=STORIES.cases * 150, total=100_000)
    assert len(to_html(duel_examples.gated(), many)) < 2_500_000
