"""What can be proven of a sealed block, whatever text is in it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.evaluation.judges.asking import CASE, answer, calls_of, judge, message_of, shown
from tests.evaluation.judges.attacks import ATTACKS

from promptarena.evaluation.judges.untrusted import block, hidden_characters, seal_of, shown_openly

# Surrogates included: answers that were cut in the wrong place hold halves of pairs.
TEXTS = st.text(st.characters(), max_size=200)
LINES = st.lists(
    st.sampled_from(
        [
            "</answer",
            '</answer seal="',
            "<answer",
            "| ",
            "\n",
            "\r",
            "\u2028",
            "\u0085",
            "\x0b",
            "\x1c",
            "seal",
            "a",
            "0",
        ]
    ),
    max_size=30,
).map("".join)


def _check_block(text: str) -> None:
    seal = seal_of("hash", "pairwise", [text])
    lines = block("answer", text, seal).split("\n")
    assert lines[0] == f'<answer seal="{seal}">'
    assert lines[-1] == f'</answer seal="{seal}">'
    inside = lines[1:-1]
    assert all(line.startswith("| ") for line in inside)
    assert seal not in "\n".join(inside).lower()
    # Nothing that any reader could take for the end of a line is left but the line ends themselves.
    assert len("\n".join(inside).splitlines()) == len(inside)


@given(TEXTS)
@example("</answer>")
@example("\r\n\r</answer>")
@settings(max_examples=300)
def test_a_text_cannot_leave_its_block(text: str) -> None:
    _check_block(text)


@given(LINES)
@settings(max_examples=300)
def test_a_text_made_of_marks_and_line_ends_cannot_leave_its_block(text: str) -> None:
    _check_block(text)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_leaves_its_block(name: str) -> None:
    _check_block(ATTACKS[name])


@given(TEXTS)
@settings(max_examples=300)
def test_nothing_that_is_shown_is_invisible_or_turns_direction(text: str) -> None:
    seen = shown_openly(text)
    for at, character in enumerate(seen):
        if character in "\u200c\u200d\ufe0e\ufe0f":
            # A joiner or selector never stands first, alone, or beside another.
            assert at > 0
            assert seen[at - 1] not in "\u200c\u200d \n\t"
            continue
        assert character in "\n\t" or unicodedata.category(character) not in (
            "Cc",
            "Cf",
            "Cs",
            "Co",
            "Cn",
            "Zl",
            "Zp",
        )


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), max_size=100))
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert shown_openly(text) == text
    assert hidden_characters(text) == 0


@pytest.mark.parametrize(
    "text",
    [
        "Grüße, naïve café, 東京、ひらがな",
        "مرحبا بالعالم",
        "می\u200cخواهم",  # Persian writes this with a non-joiner
        "क्\u200dष",  # and Hindi with a joiner
        "👨\u200d👩\u200d👧 ❤\ufe0f ❤\ufe0f\u200d🔥 1\ufe0f⃣",
        "tab\tand\nline",
    ],
)
def test_what_scripts_and_emoji_need_is_left_alone(text: str) -> None:
    assert shown_openly(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\u200bb", "a\\u{200B}b"),
        ("a\u200db", "a\\u{200D}b"),
        ("👩\u200d\u200d👧", "👩\\u{200D}\\u{200D}👧"),
        ("\u202eabc", "\\u{202E}abc"),
        ("\ufeffabc", "\\u{FEFF}abc"),
        ("so\u00adft", "so\\u{AD}ft"),
        ("\U000e0041", "\\u{E0041}"),
        ("x\ufe0f", "x\\u{FE0F}"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f\\u{FE0F}"),
        ("\u3164\u2800\u115f", "\\u{3164}\\u{2800}\\u{115F}"),
        ("a\rb\x00", "a\\u{D}b\\u{0}"),
        ("\ue000\ud800", "\\u{E000}\\u{D800}"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_what_is_hidden_is_shown_by_its_number(text: str, seen: str) -> None:
    assert shown_openly(text) == seen


def test_of_a_long_run_of_hidden_characters_the_rest_is_counted() -> None:
    seen = shown_openly("a" + "\u200b" * 5000 + "b" + "\u202e" * 41)
    assert seen == "a" + "\\u{200B}" * 40 + "\\u{+4960 hidden}b" + "\\u{202E}" * 40 + "\\u{+1 hidden}"
    assert shown_openly("\u200b" * 40) == "\\u{200B}" * 40


def test_a_seal_is_the_same_for_the_same_call_and_another_for_any_other() -> None:
    seals = {
        seal_of(judge_hash, task, texts)
        for judge_hash in ("one", "other")
        for task in ("pairwise", "rubric")
        for texts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""])
    }
    assert len(seals) == 16
    assert seal_of("one", "rubric", ["a"]) == seal_of("one", "rubric", ["a"])
    assert all(re.fullmatch("[a-f][0-9a-f]{11}", seal) for seal in seals)


def test_a_text_that_holds_the_seal_that_it_would_have_gets_another() -> None:
    # Nobody can write such a text, short of searching 2^46 of them; the rule does not rest on that.
    texts = ["a" * 10]
    first = seal_of("hash", "rubric", texts)

    class Holding(str):
        def lower(self) -> str:
            return f"... {first} ..."

    assert seal_of("hash", "rubric", [Holding(texts[0])]) != first


def test_a_call_shows_every_text_under_one_seal_and_nothing_of_them_outside() -> None:
    marked = "UNTRUSTED-%s"
    case = CASE.__class__(
        id="x",
        input=marked % "request",
        reference=marked % "reference",
        context=(marked % "one", marked % "two"),
    )
    prepared = judge(sees=["reference", "context"])
    asked = calls_of(prepared.pair_calls(case, answer("a", marked % "a"), answer("b", marked % "b")))[0]
    assert shown(asked) == {
        "request": "| UNTRUSTED-request",
        "reference": "| UNTRUSTED-reference",
        "document_1": "| UNTRUSTED-one",
        "document_2": "| UNTRUSTED-two",
        "first_answer": "| UNTRUSTED-a",
        "second_answer": "| UNTRUSTED-b",
    }
    outside = [line for line in message_of(asked).split("\n") if not line.startswith("| ")]
    assert "UNTRUSTED" not in "\n".join(outside)
    assert "UNTRUSTED" not in asked.call.request["messages"][0]["content"]
