"""Rounds from a cube's moments are those of its units, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from tests.analysis.cubes import cube, metric

from promptarena.analysis.off_policy import off_policy_readout, rounds_of_cube
from promptarena.errors import DataError, UsageError
from promptarena.stats.off_policy import LoggedRounds

WEIGHTS = {"0": {"control": 0.5, "treatment": 0.5}, "1": {"control": 0.1, "treatment": 0.9}}
POLICY = {"control": 0.3, "treatment": 0.7}
SPEND = metric("spend", "sum")


def test_moments_give_what_the_units_give() -> None:
    rng = np.random.default_rng(1)
    cells, rewards, logged, evaluated = {}, [], [], []
    for epoch, shares in WEIGHTS.items():
        for variant, share in shares.items():
            values = rng.gamma(2, 1 + (variant == "treatment"), round(800 * share))
            cells[variant, epoch] = {"spend": values}
            rewards += list(values)
            logged += [share] * len(values)
            evaluated += [POLICY[variant]] * len(values)
    direct = LoggedRounds.of(rewards, logged=logged, evaluated=evaluated)
    found = rounds_of_cube(cube(cells, ["epoch"]), SPEND, WEIGHTS, POLICY)
    for method in ("ips", "snips"):
        one, other = getattr(found, method)(), getattr(direct, method)()
        assert one.value == pytest.approx(other.value, rel=1e-12)
        assert one.standard_error == pytest.approx(other.standard_error, rel=1e-10)
        assert found.effect(method).standard_error == pytest.approx(direct.effect(method).standard_error)
    assert found.check_weights().effective_rounds == pytest.approx(direct.check_weights().effective_rounds)
    assert found.check_weights().largest_share == pytest.approx(direct.check_weights().largest_share)
    readout = off_policy_readout(found, source="e", reward="spend", policy="other", alpha=0.05)
    assert [row.method for row in readout.estimates] == ["logged", "ips", "snips"]
    # The truth of the other policy: .3 x 2 + .7 x 4.
    low, high = readout.estimates[2].interval or (None, None)
    assert low is not None
    assert high is not None
    assert low < 3.4 < high


def test_what_cannot_be_estimated_is_said() -> None:
    made = cube(
        {("control", "0"): {"spend": np.ones(5)}, ("treatment", "0"): {"spend": np.ones(5)}}, ["epoch"]
    )
    with pytest.raises(UsageError, match="does not say how often"):
        rounds_of_cube(made, SPEND, WEIGHTS, {"control": 1.0})
    nobody = cube(
        {("control", "0"): {"spend": np.ones(1)}, ("treatment", "0"): {"spend": np.ones(1)}}, ["epoch"]
    )
    alone = rounds_of_cube(nobody, SPEND, WEIGHTS, {"control": 1.0, "treatment": 0.0})
    assert off_policy_readout(alone, source="e", reward="spend", policy="", alpha=0.05).warning is not None
    none = LoggedRounds.of([1.0, 0.0], logged=[0.5, 0.5], evaluated=[0.0, 0.0])
    with pytest.raises(DataError, match="chosen nothing"):
        off_policy_readout(none, source="e", reward="spend", policy="", alpha=0.05)
