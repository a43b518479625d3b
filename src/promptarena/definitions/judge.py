"""A judge that is a model: what it compares or scores, by what words, and with which settings.

    judge: support
    provider: openai
    model: gpt-4o
    sees: [reference, context]                 # of the case, besides the question
    pairwise: {criteria: Which answer helps this customer more?}
    rubric:
      accuracy: {question: ..., levels: {1: ..., 3: ..., 5: ...}}
    scoring: g-eval                            # weigh scores by token probabilities, where there are any
    metrics: [faithfulness]                    # statement by statement, from the context
    panel: [{model: gpt-4o}, {provider: anthropic, model: claude-sonnet-4-5}]

A duel names such a file, or holds the same words under its `judge`.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, model_validator

from promptarena.definitions.document import FieldPath, read_document
from promptarena.definitions.file_reference import with_file_texts
from promptarena.definitions.frozen import Frozen, Shorthand, mistake
from promptarena.definitions.judge_panel import JudgeModel, PanelSetting
from promptarena.definitions.judge_prompts import JudgePrompts, check_prompt
from promptarena.definitions.names import Name, Text
from promptarena.definitions.quantities import Share, Whole
from promptarena.definitions.rubric import Rubric
from promptarena.definitions.validation import Mistakes, examine

__all__ = [
    "JudgeEntry",
    "JudgeFile",
    "PairwiseRule",
    "RagMetric",
    "RepeatRule",
    "ReplyForm",
    "Scoring",
    "Shown",
    "load_judge",
    "resolve_judge",
]


class Shown(StrEnum):
    """What a judge may see of a case besides the question."""

    REFERENCE = "reference"
    """The answer that the dataset expects."""
    CONTEXT = "context"
    """The source documents."""


class Scoring(StrEnum):
    """How a rubric's scores come from the judge's answer."""

    PLAIN = "plain"
    """As written."""
    G_EVAL = "g-eval"
    """The mean of the scale's scores, weighted by the probabilities of their tokens; as written where the
    provider gives no probabilities, and that is counted."""


class RagMetric(StrEnum):
    """What is computed from judgments of single statements or documents."""

    FAITHFULNESS = "faithfulness"
    """Statements of the answer that the context supports, over all of them."""
    ANSWER_RELEVANCE = "answer-relevance"
    """Statements of the answer that serve the question, over all of them."""
    CONTEXT_PRECISION = "context-precision"
    """Whether the useful documents stand first; needs the reference."""
    CONTEXT_RECALL = "context-recall"
    """Statements of the reference that the context supports, over all of them."""

    @property
    def needs(self) -> tuple[Shown, ...]:
        """What of a case it cannot do without."""
        return _NEEDS[self]


_NEEDS: Final = {
    RagMetric.FAITHFULNESS: (Shown.CONTEXT,),
    RagMetric.ANSWER_RELEVANCE: (),
    RagMetric.CONTEXT_PRECISION: (Shown.CONTEXT, Shown.REFERENCE),
    RagMetric.CONTEXT_RECALL: (Shown.CONTEXT, Shown.REFERENCE),
}


class ReplyForm(StrEnum):
    """How the provider is asked for a structured answer; what comes is read with the same care in each."""

    JSON_SCHEMA = "json-schema"
    """`response_format` with the schema; what most providers have by now."""
    JSON = "json"
    """`response_format: {type: json_object}`."""
    TEXT = "text"
    """Only by words, for endpoints that know no `response_format`."""


class PairwiseRule(Shorthand):
    """Which of two answers is better, asked in both display orders."""

    shorthand = "criteria"
    criteria: Text
    """What makes an answer better; text, or `file://` and a path."""
    ties: bool = True
    """Whether the judge may call a tie."""


class RepeatRule(Frozen):
    """Asking once more in the same order, for a seeded share of the cases: what then differs is noise.

    It never counts for the outcome; it stands beside the share of swapped orders that disagree, which is
    noise and position bias together.
    """

    times: Annotated[Whole, Field(ge=2, le=10)]
    """How often the same prompt is asked in all."""
    share: Annotated[Share, Field(gt=0)] = 0.2
    """Of the cases."""


def _as_repeat(written: Any) -> Any:
    whole = isinstance(written, int) and not isinstance(written, bool)
    return {"times": written} if whole else written


RepeatSetting = Annotated[RepeatRule, BeforeValidator(_as_repeat, json_schema_input_type=RepeatRule | Whole)]
"""The rule, or just how often."""


class JudgeEntry(JudgeModel):
    """A judge as written within a duel."""

    judge: Name | None = None
    """Its name; the duel's where a duel holds it and does not say."""
    sees: tuple[Shown, ...] = ()
    pairwise: PairwiseRule | None = None
    rubric: Rubric | None = None
    scoring: Scoring = Scoring.PLAIN
    """Of the rubric."""
    metrics: tuple[RagMetric, ...] = ()
    """From statements; each is one call an answer, scored from 0 to 1."""
    panel: PanelSetting | None = None
    """Several models instead of one; each inherits what it does not say."""
    abstain: bool = False
    """Whether a judge may say that it cannot tell; its vote is then not counted, and that is."""
    repeat: RepeatSetting | None = None
    reply: ReplyForm = ReplyForm.JSON_SCHEMA
    prompts: JudgePrompts = JudgePrompts()
    """Instructions of your own in place of the package's."""

    @model_validator(mode="after")
    def _judges_something(self) -> JudgeEntry:
        if self.pairwise is None and self.rubric is None and not self.metrics:
            raise mistake(
                "A judge does something: `pairwise`, `rubric`, `metrics`, or several of them.",
                involving=("pairwise", "rubric", "metrics"),
            )
        if self.scoring is Scoring.G_EVAL and self.rubric is None:
            raise mistake("G-Eval weighs the scores of a `rubric`.", field="scoring", involving=("rubric",))
        if self.scoring is Scoring.G_EVAL and self.rubric is not None:
            for name, axis in self.rubric.items():
                if axis.low < 0 or axis.high > 9:
                    raise mistake(
                        f"G-Eval weighs scores of one digit; `{name}` goes from {axis.low} to {axis.high}.",
                        field="scoring",
                        involving=("rubric", "scoring"),
                    )
        if self.repeat is not None and self.pairwise is None:
            raise mistake(
                "`repeat` asks the same pair once more; it needs `pairwise`.",
                field="repeat",
                involving=("pairwise",),
            )
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> JudgeEntry:
        taken = ["preference", *self.metrics]
        for name in self.rubric or ():
            if name in taken:
                raise mistake(
                    f"An axis cannot be called `{name}`: judgments of another kind are.",
                    field="rubric",
                    involving=("rubric", "metrics"),
                )
        if len(set(self.metrics)) < len(self.metrics):
            raise mistake("A metric is named twice.", field="metrics", involving=("metrics",))
        return self

    @model_validator(mode="after")
    def _says_which_model(self) -> JudgeEntry:
        for name in ("provider", "model"):
            members = self.panel.members if self.panel else ()
            lacking = [at for at, member in enumerate(members) if getattr(member, name) is None]
            if getattr(self, name) is None and (lacking or not members):
                whose = f"Member {lacking[0] + 1} of the panel" if lacking else "A judge"
                raise mistake(
                    f"{whose} has no `{name}`.",
                    field="panel" if lacking else None,
                    involving=("provider", "model", "panel"),
                    hint="Write for example `provider: openai` and `model: gpt-4o`.",
                )
        return self

    @property
    def members(self) -> tuple[JudgeModel, ...]:
        """The models that are asked, each with all of its settings; one where there is no panel."""
        own = {name: getattr(self, name) for name in JudgeModel.model_fields}
        base = JudgeModel.model_construct(**own)
        return tuple(base.changed(member) for member in self.panel.members) if self.panel else (base,)

    @property
    def needs(self) -> tuple[Shown, ...]:
        """What of a case has to be known: what the judge sees and what its metrics cannot do without."""
        wanted = [*self.sees, *(part for metric in self.metrics for part in metric.needs)]
        return tuple(dict.fromkeys(wanted))


