"""promptfoo's assertions, out of YAML or of a CSV cell, and the checks that say the same here.

The forms are those of promptfoo 0.121 (its `AssertionSchema`, and `assertionFromString` for cells):
`type(threshold):value`, `not-` before any type, a bare text for `equals`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from promptarena.errors import Location
from promptarena.evaluation.promptfoo.leftovers import Leftovers

__all__ = ["EMBEDDINGS", "Assertion", "Wanted", "as_check", "from_cell", "from_mapping"]

_TYPES: Final = [
    "agent-rubric",
    "answer-relevance",
    "bleu",
    "classifier",
    "contains",
    "contains-all",
    "contains-any",
    "contains-html",
    "contains-json",
    "contains-sql",
    "contains-xml",
    "context-faithfulness",
    "context-recall",
    "context-relevance",
    "conversation-relevance",
    "cost",
    "equals",
    "factuality",
    "finish-reason",
    "g-eval",
    "gleu",
    "guardrails",
    "icontains",
    "icontains-all",
    "icontains-any",
    "is-html",
    "is-json",
    "is-refusal",
    "is-sql",
    "is-valid-function-call",
    "is-valid-openai-function-call",
    "is-valid-openai-tools-call",
    "is-xml",
    "javascript",
    "latency",
    "levenshtein",
    "llm-rubric",
    "pi",
    "meteor",
    "model-graded-closedqa",
    "model-graded-factuality",
    "moderation",
    "perplexity",
    "perplexity-score",
    "python",
    "regex",
    "rouge-n",
    "ruby",
    "similar",
    "similar:cosine",
    "similar:dot",
    "similar:euclidean",
    "starts-with",
    "tool-call-f1",
    "search-rubric",
    "webhook",
    "word-count",
]
_CELL: Final = re.compile(
    rf"(not-)?({'|'.join(map(re.escape, sorted(_TYPES, key=len, reverse=True)))})"
    r"(?:\((\d+(?:\.\d+)?)\))?(?::(.*))?",
    re.DOTALL,
)
_PREFIXES: Final = {
    "javascript:": "javascript",
    "fn:": "javascript",
    "eval:": "javascript",
    "grade:": "llm-rubric",
    "llm-rubric:": "llm-rubric",
    "python:": "python",
}
_CELL_SIMILARITY: Final = 0.8
_YAML_SIMILARITY: Final = 0.75
_LEVENSHTEIN: Final = 5
"""promptfoo's own default thresholds."""
EMBEDDINGS: Final = ("openai", "text-embedding-3-large")
"""What promptfoo compares by where nothing is said."""
_HINTS: Final = {
    "python": "As a check: allow a function by `hooks` in arena.yaml, then {python: module:function}.",
    "javascript": "Write it as a Python function: `hooks` in arena.yaml, then {python: module:function}.",
    "llm-rubric": "One demand for all cases is a judge's rubric; one for each case can be the reference "
    "that a rubric sees: docs/judges.md.",
    "g-eval": "A judge with `scoring: g-eval`: docs/judges.md.",
    "factuality": "A judge's rubric that sees the reference: docs/judges.md.",
    "model-graded-closedqa": "A judge's rubric: docs/judges.md.",
    "context-faithfulness": "A judge with metrics: [faithfulness].",
    "context-recall": "A judge with metrics: [context-recall].",
    "answer-relevance": "A judge with metrics: [answer-relevance].",
    "select-best": "A duel's judge compares answers: `pairwise`.",
    "contains-json": "A `regex` may do, or `json-schema` where the whole output is JSON.",
    "rouge-n": "The nearest is similarity: [{lexical: {measure: rouge-l}}].",
    "bleu": "The nearest is similarity: [{lexical: {measure: chrf}}].",
    "tool-call-f1": "The check `tool-calls` asks for all of them.",
}
_IGNORED: Final = ("weight", "contextTransform", "rubricPrompt", "config", "provider")


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion of one test."""

    type: str
    """Without `not-`."""
    negated: bool
    value: Any
    threshold: float | None
    metric: str | None
    where: Location


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a case of ours is to be checked for."""

    kind: str
    """A check's name here; `similarity`, or `rubric`."""
    negated: bool
    options: str
    """Canonical JSON of what is the same for all cases: a threshold, a pattern, a schema."""
    text: str | None
    """What is compared with, of this case; None where there is nothing such."""
    ignore_case: bool = False
    metric: str | None = None


def from_cell(cell: str, metric: str | None, where: Location) -> Assertion:
    """An `__expected` cell."""
    for prefix, kind in _PREFIXES.items():
        if cell.startswith(prefix):
            return Assertion(kind, False, cell.removeprefix(prefix).strip(), None, metric, where)
    if cell.startswith("file://"):
        kind = "python" if re.search(r"\.py(:|$)", cell) else "javascript"
        return Assertion(kind, False, cell, None, metric, where)
    found = _CELL.fullmatch(cell)
    if found is None:
        return Assertion("equals", False, cell, None, metric, where)
    negation, kind, threshold, value = found.groups()
    if kind.startswith(("contains-a", "icontains-a")) and value:
        value = separated(value)
    elif isinstance(value, str):
        value = value.strip()
    if threshold is None and kind.startswith("similar"):
        threshold = str(_CELL_SIMILARITY)
    return Assertion(
        kind, bool(negation), value, float(threshold) if threshold is not None else None, metric, where
    )


