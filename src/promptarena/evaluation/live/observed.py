"""A duel's answers and judgments, made now: what is concluded from them is the same as from recorded ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel import Duel
from promptarena.definitions.duel_variant import DuelVariant, OutputsSource
from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.similarity import EmbeddingRule
from promptarena.errors import ArenaError, ModelCallError, StorageError, UsageError
from promptarena.evaluation.asking import variant_templates
from promptarena.evaluation.case_frame import frame_of
from promptarena.evaluation.cases import Case
from promptarena.evaluation.conditions import Condition
from promptarena.evaluation.counted import counted
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.early_stop import EarlyStop
from promptarena.evaluation.judges import JudgeTally, PreparedJudge
from promptarena.evaluation.live.case_run import CaseRun, RunPlan, compared
from promptarena.evaluation.live.recorded_texts import RecordedTexts
from promptarena.evaluation.live.run_events import RunIdentity
from promptarena.evaluation.live.run_folder import RunFolder
from promptarena.evaluation.live.runner import (
    Interrupts,
    interrupts,
    run_cases,
    still_heap,
    stopped,
)
from promptarena.evaluation.live.setup import LiveSetup, RunCounts
from promptarena.evaluation.output_rows import first_outputs
from promptarena.evaluation.scores import AxisScores
from promptarena.evaluation.similarity import PreparedSimilarity, prepare_similarities, score_outputs
from promptarena.evaluation.table import content_of
from promptarena.llm.provider_embedder import ProviderEmbedder
from promptarena.storage.registry.registry import open_registry

__all__ = ["Observed", "observe"]

_CALLS_A_CASE = 4
_SMALLEST_BATCH = 4
"""Cases between two looks: enough to keep the calls busy, few enough to stop early."""
_CASES_A_CALL = 2
"""Cases worked on for each call that may be under way, so that none waits for the disk or for a slow one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a live run left behind."""

    folder: Path
    outputs: dict[str, OutputsSource]
    """Of the variants that were run, as recorded ones; relative to nothing, the names are whole."""
    tally: JudgeTally | None
    """Of the judge that was asked."""
    similarity: tuple[AxisScores, ...]
    """By the measures that the duel declares, over all variants with outputs."""
    notes: tuple[str, ...]
    failed: int
    """Calls that got no answer after all attempts."""
    taken: NDArray[np.bool_] | None = None
    """Shape (cases,): which cases were taken up; `None`: all."""

    def recorded(self, duel: Duel) -> Duel:
        """The duel with what was run in the place of what was to be run."""
        variants = dict(duel.variants)
        for name, source in self.outputs.items():
            variants[name] = DuelVariant(outputs=source)
        return duel.model_copy(update={"variants": variants})


def observe(
    duel: Duel,
    folder: Path,
    dataset: Dataset,
    setup: LiveSetup,
    *,
    experiment: str | None = None,
    conditions: Callable[[Observed], Sequence[Condition]] | None = None,
) -> Observed:
    """Have the variants answer and the judge judge, and write all of it down.

    Args:
        duel: the definition, resolved.
        folder: what its file names are relative to.
        dataset: its cases.
        setup: who makes the calls.
        experiment: whose offline stage this is.
        conditions: what the gate asks, from what was observed until then. Where it is given, cases are taken
            in an order drawn beforehand until all of it is decided; all of them are held in memory then.

    Raises:
        RunStoppedError: not all of it could be done; says what is missing and how to go on.
        UsageError, DefinitionError, DataError: a provider cannot be used, or a file cannot be read.
        StorageError: the disk refused.
    """
    with still_heap():
        return asyncio.run(_Observation(duel, folder, dataset, setup, experiment).run(conditions))


def _as_recorded(file: Path, repeats: int) -> OutputsSource:
    """A variant's answers as recorded outputs, of which there may be several to a case."""
    return OutputsSource(file=str(file.resolve()), repeat="repeat" if repeats > 1 else None)


