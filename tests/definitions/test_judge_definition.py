"""A judge's file: what it may say, every mistake at its line, and what a schema accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from tests.definitions.conftest import write

from promptarena.definitions.duel import load_duel
from promptarena.definitions.judge import JudgeEntry, RagMetric, Shown, load_judge
from promptarena.definitions.schema import schema
from promptarena.errors import DefinitionError, Problem

JUDGE = """\
judge: support
provider: openai
model: gpt-4o
sees: [reference, context]
pairwise: {criteria: Which answer helps this customer more?}
rubric:
  accuracy:
    question: Does it say what the policy says?
    levels: {1: No., 3: In part., 5: Yes.}
  tone: {question: "file://tone.md", levels: {1: Rude., 5: Kind.}, scale: [0, 5]}
scoring: g-eval
metrics: [faithfulness]
panel:
  members: [{model: gpt-4o-mini}, {provider: anthropic, model: claude-haiku-4-5, temperature: null}]
  scores: median
abstain: true
repeat: {times: 2, share: 10%}
prompts: {pairwise: "file://pairwise.md"}
"""
FILES = {
    "judges/support.yaml": JUDGE,
    "tone.md": "Is it friendly?\n",
    "judges/pairwise.md": "Be strict. {{ criteria }}\n",
    "golden.jsonl": '{"id": "1", "question": "Where?", "expected": "There.", "documents": ["d"]}\n',
}
DUEL = """\
duel: cites-policy
dataset: {file: golden.jsonl, input: question, context: documents, reference: expected}
variants: {control: {outputs: control.jsonl}, treatment: {outputs: treatment.jsonl}}
judge: judges/support.yaml
gate: {win_rate: {above: 0.5}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, FILES)
    return tmp_path


def judge(folder: Path, text: str = JUDGE) -> JudgeEntry:
    write(folder, {"judges/support.yaml": text})
    return load_judge(folder / "judges/support.yaml", folder)


def problems_of(folder: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionError) as caught:
        judge(folder, text)
    return caught.value.problems


def test_a_judge_is_read_with_its_files(folder: Path) -> None:
    found = judge(folder)
    assert found.prompts.pairwise == "Be strict. {{ criteria }}\n"
    assert found.rubric is not None
    assert found.rubric["tone"].question == "Is it friendly?\n"
    assert (found.rubric["tone"].low, found.rubric["tone"].high) == (0, 5)
    assert (found.rubric["accuracy"].low, found.rubric["accuracy"].high) == (1, 5)
    assert found.rubric["accuracy"].levels[3] == "In part."
    assert found.metrics == (RagMetric.FAITHFULNESS,)
    assert found.needs == (Shown.REFERENCE, Shown.CONTEXT)


def test_members_of_a_panel_inherit_what_they_do_not_say(folder: Path) -> None:
    first, second = judge(folder).members
    assert (first.provider, first.model, first.temperature) == ("openai", "gpt-4o-mini", 0.0)
    assert (second.provider, second.model, second.temperature) == ("anthropic", "claude-haiku-4-5", None)


def test_short_forms_mean_the_long_ones() -> None:
    base: dict[str, Any] = {"provider": "p", "model": "m"}
    short = JudgeEntry.model_validate(
        base | {"pairwise": "x", "repeat": 2, "panel": [{"model": "a"}, {"model": "b"}]}
    )
    assert short == JudgeEntry.model_validate(
        base
        | {
            "pairwise": {"criteria": "x", "ties": True},
            "repeat": {"times": 2, "share": "20%"},
            "panel": {"members": [{"model": "a"}, {"model": "b"}]},
        }
    )
    assert short.panel is not None
    assert short.panel.needed == 2


