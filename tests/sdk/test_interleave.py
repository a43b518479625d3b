"""An application shows one list of two rankers; what stands in the log is enough to judge it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.sdk.arenas import SwitchedSource, events_in, open_core

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.running import RunningExperiment, Serving
from promptarena.definitions.events import Exposure, Generation, Measurement
from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.project import load_project
from promptarena.definitions.variant import Settings
from promptarena.errors import UsageError
from promptarena.sdk.async_client import AsyncArena
from promptarena.sdk.client import Arena

RANKINGS = {
    "bm25": ["sony", "sennheiser", "audio-technica", "jbl", "anker"],
    "hybrid": ["bose", "sony", "apple", "anker", "jabra"],
}
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
"""


def _source(
    folder: Path, rule: str = "interleave: {slots: 5}\n", serving: Serving = Serving.ASSIGNED
) -> SwitchedSource:
    project = folder / "project"
    project.mkdir()
    (project / "arena.yaml").write_text(PROJECT)
    (project / "hybrid.yaml").write_text(EXPERIMENT + rule)
    definition = load_experiment(project / "hybrid.yaml")
    running = RunningExperiment(
        definition=definition,
        stage="ab",
        traffic=1,
        allocation=Allocation(definition.weights),
        serving=serving,
    )
    return SwitchedSource(Configuration(load_project(project).features, [running]))


def _rank(settings: Settings) -> Sequence[str]:
    return RANKINGS[settings.retrieval["index"]]


def test_the_list_has_both_rankers_items_and_its_exposure_says_whose(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path, _source(tmp_path))) as arena:
        shown = arena.interleave("search", _rank, {"user": "u-1"}, {"query": "headphones"})
        arena.measure("click", True, request=shown, item="sony", position=shown.items.index("sony"))
    assert shown.slots is not None
    assert tuple(shown.slots) == shown.items
    assert {"sony", "bose"} == set(shown.items[:2])
    [exposure] = events_in(tmp_path, "exposure")
    assert isinstance(exposure, Exposure)
    assert exposure.slots == shown.slots
    assert exposure.rankings == {"control": RANKINGS["bm25"], "hybrid": RANKINGS["hybrid"]}
    assert (exposure.unit_id, exposure.attributes) == (shown.request_id, {"query": "headphones"})
    [click] = events_in(tmp_path, "measurement")
    assert isinstance(click, Measurement)
    assert (click.target_kind, click.target, click.item) == ("request", shown.request_id, "sony")
    assert click.position in (0, 1)


def test_the_same_request_gets_the_same_list_and_others_get_others(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path, _source(tmp_path))) as arena:
        lists = [arena.interleave("search", _rank, request_id=f"r{i}").items for i in range(40)]
        again = [arena.interleave("search", _rank, request_id=f"r{i}").items for i in range(40)]
    assert lists == again
    assert len(set(lists)) == 8


def test_both_rankings_are_awaited_side_by_side(tmp_path: Path) -> None:
    waiting, most = 0, 0

    async def rank(settings: Settings) -> Sequence[str]:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.01)
        waiting -= 1
        return RANKINGS[settings.retrieval["index"]]

    async def show() -> None:
        async with AsyncArena(open_core(tmp_path, _source(tmp_path))) as arena:
            shown = await arena.interleave("search", rank, request_id="r1")
            assert shown.slots is not None

    asyncio.run(show())
    assert most == 2
    assert len(events_in(tmp_path, "exposure")) == 1


def test_an_assignment_on_that_feature_is_the_control_and_no_exposure(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path, _source(tmp_path))) as arena:
        assigned = arena.assign("search", {"user": "u-1"})
        arena.record(None, assigned, latency_ms=5)
    assert (assigned.variant, assigned.settings.retrieval) == (None, {"index": "bm25"})
    assert events_in(tmp_path, "exposure") == []
    [generation] = events_in(tmp_path, "generation")
    assert isinstance(generation, Generation)
    assert (generation.experiment, generation.reason) == (None, "interleaved")


@pytest.mark.parametrize("serving", [Serving.PAUSED, Serving.ROLLED_BACK])
def test_a_halted_experiment_shows_the_controls_ranking_alone(tmp_path: Path, serving: Serving) -> None:
    with Arena(open_core(tmp_path, _source(tmp_path, serving=serving))) as arena:
        shown = arena.interleave("search", _rank)
    assert (list(shown.items), shown.slots) == (RANKINGS["bm25"], None)
    assert events_in(tmp_path, "exposure") == []


def test_where_an_ab_test_runs_the_list_is_the_variants_own_and_it_is_an_exposure(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path, _source(tmp_path, rule=""))) as arena:
        shown = arena.interleave("search", _rank, request_id="r1")
    [exposure] = events_in(tmp_path, "exposure")
    assert isinstance(exposure, Exposure)
    assert (exposure.variant, exposure.slots) == (shown.assignment.variant, None)
    assert list(shown.items) == _rank(shown.assignment.settings)


def test_a_ranker_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    def broken(settings: Settings) -> Sequence[str]:
        raise TimeoutError(settings.retrieval["index"])

    with Arena(open_core(tmp_path, _source(tmp_path))) as arena:
        with pytest.raises(TimeoutError, match="bm25"):
            arena.interleave("search", broken)
        with pytest.raises(UsageError, match="Items are ids"):
            arena.interleave("search", lambda _: [1, 2])  # type: ignore[list-item]
        assert arena.interleave("search", lambda _: []).items == ()
    assert events_in(tmp_path, "exposure") == []