class _Observation:
    """One run."""

    def __init__(
        self, duel: Duel, folder: Path, dataset: Dataset, setup: LiveSetup, experiment: str | None
    ) -> None:
        self._duel, self._folder, self._dataset, self._setup = duel, folder, dataset, setup
        self._started = setup.clock.now()
        identity = RunIdentity(
            run_id=new_event_id(self._started),
            dataset_hash=dataset.version,
            feature=duel.feature or duel.duel,
            experiment=experiment,
        )
        judge = PreparedJudge(duel.live_judge, duel.duel) if duel.live_judge is not None else None
        live = duel.live_variants
        self._plan = RunPlan(
            identity=identity,
            live=live,
            templates=variant_templates(duel, folder, dataset),
            recorded=tuple(name for name in duel.variants if name not in live),
            pairs=compared(tuple(duel.variants), duel.baseline) if judge and judge.compares_pairs else (),
            judge=judge,
            repeats=duel.repeat,
            stream=duel.stream,
        )
        calls = self._plan.answers_a_case + self._plan.judgments_a_case
        self._counts = RunCounts(cases=len(dataset), calls=len(dataset) * calls)
        models = {name: settings.model for name, settings in live.items()}
        self._taken: NDArray[np.bool_] | None = None
        self._unkept: str | None = None
        self._tally = None
        if judge is not None:
            names = list(duel.variants)
            self._tally = judge.tally(
                dataset.index, names, duel.repeat, {name: models.get(name) for name in names}
            )

    async def run(self, conditions: Callable[[Observed], Sequence[Condition]] | None) -> Observed:
        setup, plan, duel = self._setup, self._plan, self._duel
        client = setup.client
        texts = None
        run_folder = RunFolder(setup.runs / plan.identity.run_id)
        try:
            # What cannot be called at all is told before anything is paid.
            for provider, model in self._asked():
                client.check(provider, model)
            self._keep_judge()
            if plan.judge is not None and plan.recorded:
                texts = self._recorded_texts(run_folder.root)
            work = CaseRun(
                setup=setup,
                plan=plan,
                folder=run_folder,
                counts=self._counts,
                tally=self._tally,
                texts=texts,
            )
            measures = prepare_similarities(duel, self._embedder)
            with interrupts(setup.interruptible) as pressed:
                if conditions is None:
                    await self._work_on(self._dataset.cases(), work, pressed)
                else:
                    await self._until_decided(work, conditions, measures, pressed)
            run_folder.close()
            observed = await self._observed(run_folder, measures)
        except ArenaError as error:
            self._write_about(run_folder, str(error))
            if self._counts.done:
                raise stopped(error, self._counts) from error
            raise
        else:
            self._write_about(run_folder, None)
        finally:
            run_folder.close()
            if texts is not None:
                texts.close()
            await client.close()
        self._refuse_nothing()
        return observed

    async def _work_on(self, cases: Iterable[Case], work: CaseRun, pressed: Interrupts) -> None:
        await run_cases(
            cases,
            work.run,
            self._setup.client,
            at_once=_CASES_A_CALL * self._setup.concurrency,
            pressed=pressed,
        )

    async def _until_decided(
        self,
        work: CaseRun,
        conditions: Callable[[Observed], Sequence[Condition]],
        measures: Sequence[PreparedSimilarity],
        pressed: Interrupts,
    ) -> None:
        """Batches of cases in their drawn order, with a look after each."""
        stop, cases = EarlyStop(self._duel, frame_of(self._dataset)), list(self._dataset.cases())
        self._taken = np.zeros(len(cases), dtype=np.bool_)
        at_least = max(self._setup.concurrency // _CALLS_A_CASE, _SMALLEST_BATCH)
        while batch := stop.next_cases(at_least):
            await self._work_on([cases[number] for number in batch], work, pressed)
            self._taken[batch] = True
            work.folder.flush()
            stop.look(conditions(await self._observed(work.folder, measures)), self._taken)
            if not stop.decided:
                pressed.raise_if_pressed()

    async def _observed(self, folder: RunFolder, measures: Sequence[PreparedSimilarity]) -> Observed:
        similarity = await score_outputs(measures, self._sources(folder), self._folder, self._dataset)
        return Observed(
            folder=folder.root,
            outputs=self._answers(folder),
            tally=self._tally,
            similarity=tuple(similarity),
            notes=tuple(self._notes()),
            failed=self._counts.failed,
            taken=self._taken,
        )

    def _embedder(self, provider: str, model: str) -> ProviderEmbedder:
        return ProviderEmbedder(self._setup.client, provider, model)

    def _answers(self, folder: RunFolder) -> dict[str, OutputsSource]:
        live = self._plan.live
        return {name: _as_recorded(folder.answers(name), self._plan.repeats) for name in live}

    def _sources(self, folder: RunFolder) -> dict[str, OutputsSource]:
        """All outputs that there are now, made or on file."""
        on_file = {
            name: each.outputs for name, each in self._duel.variants.items() if each.outputs is not None
        }
        return on_file | self._answers(folder)

    def _asked(self) -> list[tuple[str, str | None]]:
        """Providers and their models, each once."""
        asked = [(str(settings.provider), settings.model) for settings in self._plan.live.values()]
        rules = [similarity.rule for similarity in self._duel.similarity]
        asked += [
            (each.provider, each.model) for each in rules if isinstance(each, EmbeddingRule) and each.provider
        ]
        if self._duel.live_judge is not None:
            asked += [(str(member.provider), member.model) for member in self._duel.live_judge.members]
        return list(dict.fromkeys(asked))

    def _recorded_texts(self, folder: Path) -> RecordedTexts:
        texts, problems = RecordedTexts(folder / "recorded.db"), DataProblems()
        for name in self._plan.recorded:
            source = self._duel.variants[name].outputs
            if source is None:
                continue
            rows = first_outputs(source, self._folder / source.file, problems, [source.output])
            found = ((row.case, content_of(row.values.get(source.output))) for row in rows)
            texts.fill(name, ((case, text) for case, text in found if text is not None))
        problems.raise_any()
        return texts

    def _keep_judge(self) -> None:
        """Keep what the judge's hash stands for; a registry that is down is no reason not to judge."""
        judge, where = self._plan.judge, self._setup.registry
        if judge is None or where is None:
            return
        try:
            with open_registry(where()) as registry:
                registry.judges.keep(judge.configuration, self._started)
        except (StorageError, UsageError) as error:
            self._unkept = str(error)

    def _refuse_nothing(self) -> None:
        """A run in which no call was answered has nothing to conclude from."""
        counts, calls = self._counts, self._setup.client.counts
        if counts.done and not calls.sent and not calls.cached:
            reasons = "; ".join(f"{reason} ({times:,})" for reason, times in self._reasons())
            raise ModelCallError(
                f"None of {counted(counts.done, 'call')} got an answer: {reasons}.",
                hint="Mend that; the same command goes on from here.",
            )

    def _reasons(self) -> list[tuple[str, int]]:
        found = sorted(self._setup.client.counts.by_reason.items(), key=lambda item: -item[1])
        return found[:3]

    def _notes(self) -> Iterator[str]:
        counts, calls = self._counts, self._setup.client.counts
        known = f", {calls.cached:,} known already" if calls.cached else ""
        run_id = self._plan.identity.run_id
        yield (
            f"run {run_id}: {counted(counts.done, 'call')}{known}, ${counts.usd:.4f} spent; its answers and "
            f"judgments are in {self._setup.runs / run_id}"
        )
        filtered = "by the model or by the provider's filter"
        for number, one, many in (
            (counts.failed_answers, "answer failed and is missing", "answers failed and are missing"),
            (counts.failed_judgments, "judgment failed and is unscored", "judgments failed and are unscored"),
            (counts.empty_answers, "answer is empty", "answers are empty"),
            (counts.refused_answers, f"answer is a refusal, {filtered}", f"answers are refusals, {filtered}"),
            (
                counts.cut_answers,
                "answer was cut at the limit of tokens",
                "answers were cut at the limit of tokens",
            ),
        ):
            if number:
                yield counted(number, one, many)
        if self._unkept is not None:
            yield f"the judge's configuration is in the run's folder alone; the registry: {self._unkept}"
        for reason, times in self._reasons():
            yield f"{counted(times, 'call')} without an answer: {reason}"
        if unpriced := self._setup.client.budget.unpriced:
            yield counted(
                unpriced,
                "call has no known price and is not in the costs",
                "calls have no known price and are not in the costs",
            )

    def _write_about(self, folder: RunFolder, ended: str | None) -> None:
        duel, plan, calls = self._duel, self._plan, self._setup.client.counts
        about: dict[str, Any] = {
            "run_id": plan.identity.run_id,
            "duel": duel.duel,
            "experiment": plan.identity.experiment,
            "dataset": str(self._dataset.path),
            "dataset_hash": plan.identity.dataset_hash,
            "folder": str(self._folder.resolve()),
            "dataset_source": (self._dataset.source or duel.dataset).model_dump(exclude_none=True),
            "outputs": {
                name: outputs.model_dump(exclude_none=True)
                for name in plan.recorded
                if (outputs := duel.variants[name].outputs) is not None
            },
            "started": self._started.isoformat(),
            "ended": self._setup.clock.now().isoformat(),
            "complete": ended is None,
            "stopped_by": ended,
            "repeats": plan.repeats,
            "variants": {
                name: {"config_hash": each.config_hash, "settings": each.model_dump(exclude_none=True)}
                for name, each in plan.live.items()
            },
            "judge": plan.judge
            and {
                "name": plan.judge.name,
                "hash": plan.judge.hash,
                "configuration": plan.judge.configuration,
            },
            "prices": {
                "date": self._setup.client.prices.date,
                "source": self._setup.client.prices.source,
            },
            "counts": asdict(self._counts),
            "calls": asdict(calls),
        }
        folder.write_about(about)
