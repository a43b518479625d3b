"""What a definition may say of weights that move and of interleaving, and every mistake at its line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from promptarena.definitions.bandit import BanditRule
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.definitions.interleave import InterleaveMethod
from promptarena.definitions.schema import schema
from promptarena.errors import DefinitionError

PROJECT = """\
providers: {openai: {base_url: https://api.example/v1, key_env: K}}
features: {search: {provider: openai, model: m}}
"""
COMMON = """\
experiment: e
feature: search
unit: request
variants: {control: {}, hybrid: {retrieval: {index: hybrid}}}
metrics: {ok: {rate: ok, window: 2h}, spend: {ratio: {of: cost_usd, over: ok}}, slow: {quantile: {of: latency_ms, q: 0.9}}}
primary: ok
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "arena.yaml").write_text(PROJECT)
    return tmp_path / "e.yaml"


def _loaded(file: Path, more: str, *changes: tuple[str, str]) -> Experiment:
    text = COMMON + more
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return load_experiment(file)


def _problems(file: Path, more: str, *changes: tuple[str, str]) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        _loaded(file, more, *changes)
    return [str(problem) for problem in caught.value.problems]


def test_one_word_is_a_bandit_on_the_primary(file: Path) -> None:
    bandit = _loaded(file, "allocation: thompson").allocation
    assert bandit is not None
    assert (bandit.bandit, bandit.reward, bandit.top_two) == (BanditRule.THOMPSON, "ok", None)
    assert (bandit.update, bandit.min_share, bandit.burn_in) == (timedelta(hours=1), 0.05, 200)
    full = "allocation: {bandit: top-two, leader: 60%, reward: cost_usd, update: 30m, min_share: 10%}"
    loaded = _loaded(file, full)
    assert loaded.allocation is not None
    assert (loaded.allocation.top_two, loaded.allocation.reward) == (0.6, "cost_usd")
    # What the weights follow is a metric of the experiment, wherever it was defined.
    assert "cost_usd" in [metric.name for metric in loaded.metrics]


def test_how_weights_move_is_frozen_and_fixed_weights_hash_as_they_did(file: Path) -> None:
    fixed = _loaded(file, "")
    assert "allocation" not in fixed.frozen_parts
    assert "interleave" not in fixed.frozen_parts
    thompson = _loaded(file, "allocation: thompson")
    hourly = _loaded(file, "allocation: {bandit: thompson, update: 60m}")
    daily = _loaded(file, "allocation: {bandit: thompson, update: 1d}")
    assert thompson.content_hash == hourly.content_hash
    assert len({fixed.content_hash, thompson.content_hash, daily.content_hash}) == 3
    resolved = thompson.model_dump(mode="json", by_alias=True)
    assert Experiment.model_validate(resolved).content_hash == thompson.content_hash


def test_two_rankers_are_interleaved(file: Path) -> None:
    found = _loaded(file, "interleave: {method: balanced, slots: 5, cluster: query}").interleave
    assert found is not None
    assert (found.method, found.slots, found.cluster) == (InterleaveMethod.BALANCED, 5, "query")
    shorthand = _loaded(file, "interleave: team-draft").interleave
    assert shorthand is not None
    assert (shorthand.method, shorthand.slots) == (InterleaveMethod.TEAM_DRAFT, 10)


@pytest.mark.parametrize(
    ("more", "place", "words"),
    [
        ("allocation: thomson", "7:13 (allocation)", "Did you mean `thompson`?"),
        ("allocation: {update: 1h}", "7:1 (allocation.bandit)", "`bandit` is missing"),
        ("allocation: {bandit: thompson, updat: 1h}", "7:32 (allocation.updat)", "Did you mean `update`?"),
        ("allocation: {bandit: thompson, update: 0h}", "7:40 (allocation.update)", "of no length"),
        ("allocation: {bandit: thompson, min_share: 50%}", "7:43 (allocation.min_share)", "less than 50%"),
        ("allocation: {bandit: thompson, min_share: 0}", "7:43 (allocation.min_share)", "more than 0"),
        ("allocation: {bandit: thompson, burn_in: 0}", "7:41 (allocation.burn_in)", "at least 1"),
        ("allocation: {bandit: thompson, leader: 60%}", "7:40 (allocation.leader)", "bandit: top-two"),
        ("allocation: {bandit: top-two, leader: 100%}", "7:39 (allocation.leader)", "less than 1"),
        ("allocation: {bandit: thompson, reward: okay}", "7:40 (allocation.reward)", "Did you mean `ok`?"),
        ("allocation: {bandit: thompson, reward: slow}", "7:40 (allocation.reward)", "is a quantile"),
        ("allocation: {bandit: thompson, delay: 3h}", "7:39 (allocation.delay)", "longer than the window"),
        ("allocation: thompson\ndesign: {looks: [0.5, 1]}", "8:17 (design.looks)", "there are no looks"),
        ("allocation: thompson\ndesign: {spending: pocock}", "8:20 (design.spending)", "there are no looks"),
        ("allocation: thompson\ndesign: {burn_in: 1d}", "8:19 (design.burn_in)", "means nothing here"),
        ("interleave: draft", "7:13 (interleave)", "`team-draft`, `balanced`"),
        ("interleave: {slots: 1}", "7:21 (interleave.slots)", "at least 2"),
        ("interleave: {slots: 5}\nallocation: thompson", "8:1 (allocation)", "nothing to allocate"),
        ("interleave: {slots: 5}\ndesign: {looks: [0.5, 1]}", "8:17 (design.looks)", "no looks"),
        ("interleave: {slots: 5}\nguardrails: [latency_p95]", "8:1 (guardrails)", "cannot tell them apart"),
        ("interleave: {slots: 5}\nsegments: [tier]", "8:1 (segments)", "cannot tell them apart"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_problem_with_its_place(file: Path, more: str, place: str, words: str) -> None:
    [problem] = _problems(file, more)
    assert f"{file.name}:{place}: " in problem
    assert words in problem


@pytest.mark.parametrize(
    ("more", "change", "place", "words"),
    [
        ("allocation: thompson", ("primary: ok", "primary: spend"), "6:10 (primary)", "is a ratio"),
        ("allocation: thompson", ("control: {}", "control: {weight: 40%}"), "4:30", "Leave every `weight` out"),
        ("allocation: thompson", ("{rate: ok, ", "{mean: score, audited_by: label, "), "6:10 (primary)", "audited"),
        ("interleave: balanced", ("unit: request", "unit: user"), "3:7 (unit)", "request by request"),
        ("interleave: balanced", ("control: {}", "control: {}, b: {top_p: 0.1}"), "4:1 (variants)", "found 3"),
        ("interleave: balanced", ("primary: ok", "primary: spend"), "6:10 (primary)", "{rate: click}"),
        ("interleave: balanced", ("primary: ok", "primary: error_rate"), "6:10 (primary)", "of a generation"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told(
    file: Path, more: str, change: tuple[str, str], place: str, words: str
) -> None:
    changes = [change]
    if "weight" in change[1]:
        changes.append(("hybrid: {", "hybrid: {weight: 60%, "))
    [problem] = _problems(file, more, *changes)
    assert f"{file.name}:{place}" in problem
    assert words in problem


def test_a_covariate_under_a_bandit_is_noted(file: Path) -> None:
    stars = "metrics: {stars: {mean: rating, covariate: rating_before}, "
    loaded = _loaded(file, "allocation: thompson", ("metrics: {", stars), ("primary: ok", "primary: stars"))
    assert any("covariate of `stars` is not used" in note for note in loaded.notes)


def test_the_schema_knows_both() -> None:
    properties = schema("experiment")["properties"]
    assert {"allocation", "interleave"} <= properties.keys()
