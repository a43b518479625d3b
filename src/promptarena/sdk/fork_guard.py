"""A fork finds everything at rest: no look at the registry, no write under way, so no lock is inherited."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forkable", "guard"]


class Forkable(Protocol):
    """What has threads and locks of its own."""

    def hold(self) -> None:
        """Come to rest, and stay so until the fork is done."""

    def let_go(self) -> None:
        """Go on, in the parent."""

    def begin_in_child(self) -> None:
        """Begin anew: the child has none of the parent's threads."""


def guard(forkable: Forkable) -> None:
    """Have an object told of forks for as long as it lives."""
    _guarded.add(forkable)


_guarded: WeakSet[Forkable] = WeakSet()
_held: list[Forkable] = []
_one_fork = threading.Lock()


def _before() -> None:
    _one_fork.acquire()
    for forkable in list(_guarded):
        forkable.hold()
        _held.append(forkable)


def _in_parent() -> None:
    for forkable in _held:
        forkable.let_go()
    _held.clear()
    _one_fork.release()


def _in_child() -> None:
    for forkable in _held:
        forkable.begin_in_child()
    _held.clear()
    _one_fork.release()  # the thread that forked holds it, and is the one that lives on here


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
