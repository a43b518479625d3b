"""Arenas over a real log, with a configuration that a test can change and a registry that a test can take down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.configuration_source import KnownConfiguration
from promptarena.assignment.pins import PinStore
from promptarena.assignment.running import RunningExperiment, Serving
from promptarena.definitions.clock import Clock, ManualClock
from promptarena.definitions.events import EVENT_TYPES, Event, Kind
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.definitions.project import load_project
from promptarena.errors import StorageError
from promptarena.sdk.core import Core, Price
from promptarena.sdk.event_queue import EventQueue, QueueLimits
from promptarena.sdk.live_configuration import LiveConfiguration
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.segments import read_segment

START = datetime(2026, 3, 2, 9, tzinfo=UTC)

_ARENA = """
providers: {openai: {base_url: http://127.0.0.1:9/v1, key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: sim-small, temperature: 0.3, system: Be helpful.}
  search: {provider: openai, model: sim-small}
"""
_EXPERIMENT = """
experiment: cites
feature: support-bot
unit: conversation
variants: {control: {}, treatment: {system: Cite the policy.}}
metrics: {resolution: {rate: resolved}}
primary: resolution
segments: [tier]
"""


def experiment(folder: Path) -> Experiment:
    """The experiment of a small project, written to this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arena.yaml").write_text(_ARENA)
    (folder / "cites.yaml").write_text(_EXPERIMENT)
    return load_experiment(folder / "cites.yaml")


def configuration(
    folder: Path, *, traffic: float = 1.0, serving: Serving = Serving.ASSIGNED, adaptive: bool = False
) -> Configuration:
    """That experiment, running."""
    definition = experiment(folder)
    running = RunningExperiment(
        definition=definition,
        stage="ab",
        traffic=traffic,
        allocation=Allocation(definition.weights),
        serving=serving,
        adaptive=adaptive,
    )
    return Configuration(load_project(folder).features, [running], version=f"{traffic}/{serving}")


@dataclass
class SwitchedSource:
    """A source whose registry a test switches off and on."""

    configuration: Configuration
    problem: str | None = None
    known: bool = True
    looks: int = field(default=0)

    def look(self) -> KnownConfiguration:
        self.looks += 1
        if not self.known:
            raise StorageError("the registry does not answer and nothing is known of it.")
        return KnownConfiguration(self.configuration, self.problem)

    def close(self) -> None:
        self.known = False


def open_core(
    folder: Path,
    source: SwitchedSource | None = None,
    *,
    clock: Clock | None = None,
    content: ContentPolicy | None = None,
    limits: QueueLimits | None = None,
    pins: PinStore | None = None,
    price: Price | None = None,
    poll_s: float = 0,
) -> Core:
    """A core over a log in this folder."""
    clock = clock or ManualClock(START)
    content = content or ContentPolicy()
    log = EventLog(folder / "log", content=content, clock=clock)
    live = LiveConfiguration(
        source or SwitchedSource(configuration(folder / "project")), clock, pins=pins, poll_s=poll_s
    )
    queue = EventQueue(lambda events: log.append(events, "process", checked=True), limits)
    return Core(
        live,
        queue,
        clock,
        keeps_content=content.samples,
        price=price,
        upkeep=lambda: None,
        release=log.close,
    )


def events_in(folder: Path, *kinds: Kind) -> list[Event]:
    """Every event of the log in this folder, as a stranger reads its lines."""
    wanted = tuple(EVENT_TYPES[kind] for kind in kinds or EVENT_TYPES)
    reader = LogReader(folder / "log")
    found = [event for path in reader.folder.segments() for event in read_segment(path).events]
    return [event for event in found if isinstance(event, wanted)]
