"""A promptfoo configuration becomes a folder: a duel, its dataset, and a list of what is not carried over."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.document import Document, read_document
from promptarena.errors import DefinitionError, Location, Problem, StorageError, UsageError
from promptarena.evaluation.promptfoo.cases import TestCase, read_tests
from promptarena.evaluation.promptfoo.checks import Checking, checking
from promptarena.evaluation.promptfoo.configuration import read_prompts, read_providers
from promptarena.evaluation.promptfoo.leftovers import Leftovers

__all__ = ["Imported", "import_promptfoo"]

_CARRIED: Final = (
    "assertionTemplates",
    "description",
    "prompts",
    "providers",
    "targets",
    "tests",
    "defaultTest",
    "evaluateOptions",
)
_ABOUT: Final = ("$schema", "author", "tags")
_JUDGE: Final = {"provider": "openai", "model": "gpt-4o"}
_LEVELS: Final = {1: "It does not meet this at all.", 3: "It meets this in part.", 5: "It meets this fully."}


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import."""

    duel: Path
    dataset: Path
    cases: int
    variants: tuple[str, ...]
    checks: int
    left: tuple[Problem, ...]
    """What is not carried over or means something else here, by line."""


def import_promptfoo(file: Path, folder: Path) -> Imported:
    """Read a configuration and write a duel of the same.

    Args:
        file: promptfooconfig.yaml, or the same in JSON.
        folder: where `duel.yaml` and `cases.jsonl` go; neither may be there yet.

    Raises:
        DefinitionError: the file is no such configuration, or nothing of it can be carried over.
        DataError: a file of tests cannot be read.
        UsageError: the folder holds a duel already.
        StorageError: it cannot be written to.
    """
    duel_file, cases_file = folder / "duel.yaml", folder / "cases.jsonl"
    if present := [path for path in (duel_file, cases_file) if path.exists()]:
        raise UsageError(f"{present[0]} is there already.", hint="Name another folder with --to.")
    if file.suffix not in (".yaml", ".yml", ".json"):
        hint = "Write its values out: npx promptfoo eval --config FILE -o out.yaml has them under `config`."
        raise DefinitionError("A configuration is YAML or JSON here.", where=Location(file), hint=hint)
    document, left = read_document(file), Leftovers()
    for problem in document.problems:
        left.add(problem.message, problem.where or Location(file), problem.hint)
    for name in document.data:
        if name not in (*_CARRIED, *_ABOUT):
            left.add(f"`{name}` is not carried over.", document.position((name,), key=True))
    tests = read_tests(document, left)
    if not tests:
        raise DefinitionError(
            "There is no test that can be carried over.", where=document.position(("tests",))
        )
    checks = checking(tests, left)
    variants, template = _variants(document, left)
    table = _table(tests, checks, [template, *(each.get("template") for each in variants.values())])
    dataset = {"file": cases_file.name, "id": table.id, "template": template}
    duel = _duel(document, dataset | table.declared, variants, checks, left)
    _write(cases_file, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.rows))
    _write(duel_file, _commented(duel, file, left.told))
    carried = len(checks.checks) + len(checks.similarity) + len(checks.rubric)
    return Imported(duel_file, cases_file, len(tests), tuple(variants), carried, left.told)


@dataclass(frozen=True, slots=True)
class _Table:
    rows: list[dict[str, Any]]
    id: str
    declared: dict[str, Any]
    """What the dataset says of the columns besides."""


def _table(tests: Sequence[TestCase], checks: Checking, templates: Sequence[Any]) -> _Table:
    """A row for each case. What a prompt names and a test lacks is empty, as promptfoo fills it."""
    asked = frozenset().union(*map(_variables, templates))
    used = (
        asked
        | {name for test in tests for name in test.variables}
        | {n for row in checks.columns for n in row}
    )
    keys = {key for test in tests for key in test.metadata}
    names = {key: _free(key, used) for key in sorted(keys)}
    used |= set(names.values())
    identity, described = _free("case_id", used), _free("description", used)
    rows = []
    for number, (test, columns) in enumerate(zip(tests, checks.columns, strict=True), 1):
        row: dict[str, Any] = {identity: str(number)}
        if test.description:
            row[described] = test.description
        row |= dict.fromkeys(sorted(asked - test.variables.keys()), "") | dict(test.variables)
        rows.append(row | {names[key]: value for key, value in test.metadata.items()} | columns)
    plain = [
        names[key]
        for key in sorted(keys)
        if all(isinstance(test.metadata.get(key, ""), str | int | float) for test in tests)
    ]
    return _Table(rows, identity, {"segments": plain} if plain else {})


