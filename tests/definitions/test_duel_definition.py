"""A duel's definition: what short forms mean, and that every mistake is told at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptarena.definitions.checks import CheckKind, OutputCheck
from promptarena.definitions.duel import Duel, load_duel, referenced_columns
from promptarena.definitions.gate_rule import ConflictRule
from promptarena.definitions.schema import schema
from promptarena.errors import DefinitionError

SHORT = """\
duel: refunds
dataset: golden.jsonl
variants:
  control: {outputs: control.jsonl}
  treatment: {outputs: treatment.jsonl}
judge: {recorded: verdicts.csv}
"""


def load(folder: Path, text: str) -> Duel:
    path = folder / "duel.yaml"
    path.write_text(text, encoding="utf-8")
    return load_duel(path)


def told(folder: Path, text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        load(folder, text)
    return [str(problem).removeprefix(f"{folder}/duel.yaml:") for problem in caught.value.problems]


def test_the_short_form_is_enough(tmp_path: Path) -> None:
    duel = load(tmp_path, SHORT)
    assert duel.dataset.file == "golden.jsonl"
    assert duel.dataset.id == "id"
    assert duel.baseline == "control"
    assert duel.conflicts is ConflictRule.TIE
    assert duel.confidence == 0.95
    assert duel.recorded is not None
    recorded = duel.recorded.recorded
    assert recorded is not None
    assert (recorded.id, recorded.first, recorded.second, recorded.verdict) == (
        "id",
        "first",
        "second",
        "verdict",
    )


def test_scalars_are_read_as_the_text_a_csv_file_would_hold(tmp_path: Path) -> None:
    duel = load(
        tmp_path,
        SHORT.replace(
            "verdicts.csv",
            "{file: v.csv, values: {first: 1, second: [2, B], tie: 3.0}, where: {by: gpt4, round: [1, 2]}}",
        ),
    )
    assert duel.recorded is not None
    assert duel.recorded.recorded is not None
    values = duel.recorded.recorded.values
    assert (values.first, values.second, values.tie) == (("1",), ("2", "B"), ("3",))
    assert duel.recorded.recorded.where == {"by": ("gpt4",), "round": ("1", "2")}


@pytest.mark.parametrize(
    ("names", "control", "baseline"),
    [
        (["old", "new"], None, "old"),
        (["new", "control"], None, "control"),
        (["old", "new"], "new", "new"),
        (["a1", "a2", "a3"], None, None),
        (["a1", "control", "a3"], None, "control"),
    ],
)
def test_the_control_is_said_or_understood(
    tmp_path: Path, names: list[str], control: str | None, baseline: str | None
) -> None:
    text = "duel: d\ndataset: g.csv\njudge: {recorded: v.csv}\n"
    text += f"variants: {{{', '.join(f'{name}: {{}}' for name in names)}}}\n"
    text += f"control: {control}\n" if control else ""
    assert load(tmp_path, text).baseline == baseline


def test_the_gate_sets_the_confidence_of_what_is_shown(tmp_path: Path) -> None:
    duel = load(tmp_path, SHORT + "gate: {win_rate: {above: 0.5}, alpha: 0.05}\n")
    assert duel.confidence == pytest.approx(0.9)


def test_all_mistakes_of_a_file_come_at_once_each_with_its_place(tmp_path: Path) -> None:
    text = """\
duel: x
dataset: {file: q.jsonl, idd: question_id}
variants:
  old: {outputs: a.jsonl}
  new: {}
