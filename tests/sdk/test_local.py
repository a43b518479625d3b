"""`Arena.local` in processes of its own: nothing is lost at the end, forks keep their own, the registry may be away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.sdk.projects import lifecycle_move, output_of, python, started_project

from promptarena import Arena
from promptarena.definitions.events import Exposure, Measurement
from promptarena.errors import DefinitionError, StorageError
from promptarena.storage.event_log import LogReader
from promptarena.storage.segments import read_segment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return started_project(tmp_path / "shop")


def _units(project: Path) -> Counter[str]:
    """How often each unit was exposed."""
    reader = LogReader(project / ".arena" / "log")
    events = [event for path in reader.folder.segments() for event in read_segment(path).events]
    return Counter(event.unit_id for event in events if isinstance(event, Exposure))


def test_the_end_of_a_process_flushes(project: Path) -> None:
    script = """
from promptarena import Arena
arena = Arena.local()
for number in range(200):
    arena.assign("support-bot", {"conversation": f"c-{number}"})
"""
    output_of(python(project, script))
    assert _units(project) == {f"c-{number}": 1 for number in range(200)}


def test_an_error_that_ends_a_process_loses_nothing(project: Path) -> None:
    script = """
from promptarena import Arena
Arena.local().assign("support-bot", {"conversation": "c-1"})
raise SystemExit(3)
"""
    process = python(project, script)
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert _units(project) == {"c-1": 1}


def test_a_killed_process_has_lost_no_more_than_the_last_moment(project: Path) -> None:
    script = """
import sys, time
from promptarena import Arena
arena = Arena.local(maintain=False)
for number in range(50):
    arena.assign("support-bot", {"conversation": f"c-{number}"})
time.sleep(0.5)
print("there", flush=True)
time.sleep(60)
"""
    process = python(project, script)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    process.kill()
    process.communicate()
    assert _units(project) == {f"c-{number}": 1 for number in range(50)}


@pytest.mark.parametrize("ending", ["sys.exit(0)", "arena.close(); os._exit(0)"])
def test_a_forked_child_writes_its_own_and_nothing_of_its_parents(project: Path, ending: str) -> None:
    script = f"""
import os, sys
from promptarena import Arena
from promptarena.sdk.event_queue import QueueLimits
arena = Arena.local(limits=QueueLimits(linger_s=0.3))
for number in range(20):
    arena.assign("support-bot", {{"conversation": f"parent-{{number}}"}})
children = []
for child in range(3):
    if (pid := os.fork()) == 0:
        for number in range(20):
            arena.assign("support-bot", {{"conversation": f"child-{{child}}-{{number}}"}})
        {ending}
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""
    output_of(python(project, script))
    wanted = [f"parent-{number}" for number in range(20)]
    wanted += [f"child-{child}-{number}" for child in range(3) for number in range(20)]
    assert _units(project) == Counter(wanted)


def test_children_of_multiprocessing_flush_although_they_skip_atexit(project: Path) -> None:
    script = """
import multiprocessing
from promptarena import Arena
arena = Arena.local()

def work(number):
    arena.assign("support-bot", {"conversation": f"c-{number}"})

context = multiprocessing.get_context("fork")
children = [context.Process(target=work, args=(number,)) for number in range(4)]
for child in children:
    child.start()
for child in children:
    child.join()
    assert child.exitcode == 0
"""
    output_of(python(project, script))
    assert _units(project) == {f"c-{number}": 1 for number in range(4)}


def test_forks_in_the_middle_of_everything_never_hang(project: Path) -> None:
    script = """
import os, threading
from promptarena import Arena
arena = Arena.local(poll_s=0.001)
stop = threading.Event()

def busy(name):
    number = 0
    while not stop.is_set():
        arena.assign("support-bot", {"conversation": f"{name}-{number}"})
        number += 1

threads = [threading.Thread(target=busy, args=(name,), daemon=True) for name in "ab"]
for thread in threads:
    thread.start()
for child in range(20):
    if (pid := os.fork()) == 0:
        arena.assign("support-bot", {"conversation": f"child-{child}"})
        left = arena.flush()
        os._exit(left)
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
"""
    output_of(python(project, script))
    units = _units(project)
    assert {f"child-{child}" for child in range(20)} <= set(units)
    assert set(units.values()) == {1}


