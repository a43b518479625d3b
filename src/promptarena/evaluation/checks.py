"""Checks at work: does an output pass?"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.cell import ColumnValue
from promptarena.definitions.check_rules import (
    AmountRule,
    CodeRule,
    HookRule,
    LengthRule,
    LengthUnit,
    LevenshteinRule,
    PersonalDataRule,
    ToolCallRule,
)
from promptarena.definitions.checks import CheckKind, OutputCheck
from promptarena.evaluation.call_facts import UNKNOWN, CallFacts
from promptarena.evaluation.cases import texts_in
from promptarena.evaluation.check_powers import NO_POWERS, CheckPowers
from promptarena.evaluation.code_runs import code_in, code_runner
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.edit_distance import levenshtein
from promptarena.evaluation.hook_check import HookFailedError, hook_test
from promptarena.evaluation.refusals import is_refusal
from promptarena.evaluation.schema_check import is_json, schema_test
from promptarena.evaluation.time_limit import TooSlowError, within_time
from promptarena.evaluation.tool_calls import calls_match, read_calls, read_expected
from promptarena.storage.redaction import personal_data

__all__ = ["CheckGaveUpError", "PreparedCheck", "prepare_check"]

Test = Callable[[str, int, CallFacts], bool | None]
"""(output, number of the case, facts of the call) -> passed; None where it does not apply."""


class CheckGaveUpError(Exception):
    """A check cannot say; its text tells why, as a sentence."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class PreparedCheck:
    """A check with its pattern compiled and its schema read."""

    title: str
    test: Test
    negated: bool
    applies: Callable[[int], bool]
    """To the case of this number, by its `when`."""
    k: tuple[int, ...] = ()
    """Of a check that runs tests: for which pass@k it is."""

    def passes(self, output: str, case: int, facts: CallFacts = UNKNOWN) -> bool | None:
        """Whether an output passes; None where the check does not apply: by its `when`, because the dataset
        lacks what to compare with, or because nobody noted the fact of the call.

        Raises:
            CheckGaveUpError: a pattern took too long, or a function of the user's failed.
        """
        if not self.applies(case):
            return None
        try:
            found = self.test(output, case, facts)
        except TooSlowError:
            raise CheckGaveUpError(
                f"The check {self.title!r} was given up: it takes too long on this output.",
                "Avoid repeats within repeats, such as (a+)+, in a pattern.",
            ) from None
        except HookFailedError as error:
            raise CheckGaveUpError(f"The check {self.title!r} was given up: {error}") from error
        return None if found is None else found != self.negated


def prepare_check(
    check: OutputCheck, dataset: Dataset, folder: Path, powers: CheckPowers = NO_POWERS
) -> PreparedCheck:
    """Make a declared check ready to run.

    Args:
        check: the declaration.
        dataset: holds the columns that checks refer to.
        folder: what the file name of a schema is relative to.
        powers: what it may do.

    Raises:
        DefinitionError: a schema cannot be read or is none, a function is not allow-listed or not there.
        UsageError: code is to be run, and there is no sandbox and no permission to do without.
    """
    k = check.value.k if isinstance(check.value, CodeRule) else ()
    test = _test(check, dataset, folder, powers)
    return PreparedCheck(check.title, test, check.negated, _condition(check, dataset), k)


def _test(check: OutputCheck, dataset: Dataset, folder: Path, powers: CheckPowers) -> Test:
    value = check.value
    fold: Callable[[str], str] = str.casefold if check.ignore_case else str
    match check.kind:
        case CheckKind.REGEX:
            pattern = re.compile(value, re.IGNORECASE if check.ignore_case else 0)
            return lambda output, _case, _facts: within_time(
                lambda: pattern.search(output) is not None, len(output)
            )
        case CheckKind.IS_JSON:
            return lambda output, _case, _facts: is_json(output)
        case CheckKind.JSON_SCHEMA:
            valid = schema_test(value, folder)
            return lambda output, _case, _facts: valid(output)
        case CheckKind.IS_REFUSAL:
            return lambda output, _case, facts: is_refusal(output, facts)
        case CheckKind.FINISH_REASON:
            return lambda _output, _case, facts: (
                None if facts.finish_reason is None else facts.finish_reason in value
            )
        case CheckKind.LATENCY | CheckKind.TTFT | CheckKind.COST:
            return _amount(value, _FACTS[check.kind])
        case CheckKind.CONTAINS_ANY | CheckKind.CONTAINS_ALL:
            return _contains(value, dataset, fold, any if check.kind is CheckKind.CONTAINS_ANY else all)
        case CheckKind.EQUALS | CheckKind.CONTAINS | CheckKind.STARTS_WITH | CheckKind.ENDS_WITH:
            holds = _COMPARISONS[check.kind]
            return _compare(value, dataset, lambda output, wanted: holds(fold(output), fold(wanted)))
        case _:
            return _ruled(value, dataset, fold, powers)


