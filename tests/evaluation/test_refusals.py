"""Answers that decline and answers that only sound like it."""

from __future__ import annotations

import pytest

from promptarena.evaluation.call_facts import UNKNOWN, CallFacts
from promptarena.evaluation.refusals import is_refusal


@pytest.mark.parametrize(
    "output",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I can\u2019t assist with that request.",
        "I cannot provide instructions for that.",
        "I am unable to answer this question.",
        "As an AI language model, I don't have personal opinions and cannot judge.",
        "Sorry! I won't be able to share other customers' data.",
        "I must respectfully decline.",
        "Unfortunately, I'm not able to do that.",
        "That is against my guidelines.",
        "Thank you for asking.\n\nWe are unable to disclose this.",
        "I'm not comfortable writing that.",
    ],
)
def test_a_refusal_is_found(output: str) -> None:
    assert is_refusal(output, UNKNOWN)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "I'm sorry that your parcel is late. It comes tomorrow.",
        "Sorry about the double charge! The refund takes five days.",
        "You cannot return opened boxes after 14 days.",
        "If we cannot deliver, the parcel goes to the shop.",
        "I can help with that.",
        "Our policy: an assistant cannot refund more than 50 EUR.",
        "The order can't be cancelled once it has left.",
        "Here is the answer. " * 40 + "I cannot help with more.",
    ],
)
def test_an_answer_is_none(output: str) -> None:
    assert not is_refusal(output, UNKNOWN)


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
def test_a_provider_that_says_so_is_believed(reason: str) -> None:
    assert is_refusal("", CallFacts(finish_reason=reason))
    assert not is_refusal("Fine.", CallFacts(finish_reason="stop"))