contrl: old
judge: {recorded: {file: r.csv, values: {first: 1, second: 1}}}
conflicts: ties
checks: [{contains: x, regex: y}, {not-regex: "(("}, {length: 5}, {length: {max: 5}}, {lenght: 3}, {}]
gate: {win_rate: {above: 1.5}, checks: {zzz: {margin: 2%}, all: {margin: 2%, min: 3%}}}
"""
    expected = [
        ("2:26", "Unknown field 'idd'", "Did you mean `id`?"),
        ("5:8", "Checks need the `outputs` of every variant", ""),
        ("6:1", "Unknown field 'contrl'", "Did you mean `control`?"),
        ("7:41", "The same text stands for two verdicts.", ""),
        ("8:12", "Found 'ties'", "Did you mean `tie`?"),
        ("9:10", "found `contains` and `regex`", ""),
        ("9:47", "is not a regular expression", ""),
        ("9:67", "Two checks are called 'length at most 5 characters'", "another `name`"),
        ("9:88", "Unknown field 'lenght'", "Did you mean `length`?"),
        ("9:100", "found none", ""),
        ("10:26", "1.5 is not a share", ""),
        ("10:41", "There is no check 'zzz'", ""),
        ("10:65", "one of `margin`, `above` and `min`", ""),
    ]
    found = told(tmp_path, text)
    for (place, words, hint), problem in zip(expected, found, strict=True):
        assert problem.startswith(place), (place, problem)
        assert words in problem
        assert hint in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("judge: {recorded: verdicts.csv}\n", ""), "needs a `judge`, `checks` or both"),
        (
            ("judge: {recorded: verdicts.csv}\n", "gate: {win_rate: {}}\nchecks: [{length: 9}]\n"),
            "needs a `judge`",
        ),
        (("  treatment: {outputs: treatment.jsonl}\n", ""), "at least 2"),
        (("duel: refunds\n", ""), "`duel` is missing"),
        (("  treatment:", "  first:"), "could mean this variant or a display position"),
        (("judge:", "control: treatmnt\njudge:"), "Did you mean `treatment`?"),
        (("judge:", "gate: {}\njudge:"), "A gate asks for at least one of `win_rate`, `axes` and `checks`."),
        (("judge:", "gate: {checks: {all: {min: 1}}}\njudge:"), "There are no checks"),
        (
            ("judge:", "checks: [{length: 9}]\ngate: {checks: {all: {margin: 5}}}\njudge:"),
            "Write 0.05 for 5 points, or 5% for that part of the control's.",
        ),
        (
            ("judge:", "checks: [{length: 9}]\ngate: {checks: {all: {margin: 100%}}}\njudge:"),
            "A margin of 100% allows every pass rate",
        ),
        (("judge:", "gate: {axes: {tone: {margin: 1}}}\njudge:"), "Axes need a judge that scores answers"),
        (("judge:", "gate: {win_rate: {}, axes: {}, checks: {}, alhpa: 1}\njudge:"), "Did you mean `alpha`?"),
        (("judge:", "gate: {win_rate: {}, alpha: 0.5}\njudge:"), "less than 0.5"),
        (("  control:", "  other:\n    outputs: x.csv\n  old:"), "OTHER"),
    ],
)
def test_each_mistake_has_words_of_its_own(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    text = SHORT.replace(*change)
    if words == "OTHER":
        text, words = text + "gate: {win_rate: {}}\n", "A gate compares with the control"
    problems = told(tmp_path, text)
    assert len(problems) == 1
    assert words in problems[0]


def test_declared_values_let_a_variant_have_any_name(tmp_path: Path) -> None:
    text = SHORT.replace("  treatment:", "  first:").replace(
        "verdicts.csv", "{file: v.csv, values: {first: A, second: B}}"
    )
    assert "first" in load(tmp_path, text).variants


@pytest.mark.parametrize(
    ("written", "kind", "negated", "title"),
    [
        ({"equals": "yes"}, CheckKind.EQUALS, False, "equals yes"),
        ({"not-contains-any": ["a", "b"]}, CheckKind.CONTAINS_ANY, True, "not-contains-any a, b"),
        ({"equals": {"column": "expected"}}, CheckKind.EQUALS, False, "equals column expected"),
        ({"regex": "x" * 50}, CheckKind.REGEX, False, "regex " + "x" * 37 + "..."),
        ({"not-length": {"min": 2, "unit": "words"}}, CheckKind.LENGTH, True, "not-length at least 2 words"),
        (
            {"length": {"min": 2, "max": 4}},
            CheckKind.LENGTH,
            False,
            "length at least 2 and at most 4 characters",
        ),
        ({"json-schema": {"type": "object"}}, CheckKind.JSON_SCHEMA, False, "json-schema"),
        ({"json-schema": "file://s.json"}, CheckKind.JSON_SCHEMA, False, "json-schema s.json"),
        ({"contains": 911}, CheckKind.CONTAINS, False, "contains 911"),
        ({"contains-all": [1, True, "x"]}, CheckKind.CONTAINS_ALL, False, "contains-all 1, true, x"),
        ({"regex": 42}, CheckKind.REGEX, False, "regex 42"),
        ({"name": "polite", "contains": "please"}, CheckKind.CONTAINS, False, "polite"),
        ({"is-json": True}, CheckKind.IS_JSON, False, "is-json"),
        ({"not-is-refusal": True}, CheckKind.IS_REFUSAL, True, "not-is-refusal"),
        ({"starts-with": "Hi"}, CheckKind.STARTS_WITH, False, "starts-with Hi"),
        (
            {"levenshtein": {"to": {"column": "e"}, "max": 3}},
            CheckKind.LEVENSHTEIN,
            False,
            "levenshtein at most 3 from column e",
        ),
        ({"not-pii-leak": True}, CheckKind.PII_LEAK, True, "not-pii-leak"),
        ({"not-pii-leak": ["email", "ip"]}, CheckKind.PII_LEAK, True, "not-pii-leak email, ip"),
        ({"latency": 1500}, CheckKind.LATENCY, False, "latency at most 1500"),
        ({"cost": {"min": 0.1, "max": 0.5}}, CheckKind.COST, False, "cost at least 0.1 and at most 0.5"),
        ({"finish-reason": ["stop", "length"]}, CheckKind.FINISH_REASON, False, "finish-reason stop, length"),
        ({"tool-calls": "find"}, CheckKind.TOOL_CALLS, False, "tool-calls find"),
        (
            {"tool-calls": [{"name": "find", "arguments": {"id": 7}}, "send"]},
            CheckKind.TOOL_CALLS,
            False,
            "tool-calls find, send",
        ),
        (
            {"tool-calls": {"column": "t", "exactly": True}},
            CheckKind.TOOL_CALLS,
            False,
            "tool-calls column t",
        ),
        ({"passes-tests": {"column": "tests"}}, CheckKind.PASSES_TESTS, False, "passes-tests column tests"),
        ({"python": "support.checks:polite"}, CheckKind.PYTHON, False, "python support.checks:polite"),
        (
            {"contains": "x", "when": {"topic": ["a", "b"], "tier": 1}},
            CheckKind.CONTAINS,
            False,
            "contains x where topic a, b; tier 1",
        ),
    ],
)
def test_a_check_knows_its_kind_and_title(
    written: dict[str, object], kind: CheckKind, negated: bool, title: str
) -> None:
    check = OutputCheck.model_validate(written)
    assert (check.kind, check.negated, check.title) == (kind, negated, title)


@pytest.mark.parametrize(
    "written",
    [
        {"contains": ""},
        {"contains": []},
        {"regex": "("},
        {"regex": "a" * 3000},
        {"json-schema": False},
        {"json-schema": "schema.json"},
        {"json-schema": 5},
        {"equals": ["a"]},
        {"contains": {"colum": "a"}},
        {"contains": [["a"]]},
        {"length": {}},
        {"length": {"min": 5, "max": 4}},
        {"length": -1},
        {"length": 5, "ignore_case": True},
        {"equals": "a", "not-equals": "b"},
        {"contains": ["a", "b"]},
        {"contains-any": "a"},
        {"contains-any": []},
        {"contains-all": ["a", ""]},
        {"starts-with": ""},
        {"is-json": False},
        {"not-is-refusal": "yes"},
        {"levenshtein": "a"},
        {"levenshtein": {"to": "a", "max": -1}},
        {"levenshtein": {"to": "a", "max": 1.5}},
        {"pii-leak": ["name"]},
        {"pii-leak": []},
        {"pii-leak": False},
        {"latency": {}},
        {"latency": -1},
        {"latency": {"min": 5, "max": 4}},
        {"cost": "cheap"},
        {"tool-calls": []},
        {"tool-calls": {"column": "a", "calls": ["b"]}},
        {"pii-leak": {"allow": [{"colum": "a"}]}},
        {"tool-calls": [{"arguments": {}}]},
        {"tool-calls": [{"name": "a", "args": {}}]},
        {"passes-tests": {"tests": "x", "k": 0}},
        {"passes-tests": {"tests": "x", "language": "rust"}},
        {"python": "checks.polite"},
        {"python": "checks:a b"},
        {"negated": True, "contains": "x"},
        {"contains": None},
        {"latency": 5, "ignore_case": True},
    ],
)
def test_a_check_that_makes_no_sense_is_refused(written: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        OutputCheck.model_validate(written)


def test_columns_that_checks_refer_to_are_known_before_the_dataset_is_read(tmp_path: Path) -> None:
    text = (
        SHORT
        + """\
