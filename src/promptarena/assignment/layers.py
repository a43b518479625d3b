"""Which experiment of a feature a unit may meet: each holds a slot of the feature's layer; none overlap.

A layer has 10,000 places. A unit's place is floor(10,000 n / 2^64), with n the number in bytes 0-7 of the
digest with the layer's own salt, so where a unit falls among the experiments says nothing about its variant
in any of them. Places are whole numbers, so that slots add up and leave no gaps between them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Final, Generic, TypeVar

from promptarena.assignment.bucketing import POINTS, bound, layer_salt
from promptarena.errors import UsageError

__all__ = ["PLACES", "WHOLE", "Layer", "Slot", "free_slot"]

PLACES: Final = 10_000

Holder = TypeVar("Holder")


@dataclass(frozen=True, slots=True)
class Slot:
    """The places that one experiment holds.

    Raises:
        UsageError: no place, one outside of the layer, ranges that are empty, overlap or are out of order.
    """

    ranges: tuple[tuple[int, int], ...]
    """Places from the first number up to, and without, the second; in order."""

    def __post_init__(self) -> None:
        edges = [0, *(edge for between in self.ranges for edge in between), PLACES]
        ordered = all(low <= high for low, high in pairwise(edges))
        if not self.ranges or not ordered or any(start == end for start, end in self.ranges):
            raise UsageError(f"A slot is ranges within 0 to {PLACES}, in order; found {self.ranges}.")

    @property
    def share(self) -> float:
        """Of all units of the layer."""
        return sum(end - start for start, end in self.ranges) / PLACES

    def places(self) -> set[int]:
        """Every one of them."""
        return {at for start, end in self.ranges for at in range(start, end)}


WHOLE: Final = Slot(((0, PLACES),))
"""What an experiment holds that is alone on its feature."""


def free_slot(share: float, taken: Iterable[Slot]) -> Slot:
    """Places for one more experiment: the lowest that are free, in as many ranges as it takes.

    >>> free_slot(0.3, [Slot(((0, 2500),)), Slot(((4000, 5000),))])
    Slot(ranges=((2500, 4000), (5000, 6500)))

    Args:
        share: of the layer's units, in ten-thousandths.
        taken: the slots of all experiments that run in the layer.

    Raises:
        UsageError: no such share, or less than it is free.
    """
    wanted = round(share * PLACES)
    if not 0 < wanted <= PLACES or abs(wanted - share * PLACES) > 1e-6:
        raise UsageError(f"A slot is a share from .01% to 100%, in steps of .01%; found {share * 100:g}%.")
    free = sorted(WHOLE.places().difference(*(slot.places() for slot in taken)))
    if len(free) < wanted:
        raise UsageError(
            f"The experiments that run leave {len(free) / PLACES:.2%} of this layer's units free; "
            f"{wanted / PLACES:.2%} are asked for.",
            hint="Ask for less, or wait until one of them has ended: a slot cannot shrink while it is held.",
        )
    ranges: list[tuple[int, int]] = []
    for at in free[:wanted]:
        if ranges and ranges[-1][1] == at:
            ranges[-1] = (ranges[-1][0], at + 1)
        else:
            ranges.append((at, at + 1))
    return Slot(tuple(ranges))


class Layer(Generic[Holder]):
    """Who holds which places of one layer.

    Args:
        name: the layer's; its salt.
        slots: what each holder holds, none overlapping.
    """

    __slots__ = ("_edges", "_holders", "_salt")

    def __init__(self, name: str, slots: Iterable[tuple[Holder, Slot]]) -> None:
        self._salt = layer_salt(name)
        held = [(start, end, holder) for holder, slot in slots for start, end in slot.ranges]
        self._edges: list[bytes] = []
        self._holders: list[Holder | None] = [None]
        for start, end, holder in sorted(held, key=lambda it: it[0]):
            self._edges += [_edge(start), _edge(end)]
            self._holders += [holder, None]

    def holder(self, unit: bytes) -> Holder | None:
        """Who may meet this unit (its id in UTF-8); `None` in a free part."""
        return self._holders[bisect_right(self._edges, sha256(self._salt + unit).digest())]


def _edge(place: int) -> bytes:
    """What every digest of this place or a higher one is greater than."""
    return bound(-(-place * POINTS // PLACES))
