from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from promptarena.definitions.scaffold import scaffold
from promptarena.definitions.schema import KINDS, schema


def accepts(kind: str, text: str) -> bool:
    data: Any = YAML(typ="safe", pure=True).load(text)
    return bool(Draft202012Validator(schema(kind)).is_valid(data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_itself_valid_and_explains_its_fields(kind: str) -> None:
    written = schema(kind)
    Draft202012Validator.check_schema(written)
    assert written["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert written["additionalProperties"] is False


def test_there_is_no_schema_of_another_kind() -> None:
    with pytest.raises(KeyError):
        schema("novel")


def test_the_documented_example_is_accepted(project_folder: Path, experiment_file: Path) -> None:
    assert accepts("experiment", experiment_file.read_text(encoding="utf-8"))
    assert accepts("project", (project_folder / "arena.yaml").read_text(encoding="utf-8"))


def test_the_scaffold_is_accepted(tmp_path: Path) -> None:
    scaffold(tmp_path)
    assert accepts("project", (tmp_path / "arena.yaml").read_text(encoding="utf-8"))
    assert accepts("metrics", (tmp_path / "metrics.yaml").read_text(encoding="utf-8"))
    assert accepts("experiment", (tmp_path / "experiments/cite-policy.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("primary: resolution", "primary: {metric: resolution, test: non-inferiority, margin: 2%}"),
        ("  control: {}", "  control:"),
        ("segments: [device, tier]", "segments: [{name: tier, margin: 0.02}]"),
        ("shadow, traffic: 10%", "shadow, skip: no tools"),
        ("unit:", "eligibility: {tier: [free], age: {not: 3}}\nunit:"),
        ("looks: [0.25, 0.5, 0.75, 1]", "looks: [50%, 100%]"),
        ("max: 0.001", "min: {of: control, less: 10%}"),
        ("  csat:  ", "  rating:\n  csat:  "),
    ],
)
def test_short_and_long_forms_are_accepted(experiment_file: Path, old: str, new: str) -> None:
    example = experiment_file.read_text(encoding="utf-8")
    assert old in example
    assert accepts("experiment", example.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("feature: support-bot\n", "\n"),
        ("hypothesis:", "hypotesis:"),
        ("unit: conversation", "unit: [user]"),
        ("  control: {}", "  contol: {}"),
        ("  treatment: {", "  the treatment: {"),
        ("{system: file", "{sytem: file"),
        ("{system: file", "{temperature: hot, system: file"),
        ("{rate: resolved,", "{"),
        ("{rate: resolved,", "{rate: a, sum: b,"),
        ("{rate: resolved,", "{rate: 5,"),
        ("window: 24h", "window: 24"),
        ("better: higher}\n  csat", "better: up}\n  csat"),
        ("margin: 300", "margin: -3"),
        ("margin: 300", "margin: 300ms"),
        ("alpha: 0.05", "alpha: 5"),
        ("obrien-fleming", "obrien"),
        ("shadow, traffic: 10%", "shade, traffic: 10%"),
        ("shadow, traffic: 10%", "shadow, traffic: 200"),
        ("shadow, traffic: 10%", "shadow, traffic: 10%, skip: no"),
        ("action: pause", "action: stop"),
        ("max: 0.001", "max: a lot"),
    ],
)
def test_what_is_broken_is_refused(experiment_file: Path, old: str, new: str) -> None:
    example = experiment_file.read_text(encoding="utf-8")
    assert old in example
    assert not accepts("experiment", example.replace(old, new, 1))


@pytest.mark.parametrize(
    "text",
    [
        "providers: {a: {base_url: 5}}\nfeatures: {f: {provider: a, model: m}}",
        "providers: {a: {base_url: https://x.example}}\nfeatures: {f: {provider: a}}",
        "providers: {a: {base_url: https://x.example, key: k}}\nfeatures: {f: {provider: a, model: m}}",
        "providers: {}\nfeatures: {f: {provider: a, model: m}}",
        "features: {f: {provider: a, model: m}}",
    ],
)
def test_a_broken_project_is_refused(text: str) -> None:
    assert not accepts("project", text)
