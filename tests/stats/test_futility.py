"""The non-binding futility boundary, held to gsDesign's default design."""

from __future__ import annotations

import numpy as np
import pytest

from promptarena.stats.futility import futility_boundary
from promptarena.stats.group_sequential import spending_boundary, supplied_boundary
from promptarena.stats.spending import FAMILIES, SpendingFunction
from promptarena.stats.stopping import drift_for_power, stopping_probabilities

THIRDS = [1 / 3, 2 / 3, 1.0]


def test_futility_equals_gsdesign() -> None:
    # The default design as the gsDesign technical manual prints it, to two and to four digits.
    upper = spending_boundary(THIRDS, SpendingFunction("hwang-shih-decani", -4), 0.025, sides=1)
    futility = futility_boundary(upper, 0.9, SpendingFunction("hwang-shih-decani", -2))
    assert futility.z == pytest.approx((-0.24, 0.94, 2.00), abs=0.005)
    assert futility.inflation == pytest.approx(1.070, abs=0.0005)
    assert np.diff(futility.beta_spent, prepend=0) == pytest.approx((0.0148, 0.0289, 0.0563), abs=0.00005)
    null = stopping_probabilities(upper, 0.0, futility_z=futility.z)
    assert null.upper == pytest.approx((0.0013, 0.0049, 0.0171), abs=0.00005)
    assert null.lower == pytest.approx((0.4057, 0.4290, 0.1420), abs=0.00005)
    assert null.expected_information * futility.inflation == pytest.approx(0.6249, abs=0.00005)
    effect = stopping_probabilities(upper, futility.drift, futility_z=futility.z)
    assert effect.upper == pytest.approx((0.1412, 0.4403, 0.3185), abs=0.00005)
    assert effect.expected_information * futility.inflation == pytest.approx(0.7913, abs=0.00005)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_giving_up_costs_exactly_the_type_ii_error(family: str, power: float) -> None:
    upper = spending_boundary([0.3, 0.5, 0.8, 1.0], SpendingFunction("obrien-fleming"), 0.025, sides=1)
    futility = futility_boundary(upper, power, SpendingFunction(family))
    stopping = stopping_probabilities(upper, futility.drift, futility_z=futility.z)
    assert stopping.power == pytest.approx(power, abs=1e-8)
    assert np.cumsum(stopping.lower) == pytest.approx(futility.beta_spent, abs=1e-8)
    assert futility.drift > drift_for_power(upper, power)
    assert futility.z[-1] == upper.critical_z[-1]


def test_overruling_futility_keeps_the_type_i_error() -> None:
    upper = spending_boundary(THIRDS, SpendingFunction("pocock"), 0.025, sides=1)
    futility = futility_boundary(upper, 0.8, SpendingFunction("pocock"))
    obeyed = stopping_probabilities(upper, 0.0, futility_z=futility.z).power
    assert obeyed < stopping_probabilities(upper, 0.0).power == pytest.approx(0.025)


def test_futility_needs_a_one_sided_test() -> None:
    with pytest.raises(ValueError, match="one-sided"):
        futility_boundary(supplied_boundary([1.0], [1.96]), 0.8, SpendingFunction())
