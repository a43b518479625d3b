"""Merged lists are those of the published algorithms, by a coin that is the request's own and fair."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.assigned import Placement, Reason
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.merging import merge, merged_exposure
from promptarena.assignment.router import Router
from promptarena.assignment.running import RunningExperiment, Serving
from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.project import load_project
from promptarena.errors import UsageError
from promptarena.stats.interleaved_preference import balanced_outcome, team_draft_outcome
from promptarena.stats.interleaving import Interleaved, Team, team_draft

NOW = datetime(2026, 3, 2, tzinfo=UTC)
A = ["sony", "sennheiser", "audio-technica", "jbl", "anker"]
B = ["bose", "sony", "apple", "anker", "jabra"]
EXPERIMENT = """\
experiment: hybrid
feature: search
unit: request
variants: {control: {}, hybrid: {retrieval: {index: hybrid}}}
metrics: {clicked: {rate: click}}
primary: clicked
interleave: {method: METHOD, slots: 5}
"""


def _router(
    folder: Path, method: str = "team-draft", serving: Serving = Serving.ASSIGNED, traffic: float = 1
) -> Router:
    (folder / "arena.yaml").write_text(
        "providers: {p: {base_url: http://127.0.0.1/v1}}\n"
        "features: {search: {provider: p, model: m, retrieval: {index: bm25}}}\n"
    )
    file = folder / "hybrid.yaml"
    file.write_text(EXPERIMENT.replace("METHOD", method))
    definition = load_experiment(file)
    running = RunningExperiment(
        definition=definition,
        stage="ab",
        traffic=traffic,
        allocation=Allocation(definition.weights),
        serving=serving,
    )
    return Router(Configuration(load_project(folder).features, [running]))


def _placement(router: Router, request: str = "r-1") -> Placement:
    return router.assign("search", {"request": request}).placement


def test_an_enrolled_request_has_no_variant_but_both_rankers(tmp_path: Path) -> None:
    router = _router(tmp_path)
    placement = _placement(router)
    assert (placement.variant, placement.served, placement.exposed) == (None, None, False)
    assert placement.reason is Reason.INTERLEAVED
    assert placement.settings.retrieval == {"index": "bm25"}
    assert placement.merging is not None
    indexes = {name: settings.retrieval["index"] for name, settings in placement.merging.settings.items()}
    assert indexes == {"control": "bm25", "hybrid": "hybrid"}


def test_nothing_is_merged_for_who_takes_no_part_or_while_it_is_paused(tmp_path: Path) -> None:
    assert _placement(_router(tmp_path, serving=Serving.PAUSED)).merging is None
    some = _router(tmp_path, traffic=0.5)
    merged = sum(_placement(some, f"r{i}").merging is not None for i in range(2000))
    assert 900 < merged < 1100


@pytest.mark.parametrize("method", ["team-draft", "balanced"])
def test_lists_are_possible_ones_and_the_same_for_the_same_request(tmp_path: Path, method: str) -> None:
    placement = _placement(_router(tmp_path, method))
    judge = team_draft_outcome if method == "team-draft" else balanced_outcome
    for i in range(200):
        found = merge(placement, f"r{i}", {"control": A, "hybrid": B})
        assert found == merge(placement, f"r{i}", {"control": A, "hybrid": B})
        teams: tuple[Team, ...] = tuple("a" if owner == "control" else "b" for owner in found.slots.values())
        shown = Interleaved(tuple(found.slots), teams, found.propensity)
        judge(A, B, shown, [0])  # refuses what the design cannot have made


def test_the_worked_example_has_its_eight_lists_equally_often(tmp_path: Path) -> None:
    placement = _placement(_router(tmp_path))
    lists = Counter(
        (*found.slots, *found.slots.values())
        for found in (merge(placement, f"r{i}", {"control": A, "hybrid": B}) for i in range(8000))
    )
    assert len(lists) == 8
    assert all(set(each[:2]) == {"sony", "bose"} for each in lists)
    assert all(abs(count - 1000) < 4 * 30 for count in lists.values())


def test_anybody_can_flip_the_same_coins(tmp_path: Path) -> None:
    placement = _placement(_router(tmp_path))
    for i in range(100):
        coins = hashlib.sha256(f"hybrid/r{i}".encode()).digest()[16:]
        flips = [byte // 2**bit % 2 == 1 for byte in coins for bit in range(8)]
        shown = team_draft(A, B, 5, flips)
        found = merge(placement, f"r{i}", {"control": A, "hybrid": B})
        owners = ["control" if team == "a" else "hybrid" for team in shown.teams]
        assert list(found.slots.items()) == list(zip(shown.items, owners, strict=True))


def test_what_a_long_ranking_has_beyond_the_list_makes_no_difference(tmp_path: Path) -> None:
    placement = _placement(_router(tmp_path))
    long_a, long_b = A + [f"a{i}" for i in range(50)], B + [f"b{i}" for i in range(50)]
    for i in range(50):
        short = merge(placement, f"r{i}", {"control": A, "hybrid": B})
        assert merge(placement, f"r{i}", {"control": long_a, "hybrid": long_b}) == short
        assert len(short.slots) == 5


def test_the_exposure_says_what_was_shown_and_what_it_was_made_of(tmp_path: Path) -> None:
    placement = _placement(_router(tmp_path))
    found = merge(placement, "r-1", {"control": A, "hybrid": [*B, "more"]})
    exposure = merged_exposure(placement, "r-1", found, NOW, {"query": "q7"}, "r-1")
    assert exposure is not None
    assert exposure.slots == dict(found.slots)
    assert exposure.rankings == {"control": A, "hybrid": B}
    assert exposure.variant == next(iter(found.slots.values()))
    assert (exposure.propensity, exposure.unit_kind, exposure.stage) == (0.125, "request", "ab")
    assert exposure.attributes == {"query": "q7"}
    nothing = merge(placement, "r-1", {"control": [], "hybrid": []})
    assert merged_exposure(placement, "r-1", nothing, NOW, {}, "r-1") is None


@pytest.mark.parametrize("item", [7, "", None])
def test_items_are_text(tmp_path: Path, item: object) -> None:
    with pytest.raises(UsageError, match="`hybrid` ranked"):
        merge(_placement(_router(tmp_path)), "r", {"control": A, "hybrid": ["x", item]})  # type: ignore[list-item]
