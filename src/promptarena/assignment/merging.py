"""Two rankings in one list: which items, from whom, and the event that says so.

The coin is the unit's own digest (bytes 16 to 31, a bit a flip), so a request that is sent again gets the
same list, and anybody can check it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from promptarena.assignment.assigned import Placement
from promptarena.assignment.bucketing import digest, experiment_salt
from promptarena.errors import UsageError

if TYPE_CHECKING:
    from promptarena.definitions.events import Exposure, Scalar
    from promptarena.definitions.interleave import Interleave
    from promptarena.definitions.variant import Settings, Variant

__all__ = ["MergedList", "Merging", "merge", "merged_exposure"]


@dataclass(frozen=True, slots=True)
class Merging:
    """How two rankings become one list."""

    rule: Interleave
    settings: Mapping[str, Settings]
    """Of both rankers, by variant, control first."""

    @classmethod
    def of(cls, rule: Interleave, variants: Iterable[Variant]) -> Merging:
        """That of a definition."""
        return cls(rule, {variant.name: variant.settings for variant in variants})


@dataclass(frozen=True, slots=True)
class MergedList:
    """One list as it is shown."""

    slots: Mapping[str, str]
    """Item to variant, in the order shown."""
    rankings: Mapping[str, Sequence[str]]
    """Variant to the top of its ranking: all that the list could be made of."""
    propensity: float
    """Probability, over the coin, of just this list."""


def merge(placement: Placement, unit_id: str, rankings: Mapping[str, Sequence[str]]) -> MergedList:
    """Merge two rankings for one unit.

    Args:
        placement: of an experiment that interleaves.
        unit_id: the request.
        rankings: item ids by variant, best first; an item named twice counts where it is first.

    Raises:
        UsageError: an item that is no text, or is empty.
    """
    from promptarena.definitions.interleave import InterleaveMethod
    from promptarena.stats.interleaving import balanced, team_draft

    assert placement.merging is not None
    assert placement.experiment is not None
    rule = placement.merging.rule
    control, treatment = placement.merging.settings
    # A pick lies among the first k of its ranking, since fewer than k items are shown before it.
    tops = {
        name: tuple(islice(dict.fromkeys(_checked(rankings[name], name)), rule.slots))
        for name in (control, treatment)
    }
    merged = team_draft if rule.method is InterleaveMethod.TEAM_DRAFT else balanced
    coin = _flips(placement.experiment, unit_id)
    shown = merged(tops[control], tops[treatment], rule.slots, coin)
    names = {"a": control, "b": treatment}
    slots = {str(item): names[team] for item, team in zip(shown.items, shown.teams, strict=True)}
    return MergedList(slots, tops, shown.propensity)


def merged_exposure(
    placement: Placement,
    unit_id: str,
    merged: MergedList,
    ts: datetime,
    attributes: Mapping[str, Scalar],
    request_id: str | None,
) -> Exposure | None:
    """The event that says what was shown; its variant is the one whose item stands first.

    `None` of a list without items, which nobody has met.
    """
    if not merged.slots:
        return None
    from promptarena.definitions.events import Exposure

    return Exposure(
        ts=ts,
        experiment=str(placement.experiment),
        definition_hash=str(placement.definition_hash),
        stage=str(placement.stage),
        epoch=int(placement.epoch or 0),
        variant=next(iter(merged.slots.values())),
        propensity=merged.propensity,
        unit_kind=str(placement.unit_kind),
        unit_id=unit_id,
        attributes=dict(attributes),
        request_id=request_id,
        slots=dict(merged.slots),
        rankings={name: list(items) for name, items in merged.rankings.items()},
    )


def _checked(items: Iterable[object], variant: str) -> Iterable[str]:
    for item in items:
        if not isinstance(item, str) or not item:
            raise UsageError(f"Items are ids, as text that is not empty; `{variant}` ranked {item!r:.60}.")
        yield item


def _flips(experiment: str, unit_id: str) -> list[bool]:
    """128 fair coins, the same for the same request of the same experiment."""
    coins = digest(experiment_salt(experiment), unit_id)[16:]
    return [bool(byte >> bit & 1) for byte in coins for bit in range(8)]
