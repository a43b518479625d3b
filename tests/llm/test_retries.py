"""When an attempt is repeated, and after how long."""

from __future__ import annotations

from random import Random

import pytest

from promptarena.llm.attempt import AttemptError, Failure
from promptarena.llm.retries import RetryPolicy

POLICY = RetryPolicy(attempts=4, overloads=3, first_wait_s=1.0, longest_wait_s=5.0, patience_s=60.0)


def waits(failure: Failure, broken: int, overloaded: int, retry_after_s: float | None = None) -> list[float]:
    error = AttemptError("x", failure, retry_after_s=retry_after_s)
    found = [POLICY.wait_s(error, broken, overloaded, Random(seed)) for seed in range(400)]
    assert all(wait is None for wait in found) or all(wait is not None for wait in found)
    return [wait for wait in found if wait is not None]


@pytest.mark.parametrize(("broken", "longest"), [(1, 1.0), (2, 2.0), (3, 4.0)])
def test_the_longest_wait_doubles_and_jitter_is_full(broken: int, longest: float) -> None:
    found = waits(Failure.TRANSIENT, broken, 0)
    assert max(found) <= longest
    assert min(found) < longest / 10
    assert sum(found) / len(found) == pytest.approx(longest / 2, rel=0.1)


def test_waits_are_bounded_and_so_are_attempts() -> None:
    assert max(waits(Failure.OVERLOAD, 0, 3)) <= 5.0
    assert not waits(Failure.TRANSIENT, 4, 0)
    assert not waits(Failure.OVERLOAD, 0, 4)
    # Waiting for room is no fault: overloads do not use up the attempts.
    assert waits(Failure.TRANSIENT, 3, 3)


@pytest.mark.parametrize("failure", [Failure.CALL, Failure.PROVIDER])
def test_what_cannot_succeed_is_not_repeated(failure: Failure) -> None:
    assert not waits(failure, 1, 0, 1.0)


def test_what_the_provider_asks_for_is_obeyed_within_patience() -> None:
    found = waits(Failure.OVERLOAD, 0, 1, 20.0)
    assert min(found) >= 20.0
    assert max(found) <= 21.0
    assert not waits(Failure.OVERLOAD, 0, 1, 61.0)
