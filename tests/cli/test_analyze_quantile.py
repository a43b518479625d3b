"""`arena analyze --quantile`: the same in JSON, in text and on the page."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Arena


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """2,000 users of two calls; those of the treatment take 500 ms longer."""
    rng = random.Random(1)
    lines = ["user,arm,ms,won"]
    for i in range(4_000):
        treated = i // 2 % 2
        ms = round(rng.lognormvariate(7, 0.5) + 500 * treated, 2)
        lines.append(f"u{i // 2},{'treatment' if treated else 'control'},{ms},{int(rng.random() < 0.5)}")
    path = tmp_path / "calls.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_quantile_may_be_a_guardrail_by_flags(arena: Arena, calls: Path) -> None:
    flags = (
        "--unit",
        "user",
        "--variant",
        "arm",
        "--rate",
        "won",
        "--quantile",
        "ms:0.95",
        "--lower",
        "ms_p95",
    )
    outcome = arena("analyze", calls, *flags, "--guardrail", "ms_p95=100", "--json")
    assert outcome.status == 0
    found = outcome.json["metrics"]["ms_p95"]
    rows = [line.split(",") for line in calls.read_text().splitlines()[1:]]
    expected = np.quantile([float(ms) for _, arm, ms, _ in rows if arm == "control"], 0.95)
    assert found["comparisons"]["treatment"]["control_value"] == pytest.approx(expected, rel=1e-12)
    assert found["role"] == "guardrail"
    assert outcome.json["verdict"]["status"] == "harmful"
    text = arena("analyze", calls, *flags, "--guardrail", "ms_p95=100", "--html", "page.html")
    assert "ms_p95" in text.out
    assert "ms_p95" in Path("page.html").read_text()


def test_a_quantile_that_cannot_be_read_is_a_usage_error(arena: Arena, calls: Path) -> None:
    outcome = arena("analyze", calls, "--unit", "user", "--variant", "arm", "--quantile", "ms:95")
    assert outcome.status == 2
    assert "--quantile 'ms:95' is not a quantile. Write COL:0.95" in " ".join(outcome.err.split())
