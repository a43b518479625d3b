"""A duel from its definition to its readout."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.case_story import CaseStories
from promptarena.definitions.clock import Clock, SystemClock
from promptarena.definitions.content_hash import content_hash
from promptarena.definitions.duel import Duel, OutputsSource, load_duel, referenced_columns
from promptarena.definitions.duel_readout import DuelPlan, DuelReadout, GateStatus
from promptarena.evaluation.case_frame import frame_of
from promptarena.evaluation.case_stories import MOST_SHOWN, tell_cases
from promptarena.evaluation.check_powers import NO_POWERS, CheckPowers
from promptarena.evaluation.check_rates import CheckResults, Codes
from promptarena.evaluation.checks import PreparedCheck, prepare_check
from promptarena.evaluation.conclude import conclude, gate_conditions
from promptarena.evaluation.conditions import Condition
from promptarena.evaluation.counted import counted
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset, load_dataset
from promptarena.evaluation.duel_plan import plan_duel
from promptarena.evaluation.evidence import DuelEvidence
from promptarena.evaluation.holdout import HoldoutLedger, arena_folder, with_openings
from promptarena.evaluation.judges import PreparedJudge
from promptarena.evaluation.live.observed import Observed, observe
from promptarena.evaluation.live.setup import LiveSetup
from promptarena.evaluation.pass_at_k_scores import pass_at_k_scores
from promptarena.evaluation.recorded import NOT_APPLICABLE, check_outputs, load_verdicts
from promptarena.evaluation.recorded_scores import load_scores
from promptarena.evaluation.scores import AxisScores
from promptarena.evaluation.similarity import passing, prepare_similarities, score_outputs

__all__ = ["SettledDuel", "plan_of", "run_duel", "settle_duel"]

_STAYED_SEALED: Final = (
    "the gate decides on the holdout, which stayed sealed: these cases are those that were seen while the "
    "change was made; ask it with --gate once the change is done"
)

_NOT_SHOWN: Final = (
    "single cases of a holdout are not shown: they do not test a change that was made with them in view"
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
    return settle_duel(
        load_duel(path),
        path.parent,
        open_holdout=open_holdout,
        early_stop=early_stop,
        clock=clock,
        powers=powers,
        live=live,
    ).readout


def plan_of(
    duel: Duel, folder: Path, *, open_holdout: bool = False, pilot: Mapping[str, float] | None = None
) -> DuelPlan | None:
    """What a duel's cases could show, before anything is asked; None without a gate.

    A holdout's cases are counted, and not looked at otherwise, so it is not opened.

    Args:
        duel: the definition, resolved.
        folder: what its file names are relative to.
        open_holdout: whether the gate will be asked on the holdout.
        pilot: spread by condition, from `read_pilot`.

    Raises:
        DataError: the dataset cannot be read.
    """
    sealed = open_holdout and duel.dataset.holdout is not None
    dataset = load_dataset(duel.dataset, folder, referenced_columns(duel), sealed=sealed)
    return plan_duel(duel, frame_of(dataset), _scales(duel), pilot)


def _scales(duel: Duel) -> dict[str, tuple[float, float]]:
    """The axes that the gate asks for and their scales, as far as the definition tells."""
    own = duel.own_axes
    if duel.live_judge is not None:
        judged = {axis.name: (axis.low, axis.high) for axis in PreparedJudge(duel.live_judge, duel.duel).axes}
        return judged | own
    if duel.recorded is None or duel.recorded.scores is None or duel.gate is None:
        return own
    low, high = duel.recorded.scores.scale
    return dict.fromkeys(duel.gate.axes, (low, high)) | own


@dataclass(frozen=True, slots=True)
class SettledDuel:
    """A duel's readout and what it was made of, for whoever wants to show single cases."""

    readout: DuelReadout
    duel: Duel
    """What was run stands in it as recorded outputs."""
    folder: Path
    dataset: Dataset
    evidence: DuelEvidence
    judgments: Path | None
    failed: int = 0
    """Calls that got no answer after all attempts."""

    @property
    def incomplete(self) -> bool:
        """Whether failed calls may be why nothing is decided; a gate that is has counted them both ways."""
        gate = self.readout.gate
        decided = gate is not None and gate.status in (GateStatus.PASS, GateStatus.FAIL)
        return self.failed > 0 and not decided

    def stories(self, most: int = MOST_SHOWN) -> CaseStories:
        """The cases to read first, with their texts; the files are read again. Of a holdout there are none.

        Raises:
            DataError: a file is not what it was.
        """
        if self.readout.holdout_openings is not None:
            most = 0
        return tell_cases(
            self.duel, self.folder, self.dataset, self.evidence, judgments=self.judgments, most=most
        )


