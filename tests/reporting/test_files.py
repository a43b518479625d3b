"""Files appear whole, or not at all with a clear word."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptarena.errors import UsageError
from promptarena.reporting.files import write_whole

_NOBODY = 65534


@contextmanager
def not_as_root() -> Iterator[None]:
    """Root may write anywhere; the test of a read-only folder must not be root."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if was == 0:
            os.seteuid(was)


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write_whole("first\n", path)
    write_whole("zweite Zeile: ü\n", path)
    assert path.read_bytes() == "zweite Zeile: ü\n".encode()
    assert os.listdir(tmp_path) == ["report.md"]  # noqa: PTH208  # hidden files too


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder .*nowhere.* Create it first"):
        write_whole("x", tmp_path / "nowhere" / "report.html")


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"This is a folder"):
        write_whole("x", tmp_path)


def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    pipe, link, listening = tmp_path / "pipe", tmp_path / "link", tmp_path / "s"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        for path in (pipe, link, listening):
            with pytest.raises(UsageError, match=r"a device, a pipe or a socket, not a file"):
                write_whole("x", path)
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert listening.is_socket()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "pipe", "s"]


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "wiki").mkdir()
    page, link = tmp_path / "wiki" / "page.md", tmp_path / "page.md"
    page.write_text("old")
    link.symlink_to(page)
    write_whole("new", link)
    assert link.is_symlink()
    assert page.read_text() == "new"
    assert [each.name for each in page.parent.iterdir()] == ["page.md"]


def test_a_read_only_folder_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    path = folder / "report.html"
    path.write_text("old")
    folder.chmod(0o555)
    try:
        with not_as_root(), pytest.raises(UsageError, match=r"cannot be written: Permission denied"):
            write_whole("new", path)
    finally:
        folder.chmod(0o755)
    assert path.read_text() == "old"
    assert len(list(folder.iterdir())) == 1


def test_a_write_that_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(UsageError, match=r"File too large.*with room left"):
            write_whole("x" * 100_000, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_name_that_is_no_unicode_does_not_sink_a_report(tmp_path: Path) -> None:
    write_whole("metric \ud800", tmp_path / "report.md")
    assert (tmp_path / "report.md").read_text() == "metric \\ud800"