def _variables(template: Any) -> frozenset[str]:
    from jinja2 import meta
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment()
    texts = [part["content"] for part in template] if isinstance(template, list) else [template or ""]
    found = (meta.find_undeclared_variables(environment.parse(text)) for text in texts)
    return frozenset().union(*found)


def _variants(document: Document, left: Leftovers) -> tuple[dict[str, dict[str, Any]], Any]:
    """Each prompt with each provider; and the first prompt, which the dataset asks with."""
    prompts, providers = read_prompts(document, left), read_providers(document, left)
    if not prompts or not providers:
        what = "prompt" if not prompts else "provider"
        raise DefinitionError(
            f"There is no {what} that can be carried over.",
            where=document.position((f"{what}s",)),
            hint=left.told[0].hint if left.told else None,
        )
    made: dict[str, dict[str, Any]] = {}
    for prompt in prompts:
        for provider in providers:
            parts = [
                part for part, many in ((prompt.name, prompts), (provider.name, providers)) if len(many) > 1
            ]
            own = {} if prompt.template == prompts[0].template else {"template": prompt.template}
            made[_free("-".join(parts) or provider.name, made)] = {**provider.settings, **own}
    if len(made) == 1:
        [settings] = made.values()
        left.add(
            "One prompt with one provider is one variant, and a duel compares two: `treatment` is a copy.",
            document.position(("prompts",)),
            "Change in it what you want to try.",
        )
        made = {"control": settings, "treatment": dict(settings)}
    return made, prompts[0].template


def _free(wanted: str, taken: Container[str]) -> str:
    """A name of letters, digits, `-`, `_` and `.` that nothing else has yet."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted).strip("-.")[:90] or "variant"
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _duel(
    document: Document,
    dataset: dict[str, Any],
    variants: dict[str, dict[str, Any]],
    checks: Checking,
    left: Leftovers,
) -> dict[str, Any]:
    description = document.data.get("description")
    named = isinstance(description, str) and description.strip()
    duel: dict[str, Any] = {
        "duel": description if named else document.path.stem,
        "dataset": dataset,
        "variants": variants,
        "control": next(iter(variants)),
    }
    options = document.data.get("evaluateOptions", {})
    for name, value in options.items() if isinstance(options, dict) else ():
        if name == "repeat" and isinstance(value, int) and value >= 1:
            duel["repeat"] = value
        else:
            hint = "arena duel --concurrency says it." if name == "maxConcurrency" else None
            left.add(
                f"`{name}` is not carried over.", document.position(("evaluateOptions", name), key=True), hint
            )
    if checks.rubric:
        rubric = {name: {"question": text, "levels": _LEVELS} for name, text in checks.rubric.items()}
        duel["judge"] = {**_JUDGE, "rubric": rubric}
    elif not checks.checks:
        duel["judge"] = {**_JUDGE, "pairwise": "Which answer serves the person who asked better?"}
        left.add(
            "No assertion could be carried over; a judge compares the answers instead.",
            document.position(("tests",)),
            "Look at `judge` in the duel before you run it.",
        )
    if checks.checks:
        duel["checks"] = checks.checks
    if checks.similarity:
        duel["similarity"] = checks.similarity
    return duel


def _commented(duel: dict[str, Any], file: Path, left: Sequence[Problem]) -> str:
    """The duel in YAML, what was left behind above it."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 110
    written = io.StringIO()
    yaml.dump(duel, written)
    lines = [f"# Made of {file.name} by `arena import promptfoo`."]
    if left:
        lines.append("# Not carried over, or not the same here:")
        lines += [f"#   {' '.join(str(problem).split())}" for problem in left]
    return "\n".join([*lines, "", written.getvalue()])


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"This cannot be written: {error.strerror}.", where=Location(path)) from error
