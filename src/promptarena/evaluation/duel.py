"""A duel from its definition to its readout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from promptarena.definitions.clock import Clock, SystemClock
from promptarena.definitions.duel import Duel, load_duel, referenced_columns
from promptarena.definitions.duel_readout import DuelReadout, Gate
from promptarena.evaluation.check_powers import NO_POWERS, CheckPowers
from promptarena.evaluation.check_rates import CheckResults, Codes, check_readout
from promptarena.evaluation.checks import prepare_check
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset, load_dataset
from promptarena.evaluation.gate import decide_gate
from promptarena.evaluation.holdout import HoldoutLedger, arena_folder, with_openings
from promptarena.evaluation.pairs import JudgedPair, judge_pairs, judge_readout, pair_readout
from promptarena.evaluation.ranking import rank
from promptarena.evaluation.recorded import NOT_APPLICABLE, Verdicts, check_outputs, load_verdicts

__all__ = ["run_duel"]

_STAYED_SEALED: Final = (
    "the gate decides on the holdout, which stayed sealed: these cases are those that were seen while the "
    "change was made; ask it with --gate once the change is done"
)


def run_duel(
    path: Path, *, open_holdout: bool = False, clock: Clock | None = None, powers: CheckPowers = NO_POWERS
) -> DuelReadout:
    """Read a duel's definition and its recorded data, and say who won.

    Memory grows with cases x (variants + checks) and with verdicts, not with the length of the texts.

    Args:
        path: the definition.
        open_holdout: where a holdout is declared, take its cases, and them alone, and let the gate decide; it
            is counted. Without it the gate of such a definition stays unanswered.
        clock: for the record of openings.
        powers: what checks may do besides reading.

    Raises:
        DefinitionError: every mistake of the definition.
        DataError: every problem of the data files, up to a limit a file.
    """
    duel = load_duel(path)
    folder = path.parent
    sealed = open_holdout and duel.dataset.holdout is not None
    dataset = load_dataset(duel.dataset, folder, referenced_columns(duel), sealed=sealed)
    problems = DataProblems()
    checks, notes = _check_all(duel, dataset, folder, problems, powers)
    verdicts = None
    if duel.recorded is not None:
        verdicts = load_verdicts(duel.recorded.recorded, folder, dataset, list(duel.variants), problems)
    problems.raise_any()
    readout = _readout(duel, dataset, checks, verdicts, notes)
    if duel.gate is None or duel.dataset.holdout is None:
        return readout
    if not sealed:
        return replace(readout, gate=None, notes=(*readout.notes, _STAYED_SEALED))
    ledger = HoldoutLedger(arena_folder(folder))
    openings = ledger.open(dataset.version, duel.duel, str(uuid4()), clock or SystemClock())
    return with_openings(readout, openings)


def _check_all(
    duel: Duel, dataset: Dataset, folder: Path, problems: DataProblems, powers: CheckPowers
) -> tuple[dict[str, CheckResults], list[str]]:
    """Results by check and variant; notes on what is missing."""
    checks = [prepare_check(check, dataset, folder, powers) for check in duel.checks]
    results: dict[str, dict[str, Codes]] = {check.title: {} for check in checks}
    notes: list[str] = []
    for name, variant in duel.variants.items():
        if variant.outputs is None:
            continue
        codes, without = check_outputs(variant.outputs, folder, dataset, checks, problems)
        if without:
            notes.append(f"{name} has no output for {without:,} of {len(dataset):,} cases")
        for number, check in enumerate(checks):
            results[check.title][name] = codes[number]
    for title, by_variant in results.items():
        skipped = max((int((codes == NOT_APPLICABLE).sum()) for codes in by_variant.values()), default=0)
        if skipped:
            notes.append(
                f"the check {title!r} does not apply to {skipped:,} cases, or what it looks at is not known"
            )
    return dict(results), notes


def _readout(
    duel: Duel,
    dataset: Dataset,
    checks: dict[str, CheckResults],
    verdicts: Verdicts | None,
    notes: list[str],
) -> DuelReadout:
    names = list(duel.variants)
    control = duel.baseline
    pairs: list[JudgedPair] = []
    if verdicts is not None:
        at = None if control is None else names.index(control)
        pairs = judge_pairs(verdicts, len(dataset), len(names), at)
        notes = [*notes, *_undeclared(verdicts)]
    return DuelReadout(
        duel=duel.duel,
        cases=len(dataset),
        variants=tuple(names),
        control=control,
        conflict_rule=duel.conflicts.value,
        confidence=duel.confidence,
        pairs=tuple(pair_readout(pair, names, duel.conflicts, duel.confidence) for pair in pairs),
        judge=judge_readout(pairs, duel.confidence) if pairs else None,
        ranking=rank(pairs, names, duel.conflicts, duel.confidence) if pairs and len(names) > 2 else None,
        checks=tuple(check_readout(title, by, control, duel.confidence) for title, by in checks.items()),
        gate=_gate(duel, names, pairs, checks),
        notes=tuple(notes),
    )


def _gate(
    duel: Duel, names: Sequence[str], pairs: Sequence[JudgedPair], checks: dict[str, CheckResults]
) -> Gate | None:
    control = duel.baseline
    if duel.gate is None or control is None:
        return None  # the definition of a gate without a control is refused
    against = {names[pair.variant]: pair for pair in pairs if names[pair.against] == control}
    treatments = [name for name in names if name != control]
    return decide_gate(duel.gate, treatments, control, against, checks, duel.conflicts)


def _undeclared(verdicts: Verdicts) -> Iterator[str]:
    if verdicts.undeclared:
        told = ", ".join(f"{text!r} ({count:,})" for text, count in list(verdicts.undeclared.items())[:5])
        more = "" if len(verdicts.undeclared) <= 5 else ", ..."
        yield (
            f"verdicts that are no declared value are unscored: {told}{more}; if they mean something, say so "
            "under `values`"
        )
