"""What checks may do besides reading: call functions that a project allows, and run code of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.project import find_project, load_project
from promptarena.errors import DefinitionError
from promptarena.llm.python_function import load_hook

__all__ = ["NO_POWERS", "CheckPowers", "project_powers"]


@dataclass(frozen=True, slots=True)
class CheckPowers:
    """By default nothing."""

    hook: Callable[[str], Callable[..., Any]] | None = None
    """Finds an allow-listed function by its name, or raises a `DefinitionError`."""
    allow_code: bool = False
    """Whether code of models may run where there is no sandbox."""


NO_POWERS: Final = CheckPowers()


def project_powers(folder: Path, *, allow_code: bool) -> CheckPowers:
    """What checks of a definition in a folder may do; the hooks are those of its project, if it has one."""
    try:
        file = find_project(folder)
    except DefinitionError:
        return CheckPowers(allow_code=allow_code)

    def hook(name: str) -> Callable[..., Any]:
        # Read only where a function is asked for: a mistake elsewhere in arena.yaml is not this duel's.
        return load_hook(name, load_project(file).hooks, file.parent)

    return CheckPowers(hook, allow_code)
