from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.assignment.experiments import configuration, definition, place, running

from promptarena.assignment.layers import PLACES, WHOLE, Layer, Slot, _edge, free_slot
from promptarena.assignment.router import Router
from promptarena.errors import UsageError
from promptarena.stats.balance import independence_test, sample_ratio_test

UNITS = [f"conversation-{number}" for number in range(20_000)]


@given(st.lists(st.integers(1, 3000), max_size=6), st.data())
def test_slots_that_come_and_go_never_overlap_and_have_their_share(
    wanted: list[int], data: st.DataObject
) -> None:
    held: list[Slot] = []
    for places in wanted:
        if ending := data.draw(st.lists(st.sampled_from(held), max_size=1)) if held else []:
            held.remove(ending[0])
        if places > PLACES - sum(len(slot.places()) for slot in held):
            with pytest.raises(UsageError, match="free"):
                free_slot(places / PLACES, held)
            continue
        slot = free_slot(places / PLACES, held)
        assert slot.share == places / PLACES
        assert all(slot.places().isdisjoint(other.places()) for other in held)
        held.append(slot)


@given(st.sets(st.integers(0, PLACES), min_size=2, max_size=12), st.text(max_size=8))
def test_a_layer_finds_the_holder_of_every_place(edges: set[int], unit: str) -> None:
    try:
        encoded = unit.encode()
    except UnicodeEncodeError:
        return
    cuts = sorted(edges)
    ranges = list(pairwise(cuts))
    slots = {"even": tuple(ranges[::4]), "odd": tuple(ranges[1::4])}
    held = [(name, Slot(ranges)) for name, ranges in slots.items() if ranges]
    at = place("feature", unit)
    expected = next((name for name, slot in held if at in slot.places()), None)
    assert Layer("feature", held).holder(encoded) == expected


@pytest.mark.parametrize(
    "ranges",
    [
        (),
        ((0, 0),),
        ((5, 4),),
        ((-1, 4),),
        ((0, PLACES + 1),),
        ((0, 10), (9, 20)),
        ((10, 20), (0, 10)),
    ],
)
def test_what_is_no_slot_is_refused(ranges: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(UsageError, match="slot"):
        Slot(ranges)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, 0.00001, 0.12345])
def test_a_share_that_no_slot_can_have_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="slot"):
        free_slot(share, [])


def test_units_are_spread_over_places_in_equal_shares() -> None:
    counts = [0] * 100
    for unit in UNITS:
        counts[place("support-bot", unit) * 100 // PLACES] += 1
    p_value = sample_ratio_test(counts, [1.0] * 100)
    assert p_value is not None
    assert p_value > 0.001


def test_a_unit_meets_one_experiment_of_its_layer_and_the_free_part_gets_the_baseline() -> None:
    first = free_slot(0.3, [])
    second = free_slot(0.5, [first])
    router = Router(
        configuration(
            running(definition("cite"), slot=first),
            running(definition("shorten", {"control": 0.2, "treatment": 0.8}), slot=second),
        )
    )
    met = [router.assign("support-bot", {"conversation": unit}) for unit in UNITS]
    counts = [sum(a.experiment == name for a in met) for name in ("cite", "shorten", None)]
    p_value = sample_ratio_test(counts, [0.3, 0.5, 0.2])
    assert p_value is not None
    assert p_value > 0.001
    assert {a.reason for a in met if a.experiment is None} == {"baseline"}
    assert all(a.variant is None and a.served is None for a in met if a.experiment is None)


def test_where_a_unit_falls_in_the_layer_says_nothing_about_its_variant() -> None:
    tables = []
    for name in ("cite", "shorten", "warm"):
        router = Router(configuration(running(definition(name))))
        table = [[0] * 20, [0] * 20]
        for unit in UNITS:
            treated = router.assign("support-bot", {"conversation": unit}).variant == "treatment"
            table[treated][place("support-bot", unit) * 20 // PLACES] += 1
        tables.append(table)
    p_value = independence_test(tables)
    assert p_value is not None
    assert p_value > 0.001


def test_an_experiment_alone_keeps_its_units_when_another_takes_a_free_part() -> None:
    half = free_slot(0.5, [])
    alone = Router(configuration(running(definition("cite"), slot=half)))
    together = Router(
        configuration(
            running(definition("shorten"), slot=free_slot(0.5, [half])),
            running(definition("cite"), slot=half),
        )
    )
    for unit in UNITS[:5000]:
        before = alone.assign("support-bot", {"conversation": unit})
        after = together.assign("support-bot", {"conversation": unit})
        if before.experiment == "cite":
            assert before == after
        else:
            assert after.experiment == "shorten"


def test_the_whole_layer_and_a_slot_of_all_places_are_the_same() -> None:
    one = Router(configuration(running(slot=WHOLE)))
    parts = Router(configuration(running(slot=Slot(((0, 5000), (5000, PLACES))))))
    for unit in UNITS[:2000]:
        assert one.assign("support-bot", {"conversation": unit}) == parts.assign(
            "support-bot", {"conversation": unit}
        )


@pytest.mark.parametrize("places", [(0, 1), (3332, 3333), (3333, 3334), (9999, PLACES)])
def test_a_range_of_one_place_holds_the_units_of_that_place(places: tuple[int, int]) -> None:
    layer = Layer("support-bot", [("one", Slot((places,)))])
    held = [unit for unit in UNITS if layer.holder(unit.encode()) == "one"]
    assert held == [unit for unit in UNITS if place("support-bot", unit) == places[0]]


@pytest.mark.parametrize("at", [1, 3333, 5000, 9999])
def test_a_place_begins_at_the_least_number_that_falls_into_it(at: int) -> None:
    least = next(
        number for number in (at * 2**64 // PLACES + step for step in (0, 1)) if number * PLACES >> 64 == at
    )
    assert (least - 1) * PLACES >> 64 == at - 1
    assert _edge(at) == least.to_bytes(8, "big")
