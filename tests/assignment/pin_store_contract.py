"""What every pin store must do, whatever it keeps pins in: `LAWS`, each a function of a way to open the store.

Every call of the way gives another handle on one and the same store, empty at first, as another node has it.
Threads share no handle unless the law says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

import pytest

from promptarena.assignment.pins import Pin, PinStore
from promptarena.errors import StorageError

__all__ = ["LAWS", "OpenStore"]

OpenStore: TypeAlias = Callable[[], PinStore]

_TREATMENT: Final = Pin("treatment", 0, 0.5)
_CONTROL: Final = Pin("control", 7, 0.1 + 0.2)
_THREADS: Final = 8


def _nothing_is_found_before_it_is_kept(open_store: OpenStore) -> None:
    assert open_store().find("cite", "unit") is None


def _the_first_pin_is_kept_and_given_back_whole(open_store: OpenStore) -> None:
    store = open_store()
    assert store.keep("cite", "unit", _CONTROL) == _CONTROL
    assert store.find("cite", "unit") == _CONTROL


def _whoever_comes_second_keeps_what_is_there(open_store: OpenStore) -> None:
    store = open_store()
    store.keep("cite", "unit", _TREATMENT)
    assert store.keep("cite", "unit", _CONTROL) == _TREATMENT
    assert store.find("cite", "unit") == _TREATMENT


def _another_node_sees_what_was_kept(open_store: OpenStore) -> None:
    one, other = open_store(), open_store()
    assert other.find("cite", "unit") is None
    one.keep("cite", "unit", _TREATMENT)
    assert other.find("cite", "unit") == _TREATMENT
    assert other.keep("cite", "unit", _CONTROL) == _TREATMENT


def _experiments_and_units_are_apart(open_store: OpenStore) -> None:
    store = open_store()
    pins = {
        (experiment, unit): Pin("treatment", at, 0.5)
        for at, (experiment, unit) in enumerate(
            (experiment, unit)
            for experiment in ("cite", "cite2", "Cite")
            for unit in ("u", "U", "u ", "2u", "Zoë", "Zoe\u0308", "u'; --", "☂" * 170)
        )
    }
    for (experiment, unit), pin in pins.items():
        assert store.keep(experiment, unit, pin) == pin
    assert {key: store.find(*key) for key in pins} == pins


def _an_id_is_kept_as_it_is_or_refused_as_the_protocol_says(open_store: OpenStore) -> None:
    store = open_store()
    try:
        kept = store.keep("cite", "u\x00", _TREATMENT)
    except StorageError:
        with pytest.raises(StorageError):
            store.find("cite", "u\x00")
    else:
        assert kept == store.find("cite", "u\x00") == _TREATMENT
    assert store.find("cite", "u") is None


def _of_many_nodes_at_once_one_inserts_and_all_get_its_pin(open_store: OpenStore) -> None:
    units = [f"unit-{number}" for number in range(25)]
    together = threading.Barrier(_THREADS)

    def node(number: int) -> list[Pin]:
        store = open_store()
        together.wait()
        return [store.keep("cite", unit, Pin("treatment", number, 0.5)) for unit in units]

    with ThreadPoolExecutor(_THREADS) as pool:
        answers = list(pool.map(node, range(_THREADS)))
    assert all(answer == answers[0] for answer in answers)
    assert [open_store().find("cite", unit) for unit in units] == answers[0]


def _many_threads_may_share_one_handle(open_store: OpenStore) -> None:
    store = open_store()
    together = threading.Barrier(_THREADS)

    def thread(number: int) -> list[Pin]:
        together.wait()
        return [store.keep("cite", f"unit-{unit}", Pin("treatment", number, 0.5)) for unit in range(25)]

    with ThreadPoolExecutor(_THREADS) as pool:
        answers = list(pool.map(thread, range(_THREADS)))
    assert all(answer == answers[0] for answer in answers)


LAWS: Final[tuple[Callable[[OpenStore], None], ...]] = (
    _nothing_is_found_before_it_is_kept,
    _the_first_pin_is_kept_and_given_back_whole,
    _whoever_comes_second_keeps_what_is_there,
    _another_node_sees_what_was_kept,
    _experiments_and_units_are_apart,
    _an_id_is_kept_as_it_is_or_refused_as_the_protocol_says,
    _of_many_nodes_at_once_one_inserts_and_all_get_its_pin,
    _many_threads_may_share_one_handle,
)
