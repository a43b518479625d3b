"""A pattern that backtracks without end is given up."""

from __future__ import annotations

import re
import signal
import threading
import time

import pytest

from promptarena.evaluation.time_limit import TooSlowError, within_time

ENDLESS = re.compile(r"(a+)+$")
TEXT = "a" * 40 + "b"


def test_a_quick_match_is_answered_and_leaves_no_timer() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert within_time(lambda: re.search("b", TEXT) is not None, len(TEXT))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_an_endless_match_is_given_up_in_time() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise AssertionError("the guard works in the main thread; run this test there")
    started = time.monotonic()
    with pytest.raises(TooSlowError):
        within_time(lambda: ENDLESS.search(TEXT), len(TEXT), seconds=0.05)
    assert time.monotonic() - started < 2


def test_outside_the_main_thread_long_texts_are_refused() -> None:
    said: list[str] = []

    def work() -> None:
        said.append(str(within_time(lambda: "short", 10)))
        try:
            within_time(lambda: "long", 20_001)
        except TooSlowError:
            said.append("refused")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == ["short", "refused"]
