"""promptfoo's configurations as duels: what is carried over, what is left with its line, and bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.evaluation.promptfoo_examples import write_full

from promptarena.definitions.duel import load_duel
from promptarena.errors import ArenaError, DefinitionError, Location, UsageError
from promptarena.evaluation.dataset import load_dataset
from promptarena.evaluation.promptfoo import Imported, import_promptfoo
from promptarena.evaluation.promptfoo.assertions import Wanted, as_check, from_cell, separated
from promptarena.evaluation.promptfoo.leftovers import Leftovers

SMALL = """\
prompts: ["Say {{x}}"]
providers: [openai:gpt-4o-mini, openai:gpt-4o]
"""


def imported(folder: Path, text: str, name: str = "promptfooconfig.yaml") -> tuple[Imported, dict[str, Any]]:
    (folder / name).write_text(text)
    made = import_promptfoo(folder / name, folder / "out")
    return made, YAML(typ="safe").load(made.duel.read_text())


def rows(made: Imported) -> list[dict[str, Any]]:
    return [json.loads(line) for line in made.dataset.read_text().splitlines()]


def left(made: Imported) -> list[str]:
    folder = made.duel.parent.parent
    return [str(problem).removeprefix(f"{folder}/") for problem in made.left]


def test_prompts_with_providers_become_variants_and_tests_become_cases(tmp_path: Path) -> None:
    made = import_promptfoo(write_full(tmp_path), tmp_path / "out")
    duel = YAML(typ="safe").load(made.duel.read_text())
    assert (duel["duel"], duel["control"], duel["repeat"]) == (
        "Support bot answers",
        "prompt-1-gpt-4o-mini",
        2,
    )
    assert duel["dataset"] == {
        "file": "cases.jsonl",
        "id": "case_id",
        "template": "Answer briefly: {{question}}",
        "segments": ["topic"],
    }
    assert duel["variants"]["prompt-1-claude"] == {
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "temperature": 0,
        "max_tokens": 200,
    }
    assert duel["variants"]["cites-gpt-4o-mini"]["template"].startswith("Answer, and cite the policy.")
    assert duel["checks"] == [
        {"not-contains": "as an AI"},
        {"latency": 3000.0},
        {"contains": {"column": "expect_contains_1"}, "ignore_case": True},
        {"contains-any": {"column": "expect_contains_any_1"}},
        {"json-schema": {"type": "object"}, "when": {"checks": "expect_json_schema_1"}},
        {"length": {"max": 50, "unit": "words"}, "when": {"checks": "expect_length_1"}},
        {"not-regex": "refund(ed)?", "when": {"checks": "expect_not_regex_1"}},
        {"contains": {"column": "expect_contains_2"}},
        {"levenshtein": {"to": {"column": "expect_levenshtein_1"}, "max": 3}},
        {"equals": {"column": "expect_equals_1"}},
        {"contains-all": {"column": "expect_contains_all_1"}},
    ]
    assert [each["embedding"]["min"] for each in duel["similarity"]] == [0.7, 0.9]
    cases = rows(made)
    assert len(cases) == made.cases == 7
    assert cases[0] == {
        "case_id": "1",
        "description": "late parcel",
        "tier": "",
        "question": "Where is my parcel?",
        "answer": "tomorrow",
        "topic": "late",
        "expect_contains_1": "tomorrow",
        "expect_similarity_1": "It comes tomorrow.",
    }
    assert [case["question"] for case in cases[1:3]] == ["May I return it?", "Can I send it back?"]
    assert cases[3]["checks"] == ["expect_json_schema_1", "expect_length_1", "expect_not_regex_1"]
    assert (cases[4]["topic"], cases[4]["labels"]) == ("greeting", ["a", "b,c"])
    assert cases[6]["expect_contains_all_1"] == ["a, b", "c"]


def test_what_is_not_carried_over_is_listed_by_line_and_stands_above_the_duel(tmp_path: Path) -> None:
    made = import_promptfoo(write_full(tmp_path), tmp_path / "out")
    places = [text.split(": ")[0] for text in left(made)]
    assert places == [
        "more.csv:1 (__prefix)",
        "promptfooconfig.yaml:11:47 (providers[1].config.apiKey)",
        "promptfooconfig.yaml:12:5 (providers[2])",
        "promptfooconfig.yaml:27:9 (tests[1].assert[1])",
        "promptfooconfig.yaml:28:9 (tests[1].assert[2])",
        "promptfooconfig.yaml:34:5 (tests[2].threshold)",
        "promptfooconfig.yaml:36:30 (evaluateOptions.maxConcurrency)",
        "promptfooconfig.yaml:37:1 (outputPath)",
    ]
    above = made.duel.read_text().split("\nduel:")[0]
    assert all(str(problem) in above for problem in made.left)


def test_what_is_written_is_a_duel_and_a_dataset_of_ours(tmp_path: Path) -> None:
    made = import_promptfoo(write_full(tmp_path), tmp_path / "out")
    duel = load_duel(made.duel)
    assert list(duel.variants) == list(made.variants)
    first, *_ = load_dataset(duel.dataset, made.duel.parent).cases()
    assert first.text == "Answer briefly: Where is my parcel?"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Paris", Wanted("equals", False, "null", "Paris")),
        ("equals:Paris", Wanted("equals", False, "null", "Paris")),
        ("not-contains: Rome", Wanted("contains", True, "null", "Rome")),
        ("icontains:PARIS", Wanted("contains", False, "null", "PARIS", ignore_case=True)),
        ("contains-any:a, b", Wanted("contains-any", False, "null", '["a", "b"]')),
        ("not-icontains-all:a,b", Wanted("contains-all", True, "null", '["a", "b"]', ignore_case=True)),
        ("starts-with:Dear", Wanted("starts-with", False, "null", "Dear")),
        ("similar:Hello", Wanted("similarity", False, "0.8", "Hello")),
        ("similar(0.6):Hello", Wanted("similarity", False, "0.6", "Hello")),
        ("levenshtein:Hello", Wanted("levenshtein", False, "5", "Hello")),
        ("levenshtein(2):Hello", Wanted("levenshtein", False, "2", "Hello")),
        ("is-json", Wanted("is-json", False, "true", None)),
        ('is-json:{"type": "array"}', Wanted("json-schema", False, '{"type": "array"}', None)),
        ("regex:^a.c$", Wanted("regex", False, '"^a.c$"', None)),
        ("latency(800)", Wanted("latency", False, "800.0", None)),
        ("cost(0.01)", Wanted("cost", False, "0.01", None)),
        ("not-is-refusal", Wanted("is-refusal", True, "true", None)),
        ("word-count:7", Wanted("length", False, '{"max": 7, "min": 7, "unit": "words"}', None)),
        ("finish-reason:stop", Wanted("finish-reason", False, '"stop"', None)),
        ("grade:is polite", Wanted("rubric", False, "null", "is polite")),
        ("javascript:output.length > 3", None),
        ("file://check.py", None),
        ("python:len(output) > 3", None),
        ("regex:(?<a", None),
        ("latency", None),
        ("is-json:{broken", None),
        ("rouge-n(0.5):text", None),
        ("not-similar:text", None),
        ("contains:", None),
    ],
)
def test_every_form_of_an_expected_cell_is_read_or_told_of(cell: str, expected: Wanted | None) -> None:
    told = Leftovers()
    assert as_check(from_cell(cell, None, Location(line=3)), told) == expected
    assert (len(told.told) == 1) == (expected is None)


def test_a_list_in_a_cell_may_quote_commas_and_quotes() -> None:
    assert separated('a,"b, c" , "d ""e"" f","g \\"h\\""') == ["a", "b, c", 'd "e" f', 'g "h"']


def test_one_demand_on_all_answers_becomes_a_rubric(tmp_path: Path) -> None:
    made, duel = imported(
        tmp_path,
        SMALL + "defaultTest: {assert: [{type: llm-rubric, value: Is it polite?, metric: Tone of voice}]}\n"
        "tests: [{vars: {x: a}}, {vars: {x: b}}]\n",
    )
    assert duel["judge"]["rubric"]["Tone-of-voice"]["question"] == "Is it polite?"
    assert (made.left, made.checks) == ((), 1)
    assert load_duel(made.duel).live_judge is not None


def test_one_variant_is_copied_so_that_there_is_something_to_compare(tmp_path: Path) -> None:
    made, duel = imported(tmp_path, "prompts: ['{{x}}']\nproviders: openai:gpt-4o\ntests: [{vars: {x: a}}]\n")
    assert (
        duel["variants"]["control"]
        == duel["variants"]["treatment"]
        == {"provider": "openai", "model": "gpt-4o"}
    )
    assert "pairwise" in duel["judge"]  # nothing was asserted
    copied, judged = left(made)
    assert "`treatment` is a copy" in copied
    assert "a judge compares the answers instead" in judged


def test_prompts_come_from_files_of_texts_and_of_chats(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("First {{x}}\n---\nSecond {{x}}\n")
    chat = [{"role": "system", "content": "Be {{tone}}."}, {"role": "user", "content": "{{x}}"}]
    (tmp_path / "chat.json").write_text(json.dumps(chat))
    text = "prompts: [file://two.txt, chat.json, file://p.py, file://none.txt]\nproviders: [openai:gpt-4o]\n"
    made, duel = imported(
        tmp_path, text + "tests: [{vars: {x: a, tone: kind}, assert: [{type: equals, value: b}]}]\n"
    )
    assert duel["dataset"]["template"] == "First {{x}}"
    assert [each.get("template") for each in duel["variants"].values()] == [None, "Second {{x}}", chat]
    assert [text.split(": ")[1][:30] for text in left(made)] == [
        "The prompt file://p.py is a pr",
        "The prompt file://none.txt can",
    ]


def test_tests_come_from_files_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"vars": {"x": 1}, "assert": [{"type": "contains", "value": "1"}]}\n')
    (tmp_path / "t.yaml").write_text("- vars: {x: 2}\n  options: {transform: y}\n")
    (tmp_path / "t.json").write_text('[{"vars": {"x": 3}}]')
    (tmp_path / "long.md").write_text("a long text")
    text = (
        SMALL + "tests: [file://t.jsonl, t.yaml, file://t.json, file://gen.py, {vars: {x: file://long.md}}]\n"
    )
    made, _ = imported(tmp_path, text)
    assert [case["x"] for case in rows(made)] == [1, 2, 3, "a long text"]
    assert left(made)[-1].startswith("t.yaml:1")
    assert any("file://gen.py are no file of records" in text for text in left(made))


def test_other_columns_of_csv_that_mean_something_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "x,__description,__metric,__expected,__suffix,__providerOutput\na,d,M,b,s,o\n"
    )
    made, duel = imported(tmp_path, SMALL + "tests: file://t.csv\n")
    assert rows(made) == [{"case_id": "1", "description": "d", "x": "a"}]
    assert duel["checks"] == [{"name": "M", "equals": "b"}]
    assert [text.split(" is")[0] for text in left(made)] == [
        "t.csv:1 (__suffix): The column `__suffix`",
        "t.csv:1 (__providerOutput): The column `__providerOutput`",
    ]


def test_templates_of_assertions_are_followed_and_what_would_mean_something_else_is_left(
    tmp_path: Path,
) -> None:
    made, duel = imported(
        tmp_path,
        """\
