"""`arena events` and `arena erase`: what is printed, where the log is, and how they end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Arena, Outcome
from tests.sdk.projects import started_project

from promptarena.definitions.events import Event, Exposure, Generation, Measurement
from promptarena.definitions.project import load_project
from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.registry.records import PinRecord
from promptarena.storage.registry.registry import open_registry
from promptarena.wiring import registry_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

EVENTS: tuple[Event, ...] = (
    Exposure(
        ts=NOW,
        experiment="cites",
        definition_hash="h",
        stage="ab",
        epoch=0,
        variant="treatment",
        propensity=0.5,
        unit_kind="conversation",
        unit_id="c1",
    ),
    Generation(
        ts=NOW + timedelta(seconds=1), request_id="r1", feature="bot", conversation_id="c1", latency_ms=820.4
    ),
    Generation(
        ts=NOW + timedelta(seconds=2), request_id="r2", feature="bot", user_id="u1", error="timed out"
    ),
    Measurement(
        ts=NOW + timedelta(seconds=3),
        name="rating",
        target_kind="user",
        target="u1",
        source="human",
        value=4.0,
    ),
)
RATINGS = "ts,target,value\n2026-03-01T12:00:00Z,u1,4\n2026-03-01T12:01:00Z,u2,5\n"
AS_RATINGS = ("--kind", "measurement", "--set", "name=rating", "--set", "target_kind=user")


def filled(folder: Path) -> Path:
    with EventLog(folder) as log:
        log.append(EVENTS[:2])
        log.seal()
        log.append(EVENTS[2:])
    return folder


def lines(outcome: Outcome) -> list[Any]:
    assert outcome.status == 0, outcome.err
    return [json.loads(line) for line in outcome.out.splitlines()]


def test_list_prints_the_newest_first(arena: Arena) -> None:
    log = filled(Path("log"))
    outcome = arena("events", "list", "--log", log)
    assert outcome.out.splitlines() == [
        "2026-03-01 12:00:03Z  measurement  rating 4.0 (human)  user:u1",
        "2026-03-01 12:00:02Z  generation   bot  error: timed out  user:u1 request:r2",
        "2026-03-01 12:00:01Z  generation   bot  820 ms  conversation:c1 request:r1",
        "2026-03-01 12:00:00Z  exposure     cites treatment (ab)  conversation:c1",
    ]
    assert outcome.status == 0
    newest = lines(arena("events", "list", "--log", log, "--last", "1", "--json"))
    assert [(event["kind"], event["value"]) for event in newest] == [("measurement", 4.0)]


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--kind", "exposure"], [0]),
        (["--kind", "generation", "--kind", "measurement"], [3, 2, 1]),
        (["--experiment", "cites"], [0]),
        (["--unit", "c1"], [1, 0]),
        (["--unit", "u1", "--since", "2026-03-01T12:00:03Z"], [3]),
        (["--since", "1s"], []),
        (["--kind", "content"], []),
    ],
)
def test_list_filters(arena: Arena, flags: list[str], found: list[int]) -> None:
    listed = lines(arena("events", "list", "--log", filled(Path("log")), "--json", *flags))
    assert [event["event_id"] for event in listed] == [EVENTS[at].event_id for at in found]


def test_a_list_of_nothing_says_so_and_leaves_the_output_empty(arena: Arena) -> None:
    outcome = arena("events", "list", "--log", filled(Path("log")), "--experiment", "citse", "--json")
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "No event of the log is as asked; `arena events counts` says what there is.\n"


def test_nothing_that_was_sent_steers_the_terminal(arena: Arena) -> None:
    with EventLog(Path("log")) as log:
        log.append(Generation(ts=NOW, request_id="r", feature="bot", error="\x1b[2J\nforged line"))
    [line] = arena("events", "list", "--log", "log").out.splitlines()
    assert "\x1b" not in line
    assert "forged line" in line


def test_the_log_is_beside_arena_yaml_also_from_a_folder_below(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert arena("events", "list").status == 2
    arena("init", "mine")
    monkeypatch.chdir("mine/experiments")
    absent = arena("events", "list")
    assert absent.status == 4
    assert "there is no log here" in absent.err
    Path("r.csv").write_text(RATINGS)
    assert arena("events", "import", "r.csv", *AS_RATINGS, "--set", "source=human").status == 0
    assert LogReader(Path("../.arena/log")).snapshot().manifest.segments
    assert Path("../.arena/.gitignore").read_text() == "*\n"
    Path("../arena.yaml").write_text("features: 5\n")  # a mistake there is no reason to look at nothing
    assert len(lines(arena("events", "list", "--json"))) == 2


def test_import_says_what_it_did_and_doing_it_again_adds_nothing(arena: Arena) -> None:
    Path("r.csv").write_text(
        RATINGS.replace("value", "value,country").replace(",4", ",4,SE").replace(",5", ",5,NO")
    )
    call = ("events", "import", "r.csv", *AS_RATINGS, "--set", "source=human", "--log", "log")
    first = arena(*call)
    assert (first.status, first.err) == (0, "")
    assert "2 rows" in first.out
    assert "country" in first.out
    assert arena(*call, "--json").json == {
        "rows": 2,
        "kinds": {"measurement": 2},
        "unused": ["country"],
        "erased": 0,
        "unsampled": 0,
    }
    assert arena("events", "counts", "--log", "log", "--json").json["events"]["measurement"] == 2
    assert "measurement              2\n" in arena("events", "counts", "--log", "log").out


def test_an_import_that_fails_tells_every_mistake_and_keeps_nothing(arena: Arena) -> None:
    Path("r.csv").write_text(RATINGS + "2026-03-01T12:02:00Z,,five\n")
    call = ("events", "import", "r.csv", *AS_RATINGS, "--set", "source=human", "--log", "log")
    outcome = arena(*call, "--json")
    assert outcome.status == 2
    problems = outcome.json["error"]["problems"]
    assert [(problem["line"], problem["field"]) for problem in problems] == [(4, "target"), (4, "value")]
    assert lines(arena("events", "list", "--log", "log", "--json")) == []
    assert arena("events", "import", "r.csv", "--map", "ts", "--log", "log").status == 2


def test_follow_prints_what_comes_and_ends_cleanly_by_ctrl_c(tmp_path: Path) -> None:
    code = "from promptarena.cli.main import main; main()"
    flags = ["events", "follow", "--log", str(tmp_path / "log"), "--json", "--unit", "u1"]
    out, err = tmp_path / "out", tmp_path / "err"
    with EventLog(tmp_path / "log") as log, out.open("w") as out_file, err.open("w") as err_file:
        log.append(Generation(ts=NOW, request_id="old", feature="bot", user_id="u1"))
        process = subprocess.Popen([sys.executable, "-c", code, *flags], stdout=out_file, stderr=err_file)
        try:
            # What is written before its first look is not new to it, so go on writing.
            deadline = time.monotonic() + 60
            while not out.read_text() and time.monotonic() < deadline:
                log.append([Generation(ts=NOW, request_id="new", feature="bot", user_id="u1"), _stranger()])
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=30)
        finally:
            process.kill()
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert found
    assert len({event["event_id"] for event in found}) == len(found)
    assert {event["user_id"] for event in found} == {"u1"}
    assert (status, err.read_text()) == (0, "")


def _stranger() -> Generation:
    return Generation(ts=NOW, request_id="other", feature="bot", user_id="u2")


def test_erase_hides_a_person_at_once_and_asks_before(arena: Arena) -> None:
    log = filled(Path("log"))
    refused = arena("erase", "user", "u1", "--log", log)
    assert refused.status == 2
    assert "--yes" in refused.err
    slip = arena("erase", "usr", "u1", "--yes", "--log", log)
    assert slip.status == 2
    assert "Did you mean `user`?" in slip.err
    assert len(lines(arena("events", "list", "--log", log, "--json"))) == 4
    done = arena("erase", "user", "u1", "--yes", "--log", log)
    assert done.status == 0
    left = lines(arena("events", "list", "--log", log, "--json"))
    assert [event["kind"] for event in left] == ["generation", "exposure"]
    again = arena("erase", "conversation", "c1", "--yes", "--log", log, "--json")
    assert again.json == {"kind": "conversation", "id": "c1", "hidden": 2, "pins": 0}
    assert lines(arena("events", "list", "--log", log, "--json")) == []


def test_erase_takes_the_pins_of_a_persons_units_out_of_the_registry(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = started_project(tmp_path / "shop")
    with EventLog(project / ".arena" / "log") as log:
        for unit in ("c1", "c2"):
            user = f"of {unit}"
            log.append(
                Generation(ts=NOW, request_id=f"r {unit}", feature="bot", user_id=user, conversation_id=unit)
            )
    monkeypatch.chdir(project)
    with open_registry(registry_of(load_project(project))) as registry:
        for unit in ("c1", "c2"):
            registry.pins.keep("cites", unit, PinRecord("control", 0, 0.5))
        done = arena("erase", "user", "of c1", "--yes", "--json")
        assert done.json == {"kind": "user", "id": "of c1", "hidden": 0, "pins": 1}
        assert registry.pins.find("cites", "c1") is None
        assert registry.pins.find("cites", "c2") is not None


def test_erase_stops_before_it_begins_where_the_registry_does_not_answer(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = started_project(tmp_path / "shop")
    log = filled(project / ".arena" / "log")
    (project / ".arena" / "registry.db").write_text("something else entirely, and long enough to see that")
    monkeypatch.chdir(project)
    stopped = arena("erase", "user", "u1", "--yes")
    assert stopped.status == 4
    assert len(lines(arena("events", "list", "--json"))) == 4
    assert arena("erase", "user", "u1", "--yes", "--log", log).status == 0
    assert len(lines(arena("events", "list", "--json"))) == 2


def test_erase_leaves_a_folder_without_a_log_as_it_is(arena: Arena) -> None:
    Path("empty").mkdir()
    assert arena("erase", "user", "u1", "--yes", "--log", "empty").status == 4
    assert list(Path("empty").iterdir()) == []


@pytest.mark.parametrize(("answer", "left"), [("n", 4), ("y", 2)])
def test_on_a_terminal_erase_asks(tmp_path: Path, answer: str, left: int) -> None:
    log = filled(tmp_path / "log")
    ours, theirs = pty.openpty()
    code = "from promptarena.cli.main import main; main()"
    try:
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-c", code, "erase", "user", "u1", "--log", str(log)],
            stdin=theirs,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "cannot be undone" in done.stdout
    assert (done.returncode == 0) == (answer == "y")
    from promptarena.storage.event_list import events_of_each_kind

    assert sum(events_of_each_kind(LogReader(log).snapshot()).values()) == left
