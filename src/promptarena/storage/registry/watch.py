"""What a node knows of the registry: fresh where it answers, the last known where it does not.

    watch = RegistryWatch(address, cache=root / ".arena" / "registry.known.json", clock=clock)
    known = watch.refresh()          # once a second or so; then build the router from `known.state`
    if known.problem: say so, and go on serving

Assignments need nothing else, so a node that starts while the registry is down serves as it did before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final

from promptarena.definitions.clock import Clock
from promptarena.errors import StorageError
from promptarena.storage.durable_files import lock, write_whole
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.known_state import KnownState, decode_state, encode_state
from promptarena.storage.registry.registry import Registry

__all__ = ["Known", "RegistryWatch"]

_PATIENCE_S: Final = 1.0
"""A node must notice within two seconds, so it does not wait long for anything."""


@dataclass(frozen=True, slots=True)
class Known:
    """A state, and how far it can be relied on."""

    state: KnownState
    problem: str | None = None
    """Why it may be out of date; `None`: the registry has just confirmed it."""


class RegistryWatch:
    """Looks at a registry and keeps what it saw, in memory and in a file. Safe to share among threads.

    Args:
        address: the registry.
        cache: the file that outlives the process; several processes may share it. Its folder is made.
        clock: says when a state was read.
    """

    def __init__(self, address: Address, cache: Path, clock: Clock) -> None:
        self._address = replace(address, known=cache)
        self._cache = cache
        self._clock = clock
        self._registry: Registry | None = None
        self._known: KnownState | None = None
        self._kept: int | None = None
        self._one_at_a_time = Lock()

    @property
    def registry(self) -> Registry:
        """The registry itself, opened if it is not yet.

        Raises:
            StorageError: it does not answer.
        """
        with self._one_at_a_time:
            return self._opened()

    def refresh(self) -> Known:
        """Look again. Where nothing has changed this costs one small query.

        Raises:
            StorageError: the registry does not answer and nothing is known from before.
        """
        with self._one_at_a_time:
            try:
                self._known = self._look()
            except StorageError as error:
                return self._last_known(error)
            problem = self._remember(self._known)
            return Known(self._known, problem)

    def close(self) -> None:
        """Give back the connections."""
        with self._one_at_a_time:
            if self._registry is not None:
                self._registry.close()
                self._registry = None

    def _look(self) -> KnownState:
        registry = self._opened()
        now = self._clock.now()
        if self._known is not None and registry.changes() == self._known.changes:
            return replace(self._known, at=now)
        return registry.known_state(now)

    def _opened(self) -> Registry:
        if self._registry is None:
            self._registry = Registry(self._address, _PATIENCE_S)
        return self._registry

    def _last_known(self, error: StorageError) -> Known:
        reasons = " ".join(problem.message for problem in error.problems)
        if self._known is None:
            try:
                self._known = decode_state(self._cache.read_bytes(), str(self._address))
            except FileNotFoundError:
                raise error from None
            except (OSError, ValueError) as damage:
                raise StorageError(
                    f"{reasons} And what was known of it cannot be used: {damage}.",
                    hint="Bring the registry back; nothing can be assigned until then.",
                ) from error
        since = f"{self._known.at:%Y-%m-%d %H:%M:%S} UTC"
        return Known(self._known, f"{reasons} Serving from what was known at {since}.")

    def _remember(self, state: KnownState) -> str | None:
        """Keep a state on disk unless a later one is there; what went wrong, since serving goes on anyway."""
        if self._kept == state.changes:
            return None
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            with lock(self._cache.with_name(f"{self._cache.name}.lock"), _PATIENCE_S):
                if not self._has_later(state):
                    write_whole(self._cache, encode_state(state, str(self._address)))
        except (OSError, StorageError) as error:
            return f"The registry answers, but what it says cannot be kept for when it does not: {error}"
        self._kept = state.changes
        return None

    def _has_later(self, state: KnownState) -> bool:
        """Whether another process has kept what it read after this."""
        try:
            return decode_state(self._cache.read_bytes(), str(self._address)).at > state.at
        except (OSError, ValueError):
            return False