def settle_duel(
    duel: Duel,
    folder: Path,
    *,
    open_holdout: bool = False,
    early_stop: bool = False,
    clock: Clock | None = None,
    powers: CheckPowers = NO_POWERS,
    live: LiveSetup | None = None,
    experiment: str | None = None,
    pilot: Mapping[str, float] | None = None,
) -> SettledDuel:
    """As `run_duel`, of a definition that was read already, with everything that the readout was made of.

    Args:
        duel: the definition, resolved; or made of an experiment's offline stage.
        folder: what its file names are relative to.
        experiment: whose offline stage it is.
        pilot: spread by condition, for what the cases could show.
    """
    if early_stop:
        duel = duel.stopping_early()
    sealed = open_holdout and duel.dataset.holdout is not None
    dataset = load_dataset(duel.dataset, folder, referenced_columns(duel), sealed=sealed)
    # What cannot be checked here is told before anything is paid.
    prepared = [prepare_check(check, dataset, folder, powers) for check in duel.checks]
    opening = _Opening(duel, dataset, folder, clock or SystemClock()) if sealed else None
    if opening is not None and duel.calls_models:
        opening.note()
    observed = None
    if duel.calls_models:
        assert live is not None, "a duel that calls models needs somebody to call them"

        def conditions(until_now: Observed) -> list[Condition]:
            made = until_now.recorded(duel)
            return gate_conditions(made, _evidence(made, prepared, dataset, folder, until_now))

        observed = observe(
            duel,
            folder,
            dataset,
            live,
            experiment=experiment,
            conditions=conditions if duel.early_stop else None,
        )
    made = duel if observed is None else observed.recorded(duel)
    evidence = _evidence(made, prepared, dataset, folder, observed)
    readout = conclude(made, evidence, pilot=pilot)
    if duel.gate is not None and duel.dataset.holdout is not None:
        if opening is not None:
            readout = replace(readout, worst=(), notes=(*readout.notes, _NOT_SHOWN))
            readout = with_openings(readout, opening.note())
        else:
            readout = replace(readout, gate=None, notes=(*readout.notes, _STAYED_SEALED))
    judgments = observed.folder / "judgments.jsonl" if observed is not None else None
    failed = observed.failed if observed is not None else 0
    return SettledDuel(readout, made, folder, dataset, evidence, judgments, failed)


def _evidence(
    duel: Duel,
    prepared: Sequence[PreparedCheck],
    dataset: Dataset,
    folder: Path,
    observed: Observed | None,
) -> DuelEvidence:
    """All that was observed, on file or just now.

    Raises:
        DataError: every problem of the data files.
    """
    problems = DataProblems()
    checks, lengths, notes = _check_all(duel, prepared, dataset, folder, problems, observed)
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
    return DuelEvidence(
        cases=frame_of(dataset),
        verdicts=verdicts,
        axes=axes,
        checks=checks | passing(duel, similar, dataset),
        lengths=lengths,
        taken=observed.taken if observed is not None else None,
        conduct=conduct,
        notes=(*notes, *(observed.notes if observed is not None else ())),
    )


class _Opening:
    """Of a holdout: on record before its first call is made, or before what was recorded of it is told."""

    def __init__(self, duel: Duel, dataset: Dataset, folder: Path, clock: Clock) -> None:
        self._ledger, self._clock = HoldoutLedger(arena_folder(folder)), clock
        self._version, self._duel = dataset.version, duel.duel
        # A live duel that is run again unchanged finds its answers in the cache: it looks at nothing new.
        self._run = content_hash(duel) if duel.calls_models else str(uuid4())

    def note(self) -> int:
        """How often the holdout was opened, this time included."""
        return self._ledger.open(self._version, self._duel, self._run, self._clock)


def _similarity(duel: Duel, dataset: Dataset, folder: Path) -> tuple[AxisScores, ...]:
    """By the declared measures, of outputs on file."""
    measures = prepare_similarities(duel)
    return tuple(asyncio.run(score_outputs(measures, _outputs(duel), folder, dataset)))


def _outputs(duel: Duel) -> dict[str, OutputsSource]:
    """The outputs of those variants that have some."""
    return {name: each.outputs for name, each in duel.variants.items() if each.outputs is not None}


def _check_all(
    duel: Duel,
    checks: Sequence[PreparedCheck],
    dataset: Dataset,
    folder: Path,
    problems: DataProblems,
    observed: Observed | None,
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
        cases, without = len(dataset), found.without
        if observed is not None and observed.taken is not None and name in observed.outputs:
            untaken = int((~observed.taken).sum())
            cases, without = cases - untaken, without - untaken
        if without:
            notes.append(f"{name} has no output for {without:,} of {counted(cases, 'case')}")
        for number, check in enumerate(checks):
            results[check.title][name] = found.results[number]
    for title, by_variant in results.items():
        skipped = max((int((codes == NOT_APPLICABLE).sum()) for codes in by_variant.values()), default=0)
        if skipped:
            notes.append(
                f"the check {title!r} does not apply to {counted(skipped, 'case')}, or what it looks at is "
                "not known"
            )
    return dict(results), lengths, notes
