"""How a judge behaved in a run: what it could not say, who tried to steer it, where its panel was divided."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["JudgeConduct", "MemberConduct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberConduct:
    """One model of a panel."""

    model: str
    """With its provider."""
    votes: int
    """Judgments that it gave, of pairs and of axes."""
    abstained: int
    unreadable: int
    """Judgments that it was asked for and that could not be read or never came."""
    agreement: float | None
    """Share of its verdicts on pairs that are what the panel decided; `None` without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConduct:
    """Of one judge over all cases. `None` means "not known", never zero."""

    judge: str
    hash: str
    """Of its whole configuration."""
    judgments: int
    """Asked for: one an axis and member, one a pair, order and member."""
    unscored: dict[str, int] = field(default_factory=dict)
    """Judgments without a score, by reason, the most frequent first."""
    suspected: dict[str, int] = field(default_factory=dict)
    """By variant, its answers with a sign of steering the judge; variants without any are left out."""
    signs: dict[str, int] = field(default_factory=dict)
    """The same answers by sign; one may have several."""
    decided: int = 0
    """Verdicts on pairs by a panel."""
    divided: int = 0
    """Of those, where not all votes were the same."""
    spread: dict[str, float] = field(default_factory=dict)
    """By axis, the mean over answers of the largest less the smallest score of a panel."""
    members: tuple[MemberConduct, ...] = ()
    """Of a panel; empty for a single judge."""
    weighable: int = 0
    """Scores that G-Eval was to weigh by probabilities."""
    weighted: int = 0
    """Of those, that had any; the others are as written."""
    notes: tuple[str, ...] = ()
    """What a reader must know, one sentence each."""
