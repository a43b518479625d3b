"""JUnit XML and the job's summary: statuses, text that XML cannot hold, and what is too long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.reporting import duel_examples

from promptarena.definitions.duel_readout import DuelReadout, Gate, GateStatus
from promptarena.errors import UsageError
from promptarena.reporting import job_summary
from promptarena.reporting.job_summary import append_summary
from promptarena.reporting.junit import to_junit


def suite(duel: DuelReadout) -> ElementTree.Element:
    root = ElementTree.fromstring(to_junit(duel))
    assert root.tag == "testsuites"
    return root[0]


def test_every_condition_is_a_test_with_its_status() -> None:
    found = suite(duel_examples.gated())
    assert {name: found.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    passed, failed = found.findall("testcase")
    assert passed.get("name") == "treatment: win_rate"
    assert len(passed) == 0
    (note,) = failed
    assert (note.tag, note.get("type")) == ("failure", "fail")
    assert "rules out a difference" in (note.get("message") or "")


@pytest.mark.parametrize(
    ("status", "tag"), [("inconclusive", "failure"), ("invalid", "error"), ("fail", "failure")]
)
def test_whatever_is_not_a_pass_does_not_pass(status: str, tag: str) -> None:
    duel = duel_examples.gated()
    assert duel.gate is not None
    changed = tuple(replace(each, status=GateStatus(status)) for each in duel.gate.conditions)
    found = suite(replace(duel, gate=replace(duel.gate, conditions=changed)))
    assert [case[0].tag for case in found.findall("testcase")] == [tag, tag]
    assert int(found.get("failures") or 0) + int(found.get("errors") or 0) == 2


def test_a_gate_that_can_conclude_nothing_is_an_error() -> None:
    found = suite(duel_examples.unjudged())
    assert (found.get("tests"), found.get("errors")) == ("1", "1")
    assert found.findall("testcase/error")


def test_without_a_gate_nothing_is_claimed() -> None:
    found = suite(duel_examples.ranked())
    assert (found.get("tests"), found.get("skipped")) == ("1", "1")


def test_texts_that_xml_cannot_hold_are_replaced() -> None:
    duel = duel_examples.gated()
    assert duel.gate is not None
    nasty = "]]> <&\"' \x00\x1b\ud800 \u2028 ok"
    changed = tuple(replace(each, text=nasty, variant=nasty) for each in duel.gate.conditions)
    found = suite(replace(duel, duel=nasty, gate=replace(duel.gate, conditions=changed, reasons=(nasty,))))
    note = found.find("testcase/failure")
    assert note is not None
    assert note.text is not None
    assert note.text.endswith("ok")
    assert "\x00" not in note.text
    assert "]]> <&" in note.text


def test_the_summary_is_added_to_what_other_steps_wrote(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    append_summary(duel_examples.gated(), path)
    text = path.read_text()
    assert text.startswith("before\n## ")
    assert "FAIL" in text
    assert "### Who won" in text


def test_a_summary_that_github_would_drop_is_cut_to_its_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_summary, "MOST_BYTES", 4000)
    append_summary(duel_examples.gated(), tmp_path / "s.md")
    text = (tmp_path / "s.md").read_text()
    assert "FAIL" in text
    assert "### Who won" not in text
    assert "too long for a job's summary" in text


def test_a_summary_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="summary cannot be written"):
        append_summary(duel_examples.gated(), tmp_path / "no" / "s.md")


def test_a_gate_without_conditions_still_has_its_reasons() -> None:
    gate = Gate(status=GateStatus.INVALID, reasons=("nothing was judged.",), alpha=0.025)
    assert "nothing was judged." in to_junit(replace(duel_examples.gated(), gate=gate))
