"""From a bandit's exposures and outcomes in a real log to its verdict, over epochs whose weights moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rollout.bandits import BanditTrial

from promptarena.definitions.readout import Status
from promptarena.errors import UsageError
from promptarena.rollout.other_policy import estimate_other_policy
from promptarena.storage.registry.address import registry_address
from promptarena.storage.registry.registry import Registry, open_registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(registry_address(None, tmp_path, {})) as opened:
        yield opened


def test_a_bandit_ships_from_the_log_without_a_look(tmp_path: Path, registry: Registry) -> None:
    trial = BanditTrial(tmp_path, registry)
    for day in range(6):
        trial.come(200, hours=24, control=0.35, treatment=0.6)
        if day % 2:
            trial.step()
    waiting = trial.read()
    assert waiting.verdict.status is Status.CONTINUE
    assert "no whole week" in waiting.verdict.reasons[0]
    for _ in range(3):
        trial.come(200, hours=24, control=0.35, treatment=0.6)
    readout = trial.read()
    assert readout.verdict.status is Status.SHIP, readout.verdict.reasons
    assert "always-valid 95% interval" in readout.verdict.reasons[0]
    assert (readout.looks, readout.paths) == ((), ())
    assert trial.registry.looks.taken("cites") == ()
    adaptive = readout.adaptive
    assert adaptive is not None
    epochs = trial.registry.allocations("cites")
    assert [epoch.weights for epoch in adaptive.epochs] == [epoch.weights for epoch in epochs]
    assert sum(sum(epoch.units.values()) for epoch in adaptive.epochs) == 1800
    comparison = readout.metrics["resolution"].comparisons["treatment"]
    assert comparison.interval is not None
    assert comparison.interval[0] is not None
    assert 0 < comparison.interval[0] < 0.25 < (comparison.interval[1] or 0)
    arm = adaptive.arms["treatment"]
    assert arm.value == pytest.approx(0.6, abs=0.06)
    assert arm.probability_best == pytest.approx(1, abs=1e-3)
    # Seven whole days are in the estimates, and the rest waits.
    assert comparison.n_control + comparison.n_variant == 1400
    assert readout.balance.status == "ok"
    # Had everybody met the treatment: what its own units say, weighted by the chances that they had.
    other = {"control": 0.0, "treatment": 1.0}
    found = estimate_other_policy(registry, trial.log(), "cites", other, trial.clock.now())
    snips = next(row for row in found.estimates if row.method == "snips")
    assert (found.reward, found.policy) == ("resolution", "control 0%, treatment 100%")
    assert snips.value == pytest.approx(0.6, abs=0.06)
    assert found.rounds == 1600
    with pytest.raises(UsageError, match="Did you mean `resolution`"):
        estimate_other_policy(registry, trial.log(), "cites", other, trial.clock.now(), metric="resolutoin")
