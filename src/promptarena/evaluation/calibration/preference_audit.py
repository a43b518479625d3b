"""A pairwise judge against people, and against itself in the other display order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np

from promptarena.definitions.calibration_readout import (
    AuditedTask,
    Confusion,
    Measure,
    PoweredValue,
    SwapAudit,
    TaskKind,
)
from promptarena.evaluation.calibration.measures import (
    bias_of_each,
    coefficient_measure,
    share_measure,
    with_gaps,
)
from promptarena.evaluation.calibration.policy import Policy, judged_by
from promptarena.evaluation.calibration.powered import powered_value
from promptarena.evaluation.calibration.ratings import Rating
from promptarena.evaluation.judges import PREFERENCE
from promptarena.stats.agreement import Agreement, cohen_kappa, fleiss_kappa, krippendorff_alpha
from promptarena.stats.judge_audit import BiasByVariant, bias_by_variant
from promptarena.stats.proportions import proportion

__all__ = ["audit_preference"]

Pair: TypeAlias = tuple[str, str, str]
"""Case, and the two variants in the order of their names."""

_TIE: Final = 0.5
_WORDS: Final = {1.0: "first by name", _TIE: "tie", 0.0: "second by name"}


@dataclass(slots=True)
class _Judged:
    """What a judge said of one pair, from the view of the variant that comes first by name."""

    shown_first: list[float] = field(default_factory=list)
    shown_second: list[float] = field(default_factory=list)

    @property
    def verdicts(self) -> list[float]:
        return self.shown_first + self.shown_second

    @property
    def orders(self) -> tuple[float, float] | None:
        """What each order says, by the majority of its repeats; `None` where only one was judged."""
        if not self.shown_first or not self.shown_second:
            return None
        return _most(self.shown_first), _most(self.shown_second)

    @property
    def outcome(self) -> float:
        """1, 0, or a tie where the orders disagree: a win needs both."""
        orders = self.orders
        if orders is None:
            return _most(self.verdicts)
        return orders[0] if orders[0] == orders[1] else _TIE

    @property
    def score(self) -> float:
        return float(np.mean(self.orders or self.verdicts))


def audit_preference(judge: Sequence[Rating], people: Sequence[Rating], policy: Policy) -> AuditedTask | None:
    """Hold a judge's verdicts against people's.

    People say what most of them say, more than half; otherwise they are tied. The agreement that decides
    is over the pairs that are clear to both: people have a winner, and the judge names one, the same in
    every order it saw.

    Returns:
        `None` where nobody compared anything.
    """
    if not people:
        return None
    judged = _by_pair(judge)
    votes = _votes(people)
    human = {pair: _most(said) for pair, said in votes.items()}
    both = [pair for pair in human if pair in judged]
    clear = [pair for pair in both if human[pair] != _TIE and judged[pair].outcome != _TIE]
    agreement = _share(
        "agreement",
        [(judged[pair].outcome == human[pair], pair) for pair in clear],
        "share of pairs with a clear winner to people and to the judge, the same one in every order, in "
        "which both name the same",
    )
    bias = _bias(both, judged, votes, policy)
    p_value = bias.p_value if bias is not None else None
    trust, reasons = judged_by(policy, PREFERENCE, agreement, p_value)
    return AuditedTask(
        name=PREFERENCE,
        kind=TaskKind.PREFERENCE,
        trust=str(trust),
        reasons=reasons,
        threshold=policy.threshold,
        agreement=agreement,
        others=tuple(_others(votes, policy)),
        swaps=_swaps(both, judged, human, policy),
        confusion=_confusion([(human[pair], judged[pair].outcome) for pair in both]),
        bias=bias_of_each(bias),
        bias_p_value=p_value,
        powered=tuple(_powered(judged, votes, people, policy)),
        raters=tuple(dict.fromkeys(rating.rater for rating in people if rating.rater)),
        unjudged=len(human) - len(both),
    )


def _by_pair(judge: Iterable[Rating]) -> dict[Pair, _Judged]:
    found: defaultdict[Pair, _Judged] = defaultdict(_Judged)
    for rating in judge:
        pair = found[rating.case, rating.variant, str(rating.against)]
        (pair.shown_first if rating.shown_first else pair.shown_second).append(rating.value)
    return dict(found)


def _votes(people: Iterable[Rating]) -> dict[Pair, list[float]]:
    found: defaultdict[Pair, list[float]] = defaultdict(list)
    for rating in people:
        found[rating.case, rating.variant, str(rating.against)].append(rating.value)
    return dict(found)


def _most(said: Sequence[float]) -> float:
    """What more than half say, else a tie."""
    return next((value for value in (1.0, 0.0) if 2 * list(said).count(value) > len(said)), _TIE)


def _share(name: str, found: Sequence[tuple[bool, Pair]], text: str) -> Measure:
    if not found:
        return share_measure(name, None, text)
    agreeing, cases = [same for same, _ in found], [pair[0] for _, pair in found]
    return share_measure(name, proportion(agreeing, cases), text)


def _swaps(
    both: Sequence[Pair], judged: Mapping[Pair, _Judged], human: Mapping[Pair, float], policy: Policy
) -> SwapAudit | None:
    ordered = [(pair, orders) for pair in both if (orders := judged[pair].orders) is not None]
    if not ordered:
        return None
    one, other = ([orders[at] for _, orders in ordered] for at in (0, 1))
    kappa_text = "Cohen's kappa of the judge's two display orders: the judge with itself, beyond chance"
    kappa = Measure(name="swap kappa", value=None, interval=None, items=len(ordered), text=kappa_text)
    if len({*one, *other}) > 1:
        cases = [pair[0] for pair, _ in ordered]
        found = cohen_kappa(one, other, cases, confidence=policy.confidence)
        kappa = coefficient_measure("swap kappa", found, kappa_text)
    return SwapAudit(
        verdicts=_share(
            "verdicts",
            [(said == human[pair], pair) for pair in both for said in judged[pair].verdicts],
            "share of single verdicts, either order, that say what most people say",
        ),
        both=_share(
            "both orders",
            [(orders[0] == orders[1] == human[pair], pair) for pair, orders in ordered],
            "share of pairs in which both orders say what most people say",
        ),
        kappa=kappa,
    )


def _others(votes: Mapping[Pair, Sequence[float]], policy: Policy) -> Iterator[Measure]:
    pairs = [(one == other, pair) for pair, said in votes.items() for one, other in combinations(said, 2)]
    if not pairs:
        return
    yield _share("people", pairs, "share of pairs of people who say the same of the same two answers")
    several = {pair: said for pair, said in votes.items() if len(said) >= 2}
    if len(several) < 2 or len({vote for said in several.values() for vote in said}) < 2:
        return
    alone = len({case for case, _, _ in several}) == len(several)  # else pairs of one case are no sample
    name, found, text = _beyond_chance(list(several.values()), policy)
    measure = coefficient_measure(name, found, text)
    yield measure if alone else replace(measure, interval=None)


def _beyond_chance(votes: Sequence[Sequence[float]], policy: Policy) -> tuple[str, Agreement, str]:
    """Agreement of people beyond chance: Fleiss' where as many voted on each pair, else Krippendorff's."""
    most = max(map(len, votes))
    if min(map(len, votes)) == most:
        counts = [[list(said).count(word) for word in _WORDS] for said in votes]
        text = "Fleiss' kappa of the people: their agreement beyond chance"
        return "people kappa", fleiss_kappa(counts, confidence=policy.confidence), text
    table = with_gaps(votes)
    text = "Krippendorff's alpha of the people: their agreement beyond chance, with votes missing"
    return "people alpha", krippendorff_alpha(table, confidence=policy.confidence), text


def _bias(
    both: Sequence[Pair],
    judged: Mapping[Pair, _Judged],
    votes: Mapping[Pair, Sequence[float]],
    policy: Policy,
) -> BiasByVariant | None:
    """Judge minus people in each variant's score; what one variant gains in a pair the other loses."""
    if not both:
        return None
    said: list[float] = []
    human: list[float] = []
    variants: list[str] = []
    cases: list[str] = []
    for case, one, other in both:
        by_judge = judged[case, one, other].score
        by_people = float(np.mean(votes[case, one, other]))
        said += [by_judge, 1 - by_judge]
        human += [by_people, 1 - by_people]
        variants += [one, other]
        cases += [case, case]
    return bias_by_variant(said, human, variants, cases, confidence=policy.confidence)


