"""What was gathered of a judge, and how it behaved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from promptarena.definitions.judge import JudgeEntry, Scoring
from promptarena.definitions.judge_conduct import JudgeConduct, MemberConduct
from promptarena.evaluation.judges.model_family import self_preference
from promptarena.evaluation.judges.panel_votes import decided_verdict
from promptarena.evaluation.judges.questions import ABSTAINED, NO_ANSWER

__all__ = ["Gathered", "Votes", "conduct_of", "member_names"]

Pair: TypeAlias = tuple[int, int, int, int]
"""Case, variant shown first, variant shown second, repeat of the answers."""
Asked: TypeAlias = tuple[int, int, int, int, int]
"""The same, and which asking once more; 0 is the one that counts."""
Scored: TypeAlias = tuple[int, int, int]
"""Case, variant, repeat of the answer."""
Votes: TypeAlias = list[float | None]
"""One a member of the panel; `None` where it has none."""
_Key: TypeAlias = tuple[str, Pair | Scored, int]
"""Axis, what was judged, member."""


@dataclass(slots=True)
class Gathered:
    """Judgments without their texts."""

    pairs: dict[Asked, Votes] = field(default_factory=dict)
    again: dict[Asked, Votes] = field(default_factory=dict)
    """What was said where the same was asked once more."""
    scores: dict[str, dict[Scored, Votes]] = field(default_factory=dict)
    """By axis."""
    reasons: dict[_Key, str] = field(default_factory=dict)
    """Why a judgment has no score."""
    weighted: dict[_Key, bool] = field(default_factory=dict)
    """Of scores of a rubric, whether probabilities weighed it."""
    signs: dict[Scored, tuple[str, ...]] = field(default_factory=dict)
    """Of answers that seem to steer the judge."""

    def note_reason(self, key: _Key, reason: str | None) -> None:
        """Keep why there is no score, or that there is one after all."""
        if reason is None:
            self.reasons.pop(key, None)
        else:
            # Failed calls are one reason: what providers say of them differs from call to call.
            self.reasons[key] = NO_ANSWER if reason.startswith(NO_ANSWER) else reason


def member_names(judge: JudgeEntry) -> tuple[str, ...]:
    """The panel's models as people know them, each name once."""
    names = [f"{member.provider}/{member.model}" for member in judge.members]
    seen = Counter(names)
    return tuple(
        name if seen[name] == 1 else f"{name} #{names[: at + 1].count(name)}" for at, name in enumerate(names)
    )


def conduct_of(
    gathered: Gathered,
    judge: JudgeEntry,
    *,
    name: str,
    judge_hash: str,
    variants: Sequence[str],
    models: Mapping[str, str | None],
) -> JudgeConduct:
    """How a judge behaved."""
    members = member_names(judge)
    panel = judge.panel is not None
    suspected = Counter(variants[variant] for _, variant, _ in gathered.signs)
    decided = [decided_verdict(votes, judge.panel) for votes in gathered.pairs.values()]
    divided = sum(len({vote for vote in votes if vote is not None}) > 1 for votes in gathered.pairs.values())
    found = JudgeConduct(
        judge=name,
        hash=judge_hash,
        judgments=len(members) * (len(gathered.pairs) + sum(map(len, gathered.scores.values()))),
        unscored=dict(Counter(gathered.reasons.values()).most_common()),
        suspected=dict(suspected.most_common()),
        signs=dict(Counter(sign for signs in gathered.signs.values() for sign in signs).most_common()),
        decided=sum(verdict is not None for verdict in decided) if panel else 0,
        divided=divided if panel else 0,
        spread=dict(_spread(gathered)) if panel else {},
        members=tuple(_members(gathered, members, decided)) if panel else (),
        weighable=len(gathered.weighted) if judge.scoring is Scoring.G_EVAL else 0,
        weighted=sum(gathered.weighted.values()),
    )
    kin = self_preference(
        dict(zip(members, [str(member.model) for member in judge.members], strict=True)), models
    )
    notes = (*_notes(found), *kin)
    return replace(found, notes=notes)


def _spread(gathered: Gathered) -> Iterator[tuple[str, float]]:
    for axis, by_answer in gathered.scores.items():
        cast = [[vote for vote in votes if vote is not None] for votes in by_answer.values()]
        several = [max(votes) - min(votes) for votes in cast if len(votes) > 1]
        if several:
            yield axis, sum(several) / len(several)


def _members(
    gathered: Gathered, names: Sequence[str], decided: Sequence[float | None]
) -> Iterator[MemberConduct]:
    for number, name in enumerate(names):
        verdicts = [votes[number] for votes in gathered.pairs.values()]
        both = [
            vote == verdict
            for vote, verdict in zip(verdicts, decided, strict=True)
            if vote is not None and verdict is not None
        ]
        scores = [votes[number] for by_answer in gathered.scores.values() for votes in by_answer.values()]
        reasons = [reason for (_, _, member), reason in gathered.reasons.items() if member == number]
        yield MemberConduct(
            model=name,
            votes=sum(vote is not None for vote in (*verdicts, *scores)),
            abstained=reasons.count(ABSTAINED),
            unreadable=len(reasons) - reasons.count(ABSTAINED),
            agreement=sum(both) / len(both) if both else None,
        )


def _notes(found: JudgeConduct) -> Iterator[str]:
    if found.unscored:
        total = sum(found.unscored.values())
        told = ", ".join(f"{reason} ({count:,})" for reason, count in list(found.unscored.items())[:5])
        more = "" if len(found.unscored) <= 5 else ", ..."
        yield f"{total:,} of {found.judgments:,} judgments are unscored, never 0: {told}{more}"
    for variant, count in found.suspected.items():
        answers = "answer" if count == 1 else "answers"
        yield (
            f"injection suspected in {count:,} {answers} of {variant}: read them; the signs change no score "
            "and prove nothing"
        )
    if found.divided:
        yield f"the panel was divided on {found.divided:,} of {found.decided:,} verdicts"
    for axis, spread in found.spread.items():
        yield f"the panel's scores of {axis} lie {spread:.2g} apart on average"
    for member in found.members:
        if member.abstained or member.unreadable:
            yield (
                f"{member.model} gave {member.votes:,} votes, abstained {member.abstained:,} times and could "
                f"not be read {member.unreadable:,} times"
            )
    if found.weighted < found.weighable:
        yield (
            f"G-Eval could weigh {found.weighted:,} of {found.weighable:,} scores; the provider gave no "
            "usable probabilities for the others, which are as written"
        )
