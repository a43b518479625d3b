"""pass@k of a duel's checks that run tests: of k answers drawn, does one pass?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from promptarena.definitions.duel_variant import OutputsSource
from promptarena.evaluation.checks import CheckGaveUpError, PreparedCheck
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.output_rows import all_outputs
from promptarena.evaluation.scores import AxisScores
from promptarena.evaluation.table import content_of
from promptarena.stats.pass_at_k import pass_at_k

__all__ = ["pass_at_k_scores"]


def pass_at_k_scores(
    checks: Sequence[PreparedCheck], outputs: Mapping[str, OutputsSource], folder: Path, dataset: Dataset
) -> list[AxisScores]:
    """Each case's pass@k, for every k that a check asks for; a case with fewer answers has none.

    Checks that ask for pass@1 of one answer a case are left out: that is the check itself. The files have
    been read before, so what is wrong with them is told.

    Args:
        checks: of the duel.
        outputs: by variant; all answers of a case count.
        folder: what their file names are relative to.
        dataset: the cases.
    """
    several = any(source.repeat is not None for source in outputs.values())
    found: list[AxisScores] = []
    for check in checks:
        if not check.k or (check.k == (1,) and not several):
            continue
        counts = {name: _counts(check, source, folder, dataset) for name, source in outputs.items()}
        for k in check.k:
            values = {name: np.zeros((len(dataset), 1)) for name in outputs}
            scored = {name: (drawn >= k)[:, None] for name, (_, drawn) in counts.items()}
            for name, (right, drawn) in counts.items():
                enough = drawn >= k
                values[name][enough, 0] = pass_at_k(right[enough], drawn[enough], k)
            found.append(
                AxisScores(axis=f"pass@{k} {check.title}", low=0, high=1, values=values, scored=scored)
            )
    return found


def _counts(
    check: PreparedCheck, source: OutputsSource, folder: Path, dataset: Dataset
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """By case: how many answers pass, and how many there are to which the check applies."""
    right, drawn = np.zeros(len(dataset), dtype=np.int64), np.zeros(len(dataset), dtype=np.int64)
    seen: set[tuple[int, int]] = set()
    for repeat, row in all_outputs(source, folder / source.file, DataProblems(), [source.output]):
        case, output = dataset.index.get(row.case), content_of(row.values.get(source.output))
        if case is None or output is None or (case, repeat) in seen:
            continue
        seen.add((case, repeat))
        try:
            passed = check.passes(output, case)
        except CheckGaveUpError:
            continue
        if passed is not None:
            drawn[case] += 1
            right[case] += passed
    return right, drawn
