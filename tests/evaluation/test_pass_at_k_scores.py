"""pass@k of recorded answers, several to a case, up to the gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from promptarena.definitions.duel_readout import GateStatus
from promptarena.errors import DataError
from promptarena.evaluation.check_powers import CheckPowers
from promptarena.evaluation.duel import run_duel

ALLOWED = CheckPowers(allow_code=True)
RIGHT, WRONG = "def f(x):\n    return 2 * x", "def f(x):\n    return x"


def write(folder: Path, extra: str = "") -> Path:
    """Of three answers a case the control has one right, the treatment two; the last case has one answer."""
    cases = [f"c{number}" for number in range(4)]
    (folder / "cases.jsonl").write_text(
        "".join(json.dumps({"id": case, "tests": "assert f(2) == 4"}) + "\n" for case in cases)
    )
    for name, right in (("control", 1), ("treatment", 2)):
        rows = [
            {"id": case, "sample": sample, "output": RIGHT if sample < right else WRONG}
            for case in cases
            for sample in range(1 if case == "c3" else 3)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "duel.yaml"
    path.write_text(
        "duel: code\ndataset: cases.jsonl\n"
        "variants:\n  control: {outputs: {file: control.jsonl, repeat: sample}}\n"
        "  treatment: {outputs: {file: treatment.jsonl, repeat: sample}}\n"
        f"checks: [{{name: works, passes-tests: {{tests: {{column: tests}}, k: [1, 2]}}}}]\n{extra}"
    )
    return path


def test_every_k_is_an_axis_over_all_answers_and_the_check_looks_at_the_first(tmp_path: Path) -> None:
    found = run_duel(write(tmp_path), powers=ALLOWED)
    assert [axis.name for axis in found.axes] == ["pass@1 works", "pass@2 works"]
    once, twice = found.axes
    assert once.means["control"].mean == pytest.approx((1 / 3 * 3 + 1) / 4)
    assert once.means["treatment"].mean == pytest.approx((2 / 3 * 3 + 1) / 4)
    # Of three answers, two drawn: 1 - C(2, 2) / C(3, 2), and certain where two are right.
    assert twice.means["control"].mean == pytest.approx(2 / 3)
    assert twice.means["treatment"].mean == pytest.approx(1.0)
    assert (twice.means["control"].cases, twice.means["control"].unscored) == (3, 1)
    assert found.checks[0].rates["control"].passed == 4


def test_a_gate_may_ask_for_one_of_them(tmp_path: Path) -> None:
    path = write(tmp_path, "gate: {axes: {pass@2 works: {margin: 0.1}}}\n")
    gate = run_duel(path, powers=ALLOWED).gate
    assert gate is not None
    assert gate.status in (GateStatus.PASS, GateStatus.INCONCLUSIVE)
    assert any("pass@2 works" in condition.name for condition in gate.conditions)


def test_answers_that_are_not_numbered_are_told_of(tmp_path: Path) -> None:
    path = write(tmp_path)
    rows = (tmp_path / "control.jsonl").read_text().replace('"sample": 2', '"sample": "last"')
    (tmp_path / "control.jsonl").write_text(rows)
    with pytest.raises(DataError, match=r"control\.jsonl:3 \(sample\): Several outputs .* found 'last'"):
        run_duel(path, powers=ALLOWED)
