"""Several covariates, ratios among them, from a table's flags and from a log: the published figures, and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
import tea_tasting as tt
from tests.analysis.event_logs import Log, at, experiment

from promptarena.analysis.log_readout import read_events
from promptarena.analysis.table_analysis import Flags, analyze_table
from promptarena.definitions.readout import Comparison
from promptarena.stats.covariates import Components, adjusted_effect
from promptarena.stats.moments import Moments
from promptarena.storage.warehouse import Warehouse


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("users") / "users.parquet"
    pq.write_table(tt.make_users_data(rng=42, covariates=True), path)
    return path


def _compared(path: Path, metric: str, **flags: Any) -> Comparison:
    readout = analyze_table(Flags(file=str(path), unit="user", variant="variant", control="0", **flags))
    return readout.metrics[metric].comparisons["1"]


def test_revenue_orders_and_their_ratio_have_the_published_effects(users: Path) -> None:
    revenue = _compared(users, "revenue", means=("revenue",), covariates=("revenue_covariate",))
    orders = _compared(users, "orders", means=("orders",), covariates=("orders_covariate",))
    ratio = _compared(
        users,
        "orders/sessions",
        ratios=("orders/sessions",),
        covariates=("orders_covariate/sessions_covariate",),
    )
    assert revenue.difference == pytest.approx(0.73101445, abs=1e-6)
    assert revenue.interval == pytest.approx((0.20228702, 1.25974187), abs=1e-6)
    assert orders.difference == pytest.approx(0.05830389, abs=1e-6)
    assert ratio.difference == pytest.approx(0.03173426, abs=1e-6)
    assert "orders_covariate/sessions_covariate (CUPED)" in ratio.method


def test_two_covariates_take_away_what_least_squares_takes(users: Path) -> None:
    data = tt.make_users_data(rng=42, covariates=True)
    y, treated = (np.asarray(data[name], dtype=np.float64) for name in ("revenue", "variant"))
    names = ("revenue_covariate", "orders_covariate")
    x = np.column_stack([np.asarray(data[name], dtype=np.float64) for name in names])
    fit = sm.OLS(y, sm.add_constant(np.column_stack([treated, x]))).fit(cov_type="HC1")
    found = _compared(users, "revenue", means=("revenue",), covariates=names)
    assert found.difference == pytest.approx(fit.params[1], rel=2e-3)
    assert found.standard_error == pytest.approx(fit.bse[1], rel=2e-3)
    one = _compared(users, "revenue", means=("revenue",), covariates=names[:1])
    assert found.standard_error is not None
    assert one.standard_error is not None
    assert found.standard_error < one.standard_error


def test_units_that_lack_one_of_two_covariates_keep_the_other(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n = 3_000
    treated = np.tile([0.0, 1.0], n // 2)
    x = rng.normal(5, 1, (n, 2))
    gone = rng.random((n, 2)) < (0.3, 0.5)
    y = 0.5 * treated + np.where(gone, [2.0, 3.0], x).sum(axis=1) + rng.normal(0, 0.3, n)
    columns = {"a": pa.array(x[:, 0], mask=gone[:, 0]), "b": pa.array(x[:, 1], mask=gone[:, 1])}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"user": np.arange(n), "variant": treated.astype(int), "y": y, **columns}), path)
    found = _compared(path, "y", means=("y",), covariates=("a", "b"))
    design = np.column_stack([treated, np.where(gone, 0.0, x), gone.astype(float)])
    fit = sm.OLS(y, sm.add_constant(design)).fit(cov_type="HC1")
    assert (found.n_control, found.n_variant) == (n / 2, n / 2)
    assert found.difference == pytest.approx(fit.params[1], rel=2e-3)
    assert found.standard_error == pytest.approx(fit.bse[1], rel=1e-2)


_TWO = {
    "unit": "user",
    "metrics": "{stars: {mean: stars, window: 1d, covariate: [visit, {of: spent, over: trips}]}}",
    "primary": "stars",
    "design": "{sd: 1, mde: 0.3}",
}


def test_a_definition_names_several_and_the_log_has_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    log, rows = Log(experiment(tmp_path, **_TWO)), []
    for i in range(400):
        arm, new = i % 2, i % 5 == 0
        before, spent, trips = float(rng.normal()), float(rng.gamma(5)), float(rng.integers(1, 4))
        y = 0.3 * arm + (0.0 if new else before + spent / trips) + float(rng.normal(0, 0.2))
        if not new:
            for name, value in (("visit", before), ("spent", spent), ("trips", trips)):
                log.measure(f"u{i}", i / 3, name, value=value)
        log.expose(f"u{i}", 1 + i / 3, ("control", "treatment")[arm])
        log.measure(f"u{i}", 2 + i / 3, "stars", value=y)
        rows.append((arm, y, *((0.0, 5.0, 2.0, 1.0) if new else (before, spent, trips, 0.0))))
    with Warehouse(ordered=False) as warehouse:
        readout = read_events(log.of, log.tables(warehouse.connection), as_of=at(days=20))
    found = readout.metrics["stars"].comparisons["treatment"]
    table = np.array(rows)
    arms = [Moments.from_values(table[table[:, 0] == arm, 1:]) for arm in (0, 1)]
    components = Components((0,), ((1,), (2, 3), (4,)))
    expected = adjusted_effect([(arms[0], arms[1])], components)
    assert found.n_control == 200
    # Whatever stands in for what is missing; of a ratio it moves the point about which it is linear a little.
    assert found.difference == pytest.approx(expected.effect.difference, abs=0.01)
    assert found.standard_error == pytest.approx(expected.effect.standard_error, rel=0.02)
    assert expected.variance_removed > 0.4
    assert "visit and spent/trips" in found.method
