from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from promptarena.definitions.analysis_plan import Design, Guardrail, Primary
from promptarena.definitions.document import parse_document
from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.validation import Mistakes, validate
from promptarena.errors import DefinitionError


class Small(Frozen):
    kind: Literal["small"]
    size: Annotated[int, Field(strict=True, ge=1)]


class Large(Frozen):
    kind: Literal["large"]
    low: int
    high: int

    @model_validator(mode="after")
    def _ordered(self) -> Large:
        if self.low > self.high:
            raise mistake("`low` is above `high`.", field="low", involving=("low", "high"), hint="Swap them.")
        return self


class Shelf(Frozen):
    name: str
    primary: Primary
    guardrails: tuple[Guardrail, ...] = ()
    design: Design = Design()
    boxes: tuple[Annotated[Small | Large, Field(discriminator="kind")], ...] = ()


def check(shelf: Shelf, mistakes: Mistakes) -> None:
    if not mistakes.broken("primary"):
        mistakes.add("The primary was looked at.", "primary")
    for index, guardrail in enumerate(shelf.guardrails):
        if guardrail.metric != "latency":
            mistakes.unknown("metric", guardrail.metric, ["latency", "cost"], "guardrails", index, "metric")


def told(text: str) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        validate(Shelf, parse_document(text, Path("f.yaml")), check)
    return [str(problem).removeprefix("f.yaml:") for problem in caught.value.problems]


def test_a_right_document_becomes_its_type() -> None:
    text = """\
name: a
primary: csat
guardrails: [latency, {metric: cost, margin: 10%}]
boxes: [{kind: small, size: 2}]
"""
    shelf = validate(Shelf, parse_document(text, Path("f.yaml")))
    assert type(shelf) is Shelf
    assert shelf.primary == Primary(metric="csat")
    assert shelf.guardrails[0] == Guardrail(metric="latency")
    assert str(shelf.guardrails[1].margin) == "10%"
    assert shelf.boxes == (Small(kind="small", size=2),)


def test_mistakes_within_fields_and_across_them_are_told_together_in_the_files_order() -> None:
    text = """\
name: 5
primary: {metric: x, test: non-inferiorty, margin: -2%}
nam: a
guardrails:
- {metric: 3}
- {metric: latncy, margin: abc}
- {metric: cst, margn: 3}
- latency
- {margin: 3}
design: {alpha: 0.7, looks: [0.5, 0.2], critical_z: [1, 2, 3]}
boxes:
- {kind: smal, size: 1}
- {kind: small, size: 0}
- {kind: large, low: 3, high: 1}
- {kind: large, low: 3}
- {size: 3}
"""
    lines = told(text)
    assert [line.split(": ")[0] for line in lines] == [
        "1:7 (name)",
        "2:10 (primary)",
        "2:28 (primary.test)",
        "2:52 (primary.margin)",
        "3:1 (nam)",
        "5:12 (guardrails[0].metric)",
        "6:12 (guardrails[1].metric)",
        "6:28 (guardrails[1].margin)",
        "7:12 (guardrails[2].metric)",
        "7:17 (guardrails[2].margn)",
        "9:3 (guardrails[4].metric)",
        "10:17 (design.alpha)",
        "10:29 (design.looks)",
        "12:10 (boxes[0].kind)",
        "13:23 (boxes[1].size)",
        "14:22 (boxes[2].low)",
        "15:3 (boxes[3].high)",
        "16:3 (boxes[4].kind)",
    ]
    assert "There is no metric 'latncy'; known: `latency`, `cost`. Did you mean `latency`?" in lines[6]
    assert "Did you mean `small`?" in lines[13]
    assert lines[15].endswith("`low` is above `high`. Swap them.")


def test_a_rule_across_fields_is_silent_while_one_of_them_is_itself_wrong() -> None:
    # `critical_z` has three boundaries, but whether that fits the looks is not known.
    lines = told("name: a\nprimary: csat\ndesign: {looks: [2], critical_z: [1, 2, 3]}\n")
    assert [line for line in lines if "critical_z" in line] == []
    lines = told("name: a\nprimary: csat\ndesign: {looks: [0.5, 1], critical_z: [1, 2, 3], alpha: 2}\n")
    assert [line for line in lines if "critical_z" in line] != []


def test_what_a_check_may_not_rely_on_is_said_to_be_broken() -> None:
    assert any("looked at" in line for line in told("name: [a]\nprimary: csat\n"))
    assert not any("looked at" in line for line in told("name: a\nprimary: {metric: [csat]}\n"))
    assert told("name: a\n") == ["1:1 (primary): `primary` is missing."]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[1]", "Expected text; found a list."),
        ("{a: 1}", "Expected text; found a mapping."),
        ("true", "Expected text; found true."),
        ("", "Expected text; found nothing."),
        ("2.5", "Expected text; found 2.5."),
    ],
)
def test_a_wrong_kind_says_what_was_found_and_what_is_wanted(value: str, message: str) -> None:
    assert message in told(f"primary: csat\nname: {value}\n")[1]


def test_a_message_never_repeats_a_secret() -> None:
    secret = "sk-proj-0123456789abcdefghij"
    lines = told(f"name: a\nprimary: csat\ndesign: {{alpha: {secret}, spending: {secret}}}\n{secret}: 1\n")
    assert len(lines) == 4
    assert not any(secret in line for line in lines)


def test_a_mistake_is_told_once_however_often_it_is_found() -> None:
    mistakes = Mistakes(parse_document("a: 1\n", Path("f.yaml")))
    mistakes.add("Wrong.", "a")
    mistakes.add("Wrong.", "a")
    assert len(mistakes.problems) == 1
