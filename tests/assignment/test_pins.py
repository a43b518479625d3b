from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.assignment.pin_store_contract import LAWS, OpenStore

from promptarena.assignment.pins import CachedPins, MemoryPins, Pin
from promptarena.errors import StorageError


def _memory() -> OpenStore:
    store = MemoryPins()
    return lambda: store


def _cached() -> OpenStore:
    store = MemoryPins()
    return lambda: CachedPins(store)


def _cached_in_no_room() -> OpenStore:
    store = MemoryPins()
    return lambda: CachedPins(store, capacity=1)


@pytest.mark.parametrize("adapter", [_memory, _cached, _cached_in_no_room])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: str(law.__name__).strip("_"))
def test_every_adapter_keeps_the_contract(
    adapter: Callable[[], OpenStore], law: Callable[[OpenStore], None]
) -> None:
    law(adapter())


class CountingPins(MemoryPins):
    """Says how often it was asked, and can be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.down = False

    def find(self, experiment: str, unit_id: str) -> Pin | None:
        self._ask()
        return super().find(experiment, unit_id)

    def keep(self, experiment: str, unit_id: str, pin: Pin) -> Pin:
        self._ask()
        return super().keep(experiment, unit_id, pin)

    def _ask(self) -> None:
        if self.down:
            raise StorageError("The registry cannot be reached.")
        self.asked += 1


def test_a_pin_is_asked_for_once_and_then_remembered_though_the_store_is_down() -> None:
    store = CountingPins()
    pins = CachedPins(store)
    pin = pins.keep("cite", "unit", Pin("treatment", 0, 0.5))
    store.down = True
    assert [pins.keep("cite", "unit", Pin("control", 1, 0.5)), pins.find("cite", "unit")] == [pin, pin]
    assert store.asked == 1


def test_that_a_unit_has_no_pin_is_not_remembered() -> None:
    store = MemoryPins()
    pins = CachedPins(store)
    assert pins.find("cite", "unit") is None
    store.keep("cite", "unit", Pin("treatment", 0, 0.5))
    assert pins.find("cite", "unit") == Pin("treatment", 0, 0.5)


def test_a_store_out_of_reach_is_told_and_nothing_is_remembered() -> None:
    store = CountingPins()
    store.down = True
    pins = CachedPins(store)
    with pytest.raises(StorageError):
        pins.keep("cite", "unit", Pin("treatment", 0, 0.5))
    store.down = False
    store.keep("cite", "unit", Pin("control", 1, 0.5))
    assert pins.keep("cite", "unit", Pin("treatment", 0, 0.5)) == Pin("control", 1, 0.5)


def test_those_asked_for_lately_stay_and_memory_is_bounded() -> None:
    store = CountingPins()
    pins = CachedPins(store, capacity=100)
    for unit in range(10_000):
        pins.keep("cite", str(unit), Pin("treatment", 0, 0.5))
        pins.keep("cite", "often", Pin("treatment", 0, 0.5))
    assert store.asked == 10_001
    for unit in range(9_910, 10_000):
        pins.find("cite", str(unit))
    assert store.asked == 10_001
    for unit in range(9_700):
        pins.find("cite", str(unit))
    assert store.asked == 10_001 + 9_700


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["control", "treatment"]))))
def test_a_cache_of_any_size_answers_as_its_store(calls: list[tuple[str, str]]) -> None:
    plain, kept = MemoryPins(), MemoryPins()
    caches = [CachedPins(kept, capacity=1), CachedPins(kept, capacity=3)]
    for at, (unit, variant) in enumerate(calls):
        pin = Pin(variant, at, 0.5)
        assert caches[at % 2].keep("cite", unit, pin) == plain.keep("cite", unit, pin)
        assert caches[at % 2].find("cite", unit) == plain.find("cite", unit)


def test_a_cache_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        CachedPins(MemoryPins(), capacity=0)
