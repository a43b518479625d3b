"""A bench says what it measured against what, and fails where a promise is broken."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)


def test_benches_are_found_by_their_names() -> None:
    listed = bench("--help").stdout
    assert "imports" in listed
    assert "readout_from_table" in listed
    unknown = bench("nonsense")
    assert (unknown.returncode, "no bench nonsense" in unknown.stderr) == (2, True)


def test_a_ratio_above_its_target_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(_ROOT))
    from bench.claim import Claim, take_turns

    slow = take_turns(
        "naps",
        lambda: time.sleep(0.02),
        lambda: time.sleep(0.005),
        other_name="short ones",
        target=2,
        rounds=3,
    )
    assert slow.ratio > 2
    assert not slow.met
    assert str(slow).endswith("OVER")
    assert Claim("told", "1 s", "2 s", 9.0, None).met
    assert str(Claim("kept", "1 s", "2 s", 0.5, 1.0)).endswith("ok")
