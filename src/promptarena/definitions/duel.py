"""A duel as declared: a dataset, variants with their recorded outputs, a judge, checks and a gate.

    duel: refunds
    dataset: golden.jsonl                     # or {file, id: question_id, ...}
    variants:
      control: {outputs: answers/control.jsonl}
      treatment: {outputs: answers/treatment.jsonl}
    judge: {recorded: verdicts.csv}           # columns id, first, second, verdict; or judges/support.yaml
    checks: [{not-contains: as an AI}, {length: {max: 120, unit: words}}]
    gate: {win_rate: {above: 0.5}, checks: {all: {margin: 2%}}}

File names are relative to the definition. Ids and verdicts are compared as text: `1` and `"1"` are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from promptarena.definitions.check_rules import CodeRule
from promptarena.definitions.checks import OutputCheck
from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.document import read_document
from promptarena.definitions.duel_judge import JudgeSetting, check_judged_dataset, read_judge
from promptarena.definitions.duel_similarity import (
    asks_provider,
    check_similarities,
    compared_columns,
    least_titles,
)
from promptarena.definitions.duel_variant import DuelVariant, OutputsSource, VariantSetting, resolved_variants
from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.gate_rule import ConflictRule, GateRule
from promptarena.definitions.judge import JudgeEntry
from promptarena.definitions.names import Name
from promptarena.definitions.project import find_project
from promptarena.definitions.quantities import Whole
from promptarena.definitions.recorded_judge import Judge, VerdictValues
from promptarena.definitions.similarity import Similarity
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.definitions.table_source import TableSource
from promptarena.definitions.validation import Mistakes, examine
from promptarena.definitions.variant import Settings
from promptarena.errors import DefinitionError, UsageError

__all__ = [
    "Duel",
    "DuelVariant",
    "OutputsSource",
    "load_duel",
    "referenced_columns",
    "referenced_files",
]


class Duel(Frozen):
    """The whole definition."""

    duel: Annotated[str, Field(min_length=1)]
    feature: Name | None = None
    """The feature of arena.yaml whose settings the variants inherit that are run."""
    dataset: DatasetSource
    variants: Annotated[dict[str, VariantSetting], Field(min_length=2)]
    control: str | None = None
    """Who the others are compared with; `control` if a variant is called that, else the first of two."""
    repeat: Annotated[Whole, Field(ge=1, le=100)] = 1
    """How many answers each variant that is run gives to a case."""
    stream: bool = False
    """Whether answers are streamed, so that TTFT, TPOT and ITL are known."""
    judge: JudgeSetting | None = None
    conflicts: ConflictRule = ConflictRule.TIE
    """What a case counts for whose two orders disagree; with `early_stop` the average, unless it is said."""
    checks: tuple[OutputCheck, ...] = ()
    similarity: tuple[Similarity, ...] = ()
    gate: GateRule | None = None
    early_stop: bool = False
    """Whether to end as soon as the gate is decided, at the same error."""

    @model_validator(mode="before")
    @classmethod
    def _average_when_early(cls, written: Any) -> Any:
        # One score a case, in quarters: a win and a tie tell more than a tie.
        if isinstance(written, dict) and written.get("early_stop") is True and "conflicts" not in written:
            return {**written, "conflicts": ConflictRule.AVERAGE.value}
        return written

    @model_validator(mode="after")
    def _early_stop_has_a_gate(self) -> Duel:
        if self.early_stop and self.gate is None:
            raise mistake(
                "`early_stop` ends a duel once its gate is decided; there is no `gate`.",
                field="early_stop",
                involving=("gate",),
                hint="Write for example gate: {win_rate: {above: 0.5}}.",
            )
        return self

    @model_validator(mode="after")
    def _gate_has_a_control(self) -> Duel:
        if self.gate is not None and self.variants and self.baseline is None:
            raise mistake(
                "A gate compares with the control; say which variant that is.",
                field="gate",
                involving=("variants", "control"),
                hint="Write control: NAME.",
            )
        return self

    @property
    def baseline(self) -> str | None:
        """The control, said or understood; None among three or more of equal standing."""
        if self.control is not None:
            return self.control
        if "control" in self.variants:
            return "control"
        return next(iter(self.variants)) if len(self.variants) == 2 else None

    def stopping_early(self) -> Duel:
        """This duel with `early_stop`, as if its file said so.

        Raises:
            UsageError: it has no gate.
        """
        if self.gate is None:
            raise UsageError(
                "--early-stop ends a duel once its gate is decided; this one has no `gate`.",
                hint="Write for example gate: {win_rate: {above: 0.5}}.",
            )
        said = "conflicts" in self.model_fields_set
        conflicts = self.conflicts if said else ConflictRule.AVERAGE
        return self.model_copy(update={"early_stop": True, "conflicts": conflicts})

    @property
    def recorded(self) -> Judge | None:
        """The judge whose verdicts are on file, where it is such."""
        return self.judge if isinstance(self.judge, Judge) else None

    @property
    def live_judge(self) -> JudgeEntry | None:
        """The judge that is to be asked, where it is such."""
        return self.judge if isinstance(self.judge, JudgeEntry) else None

    @property
    def live_variants(self) -> dict[str, Settings]:
        """The settings of the variants that are run; none where the judge's verdicts are on file."""
        if self.recorded is not None:
            return {}
        return {name: each.settings for name, each in self.variants.items() if each.outputs is None}

    @property
    def calls_models(self) -> bool:
        """Whether anything of it is asked now."""
        return bool(self.live_variants) or self.live_judge is not None or asks_provider(self.similarity)

    @property
    def own_axes(self) -> dict[str, tuple[float, float]]:
        """What is scored without a judge, with its lowest and highest score: similarities, and pass@k."""
        rules = ((check.title, check.value) for check in self.checks)
        tested = [f"pass@{k} {title}" for title, rule in rules if isinstance(rule, CodeRule) for k in rule.k]
        return {each.title: (each.rule.low, 1.0) for each in self.similarity} | dict.fromkeys(
            tested, (0.0, 1.0)
        )

    @property
    def confidence(self) -> float:
        """Of the intervals that are reported."""
        return 1 - 2 * self.gate.alpha if self.gate else 0.95


