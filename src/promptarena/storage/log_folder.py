"""Where things lie in a log's folder, and the settings that a log is opened with."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from promptarena.definitions.clock import Clock
from promptarena.definitions.event_id import new_event_id
from promptarena.storage.durable_files import explained

__all__ = ["LogFolder", "LogSettings", "Stamp", "age_of", "segment_host", "stamped", "this_host"]


@cache
def this_host() -> str:
    """This machine's name, as it stands in segments' names."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", platform.node()) or "unnamed"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What may be chosen about a log; the defaults are the documented promises."""

    seal_after_s: float = 30.0
    """An open segment is closed, to be sealed, at this age ..."""
    seal_bytes: int = 64 * 2**20
    """... or at this size, whichever comes first."""
    grace_s: float = 600.0
    """How long files stay that readers may still hold: sealed JSON lines, replaced Parquet."""
    merge_at: int = 16
    """Segments of one partition that have not been compacted before it is due."""
    late_after: timedelta = timedelta(hours=1)
    """An event whose `ts` lies this far, or further, before `received_at` counts as late."""
    ahead_after: timedelta = timedelta(minutes=5)
    """An event whose `ts` lies this far, or further, after `received_at` counts as ahead."""
    host: str = field(default_factory=this_host)
    """Which machine this is: only its own dead processes' segments are adopted at once."""


class LogFolder:
    """The folder of one log."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.open = root / "open"
        """JSON lines that processes append to, and those sealed less than the grace ago."""
        self.sealed = root / "sealed"
        """Parquet, as `kind=KIND/day=YYYY-MM-DD/NAME.parquet`."""
        self.work = root / "work"
        """What sealing and compaction have not committed."""
        self.refused = root / "refused"
        """Lines of segments that could not be read as events, kept for a person to look at."""
        self.erased = root / "erased"
        """Names of events to hide until compaction has removed them."""
        self.manifest = root / "manifest.json"
        self.manifest_lock = root / "manifest.lock"
        self.compaction_lock = root / "compaction.lock"
        self.tombstones = root / "tombstones.jsonl"
        self.tombstone_key = root / "tombstones.key"
        self.tombstone_size = root / "tombstones.size"

    def create(self) -> None:
        """Make what is not there yet.

        Raises:
            StorageError: the folder cannot be made.
        """
        for folder in (self.root, self.open, self.sealed, self.work, self.refused, self.erased):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise explained(error, "make the log's folder", folder) from error

    def partition(self, kind: str, day: str) -> Path:
        """The folder of one kind and one `received_at` day (ISO, UTC)."""
        return self.sealed / f"kind={kind}" / f"day={day}"

    def new_segment_name(self, host: str) -> str:
        """A name for a new segment; sorts by time of creation, says whose it is."""
        return f"{new_event_id()}~{host}.jsonl"

    def segments(self) -> list[Path]:
        """All JSON lines there are, sealed or not, oldest first; not the half-made ones (hidden names)."""
        return sorted(path for path in self.open.glob("*.jsonl") if not path.name.startswith("."))

    def sealed_files(self) -> Iterator[Path]:
        """All Parquet there is, listed in the manifest or not."""
        return self.sealed.glob("kind=*/day=*/*.parquet")


def segment_host(name: str) -> str:
    """Whose segment this is.

    >>> segment_host("019c1159-7000-7b3f-8b01-dc250833d03b~web-1.jsonl")
    'web-1'
    """
    return name.removesuffix(".jsonl").partition("~")[2]


class Stamp(msgspec.Struct, frozen=True):
    """A moment on one boot's monotonic clock, so that no change of the calendar shortens a wait."""

    host: str
    boot: str
    at: float


_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@cache
def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:  # not a Linux: a restart then shows as a clock that ran backwards
        return "unnamed"


def stamped(clock: Clock, host: str) -> Stamp:
    """This moment."""
    return Stamp(host, _boot(), clock.monotonic())


def age_of(stamp: Stamp, clock: Clock, host: str) -> float:
    """Seconds since a stamp.

    Infinite after a restart, since no reader from before it can live; zero for another host's stamps, which
    that host looks after itself.
    """
    if stamp.host != host:
        return 0.0
    elapsed = clock.monotonic() - stamp.at
    return elapsed if stamp.boot == _boot() and elapsed >= 0 else float("inf")
