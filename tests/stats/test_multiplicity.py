"""Adjusted p-values equal statsmodels' and keep their error rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from statsmodels.stats.multitest import multipletests
from tests.calibration import Calibration

from promptarena.stats.multiplicity import Method, adjust

_NAMES: dict[Method, str] = {"bonferroni": "bonferroni", "holm": "holm", "benjamini-hochberg": "fdr_bh"}
p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize("method", list(_NAMES))
@given(p_values=p_lists)
def test_adjusted_p_values_equal_statsmodels(method: Method, p_values: list[float]) -> None:
    oracle = multipletests(p_values, method=_NAMES[method])[1]
    np.testing.assert_allclose(adjust(p_values, method), oracle, atol=1e-12)


@given(p_list=p_lists)
def test_holm_lies_between_unadjusted_and_bonferroni(p_list: list[float]) -> None:
    none, holm, bonferroni = (adjust(p_list, m) for m in ("none", "holm", "bonferroni"))
    assert (none <= holm + 1e-15).all()
    assert (holm <= bonferroni + 1e-15).all()


def test_no_p_values_adjust_to_none() -> None:
    assert len(adjust([], "holm")) == 0


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [float("nan")]])
def test_what_is_not_a_p_value_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        adjust(bad, "holm")


def test_error_rates_hold_in_simulation() -> None:
    rng = np.random.default_rng(11)
    runs, alpha = 4_000, 0.05
    null = rng.uniform(size=(runs, 10))
    # Two real effects among ten for the false discovery rate; their p-values are near zero.
    mixed = np.concatenate([rng.uniform(size=(runs, 2)) ** 8, rng.uniform(size=(runs, 8))], axis=1)
    family_wise = np.mean([(adjust(p, "holm") < alpha).any() for p in null])
    rejected = np.array([adjust(p, "benjamini-hochberg") < alpha for p in mixed])
    discoveries = np.mean(rejected[:, 2:].sum(axis=1) / np.maximum(rejected.sum(axis=1), 1))
    slack = 2 * np.sqrt(alpha * (1 - alpha) / runs)
    assert family_wise <= alpha + slack
    assert discoveries <= alpha * 0.8 + slack


@pytest.mark.slow
def test_calibration_of_adjusted_p_values(calibration: Calibration) -> None:
    rng, runs, alpha = np.random.default_rng(12), 20_000, 0.05
    z = rng.normal(size=(runs, 10)) + np.where(np.arange(10) < 3, 3.0, 0.0)
    p_values = 2 * ndtr(-np.abs(z))
    for method, error in (
        ("holm", "family"),
        ("bonferroni", "family"),
        ("benjamini-hochberg", "discoveries"),
    ):
        rejected = np.array([adjust(p, method) < alpha for p in p_values])  # type: ignore[arg-type]
        wrong = rejected[:, 3:].sum(axis=1)
        shares = wrong > 0 if error == "family" else wrong / np.maximum(rejected.sum(axis=1), 1)
        row = calibration.record(
            "Adjusted p-values",
            f"{method}, three effects of three errors among ten",
            "familywise error" if error == "family" else "false share of discoveries",
            nominal=alpha if error == "family" else 0.7 * alpha,
            observed=float(shares.mean()),
            runs=runs,
            seed=12,
            bound="at most",
        )
        calibration.record(
            "Adjusted p-values",
            f"{method}, three effects of three errors among ten",
            "effects found",
            nominal=None,
            observed=float(rejected[:, :3].mean()),
            runs=runs,
            seed=12,
        )
        assert row.kept, method
