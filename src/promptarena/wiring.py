"""The one place that picks implementations from a project's settings.

    with open_project(Path(".")) as parts:
        parts.log.append(...)
        parts.source.look()

Everything that belongs to a project lies beside its arena.yaml, in `.arena`: the log, the registry unless it
is said to be elsewhere, and what was last known of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from promptarena.assignment.configuration_source import ConfigurationSource
from promptarena.assignment.pins import CachedPins, Pin, PinStore
from promptarena.assignment.registry_pins import RegistryPins
from promptarena.definitions.clock import Clock, SystemClock
from promptarena.definitions.duel_variant import project_above
from promptarena.definitions.project import Project, load_project
from promptarena.definitions.provider import PythonProvider, ReplayProvider
from promptarena.errors import UsageError
from promptarena.evaluation.live.setup import LiveSetup, NobodyWatches, RunWatch
from promptarena.llm.answer_cache import AnswerCache
from promptarena.llm.budget import Budget
from promptarena.llm.limiter import AdaptiveLimiter
from promptarena.llm.pricing import load_prices
from promptarena.llm.provider_address import declared_or_environment
from promptarena.llm.provider_client import Line, ProviderClient
from promptarena.llm.replay import Recording
from promptarena.llm.transports import make_transport
from promptarena.rollout.node import RegistrySource
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.durable_files import explained
from promptarena.storage.event_log import EventLog
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.registry.address import KNOWN_FILE, Address, registry_address
from promptarena.storage.registry.registry import Registry
from promptarena.storage.registry.watch import RegistryWatch

if TYPE_CHECKING:
    from promptarena.evaluation.judges import PreparedJudge

__all__ = [
    "OpenProject",
    "content_policy",
    "live_setup",
    "log_beside",
    "log_folder",
    "open_judge",
    "open_log",
    "open_project",
    "registry_of",
    "runs_beside",
]

_FOLDER: Final = ".arena"
_KEEP_OUT_OF_GIT: Final = "*\n"
_PATIENCE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class OpenProject:
    """A project with what it runs on."""

    project: Project
    clock: Clock
    log: EventLog
    content: ContentPolicy
    source: ConfigurationSource
    pins: PinStore

    def close(self) -> None:
        """Give back the log and the registry."""
        self.source.close()
        self.log.close()

    def __enter__(self) -> OpenProject:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_project(
    path: Path,
    *,
    clock: Clock | None = None,
    maintain: bool = False,
    log_settings: LogSettings | None = None,
) -> OpenProject:
    """Open a project to assign by it and to write to its log.

    Args:
        path: its arena.yaml, or a folder at or below it.
        clock: the machine's own, unless another one is given.
        maintain: seal and compact the log from a thread of this process.
        log_settings: how the log is kept; as documented, unless other ones are given.

    Raises:
        DefinitionError: arena.yaml or metrics.yaml is missing or wrong.
        UsageError: the registry's address cannot be used.
        StorageError: the log's folder cannot be written to.
    """
    project = load_project(path)
    clock = clock or SystemClock()
    address = registry_of(project)
    content = content_policy(project)
    _make_folder(project.root / _FOLDER)
    watch = RegistryWatch(address, project.root / KNOWN_FILE, clock)
    log = EventLog(
        log_folder(project), settings=log_settings, content=content, clock=clock, background=maintain
    )
    return OpenProject(
        project=project,
        clock=clock,
        log=log,
        content=content,
        source=RegistrySource(watch, project, clock),
        pins=CachedPins(_PinsWhenNeeded(address)),
    )


def log_folder(project: Project) -> Path:
    """Where a project's log is."""
    return log_beside(project.root)


def log_beside(root: Path) -> Path:
    """Where the log is of the project whose arena.yaml lies in a folder, whatever may be wrong in it."""
    return root / _FOLDER / "log"


