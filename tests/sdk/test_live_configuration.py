"""Assignments follow the registry, and go on without it."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from tests.sdk.arenas import START, SwitchedSource, configuration

from promptarena.assignment.running import Serving
from promptarena.definitions.clock import ManualClock, SystemClock
from promptarena.errors import StorageError
from promptarena.sdk.live_configuration import LiveConfiguration


def test_a_transition_is_obeyed_within_two_seconds(tmp_path: Path) -> None:
    source = SwitchedSource(configuration(tmp_path))
    live = LiveConfiguration(source, SystemClock())
    units = {"conversation": "c-1"}
    assert live.router.assign("support-bot", units).exposed
    source.configuration = configuration(tmp_path, serving=Serving.ROLLED_BACK)
    start = time.monotonic()
    while live.router.assign("support-bot", units).exposed:
        assert time.monotonic() - start < 2
        time.sleep(0.01)
    live.close()


def test_while_the_registry_is_down_assignments_stand_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = SwitchedSource(configuration(tmp_path))
    clock = ManualClock(START)
    live = LiveConfiguration(source, clock, poll_s=0)
    before = live.router.assign("support-bot", {"conversation": "c-1"})
    with caplog.at_level(logging.WARNING, "promptarena"):
        source.problem = "The registry does not answer. Serving from what was known at 09:00."
        assert not live.refresh()
        source.known = False
        assert not live.refresh()
        assert not live.refresh()
        assert live.router.assign("support-bot", {"conversation": "c-1"}) == before
        assert caplog.text.count("last known state") == 1
        assert live.state().failed_looks == 3
        assert "nothing is known" in str(live.state().problem)
        source.known, source.problem = True, None
        assert live.refresh()
        assert "answers again" in caplog.text
    assert live.state().problem is None
    live.close()


def test_an_error_of_any_kind_leaves_assignments_alone(tmp_path: Path) -> None:
    class Broken(SwitchedSource):
        def look(self):  # type: ignore[no-untyped-def]
            if self.looks:
                raise ZeroDivisionError("a bug")
            return super().look()

    live = LiveConfiguration(Broken(configuration(tmp_path)), ManualClock(START), poll_s=0)
    assert not live.refresh()
    assert live.state().problem == "ZeroDivisionError: a bug"
    assert live.router.assign("support-bot", {"conversation": "c-1"}).exposed
    live.close()


def test_nothing_known_at_all_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing is known"):
        LiveConfiguration(SwitchedSource(configuration(tmp_path), known=False), ManualClock(START), poll_s=0)


def test_the_age_of_what_is_known_is_told(tmp_path: Path) -> None:
    source = SwitchedSource(configuration(tmp_path), problem="down since yesterday")
    live = LiveConfiguration(source, SystemClock(), poll_s=0)
    assert live.state().confirmed_s_ago is None
    source.problem = None
    live.refresh()
    age = live.state().confirmed_s_ago
    assert age is not None
    assert 0 <= age < 5
    live.close()
