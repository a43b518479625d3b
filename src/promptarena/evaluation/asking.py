"""What variants ask in words of their own, seen to be askable before anything is paid."""

from __future__ import annotations

from pathlib import Path

from promptarena.definitions.duel import Duel
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.templates import PreparedTemplate, RenderError, prepare_template

__all__ = ["variant_templates"]


def variant_templates(duel: Duel, folder: Path, dataset: Dataset) -> dict[str, PreparedTemplate]:
    """The templates of those variants that have one, each filled from every case once.

    Args:
        duel: the definition.
        folder: what a `file://` is relative to.
        dataset: its cases.

    Raises:
        DefinitionError: a template's file cannot be read, or holds none.
        DataError: a case lacks what a template needs, with its line.
    """
    found = {
        name: prepare_template(variant.template, folder)
        for name, variant in duel.variants.items()
        if variant.template is not None
    }
    problems = DataProblems()
    for case in dataset.cases() if found else ():
        for name, template in found.items():
            try:
                template.render(case.variables)
            except RenderError as error:
                problems.add(dataset.path, f"{name}: {error}", line=case.line)
    problems.raise_any()
    return found
