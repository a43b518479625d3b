"""A quantile from file to verdict: as a flag, and as the guardrail of a definition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from numpy.typing import NDArray

from promptarena.analysis.table_analysis import Flags, analyze_table
from promptarena.definitions.readout import Readout, Status
from promptarena.errors import NotEnoughDataError, UsageError

Array = NDArray[np.float64]

START = datetime(2026, 3, 2, tzinfo=UTC)

EXPERIMENT = """\
experiment: support-cites-policy
feature: support-bot
hypothesis: Citing the policy raises resolution without slowing answers.
unit: conversation
variants:
  control: {}
  treatment: {system: Cite the policy.}
metrics:
  resolution: {rate: resolved, window: 24h, better: higher}
primary: resolution
guardrails:
  - {metric: latency_p95, margin: 300}
design: {expected: 0.60, mde: 0.05, looks: [0.5, 1]}
segments: [device]
rollout:
  - {stage: offline, skip: nothing to judge}
  - {stage: shadow, skip: nothing to shadow}
  - {stage: canary, traffic: 10%, for: 1d}
  - {stage: ab, traffic: 100%}
"""


def _analyze(path: Path, *quantiles: str, **flags: object) -> Readout:
    usual: dict[str, object] = {
        "file": str(path),
        "unit": "unit",
        "variant": "variant",
        "quantiles": quantiles,
    }
    return analyze_table(Flags(**usual | flags))  # type: ignore[arg-type]


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    (tmp_path / "arena.yaml").write_text(
        "providers: {openai: {base_url: https://api.example/v1, key_env: OPENAI_API_KEY}}\n"
        "features: {support-bot: {provider: openai, model: gpt-4o-mini, system: Be helpful.}}\n"
    )
    path = tmp_path / "experiment.yaml"
    path.write_text(EXPERIMENT)
    return path


def _conversations(path: Path, slower: float, resolved: float = 0.67) -> dict[str, Array]:
    """4,200 conversations of 1 to 4 turns over two weeks, written to a file; their latencies by arm."""
    rng = np.random.default_rng(4)
    rows: dict[str, list[object]] = {
        n: [] for n in ("unit", "variant", "at", "device", "resolved", "latency_ms")
    }
    latencies: dict[str, list[float]] = {"control": [], "treatment": []}
    for i in range(4_200):
        name = ("control", "treatment")[i % 2]
        own, day = rng.normal(), i % 14
        for turn in range(1 + i // 2 % 4):
            x = float(np.exp(7 + 0.3 * own + 0.4 * rng.normal())) + slower * (name == "treatment")
            missing = rng.random() < 0.05
            line = (
                f"c{i}", name, START + timedelta(days=day, minutes=turn), ("web", "app")[i // 28 % 2],
                int(turn == 0 and rng.random() < (0.60 if name == "control" else resolved)), None if missing else x,
            )  # fmt: skip
            for column, value in zip(rows, line, strict=True):
                rows[column].append(value)
            if not missing:
                latencies[name].append(x)
    pa.parquet.write_table(pa.table(rows), path)
    return {name: np.array(values) for name, values in latencies.items()}


def test_the_worked_lognormal_case_by_a_flag(tmp_path: Path) -> None:
    rng = np.random.default_rng(123)
    control, treatment = rng.lognormal(7, 0.5, 20_000), rng.lognormal(7.03, 0.5, 20_000)
    path = tmp_path / "units.parquet"
    names = ["control"] * 20_000 + ["treatment"] * 20_000
    table = {"unit": range(40_000), "variant": names, "latency_ms": np.append(control, treatment)}
    pa.parquet.write_table(pa.table(table), path)
    readout = _analyze(path, "latency_ms:0.95", lower=("latency_ms_p95",))
    found = readout.metrics["latency_ms_p95"].comparisons["treatment"]
    assert found.difference == pytest.approx(85.40, abs=0.005)
    assert found.standard_error is not None
    assert 26.8 <= found.standard_error <= 28.0
    assert found.control_value == pytest.approx(np.quantile(control, 0.95), rel=1e-12)


@pytest.mark.parametrize(("slower", "status"), [(0.0, Status.SHIP), (600.0, Status.HARMFUL)])
def test_a_declared_guardrail_on_p95_decides_the_verdict(
    tmp_path: Path, definition: Path, slower: float, status: Status
) -> None:
    path = tmp_path / "turns.parquet"
    latencies = _conversations(path, slower)
    readout = _analyze(path, time="at", definition=definition)
    shown = readout.metrics["latency_p95"]
    found = shown.comparisons["treatment"]
    assert found.control_value == pytest.approx(np.quantile(latencies["control"], 0.95), rel=1e-12)
    assert found.variant_value == pytest.approx(np.quantile(latencies["treatment"], 0.95), rel=1e-12)
    assert (shown.role, shown.margin, shown.unit) == ("guardrail", "300", "ms")
    assert readout.verdict.status is status
    checks = {check.name: check for check in readout.verdict.checks if check.metric == "latency_p95"}
    assert checks["guardrail"].passed is (slower == 0)
    assert checks["harm"].passed is (slower == 0)
    assert checks["observed share"].passed
    assert len(shown.daily) == 14
    assert {effect.value for effect in shown.segments} == {"web", "app"}
    assert any("rolled up" in note for note in readout.notes)


def test_an_early_look_has_the_quantile_of_its_own_days(tmp_path: Path, definition: Path) -> None:
    path = tmp_path / "turns.parquet"
    _conversations(path, 0.0, resolved=0.75)
    definition.write_text(EXPERIMENT.replace("looks: [0.5, 1]", "looks: [0.25, 1], units: 4_200"))
    readout = _analyze(path, time="at", definition=definition)
    [look] = readout.paths[0].looks
    table = pa.parquet.read_table(path).to_pandas()
    first = table.groupby("unit")["at"].transform("min")
    early = table[(first < START + timedelta(days=7)) & table["latency_ms"].notna()]
    expected = early[early["variant"] == "control"]["latency_ms"].quantile(0.95)
    assert look.day == "2026-03-08"
    found = readout.metrics["latency_p95"].comparisons["treatment"]
    assert found.control_value == pytest.approx(expected, rel=1e-12)


def test_text_is_read_as_numbers_and_a_covariate_leaves_quantiles_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "units.csv"
    values = np.round(rng.gamma(2, 50, 600), 3)
    lines = [f"{i},{'ab'[i % 2]},{'' if i % 10 == 0 else values[i]},{rng.normal():.3f}" for i in range(600)]
    path.write_text("\n".join(["unit,variant,x,before", *lines]) + "\n")
    readout = _analyze(path, "x:0.5", "x:90%", means=("x",), covariates=("before",), control="a")
    for name, q in (("x_p50", 0.5), ("x_p90", 0.9)):
        found = readout.metrics[name].comparisons["b"]
        mine = [values[i] for i in range(0, 600, 2) if i % 10]
        assert found.control_value == pytest.approx(np.quantile(mine, q), rel=1e-12)
        assert found.n_control == len(mine)
        assert "CUPED" not in found.method


@pytest.mark.parametrize("written", ["x", "x:", ":0.95", "x:1", "x:0", "x:much", "x:1.5"])
def test_what_is_no_quantile_is_told_with_an_example(tmp_path: Path, written: str) -> None:
    with pytest.raises(UsageError, match=r"is not a quantile\. Write COL:0\.95"):
        _analyze(tmp_path / "none.csv", written)


def test_a_primary_without_a_tail_is_not_answered(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    lines = [f"{i},{'ab'[i % 2]},{i * 7 % 31}" for i in range(60)]
    path.write_text("\n".join(["unit,variant,x", *lines]) + "\n")
    with pytest.raises(NotEnoughDataError, match=r"`x_p99` cannot be estimated: a: .*too few"):
        _analyze(path, "x:0.99", control="a")
