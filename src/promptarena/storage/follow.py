"""New events as they come, read from the ends of the segments."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import Final

from promptarena.definitions.clock import Clock
from promptarena.definitions.events import EVENT_TYPES, Event, Kind
from promptarena.errors import Location, StorageError
from promptarena.storage.log_folder import LogFolder, LogSettings
from promptarena.storage.segments import Position, read_segment
from promptarena.storage.snapshot import Snapshot, take_snapshot
from promptarena.storage.tombstones import read_tombstones

__all__ = ["follow"]

_REMEMBERED: Final = 200_000
"""Event ids that a follower knows again; a repetition that comes later than so many events is given twice."""


def follow(
    folder: LogFolder,
    settings: LogSettings,
    clock: Clock,
    *,
    after: Snapshot | None = None,
    kinds: Collection[Kind] = tuple(EVENT_TYPES),
    poll_s: float = 0.2,
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Events that were acknowledged after a snapshot, each once, in the order of each writer.

    Lines stay for the log's grace after they are sealed, so sealing and compaction are not noticed here.

    Args:
        after: where to begin; by default now. Nothing is missed between the snapshot and its followers.
        poll_s: seconds between looks.
        stop: ends the iteration once everything has been given that was there when it was set.

    Raises:
        StorageError: the log cannot be read, or whoever follows fell behind by more than the grace.
    """
    follower = _Follower(folder, after or take_snapshot(folder, settings))
    stop = stop or threading.Event()
    last = clock.monotonic()
    while True:
        ending = stop.is_set()
        for event in follower.read_on():
            if isinstance(event, tuple(EVENT_TYPES[kind] for kind in kinds)):
                yield event
        if ending:
            return
        if clock.monotonic() - last >= settings.grace_s:
            raise StorageError(
                f"whoever follows the log came back after more than {settings.grace_s:g} s.",
                where=Location(folder.root),
                hint="Events may have been missed: take a new snapshot and follow from there.",
            )
        last = clock.monotonic()
        stop.wait(poll_s)


class _Follower:
    """How far every segment has been read."""

    def __init__(self, folder: LogFolder, after: Snapshot) -> None:
        self._folder = folder
        self._positions = dict(after.positions)
        # Sealed by then: what they hold was in the snapshot.
        self._done = set(after.manifest.sealed_from)
        self._given: OrderedDict[str, None] = OrderedDict()

    def read_on(self) -> Iterator[Event]:
        tombstones = read_tombstones(self._folder)
        there = self._folder.segments()
        for path in there:
            if path.name in self._done:
                continue
            start = self._positions.get(path.name, Position())
            try:
                if path.stat().st_size <= start.end:
                    continue
                lines = read_segment(path, start)
            except FileNotFoundError:
                continue
            self._positions[path.name] = lines.position
            for event in lines.events:
                if not tombstones.covers(event) and self._is_new(event):
                    yield event
        names = {path.name for path in there}
        self._positions = {name: end for name, end in self._positions.items() if name in names}
        self._done &= names

    def _is_new(self, event: Event) -> bool:
        if event.event_id in self._given:
            return False
        self._given[event.event_id] = None
        if len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        return True
