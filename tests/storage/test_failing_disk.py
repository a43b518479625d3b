"""Disks that fail or lose their power under a log: file systems in a file, which only root may mount."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.storage.logs import column

from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.log_folder import LogSettings

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN: a file system stops as it does when its journal cannot be written."""
_WRITER = """
import os, sys, threading
from datetime import UTC, datetime
from pathlib import Path
from promptarena.definitions.events import Generation
from promptarena.errors import StorageError
from promptarena.storage.event_log import EventLog
from promptarena.storage.log_folder import LogSettings

log = EventLog(Path(sys.argv[1]), settings=LogSettings(seal_bytes=1_000_000))
notes = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
refused = {"power": 0, "process": 0}

def write(durability, name):
    at = 0
    while min(refused.values()) < 200:
        at += 1
        call = Generation(ts=datetime.now(UTC), request_id=f"{name}-{at}", feature="f", error="x" * 300)
        try:
            log.append(call, durability, checked=True)
        except StorageError as error:
            if not refused[durability]:
                print(error, flush=True)
            refused[durability] += 1
        else:
            if durability == "power":
                os.write(notes, f"{name}-{at}\\n".encode())

threads = [threading.Thread(target=write, args=("power", f"power{at}")) for at in range(2)]
threads += [threading.Thread(target=write, args=("process", f"process{at}")) for at in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

pytestmark = [pytest.mark.slow, pytest.mark.soak]


def _kind(name: str) -> Any:
    able = os.geteuid() == 0 and shutil.which(f"mkfs.{name}")
    return pytest.param(name, marks=pytest.mark.skipif(not able, reason=f"needs root and mkfs.{name}"))


@contextmanager
def _mounted(image: Path) -> Iterator[Path]:
    folder = image.with_suffix(".mounted")
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _formatted(image: Path, kind: str) -> Path:
    with image.open("wb") as file:
        file.truncate(400 * 2**20)
    subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True)
    return image


def _start(log: Path, notes: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", _WRITER, str(log), str(notes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [_kind("ext4"), _kind("xfs")])
def test_a_file_system_that_gives_up_is_an_error_for_all_who_append_and_no_signal(
    tmp_path: Path, kind: str, seed: int
) -> None:
    with _mounted(_formatted(tmp_path / "disk", kind)) as disk:
        writer = _start(disk / "log", tmp_path / "notes")
        time.sleep(random.Random(seed).uniform(0.7, 1.5))
        handle = os.open(disk, os.O_RDONLY)
        fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", 2))
        os.close(handle)
        said, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, "")
        assert "cannot append to the log" in said or "cannot begin a segment" in said
        assert "read-only" in said or "reports an error" in said


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", [_kind("ext4"), _kind("xfs")])
def test_a_power_cut_takes_nothing_that_was_acknowledged_for_it(tmp_path: Path, kind: str, seed: int) -> None:
    """The disk as it is in one moment, mounted by another machine: what was not synced is not in it."""
    image, notes = _formatted(tmp_path / "disk", kind), tmp_path / "notes"
    with _mounted(image) as disk:
        writer = _start(disk / "log", notes)
        time.sleep(random.Random(seed).uniform(0.7, 2.5))
        writer.send_signal(signal.SIGSTOP)
        time.sleep(0.05)  # whoever is in a system call comes to its end
        acknowledged = notes.read_text().split()
        subprocess.run(["cp", "--sparse=always", str(image), str(tmp_path / "copy")], check=True)
        writer.kill()
        writer.communicate()
    with _mounted(tmp_path / "copy") as disk:
        found = Counter(map(str, column(LogReader(disk / "log"))))
        assert [one for one in acknowledged if found[one] != 1] == []
        assert len(acknowledged) > 100
        with EventLog(disk / "log", settings=LogSettings()) as log:
            log.seal()
            found = Counter(map(str, column(log)))
            assert [one for one in acknowledged if found[one] != 1] == []
            assert max(found.values()) == 1
            assert log.counts().refused == 0