@contextmanager
def live_setup(
    path: Path,
    *,
    concurrency: int = 16,
    budget: float | None = None,
    fresh: bool = False,
    record: Path | None = None,
    watch: RunWatch | None = None,
    environment: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    interruptible: bool = True,
) -> Iterator[LiveSetup]:
    """What a duel needs to call models: its providers, its cache, its budget and its project's log.

    Args:
        path: the duel's file.
        concurrency: calls of one provider under way at once, at most.
        budget: US dollars that may be spent; any where not said.
        fresh: ask everything again, whatever the cache knows; it then knows the new answers.
        record: where to write every call and its answer, to be replayed.
        watch: is told how far the run is.
        environment: where keys are; that of this process where not given.
        clock: the machine's own, unless another one is given.
        interruptible: whether Ctrl-C lets calls under way finish.

    Raises:
        DefinitionError: arena.yaml or prices.yaml is wrong.
        StorageError: the cache or the log cannot be opened.
    """
    project = project_above(path)
    root = project.root if project is not None else path.resolve().parent
    clock = clock or SystemClock()
    _make_folder(root / _FOLDER)
    prices = load_prices(root)
    with ExitStack() as stack:
        cache = stack.enter_context(AnswerCache(root / _FOLDER / "answers.db", fresh=fresh))
        recording = None
        if record is not None:
            recording = stack.enter_context(closing(Recording(record)))
        log = None
        if project is not None:
            log = stack.enter_context(
                EventLog(log_folder(project), content=content_policy(project), clock=clock)
            )
        client = ProviderClient(
            _lines(project, root, os.environ if environment is None else environment, concurrency),
            cache=cache,
            budget=Budget(budget, prices),
            prices=prices,
            recording=recording,
            clock=clock,
        )
        yield LiveSetup(
            client=client,
            runs=runs_beside(root),
            concurrency=concurrency,
            log=log,
            registry=partial(registry_of, project) if project is not None else None,
            watch=watch or NobodyWatches(),
            clock=clock,
            interruptible=interruptible,
        )


def _lines(
    project: Project | None, root: Path, environment: Mapping[str, str], concurrency: int
) -> Callable[[str], Line]:
    declared = project.providers if project is not None else {}

    def line(name: str) -> Line:
        provider = declared_or_environment(name, declared, environment)
        transport = make_transport(
            name,
            provider,
            environment=environment,
            hosts=project.hosts if project is not None else (),
            hooks=project.hooks if project is not None else (),
            root=root,
        )
        free = isinstance(provider, PythonProvider | ReplayProvider)
        return Line(transport, AdaptiveLimiter(provider.concurrency or concurrency), charged=not free)

    return line


def runs_beside(root: Path) -> Path:
    """Where the runs of duels are whose arena.yaml, or whose own file, lies in a folder."""
    return root / _FOLDER / "runs"


def open_judge(path: Path) -> tuple[PreparedJudge, Path]:
    """A judge made ready from its file, and the folder of the runs in which it may have judged.

    Raises:
        UsageError: there is no such file.
        DefinitionError: every mistake of it.
    """
    from promptarena.definitions.judge import load_judge
    from promptarena.evaluation.judges import PreparedJudge

    if not path.is_file():
        raise UsageError(
            f"There is no judge's definition {str(path)!r}, and no --judgments of a judge of that name.",
            hint="Name a file such as judges/support.yaml, or give what the judge said by --judgments.",
        )
    project = project_above(path)
    judge = PreparedJudge(load_judge(path, None if project is None else project.root), path.stem)
    if project is not None:
        return judge, runs_beside(project.root)
    # Without a project runs are beside their duel, and a judge may lie in a folder of its own below it.
    folder = path.resolve().parent
    beside = [runs_beside(above) for above in (folder, *folder.parents)]
    return judge, next((runs for runs in beside if runs.is_dir()), beside[0])


def open_log(project: Project) -> EventLog:
    """A project's log alone, to write to; close it.

    Raises:
        StorageError: the log's folder cannot be written to.
    """
    _make_folder(project.root / _FOLDER)
    return EventLog(log_folder(project), content=content_policy(project))


def registry_of(project: Project) -> Address:
    """Where a project's registry is.

    Raises:
        UsageError: what arena.yaml says of it cannot be used.
    """
    return registry_address(project.registry, project.root, os.environ)


def content_policy(project: Project) -> ContentPolicy:
    """What a project keeps of questions and answers; nothing, unless its arena.yaml says so."""
    said = project.content
    if said is None:
        return ContentPolicy()
    return ContentPolicy(said.sample, said.retention, frozenset(kind.value for kind in said.redact))


class _PinsWhenNeeded:
    """The registry's pins; nobody asks it before an experiment needs them, so a node starts without it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._opening = threading.Lock()
        self._pins: RegistryPins | None = None

    def find(self, experiment: str, unit_id: str) -> Pin | None:
        return self._opened().find(experiment, unit_id)

    def keep(self, experiment: str, unit_id: str, pin: Pin) -> Pin:
        return self._opened().keep(experiment, unit_id, pin)

    def _opened(self) -> RegistryPins:
        if self._pins is None:
            with self._opening:
                if self._pins is None:
                    self._pins = RegistryPins(Registry(self._address, _PATIENCE_S).pins)
        return self._pins


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignored = folder / ".gitignore"
        if not ignored.exists():
            ignored.write_text(_KEEP_OUT_OF_GIT, encoding="utf-8")
    except OSError as error:
        raise explained(error, "make the project's own folder", folder) from error
