"""Evidence is what our commands write, whole; of anything else the hash is kept and nothing is believed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.reporting.duel_examples import gated
from tests.reporting.examples import rich, two_treatments, with_status

from promptarena.definitions.readout import Status
from promptarena.errors import DataError
from promptarena.reporting.json import to_json
from promptarena.rollout.evidence import read_evidence


def test_a_duel_as_the_command_writes_it_is_a_gates_result(tmp_path: Path) -> None:
    duel = gated()
    assert duel.gate is not None
    file = tmp_path / "duel.json"
    file.write_text(to_json(duel))
    evidence = read_evidence(file)
    assert (evidence.kind, evidence.about, evidence.status) == ("gate", duel.duel, duel.gate.status.value)
    assert evidence.reasons == duel.gate.reasons
    assert evidence.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not evidence.says_ship("treatment")


def test_a_readout_as_the_command_writes_it_is_a_verdict_on_each_treatment(tmp_path: Path) -> None:
    file = tmp_path / "readout.json"
    readout = with_status(rich(), Status.SHIP)
    treatment = readout.variants[1]
    shipped = replace(
        readout, verdict=replace(readout.verdict, variant=treatment, by_variant={treatment: Status.SHIP})
    )
    file.write_text(to_json(shipped))
    evidence = read_evidence(file)
    assert (evidence.kind, evidence.about, evidence.status) == ("verdict", readout.experiment, "ship")
    assert evidence.says_ship(treatment)
    assert not evidence.says_ship(readout.control)
    assert evidence.preregistered is readout.verdict.preregistered


def test_one_treatment_may_ship_though_another_does_harm(tmp_path: Path) -> None:
    file = tmp_path / "readout.json"
    readout = two_treatments()
    first, second = readout.variants[1:]
    verdicts = {first: Status.HARMFUL, second: Status.SHIP}
    file.write_text(
        to_json(
            replace(
                readout,
                verdict=replace(readout.verdict, status=Status.HARMFUL, variant=first, by_variant=verdicts),
            )
        )
    )
    evidence = read_evidence(file)
    assert evidence.status == "harmful"
    assert evidence.says_ship(second)
    assert not evidence.says_ship(first)


def test_other_json_is_kept_by_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text('{"verdict": "ship", "gate": ["pass"]}')
    assert read_evidence(file).plain() == {
        "source": "notes.json",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "kind": "other",
        "reasons": [],
    }


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"verdict": ', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"evidence.json: Evidence is a JSON object"):
        read_evidence(file)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_evidence(tmp_path / "nowhere.json")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_evidence(tmp_path)


@pytest.mark.parametrize(
    "verdict",
    ['{"status": 1, "reasons": "no list", "by_variant": []}', '{"by_variant": {"treatment": null}}'],
)
def test_words_in_places_of_others_are_not_believed(tmp_path: Path, verdict: str) -> None:
    file = tmp_path / "readout.json"
    file.write_text(f'{{"experiment": 7, "verdict": {verdict}}}')
    evidence = read_evidence(file)
    assert (evidence.about, evidence.status, evidence.reasons) == (None, None, ())
    assert not evidence.says_ship("treatment")
