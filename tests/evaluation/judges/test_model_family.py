from __future__ import annotations

import pytest

from promptarena.evaluation.judges.model_family import family_of, self_preference


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-mini-2024-07-18", "openai"),
        ("openai/gpt-oss-120b", "openai"),
        ("o3-mini", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("text-davinci-003", "openai"),
        ("Claude-3-5-Sonnet", "anthropic"),
        ("us.anthropic.claude-haiku-4-5-v1:0", "anthropic"),
        ("models/gemini-2.5-pro", "google"),
        ("gemma2:9b", "google"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama"),
        ("accounts/fireworks/models/llama-v3p1-405b", "llama"),
        ("deepseek-r1-distill-llama-70b", "llama"),
        ("nvidia/llama-3.1-nemotron-70b", "llama"),
        ("qwen2.5-72b-instruct", "qwen"),
        ("DeepSeek-R1-Distill-Qwen-32B", "qwen"),
        ("deepseek-chat", "deepseek"),
        ("mixtral-8x7b", "mistral"),
        ("command-r-plus", "cohere"),
        ("grok-4", "xai"),
        ("phi4", "microsoft"),
        ("sim-large", "simulated"),
        ("our-model", None),
        ("simple", None),
        ("logo1", None),
        ("", None),
    ],
)
def test_a_name_tells_its_family_whatever_stands_around_it(model: str, family: str | None) -> None:
    assert family_of(model) == family


def test_a_model_of_no_known_family_is_kin_to_itself_alone() -> None:
    notes = list(self_preference({"p/ours": "ours"}, {"control": "theirs", "treatment": "ours"}))
    assert len(notes) == 1
    assert "ours and treatment are of one model family" in notes[0]


def test_each_member_of_a_panel_is_told_of() -> None:
    members = {"a/gpt-4o": "gpt-4o", "b/claude": "claude", "c/qwen3": "qwen3"}
    notes = list(
        self_preference(members, {"control": "claude-haiku", "treatment": "gpt-4o-mini", "old": None})
    )
    assert [note.partition(" are of")[0] for note in notes] == [
        "a/gpt-4o and treatment",
        "b/claude and control",
    ]


def test_members_of_one_family_are_told_of_together() -> None:
    members = {"a/gpt-4o #1": "gpt-4o", "a/gpt-4o #2": "gpt-4o", "b/o3": "o3"}
    [note] = self_preference(members, {"control": "claude", "treatment": "gpt-4.1"})
    assert note.startswith(
        "a/gpt-4o #1 and a/gpt-4o #2 and b/o3 and treatment are of one model family (openai)"
    )
