"""A limit on the time that matching one output may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeVar

__all__ = ["TooSlowError", "within_time"]

T = TypeVar("T")

SECONDS: Final = 1.0
UNGUARDED_CHARACTERS: Final = 20_000
"""Where no timer can interrupt, longer texts are refused."""


class TooSlowError(Exception):
    """The pattern backtracks without end on some text."""


def within_time(match: Callable[[], T], characters: int, seconds: float = SECONDS) -> T:
    """Run a match of a user's pattern against a text.

    Python's `re` knows no limit, and a pattern such as `(a+)+$` takes time exponential in the text. A timer's
    signal interrupts it; signals reach the main thread only (and not on Windows), so elsewhere texts longer
    than 20,000 characters are refused, which bounds patterns of polynomial but not of exponential cost.

    Args:
        match: the work.
        characters: length of the text.
        seconds: how long it may take.

    Raises:
        TooSlowError: no answer within the time, or the text is too long to try.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        if characters > UNGUARDED_CHARACTERS:
            raise TooSlowError
        return match()
    with _timer(seconds):
        return match()


@contextmanager
def _timer(seconds: float) -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
