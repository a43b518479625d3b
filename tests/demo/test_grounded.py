"""What the simulated model answers from documents, and that prompts move it as they should."""

from __future__ import annotations

from random import Random

import pytest

from promptarena.demo.bot import Reply, answer
from promptarena.demo.grounded import Grounded, Habits, grounded_reply, split_documents

MESSAGE = """\
The vase arrived in pieces, damaged.

Policies:
- Returns policy 5, damaged on arrival: What arrives damaged is replaced free of charge.
- Billing policy 3, invoices: An invoice can be made out to another name.
"""
PLAIN = Habits(cites=False, careful=False, complete=False, honest=False)


def test_question_and_documents_are_told_apart() -> None:
    found = split_documents(MESSAGE)
    assert found is not None
    assert found.question == "The vase arrived in pieces, damaged."
    assert [name for name, _ in found.documents] == [
        "Returns policy 5, damaged on arrival",
        "Billing policy 3, invoices",
    ]
    assert split_documents("The vase arrived in pieces.") is None


def test_the_document_that_fits_is_named_only_where_that_is_asked_for() -> None:
    asked = split_documents(MESSAGE)
    assert asked is not None
    assert grounded_reply(asked, PLAIN, 1.0, Random(1)) == [
        "What arrives damaged is replaced free of charge."
    ]
    cites = Habits(cites=True, careful=True, complete=True, honest=True)
    [said] = grounded_reply(asked, cites, 1.0, Random(1))
    assert said.startswith("Returns policy 5, damaged on arrival decides this.")


def test_only_an_honest_prompt_admits_that_nothing_fits() -> None:
    asked = Grounded("Do you like football?", (("Billing policy 3, invoices", "An invoice is made out."),))
    honest = Habits(cites=True, careful=True, complete=True, honest=True)
    assert "None of our policies" in grounded_reply(asked, honest, 1.0, Random(1))[0]
    assert "None of our policies" not in " ".join(grounded_reply(asked, PLAIN, 1.0, Random(1)))


@pytest.mark.parametrize("model", ["sim-small", "gpt-4o-mini"])
def test_a_better_prompt_is_right_more_often_under_each_name_of_a_model(model: str) -> None:
    def right(system: str) -> int:
        count = 0
        for number in range(300):
            body = {
                "model": model,
                "user": str(number),
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": MESSAGE}],
            }
            reply = answer(body, 1, failures=0)
            assert isinstance(reply, Reply)
            count += "replaced free of charge" in reply.text
        return count

    plain, citing = right("Be friendly."), right("Name every policy that applies. Never promise more.")
    assert 0.38 * 300 < plain < 0.55 * 300
    assert plain + 0.15 * 300 < citing
