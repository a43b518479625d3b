"""`arena reallocate` and what follows: weights that move on record, and readouts of the kinds that have no look."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Arena
from tests.rollout.bandits import ARENA, EXPERIMENT, BanditTrial

from promptarena.definitions.project import load_project
from promptarena.storage.registry.registry import open_registry
from promptarena.wiring import registry_of


@pytest.fixture
def trial(tmp_path: Path, arena: Arena, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bandit in the present folder, whose users came long ago."""
    assert arena is not None
    monkeypatch.setenv("ARENA_ACTOR", "anna")
    (tmp_path / "arena.yaml").write_text(ARENA)
    with open_registry(registry_of(load_project(tmp_path))) as registry:
        BanditTrial(tmp_path, registry).come(400, control=0.2, treatment=0.8)
    return tmp_path


def test_weights_move_on_record_and_the_readout_knows_them(arena: Arena, trial: Path) -> None:
    assert trial.exists()
    done = arena("reallocate", "cites").out.splitlines()
    assert done[0].startswith(
        "cites: epoch 1 has begun: epoch 1 by resolution: control 50% -> 10% (best with 0.0%, "
    )
    assert done[2].startswith("  treatment: 50% -> 90%; ")
    assert "weights: control 10%, treatment 90%, in epoch 1" in arena("status").out
    history = arena("history", "cites").out
    assert "anna: reallocate -> running; ab, 100% of the traffic" in history
    assert "epoch 1 by resolution" in history
    again = arena("reallocate", "cites", "--json").json
    assert (again["begun"], again["epoch"], again["found"]) == (False, 1, None)
    readout = arena("readout", "cites", "--json", "--check", "--html", "page.html")
    assert readout.status == 3
    assert readout.json["looks"] == []
    assert readout.json["adaptive"]["rule"] == "thompson"
    # The second has begun, and nobody has met it yet.
    assert [
        (epoch["weights"], sum(epoch["units"].values())) for epoch in readout.json["adaptive"]["epochs"]
    ] == [
        ({"control": 0.5, "treatment": 0.5}, 400),
        ({"control": 0.1, "treatment": 0.9}, 0),
    ]
    assert "Weights, epoch by epoch" in (trial / "page.html").read_text()
    policy = "control=0%,treatment=100%"
    other = arena("off-policy", "--experiment", "cites", "--policy", policy, "--json").json
    assert other["estimates"][2]["value"] == pytest.approx(0.8, abs=0.06)


def test_what_cannot_be_moved_is_said(arena: Arena, tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(ARENA)
    assert "No experiment `cites` was started" in arena("reallocate", "cites").err
    fixed = "\n".join(line for line in EXPERIMENT.splitlines() if not line.startswith("allocation"))
    (tmp_path / "cites.yaml").write_text(fixed)
    arena("start", "cites.yaml")
    outcome = arena("reallocate", "cites")
    assert outcome.status == 2
    assert "`allocation: thompson`" in outcome.err


def test_what_is_frozen_of_an_allocation_is_told_with_its_line(arena: Arena, trial: Path) -> None:
    file = trial / "cites.yaml"
    file.write_text(file.read_text().replace("min_share: 10%", "min_share: 20%"))
    outcome = arena("start", "cites.yaml")
    assert outcome.status == 2
    assert "`allocation.min_share` is frozen" in outcome.err
    assert "cites.yaml:8" in outcome.err


def test_a_table_is_no_place_to_read_a_bandit_from(arena: Arena, trial: Path) -> None:
    (trial / "t.csv").write_text("unit,arm,resolved\n1,control,1\n2,treatment,0\n")
    outcome = arena("analyze", "t.csv", "--unit", "unit", "--variant", "arm", "--definition", "cites.yaml")
    assert outcome.status == 2
    assert "arena readout cites" in outcome.err
