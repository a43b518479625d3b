"""The part of a duel's page that shows single cases: answers side by side, both orders, reasons, filters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from promptarena.definitions.case_story import CaseStories, CaseStory
from promptarena.reporting.duel_findings import outcome_words
from promptarena.reporting.outline import Tone

__all__ = ["CaseView", "Filters", "case_views", "filters_of"]

_LONGEST_LINE: Final = 160
_MOST_CHANGES: Final = 6
_TORN: Final = "orders disagree"


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case as the page shows it."""

    story: CaseStory
    tone: Tone
    outcomes: tuple[tuple[str, str], ...]
    """Treatment and its outcome in a word; also the class of its mark."""
    changes: tuple[tuple[str, str], ...]
    """What got better or worse, and whether (`won`, `lost`)."""
    first_line: str
    order: tuple[str, ...]
    """Variants, the control first."""
    tags: str
    """JSON of what filters look at."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the cases can be chosen by; what has one value only is no choice."""

    treatments: tuple[str, ...]
    outcomes: tuple[str, ...]
    falls: tuple[str, ...]
    segments: dict[str, tuple[str, ...]]


def case_views(stories: CaseStories) -> tuple[CaseView, ...]:
    """The cases as the page shows them, in their order."""
    return tuple(_view(case, stories) for case in stories.cases)


def filters_of(stories: CaseStories) -> Filters:
    """Everything that the cases can be chosen by."""
    treatments = tuple(name for name in stories.variants if name != stories.control)
    words = [_word(case.outcomes.get(name)) for case in stories.cases for name in case.outcomes]
    told = [word for word in ("lost", "tie", "won", "no outcome") if word in words]
    torn = [_TORN] if any(case.conflicts for case in stories.cases) else []
    falls = dict.fromkeys(
        name
        for case in stories.cases
        for treatment in treatments
        for name in _falls(case, stories.control, treatment)
    )
    values: dict[str, dict[str, None]] = {}
    for case in stories.cases:
        for dimension, found in case.segments.items():
            values.setdefault(dimension, {}).update(dict.fromkeys(found))
    return Filters(
        treatments=treatments,
        outcomes=tuple(told + torn) if len(told + torn) > 1 else (),
        falls=tuple(falls),
        segments={name: tuple(sorted(found)) for name, found in values.items() if len(found) > 1},
    )


def _view(case: CaseStory, stories: CaseStories) -> CaseView:
    treatments = [name for name in stories.variants if name != stories.control]
    outcomes = tuple((name, _word(case.outcomes[name])) for name in case.outcomes)
    first = " ".join(case.input.split())
    tags: dict[str, Any] = {
        "outcomes": dict(outcomes),
        "conflicts": list(case.conflicts),
        "falls": {name: list(_falls(case, stories.control, name)) for name in treatments},
        "segments": {name: list(values) for name, values in case.segments.items()},
        "worst": (case.badness or 0) > 0,
    }
    return CaseView(
        story=case,
        tone=_tone(case),
        outcomes=outcomes,
        changes=tuple(_changes(case, stories.control, treatments)),
        first_line=first if len(first) <= _LONGEST_LINE else first[: _LONGEST_LINE - 1] + "\u2026",
        order=tuple(sorted(stories.variants, key=lambda name: name != stories.control)),
        tags=json.dumps(tags),
    )


def _word(outcome: float | None) -> str:
    """Won, lost or tied by the mean over orders and repeats."""
    if outcome is None:
        return outcome_words(None)
    return "won" if outcome > 0.5 else "lost" if outcome < 0.5 else "tie"


def _tone(case: CaseStory) -> Tone:
    if case.badness is None or case.badness == 0:
        return Tone.NEUTRAL
    return Tone.BAD if case.badness > 0 else Tone.GOOD


def _falls(case: CaseStory, control: str | None, treatment: str) -> Iterator[str]:
    """Axes and checks on which a treatment did worse here."""
    for name, change in _apart(case, control, treatment):
        if change < 0:
            yield name


def _changes(case: CaseStory, control: str | None, treatments: list[str]) -> Iterator[tuple[str, str]]:
    found = [
        (
            name if len(treatments) == 1 else f"{treatment}: {name}",
            change,
            name in case.answers[treatment].scores,
        )
        for treatment in treatments
        for name, change in _apart(case, control, treatment)
    ]
    found.sort(key=lambda each: each[1])
    for name, change, is_axis in found[:_MOST_CHANGES]:
        kind = "lost" if change < 0 else "won"
        word = f"{name} {change:+.2g}" if is_axis else f"{name}: {'fails' if change < 0 else 'passes'}"
        yield word, kind
    if len(found) > _MOST_CHANGES:
        yield f"{len(found) - _MOST_CHANGES} more", "tag"


def _apart(case: CaseStory, control: str | None, treatment: str) -> Iterator[tuple[str, float]]:
    """Where a treatment differs from the control: levels of an axis, or one passes and the other fails."""
    one, other = case.answers.get(treatment), case.answers.get(control or "")
    if one is None or other is None:
        return
    for axis, score in one.scores.items():
        against = other.scores.get(axis)
        if score is not None and against is not None and score != against:
            yield axis, score - against
    for title, passed in one.checks.items():
        known = other.checks.get(title)
        if passed is not None and known is not None and passed != known:
            yield title, 1.0 if passed else -1.0
