"""Judgments without their texts, as arrays over cases: ten bytes each, so that memory hardly grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.evaluation.judges.judgment import PREFERENCE, Judgment, Task
from promptarena.evaluation.judges.panel_votes import Votes
from promptarena.evaluation.judges.questions import NO_ANSWER

__all__ = ["NOT_ASKED", "Gathered", "Given"]

NOT_ASKED: Final = 0
_SCORED: Final = 1
_FIRST_REASON: Final = 2


@dataclass(frozen=True, slots=True)
class Given:
    """What was given on one axis of one variant, or on one pair in one order."""

    votes: Votes
    """Shape (cases, repeats, members)."""
    state: NDArray[np.int16]
    """The same shape: not asked, scored, or the number of the reason why there is no score."""
    weighted: NDArray[np.bool_] | None
    """The same shape: whether probabilities weighed a score; of axes of a rubric only."""

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Shape (cases, repeats): where at least one member was asked."""
        return np.asarray((self.state != NOT_ASKED).any(axis=-1), dtype=np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All judgments of a run. The same subject counts once, the last of it."""

    cases: dict[str, int]
    """Number of each case, by id."""
    variants: dict[str, int]
    repeats: int
    members: int
    pairs: dict[tuple[int, int, int], Given] = field(default_factory=dict)
    """By the variant shown first, the one shown second, and which asking once more (0 counts)."""
    scores: dict[tuple[str, int], Given] = field(default_factory=dict)
    """By axis and variant."""
    signs: dict[tuple[int, int, int], tuple[str, ...]] = field(default_factory=dict)
    """Of answers that seem to steer the judge, by case, variant and repeat."""
    reasons: list[str] = field(default_factory=list)
    """Why judgments have no score, each once."""

    def add(self, judgment: Judgment) -> None:
        """Take one in.

        Raises:
            KeyError: its case or variant is none of this run's.
        """
        subject = judgment.subject
        case, variant = self.cases[subject.case], self.variants[subject.variant]
        at = case, subject.repeat, subject.member
        for name, signs in judgment.suspected.items():
            self.signs[case, self.variants[name], subject.repeat] = signs
        if subject.task is Task.PAIRWISE and subject.against is not None:
            pair = variant, self.variants[subject.against], subject.again
            self._put(self._of_pair(pair), at, judgment, PREFERENCE)
            return
        for name in (*judgment.scores, *judgment.unscored):
            self._put(self._of_axis(name, variant, subject.task), at, judgment, name)

    def unscored(self, given: Given) -> dict[str, NDArray[np.bool_]]:
        """Where there is no score, by reason."""
        return {
            self.reasons[number - _FIRST_REASON]: np.asarray(given.state == number, dtype=np.bool_)
            for number in np.unique(given.state[given.state >= _FIRST_REASON]).tolist()
        }

    def _put(self, given: Given, at: tuple[int, int, int], judgment: Judgment, name: str) -> None:
        score = judgment.scores.get(name)
        given.votes[at] = np.nan if score is None else score
        given.state[at] = _SCORED if score is not None else self._reason(judgment.unscored[name])
        if given.weighted is not None:
            given.weighted[at] = name in judgment.weighted

    def _reason(self, reason: str) -> int:
        # Failed calls are one reason: what providers say of them differs from call to call.
        reason = NO_ANSWER if reason.startswith(NO_ANSWER) else reason
        if reason not in self.reasons:
            self.reasons.append(reason)
        return self.reasons.index(reason) + _FIRST_REASON

    def _of_pair(self, pair: tuple[int, int, int]) -> Given:
        if pair not in self.pairs:
            self.pairs[pair] = self._nothing(weighs=False)
        return self.pairs[pair]

    def _of_axis(self, name: str, variant: int, task: Task) -> Given:
        if (name, variant) not in self.scores:
            self.scores[name, variant] = self._nothing(weighs=task is Task.RUBRIC)
        return self.scores[name, variant]

    def _nothing(self, *, weighs: bool) -> Given:
        shape = len(self.cases), self.repeats, self.members
        weighted = np.zeros(shape, dtype=np.bool_) if weighs else None
        return Given(np.full(shape, np.nan), np.full(shape, NOT_ASKED, dtype=np.int16), weighted)
