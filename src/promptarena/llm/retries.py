"""When a failed attempt is repeated, and after how long: the one place that decides it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from promptarena.llm.attempt import AttemptError, Failure

__all__ = ["RetryPolicy"]

_REPEATED: Final = frozenset({Failure.TRANSIENT, Failure.OVERLOAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with full jitter (Brooker 2015), unless the provider says how long it wants."""

    attempts: int = 6
    """In all, of a call whose provider or connection breaks."""
    overloads: int = 40
    """Further attempts of a call that is refused for there being too many; waiting for room is no fault."""
    first_wait_s: float = 0.5
    """The most that the first wait may take; each further one may take twice as long."""
    longest_wait_s: float = 30.0
    patience_s: float = 120.0
    """A provider that wants to be left alone for longer than this is not waited for."""

    def wait_s(self, error: AttemptError, broken: int, overloaded: int, random: Random) -> float | None:
        """How long to wait before the next attempt; `None`: there is none.

        Args:
            error: of the last attempt.
            broken: attempts that failed otherwise than by overload, this one included.
            overloaded: attempts that failed by overload, this one included.
        """
        if error.failure not in _REPEATED or broken >= self.attempts or overloaded > self.overloads:
            return None
        if error.retry_after_s is not None:
            if self.wants_too_long(error):
                return None
            # A little more than was asked, not all at the same moment.
            return error.retry_after_s + random.uniform(0, min(self.first_wait_s, error.retry_after_s))
        doublings = min(broken + overloaded - 1, 32)
        return random.uniform(0, min(self.first_wait_s * 2**doublings, self.longest_wait_s))

    def wants_too_long(self, error: AttemptError) -> bool:
        """Whether the provider wants to be left alone for longer than anybody would wait."""
        asked = error.retry_after_s if error.failure in _REPEATED else None
        return asked is not None and asked > self.patience_s

    def pause_s(self, error: AttemptError) -> float | None:
        """How long no call at all is to begin; `None`: not for longer than anybody would wait."""
        return None if self.wants_too_long(error) else error.retry_after_s
