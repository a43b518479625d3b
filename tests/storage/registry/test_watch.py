"""Nodes serve from the last known state where the registry is down, and say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.postgres import Server
from tests.storage.registry.steps import T0, baseline, start, step

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.course import Move, Status
from promptarena.errors import StorageError
from promptarena.storage.registry.address import Address, parse_address
from promptarena.storage.registry.known_state import KnownState, decode_state, encode_state
from promptarena.storage.registry.records import Change, Standing
from promptarena.storage.registry.registry import Registry
from promptarena.storage.registry.watch import RegistryWatch

Down = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def down(request: pytest.FixtureRequest, address: Address) -> Down:
    """Take the registry away for a while."""

    @contextmanager
    def without_file() -> Iterator[None]:
        file = Path(str(address))
        aside = file.parent.with_name("aside")
        file.parent.rename(aside)
        try:
            yield
        finally:
            aside.rename(file.parent)

    @contextmanager
    def without_server() -> Iterator[None]:
        server: Server = request.getfixturevalue("postgres")
        name = address.url.database
        server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            yield
        finally:
            server.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    return without_server if address.file is None else without_file


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    if request.param == "sqlite":
        return parse_address("registry/registry.db", tmp_path)
    server: Server = request.getfixturevalue("postgres")
    return parse_address(server.new_database(), tmp_path)


both = pytest.mark.parametrize("address", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "node" / "registry.known.json"


@both
def test_a_node_sees_a_transition_at_its_next_look(registry: Registry, address: Address, cache: Path) -> None:
    watch = RegistryWatch(address, cache, ManualClock(T0))
    assert watch.refresh().state.experiments == ()
    registry.commit(start())
    running = watch.refresh()
    assert [s.last.status for s in running.state.experiments] == [Status.RUNNING]
    assert running.problem is None
    registry.commit(Change(transition=step(1, move=Move.PAUSE, status=Status.PAUSED)))
    assert [s.last.status for s in watch.refresh().state.experiments] == [Status.PAUSED]
    registry.add_baseline(baseline(2))
    assert watch.refresh().state.baselines["support-bot"].version == 2
    watch.close()


@both
def test_a_node_goes_on_while_the_registry_is_down_and_says_so(
    registry: Registry, address: Address, cache: Path, clock: ManualClock, down: Down
) -> None:
    registry.commit(start())
    watch = RegistryWatch(address, cache, clock)
    known = watch.refresh()
    with down():
        clock.advance(timedelta(minutes=5))
        meanwhile = watch.refresh()
        assert meanwhile.state == known.state
        assert meanwhile.problem is not None
        assert meanwhile.problem.endswith("Serving from what was known at 2026-03-02 09:30:15 UTC.")
        # A node that starts now has the file alone.
        fresh = RegistryWatch(address, cache, clock)
        assert fresh.refresh().state == meanwhile.state
        assert "Serving from what was known at 2026-03-02 09:30:15 UTC" in str(fresh.refresh().problem)
    registry.commit(Change(transition=step(1)))
    for node in (watch, fresh):
        again = node.refresh()
        assert again.problem is None
        assert [s.last.number for s in again.state.experiments] == [1]
        node.close()


@both
def test_a_node_that_knows_nothing_cannot_serve(
    registry: Registry, address: Address, cache: Path, clock: ManualClock, down: Down
) -> None:
    registry.commit(start())
    if address.file is not None:
        cache.parent.mkdir()
        cache.write_bytes(encode_state(registry.known_state(T0), "another"))
    with down():
        with pytest.raises(StorageError, match="registry"):
            RegistryWatch(address, cache, clock).refresh()
        cache.parent.mkdir(exist_ok=True)
        cache.write_bytes(b'{"format": 1, "sta')
        with pytest.raises(StorageError, match="cannot be used: it is damaged"):
            RegistryWatch(address, cache, clock).refresh()


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_later_view_is_not_replaced_by_an_earlier_one(
    registry: Registry, address: Address, cache: Path, clock: ManualClock
) -> None:
    registry.commit(start())
    later = registry.known_state(T0 + timedelta(seconds=9))
    cache.parent.mkdir()
    cache.write_bytes(encode_state(later, str(address)))
    slow = RegistryWatch(address, cache, clock)
    assert slow.refresh().state.at == T0
    assert decode_state(cache.read_bytes(), str(address)) == later
    slow.close()


@pytest.mark.parametrize("address", ["sqlite"], indirect=True)
def test_a_state_that_cannot_be_kept_is_told_and_served(
    registry: Registry, address: Address, tmp_path: Path, clock: ManualClock
) -> None:
    registry.commit(start())
    (tmp_path / "file").write_text("")
    watch = RegistryWatch(address, tmp_path / "file" / "cache.json", clock)
    known = watch.refresh()
    assert len(known.state.experiments) == 1
    assert known.problem is not None
    assert "cannot be kept for when it does not" in known.problem
    watch.close()


def test_a_state_reads_back_as_it_was_kept() -> None:
    begun = start()
    assert begun.experiment is not None
    assert begun.definition is not None
    assert begun.allocation is not None
    assert begun.slot is not None
    standing = Standing(
        experiment=begun.experiment,
        definition=begun.definition,
        last=begun.transition,
        allocation=begun.allocation,
        slot=begun.slot,
    )
    state = KnownState(changes=3, at=T0, experiments=(standing,), baselines={"support-bot": baseline(1)})
    assert decode_state(encode_state(state, "r"), "r") == state
    with pytest.raises(ValueError, match="of another registry"):
        decode_state(encode_state(state, "r"), "s")
    with pytest.raises(ValueError, match="has format 2"):
        decode_state(encode_state(state, "r").replace(b'"format":1', b'"format":2'), "r")