def load_duel(path: Path) -> Duel:
    """Read a duel's definition, and its judge's where that is in a file of its own.

    Raises:
        DefinitionError: with every mistake of the files.
    """
    document = read_document(path)
    found, mistakes = examine(Duel, document)
    read: dict[str, Any] = {}
    if found is not None:
        read["judge"] = read_judge(found.judge, _root(path), mistakes)
        if found.variants and not isinstance(read["judge"], Judge):
            read["variants"] = resolved_variants(found.variants, found.feature, path, mistakes)
        _check(found.model_copy(update=read), mistakes)
    mistakes.raise_any()
    return Duel.model_validate(document.data).model_copy(update=read)


def _root(path: Path) -> Path:
    """The folder outside of which a duel reads no prompts and no judge: its project's, else its own."""
    try:
        return find_project(path.parent).parent
    except DefinitionError:
        return path.parent


def _check(duel: Duel, mistakes: Mistakes) -> None:
    variants: Mapping[str, DuelVariant] = duel.variants or {}
    if duel.control is not None and variants and duel.control not in variants:
        mistakes.unknown("variant", duel.control, variants, "control")
    asks = duel.judge is not None or duel.checks or duel.similarity
    if not asks and mistakes.broken("judge") and not mistakes.problems:
        mistakes.add("A duel needs a `judge`, `checks` or both.")
    check_similarities(duel.similarity, duel.dataset, mistakes)
    if duel.recorded is not None:
        _check_recorded_variants(duel, variants, mistakes)
    elif any(variant.outputs is None for variant in variants.values()) and not mistakes.broken("dataset"):
        _check_asked(duel, mistakes)
    _check_names(duel, mistakes)
    _check_gate(duel, mistakes)
    if duel.live_judge is not None and not mistakes.broken("dataset"):
        check_judged_dataset(duel.live_judge, duel.dataset, mistakes)
    recorded = duel.recorded.recorded if duel.recorded is not None else None
    if recorded is not None and "values" not in recorded.model_fields_set:
        values = VerdictValues()
        taken = {*values.first, *values.second, *values.tie}
        for name in variants:
            if name.strip().casefold() in taken:
                mistakes.add(
                    f"A verdict of {name!r} could mean this variant or a display position.",
                    "variants",
                    name,
                    key=True,
                    hint="Say which texts mean what under `judge.recorded.values`, or rename the variant.",
                )


def _check_recorded_variants(duel: Duel, variants: Mapping[str, DuelVariant], mistakes: Mistakes) -> None:
    looked_at = bool(duel.checks or duel.similarity)
    for name, variant in variants.items():
        if variant.outputs is None and looked_at and mistakes.broken("variants", name, "outputs"):
            mistakes.add("Checks need the `outputs` of every variant.", "variants", name)
        if said := sorted(variant.model_fields_set - {"outputs"}):
            mistakes.add(
                f"The verdicts are on file, so nothing is run and `{said[0]}` changes nothing.",
                "variants",
                name,
                said[0],
                key=True,
                hint="Describe a judge to be asked, or leave the settings out.",
            )


