"""How a judge behaved, from what was gathered of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from promptarena.definitions.judge import JudgeEntry, Scoring
from promptarena.definitions.judge_conduct import JudgeConduct, MemberConduct
from promptarena.evaluation.counted import counted
from promptarena.evaluation.judges.gathered import NOT_ASKED, Gathered, Given
from promptarena.evaluation.judges.model_family import self_preference
from promptarena.evaluation.judges.panel_votes import Votes, decided_verdicts
from promptarena.evaluation.judges.questions import ABSTAINED

__all__ = ["conduct_of", "member_names"]


def member_names(judge: JudgeEntry) -> tuple[str, ...]:
    """The panel's models as people know them, each name once."""
    names = [f"{member.provider}/{member.model}" for member in judge.members]
    seen = Counter(names)
    return tuple(
        name if seen[name] == 1 else f"{name} #{names[: at + 1].count(name)}" for at, name in enumerate(names)
    )


def conduct_of(
    gathered: Gathered, judge: JudgeEntry, *, name: str, judge_hash: str, models: Mapping[str, str | None]
) -> JudgeConduct:
    """How a judge behaved; what was asked once more counts only for its noise, which its verdicts tell."""
    members = member_names(judge)
    panel = judge.panel is not None
    pairs = [given for (_, _, again), given in gathered.pairs.items() if not again]
    every = [*pairs, *gathered.scores.values()]
    votes = np.concatenate([_flat(given) for given in pairs]) if pairs else np.empty((0, len(members)))
    decided = decided_verdicts(votes, judge.panel)
    weighable = [given for given in gathered.scores.values() if given.weighted is not None]
    names = {number: variant for variant, number in gathered.variants.items()}
    found = JudgeConduct(
        judge=name,
        hash=judge_hash,
        judgments=sum(int((given.state != NOT_ASKED).sum()) for given in every),
        unscored=dict(_by_reason(gathered, every).most_common()),
        suspected=dict(Counter(names[variant] for _, variant, _ in gathered.signs).most_common()),
        signs=dict(Counter(sign for signs in gathered.signs.values() for sign in signs).most_common()),
        decided=int((~np.isnan(decided)).sum()) if panel else 0,
        divided=_divided(votes) if panel else 0,
        spread=dict(_spread(gathered)) if panel else {},
        members=tuple(_members(gathered, every, members, votes, decided)) if panel else (),
        weighable=sum(int((~np.isnan(given.votes)).sum()) for given in weighable)
        if judge.scoring is Scoring.G_EVAL
        else 0,
        weighted=sum(int(given.weighted.sum()) for given in weighable if given.weighted is not None),
    )
    kin = self_preference(
        dict(zip(members, [str(member.model) for member in judge.members], strict=True)), models
    )
    return replace(found, notes=(*_notes(found), *kin))


def _flat(given: Given) -> Votes:
    """Shape (judged, members): the votes of what was asked at all."""
    return given.votes[given.asked]


def _by_reason(gathered: Gathered, every: Sequence[Given], member: int | None = None) -> Counter[str]:
    """Judgments without a score, of all members or of one."""
    counts: Counter[str] = Counter()
    for given in every:
        for reason, where in gathered.unscored(given).items():
            counts[reason] += int((where if member is None else where[..., member]).sum())
    return +counts


def _divided(votes: Votes) -> int:
    """Verdicts on which not all votes are the same."""
    cast = votes[~np.isnan(votes).all(axis=1)]
    return int((np.nanmin(cast, axis=1) != np.nanmax(cast, axis=1)).sum())


def _spread(gathered: Gathered) -> Iterator[tuple[str, float]]:
    for axis in dict.fromkeys(name for name, _ in gathered.scores):
        votes = np.concatenate([_flat(given) for (name, _), given in gathered.scores.items() if name == axis])
        several = votes[(~np.isnan(votes)).sum(axis=1) > 1]
        if len(several):
            yield axis, float((np.nanmax(several, axis=1) - np.nanmin(several, axis=1)).mean())


def _members(
    gathered: Gathered, every: Sequence[Given], names: Sequence[str], votes: Votes, decided: Votes
) -> Iterator[MemberConduct]:
    for number, name in enumerate(names):
        both = ~np.isnan(votes[:, number]) & ~np.isnan(decided)
        reasons = _by_reason(gathered, every, number)
        yield MemberConduct(
            model=name,
            votes=sum(int((~np.isnan(given.votes[..., number])).sum()) for given in every),
            abstained=reasons[ABSTAINED],
            unreadable=reasons.total() - reasons[ABSTAINED],
            agreement=float((votes[both, number] == decided[both]).mean()) if both.any() else None,
        )


def _notes(found: JudgeConduct) -> Iterator[str]:
    if found.unscored:
        total = sum(found.unscored.values())
        told = ", ".join(f"{reason} ({count:,})" for reason, count in list(found.unscored.items())[:5])
        more = "" if len(found.unscored) <= 5 else ", ..."
        yield f"{total:,} of {found.judgments:,} judgments are unscored, never 0: {told}{more}"
    for variant, count in found.suspected.items():
        yield (
            f"injection suspected in {counted(count, 'answer')} of {variant}: read them; the signs "
            "change no score and prove nothing"
        )
    if found.divided:
        agreed = ", ".join(
            f"{member.model} {member.agreement:.0%}"
            for member in found.members
            if member.agreement is not None
        )
        yield (
            f"the panel was divided on {found.divided:,} of {found.decided:,} verdicts; its members agreed "
            f"with what it decided: {agreed}"
        )
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
