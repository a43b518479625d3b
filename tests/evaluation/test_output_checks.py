"""Each kind of check on outputs that pass and outputs that do not; negation turns every answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from promptarena.definitions.checks import OutputCheck
from promptarena.errors import DefinitionError
from promptarena.evaluation.checks import PreparedCheck, prepare_check
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.time_limit import TooSlowError

PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
CASES: list[tuple[dict[str, Any], str, bool]] = [
    ({"equals": "Yes"}, " Yes\n", True),
    ({"equals": "Yes"}, "yes", False),
    ({"equals": "Yes", "ignore_case": True}, "YES", True),
    ({"equals": {"column": "answer"}}, "Paris", True),
    ({"equals": {"column": "answer"}}, "London", False),
    ({"contains": "refund"}, "a refund is due", True),
    ({"contains": "refund"}, "a Refund is due", False),
    ({"contains": "REFUND", "ignore_case": True}, "a Refund is due", True),
    ({"contains": ["a", "b"]}, "ab", True),
    ({"contains": ["a", "b"]}, "a", False),
    ({"contains": {"column": "answer"}}, "It is Paris.", True),
    ({"regex": r"\d{3}"}, "call 911", True),
    ({"regex": r"^\d{3}$"}, "call 911", False),
    ({"regex": "paris", "ignore_case": True}, "PARIS", True),
    ({"length": 3}, "abc", True),
    ({"length": 3}, "abcd", False),
    ({"length": {"min": 2, "max": 3, "unit": "words"}}, "one two three", True),
    ({"length": {"min": 2, "unit": "words"}}, "one", False),
    ({"json-schema": PERSON}, '{"name": "Ann"}', True),
    ({"json-schema": PERSON}, '{"name": 1}', False),
    ({"json-schema": PERSON}, "Ann", False),
    ({"json-schema": True}, "[1, 2]", True),
    ({"json-schema": True}, "[1, 2", False),
    ({"json-schema": True}, "NaN", False),
    ({"json-schema": True}, "[" * 100_000, False),
]


def prepared(written: dict[str, Any], folder: Path = Path()) -> PreparedCheck:
    dataset = Dataset(Path("d.csv"), {"1": 0, "2": 1}, {"answer": ["Paris", None]})
    return prepare_check(OutputCheck.model_validate(written), dataset, folder)


@pytest.mark.parametrize(("written", "output", "passes"), CASES)
def test_a_check_passes_what_it_says(written: dict[str, Any], output: str, passes: bool) -> None:
    assert prepared(written).passes(output, 0) is passes


@pytest.mark.parametrize(
    ("written", "output", "passes"), [case for case in CASES if not isinstance(case[0].get("contains"), list)]
)
def test_not_turns_the_answer(written: dict[str, Any], output: str, passes: bool) -> None:
    negated = {name if name == "ignore_case" else f"not-{name}": value for name, value in written.items()}
    assert prepared(negated).passes(output, 0) is not passes


def test_not_contains_a_list_means_none_of_it() -> None:
    check = prepared({"not-contains": ["sorry", "as an AI"]})
    assert [check.passes(text, 0) for text in ("fine", "sorry", "sorry, as an AI")] == [True, False, False]


@pytest.mark.parametrize("name", ["equals", "not-equals", "contains", "not-contains"])
def test_a_case_without_the_value_is_neither_passed_nor_failed(name: str) -> None:
    assert prepared({name: {"column": "answer"}}).passes("Paris", 1) is None


def test_a_schema_is_read_from_a_file_beside_the_definition(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "array"}')
    check = prepared({"json-schema": "file://s.json"}, tmp_path)
    assert check.passes("[]", 0)
    assert not check.passes("{}", 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "The schema cannot be read"),
        ('{"type": ', "1:10: The schema is not JSON"),
        ('{"type": "objekt"}', "This is not a JSON Schema"),
        (b"\xff", "The schema is not JSON"),
    ],
)
def test_a_broken_schema_is_told_of(tmp_path: Path, content: str | bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "s.json").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DefinitionError, match=said):
        prepared({"json-schema": "file://s.json"}, tmp_path)


def test_a_schema_is_never_fetched() -> None:
    check = prepared({"json-schema": {"$ref": "http://localhost:1/schema.json"}})
    with pytest.raises(DefinitionError, match="which is not in it"):
        check.passes("{}", 0)


@pytest.mark.parametrize("written", [{"regex": r"(a+)+$"}, {"json-schema": {"pattern": r"(a+)+$"}}])
def test_a_pattern_without_end_is_given_up(written: dict[str, Any]) -> None:
    with pytest.raises(TooSlowError):
        prepared(written).passes('"' + "a" * 60 + 'b"', 0)