# what is written, what is written instead, line, field, words of the message
MISTAKES = [
    ("judge: support", "judge: the support", 1, "judge", "a name has letters"),
    ("judge: support\n", "", 1, "judge", "`judge` is missing"),
    ("provider: openai\n", "", 13, "panel", "Member 1 of the panel has no `provider`"),
    ("model: gpt-4o\n", "modle: gpt-4o\n", 3, "modle", "Did you mean `model`?"),
    ("sees: [reference, context]", "sees: [reference, contxt]", 4, "sees[1]", "Did you mean `context`?"),
    ("{criteria: Which", "{critera: Which", 5, "pairwise.critera", "Did you mean `criteria`?"),
    (
        "{criteria: Which answer helps this customer more?}",
        '{criteria: " "}',
        5,
        "pairwise.criteria",
        "expected some text",
    ),
    ("{1: No., 3: In part., 5: Yes.}", "{1: No.}", 9, "rubric.accuracy.levels", "at least 2"),
    ("{1: No., 3", "{low: No., 3", 9, "rubric.accuracy.levels.low", "Expected a whole number; found 'low'"),
    ("{1: No., 3: In part.", "{1: No., 3: ", 9, "rubric.accuracy.levels.3", "Expected text; found nothing"),
    (
        "scale: [0, 5]",
        "scale: [2, 5]",
        10,
        "rubric.tone.levels",
        "The level 1 is outside of the scale 2 to 5",
    ),
    ("scale: [0, 5]", "scale: [5, 0]", 10, "rubric.tone.scale", "A scale is [lowest, highest]"),
    ("scale: [0, 5]", "scale: [0, 500]", 10, "rubric.tone.scale", "at most 101 scores; this one has 501"),
    ("scale: [0, 5]", "scale: [0, 10]", 11, "scoring", "scores of one digit; `tone` goes from 0 to 10"),
    ("file://tone.md", "file://tine.md", 10, "rubric.tone.question", "Did you mean `tone.md`?"),
    ("file://tone.md", "file://../../etc/passwd", 10, "rubric.tone.question", "outside the project"),
    ("  accuracy:", "  preference:", 7, "rubric", "cannot be called `preference`"),
    ("  accuracy:", "  faithfulness:", 7, "rubric", "cannot be called `faithfulness`"),
    ("scoring: g-eval", "scoring: g-evil", 11, "scoring", "Did you mean `g-eval`?"),
    ("metrics: [faithfulness]", "metrics: [faithfullness]", 12, "metrics[0]", "Did you mean `faithfulness`?"),
    ("metrics: [faithfulness]", "metrics: [faithfulness, faithfulness]", 12, "metrics", "named twice"),
    ("  scores: median", "  scores: modus", 15, "panel.scores", "accepted: `mean`, `median`"),
    ("  scores: median", "  min_votes: 3", 15, "panel.min_votes", "3 votes cannot come from 2 members"),
    ("abstain: true", "abstain: perhaps", 16, "abstain", "true or false"),
    ("times: 2", "times: 1", 17, "repeat.times", "at least 2; found 1"),
    ("share: 10%", "share: 0", 17, "repeat.share", "more than 0"),
    ("file://pairwise.md", "file://rubric.md", 18, "prompts.pairwise", "There is no file 'rubric.md'"),
    ("file://pairwise.md", "{{ criterion }}", 18, "prompts.pairwise", "Did you mean `criteria`?"),
    ("file://pairwise.md", "{% if %}", 18, "prompts.pairwise", "not a Jinja2 template"),
    ("{pairwise: ", "{context_recall: ", 18, "prompts.context_recall", "Did you mean `context-recall`?"),
]


@pytest.mark.parametrize(("old", "new", "line", "field", "words"), MISTAKES)
def test_each_mistake_is_told_at_its_place(
    folder: Path, old: str, new: str, line: int, field: str, words: str
) -> None:
    assert old in JUDGE
    found = problems_of(folder, JUDGE.replace(old, new, 1))
    assert len(found) == 1, [str(problem) for problem in found]
    assert words.casefold() in str(found[0]).casefold()
    assert found[0].where is not None
    assert found[0].where.field == field
    assert found[0].where.line == line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("judge: j\nprovider: p\nmodel: m\n", "`pairwise`, `rubric`, `metrics`, or several"),
        ("judge: j\nprovider: p\npairwise: x\n", "A judge has no `model`"),
        (
            "judge: j\nprovider: p\nmodel: m\npairwise: x\nscoring: g-eval\n",
            "G-Eval weighs the scores of a `rubric`",
        ),
        ("judge: j\nprovider: p\nmodel: m\nmetrics: [faithfulness]\nrepeat: 2\n", "it needs `pairwise`"),
        ("judge: j\nprovider: p\nmodel: m\nrubric: {}\n", "at least 1"),
    ],
)
def test_what_does_not_fit_together_is_told(folder: Path, text: str, words: str) -> None:
    assert words in "\n".join(map(str, problems_of(folder, text)))


