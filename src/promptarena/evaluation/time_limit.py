"""A limit on the time that a search by regular expression may take."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["SearchTooSlowError", "search"]

SECONDS: Final = 1.0
UNGUARDED_CHARACTERS: Final = 20_000
"""Where no timer can interrupt a search, only so much of a text is searched by one."""


class SearchTooSlowError(Exception):
    """The pattern backtracks without end on some text."""


def search(pattern: re.Pattern[str], text: str, seconds: float = SECONDS) -> bool:
    """Whether the pattern occurs in the text.

    Python's `re` knows no limit, and a pattern such as `(a+)+$` takes time exponential in the text. A timer's
    signal interrupts it; signals reach the main thread only (and not on Windows), so elsewhere texts longer
    than 20,000 characters are refused, which bounds patterns of polynomial but not of exponential cost.

    Raises:
        SearchTooSlowError: no answer within the time, or the text is too long to try.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        if len(text) > UNGUARDED_CHARACTERS:
            raise SearchTooSlowError
        return pattern.search(text) is not None
    with _timer(seconds):
        return pattern.search(text) is not None


@contextmanager
def _timer(seconds: float) -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise SearchTooSlowError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
