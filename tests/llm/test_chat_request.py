"""Settings as a request: what is said is sent, what is not said is not."""

from __future__ import annotations

from promptarena.definitions.variant import Settings
from promptarena.llm.chat_request import chat_request, sampling_parameters

_SETTINGS = Settings(
    provider="openai",
    model="gpt-4o-mini",
    system="Cite the policy.",
    temperature=0,
    stop=("END",),
    params={"logit_bias": {"50256": -100}},
    retrieval={"depth": 4},
)


def test_only_what_is_said_is_sent() -> None:
    assert chat_request(_SETTINGS, "Where is it?") == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "Cite the policy."},
            {"role": "user", "content": "Where is it?"},
        ],
        "temperature": 0,
        "stop": ["END"],
        "logit_bias": {"50256": -100},
    }
    assert chat_request(Settings(), "Hello") == {"messages": [{"role": "user", "content": "Hello"}]}


def test_the_settings_prompt_takes_the_place_of_another() -> None:
    turns = [{"role": "system", "content": "old"}, {"role": "user", "content": "Where is it?"}]
    messages = chat_request(_SETTINGS, turns)["messages"]
    assert [message["content"] for message in messages] == ["Cite the policy.", "Where is it?"]
    assert turns[0]["content"] == "old"
    assert chat_request(Settings(), turns)["messages"] == turns


def test_what_is_logged_is_neither_prompt_nor_model() -> None:
    assert sampling_parameters(_SETTINGS) == {
        "temperature": 0,
        "stop": ["END"],
        "logit_bias": {"50256": -100},
    }
