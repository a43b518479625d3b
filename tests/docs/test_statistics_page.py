"""The page on statistics names every module of `stats`, and nothing that is not there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = (_ROOT / "docs" / "statistics.md").read_text()
_STATS = _ROOT / "src" / "promptarena" / "stats"
_MODULES = sorted(file.name for file in _STATS.glob("*.py") if file.name != "__init__.py")


@pytest.mark.parametrize("module", _MODULES)
def test_every_module_is_explained(module: str) -> None:
    assert f"`{module}`" in _PAGE, f"docs/statistics.md has no entry of {module}"


def _entries() -> list[tuple[str, str]]:
    """(module, name) of what stands behind a module's name in the parentheses of an entry."""
    found = []
    for inside in re.findall(r"\*\* \(([^()]*)\)", _PAGE):
        for part in inside.split(";"):
            module, *names = re.findall(r"`([\w.]+)`", part)
            found += [(module, name) for name in names]
    return found


def test_entries_are_found() -> None:
    assert len(_entries()) > 60


@pytest.mark.parametrize(("module", "name"), _entries())
def test_what_is_named_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(f"promptarena.stats.{module.removesuffix('.py')}"), name)


def test_every_method_says_when_when_not_and_what_chooses_it() -> None:
    for paragraph in re.split(r"\n\n", _PAGE):
        if paragraph.startswith("**") and "**Spread**" not in paragraph:
            for word in ("Use:", "Not:", "Chosen by:"):
                assert word in paragraph, f"{word} is missing: {paragraph[:60]}"
