"""What all cases want to be checked for, as checks, similarities and a rubric of a duel."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.prompt_template import template_problem
from promptarena.errors import Location
from promptarena.evaluation.promptfoo.assertions import EMBEDDINGS, Wanted, as_check
from promptarena.evaluation.promptfoo.cases import TestCase
from promptarena.evaluation.promptfoo.leftovers import Leftovers
from promptarena.evaluation.templates import RenderError, prepare_template

__all__ = ["Checking", "checking"]

CHECKED: Final = "checks"
"""The column of a case's names of those checks that are not of all cases."""
_SEVERAL: Final = ("contains-any", "contains-all")


@dataclass(slots=True)
class Checking:
    """What is to be checked, and the columns that say it of each case."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    similarity: list[dict[str, Any]] = field(default_factory=list)
    rubric: dict[str, str] = field(default_factory=dict)
    """Demands on all cases, by axis."""
    columns: list[dict[str, Any]] = field(default_factory=list)
    """By case: further columns."""


def checking(tests: Sequence[TestCase], left: Leftovers) -> Checking:
    """Gather the assertions of all tests."""
    made = Checking(columns=[{} for _ in tests])
    groups: dict[tuple[Wanted, int], dict[int, str | None]] = defaultdict(dict)
    places: dict[tuple[Wanted, int], Location] = {}
    for case, test in enumerate(tests):
        seen: Counter[Wanted] = Counter()
        for wanted, where in _wanted(test, left):
            kind = replace(wanted, text=None)
            groups[kind, seen[kind]][case] = wanted.text
            places.setdefault((kind, seen[kind]), where)
            seen[kind] += 1
    for (wanted, number), by_case in groups.items():
        texts = set(by_case.values())
        everywhere = len(by_case) == len(tests)
        if wanted.kind == "rubric":
            _add_rubric(made, wanted, texts, places[wanted, number], left, everywhere=everywhere)
        elif everywhere and len(texts) == 1 and wanted.kind != "similarity":
            _add(made, wanted, next(iter(texts)))
        else:
            _add_by_case(made, wanted, by_case)
    for check in (*made.checks, *made.similarity):
        if "name" in check and sum(check["name"] == other.get("name") for other in made.checks) > 1:
            del check["name"]  # promptfoo adds up what has one metric; here each check has a name of its own
    return made


def _wanted(test: TestCase, left: Leftovers) -> Iterator[tuple[Wanted, Location]]:
    for assertion in test.assertions:
        value = assertion.value
        if isinstance(value, str):
            value = _filled(value, test.variables, assertion.where, left)
        elif isinstance(value, list):
            value = [
                _filled(each, test.variables, assertion.where, left) if isinstance(each, str) else each
                for each in value
            ]
        wanted = as_check(replace(assertion, value=value), left)
        if wanted is not None:
            yield wanted, assertion.where


def _filled(text: str, variables: Mapping[str, Any], where: Location, left: Leftovers) -> str:
    """An expected text may name variables of its test."""
    if "{{" not in text and "{%" not in text:
        return text
    if template_problem(text) is None:
        try:
            filled = prepare_template(text, Path()).render(variables)
        except RenderError:
            pass
        else:
            assert isinstance(filled, str)
            return filled
    left.add("An expected text is a template that cannot be filled; it is taken as it stands.", where)
    return text


def _add_rubric(
    made: Checking,
    wanted: Wanted,
    texts: set[str | None],
    where: Location,
    left: Leftovers,
    *,
    everywhere: bool,
) -> None:
    [text, *more] = texts
    if more or not everywhere or text is None:
        left.add(
            "`llm-rubric` with a demand for each case is not carried over.",
            where,
            "Make the demand the case's reference, with a judge's rubric that sees it: docs/judges.md.",
        )
        return
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted.metric or "rubric").strip("-.")[:90] or "rubric"
    name = name if name not in made.rubric else f"{name}-{len(made.rubric) + 1}"
    made.rubric[name] = text


def _add(made: Checking, wanted: Wanted, text: str | None) -> None:
    made.checks.append(_check(wanted, _told(wanted, text)))


def _add_by_case(made: Checking, wanted: Wanted, by_case: Mapping[int, str | None]) -> None:
    """A check of some cases, or with a text of its own for each."""
    stem = f"{'not_' if wanted.negated else ''}{wanted.kind.replace('-', '_')}"
    taken = {name for row in made.columns for name in row} | {
        each for row in made.columns for each in row.get(CHECKED, [])
    }
    name = next(
        name for number in range(1, len(taken) + 2) if (name := f"expect_{stem}_{number}") not in taken
    )
    if any(text is not None for text in by_case.values()):
        for case, text in by_case.items():
            several = wanted.kind in _SEVERAL and text is not None
            made.columns[case][name] = json.loads(text or "") if several else text
        if wanted.kind == "similarity":
            made.similarity.append(_similarity(wanted, name))
        else:
            made.checks.append(_check(wanted, _told(wanted, {"column": name})))
        return
    for case in by_case:
        made.columns[case].setdefault(CHECKED, []).append(name)
    made.checks.append({**_check(wanted, _told(wanted, None)), "when": {CHECKED: name}})


def _check(wanted: Wanted, value: Any) -> dict[str, Any]:
    check: dict[str, Any] = {"name": wanted.metric} if wanted.metric else {}
    check[f"{'not-' if wanted.negated else ''}{wanted.kind}"] = value
    return check | ({"ignore_case": True} if wanted.ignore_case else {})


def _told(wanted: Wanted, compared: Any) -> Any:
    """What is written beside the check's name."""
    options = json.loads(wanted.options)
    if wanted.kind == "levenshtein":
        return {"to": compared, "max": options}
    if wanted.kind in _SEVERAL and isinstance(compared, str):
        return json.loads(compared)
    return compared if options is None else options


def _similarity(wanted: Wanted, column: str) -> dict[str, Any]:
    provider, model = EMBEDDINGS
    rule = {"provider": provider, "model": model, "reference": column, "min": json.loads(wanted.options)}
    return ({"name": wanted.metric} if wanted.metric else {}) | {"embedding": rule}