def separated(value: str) -> list[str]:
    """Texts with commas between them; one in quotes may hold commas.

    >>> separated('a, "b, c" ,d')
    ['a', 'b, c', 'd']
    """
    found = re.findall(r'\s*(?:"((?:[^"\\]|\\.|"")*)"|([^,]*))\s*(?:,|$)', value)
    texts = (
        re.sub(r'\\(["\\])|""', lambda m: m[1] or '"', quoted) if quoted else bare.strip()
        for quoted, bare in found
    )
    return [text for text in texts if text]


def from_mapping(written: Mapping[str, Any], where: Location, left: Leftovers) -> Assertion | None:
    """An assertion as YAML has it; what of it means nothing here is noted."""
    kind = written.get("type")
    if not isinstance(kind, str):
        left.add("An assertion has no type; it is left out.", where)
        return None
    if "transform" in written:
        told = f"The assertion `{kind}` looks at what its `transform` makes; it is not carried over."
        left.add(told, where, _HINTS["javascript"])
        return None
    for name in _IGNORED:
        if name in written and not (
            name == "provider" and kind.removeprefix("not-") in ("similar", "llm-rubric")
        ):
            left.add(f"`{name}` of an assertion `{kind}` is not carried over.", where)
    threshold = written.get("threshold")
    number = (
        float(threshold) if isinstance(threshold, int | float) and not isinstance(threshold, bool) else None
    )
    metric = written.get("metric")
    return Assertion(
        kind.removeprefix("not-"),
        kind.startswith("not-"),
        written.get("value"),
        number,
        metric if isinstance(metric, str) else None,
        where,
    )


def as_check(assertion: Assertion, left: Leftovers) -> Wanted | None:
    """The check that says the same; None after noting that there is none."""
    kind = assertion.type
    if kind in ("equals", "contains", "icontains", "starts-with", "levenshtein", "similar", "similar:cosine"):
        return _of_text(assertion, left)
    if kind in ("contains-any", "contains-all", "icontains-any", "icontains-all"):
        return _of_texts(assertion, left)
    if kind == "llm-rubric" and isinstance(assertion.value, str) and not assertion.negated:
        return Wanted("rubric", False, "null", assertion.value, metric=assertion.metric)
    options = _fixed_options(assertion)
    if options is None:
        told = f"The assertion `{'not-' if assertion.negated else ''}{kind}` is not carried over"
        left.add(f"{told}{_because(assertion)}.", assertion.where, _HINTS.get(kind))
        return None
    name, value = options
    return Wanted(name, assertion.negated, json.dumps(value, sort_keys=True), None, metric=assertion.metric)


def _of_text(assertion: Assertion, left: Leftovers) -> Wanted | None:
    value = assertion.value
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        left.add(
            f"The assertion `{assertion.type}` compares with no text; it is not carried over.",
            assertion.where,
        )
        return None
    kind = assertion.type
    options: float | None = None
    match kind:
        case "levenshtein":
            options = int(_LEVENSHTEIN if assertion.threshold is None else assertion.threshold)
        case "similar" | "similar:cosine":
            if assertion.negated:
                left.add(
                    "`not-similar` is not carried over: a similarity has a least score only.", assertion.where
                )
                return None
            kind = "similarity"
            options = _YAML_SIMILARITY if assertion.threshold is None else assertion.threshold
        case "icontains":
            kind = "contains"
    return Wanted(
        kind,
        assertion.negated,
        json.dumps(options),
        value if isinstance(value, str) else json.dumps(value),
        ignore_case=assertion.type == "icontains",
        metric=assertion.metric,
    )


def _of_texts(assertion: Assertion, left: Leftovers) -> Wanted | None:
    value = assertion.value
    texts = separated(value) if isinstance(value, str) else value
    if not (isinstance(texts, list) and texts and all(isinstance(text, str | int | float) for text in texts)):
        left.add(f"The assertion `{assertion.type}` names no texts; it is not carried over.", assertion.where)
        return None
    return Wanted(
        assertion.type.removeprefix("i"),
        assertion.negated,
        "null",
        json.dumps([str(text) for text in texts], ensure_ascii=False),
        ignore_case=assertion.type.startswith("i"),
        metric=assertion.metric,
    )


def _fixed_options(assertion: Assertion) -> tuple[str, Any] | None:
    """A check that is the same for all cases, with what it says; None where there is none."""
    value = assertion.value
    match assertion.type:
        case "is-json":
            if value in (None, ""):
                return "is-json", True
            return ("json-schema", schema) if (schema := _schema(value)) is not None else None
        case "is-refusal":
            return "is-refusal", True
        case "latency" | "cost" if assertion.threshold is not None:
            return assertion.type, assertion.threshold
        case "finish-reason" if isinstance(value, str) and value:
            return "finish-reason", value
        case "regex" if isinstance(value, str) and value and _compiles(value):
            return "regex", value
        case "word-count":
            return ("length", bounds) if (bounds := _bounds(value)) is not None else None
        case _:
            return None


def _because(assertion: Assertion) -> str:
    match assertion.type:
        case "regex":
            return ": its pattern is none of Python's" if assertion.value else ": it has no pattern"
        case "latency" | "cost":
            return ": it has no threshold"
        case "is-json":
            return ": its schema cannot be read"
        case "word-count":
            return ": it has no bounds"
        case _:
            return ""


def _schema(value: Any) -> Any:
    if isinstance(value, str) and not value.startswith("file://"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) or (isinstance(value, str) and value.endswith(".json")) else None


def _bounds(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return {"min": value, "max": value, "unit": "words"}
    if not isinstance(value, dict) or not value or not set(value) <= {"min", "max"}:
        return None
    whole = all(isinstance(bound, int) and bound >= 0 for bound in value.values())
    return {**value, "unit": "words"} if whole else None


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True
