"""The configuration that assignments are made by, kept up to date from the registry.

A thread looks every `poll_s`, so a transition is obeyed within two seconds. Where the registry does not
answer, assignments go on from the last known state, and that is said: once in the application's log, and in
`state` for as long as it lasts. Nothing of it reaches whoever asks for an assignment.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final

from promptarena.assignment.configuration_source import ConfigurationSource
from promptarena.assignment.pins import PinStore
from promptarena.assignment.router import Router
from promptarena.definitions.clock import Clock
from promptarena.errors import ArenaError
from promptarena.sdk.fork_guard import guard

__all__ = ["ConfigurationState", "LiveConfiguration"]

_SAID: Final = logging.getLogger("promptarena")


@dataclass(frozen=True, slots=True)
class ConfigurationState:
    """How up to date assignments are."""

    version: str
    """Of the configuration in use."""
    problem: str | None
    """Why it may be out of date, if it may."""
    failed_looks: int
    """Looks at the registry without an answer, since the start of this process."""
    confirmed_s_ago: float | None
    """Since the registry last confirmed it; `None`: not yet by this process."""


class LiveConfiguration:
    """A router whose configuration follows its source.

    Args:
        poll_s: seconds between looks; 0 looks only when `refresh` is called.

    Raises:
        ArenaError: nothing is known, now or from before, so nothing could be assigned.
    """

    def __init__(
        self, source: ConfigurationSource, clock: Clock, *, pins: PinStore | None = None, poll_s: float = 1.0
    ) -> None:
        self._source = source
        self._clock = clock
        self._poll_s = poll_s
        self._problem: str | None = None
        self._failed = 0
        self._confirmed: float | None = None
        self._looking = threading.Lock()
        self._starting = threading.Lock()
        self._stop = threading.Event()
        known = source.look()
        self._router = Router(known.configuration, pins)
        self._note(known.problem)
        self._thread: threading.Thread | None = None
        self._start()
        guard(self)

    @property
    def router(self) -> Router:
        """What assigns; after a fork it looks at the source before it first does."""
        if self._thread is None and self._poll_s > 0 and not self._stop.is_set():
            with self._starting:
                if self._thread is None:
                    self.refresh()
                    self._start()
        return self._router

    def refresh(self) -> bool:
        """Look now; whether the registry has confirmed what is in use. Never raises."""
        with self._looking:
            try:
                known = self._source.look()
                if known.configuration is not self._router.configuration:
                    self._router.swap(known.configuration)
                problem = known.problem
            except ArenaError as error:
                problem = str(error)
            except Exception as error:  # whatever it is, assignments go on
                problem = f"{type(error).__name__}: {error}"
            self._note(problem)
            return problem is None

    def state(self) -> ConfigurationState:
        """How up to date assignments are."""
        confirmed = self._confirmed
        return ConfigurationState(
            self._router.configuration.version,
            self._problem,
            self._failed,
            None if confirmed is None else self._clock.monotonic() - confirmed,
        )

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._source.close()

    def _note(self, problem: str | None) -> None:
        if problem is None:
            if self._problem is not None:
                _SAID.warning("The registry answers again; assignments are up to date.")
            self._confirmed = self._clock.monotonic()
        else:
            self._failed += 1
            if self._problem is None:
                _SAID.warning("Assignments go on from the last known state: %s", problem)
        self._problem = problem

    def _start(self) -> None:
        if self._poll_s > 0:
            self._thread = threading.Thread(target=self._follow, name="promptarena-registry", daemon=True)
            self._thread.start()

    def _follow(self) -> None:
        while not self._stop.wait(self._poll_s):
            self.refresh()

    def hold(self) -> None:
        """Before a fork: wait until nobody is looking."""
        self._looking.acquire()

    def let_go(self) -> None:
        """After a fork, in the parent."""
        self._looking.release()

    def begin_in_child(self) -> None:
        """After a fork, in the child: the next assignment looks first."""
        self._thread = None
        self._looking = threading.Lock()
        self._starting = threading.Lock()
        stopped, self._stop = self._stop.is_set(), threading.Event()
        if stopped:
            self._stop.set()
