"""The demonstration's log says the same however it is kept and whoever reads it: also after a crash."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from tests.analysis.engines import ENGINES, tables_of

from promptarena.analysis.log_readout import read_events, read_experiment
from promptarena.definitions.events import Kind
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.project import load_project
from promptarena.definitions.readout import Readout
from promptarena.demo.live_project import EXPERIMENT
from promptarena.demo.live_story import tell_live
from promptarena.reporting.json import to_json
from promptarena.rollout.lifecycle import definition_of, known_standing
from promptarena.storage.event_log import EventLog
from promptarena.storage.log_relation import events_relation
from promptarena.storage.registry.registry import open_registry
from promptarena.storage.warehouse import Warehouse, fetch
from promptarena.wiring import log_folder, registry_of

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.filterwarnings("ignore")]

_FACTS: tuple[Kind, ...] = ("exposure", "generation", "measurement")
_REWRITER = """
import random, sys
from pathlib import Path
from promptarena.storage.arrow_schema import table_to_events
from promptarena.storage.event_log import EventLog
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.log_relation import events_relation
from promptarena.storage.warehouse import Warehouse, fetch

log = EventLog(Path(sys.argv[1]), settings=LogSettings(seal_after_s=0.2, merge_at=2))
with Warehouse() as warehouse:
    snapshot = log.snapshot()
    events = [
        event
        for kind in ("exposure", "generation", "measurement")
        for event in table_to_events(kind, fetch(events_relation(warehouse.connection, snapshot.tables(kind))))
    ]
print("ready", flush=True)
while True:
    log.append(random.sample(events, 200))
    log.maintain()
    log.compact(everything=True)
"""


class _Told(NamedTuple):
    """The demonstration's log, and what its first reader saw."""

    log: Path
    definition: Experiment
    as_of: datetime
    started: datetime
    readout: Any

    def again(self) -> Any:
        """What is read of it now."""
        with EventLog(self.log) as log:
            return _plain(
                read_experiment(self.definition, log.snapshot(), as_of=self.as_of, started=self.started)
            )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> _Told:
    folder = tmp_path_factory.mktemp("same") / "demo"
    with Path(os.devnull).open("w") as nowhere:
        tell_live(folder, Console(file=nowhere), daily=40, weeks=2)
    project = load_project(folder)
    with open_registry(registry_of(project)) as registry:
        definition = definition_of(known_standing(registry, EXPERIMENT))
        history = registry.history(EXPERIMENT)
    first = _Told(log_folder(project), definition, history[-1].at, history[0].at, None)
    return first._replace(readout=first.again())


def test_it_is_the_same_sealed_and_compacted(told: _Told) -> None:
    assert told.readout["units"]
    with EventLog(told.log) as log:
        log.seal()
        _assert_same(told.again(), told.readout)
        log.compact(everything=True)
        _assert_same(told.again(), told.readout)


def test_it_is_the_same_after_crashes_of_who_sends_everything_again(told: _Told) -> None:
    chance = random.Random(1)
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", _REWRITER, str(told.log)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.2, 2))
            assert process.poll() is None
            process.kill()
        _assert_same(told.again(), told.readout)
    with EventLog(told.log) as log:
        assert log.counts().duplicates > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_the_same_on_every_engine(told: _Told, tmp_path: Path, engine: str) -> None:
    files: dict[Kind, Path] = {kind: tmp_path / f"{kind}.parquet" for kind in _FACTS}
    with EventLog(told.log) as log, Warehouse() as warehouse:
        snapshot = log.snapshot()
        for kind, file in files.items():
            pq.write_table(fetch(events_relation(warehouse.connection, snapshot.tables(kind))), file)
    tables = tables_of(ENGINES[engine](), engine, files)
    found = read_events(told.definition, tables, as_of=told.as_of, started=told.started)
    _assert_same(_plain(found), told.readout)


def _plain(readout: Readout) -> Any:
    return json.loads(to_json(readout))


def _assert_same(found: Any, expected: Any, where: str = "readout") -> None:
    """Equal; numbers to 1e-9."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            _assert_same(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for at, value in enumerate(expected):
            _assert_same(found[at], value, f"{where}[{at}]")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12), (where, found, expected)
    else:
        assert found == expected, where
