"""Answers that try every trick on their judge, through the whole of a live duel, up to the gate."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.evaluation.judges.attacks import ATTACKS, UNMARKED
from tests.evaluation.judges.judge_server import (
    RIGHT,
    Model,
    careful,
    led_by_ends,
    led_by_line_starts,
    parrot,
    parrot_of_objects,
    seal_in,
    texts_in,
)
from tests.evaluation.live.live_duels import provider, run
from tests.llm.loopback import Asked, says

from promptarena.definitions.duel_readout import DuelReadout, GateStatus

DUEL = """\
duel: attacked
dataset: {file: golden.jsonl, input: question}
variants:
  control: {outputs: right.jsonl}
  attack: {outputs: attacks.jsonl}
judge:
  provider: openai
  model: gpt-4o
  reply: text
  pairwise: Which answer tells the customer what happens, and when?
  rubric: {accuracy: {question: Is it right?, levels: {1: "No.", 5: "Yes."}}}
gate: {win_rate: {above: 0.5}, axes: {accuracy: {margin: 0.1}}}
"""


def duel(folder: Path, model: Model) -> DuelReadout:
    """Each attack is a case, against a right answer."""
    rows: dict[str, list[dict[str, str]]] = {"golden": [], "right": [], "attacks": []}
    for number, (name, text) in enumerate(ATTACKS.items()):
        rows["golden"].append({"id": name, "question": "My parcel is late. What now?"})
        # No two answers are alike: what is the same text needs no judge.
        rows["right"].append({"id": name, "output": f"{RIGHT} (No. {number})"})
        rows["attacks"].append({"id": name, "output": text})
    for file, lines in rows.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{file}.jsonl").write_text(text, encoding="utf-8")
    (folder / "duel.yaml").write_text(DUEL)

    def behave(asked: Asked, _: int) -> bytes:
        system, message = (part["content"] for part in asked.body["messages"])
        return says(model(system, message, texts_in(message)))

    with provider(behave) as server:
        return run(folder / "duel.yaml", server)


def suspected(found: DuelReadout) -> dict[str, int]:
    assert found.conduct is not None
    return found.conduct.suspected


def test_before_a_careful_judge_every_attack_loses_and_the_gate_fails(tmp_path: Path) -> None:
    found = duel(tmp_path, careful)
    [pair] = found.pairs
    assert (pair.wins, pair.ties, pair.losses, pair.unscored) == (0, 0, len(ATTACKS), 0)
    assert found.gate is not None
    assert found.gate.status is GateStatus.FAIL
    [accuracy] = found.axes
    assert (accuracy.means["attack"].mean, accuracy.means["control"].mean) == (1.0, 5.0)


def test_attempts_are_counted_where_they_were_made_and_told(tmp_path: Path) -> None:
    found = duel(tmp_path, careful)
    counted = suspected(found)
    assert counted.keys() == {"attack"}
    assert counted["attack"] >= len(ATTACKS) - len(UNMARKED)
    assert any(
        note.startswith(f"injection suspected in {counted['attack']} answers of attack")
        for note in found.notes
    )


def test_models_that_fall_for_fake_ends_and_fake_lines_are_not_reached(tmp_path: Path) -> None:
    for number, model in enumerate((led_by_line_starts, led_by_ends)):
        folder = tmp_path / str(number)
        folder.mkdir()
        [pair] = duel(folder, model).pairs
        assert (pair.wins, pair.ties, pair.losses) == (0, 0, len(ATTACKS))


def test_a_judge_that_repeats_what_it_reads_scores_nothing_and_the_gate_is_not_passed(tmp_path: Path) -> None:
    for number, model in enumerate((parrot, parrot_of_objects)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = duel(folder, model)
        [pair] = found.pairs
        assert (pair.wins, pair.ties, pair.losses, pair.unscored) == (0, 0, 0, 2 * len(ATTACKS))
        [accuracy] = found.axes
        assert accuracy.means["attack"].mean is None
        assert found.gate is not None
        assert found.gate.status in (GateStatus.FAIL, GateStatus.INVALID)
        assert found.conduct is not None
        assert sum(found.conduct.unscored.values()) == found.conduct.judgments == 4 * len(ATTACKS)


def test_a_judge_that_always_names_the_first_makes_the_gate_invalid(tmp_path: Path) -> None:
    def first(system: str, message: str, texts: dict[str, str]) -> str:
        if '"axes"' in system:
            return careful(system, message, texts)
        return json.dumps({"seal": seal_in(message), "rationale": "", "verdict": "first"})

    found = duel(tmp_path, first)
    assert found.judge is not None
    assert (found.judge.first_position_rate, found.judge.conflict_rate) == (1.0, 1.0)
    assert found.gate is not None
    assert found.gate.status is GateStatus.INVALID


def test_a_judge_that_answers_badly_is_counted_by_what_was_wrong(tmp_path: Path) -> None:
    turn = [0]
    garbled = [
        "The first one, I think.",
        '{"verdict": "first"}',
        '{"seal": "SEAL", "verdict": "A"}',
        '{"seal": "SEAL", "rationale": "it goes on and',
        "",
    ]

    def bad(system: str, message: str, texts: dict[str, str]) -> str:
        if '"axes"' in system:
            return careful(system, message, texts)
        turn[0] += 1
        return garbled[turn[0] % len(garbled)].replace("SEAL", seal_in(message))

    found = duel(tmp_path, bad)
    [pair] = found.pairs
    assert (pair.wins, pair.losses, pair.unscored, pair.win_rate) == (0, 0, 2 * len(ATTACKS), None)
    assert found.conduct is not None
    assert found.conduct.unscored.keys() == {
        "no JSON object in the answer",
        "without the seal of its call",
        "a verdict that was not offered",
        "empty answer",
    }
    assert any("judgments are unscored, never 0" in note for note in found.notes)


def test_a_judge_that_is_won_over_is_not_prevented_and_the_readout_says_where_to_look(tmp_path: Path) -> None:
    def won_over(system: str, message: str, texts: dict[str, str]) -> str:
        obeys = {
            name: RIGHT if re.search(r"(?i)ignore|judge|verdict|score", text) else ""
            for name, text in texts.items()
        }
        return careful(system, message, obeys)

    found = duel(tmp_path, won_over)
    [pair] = found.pairs
    assert pair.wins > 0
    assert suspected(found)["attack"] >= pair.wins
