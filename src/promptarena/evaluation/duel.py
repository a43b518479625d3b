"""A duel from its definition to its readout."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.clock import Clock, SystemClock
from promptarena.definitions.duel import Duel, OutputsSource, load_duel, referenced_columns
from promptarena.definitions.duel_readout import DuelReadout
from promptarena.evaluation.case_frame import frame_of
from promptarena.evaluation.check_powers import NO_POWERS, CheckPowers
from promptarena.evaluation.check_rates import CheckResults, Codes
from promptarena.evaluation.checks import PreparedCheck, prepare_check
from promptarena.evaluation.conclude import conclude
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset, load_dataset
from promptarena.evaluation.evidence import DuelEvidence
from promptarena.evaluation.holdout import HoldoutLedger, arena_folder, with_openings
from promptarena.evaluation.live.observed import observe
from promptarena.evaluation.live.setup import LiveSetup
from promptarena.evaluation.pass_at_k_scores import pass_at_k_scores
from promptarena.evaluation.recorded import NOT_APPLICABLE, check_outputs, load_verdicts
from promptarena.evaluation.recorded_scores import load_scores
from promptarena.evaluation.scores import AxisScores
from promptarena.evaluation.similarity import passing, prepare_similarities, score_outputs

__all__ = ["conclude_duel", "run_duel"]

_STAYED_SEALED: Final = (
    "the gate decides on the holdout, which stayed sealed: these cases are those that were seen while the "
    "change was made; ask it with --gate once the change is done"
)


def run_duel(
    path: Path,
    *,
    open_holdout: bool = False,
    early_stop: bool = False,
    clock: Clock | None = None,
    powers: CheckPowers = NO_POWERS,
    live: LiveSetup | None = None,
) -> DuelReadout:
    """Read a duel's definition and its recorded data, make the calls that it asks for, and say who won.

    Memory grows with cases x (variants + checks) and with verdicts, not with the length of the texts.

    Args:
        path: the definition.
        open_holdout: where a holdout is declared, take its cases, and them alone, and let the gate decide; it
            is counted. Without it the gate of such a definition stays unanswered.
        early_stop: end where the gate is decided, whether or not the definition says so.
        clock: for the record of openings.
        powers: what checks may do besides reading.
        live: who makes calls; needed where `Duel.calls_models`.

    Raises:
        DefinitionError: every mistake of the definition.
        DataError: every problem of the data files, up to a limit a file.
        RunStoppedError: not all calls could be made.
        UsageError: `early_stop` of a duel without a gate.
    """
    return conclude_duel(
        load_duel(path),
        path.parent,
        open_holdout=open_holdout,
        early_stop=early_stop,
        clock=clock,
        powers=powers,
        live=live,
    )


def conclude_duel(
    duel: Duel,
    folder: Path,
    *,
    open_holdout: bool = False,
    early_stop: bool = False,
    clock: Clock | None = None,
    powers: CheckPowers = NO_POWERS,
    live: LiveSetup | None = None,
    experiment: str | None = None,
) -> DuelReadout:
    """The same for a definition that was read already, or made of an experiment's offline stage.

    Args:
        duel: the definition, resolved.
        folder: what its file names are relative to.
        experiment: whose offline stage it is.
    """
    if early_stop:
        duel = duel.stopping_early()
    sealed = open_holdout and duel.dataset.holdout is not None
    dataset = load_dataset(duel.dataset, folder, referenced_columns(duel), sealed=sealed)
    observed = None
    if duel.calls_models:
        assert live is not None, "a duel that calls models needs somebody to call them"
        observed = observe(duel, folder, dataset, live, experiment=experiment)
        duel = observed.recorded(duel)
    problems = DataProblems()
    prepared = [prepare_check(check, dataset, folder, powers) for check in duel.checks]
    checks, lengths, notes = _check_all(duel, prepared, dataset, folder, problems)
    names = list(duel.variants)
    verdicts = conduct = None
    axes: tuple[AxisScores, ...] = ()
    if observed is not None and observed.tally is not None:
        verdicts, axes = observed.tally.verdicts(), observed.tally.scores()
        conduct = observed.tally.conduct()
    if duel.recorded is not None and duel.recorded.recorded is not None:
        verdicts = load_verdicts(duel.recorded.recorded, folder, dataset, names, problems)
    if duel.recorded is not None and duel.recorded.scores is not None:
        axes = load_scores(duel.recorded.scores, folder, dataset, names, problems)
    problems.raise_any()
    similar = observed.similarity if observed is not None else _similarity(duel, dataset, folder)
    axes = (*axes, *similar, *pass_at_k_scores(prepared, _outputs(duel), folder, dataset))
    checks |= passing(duel, similar, dataset)
    notes += observed.notes if observed is not None else ()
    readout = conclude(
        duel,
        DuelEvidence(
            cases=frame_of(dataset),
            verdicts=verdicts,
            axes=axes,
            checks=checks,
            lengths=lengths,
            conduct=conduct,
            notes=tuple(notes),
        ),
    )
    if duel.gate is None or duel.dataset.holdout is None:
        return readout
    if not sealed:
        return replace(readout, gate=None, notes=(*readout.notes, _STAYED_SEALED))
    ledger = HoldoutLedger(arena_folder(folder))
    openings = ledger.open(dataset.version, duel.duel, str(uuid4()), clock or SystemClock())
    return with_openings(readout, openings)


def _similarity(duel: Duel, dataset: Dataset, folder: Path) -> tuple[AxisScores, ...]:
    """By the declared measures, of outputs on file."""
    measures = prepare_similarities(duel)
    return tuple(asyncio.run(score_outputs(measures, _outputs(duel), folder, dataset)))


def _outputs(duel: Duel) -> dict[str, OutputsSource]:
    """The outputs of those variants that have some."""
    return {name: each.outputs for name, each in duel.variants.items() if each.outputs is not None}


def _check_all(
    duel: Duel, checks: Sequence[PreparedCheck], dataset: Dataset, folder: Path, problems: DataProblems
) -> tuple[dict[str, CheckResults], dict[str, NDArray[np.float64]], list[str]]:
    """Results by check and variant; the outputs' lengths by variant; notes on what is missing."""
    results: dict[str, dict[str, Codes]] = {check.title: {} for check in checks}
    lengths: dict[str, NDArray[np.float64]] = {}
    notes: list[str] = []
    for name, variant in duel.variants.items():
        if variant.outputs is None:
            continue
        found = check_outputs(variant.outputs, folder, dataset, checks, problems)
        lengths[name] = found.lengths
        if found.without:
            notes.append(f"{name} has no output for {found.without:,} of {len(dataset):,} cases")
        for number, check in enumerate(checks):
            results[check.title][name] = found.results[number]
    for title, by_variant in results.items():
        skipped = max((int((codes == NOT_APPLICABLE).sum()) for codes in by_variant.values()), default=0)
        if skipped:
            notes.append(
                f"the check {title!r} does not apply to {skipped:,} cases, or what it looks at is not known"
            )
    return dict(results), lengths, notes