def test_a_registry_that_is_gone_is_served_without_and_it_is_said(project: Path) -> None:
    script = """
import json
from promptarena import Arena
with Arena.local() as arena:
    variants = [arena.assign("support-bot", {"conversation": f"c-{n}"}).variant for n in range(40)]
    print(json.dumps([variants, arena.health().problems]))
"""
    before, none = json.loads(output_of(python(project, script)))
    assert none == []
    assert set(before) == {"control", "treatment"}
    registry = project / ".arena" / "registry.db"
    for file in project.glob(".arena/registry.db*"):
        file.unlink()
    registry.mkdir()
    after, [problem] = json.loads(output_of(python(project, script)))
    assert after == before
    assert "Serving from what was known" in problem


def test_a_transition_of_another_process_is_obeyed_within_two_seconds(project: Path) -> None:
    script = """
import sys, time
from promptarena import Arena
arena = Arena.local()
units = {"conversation": "c-1"}
assert arena.assign("support-bot", units).exposed
print("ready", flush=True)
sys.stdin.readline()
start = time.monotonic()
while arena.peek("support-bot", units).reason != "rolled-back":
    assert time.monotonic() - start < 2, "two seconds are over"
    time.sleep(0.01)
assert arena.assign("support-bot", units).served == "control"
"""
    process = python(project, script)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    lifecycle_move(project, "rollback")
    process.stdin.write("go\n")
    output_of(process)


@pytest.mark.soak
@pytest.mark.slow  # five seconds pass between two rounds
def test_a_log_that_cannot_be_sealed_is_told_and_stops_nobody(project: Path) -> None:
    script = """
import time
from pathlib import Path
from promptarena import Arena
with Arena.local() as arena:
    manifest = Path(".arena/log/manifest.json")
    manifest.mkdir()
    while not arena.health().problems:
        arena.assign("support-bot", {"conversation": "c-1"})
        assert arena.flush() == 0
        time.sleep(0.01)
    assert "manifest" in arena.health().problems[0], arena.health().problems
    manifest.rmdir()
"""
    output_of(python(project, script))


def test_a_project_without_experiments_serves_its_baselines(tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(
        "providers: {p: {base_url: http://127.0.0.1/v1}}\nfeatures: {bot: {provider: p, model: m}}\n"
    )
    with Arena.local(tmp_path) as arena:
        assignment = arena.assign("bot", {"conversation": "c-1"})
        assert (assignment.settings.model, assignment.reason, assignment.exposed) == ("m", "baseline", False)
        measured = arena.measure("rating", 5, user="u-1")
    [path] = LogReader(tmp_path / ".arena" / "log").folder.segments()
    [event] = read_segment(path).events
    assert isinstance(event, Measurement)
    assert event.event_id == measured.event_id


def test_what_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"no arena\.yaml"):
        Arena.local(tmp_path)
    (tmp_path / "arena.yaml").write_text(
        "providers: {p: {base_url: http://127.0.0.1/v1}}\nfeatures: {bot: {}}\n"
    )
    with pytest.raises(DefinitionError, match=r"features\.bot"):
        Arena.local(tmp_path)
    (tmp_path / "arena.yaml").write_text(
        "providers: {p: {base_url: http://127.0.0.1/v1}}\nfeatures: {bot: {provider: p, model: m}}\n"
    )
    (tmp_path / ".arena").write_text("a file")
    with pytest.raises(StorageError, match=r"\.arena"):
        Arena.local(tmp_path)


def test_importing_the_package_is_light_and_the_arena_comes_when_asked_for(project: Path) -> None:
    script = """
import sys
import promptarena
heavy = {"numpy", "scipy", "pandas", "pyarrow", "duckdb", "ibis", "msgspec", "pydantic", "sqlalchemy", "openai"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from promptarena import Arena, AsyncArena
assert {"Arena", "AsyncArena"} <= set(promptarena.__all__)
with Arena.local(maintain=False) as arena:
    arena.assign("support-bot", {"conversation": "c-1"})
engines = {"numpy", "scipy", "pandas", "pyarrow", "duckdb", "ibis", "openai", "anthropic"}
assert not engines & set(sys.modules), engines & set(sys.modules)
try:
    promptarena.Arean
except AttributeError as error:
    assert "Arean" in str(error)
else:
    raise AssertionError
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stderr
