"""From clicked lists to a preference: credit, the coin's own chances, and what makes lists unbelievable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from promptarena.analysis.interleaved_lists import ClickedList, InterleavedLists
from promptarena.analysis.interleaving import build_interleaving_readout
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.definitions.interleaving_readout import Preference
from promptarena.stats.interleaved_evidence import preference_sequence
from promptarena.stats.interleaved_preference import interleaved_preference, team_draft_outcome
from promptarena.stats.interleaving import Interleaved, team_draft

A = ["sony", "sennheiser", "audio-technica", "jbl", "anker"]
B = ["bose", "sony", "apple", "anker", "jabra"]


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    (tmp_path / "arena.yaml").write_text(
        "providers: {p: {base_url: http://127.0.0.1/v1}}\nfeatures: {search: {provider: p, model: m}}\n"
    )
    (tmp_path / "e.yaml").write_text(
        "experiment: hybrid\nfeature: search\nunit: request\n"
        "variants: {control: {}, hybrid: {retrieval: {index: hybrid}}}\n"
        "metrics: {clicked: {rate: click}}\nprimary: clicked\n"
        "interleave: {slots: 5, cluster: query}\n"
    )
    return load_experiment(tmp_path / "e.yaml")


def _lists(
    rng: np.random.Generator, n: int, liking: dict[str, float], a: list[str] = A, b: list[str] = B
) -> tuple[InterleavedLists, list[tuple[Interleaved, list[int], str]]]:
    clicked, direct, led = [], [], {"control": 0, "hybrid": 0}
    for i in range(n):
        shown = team_draft(a, b, 5, rng)
        names = ["control" if team == "a" else "hybrid" for team in shown.teams]
        led[names[0]] += 1
        at = [k for k, item in enumerate(shown.items) if rng.random() < liking.get(str(item), 0.2)]
        if at:
            query = f"query q{i % 200}"
            items = tuple(map(str, shown.items))
            clicked.append(
                ClickedList(
                    items, tuple(names), {"control": a, "hybrid": b}, tuple(items[k] for k in at), query
                )
            )
            direct.append((shown, at, query))
    return InterleavedLists(n, led, tuple(clicked), waiting=3, unmerged=0), direct


def test_the_readout_is_the_statistics_of_its_lists(experiment: Experiment) -> None:
    lists, direct = _lists(np.random.default_rng(1), 800, {"bose": 0.5, "apple": 0.4})
    readout = build_interleaving_readout(experiment, lists)
    outcomes = [team_draft_outcome(A, B, shown, at) for shown, at, _ in direct]
    queries = [query for _, _, query in direct]
    once = interleaved_preference(outcomes, clusters=queries)
    always = preference_sequence(outcomes, clusters=queries)
    assert readout.preference == pytest.approx(once.preference)
    assert readout.p_value_once == pytest.approx(once.p_value)
    assert (readout.p_value, readout.interval) == (always.p_value, (always.low, always.high))
    assert (readout.informative, readout.shown, readout.clicked) == (once.lists, 800, len(direct))
    assert readout.status is Preference.PREFERRED
    assert readout.reasons[0].startswith("hybrid is preferred to control: hybrid wins ")
    credit = {
        name: sum(shown.teams[k] == team for shown, at, _ in direct for k in at)
        for name, team in (("control", "a"), ("hybrid", "b"))
    }
    assert {name: ranker.clicks for name, ranker in readout.rankers.items()} == credit
    won = [sum(o is not None and o.score == score for o in outcomes) for score in (0.0, 1.0, 0.5)]
    assert [*(ranker.won for ranker in readout.rankers.values()), readout.ties] == won
    assert any("3 lists were shown too lately" in note for note in readout.notes)


def test_the_control_may_be_preferred_and_a_coin_is_no_preference(experiment: Experiment) -> None:
    rng = np.random.default_rng(2)
    worse, _ = _lists(rng, 800, {"sennheiser": 0.5, "audio-technica": 0.5})
    assert build_interleaving_readout(experiment, worse).status is Preference.NOT_PREFERRED
    alike, _ = _lists(rng, 300, {})
    readout = build_interleaving_readout(experiment, alike)
    assert readout.status is Preference.UNDECIDED
    assert "no preference between control and hybrid is shown" in readout.reasons[0]


def test_a_short_ranking_is_held_to_what_the_coin_would_give_it(experiment: Experiment) -> None:
    # One item against five: it wins few lists, and would with any users.
    lists, _ = _lists(np.random.default_rng(3), 1500, {}, b=["bose"])
    readout = build_interleaving_readout(experiment, lists)
    assert readout.share is not None
    assert readout.share < 0.4
    assert readout.expected == pytest.approx(readout.share, abs=0.03)
    assert readout.status is Preference.UNDECIDED


def test_lists_that_the_design_cannot_have_made_are_not_believed(experiment: Experiment) -> None:
    lists, _ = _lists(np.random.default_rng(4), 200, {})
    first = lists.clicked[0]
    changed = replace(first, items=first.items[::-1], variants=first.variants[::-1])
    broken = build_interleaving_readout(experiment, replace(lists, clicked=(changed, *lists.clicked[1:])))
    assert broken.status is Preference.INVALID
    assert "1 of " in broken.reasons[0]
    biased = build_interleaving_readout(experiment, replace(lists, led={"control": 700, "hybrid": 500}))
    assert biased.status is Preference.INVALID
    assert "NOT as a fair coin" in biased.reasons[0]


def test_without_a_click_nothing_is_known(experiment: Experiment) -> None:
    readout = build_interleaving_readout(experiment, InterleavedLists(10, {}, (), waiting=0, unmerged=2))
    assert (readout.status, readout.preference, readout.p_value) == (Preference.UNDECIDED, None, None)
    assert any("2 exposures without a merged list" in note for note in readout.notes)
