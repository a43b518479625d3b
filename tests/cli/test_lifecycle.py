"""The course of an experiment as a user goes it: commands, what they print, what they leave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Arena
from tests.rollout.projects import AB_ONLY, ROLLOUT, edit, gate, verdict, write_project

from promptarena import Arena as Node


@pytest.fixture
def project(tmp_path: Path, arena: Arena, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder is a project."""
    assert arena is not None
    monkeypatch.setenv("ARENA_ACTOR", "anna")
    write_project(tmp_path)
    return tmp_path


def test_a_change_goes_the_whole_way_and_back(arena: Arena, project: Path) -> None:
    started = arena("start", "cites.yaml")
    assert started.status == 0
    assert started.out.splitlines() == [
        "cites: started; offline, no traffic.",
        "  The baseline of support-bot is version 1 now: as arena.yaml says.",
        "Next: ramp to canary (10%) once its gate passes.",
    ]
    assert "canary, 10% of the traffic." in arena("ramp", "cites", "--evidence", gate(project)).out
    early = arena("ramp", "cites")
    assert early.status == 2
    assert "is to run for 1 d" in early.err
    assert "--override --reason WHY" in early.err
    hurried = arena("ramp", "cites", "--override", "-m", "the fair is [tomorrow]", "--to", "ab")
    assert "overruled by anna: `canary` is to run for 1 d" in hurried.out
    assert "everybody gets the control from the next turn on" in arena("pause", "cites", "-m", "slow").out
    assert arena("resume", "cites").status == 0
    shipped = arena("ship", "cites", "-m", "better", "--evidence", verdict(project))
    assert "The baseline of support-bot is version 2 now: treatment of cites, shipped." in shipped.out
    assert arena("revert", "support-bot", "-m", "complaints").out == (
        "The baseline of support-bot is version 3 now: version 1 again.\n"
    )
    history = arena("history", "cites").out
    assert "anna: ship treatment -> shipped; ab, 50% of the traffic" in history
    assert "the fair is [tomorrow]" in history
    assert "verdict `ship` in readout.json (sha256 " in history
    assert "complaints" in arena("history", "support-bot").out
    again = arena("start", "cites.yaml")
    assert again.status == 2
    assert "a name is used once" in again.err


def test_every_command_speaks_json(arena: Arena, project: Path) -> None:
    edit(project / "cites.yaml", (ROLLOUT, AB_ONLY))
    assert arena("status", "--json").json == {"experiments": []}
    started = arena("start", "cites.yaml", "--json").json
    assert started["transition"]["move"] == "start"
    assert started["transition"]["actor"] == "anna"
    assert started["next"] == "ship once a readout says so, or stop"
    assert arena("pause", "cites", "--json").json["transition"]["status"] == "paused"
    assert arena("resume", "cites", "--json").json["transition"]["status"] == "running"
    [standing] = arena("status", "cites", "--json").json["experiments"]
    assert (standing["stage"], standing["traffic"], standing["slot"]) == ("ab", 1.0, 1.0)
    shipped = arena("ship", "cites", "-m", "r", "--override", "--json").json
    assert shipped["baseline"]["origin"] == "ship"
    assert shipped["transition"]["overrides"] == ["No readout with a verdict was given (--evidence FILE)."]
    assert arena("revert", "support-bot", "-m", "r", "--json").json["baseline"]["restores"] == 1
    told = arena("history", "cites", "--json").json
    assert [t["move"] for t in told["transitions"]] == ["start", "pause", "resume", "ship"]
    assert [b["version"] for b in arena("history", "support-bot", "--json").json["baselines"]] == [1, 2, 3]
    failed = arena("pause", "cites", "--json")
    assert failed.status == 2
    assert "It is shipped" in failed.json["error"]["problems"][0]["message"]


def test_looking_makes_no_registry(arena: Arena, project: Path) -> None:
    assert "Nothing was started yet" in arena("status").out
    for command in (("status", "cites"), ("history", "cites")):
        looked = arena(*command)
        assert looked.status == 2
        assert "Nothing was started in this project yet" in looked.err
    assert not (project / ".arena").exists()


