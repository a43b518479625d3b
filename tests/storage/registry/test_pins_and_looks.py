"""Pins and looks: kept as they first were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.storage.registry.steps import T0, start

from promptarena.errors import StaleWriteError, StorageError
from promptarena.storage.registry.records import LookRecord, PinRecord
from promptarena.storage.registry.registry import Registry

_FIRST = LookRecord(
    experiment="cites",
    number=1,
    at=T0,
    day="2026-03-09",
    fraction=0.2512345678901234,
    units=1_200,
    result={"z": 1.9, "critical_z": 4.048, "crossed": False, "by_variant": {"treatment": [0.1, None]}},
)


def test_a_pin_stays_as_it_was_first_kept(registry: Registry) -> None:
    registry.commit(start())
    first = PinRecord("treatment", 2, 1 / 3)
    assert registry.pins.keep("cites", "unit é", first) == first
    assert registry.pins.keep("cites", "unit é", PinRecord("control", 3, 0.9)) == first
    assert registry.pins.find("cites", "unit é") == first
    assert registry.pins.find("cites", "unit e") is None


def test_units_of_what_was_never_started_are_not_pinned(registry: Registry) -> None:
    with pytest.raises(StorageError, match="no experiment `cites`"):
        registry.pins.keep("cites", "u", PinRecord("control", 0, 0.5))


def test_a_person_who_is_erased_has_no_pin_any_more(registry: Registry) -> None:
    registry.commit(start())
    registry.commit(start("other", feature="search"))
    for experiment in ("cites", "other"):
        for unit in ("u", "v"):
            registry.pins.keep(experiment, unit, PinRecord("control", 0, 0.5))
    assert registry.pins.forget(["cites", "other"], ["nobody", *map(str, range(600)), "u"]) == 2
    assert registry.pins.forget(["cites", "other"], ["u"]) == 0
    assert registry.pins.forget([], ["u"]) == 0
    assert registry.pins.find("cites", "u") is None
    assert registry.pins.find("other", "v") is not None


def test_a_look_that_was_recorded_is_never_changed(registry: Registry) -> None:
    registry.commit(start())
    assert registry.looks.record(_FIRST) == _FIRST
    late_events = replace(_FIRST, units=1_250, result={"z": 5.0})
    assert registry.looks.record(late_events) == _FIRST
    assert registry.looks.taken("cites") == (_FIRST,)


def test_looks_are_recorded_in_their_order(registry: Registry) -> None:
    with pytest.raises(StorageError, match="no experiment `cites`"):
        registry.looks.record(_FIRST)
    registry.commit(start())
    for number in (0, 2):
        with pytest.raises(StaleWriteError, match="is not next"):
            registry.looks.record(replace(_FIRST, number=number))
    second = replace(_FIRST, number=2, fraction=0.5)
    registry.looks.record(_FIRST)
    registry.looks.record(second)
    assert registry.looks.taken("cites") == (_FIRST, second)


def test_a_look_holds_finite_numbers(registry: Registry) -> None:
    registry.commit(start())
    with pytest.raises(ValueError, match="JSON compliant"):
        registry.looks.record(replace(_FIRST, result={"z": float("nan")}))
    assert registry.looks.taken("cites") == ()
