"""How a run begins its cases, and Ctrl-C at any moment: also between two looks of a duel that may end early."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from promptarena.errors import RunStoppedError
from promptarena.evaluation.cases import Case
from promptarena.evaluation.live.runner import Interrupts, interrupts, run_cases, still_heap
from promptarena.llm.provider_client import Line, ProviderClient


def _nobody(_name: str) -> Line:
    raise AssertionError("nothing is asked here")


def _cases(count: int) -> list[Case]:
    known: list[Any] = list(range(count))
    return known


async def _batch(worked: list[object], pressed: Interrupts) -> None:
    async def work(case: object) -> None:
        worked.append(case)

    await run_cases(_cases(3), work, ProviderClient(_nobody), at_once=1, pressed=pressed)


def test_ctrl_c_between_two_batches_begins_no_further_one() -> None:
    worked: list[object] = []

    async def run() -> None:
        with interrupts(wanted=True) as pressed:
            await _batch(worked, pressed)
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)  # as where vectors are asked for
            await asyncio.sleep(0.01)
            with pytest.raises(RunStoppedError, match=r"Stopped by Ctrl-C"):
                pressed.raise_if_pressed()
            with pytest.raises(RunStoppedError, match=r"Stopped by Ctrl-C"):
                await _batch(worked, pressed)

    asyncio.run(run())
    assert worked == [0, 1, 2]


def test_a_second_ctrl_c_gives_up_what_is_under_way() -> None:
    async def run() -> None:
        pressed = Interrupts()

        async def work(_case: object) -> None:
            pressed.press()
            pressed.press()
            await asyncio.sleep(60)

        with pytest.raises(RunStoppedError, match=r"Stopped by Ctrl-C"):
            await run_cases(_cases(3), work, ProviderClient(_nobody), at_once=1, pressed=pressed)

    asyncio.run(asyncio.wait_for(run(), 10))


def test_the_first_case_is_begun_before_the_others_are_read() -> None:
    told: list[str] = []

    def cases() -> Iterator[Any]:
        for number in range(4):
            told.append(f"read {number}")
            yield number

    async def work(case: object) -> None:
        told.append(f"begun {case}")
        await asyncio.sleep(0.01)

    asyncio.run(run_cases(cases(), work, ProviderClient(_nobody), at_once=3, pressed=Interrupts()))
    assert told[:6] == ["read 0", "begun 0", "read 1", "begun 1", "read 2", "begun 2"]


def test_the_garbage_collector_is_left_as_it_was_found() -> None:
    before = gc.get_threshold()

    def stopped() -> None:
        with still_heap():
            assert gc.get_freeze_count()
            assert gc.get_threshold()[0] > before[0]
            raise RunStoppedError("Stopped.")

    with pytest.raises(RunStoppedError):
        stopped()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_a_heap_that_somebody_else_froze_stays_so() -> None:
    gc.freeze()
    try:
        with still_heap():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