def _confusion(said: Sequence[tuple[float, float]]) -> Confusion:
    values = list(_WORDS)
    counts = [[0] * len(values) for _ in values]
    for human, judge in said:
        counts[values.index(human)][values.index(judge)] += 1
    return Confusion(labels=tuple(_WORDS.values()), counts=tuple(map(tuple, counts)))


def _powered(
    judged: Mapping[Pair, _Judged],
    votes: Mapping[Pair, Sequence[float]],
    people: Iterable[Rating],
    policy: Policy,
) -> Iterator[PoweredValue]:
    """The win rate over the control that people would see, of every treatment."""
    control = policy.control
    drawn = {(each.case, each.variant, str(each.against)): each.probability for each in people}
    for treatment in sorted({name for _, *names in judged for name in names} - {str(control)}):
        pairs = {pair: pair[1] == treatment for pair in judged if {pair[1], pair[2]} == {treatment, control}}
        found = powered_value(
            treatment,
            control,
            {pair[0]: _seen(judged[pair].score, first) for pair, first in pairs.items()},
            {
                pair[0]: _seen(float(np.mean(votes[pair])), first)
                for pair, first in pairs.items()
                if pair in votes
            },
            {pair[0]: p for pair in pairs if (p := drawn.get(pair)) is not None},
            policy.confidence,
        )
        if found is not None:
            yield found


def _seen(score: float, first: bool) -> float:
    return score if first else 1 - score
