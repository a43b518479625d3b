"""Judges whose agreement with people is published come out with their published figures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.evaluation.calibration.files import VERDICTS, write

from promptarena.evaluation.calibration.calibrate import calibrate
from promptarena.evaluation.calibration.policy import Policy

WORD = {"1": "first", "2": "second", "3": "tie"}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_gpt4_on_prd_agrees_with_most_people_in_392_of_457_and_favours_itself(
    shared_data: Path, tmp_path: Path
) -> None:
    rows = rows_of(shared_data / "judge_prd" / "ratings.csv")
    judge, people = (
        write(
            tmp_path / f"{name}.csv",
            VERDICTS,
            (
                (row["q"], row["a"], row["b"], WORD[row["score"]])
                for row in rows
                if (row["judge"] == "gpt4") == (name == "judge")
            ),
        )
        for name in ("judge", "people")
    )
    found = calibrate("gpt4", judge, people, Policy())
    [task] = found.tasks
    assert (task.agreement.items, round(task.agreement.value or 0, 4)) == (457, 0.8578)
    bias = {each.variant: each for each in task.bias}
    assert max(bias.values(), key=lambda each: each.value).variant == "gpt4"
    assert bias["gpt4"].interval is not None
    assert (bias["gpt4"].interval[0] or 0) > 0
    assert found.trust == "recalibrate"
    assert task.bias_p_value == pytest.approx(2.5e-6, rel=0.05)
    assert "bias" in task.reasons[0]


def test_gpt4_on_llmbar_is_right_in_955_of_1000_and_in_both_orders_in_93_of_100(
    shared_data: Path, tmp_path: Path
) -> None:
    rows = [
        row
        for row in rows_of(shared_data / "judge_llmbar" / "judgments_both_orders.csv")
        if (row["judge"], row["strategy"]) == ("GPT-4", "Vanilla")
    ]
    # Both columns name the winner by its place in the dataset; a file of ours names it by its place on the screen.
    swapped = {"1": "second", "2": "first"}
    judge = write(
        tmp_path / "judge.csv",
        VERDICTS,
        [(row["i"], "output-1", "output-2", WORD[row["w_noswap"]]) for row in rows]
        + [(row["i"], "output-2", "output-1", swapped[row["w_swap"]]) for row in rows],
    )
    gold = write(
        tmp_path / "gold.csv",
        VERDICTS,
        [(row["i"], "output-1", "output-2", WORD[row["label"]]) for row in rows],
    )
    found = calibrate("gpt4-vanilla", judge, gold, Policy(threshold=0.9))
    [task] = found.tasks
    assert task.swaps is not None
    assert task.swaps.verdicts.value == pytest.approx(0.955)
    assert task.swaps.both.value == pytest.approx(0.93)
    assert task.swaps.kappa.value == pytest.approx(0.8977, abs=5e-5)
    assert found.trust == "enable"