def test_the_project_is_found_upwards_and_beside_the_file(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "er")
    assert arena("start", "../../cites.yaml").status == 0
    assert "cites: running" in arena("status").out
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "nothing has changed" in arena("start", project / "cites.yaml").out
    lost = arena("status")
    assert lost.status == 2
    assert "There is no arena.yaml" in lost.err


def test_a_mistake_elsewhere_in_the_project_keeps_nobody_from_rolling_back(
    arena: Arena, project: Path
) -> None:
    assert arena("start", "cites.yaml").status == 0
    edit(project / "arena.yaml", ("temperature: 0.3", "temperature: warm"))
    assert arena("start", "cites.yaml").status == 2
    assert arena("rollback", "cites", "-m", "harm").status == 0
    edit(project / "arena.yaml", ("features:", "registry: mysql://db\nfeatures:"))
    wrong = arena("status")
    assert wrong.status == 2
    assert "not mysql" in wrong.err


def test_a_reason_is_asked_for_where_something_ends(arena: Arena, project: Path) -> None:
    assert arena("start", "cites.yaml").status == 0
    for command in ("stop", "rollback", "ship"):
        refused = arena(command, "cites")
        assert refused.status == 2
        assert "--reason" in refused.err
    assert "cites: running" in arena("status").out
    assert project.is_dir()


@pytest.mark.parametrize("share", ["0%", "150%", "half", "nan"])
def test_a_share_that_is_none_is_told(arena: Arena, project: Path, share: str) -> None:
    edit(project / "cites.yaml", (ROLLOUT, AB_ONLY))
    refused = arena("start", "cites.yaml", "--slot", share)
    assert refused.status == 2
    assert "share" in refused.err
    assert arena("status", "--json").json == {"experiments": []}


@pytest.mark.parametrize(
    "command",
    [
        ("rollback", "cites", "-m", "it does harm"),
        ("ramp", "cites"),
        ("start", "cites.yaml"),
        ("status",),
        ("history", "cites"),
        ("readout", "cites"),
    ],
    ids=lambda command: command[0],
)
def test_a_registry_that_nodes_know_and_that_is_gone_is_a_loss_and_no_new_one_takes_its_place(
    arena: Arena, project: Path, command: tuple[str, ...]
) -> None:
    """An empty one would end every experiment on every node, at the first command that was tried."""
    edit(project / "cites.yaml", (ROLLOUT, AB_ONLY))
    arena("start", "cites.yaml")
    with Node.local(project) as node:
        before = node.peek("support-bot", {"conversation": "c-1"})
    registry = project / ".arena" / "registry.db"
    saved = registry.read_bytes()
    registry.unlink()
    done = arena(*command)
    assert (done.status, done.out) == (4, "")
    assert f"The registry {registry} is gone. Restore it;" in done.err
    assert not registry.exists()
    with Node.local(project) as node:
        assert node.peek("support-bot", {"conversation": "c-1"}) == before
    registry.write_bytes(saved)
    assert "running" in arena("status", "cites").out


def test_a_registry_that_cannot_be_opened_is_told(arena: Arena, project: Path) -> None:
    (project / ".arena").mkdir()
    (project / ".arena" / "registry.db").write_text("no database " * 1_000)
    refused = arena("status")
    assert refused.status == 4
    assert "is no registry: the file holds something else" in refused.err


def test_who_did_it_is_the_systems_user_where_nobody_else_is_named(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARENA_ACTOR")
    monkeypatch.setenv("LOGNAME", "cleo")
    assert arena("start", "cites.yaml", "--json").json["transition"]["actor"] == "cleo"
    assert project.is_dir()


def test_of_two_commands_at_once_one_makes_the_move(arena: Arena, project: Path) -> None:
    """Real processes: both may read the same state, but only one of them pauses."""
    assert arena("start", "cites.yaml").status == 0
    calls = [
        subprocess.Popen(
            [sys.executable, "-m", "promptarena", "pause", "cites"],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    errors = [call.communicate()[1] for call in calls]
    assert sorted(call.returncode == 0 for call in calls) == [False, False, True]
    assert all("It is paused" in e or "changed meanwhile" in e for e in errors if e)
    moves = [t["move"] for t in arena("history", "cites", "--json").json["transitions"]]
    assert moves == ["start", "pause"]