def test_several_mistakes_are_told_at_once(folder: Path) -> None:
    text = (
        JUDGE.replace("sees: [", "sees: [all, ")
        .replace("scale: [0, 5]", "scale: [9, 5]")
        .replace("times: 2", "times: two")
    )
    assert [problem.where and problem.where.line for problem in problems_of(folder, text)] == [4, 10, 17]


# Within a duel


def duel_problems(folder: Path, text: str, **files: str) -> list[str]:
    write(folder, {"duel.yaml": text} | files)
    with pytest.raises(DefinitionError) as caught:
        load_duel(folder / "duel.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_duel_names_a_judges_file(folder: Path) -> None:
    write(folder, {"duel.yaml": DUEL})
    duel = load_duel(folder / "duel.yaml")
    assert duel.live_judge is not None
    assert duel.recorded is None
    assert duel.live_judge.judge == "support"
    assert duel.live_judge.prompts.pairwise == "Be strict. {{ criteria }}\n"


def test_a_duel_may_hold_its_judge(folder: Path) -> None:
    text = DUEL.replace(
        "judge: judges/support.yaml", "judge: {provider: p, model: m, pairwise: file://tone.md}"
    )
    write(folder, {"duel.yaml": text})
    duel = load_duel(folder / "duel.yaml")
    assert duel.live_judge is not None
    assert duel.live_judge.judge is None
    assert duel.live_judge.pairwise is not None
    assert duel.live_judge.pairwise.criteria == "Is it friendly?\n"


def test_a_judges_mistakes_are_told_with_its_own_file_beside_the_duels(folder: Path) -> None:
    told = duel_problems(
        folder,
        DUEL.replace("0.5", "5"),
        **{"judges/support.yaml": JUDGE.replace("gpt-4o\n", "gpt-4o\nsaw: x\n", 1)},
    )
    assert len(told) == 2
    assert "duel.yaml:5" in told[0]
    assert "judges/support.yaml:4:1 (saw)" in told[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "judges/support.yaml",
            "judges/suport.yaml",
            "duel.yaml:4:8 (judge): There is no file 'judges/suport.yaml'",
        ),
        ("judges/support.yaml", "../support.yaml", "outside the project"),
        (
            ", reference: expected",
            "",
            "The judge has to see the expected answer, and the dataset names no `reference` column",
        ),
        (", context: documents", "", "The judge has to see the source documents"),
        ("input: question, ", "", "names no `input` and no `template`"),
        ("judges/support.yaml", "{recoded: v.csv}", "Did you mean `recorded`?"),
        (
            "judges/support.yaml",
            "{provider: p, model: m, metrics: [answer-relevance]}",
            "A win rate needs a judge that compares pairs",
        ),
    ],
)
def test_what_a_judge_and_its_duel_lack_is_told_once(folder: Path, old: str, new: str, words: str) -> None:
    assert old in DUEL
    told = duel_problems(folder, DUEL.replace(old, new))
    assert len(told) == 1, told
    assert words in told[0]


# For editors


def accepts(text: str) -> bool:
    data: Any = YAML(typ="safe", pure=True).load(text)
    # As JSON has it, and as our reader of YAML does: every key is a text.
    levels = {
        name: {**axis, "levels": {str(k): v for k, v in axis["levels"].items()}}
        for name, axis in data["rubric"].items()
    }
    return bool(Draft202012Validator(schema("judge")).is_valid(data | {"rubric": levels}))


def test_the_schema_accepts_a_judge_in_its_long_and_short_forms() -> None:
    assert accepts(JUDGE)
    assert accepts(JUDGE.replace("{criteria: Which answer helps this customer more?}", "Which?"))
    assert accepts(JUDGE.replace("repeat: {times: 2, share: 10%}", "repeat: 2"))
    assert accepts(JUDGE.replace("panel:\n  members: ", "panel: ").replace("\n  scores: median", ""))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("judge: support\n", ""),
        ("model: gpt-4o\n", "modle: gpt-4o\n"),
        ("sees: [reference", "sees: [all"),
        ("criteria:", "critera:"),
        ("scoring: g-eval", "scoring: sum"),
        ("scale: [0, 5]", "scale: [0]"),
        ("share: 10%", "share: much"),
        ("metrics: [faithfulness]", "metrics: faithfulness"),
        ("{pairwise: ", "{context_recall: "),
    ],
)
def test_the_schema_refuses_what_is_broken(old: str, new: str) -> None:
    assert old in JUDGE
    assert not accepts(JUDGE.replace(old, new, 1))
