"""One case of a duel as people read it: what was asked, what each variant answered, what the judge said.

Invisible characters of its texts are shown by their number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["AnswerStory", "CaseStories", "CaseStory", "JudgeWord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStory:
    """One variant's answer."""

    text: str | None
    """None: there is none."""
    cut: int = 0
    """Characters that are left out at its end."""
    checks: dict[str, bool | None] = field(default_factory=dict)
    """By check, whether it passed; None: it does not apply, or there is no output."""
    scores: dict[str, float | None] = field(default_factory=dict)
    """By axis, the mean over repeats; None: unscored."""
    rationale: str | None = None
    """Why it was scored so."""
    signs: tuple[str, ...] = ()
    """Signs that it tries to steer a judge; they change no score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeWord:
    """What the judge said of two answers in one display order."""

    first: str
    """Whose answer was shown first."""
    second: str
    verdict: str
    """`first`, `second`, `tie`, or `unscored`."""
    rationale: str | None = None
    again: bool = False
    """Whether it was asked once more, and does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStory:
    """One case."""

    id: str
    input: str
    cut: int
    """Characters that are left out at the end of the input."""
    reference: str | None
    segments: dict[str, tuple[str, ...]]
    weight: float
    answers: dict[str, AnswerStory]
    words: tuple[JudgeWord, ...]
    outcomes: dict[str, float | None]
    """By treatment, against the control: 1 won, 1/2 tie, 0 lost; None: no outcome."""
    conflicts: tuple[str, ...]
    """Treatments whose two display orders disagree here."""
    badness: float | None
    """How much worse than the control the worst treatment did, in [-1, 1]; the page begins with the
    greatest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseStories:
    """The cases that a page shows, the worst first."""

    cases: tuple[CaseStory, ...]
    total: int
    """How many there are in all."""
    control: str | None
    variants: tuple[str, ...]