class JudgeFile(JudgeEntry):
    """A judge in a file of its own."""

    judge: Name
    """Its name, on every score."""


def load_judge(path: Path, root: Path | None = None) -> JudgeEntry:
    """Read a judge's file, with the texts that it names.

    Args:
        path: the file.
        root: the project's folder, outside of which nothing is read; the file's own where not said.

    Raises:
        DefinitionError: every mistake of the file.
    """
    written, mistakes = examine(JudgeFile, read_document(path))
    entry = None if written is None else resolve_judge(written, root or path.parent, mistakes)
    mistakes.raise_any()
    assert entry is not None
    return entry


def resolve_judge(entry: JudgeEntry, root: Path, mistakes: Mistakes, *at: str) -> JudgeEntry:
    """The judge with its `file://` texts read and its prompts checked.

    Args:
        entry: as written.
        root: outside of which nothing is read.
        mistakes: of the file that holds it, for what is found.
        at: where in that file it stands.
    """
    texts = ("pairwise", "rubric", "prompts")
    update = {name: _read(getattr(entry, name), root, mistakes, (*at, name)) for name in texts}
    for name in JudgePrompts.model_fields:
        prompt = getattr(update["prompts"], name)
        if prompt is not None:
            check_prompt(name, prompt, mistakes, (*at, "prompts", name))
    return entry.model_copy(update=update)


def _read(value: Any, root: Path, mistakes: Mistakes, at: FieldPath) -> Any:
    """The same value with every `file://` text in it replaced."""
    if isinstance(value, Frozen):
        read = {
            name: _read(getattr(value, name), root, mistakes, (*at, name))
            for name in sorted(value.model_fields_set)
        }
        return value.model_copy(update=read)
    if isinstance(value, dict):
        return {key: _read(item, root, mistakes, (*at, str(key))) for key, item in value.items()}
    return with_file_texts(value, root, mistakes, at) if isinstance(value, str) else value
