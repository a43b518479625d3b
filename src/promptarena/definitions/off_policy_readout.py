"""What an off-policy estimate returns: what another policy would have earned on what was logged."""

from __future__ import annotations

from dataclasses import dataclass

from promptarena.definitions.readout import Interval

__all__ = ["OffPolicyReadout", "OffPolicyRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicyRow:
    """The other policy's mean reward a round, by one method."""

    method: str
    """`logged` (the policy that ran), `ips`, `snips`, `dm`, `dr` or `sndr`."""
    value: float
    standard_error: float
    interval: Interval | None
    """Two-sided; `None` where there is no spread among the units."""
    difference: float | None
    """From the policy that ran, on the same rounds; `None` of that policy itself."""
    difference_interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicyReadout:
    """Estimates by several methods, and whether the log can carry them."""

    source: str
    """What was read: a file, or an experiment's log."""
    reward: str
    policy: str
    """The other policy, in words."""
    alpha: float
    rounds: int
    units: int
    """Clusters of rounds, or rounds where nothing says what they have in common."""
    estimates: tuple[OffPolicyRow, ...]
    effective_rounds: float
    """How many rounds of the other policy's own would tell as much."""
    largest_share: float
    """Of one round in all weight."""
    mean_weight: float
    """1 but for chance where the log knows every choice of the other policy."""
    warning: str | None
    """What is wrong with the weights, in words; it must be read before any estimate."""
    notes: tuple[str, ...] = ()
