from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from promptarena.definitions.content_hash import canonical_json, content_hash
from promptarena.definitions.experiment import Experiment, load_experiment

Loader = Callable[[Any], Experiment]


@pytest.fixture
def load(experiment_file: Path) -> Loader:
    """Load an experiment from its data or its text."""

    def load(written: Any) -> Experiment:
        text = written if isinstance(written, str) else dumped(written)
        experiment_file.write_text(text, encoding="utf-8")
        return load_experiment(experiment_file)

    return load


@pytest.fixture
def example(experiment_file: Path) -> dict[str, Any]:
    data: dict[str, Any] = YAML(typ="safe", pure=True).load(experiment_file.read_text(encoding="utf-8"))
    return data


def dumped(data: Any, *, flow: bool | None = False, width: int = 80, indent: int = 2) -> str:
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.width = width
    yaml.indent = indent
    yaml.sort_base_mapping_type_on_output = False
    stream = StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()


def shuffled(value: Any, dice: random.Random) -> Any:
    """The same mappings with their keys in another order."""
    if isinstance(value, dict):
        keys = list(value)
        dice.shuffle(keys)
        return {key: shuffled(value[key], dice) for key in keys}
    return [shuffled(item, dice) for item in value] if isinstance(value, list) else value


def with_path(data: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy with one value changed or added."""
    if not path:
        return new
    first, rest = path[0], path[1:]
    if isinstance(data, list):
        return [with_path(item, rest, new) if index == first else item for index, item in enumerate(data)]
    return {**data, first: with_path(data.get(first), rest, new)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    flow=st.sampled_from([True, False, None]),
    width=st.integers(20, 200),
    indent=st.integers(2, 8),
)
def test_the_hash_is_of_what_is_said_not_of_how_it_is_laid_out(
    experiment_file: Path, example: dict[str, Any], seed: int, flow: bool | None, width: int, indent: int
) -> None:
    other = experiment_file.with_name("other.yaml")
    text = dumped(shuffled(example, random.Random(seed)), flow=flow, width=width, indent=indent)
    other.write_text("# a comment\n\n" + text, encoding="utf-8")
    assert load_experiment(other).content_hash == load_experiment(experiment_file).content_hash


SAME: list[tuple[tuple[str | int, ...], Any]] = [
    (("hypothesis",), "Another."),
    (("experiment",), "another-name"),
    (("secondary",), []),
    (("monitors",), []),
    (("monitors", 0, "max"), 0.5),
    (("rollout", 2, "traffic"), "5%"),
    (("rollout", 1), {"stage": "shadow", "skip": "no need"}),
    (("rollout",), None),
    (("guardrails", 0, "margin"), 3e2),
    (("guardrails", 1, "margin"), "10.0 %"),
    (("segments",), [{"name": "tier"}, "device"]),
    (("primary",), {"metric": "resolution", "test": "superiority"}),
    (("metrics", "resolution", "window"), "1d"),
    (("metrics", "csat", "absent"), "missing"),
    (("design", "looks"), ["25%", "50%", "75%", "100%"]),
    (("design", "power"), 8e-1),
    (("variants", "control"), None),
    (("variants", "control", "temperature"), 0.30),
    (("variants", "treatment", "system"), "Cite the policy.\n"),
]


@pytest.mark.parametrize(("path", "new"), SAME, ids=str)
def test_amendments_and_other_words_for_the_same_keep_the_hash(
    example: dict[str, Any], load: Loader, path: tuple[str | int, ...], new: Any
) -> None:
    assert load(with_path(example, path, new)).content_hash == load(example).content_hash


DIFFERENT: list[tuple[tuple[str | int, ...], Any]] = [
    (("unit",), "user"),
    (("eligibility",), {"tier": "free"}),
    (("variants", "treatment", "temperature"), 0.31),
    (("variants", "treatment", "params"), {"logit_bias": {"5": 1}}),
    (("variants", "other"), {}),
    (("metrics", "resolution", "window"), "25h"),
    (("metrics", "csat", "covariate"), "visits_before"),
    (("metrics", "csat", "better"), "lower"),
    (("metrics", "more"), {"count": "clicks"}),
    (("primary",), {"metric": "resolution", "test": "non-inferiority", "margin": "2%"}),
    (("guardrails", 0, "margin"), 301),
    (("guardrails", 0, "margin"), "300%"),
    (("guardrails",), ["latency_p95"]),
    (("design", "alpha"), 0.04),
    (("design", "looks"), [0.5, 1]),
    (("segments",), ["device"]),
    (("segments", 0), {"name": "device", "margin": "1%"}),
]


@pytest.mark.parametrize(("path", "new"), DIFFERENT, ids=str)
def test_whatever_is_frozen_changes_the_hash(
    example: dict[str, Any], load: Loader, path: tuple[str | int, ...], new: Any
) -> None:
    assert load(with_path(example, path, new)).content_hash != load(example).content_hash


def test_roles_have_no_order(example: dict[str, Any], load: Loader) -> None:
    before = load(example).content_hash
    example["guardrails"].reverse()
    assert load(example).content_hash == before


def test_weights_and_files_are_hashed_by_their_content(
    example: dict[str, Any], load: Loader, experiment_file: Path
) -> None:
    hashes = {load(example).content_hash}
    example["variants"]["control"] = {"weight": 0.5}
    example["variants"]["treatment"]["weight"] = "50%"
    hashes.add(load(example).content_hash)
    prompt = experiment_file.parent / "prompts/cite_policy.md"
    prompt.write_bytes(b"\xef\xbb\xbfCite the policy.\r\n")
    hashes.add(load(example).content_hash)
    prompt.rename(prompt.with_name("moved.md"))
    example["variants"]["treatment"]["system"] = "file://prompts/moved.md"
    hashes.add(load(example).content_hash)
    assert len(hashes) == 1
    example["variants"]["control"]["weight"], example["variants"]["treatment"]["weight"] = 0.6, 0.4
    assert load(example).content_hash not in hashes
    prompt.with_name("moved.md").write_text("Cite the policy!\n", encoding="utf-8")
    example["variants"]["control"]["weight"], example["variants"]["treatment"]["weight"] = 0.5, 0.5
    assert load(example).content_hash not in hashes


def test_the_baseline_is_part_of_what_is_frozen(
    example: dict[str, Any], load: Loader, project_folder: Path
) -> None:
    before = load(example)
    arena = project_folder / "arena.yaml"
    arena.write_text(arena.read_text(encoding="utf-8").replace("Be helpful.", "Be kind."), encoding="utf-8")
    after = load(example)
    assert before.content_hash != after.content_hash
    assert before.variants[0].settings.config_hash != after.variants[0].settings.config_hash
    assert before.variants[1].settings.config_hash == after.variants[1].settings.config_hash


def test_eligible_values_are_a_set(example: dict[str, Any], load: Loader) -> None:
    with_eligibility = partial(with_path, example, ("eligibility",))
    one = load(with_eligibility({"tier": ["free", "plus"], "age": [1, 2.0]}))
    assert (
        one.content_hash
        == load(with_eligibility({"age": [2, 1, 1], "tier": {"in": ["plus", "free"]}})).content_hash
    )
    assert (
        one.content_hash != load(with_eligibility({"age": [2, "1"], "tier": ["plus", "free"]})).content_hash
    )


class Colour(Enum):
    RED = "red"


def test_canonical_json_is_one_text_for_one_value() -> None:
    value = {
        "b": [1.0, 0.5, True, "é"],
        "a": {"y": None, "x": timedelta(minutes=2)},
        "c": Colour.RED,
        "d": -0.0,
    }
    assert canonical_json(value) == '{"a":{"x":120},"b":[1,0.5,true,"é"],"c":"red","d":0}'
    assert content_hash({"a": 1}) != content_hash({"a": True})
    assert content_hash({"a": 1}) != content_hash({"a": "1"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no canonical form"):
        content_hash({"a": [value]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(value=json_values, seed=st.integers(0, 2**32))
def test_canonical_json_is_stable_under_order_and_reading_back(value: Any, seed: int) -> None:
    text = canonical_json(value)
    assert canonical_json(shuffled(value, random.Random(seed))) == text
    assert canonical_json(json.loads(text)) == text
