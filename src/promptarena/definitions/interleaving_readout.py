"""What the analysis of interleaved lists returns: which of two rankers is preferred, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from promptarena.definitions.readout import Check, Interval

__all__ = ["InterleavingReadout", "Preference", "RankerReadout"]


class Preference(StrEnum):
    """The answer's word."""

    INVALID = "invalid"
    PREFERRED = "preferred"
    """The treatment is."""
    NOT_PREFERRED = "not preferred"
    """The control is."""
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankerReadout:
    """One ranker."""

    clicks: int
    """On its items."""
    won: int
    """Lists in which its items had more clicks than the other's."""
    led: int
    """Lists whose first item was its own, of those in which a coin decided that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterleavingReadout:
    """Two rankers in one list."""

    experiment: str
    source: str
    control: str
    treatment: str
    method: str
    """`team-draft` or `balanced`."""
    credit: str
    """The measurement that gives the credit."""
    cluster: str | None
    """The attribute whose values count as one; `None`: every list stands alone."""
    alpha: float
    status: Preference
    reasons: tuple[str, ...]
    """Sentences with numbers, the decisive one first."""
    rankers: dict[str, RankerReadout]
    """By variant, control first."""
    shown: int
    """Lists whose time for clicks has passed."""
    clicked: int
    informative: int
    """Clicked, and the coin could have changed who won."""
    clusters: int
    """Of the informative lists."""
    ties: int
    share: float | None
    """Mean score of the treatment over informative lists: 1 for a win, a half for a tie."""
    expected: float | None
    """The same by the coin alone, at the positions that were clicked."""
    preference: float | None
    """share - expected, in [-1, 1]."""
    interval: Interval | None
    """Always-valid, over clusters; `None` while there are fewer than 100."""
    p_value: float | None
    """Always-valid, exact by the coin."""
    p_value_once: float | None
    """Exact by the coin, for who looks once."""
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
