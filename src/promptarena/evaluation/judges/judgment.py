"""What a judge is shown, what it is asked, and what it said: plain values that a run keeps in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from promptarena.llm.model_client import ModelCall

__all__ = ["PREFERENCE", "Axis", "JudgeCall", "JudgedAnswer", "JudgedCase", "Judgment", "Subject", "Task"]

PREFERENCE: Final = "preference"
"""The name of what a pairwise judgment says; no axis of a rubric may have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedCase:
    """A case of the golden dataset, as far as judges may see it."""

    id: str
    input: str
    reference: str | None = None
    """The answer that the dataset expects; shown where the judge's definition says so."""
    context: Sequence[str] = ()
    """Source documents in the order of their rank; shown where the judge's definition says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedAnswer:
    """One answer of one variant to a case."""

    variant: str
    text: str
    repeat: int = 0
    """Which of a variant's several answers to the case, counted from 0."""
    context: Sequence[str] | None = None
    """What the variant itself retrieved; `None`: the case's own documents."""


class Task(StrEnum):
    """What one call asks of a judge."""

    PAIRWISE = "pairwise"
    RUBRIC = "rubric"
    FAITHFULNESS = "faithfulness"
    ANSWER_RELEVANCE = "answer-relevance"
    CONTEXT_PRECISION = "context-precision"
    CONTEXT_RECALL = "context-recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Something that a judge scores single answers on."""

    name: str
    low: float
    """The lowest score, such as 1."""
    high: float
    """The highest score, such as 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a judgment is about. No two calls of a run have the same one."""

    task: Task
    case: str
    """The case's id."""
    variant: str
    """Whose answer is scored; of a pair, whose is shown first."""
    against: str | None = None
    """Of a pair, whose answer is shown second."""
    repeat: int = 0
    """Which of the variants' several answers to the case."""
    again: int = 0
    """0, or which asking once more with the very same prompt: it measures the judge's own noise and never
    counts for the outcome."""
    member: int = 0
    """Which model of the panel, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCall:
    """One call to make and what its answer will be about."""

    call: ModelCall
    subject: Subject
    seal: str
    """Marks where untrusted texts begin and end in this call; the judge repeats it in its answer, which no
    answer that is judged can have known."""
    documents: int = 0
    """How many source documents there are to the case."""
    suspected: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By variant: signs that its answer tries to steer the judge. They change no score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """What was read from a call. A run can keep it as JSON: all of it is plain."""

    subject: Subject
    scores: dict[str, float] = field(default_factory=dict)
    """By axis; of a pair, under `PREFERENCE`: 1 the first won, 1/2 tie, 0 the second won."""
    unscored: dict[str, str] = field(default_factory=dict)
    """By axis, why there is no score: the answer could not be read, the judge abstained, the call failed.
    Every axis that was asked for is either here or in `scores`."""
    rationale: str | None = None
    weighted: tuple[str, ...] = ()
    """Axes whose score is weighted by the probabilities of its tokens (G-Eval); the others are as written."""
    suspected: dict[str, tuple[str, ...]] = field(default_factory=dict)
