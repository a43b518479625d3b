"""Many threads, processes and nodes write at once; what is acknowledged is there, once, in one order."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.storage.registry import writers
from tests.storage.registry.processes import let_go, started
from tests.storage.registry.steps import T0, baseline, start, step

from promptarena.errors import StaleWriteError
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.records import Change, LookRecord, PinRecord
from promptarena.storage.registry.registry import Registry, open_registry


def test_of_threads_that_decided_on_the_same_step_one_succeeds(registry: Registry) -> None:
    registry.commit(start())
    threads, rounds = 6, 4
    gate = threading.Barrier(threads)

    def decide(actor: int) -> list[bool]:
        outcomes = []
        for number in range(1, rounds + 1):
            gate.wait()
            try:
                registry.commit(Change(transition=step(number, actor=f"thread {actor}")))
                outcomes.append(True)
            except StaleWriteError:
                outcomes.append(False)
        return outcomes

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(decide, range(threads)))
    assert [sum(tried) for tried in zip(*outcomes, strict=True)] == [1] * rounds
    winners = [f"thread {tried.index(True)}" for tried in zip(*outcomes, strict=True)]
    assert [t.actor for t in registry.history("cites")[1:]] == winners


def test_processes_that_open_a_new_registry_at_once_find_one_set_of_tables(address: Address) -> None:
    calls = [(writers.open_it, (address,))] * 4
    with started(*calls) as processes:
        let_go(processes)
        assert [pipe.recv() for _, pipe in processes] == [0] * 4


def test_no_step_of_any_process_is_lost_or_doubled(registry: Registry, address: Address) -> None:
    registry.commit(start())
    wanted, names = 8, ["p1", "p2", "p3"]
    with started(*((writers.take_steps, (address, name, wanted)) for name in names)) as processes:
        let_go(processes)
        stale = sum(pipe.recv() for _, pipe in processes)
    history = registry.history("cites")
    assert [t.number for t in history] == list(range(1 + wanted * len(names)))
    assert Counter(t.actor for t in history[1:]) == dict.fromkeys(names, wanted)
    assert stale > 0, "they never met, so nothing was tested"


def test_what_was_acknowledged_survives_kill_9(registry: Registry, address: Address) -> None:
    registry.commit(start())
    acknowledged = 0
    for _ in range(3):
        with started((writers.step_until_killed, (address,))) as [(process, pipe)]:
            for _ in range(5):
                acknowledged = pipe.recv()
            process.kill()
            process.join()
            while pipe.poll():
                try:
                    acknowledged = pipe.recv()
                except EOFError:
                    break
        numbers = [t.number for t in registry.history("cites")]
        # One more may have been written whose acknowledgement the kill cut off.
        assert len(numbers) - 1 in (acknowledged, acknowledged + 1)
        assert numbers == list(range(len(numbers)))


def test_all_processes_get_the_same_pin(registry: Registry, address: Address) -> None:
    registry.commit(start())
    units = 20
    calls = ((writers.pin, (address, variant, units)) for variant in ("a", "b", "c"))
    with started(*calls) as processes:
        let_go(processes)
        answers = [pipe.recv() for _, pipe in processes]
    assert answers[0] == answers[1] == answers[2]
    kept = [registry.pins.find("cites", f"unit-{n}") for n in range(units)]
    assert [pin.variant for pin in kept if pin] == answers[0]


def test_threads_that_take_the_same_look_show_the_one_that_stands(registry: Registry) -> None:
    registry.commit(start())
    gate = threading.Barrier(4)

    def take(z: int) -> LookRecord:
        gate.wait()
        return registry.looks.record(
            LookRecord(
                experiment="cites",
                number=1,
                at=T0,
                day="2026-03-09",
                fraction=0.25,
                units=100,
                result={"z": z},
            )
        )

    with ThreadPoolExecutor(4) as pool:
        shown = list(pool.map(take, range(4)))
    assert len({look.result["z"] for look in shown}) == 1
    assert registry.looks.taken("cites") == (shown[0],)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # forking beside threads is what is tested
def test_a_registry_is_of_use_on_both_sides_of_a_fork(registry: Registry) -> None:
    registry.commit(start())
    assert registry.pins.keep("cites", "u", PinRecord("control", 0, 0.5)).variant == "control"
    with started((writers.use_inherited, (registry, "child", 8)), method="fork") as [(_, pipe)]:
        taken = 0
        while taken < 8:
            standing = registry.standing("cites")
            assert standing is not None
            try:
                registry.commit(Change(transition=step(standing.last.number + 1, actor="parent")))
                taken += 1
            except StaleWriteError:
                continue
        assert pipe.recv() == 8
    assert Counter(t.actor for t in registry.history("cites")[1:]) == {"parent": 8, "child": 8}


def test_readers_meet_whole_changes_only(address: Address, registry: Registry) -> None:
    """A ship writes a transition and a baseline; nobody ever sees the one without the other."""
    registry.commit(start())
    done = threading.Event()
    torn: list[str] = []

    def look() -> None:
        with open_registry(address, patience_s=60) as mine:
            while not done.is_set():
                state = mine.known_state(T0)
                steps = state.experiments[0].last.number
                versions = state.baselines["support-bot"].version
                if versions != steps + 1:
                    torn.append(f"{steps} steps, baseline {versions}")

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 12):
        registry.commit(Change(transition=step(number), baselines=(baseline(number + 1, origin="ship"),)))
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []
