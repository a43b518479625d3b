"""Duels whose answers and judgments are made now, over real HTTP: complete, broken, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluation.live.live_duels import (
    DUEL,
    JUDGE,
    PROJECT,
    is_judge,
    provider,
    rows,
    run,
    sensible,
    write,
)
from tests.llm.loopback import Asked, Behaviour, refuses, says
from tests.sdk.arenas import events_in

from promptarena.definitions.content_hash import content_hash
from promptarena.definitions.duel_readout import GateStatus
from promptarena.definitions.events import Measurement
from promptarena.definitions.project import load_project
from promptarena.errors import (
    ArenaError,
    DefinitionError,
    ModelCallError,
    RunStoppedError,
    UsageError,
)
from promptarena.evaluation.duel import run_duel
from promptarena.evaluation.live.setup import RunCounts
from promptarena.storage.registry.registry import open_registry
from promptarena.wiring import live_setup, registry_of


def test_variants_answer_a_judge_judges_and_the_gate_decides(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: policy}]\n" + JUDGE, cases=20)
    with provider(sensible) as server:
        found = run(path, server)
    assert found.gate is not None
    assert found.gate.status is GateStatus.PASS
    [pair] = found.pairs
    assert (pair.variant, pair.wins, pair.losses, pair.both_orders, pair.unscored) == (
        "treatment",
        20,
        0,
        20,
        0,
    )
    [check] = found.checks
    assert {name: rate.passed for name, rate in check.rates.items()} == {"control": 0, "treatment": 20}
    # 40 answers, two orders of 20 pairs, 40 scores; each asked once.
    assert len(server.asked) == 120
    control = rows(tmp_path, "answers/control.jsonl")
    assert len(control) == 20
    assert control[0]["output"] == "Ten days."
    assert {"latency_ms", "cost_usd", "finish_reason", "request_id", "model"} <= control[0].keys()
    judged = rows(tmp_path, "judgments.jsonl")
    assert len(judged) == 80
    assert {row["task"] for row in judged} == {"pairwise", "rubric"}


def test_what_a_variant_does_not_say_it_inherits_from_the_feature(tmp_path: Path) -> None:
    with provider(sensible) as server:
        run(write(tmp_path, duel=DUEL + "checks: [{contains: days}]\n", cases=1), server)
    bodies = sorted((each.body for each in server.asked), key=lambda body: body["messages"][0]["content"])
    assert [body["messages"][0]["content"] for body in bodies] == ["Be helpful.", "Cite the policy."]
    assert {body["temperature"] for body in bodies} == {0.3}
    assert {body["messages"][1]["content"] for body in bodies} == {"How long does parcel 0 take?"}


def test_repeats_are_asked_by_themselves_and_kept_apart(tmp_path: Path) -> None:
    duel = (
        DUEL.replace("system: Cite the policy.", "system: Cite the policy., seed: 7")
        + "repeat: 3\nchecks: [{contains: days}]\n"
    )
    with provider(sensible) as server:
        found = run(write(tmp_path, duel=duel, cases=4), server)
    assert len(server.asked) == 4 * 2 * 3
    assert (
        sorted(body["seed"] for body in (each.body for each in server.asked) if "seed" in body)
        == [7] * 4 + [8] * 4 + [9] * 4
    )
    assert [check.rates["control"].passed for check in found.checks] == [4]
    assert (
        sorted(row["repeat"] for row in rows(tmp_path, "answers/control.jsonl"))
        == [0] * 4 + [1] * 4 + [2] * 4
    )


def test_recorded_outputs_are_judged_without_being_asked_again(tmp_path: Path) -> None:
    duel = DUEL.replace("control: {}", "control: {outputs: old.jsonl}") + JUDGE
    path = write(tmp_path, duel=duel, cases=12)
    (tmp_path / "old.jsonl").write_text(
        "".join(
            json.dumps({"id": f"q{number}", "output": "Ten days."}) + "\n" for number in reversed(range(12))
        )
    )
    with provider(sensible) as server:
        found = run(path, server)
    assert [pair.wins for pair in found.pairs] == [12]
    assert sum(not is_judge(asked) for asked in server.asked) == 12


def test_one_case_is_enough_to_run(tmp_path: Path) -> None:
    with provider(sensible) as server:
        found = run(write(tmp_path, duel=DUEL + JUDGE, cases=1), server)
    assert found.gate is not None
    assert found.gate.status is not GateStatus.PASS


def test_a_call_that_fails_by_itself_is_missing_counted_and_told(tmp_path: Path) -> None:
    def behave(asked: Asked, number: int) -> bytes:
        if not is_judge(asked) and "parcel 3" in asked.body["messages"][-1]["content"]:
            return refuses(400, "content policy")
        return sensible(asked, number)

    with provider(behave) as server:
        found = run(write(tmp_path, duel=DUEL + "checks: [{contains: policy}]\n" + JUDGE, cases=8), server)
    [check] = found.checks
    assert {name: rate.missing for name, rate in check.rates.items()} == {"control": 1, "treatment": 1}
    assert found.pairs[0].missing == 1
    told = " ".join(found.notes)
    assert "2 answers failed and are missing" in told
    assert "content policy" in told
    [failed] = [row for row in rows(tmp_path, "answers/control.jsonl") if row["output"] is None]
    assert failed["id"] == "q3"
    assert "content policy" in failed["error"]


def test_what_happens_once_is_told_in_the_singular(tmp_path: Path) -> None:
    refused: list[object] = []

    def behave(asked: Asked, number: int) -> bytes:
        if not refused and not is_judge(asked) and "parcel 3" in asked.body["messages"][-1]["content"]:
            refused.append(asked)
            return refuses(400, "content policy")
        return sensible(asked, number)

    with provider(behave) as server:
        found = run(write(tmp_path, duel=DUEL + "checks: [{contains: policy}]\n", cases=8), server)
    told = " ".join(found.notes)
    assert "1 answer failed and is missing" in told
    assert "1 call without an answer: " in told


def test_empty_refused_and_cut_answers_are_counted(tmp_path: Path) -> None:
    def behave(asked: Asked, _number: int) -> bytes:
        at = int(asked.body["messages"][-1]["content"].split()[4])
        choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
        if at == 1:
            choice["finish_reason"] = "content_filter"
        if at == 3:
            choice["message"] = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
        if at == 2:
            choice |= {"message": {"role": "assistant", "content": "We will"}, "finish_reason": "length"}
        return says("", choices=[choice]) if at < 4 else says("Ten days.")

    with provider(behave) as server:
        found = run(write(tmp_path, duel=DUEL + "checks: [{is-refusal: true}]\n", cases=5), server)
    told = " ".join(found.notes)
    assert "4 answers are empty" in told
    assert "4 answers are refusals, by the model or by the provider's filter" in told
    assert "2 answers were cut at the limit of tokens" in told
    assert found.checks[0].rates["control"].missing == 0
    assert found.checks[0].rates["control"].passed == 2


def test_a_case_of_which_calls_failed_is_not_complete(tmp_path: Path) -> None:
    def behave(asked: Asked, _number: int) -> bytes:
        if is_judge(asked):
            return refuses(401, "Incorrect API key provided.")
        return (
            refuses(400, "too long")
            if "parcel 0" in asked.body["messages"][-1]["content"]
            else sensible(asked)
        )

    with provider(behave) as server, pytest.raises(RunStoppedError) as caught:
        run(write(tmp_path, duel=DUEL + JUDGE, cases=4), server, concurrency=1)
    told = str(caught.value)
    # Two answers and four judgments a case; of the first both answers failed.
    assert "0 of 4 cases are complete" in told
    assert "2 of which failed" in told
    assert "of 24 calls are missing" in told


@pytest.mark.parametrize(
    ("behave", "error", "says_what"),
    [
        (
            lambda *_: refuses(401, "Incorrect API key provided."),
            ArenaError,
            "401: Incorrect API key.*Check its key",
        ),
        (
            lambda *_: refuses(400, "unsupported parameter"),
            ModelCallError,
            "None of 8 calls got an answer: .*unsupported parameter",
        ),
    ],
)
def test_a_run_without_any_answer_is_an_error_of_status_4(
    tmp_path: Path, behave: Behaviour, error: type[ArenaError], says_what: str
) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: x}]\n", cases=4)
    with provider(behave) as server, pytest.raises(error, match=says_what) as caught:
        run(path, server)
    assert caught.value.exit_status == 4


def test_a_missing_key_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: x}]\n")
    with (
        live_setup(path, environment={}) as live,
        pytest.raises(UsageError, match="OPENAI_API_KEY is not set"),
    ):
        run_duel(path, live=live)


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []

    class Watch:
        def progressed(self, counts: RunCounts) -> None:
            seen.append((counts.done, counts.calls, counts.complete))

    with provider(sensible) as server:
        run(write(tmp_path, duel=DUEL + JUDGE, cases=5), server, watch=Watch())
    assert [done for done, _, _ in seen] == list(range(1, 31))
    assert seen[-1][1] == 30


def test_a_recording_of_a_run_is_replayed_without_a_provider(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + JUDGE, cases=4)
    with provider(sensible) as server:
        first = run(path, server, record=tmp_path / "tape.jsonl")
    (tmp_path / "arena.yaml").write_text(
        PROJECT.replace("{openai: {}}", "{openai: {kind: replay, file: tape.jsonl}}")
    )
    with live_setup(path, environment={}) as live:
        again = run_duel(path, live=live)
    assert again.pairs == first.pairs
    assert again.gate == first.gate


def test_a_duel_that_stands_alone_takes_its_provider_from_the_environment(tmp_path: Path) -> None:
    settings = "provider: openai, model: gpt-4o-mini"
    duel = f"""\
duel: alone
dataset: {{file: golden.jsonl, input: question}}
variants: {{control: {{{settings}}}, treatment: {{{settings}, system: Cite it.}}}}
checks: [{{contains: policy}}]
"""
    with provider(sensible) as server:
        found = run(write(tmp_path, duel=duel, project=None), server)
    assert found.checks[0].rates["treatment"].passed == 6


@pytest.mark.parametrize(
    ("duel", "says_what"),
    [
        (DUEL.replace("feature: bot", "feature: bott"), "no feature 'bott'.*Did you mean `bot`"),
        (DUEL.replace("feature: bot\n", ""), "'control' has neither `outputs` on file nor the `provider`"),
        (DUEL.replace(", input: question", "") + "checks: [{contains: x}]\n", "have to be asked"),
        (DUEL.replace("control: {}", "control: {outputs: a.jsonl, model: x}"), "`model` changes nothing"),
        (DUEL + "judge: {recorded: verdicts.csv}\n", "verdicts are on file.*`system` changes nothing"),
        (DUEL.replace("Cite the policy.", "file://prompts/none.md"), "no file 'prompts/none.md'"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, duel: str, says_what: str) -> None:
    path = write(
        tmp_path, duel=duel if "checks" in duel or "recorded" in duel else duel + "checks: [{contains: x}]\n"
    )
    with pytest.raises(DefinitionError, match=rf"(?s)duel\.yaml:\d+.*{says_what}"):
        run_duel(path)


def test_a_sealed_holdout_is_counted_once_for_a_run_and_what_goes_on_with_it(tmp_path: Path) -> None:
    duel = DUEL.replace("input: question}", "input: question, holdout: sealed.jsonl}") + JUDGE
    path = write(tmp_path, duel=duel, cases=4)
    sealed = [{"id": f"s{number}", "question": f"Where is parcel {number} of mine?"} for number in range(20)]
    (tmp_path / "sealed.jsonl").write_text("".join(json.dumps(case) + "\n" for case in sealed))
    environment = {"OPENAI_API_KEY": "k"}
    with provider(sensible) as server:
        for _ in range(2):
            with live_setup(path, environment=environment | {"OPENAI_BASE_URL": server.base_url}) as live:
                found = run_duel(path, live=live, open_holdout=True)
    assert (found.cases, found.holdout_openings) == (20, 1)
    assert found.gate is not None
    assert found.gate.status is GateStatus.PASS


def test_what_a_judges_hash_stands_for_is_kept_beside_the_run_and_in_the_registry(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + JUDGE, cases=2)
    with provider(sensible) as server:
        run(path, server)
    [measured] = {
        event.evaluator_hash
        for event in events_in(tmp_path / ".arena", "measurement")
        if isinstance(event, Measurement) and event.source == "judge"
    }
    [about] = tmp_path.glob(".arena/runs/*/run.json")
    written = json.loads(about.read_text())["judge"]
    with open_registry(registry_of(load_project(tmp_path))) as registry:
        kept = registry.judges.find(str(measured))
    assert kept == written["configuration"]
    assert content_hash(kept) == measured == written["hash"]
    assert "Which answer cites the policy?" in json.dumps(kept)


def test_a_registry_that_is_down_keeps_nobody_from_judging_and_is_told(tmp_path: Path) -> None:
    project = PROJECT + "registry: postgresql://nobody@127.0.0.1:1/none\n"
    path = write(tmp_path, duel=DUEL + JUDGE, cases=2, project=project)
    with provider(sensible) as server:
        found = run(path, server)
    assert found.judge is not None
    assert found.judge.verdicts == 4
    assert any("configuration is in the run's folder alone" in note for note in found.notes)
