"""Disks that are full or read-only, locks that are held: the system's own limits, in processes of their own."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.storage.logs import call, column

from promptarena.definitions.events import Generation
from promptarena.errors import StorageError
from promptarena.storage.durable_files import lock, write_whole
from promptarena.storage.event_log import Durability, EventLog, LogReader
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.manifest import read_manifest

_HEAD = """
import os, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from promptarena.definitions.events import Generation
from promptarena.definitions.events import Generation
from promptarena.errors import StorageError
from promptarena.storage.event_log import EventLog
root = Path(sys.argv[1])
def call(name, size=10):
    return Generation(ts=datetime(2026, 3, 1, 12, tzinfo=UTC), request_id=name, feature="f", error="x" * size)
"""


def _run(program: str, root: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _HEAD + textwrap.dedent(program), str(root)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_write_cut_short_by_a_limit_leaves_nothing_behind_and_the_log_goes_on(
    tmp_path: Path, durability: str
) -> None:
    """The limit lets the kernel write a part (a short write) and refuse the rest."""
    said = _run(
        f"""
        log = EventLog(root)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
        log.append(call("before"), {durability!r})
        for name in ("big", "big again"):
            try:
                log.append([call(name), call(name, 5_000)], {durability!r})
            except StorageError as error:
                print(error)
        log.append(call("small"), {durability!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.append(call("after", 5_000), {durability!r})
        """,
        tmp_path,
    )
    assert said.count("cannot append to the log: file too large.") == 2
    assert "send again, under the same event ids" in said
    reader = LogReader(tmp_path)
    assert column(reader) == ["after", "before", "small"]
    assert reader.counts().torn == 0
    # A segment that failed is not gone on with: a follower may have read what was cut off.
    assert len(reader.folder.segments()) == 3


def test_power_means_that_the_disk_was_asked_after_the_last_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fdatasync = os.fdatasync

    def watched(handle: int) -> None:
        synced.append(os.fstat(handle).st_size)
        fdatasync(handle)

    monkeypatch.setattr(os, "fdatasync", watched)
    with EventLog(tmp_path) as log:
        for at in range(5):
            log.append(call("r"), "process")
            assert len(synced) == at
            log.append([call("r"), call("r")])
            assert len(synced) == at + 1
            assert synced[-1] == log.folder.segments()[0].stat().st_size


def test_after_a_disk_error_nothing_is_acknowledged_and_another_segment_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fdatasync = os.fdatasync
    broken = True

    def failing(handle: int) -> None:
        if broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fdatasync(handle)

    monkeypatch.setattr(os, "fdatasync", failing)
    with EventLog(tmp_path) as log:
        log.append(call("kept"), "process")
        again = call("again")
        with pytest.raises(StorageError, match="cannot make events durable: input/output error"):
            log.append(again)
        broken = False
        log.append(again)
        assert len(log.folder.segments()) == 2
        assert column(log) == ["again", "kept"]


@contextmanager
def _small_disk() -> Iterator[Path | None]:
    """A file system of 256 kB, where the system lets us have one."""
    folder = Path(tempfile.mkdtemp())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def test_a_full_disk_refuses_clearly_loses_nothing_and_is_used_again_once_there_is_room() -> None:
    with _small_disk() as disk:
        if disk is None:
            # Who may not mount has the limit on a file's size above, which shows the same.
            assert not _may_mount()
            return
        with EventLog(disk / "log") as log:
            ballast = disk / "ballast"
            ballast.write_bytes(b"x" * 200_000)
            acknowledged = []

            def fill() -> None:
                for at in range(100_000):
                    log.append(call(str(at)), "power" if at % 2 else "process")
                    acknowledged.append(str(at))

            with pytest.raises(StorageError, match="disk is full"):
                fill()
            assert column(log) == sorted(acknowledged)
            with pytest.raises(StorageError):
                log.seal()
            assert column(log) == sorted(acknowledged)
            ballast.unlink()
            log.append(call("after"))
            assert len(log.seal()) >= 1
            assert column(log) == sorted([*acknowledged, "after"])
            assert list(log.folder.work.iterdir()) == []


@pytest.mark.parametrize("durability", ["power", "process"])
def test_a_disk_that_stays_full_takes_neither_handles_nor_files(durability: Durability) -> None:
    with _small_disk() as disk:
        if disk is None:
            assert not _may_mount()
            return
        with EventLog(disk / "log") as log:
            log.append(call("before"), durability)
            ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
            with suppress(OSError):
                while True:
                    os.write(ballast, b"x" * 4096)
            os.close(ballast)
            small, large = [call("small")] * 100, [call("large")] * 500
            refused = 0

            def refuse(batch: list[Generation], times: int) -> None:
                nonlocal refused
                for _ in range(times):
                    with pytest.raises(StorageError, match="disk is full"):
                        log.append(batch, durability)
                    refused += 1

            refuse(small, 50)
            files = len(log.folder.segments())
            handles = _handles()
            refuse(small, 50)
            assert len(log.folder.segments()) == files <= 2
            # Some room, and a batch that is larger: it is taken in part, and cut off again.
            with (disk / "ballast").open("r+b") as held:
                held.truncate(held.seek(0, os.SEEK_END) - 40_000)
            refuse(large, 50)
            assert refused == 150
            assert _handles() <= handles + 1
            (disk / "ballast").unlink()
            log.append(call("after"), durability)
            assert column(log) == ["after", "before"]


def test_a_log_whose_folder_is_gone_says_so_and_is_kept_up_again_once_it_is_back(tmp_path: Path) -> None:
    def until(said: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not said():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    with EventLog(tmp_path / "log", settings=LogSettings(seal_after_s=0.1), background=True) as log:
        log.append(call("before"))
        (tmp_path / "log").rename(tmp_path / "elsewhere")
        until(lambda: "no such file or directory" in str(log.background_error))
        log.seal()  # closes the segment, which went with its folder
        with pytest.raises(StorageError, match="cannot begin a segment of the log: no such file"):
            log.append(call("refused"))
        with pytest.raises(StorageError, match="cannot take a lock: no such file"):
            log.compact()
        log.folder.create()
        log.append(call("after"))
        until(lambda: log.background_error is None and bool(log.snapshot().manifest.segments))
        assert column(log) == ["after"]


def _handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _may_mount() -> bool:
    status = Path("/proc/self/status").read_text()
    capabilities = int(next(line for line in status.splitlines() if line.startswith("CapEff")).split()[1], 16)
    return bool(capabilities >> 21 & 1)


def test_a_folder_that_may_not_be_written_is_named_and_can_still_be_read() -> None:
    folder = Path(tempfile.mkdtemp())
    log = EventLog(folder / "log")
    log.append([call("a"), call("b")])
    log.seal()
    log.append(call("c"))
    log.close()
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    said = _run(
        """
        if os.geteuid() == 0:
            os.seteuid(65534)  # an administrator may write anywhere
        from promptarena.storage.event_log import LogReader
        for where in (root / "log", root / "new"):
            try:
                EventLog(where).append(call("x"))
            except StorageError as error:
                print(error)
        snapshot = LogReader(root / "log").snapshot()
        print(len(snapshot.tail["generation"]), sum(one.rows for one in snapshot.manifest.segments))
        """,
        folder,
    )
    lines = said.splitlines()
    assert len(lines) == 3
    assert "permission denied" in lines[0]
    assert "permission denied" in lines[1]
    assert lines[2] == "1 2"
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    subprocess.run(["rm", "-r", str(folder)], check=True)


def test_a_lock_that_is_never_freed_ends_in_a_message_and_hinders_no_append(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("a"))
        with lock(log.folder.manifest_lock):
            with (
                pytest.raises(StorageError, match="another process has held this lock"),
                lock(log.folder.manifest_lock, patience_s=0.05),
            ):
                pass
            log.append(call("b"))
            assert column(log) == ["a", "b"]


def test_a_damaged_or_newer_manifest_is_not_guessed_at(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("a"))
        log.seal()
        for content, message in ((b'{"version":1,"segm', "damaged"), (b'{"version":2}', "version 2")):
            write_whole(log.folder.manifest, content)
            with pytest.raises(StorageError, match=message):
                log.snapshot()
            with pytest.raises(StorageError, match=message):
                log.seal()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    said = _run(
        """
        from promptarena.storage.durable_files import write_whole
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
        try:
            write_whole(root, b"x" * 5_000)
        except OSError as error:
            print(error.strerror)
        """,
        path,
    )
    assert said == "File too large\n"
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("file", b"old")]


def test_a_manifest_that_cannot_be_written_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    said = _run(
        """
        log = EventLog(root)
        log.append([call(str(at)) for at in range(20)])
        log.seal()
        log.append(call("more"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
        try:
            log.seal()
        except StorageError as error:
            print(type(error).__name__, "cannot" in str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(len(log.seal()))
        """,
        tmp_path,
    )
    assert said.split() == ["StorageError", "True", "1"]
    reader = LogReader(tmp_path)
    assert len(column(reader)) == 21
    assert sum(one.rows for one in read_manifest(reader.folder).segments) == 21
