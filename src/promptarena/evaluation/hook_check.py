"""A check by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promptarena.definitions.check_rules import HookRule
from promptarena.errors import DefinitionError
from promptarena.evaluation.call_facts import CallFacts
from promptarena.evaluation.dataset import Dataset

__all__ = ["HookFailedError", "hook_test"]


class HookFailedError(Exception):
    """The function raised, or said something that is no answer; its text tells which, as a sentence."""


def hook_test(
    rule: HookRule, dataset: Dataset, find: Callable[[str], Callable[..., Any]] | None
) -> Callable[[str, int, CallFacts], bool | None]:
    """What calls the function with an output and, as a mapping of texts, the declared columns of its case.

    Raises:
        DefinitionError: there is no project whose arena.yaml could allow it, it does not, or the function is
            not there. The test raises `HookFailedError`.
    """
    if find is None:
        raise DefinitionError(
            f"The function {rule.function} cannot be called: an arena.yaml allow-lists functions, and "
            "there is none in this folder or above it.",
            hint=f"Write one with hooks: [{rule.function}].",
        )
    function = find(rule.function)
    columns = {name: dataset.columns[name] for name in rule.columns}

    def test(output: str, case: int, _facts: CallFacts) -> bool | None:
        try:
            said = function(output, {name: values[case] for name, values in columns.items()})
        except Exception as error:  # a function of the user's may fail in any way
            raise HookFailedError(f"{rule.function} raised {type(error).__name__}: {error}.") from error
        if said is None or said is True or said is False:
            return said
        raise HookFailedError(f"{rule.function} said {said!r:.60}; True, False or None is wanted.")

    return test