checks:
  - {equals: {column: answer}}
  - {not-contains: {column: trap}}
  - {contains: x, when: {topic: late}}
  - {levenshtein: {to: {column: answer}, max: 3}}
  - {pii-leak: {allow: [shop@example.org, {column: question}]}}
  - {tool-calls: {column: tools}}
  - {passes-tests: {column: tests}}
  - {python: {function: "a:b", columns: [policy]}}
"""
    )
    columns = ("answer", "trap", "topic", "question", "tools", "tests", "policy")
    assert referenced_columns(load(tmp_path, text)) == columns


def test_every_kind_of_check_has_its_opposite_in_the_schema_and_its_mistakes_at_their_line(
    tmp_path: Path,
) -> None:
    properties = schema("duel")["$defs"]["OutputCheck"]["properties"]
    for kind in CheckKind:
        assert {kind.value, f"not-{kind}"} <= properties.keys()
    assert "negated" not in properties
    text = (
        SHORT
        + """\
checks:
  - name: fast
    not-latency: soon
  - {not-tool-calls: [{nam: a}]}
  - {not-starts-wth: a}
  - {levenshtein: {max: 1, to: {colum: a}}}
"""
    )
    assert [problem.split(" ")[0] for problem in told(tmp_path, text)] == ["9:18", "10:24", "11:6", "12:32"]