def _ruled(value: Any, dataset: Dataset, fold: Callable[[str], str], powers: CheckPowers) -> Test:
    match value:
        case LengthRule():
            return _length(value)
        case LevenshteinRule():
            most = value.max
            return _compare(value.to, dataset, lambda output, wanted: _near(fold(output), fold(wanted), most))
        case PersonalDataRule():
            return _personal_data(value, dataset)
        case ToolCallRule():
            return _tool_calls(value, dataset)
        case CodeRule():
            runner, seconds = code_runner(allow_code=powers.allow_code), value.timeout.total_seconds()
            return _compare(
                value.tests, dataset, lambda output, tests: runner.passes(code_in(output), tests, seconds)
            )
        case HookRule():
            return hook_test(value, dataset, powers.hook)
    raise AssertionError(f"no such check: {value!r}")


_COMPARISONS: Final[dict[CheckKind, Callable[[str, str], bool]]] = {
    CheckKind.EQUALS: lambda output, wanted: output.strip() == wanted.strip(),
    CheckKind.CONTAINS: lambda output, wanted: wanted in output,
    CheckKind.STARTS_WITH: lambda output, wanted: output.lstrip().startswith(wanted.lstrip()),
    CheckKind.ENDS_WITH: lambda output, wanted: output.rstrip().endswith(wanted.rstrip()),
}
_FACTS: Final[dict[CheckKind, Callable[[CallFacts], float | None]]] = {
    CheckKind.LATENCY: lambda facts: facts.latency_ms,
    CheckKind.TTFT: lambda facts: facts.ttft_ms,
    CheckKind.COST: lambda facts: facts.cost_usd,
}


def _condition(check: OutputCheck, dataset: Dataset) -> Callable[[int], bool]:
    wanted = {name: frozenset(texts) for name, texts in check.when.items()}
    columns = {name: dataset.columns[name] for name in wanted}

    def applies(case: int) -> bool:
        return all(
            not accepted.isdisjoint(texts_in(columns[name][case], apart=False))
            for name, accepted in wanted.items()
        )

    return applies


def _of(value: ColumnValue | str, dataset: Dataset) -> Callable[[int], str | None]:
    """The text to compare with: the same for all cases, or what a column holds; None where that is blank."""
    if isinstance(value, str):
        return lambda _case: value
    column = dataset.columns[value.column]

    def found(case: int) -> str | None:
        text = column[case]
        return text if text and text.strip() else None

    return found


def _compare(value: ColumnValue | str, dataset: Dataset, holds: Callable[[str, str], bool]) -> Test:
    wanted = _of(value, dataset)

    def test(output: str, case: int, _facts: CallFacts) -> bool | None:
        text = wanted(case)
        return None if text is None else holds(output, text)

    return test


def _contains(
    value: ColumnValue | tuple[str, ...],
    dataset: Dataset,
    fold: Callable[[str], str],
    join: Callable[[Sequence[bool]], bool],
) -> Test:
    column = dataset.columns[value.column] if isinstance(value, ColumnValue) else None

    def test(output: str, case: int, _facts: CallFacts) -> bool | None:
        texts = texts_in(column[case]) if column is not None else value
        assert isinstance(texts, tuple)
        return join([fold(text) in fold(output) for text in texts]) if texts else None

    return test


def _length(rule: LengthRule) -> Test:
    def test(output: str, _case: int, _facts: CallFacts) -> bool:
        length = len(output.split()) if rule.unit is LengthUnit.WORDS else len(output)
        return rule.min <= length and (rule.max is None or length <= rule.max)

    return test


def _amount(rule: AmountRule, fact: Callable[[CallFacts], float | None]) -> Test:
    def test(_output: str, _case: int, facts: CallFacts) -> bool | None:
        amount = fact(facts)
        return None if amount is None else rule.min <= amount and (rule.max is None or amount <= rule.max)

    return test


def _near(output: str, wanted: str, most: int) -> bool:
    # The lengths alone are a lower bound of the distance.
    if abs(len(output) - len(wanted)) > most:
        return False
    return within_time(lambda: levenshtein(output, wanted), max(len(output), len(wanted))) <= most


def _personal_data(rule: PersonalDataRule, dataset: Dataset) -> Test:
    sorts = frozenset(rule.sorts)
    allowed = [_of(value, dataset) for value in rule.allow]

    def test(output: str, case: int, _facts: CallFacts) -> bool:
        known = [text.casefold() for of in allowed if (text := of(case)) is not None]
        return any(
            sort in sorts and not any(found.casefold() in text for text in known)
            for sort, found in within_time(lambda: personal_data(output), len(output))
        )

    return test


def _tool_calls(rule: ToolCallRule, dataset: Dataset) -> Test:
    column = dataset.columns[rule.column] if rule.column is not None else None

    def test(_output: str, case: int, facts: CallFacts) -> bool | None:
        expected = rule.calls or ()
        if column is not None:
            text = column[case]
            if not text or not text.strip():
                return None
            read = read_expected(text)
            if read is None:
                raise CheckGaveUpError(
                    f"The expected tool calls of a case cannot be read: {text[:60]!r}.",
                    "Write names with commas between, or JSON: [{name: ..., arguments: {...}}].",
                )
            expected = read
        if facts.tool_calls is None or (not expected and not rule.exactly):
            return None
        return calls_match(expected, read_calls(facts.tool_calls), exactly=rule.exactly)

    return test
