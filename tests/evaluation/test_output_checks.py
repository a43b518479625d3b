"""Each kind of check on outputs that pass and outputs that do not; negation turns every answer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from promptarena.definitions.checks import OutputCheck
from promptarena.errors import DefinitionError, UsageError
from promptarena.evaluation.call_facts import UNKNOWN, CallFacts
from promptarena.evaluation.check_powers import NO_POWERS, CheckPowers, project_powers
from promptarena.evaluation.checks import CheckGaveUpError, PreparedCheck, prepare_check
from promptarena.evaluation.dataset import Dataset

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
    ({"contains-all": ["a", "b"]}, "ab", True),
    ({"contains-all": ["a", "b"]}, "a", False),
    ({"contains-any": ["a", "b"]}, "cb", True),
    ({"contains-any": ["a", "b"]}, "c", False),
    ({"contains-any": ["A", "B"], "ignore_case": True}, "cb", True),
    ({"contains-any": {"column": "keywords"}}, "a parcel", True),
    ({"contains-all": {"column": "keywords"}}, "a parcel", False),
    ({"contains-all": {"column": "keywords"}}, "a late parcel", True),
    ({"starts-with": "Dear"}, "  Dear Ann", True),
    ({"starts-with": "Dear"}, "Oh Dear", False),
    ({"ends-with": "you."}, "Thank you.\n", True),
    ({"ends-with": "YOU.", "ignore_case": True}, "Thank you.", True),
    ({"ends-with": "you."}, "you. Bye", False),
    ({"is-json": True}, '{"a": [1, null]}', True),
    ({"is-json": True}, "Infinity", False),
    ({"is-json": True}, "", False),
    ({"levenshtein": {"to": "kitten", "max": 3}}, "sitting", True),
    ({"levenshtein": {"to": "kitten", "max": 2}}, "sitting", False),
    ({"levenshtein": {"to": {"column": "answer"}, "max": 1}}, "Pari", True),
    ({"levenshtein": {"to": "ABC", "max": 0}, "ignore_case": True}, "abc", True),
    ({"pii-leak": True}, "Mail ann@example.org.", True),
    ({"pii-leak": True}, "Your order 12345678 left on 2026-01-02.", False),
    ({"pii-leak": ["phone"]}, "Mail ann@example.org.", False),
    ({"pii-leak": {"allow": ["help@shop.example"]}}, "Mail help@shop.example.", False),
    ({"pii-leak": {"allow": ["help@shop.example"]}}, "Mail help@shop.example or bob@shop.example.", True),
    ({"pii-leak": {"allow": [{"column": "question"}]}}, "We write to Ann@example.org.", False),
    ({"contains": "Paris", "when": {"topic": "geo"}}, "Paris", True),
    ({"contains": "Paris", "when": {"topic": ["geo", "x"]}}, "London", False),
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


def prepared(
    written: dict[str, Any], folder: Path = Path(), powers: CheckPowers = NO_POWERS
) -> PreparedCheck:
    columns: dict[str, list[str | None]] = {
        "answer": ["Paris", None],
        "keywords": ["parcel, late", ""],
        "question": ["I am ann@example.org", None],
        "topic": ['["geo", "capitals"]', "other"],
        "tools": ["find_order, send_mail", "[{"],
        "none": ["[]", "x"],
        "tests": ["assert f(2) == 4", None],
    }
    dataset = Dataset(Path("d.csv"), {"1": 0, "2": 1}, columns)
    return prepare_check(OutputCheck.model_validate(written), dataset, folder, powers)


@pytest.mark.parametrize(("written", "output", "passes"), CASES)
def test_a_check_passes_what_it_says(written: dict[str, Any], output: str, passes: bool) -> None:
    assert prepared(written).passes(output, 0) is passes


@pytest.mark.parametrize(("written", "output", "passes"), CASES)
def test_not_turns_the_answer(written: dict[str, Any], output: str, passes: bool) -> None:
    options = ("ignore_case", "when")
    negated = {name if name in options else f"not-{name}": value for name, value in written.items()}
    assert prepared(negated).passes(output, 0) is not passes


def test_not_contains_any_means_none_and_not_contains_all_not_every_one() -> None:
    every = prepared({"not-contains-all": ["sorry", "as an AI"]})
    assert [every.passes(text, 0) for text in ("fine", "sorry", "sorry, as an AI")] == [True, True, False]
    check = prepared({"not-contains-any": ["sorry", "as an AI"]})
    assert [check.passes(text, 0) for text in ("fine", "sorry", "sorry, as an AI")] == [True, False, False]


@pytest.mark.parametrize(
    "written",
    [
        {"equals": {"column": "answer"}},
        {"not-equals": {"column": "answer"}},
        {"contains": {"column": "answer"}},
        {"not-contains": {"column": "answer"}},
        {"not-contains-any": {"column": "keywords"}},
        {"starts-with": {"column": "answer"}},
        {"not-levenshtein": {"to": {"column": "answer"}, "max": 1}},
        {"contains": "x", "when": {"topic": "geo"}},
        {"not-contains": "x", "when": {"topic": "geo"}},
    ],
)
def test_a_case_without_the_value_is_neither_passed_nor_failed(written: dict[str, Any]) -> None:
    assert prepared(written).passes("Paris", 1) is None


@pytest.mark.parametrize(
    ("written", "facts", "passes"),
    [
        ({"latency": 1000}, CallFacts(latency_ms=1000.0), True),
        ({"latency": 1000}, CallFacts(latency_ms=1000.5), False),
        ({"not-latency": {"min": 5}}, CallFacts(latency_ms=4.0), True),
        ({"ttft": 200}, CallFacts(ttft_ms=150.0), True),
        ({"cost": 0.01}, CallFacts(cost_usd=0.02), False),
        ({"finish-reason": "stop"}, CallFacts(finish_reason="stop"), True),
        ({"not-finish-reason": ["length", "content_filter"]}, CallFacts(finish_reason="length"), False),
        ({"is-refusal": True}, CallFacts(finish_reason="content_filter"), True),
        ({"tool-calls": "find"}, CallFacts(tool_calls=()), False),
        ({"not-tool-calls": "find"}, CallFacts(tool_calls=()), True),
        ({"tool-calls": {"column": "tools"}}, CallFacts(tool_calls=({"name": "find_order"},)), False),
        ({"tool-calls": {"column": "none", "exactly": True}}, CallFacts(tool_calls=()), True),
        (
            {"tool-calls": {"column": "none", "exactly": True}},
            CallFacts(tool_calls=({"name": "a"},)),
            False,
        ),
        ({"tool-calls": {"column": "none"}}, CallFacts(tool_calls=()), None),
    ],
)
def test_a_check_of_the_call_looks_at_its_facts(
    written: dict[str, Any], facts: CallFacts, passes: bool | None
) -> None:
    assert prepared(written).passes("", 0, facts) is passes


@pytest.mark.parametrize("name", ["latency", "ttft", "cost", "finish-reason", "tool-calls"])
def test_a_fact_that_nobody_noted_is_neither_passed_nor_failed(name: str) -> None:
    value = {"finish-reason": "stop", "tool-calls": "find"}.get(name, 5)
    for written in (name, f"not-{name}"):
        assert prepared({written: value}).passes("text", 0, UNKNOWN) is None


def test_expected_tool_calls_that_cannot_be_read_are_told_of() -> None:
    with pytest.raises(CheckGaveUpError, match="expected tool calls of a case cannot be read"):
        prepared({"tool-calls": {"column": "tools"}}).passes("", 1, CallFacts(tool_calls=()))


def test_a_function_is_called_with_the_output_and_the_named_columns() -> None:
    seen: list[tuple[str, dict[str, str | None]]] = []

    def polite(output: str, case: dict[str, str | None]) -> bool | None:
        seen.append((output, case))
        return None if case["answer"] is None else "please" in output

    powers = CheckPowers(hook={"checks:polite": polite}.__getitem__)
    check = prepared({"python": {"function": "checks:polite", "columns": "answer"}}, powers=powers)
    assert [check.passes("please", 0), check.passes("no", 0), check.passes("please", 1)] == [
        True,
        False,
        None,
    ]
    assert seen[0] == ("please", {"answer": "Paris"})


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda _output, _case: 0.7, "said 0.7; True, False or None is wanted"),
        (lambda _output, _case: 1 // 0, "raised ZeroDivisionError"),
        (lambda _output: True, "raised TypeError"),
    ],
)
def test_a_function_that_fails_or_says_something_else_is_given_up(function: Any, said: str) -> None:
    check = prepared({"python": "a:b"}, powers=CheckPowers(hook=lambda _name: function))
    with pytest.raises(CheckGaveUpError, match=said):
        check.passes("x", 0)


def test_a_function_without_a_project_that_allows_it_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"an arena\.yaml allow-lists functions"):
        prepared({"python": "os:getcwd"})


def test_a_function_is_found_in_the_project_that_allows_it(tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(
        "providers: {p: {base_url: 'http://127.0.0.1:1/v1'}}\n"
        "features: {bot: {provider: p, model: m}}\nhooks: [my_checks_of_a_test:short]\n"
    )
    (tmp_path / "my_checks_of_a_test.py").write_text("def short(output, case):\n    return len(output) < 3\n")
    (tmp_path / "duels").mkdir()
    powers = project_powers(tmp_path / "duels", allow_code=False)
    check = prepared({"not-python": "my_checks_of_a_test:short"}, powers=powers)
    assert [check.passes("ab", 0), check.passes("abcd", 0)] == [False, True]
    with pytest.raises(DefinitionError, match="'my_checks_of_a_test:long' is not allow-listed"):
        prepared({"python": "my_checks_of_a_test:long"}, powers=powers)


def test_code_runs_in_a_sandbox_or_not_at_all_unless_it_is_allowed() -> None:
    written = {"passes-tests": {"column": "tests"}}
    check = prepared(written, powers=CheckPowers(allow_code=True))
    fenced = "Here it is:\n```python\ndef f(x):\n    return x * 2\n```"
    assert [check.passes(fenced, 0), check.passes("f = 3", 0), check.passes(fenced, 1)] == [True, False, None]
    assert check.k == (1,)
    if shutil.which("bwrap") is None:
        with pytest.raises(UsageError, match="--allow-code"):
            prepared(written)


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


@pytest.mark.parametrize(
    ("written", "output"),
    [
        ({"regex": r"(a+)+$"}, '"' + "a" * 60 + 'b"'),
        ({"json-schema": {"pattern": r"(a+)+$"}}, '"' + "a" * 60 + 'b"'),
        ({"pii-leak": True}, "1 " * 1_000_000),
        ({"levenshtein": {"to": "ba" * 500_000, "max": 9}}, "ab" * 500_000),
    ],
)
def test_what_takes_too_long_is_given_up(written: dict[str, Any], output: str) -> None:
    with pytest.raises(CheckGaveUpError, match="takes too long on this output"):
        prepared(written).passes(output, 0)