def _check_asked(duel: Duel, mistakes: Mistakes) -> None:
    asked = duel.dataset.input is not None or duel.dataset.template is not None
    asked = asked or all(each.template or each.outputs for each in duel.variants.values())
    if duel.live_judge is None and not asked:
        mistakes.add(
            "Variants that are run have to be asked: the dataset names no `input` and no `template`.",
            "dataset",
            hint="Write for example dataset: {file: golden.jsonl, input: question}.",
        )


def _never_said(name: str, mistakes: Mistakes) -> bool:
    """Whether a field is not written at all; one that was wrong is told of already."""
    return mistakes.broken(name) and not mistakes.damaged(name)


def _check_names(duel: Duel, mistakes: Mistakes) -> None:
    seen: dict[str, int] = {}
    for index, check in enumerate(duel.checks):
        title = check.title
        if title in seen:
            mistakes.add(
                f"Two checks are called {title!r}.", "checks", index, hint="Give one of them another `name`."
            )
        if title == "all":
            mistakes.add("`all` stands for every check; it is not a name.", "checks", index)
        seen.setdefault(title, index)
    for index, similarity in enumerate(duel.similarity):
        if similarity.title in seen:
            hint = "Give one of them another `name`."
            told = f"A check is called {similarity.title!r} too."
            mistakes.add(told, "similarity", index, hint=hint)


def _check_gate(duel: Duel, mistakes: Mistakes) -> None:
    gate = duel.gate
    if gate is None:
        return
    _check_judge_of_gate(duel, gate, mistakes)
    own = [*(check.title for check in duel.checks), *least_titles(duel.similarity)]
    titles = list(dict.fromkeys(own))
    for name in gate.checks:
        if name == "all" and not titles:
            mistakes.add("There are no checks.", "gate", "checks", name, key=True)
        elif name != "all" and name not in titles:
            mistakes.add(
                f"There is no check {name!r}; known: {listed([*titles, 'all'])}.",
                "gate",
                "checks",
                name,
                key=True,
                hint=did_you_mean(name, titles),
            )


def _check_judge_of_gate(duel: Duel, gate: GateRule, mistakes: Mistakes) -> None:
    recorded, live = duel.recorded, duel.live_judge
    own = duel.own_axes
    axes = [name for name in gate.axes if name not in own and not (name == "all" and own)]
    if recorded is None and live is None:
        if _never_said("judge", mistakes):
            if gate.win_rate is not None:
                mistakes.add("A win rate needs a `judge`.", "gate", "win_rate", key=True)
            if axes:
                mistakes.add("Axes need a `judge`.", "gate", "axes", key=True)
        return
    compares = live.pairwise if live is not None else recorded.recorded if recorded is not None else None
    if gate.win_rate is not None and compares is None:
        hint = (
            "Say by what it compares: pairwise: {criteria: ...}."
            if live is not None
            else "Say where its verdicts are: recorded: FILE."
        )
        mistakes.add("A win rate needs a judge that compares pairs.", "gate", "win_rate", key=True, hint=hint)
    if not axes:
        return
    if live is None:
        if recorded is not None and recorded.scores is None:
            hint = "Say where its scores are: scores: FILE."
            mistakes.add("Axes need a judge that scores answers.", "gate", "axes", key=True, hint=hint)
        return  # which axes there are is in the file
    known = [*(live.rubric or ()), *live.metrics, *own]
    for name in axes:
        if not known or (name != "all" and name not in known):
            told = f"known: {listed([*known, 'all'])}" if known else "the judge scores no answers"
            mistakes.add(
                f"There is no axis {name!r}; {told}.",
                "gate",
                "axes",
                name,
                key=True,
                hint=did_you_mean(name, known),
            )


def referenced_columns(duel: Duel) -> tuple[str, ...]:
    """The columns of the dataset that checks and similarities refer to."""
    checked = [column for check in duel.checks for column in check.columns]
    return tuple(dict.fromkeys([*checked, *compared_columns(duel.similarity, duel.dataset)]))


def referenced_files(duel: Duel, folder: Path) -> tuple[Path, ...]:
    """The files that a duel reads.

    Args:
        duel: the definition.
        folder: what its file names are relative to.
    """
    sources: list[TableSource] = [part for part in (duel.dataset, duel.dataset.sealed) if part is not None]
    sources += [variant.outputs for variant in duel.variants.values() if variant.outputs is not None]
    if duel.recorded is not None:
        found = (duel.recorded.recorded, duel.recorded.scores)
        sources += [source for source in found if source is not None]
    values = (check.value for check in duel.checks)
    templates = [variant.template for variant in duel.variants.values()]
    texts = [value for value in (duel.dataset.template, *templates, *values) if isinstance(value, str)]
    named = [text.removeprefix("file://") for text in texts if text.startswith("file://")]
    names = [*(source.file for source in sources), *named]
    return tuple(folder / name for name in names)
