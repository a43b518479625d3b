"""Words and letters in common: against sacreBLEU's and rouge-score's own figures, and against definitions."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.evaluation.similarity.lexical import chrf, rouge_l, token_f1

WORDS = st.lists(st.sampled_from(["late", "parcel", "the", "not", "14"]), max_size=9)


# chrF by sacrebleu 2.5 (sentence_score / 100), ROUGE-L by rouge-score 0.1.2 (fmeasure), without stemming.
@pytest.mark.parametrize(
    ("output", "reference", "by_chrf", "by_rouge"),
    [
        ("kitten", "mitten", 0.591667, 0.0),
        ("the parcel comes tomorrow", "The parcel will come tomorrow.", 0.574366, 0.666667),
        ("a", "b", 0.0, 0.0),
        ("ab", "abcdef gh", 0.234043, 0.0),
        ("", "x", 0.0, 0.0),
        (
            "comes late refund to days refund order late",
            "shop order to not tomorrow shop not",
            0.163302,
            0.133333,
        ),
        (
            "not comes tomorrow refund the order late",
            "refund 14 parcel 14 order tomorrow shop not not a",
            0.371444,
            0.235294,
        ),
        (
            "comes refund order not late late a a our order refund",
            "a tomorrow days a to parcel the late",
            0.203601,
            0.210526,
        ),
    ],
)
def test_the_figures_of_the_reference_packages(
    output: str, reference: str, by_chrf: float, by_rouge: float
) -> None:
    assert chrf(output, reference) == pytest.approx(by_chrf, abs=5e-7)
    assert rouge_l(output, reference) == pytest.approx(by_rouge, abs=5e-7)


@given(WORDS, WORDS)
def test_rouge_l_is_of_the_longest_common_subsequence(one: list[str], other: list[str]) -> None:
    @cache
    def longest(i: int, j: int) -> int:
        if i == len(one) or j == len(other):
            return 0
        if one[i] == other[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    length = longest(0, 0)
    expected = 2 * length / (len(one) + len(other)) if length else 0.0
    assert rouge_l(" ".join(one), " ".join(other)) == pytest.approx(expected)


@given(WORDS, WORDS)
def test_token_f1_is_of_precision_and_recall_over_words(one: list[str], other: list[str]) -> None:
    kept, wanted = ([word for word in words if word != "the"] for words in (one, other))
    shared = sum((Counter(kept) & Counter(wanted)).values())
    expected = 1.0 if not kept and not wanted else 0.0
    if shared:
        precision, recall = shared / len(kept), shared / len(wanted)
        expected = 2 * precision * recall / (precision + recall)
    assert token_f1(" ".join(one), " ".join(other).upper() + "!") == pytest.approx(expected)


@given(st.text(max_size=30), st.text(max_size=30))
def test_scores_lie_within_nothing_and_one_and_a_text_is_wholly_like_itself(one: str, other: str) -> None:
    for measure in (rouge_l, token_f1, chrf):
        assert 0 <= measure(one, other) <= 1
    if one.split():
        assert chrf(one, one) == pytest.approx(1.0)
