"""Epochs differ in allocation and in everything else: checks compare like with like."""

from __future__ import annotations

import numpy as np
from tests.analysis.cubes import counts_of, cube, metric, plan

from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.cube import Cube
from promptarena.analysis.trust import observed_checks, sample_balance, trust_checks
from promptarena.definitions.readout import Check

_UNITS = {
    ("control", "0"): 9_500,
    ("treatment", "0"): 500,
    ("control", "1"): 5_000,
    ("treatment", "1"): 5_000,
}
_WEIGHTS = {"0": {"control": 0.95, "treatment": 0.05}, "1": {"control": 0.5, "treatment": 0.5}}
_PLAN = plan(metric("value"))


def _arrivals(**fields: object) -> Arrivals:
    return Arrivals(**{"weights": _WEIGHTS, "exposed": _UNITS, "crossed": {}} | fields)  # type: ignore[arg-type]


def _by_epoch(observed: dict[str, float]) -> Cube:
    """A share of each epoch's units has a value."""
    cells = {
        key: {"value": np.arange(round(units * observed[key[1]]), dtype=np.float64)}
        for key, units in _UNITS.items()
    }
    return cube(cells, ["epoch"], units=_UNITS)


def _pooled(made: Cube) -> Cube:
    """The same without knowing of epochs."""
    cells = made.by()
    values = {
        (variant,): {"value": np.arange(cell.moments["value"].n, dtype=np.float64)}
        for (variant,), cell in cells.items()
    }
    return cube(values, units={key: cell.units for key, cell in cells.items()})


def test_each_epoch_is_held_to_its_own_allocation() -> None:
    made = _by_epoch({"0": 1.0, "1": 1.0})
    balance = sample_balance(made, _PLAN, _arrivals())
    assert balance.status == "ok"
    assert balance.expected == {"control": 14_500, "treatment": 5_500}
    assert sample_balance(made, _PLAN).status == "mismatch"
    swapped = {"0": _WEIGHTS["1"], "1": _WEIGHTS["0"]}
    assert sample_balance(made, _PLAN, _arrivals(weights=swapped)).status == "mismatch"


def test_an_epoch_whose_weights_are_not_known_has_the_declared_ones() -> None:
    made = cube(
        {("control", "7"): {"value": np.ones(900)}, ("treatment", "7"): {"value": np.ones(920)}}, ["epoch"]
    )
    balance = sample_balance(made, _PLAN, _arrivals(weights={}))
    assert balance.expected == {"control": 910, "treatment": 910}


def test_observed_shares_that_differ_between_epochs_are_no_selection() -> None:
    made = _by_epoch({"0": 0.9, "1": 0.3})
    [within] = observed_checks(_PLAN, made, "treatment")
    assert within.passed
    [mistaken] = observed_checks(_PLAN, _pooled(made), "treatment")
    assert not mistaken.passed


def test_crossovers_are_compared_within_epochs() -> None:
    made = _by_epoch({"0": 1.0, "1": 1.0})
    # One unit in a hundred of the early epoch has crossed, whatever its variant; of the late one, none yet.
    crossed = {("control", "0"): 95, ("treatment", "0"): 5}
    units = counts_of(made, crossovers=100, crossovers_by_variant={"control": 95, "treatment": 5})
    balance = sample_balance(made, _PLAN, _arrivals())
    assert _crossovers(trust_checks(units, balance, made, _PLAN, _arrivals(crossed=crossed))).passed
    assert not _crossovers(trust_checks(units, balance, _pooled(made), _PLAN)).passed
    uneven = {("control", "0"): 80, ("treatment", "0"): 20}
    assert not _crossovers(trust_checks(units, balance, made, _PLAN, _arrivals(crossed=uneven))).passed


def test_a_segment_that_grows_with_the_epochs_is_no_imbalance() -> None:
    phones = {"0": 0.2, "1": 0.8}
    cells = {
        (variant, epoch, device): {"value": np.ones(round(units * share))}
        for (variant, epoch), units in _UNITS.items()
        for device, share in (("phone", phones[epoch]), ("desktop", 1 - phones[epoch]))
    }
    made = cube(cells, ["epoch", "device"])
    assert sample_balance(made, _PLAN, _arrivals()).segments == {"device": 1.0}
    together: dict[tuple[str, str], int] = {}
    for (variant, _, device), values in cells.items():
        together[variant, device] = together.get((variant, device), 0) + len(values["value"])
    pooled = cube({key: {"value": np.ones(n)} for key, n in together.items()}, ["device"])
    assert sample_balance(pooled, _PLAN).segments["device"] < 1e-9


def test_who_is_exposed_now_is_held_to_the_allocation_too() -> None:
    made = _by_epoch({"0": 1.0, "1": 1.0})
    flooded = {**_UNITS, ("treatment", "1"): 6_000}
    checks = trust_checks(
        counts_of(made), sample_balance(made, _PLAN, _arrivals()), made, _PLAN, _arrivals(exposed=flooded)
    )
    assert [check.name for check in checks if check.passed is False] == ["balance of the exposed"]


def _crossovers(checks: tuple[Check, ...]) -> Check:
    return next(check for check in checks if check.name == "crossovers")
