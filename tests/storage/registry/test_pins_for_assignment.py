"""The registry keeps the contract of pin stores, on every database, and bandits assign by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.assignment.experiments import configuration, definition, running
from tests.assignment.pin_store_contract import LAWS, OpenStore
from tests.storage.registry.steps import start

from promptarena.assignment.assigned import Reason
from promptarena.assignment.pins import CachedPins, PinStore
from promptarena.assignment.registry_pins import RegistryPins
from promptarena.assignment.router import Router
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.registry import open_registry


@pytest.fixture
def open_store(address: Address) -> Iterator[OpenStore]:
    """Another registry on the same database at every call, with the contract's experiments started."""
    with ExitStack() as opened:
        first = opened.enter_context(open_registry(address))
        for at, name in enumerate(("cite", "cite2", "Cite")):
            first.commit(start(name, feature=f"feature-{at}"))
        yield lambda: RegistryPins(opened.enter_context(open_registry(address)).pins)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: str(law.__name__).strip("_"))
def test_the_registry_keeps_the_contract(open_store: OpenStore, law: Callable[[OpenStore], None]) -> None:
    law(open_store)


def test_nodes_that_share_a_registry_give_a_unit_one_variant_whatever_the_weights(
    open_store: OpenStore,
) -> None:
    def node(epoch: int, treated: float) -> Router:
        weights = {"control": 1 - treated, "treatment": treated}
        bandit = running(definition("cite"), adaptive=True, weights=weights, epoch=epoch)
        store: PinStore = CachedPins(open_store(), capacity=10)
        return Router(configuration(bandit), store)

    nodes = [node(0, 0.5), node(1, 0.05), node(2, 0.95)]
    units = [f"conversation-{number}" for number in range(30)]
    first = [nodes[0].assign("support-bot", {"conversation": unit}) for unit in units[:15]]
    first += [nodes[1].assign("support-bot", {"conversation": unit}) for unit in units[15:]]
    assert {it.epoch for it in first} == {0, 1}
    for later in nodes:
        again = [later.assign("support-bot", {"conversation": unit}) for unit in units]
        assert [(it.variant, it.epoch, it.propensity) for it in again] == [
            (it.variant, it.epoch, it.propensity) for it in first
        ]


def test_a_unit_that_cannot_be_kept_is_served_the_control_unexposed(open_store: OpenStore) -> None:
    router = Router(configuration(running(definition("cite"), adaptive=True)), open_store())
    it = router.assign("support-bot", {"conversation": "a\x00b"})
    assert (it.served, it.reason, it.exposed) == ("control", Reason.PINS_UNAVAILABLE, False)
