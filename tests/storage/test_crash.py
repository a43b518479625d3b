"""Killed at any moment, nothing that was acknowledged is missing or doubled, and no reader fails."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.storage.crash_worker import SETTINGS, acknowledged, check
from tests.storage.logs import stored

from promptarena.storage.event_log import EventLog
from promptarena.storage.manifest import read_manifest

_WORKER = Path(__file__).with_name("crash_worker.py")
_ROOT = Path(__file__).resolve().parents[2]


class _Process:
    """One of the processes on the log, ready for its work when this returns."""

    def __init__(self, role: str, root: Path, seed: int) -> None:
        self.role = role
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER), role, str(root), str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", self._errors()

    def kill(self) -> list[str]:
        """SIGKILL; gives what it had said. It must have been alive until now."""
        alive = self._process.poll() is None
        self._process.kill()
        said, errors = self._process.communicate()
        assert alive, f"{self.role} ended by itself:\n{errors}"
        return said.split()

    def _errors(self) -> str:
        return self._process.communicate()[1]


def _kill_and_look(root: Path, victims: list[str], seed: int, longest_wait: float) -> None:
    chance = random.Random(seed)
    EventLog(root / "log").close()
    running = [
        _Process(role, root, at) for at, role in enumerate(["write", "write", "write", "seal", "compact"])
    ]
    reader = _Process("read", root, 0)
    for at, role in enumerate(victims):
        time.sleep(chance.uniform(0, longest_wait))
        victim = chance.choice([one for one in running if one.role == role])
        victim.kill()
        running[running.index(victim)] = _Process(role, root, seed + at + 10)
    for one in running:
        one.kill()
    readings = [int(number) for number in reader.kill()]
    assert len(readings) >= 2
    assert readings[-1] > readings[0]

    with EventLog(root / "log", settings=SETTINGS) as log:
        assert check(root, log) > 100
        log.seal()
        check(root, log)
        log.compact(everything=True)
        assert check(root, log) >= readings[-1]
        counts = log.counts()
        assert counts.refused == 0
        assert counts.duplicates > 0
        # Three writers were killed at the end as well.
        assert counts.torn <= victims.count("write") + 3
        rows = sum(one.rows for one in read_manifest(log.folder).segments)
        ids = acknowledged(root)
        assert rows >= len(ids)
        assert (
            set(stored(root / "log", name="event_id")) | set(stored(root / "log", "measurement", "event_id"))
            >= ids
        )


def test_a_few_kills_of_writers_sealer_and_compaction_lose_and_double_nothing(tmp_path: Path) -> None:
    _kill_and_look(tmp_path, ["seal", "write", "compact"], seed=1, longest_wait=0.2)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_25_kills_of_each_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    victims = ["write", "seal", "compact"] * 25
    random.Random(seed).shuffle(victims)
    _kill_and_look(tmp_path, victims, seed, longest_wait=1.0)
