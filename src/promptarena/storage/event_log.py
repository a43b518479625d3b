"""The event log: append what happened, read all of it, follow what comes.

    log = EventLog(Path("arena-data/log"))
    log.append(events)                              # durable when it returns
    await log.append_async(events, "process")       # survives the process, not a power cut
    tables = log.tables("exposure")                 # for `events_relation`

Any number of processes write to one folder, each to a file of its own. One of them, or a process of its own,
calls `maintain` every few seconds (`background=True` does so in a thread).
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import get_running_loop
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TypeAlias, TypeGuard

import msgspec

from promptarena.definitions.clock import Clock, SystemClock
from promptarena.definitions.event_lines import encode_events, encoded
from promptarena.definitions.events import (
    EVENT_TYPES,
    Content,
    Event,
    Exposure,
    Generation,
    Kind,
    Measurement,
)
from promptarena.errors import ArenaError, Location, StorageError
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.group_commit import GroupCommit
from promptarena.storage.log_folder import LogFolder, LogSettings
from promptarena.storage.manifest import Counts
from promptarena.storage.segment_writer import SegmentWriter
from promptarena.storage.snapshot import KindTables, Snapshot, take_snapshot
from promptarena.storage.tombstones import Identity, TombstoneWatch

__all__ = ["Dropped", "Durability", "EventLog", "LogReader"]

Durability: TypeAlias = Literal["power", "process"]
"""What an acknowledged event survives: a power cut, or the death of this process."""

_SEVERAL: Final = (list, tuple)
_KEPT: Final = frozenset({Exposure, Generation, Measurement})
"""Kinds that no policy changes."""


@dataclass(slots=True)
class Dropped:
    """Events that this process was given and did not write, as it was told to."""

    erased: int = 0
    """About somebody who was erased."""
    unsampled: int = 0
    """Content outside the sample."""


class LogReader:
    """A log as its readers see it: needs no right to write, takes no lock, disturbs no writer."""

    def __init__(
        self, root: Path, *, settings: LogSettings | None = None, clock: Clock | None = None
    ) -> None:
        self.folder = LogFolder(root)
        self._settings = settings or LogSettings()
        self._clock = clock or SystemClock()

    def snapshot(self) -> Snapshot:
        """Everything acknowledged until now, each event once.

        Raises:
            StorageError: there is no log, or it cannot be read.
        """
        return take_snapshot(self.folder, self._settings)

    def tables(self, kind: Kind, since: date | None = None, until: date | None = None) -> KindTables:
        """Where one kind's events are now, for `events_relation`; days are `received_at` days, inclusive.

        Raises:
            StorageError: there is no log, or it cannot be read.
        """
        return self.snapshot().tables(kind, since, until)

    def counts(self) -> Counts:
        """Torn, refused, duplicate, late, ahead and erased events until now.

        Raises:
            StorageError: there is no log, or it cannot be read.
        """
        return self.snapshot().counts

    def follow(
        self,
        *,
        after: Snapshot | None = None,
        kinds: Collection[Kind] = tuple(EVENT_TYPES),
        poll_s: float = 0.2,
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        """New events as they come; see `storage.follow.follow`."""
        from promptarena.storage.follow import follow

        return follow(
            self.folder, self._settings, self._clock, after=after, kinds=kinds, poll_s=poll_s, stop=stop
        )


class EventLog(LogReader):
    """A log that this process writes to. Close it after use (it is a context manager)."""

    def __init__(
        self,
        root: Path,
        *,
        settings: LogSettings | None = None,
        content: ContentPolicy | None = None,
        clock: Clock | None = None,
        background: bool = False,
    ) -> None:
        """Open a log, making its folder if need be.

        Args:
            content: what is kept of content; by default none is.
            clock: for `received_at` and for days; waits are on its monotonic hand.
            background: maintain the log from a thread of this process.

        Raises:
            StorageError: the folder cannot be written to.
        """
        super().__init__(root, settings=settings, clock=clock)
        self.folder.create()
        self.dropped = Dropped()
        self._content = content or ContentPolicy()
        self._tombstones = TombstoneWatch(self.folder)
        self._writer = SegmentWriter(self.folder, self._settings, self._clock)
        self._commit = GroupCommit(self._writer.write_durably)
        self._open = True
        self._closed = threading.Event()
        self.background_error: ArenaError | None = None
        """What the last background round failed with, if it did."""
        self._sealer: Any = None
        self._maintaining = threading.Lock()
        self._thread: threading.Thread | None = None
        if background:
            self._thread = threading.Thread(
                target=self._maintain_regularly, name="promptarena-maintain", daemon=True
            )
            self._thread.start()

    def append(
        self, events: Event | Sequence[Event], durability: Durability = "power", *, checked: bool = False
    ) -> None:
        """Write events; what this returns from is acknowledged.

        All are accepted or none. After an error they may be sent again under the same event ids: whatever of
        them did reach the disk counts once.

        Args:
            checked: see `encode_events`.

        Raises:
            EventError: an event breaks the schema.
            StorageError: the disk refused.
        """
        if self._as_it_is(events):
            lines = encode_events([events], checked=checked)
        elif not (lines := self._lines(events, checked)):
            return
        if durability == "process":
            self._writer.write(lines)
        else:
            self._commit.append(lines)

    def append_async(
        self, events: Event | Sequence[Event], durability: Durability = "power", *, checked: bool = False
    ) -> asyncio.Future[None]:
        """The same, for a task to await: `power` waits without holding up the loop.

        What is wrong with an event is raised at once. What is for `power` goes to the disk once this turn of
        the loop has ended or the log is closed, awaited or not. A cancelled wait does not take it back.

        Args:
            checked: an event that comes alone, for `power`, is then encoded when this turn of the loop ends,
                with all others. Until then nobody may change what it holds, such as its `params`. If it
                cannot be encoded after all, the wait raises that, and the others are written.

        Raises:
            EventError, StorageError: as `append`.
        """
        loop = get_running_loop()
        if checked and durability == "power" and self._as_it_is(events):
            return self._commit.append_async(events, loop)
        lines = self._lines(events, checked)
        if lines and durability == "power":
            return self._commit.append_async(encoded(lines), loop)
        if lines:
            self._writer.write(lines)
        done: asyncio.Future[None] = loop.create_future()
        done.set_result(None)
        return done

    def erase(self, kind: str, id_: str) -> int:
        """Erase a person (`user`), or one `session`, `conversation` or `request`; see `erasure.erase`.

        Returns:
            How many stored events are hidden from now on, until compaction has removed them.
        """
        from promptarena.storage.erasure import erase

        return erase(self.folder, self._settings, Identity(kind, id_))

    def seal(self) -> list[str]:
        """Close the open segment and seal all that have no writer; gives the names of those it sealed.

        Raises:
            StorageError: a disk or a lock failed; nothing is lost by it.
        """
        self._writer.rotate()
        return self._seal_closed()

    def compact(self, *, everything: bool = False) -> int:
        """Merge sealed segments where that is due; see `Compactor.compact`."""
        from promptarena.storage.compaction import Compactor

        return Compactor(self.folder, self._settings, self._clock).compact(everything=everything)

    def maintain(self) -> None:
        """One round: close the open segment if due, adopt and seal, compact, delete what had its time.

        Raises:
            StorageError, DataError: a disk, a lock or the engine failed; nothing is lost by it.
        """
        from promptarena.storage.housekeeping import Housekeeper

        self._writer.rotate(only_if_due=True)
        self._seal_closed()
        self.compact()
        housekeeper = Housekeeper(self.folder, self._settings, self._clock)
        if self._content.retention is not None:
            housekeeper.expire("content", self._content.retention)
        housekeeper.tidy()

    def close(self) -> None:
        """Commit what waits and let go of the open segment, which whoever maintains the log then seals."""
        self._open = False
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self._commit.close()
        self._writer.rotate()
        self._tombstones.close()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lines(self, events: Event | Sequence[Event], checked: bool) -> bytes:
        """What is written of these events, if anything is."""
        if not self._open:
            raise StorageError("this log is closed.", where=Location(self.folder.root))
        batch: Sequence[Event] = events if isinstance(events, _SEVERAL) else (events,)
        look = bool(self._tombstones.current())
        for event in batch:  # most of the time none has to be dropped or changed
            # What is no event at all is left to the schema to refuse.
            look = look or type(event) is Content or getattr(event, "received_at", None) is not None
        if look:
            if not checked:
                encode_events(batch)
            batch = [kept for event in batch if (kept := self._admitted(event)) is not None]
            checked = True
        if not batch:
            return b""
        return encode_events(batch, checked=checked)

    def _as_it_is(self, events: Any) -> TypeGuard[Event]:
        """Whether this is one event, to be written as it is: the common case, told quickly."""
        return (
            type(events) in _KEPT and events.received_at is None and self._open and self._tombstones.nobody()
        )

    def _admitted(self, event: Event) -> Event | None:
        if self._tombstones.current().covers(event):
            self.dropped.erased += 1
            return None
        if event.received_at is not None:
            event = msgspec.structs.replace(event, received_at=None)
        if isinstance(event, Content):
            content = self._content.admit(event)
            self.dropped.unsampled += content is None
            return content
        return event

    def _seal_closed(self) -> list[str]:
        from promptarena.storage.sealing import Sealer

        with self._maintaining:
            if self._sealer is None:
                self._sealer = Sealer(self.folder, self._settings, self._clock)
            names: list[str] = self._sealer.seal_all()
            return names

    def _maintain_regularly(self) -> None:
        while not self._closed.wait(min(5.0, self._settings.seal_after_s / 3)):
            try:
                self.maintain()
                self.background_error = None
            except ArenaError as error:  # told to whoever asks; the next round may find a disk with room
                self.background_error = error
            except Exception as error:  # a bug of ours must not end all sealing of a process that serves
                self.background_error = StorageError(
                    f"the log could not be maintained: {error!r}.", where=Location(self.folder.root)
                )