prompts: ["{{env.HOME}} {{x}}", "Say {{x}}"]
providers: [openai:gpt-4o]
assertionTemplates: {noise: {type: icontains, value: arrr}}
tests:
  - vars: {x: a}
    metadata: {conversationId: c1}
    assert:
      - $ref: '#/assertionTemplates/noise'
      - $ref: '#/assertionTemplates/none'
      - {type: equals, value: b, transform: output.name}
      - {type: equals, value: c, weight: 2}
""",
    )
    assert duel["checks"] == [{"contains": "arrr", "ignore_case": True}, {"equals": "c"}]
    assert [text.split(": ")[1][:40] for text in left(made)] == [
        "A prompt names `env`, which is not carri",
        "Tests of one `conversationId` are turns ",
        "An assertion has no type; it is left out",
        "The assertion `equals` looks at what its",
        "`weight` of an assertion `equals` is not",
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("promptfooconfig.yaml", "prompts: [a\n", "This is not YAML"),
        ("promptfooconfig.yaml", "", "The file is empty"),
        ("promptfooconfig.js", "module.exports = {}", "A configuration is YAML or JSON here"),
        (
            "promptfooconfig.yaml",
            "prompts: ['{{x}}']\ntests: [{vars: {x: 1}}]\n",
            "There is no provider that can be carried",
        ),
        (
            "promptfooconfig.yaml",
            "prompts: ['{{x']\nproviders: openai:a\ntests: [{}]\n",
            "There is no prompt that can be carried",
        ),
        ("promptfooconfig.yaml", SMALL + "tests: []\n", "There is no test that can be carried over"),
        ("promptfooconfig.yaml", SMALL + "tests: none.csv\n", "There is no such file"),
    ],
)
def test_what_cannot_be_imported_at_all_is_told_and_nothing_is_written(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(ArenaError, match=said):
        imported(tmp_path, text, name)
    assert not (tmp_path / "out").exists()


def test_a_duel_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    text = SMALL + "tests: [{vars: {x: a}, assert: [{type: equals, value: b}]}]\n"
    imported(tmp_path, text)
    with pytest.raises(UsageError, match="is there already"):
        imported(tmp_path, text)


def test_a_configuration_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="The top of a definition is a mapping"):
        imported(tmp_path, "- a\n")
