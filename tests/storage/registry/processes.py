"""Real processes, started with a pipe each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

Started = list[tuple[BaseProcess, Connection]]


@contextmanager
def started(
    *calls: tuple[Callable[..., None], tuple[Any, ...]], method: str = "forkserver"
) -> Iterator[Started]:
    """Run functions in processes of their own.

    Each gets its first argument, then its end of a pipe, then the others.
    """
    context = get_context(method)
    if method == "forkserver":  # one process pays for the imports, the others are its children
        context.set_forkserver_preload(["tests.storage.registry.writers"])
    running: Started = []
    try:
        for function, (first, *others) in calls:
            ours, theirs = context.Pipe()
            process = context.Process(target=function, args=(first, theirs, *others))  # type: ignore[attr-defined]
            process.start()
            theirs.close()
            running.append((process, ours))
        yield running
    finally:
        for process, pipe in running:
            pipe.close()
            process.join(30)
            if process.is_alive():
                process.kill()
                process.join()


def let_go(processes: Started) -> None:
    """Let all of them begin at once: none before the last one is ready."""
    for _, pipe in processes:
        assert pipe.recv() == "ready"
    for _, pipe in processes:
        pipe.send("go")
