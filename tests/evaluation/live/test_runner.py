"""Ctrl-C at any moment of a run: also between two looks of a duel that may end early."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from promptarena.errors import RunStoppedError
from promptarena.evaluation.cases import Case
from promptarena.evaluation.live.runner import Interrupts, interrupts, run_cases
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
