"""From lists that were shown and clicked, in a real log, to a preference."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.interleaving_readout import InterleavingReadout, Preference
from promptarena.definitions.project import load_project
from promptarena.definitions.variant import Settings
from promptarena.errors import UsageError
from promptarena.rollout.experiment_readout import read_and_record
from promptarena.rollout.interleaved_readout import read_interleaved, read_started
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.sdk.client import Arena
from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.registry.registry import Registry, open_registry
from promptarena.wiring import log_folder, registry_of

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
PROJECT = """\
providers: {p: {base_url: http://127.0.0.1/v1}}
features: {search: {provider: p, model: m, retrieval: {index: bm25}}}
"""
EXPERIMENT = """\
experiment: hybrid
feature: search
unit: request
variants: {control: {}, hybrid: {retrieval: {index: hybrid}}}
metrics: {clicked: {rate: click, window: 1h}}
primary: clicked
interleave: {method: team-draft, slots: 4, cluster: query}
rollout:
  - {stage: offline, skip: a test}
  - {stage: shadow, skip: a test}
  - {stage: canary, skip: a test}
  - {stage: ab, traffic: 100%}
"""


class _Search:
    """A search whose users like what the hybrid index finds."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        (folder / "arena.yaml").write_text(PROJECT)
        (folder / "hybrid.yaml").write_text(EXPERIMENT)
        self.folder, self.registry, self.clock = folder, registry, ManualClock(START)
        Lifecycle(registry, self.clock, "tester").start(folder / "hybrid.yaml")
        self._random = random.Random(5)
        self.clicks = 0

    def requests(self, count: int) -> None:
        with Arena.local(self.folder, clock=self.clock, maintain=False) as arena:
            for i in range(count):
                query = f"q{i % 120}"

                def rank(settings: Settings, query: str = query) -> Sequence[str]:
                    own = settings.retrieval["index"]
                    return [f"{query}/both", *(f"{query}/{own}{k}" for k in range(5))]

                shown = arena.interleave("search", rank, attributes={"query": query})
                for item in shown.items:
                    if self._random.random() < (0.35 if "hybrid" in item else 0.15):
                        arena.measure("click", True, request=shown, item=item)
                        self.clicks += 1
                # Neither of these is a click on an item of the list.
                arena.measure("click", True, request=shown, item="elsewhere")
                arena.measure("click", False, request=shown, item=shown.items[0])

    def read(self) -> InterleavingReadout:
        return read_interleaved(self.registry, self.log(), "hybrid", self.clock.now())

    def log(self) -> LogReader:
        return LogReader(log_folder(load_project(self.folder)), clock=self.clock)


@pytest.fixture
def search(tmp_path: Path) -> Iterator[_Search]:
    (tmp_path / "arena.yaml").write_text(PROJECT)
    with open_registry(registry_of(load_project(tmp_path))) as registry:
        yield _Search(tmp_path, registry)


def test_what_people_click_in_merged_lists_says_which_ranker_they_prefer(search: _Search) -> None:
    search.requests(500)
    search.clock.advance(timedelta(minutes=90))
    early = search.read()
    # The hour of their window has passed, but not yet the hour in which a click may be on its way.
    assert (early.shown, early.status) == (0, Preference.UNDECIDED)
    search.clock.advance(timedelta(minutes=31))
    search.requests(100)
    search.clock.advance(timedelta(minutes=1))
    readout = search.read()
    assert readout.status is Preference.PREFERRED, readout.reasons
    assert readout.shown == 500
    assert 100 < readout.clusters <= 120
    assert sum(ranker.led for ranker in readout.rankers.values()) == 500
    assert readout.clicked <= 500
    assert readout.rankers["hybrid"].clicks > 1.4 * readout.rankers["control"].clicks
    assert any("100 lists were shown too lately" in note for note in readout.notes)
    # It says the same once the log is sealed and compacted.
    with EventLog(log_folder(load_project(search.folder)), clock=search.clock) as log:
        log.seal()
        log.compact()
    assert search.read() == readout
    assert read_started(search.registry, search.log(), "hybrid", search.clock.now()) == readout


def test_interleaved_lists_have_no_verdict(search: _Search) -> None:
    with pytest.raises(UsageError, match="`hybrid` interleaves"):
        read_and_record(search.registry, search.log(), "hybrid", search.clock.now())
