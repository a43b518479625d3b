"""A judge's calibration: agreement against the policy, bias by variant, and what labels and judge say together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.calibration.files import SCORES, VERDICTS, write

from promptarena.definitions.calibration_readout import AuditedTask, CalibrationReadout
from promptarena.errors import DataError, NotEnoughDataError, UsageError
from promptarena.evaluation.calibration.calibrate import calibrate
from promptarena.evaluation.calibration.policy import Policy
from promptarena.stats.agreement import fleiss_kappa, krippendorff_alpha


def scores(
    folder: Path,
    judge: list[tuple[str, str, str, object]],
    people: list[tuple[object, ...]],
    **policy: object,
) -> CalibrationReadout:
    said = write(folder / "judge.csv", SCORES, judge)
    columns = (*SCORES, "rater") if people and len(people[0]) == 5 else SCORES
    labels = write(folder / "labels.csv", columns, people)
    return calibrate("support", said, labels, Policy(**policy))  # type: ignore[arg-type]


def only(found: CalibrationReadout) -> AuditedTask:
    [task] = found.tasks
    return task


def test_the_worked_audit_of_eight_labels_is_told_to_recalibrate(tmp_path: Path) -> None:
    judge: list[tuple[str, str, str, object]] = [(str(case), "treatment", "resolved", 1) for case in range(8)]
    people: list[tuple[object, ...]] = [
        (str(case), "treatment", "resolved", int(case < 6)) for case in range(8)
    ]
    task = only(scores(tmp_path, judge, people, threshold=0.8))
    assert task.trust == "recalibrate"
    assert task.agreement.value == 0.75
    assert task.agreement.interval == pytest.approx((0.41, 0.93), abs=0.005)
    assert "6 of 8" in task.reasons[0]
    assert "no number of labels shows 80%" in task.reasons[1]


def test_a_judge_that_agrees_often_enough_is_enabled_and_one_label_short_is_not(tmp_path: Path) -> None:
    def of(n: int) -> AuditedTask:
        judge: list[tuple[str, str, str, object]] = [(str(i), "control", "accuracy", 4) for i in range(n)]
        return only(scores(tmp_path, judge, [(str(i), "control", "accuracy", 4) for i in range(n)]))

    assert of(16).trust == "enable"
    short = of(15)
    assert short.trust == "recalibrate"
    assert "about 16 labels" in short.reasons[1]


def test_a_judge_kinder_to_one_variant_is_not_enabled_however_often_it_agrees(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    judge: list[tuple[str, str, str, object]] = []
    people: list[tuple[object, ...]] = []
    for case in range(120):
        for variant in ("control", "treatment"):
            level = int(rng.integers(1, 5))
            kinder = int(variant == "treatment" and rng.random() < 0.12)
            judge.append((str(case), variant, "accuracy", level + kinder))
            people.append((str(case), variant, "accuracy", level))
    task = only(scores(tmp_path, judge, people, threshold=0.8))
    low, _ = task.agreement.interval or (None, None)
    assert low is not None
    assert low > 0.8
    assert task.trust == "recalibrate"
    assert "favours" in task.reasons[0]
    assert {each.variant: round(each.value, 2) for each in task.bias}["control"] == 0


def test_labels_on_some_and_scores_on_all_make_one_estimate(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    judge: list[tuple[str, str, str, object]] = []
    people: list[tuple[object, ...]] = []
    for case in range(600):
        for variant, mean in (("control", 3.0), ("treatment", 3.4)):
            truth = float(rng.normal(mean, 1))
            judge.append((str(case), variant, "accuracy", truth + 0.5 + float(rng.normal(0, 0.3))))
            if case < 100:
                people.append((str(case), variant, "accuracy", truth))
    task = only(scores(tmp_path, judge, people, control="control", within=1.0))
    by = {(each.variant, each.against): each for each in task.powered}
    for variant, truth in (("control", 3.0), ("treatment", 3.4)):
        estimate = by[variant, None]
        assert estimate.interval[0] < truth < estimate.interval[1]
        assert np.diff(estimate.interval)[0] < 0.6 * np.diff(estimate.labels_only_interval)[0]
        assert (estimate.labelled, estimate.judged) == (100, 500)
    difference = by["treatment", "control"]
    assert difference.interval[0] < 0.4 < difference.interval[1]


@pytest.mark.parametrize("named", [True, False])
def test_several_raters_are_one_mean_and_their_own_agreement_is_shown(tmp_path: Path, named: bool) -> None:
    judge: list[tuple[str, str, str, object]] = [(str(i), "control", "tone", i % 5 + 1) for i in range(40)]
    people: list[tuple[object, ...]] = []
    for i in range(40):
        people += [
            (str(i), "control", "tone", i % 5 + 1, "ana"),
            (str(i), "control", "tone", min(i % 5 + 1 + (i % 10 == 0), 5), "ben"),
        ]
    task = only(scores(tmp_path, judge, people if named else [rating[:4] for rating in people]))
    assert task.raters == (("ana", "ben") if named else ())
    assert task.agreement.value == 1.0
    people_measure = {measure.name: measure for measure in task.others}
    assert people_measure["people"].value == pytest.approx(0.9)
    assert (people_measure["alpha"].value or 0) > 0.9


@pytest.mark.parametrize("all_vote", [True, False])
def test_people_who_vote_agree_beyond_chance_by_fleiss_or_where_votes_are_missing_by_krippendorff(
    tmp_path: Path, all_vote: bool
) -> None:
    rng = np.random.default_rng(4)
    better = rng.random(60) < 0.5
    judge = write(
        tmp_path / "judge.csv",
        VERDICTS,
        [(str(i), "control", "treatment", "control" if better[i] else "treatment") for i in range(60)],
    )
    votes = [
        (str(i), "control", "treatment", "control" if better[i] ^ (rng.random() < 0.2) else "treatment", name)
        for i in range(60)
        for name in ("ana", "ben", "cleo")
        if all_vote or i % 3 or name != "cleo"
    ]
    labels = write(tmp_path / "labels.csv", (*VERDICTS, "rater"), votes)
    others = {measure.name: measure for measure in only(calibrate("vote", judge, labels, Policy())).others}
    found = others["people kappa" if all_vote else "people alpha"]
    said = [
        [0.0 if vote[3] == "treatment" else 1.0 for vote in votes if vote[0] == str(i)] for i in range(60)
    ]
    if all_vote:
        direct = fleiss_kappa([[votes.count(1.0), votes.count(0.0)] for votes in said])
    else:
        direct = krippendorff_alpha([[*votes, np.nan][:3] for votes in said])
    assert found.value == pytest.approx(direct.value)
    assert found.interval == pytest.approx((direct.low, direct.high))
    assert "beyond chance" in found.text


def test_verdicts_of_a_judge_that_always_says_first_agree_with_nobody(tmp_path: Path) -> None:
    judge = write(
        tmp_path / "judge.csv",
        VERDICTS,
        [
            (str(i), *order, "first")
            for i in range(30)
            for order in (("control", "treatment"), ("treatment", "control"))
        ],
    )
    labels = write(
        tmp_path / "labels.jsonl.csv",
        VERDICTS,
        [(str(i), "control", "treatment", "treatment") for i in range(30)],
    )
    found = calibrate("lazy", judge, labels, Policy())
    task = only(found)
    assert task.agreement.value is None
    assert (found.trust, task.swaps.both.value if task.swaps else None) == ("recalibrate", 0)
    assert "nothing that people labelled" in task.reasons[0]


def test_what_only_one_of_them_rated_is_noted_and_nothing_in_common_is_an_error(tmp_path: Path) -> None:
    judge: list[tuple[str, str, str, object]] = [("1", "control", "tone", 3), ("1", "control", "length", 3)]
    found = scores(tmp_path, judge, [("1", "control", "tone", 3), ("2", "control", "tone", 3)])
    assert only(found).unjudged == 1
    assert "`length`" in found.notes[0]
    with pytest.raises(NotEnoughDataError, match="nothing in common"):
        scores(tmp_path, judge, [("1", "control", "grammar", 3)])


def test_a_control_that_is_no_variant_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no variant 'controll'.*Did you mean `control`"):
        scores(tmp_path, [("1", "control", "tone", 3)], [("1", "control", "tone", 3)], control="controll")


@pytest.mark.parametrize(
    ("columns", "row", "said"),
    [
        (
            SCORES,
            ("1", "control", "tone", "good"),
            r"labels\.csv:2 \(score\): The score 'good' is not a number",
        ),
        (("id", "variant"), ("1", "control"), r"labels\.csv:2: The record has no `score`"),
        (VERDICTS, ("1", "a", "a", "tie"), "'a' is compared with itself"),
        (VERDICTS, ("1", "x", "y", "both"), "The verdict 'both' is none of"),
        ((*SCORES, "probability"), ("1", "control", "tone", 3, 1.5), "not above 0 and at most 1"),
        (SCORES, ("1", "control", "tone", ""), "no score and no verdict"),
    ],
)
def test_labels_that_cannot_be_read_are_told_with_their_line(
    tmp_path: Path, columns: tuple[str, ...], row: tuple[object, ...], said: str
) -> None:
    judge = write(tmp_path / "judge.csv", SCORES, [("1", "control", "tone", 3)])
    labels = write(tmp_path / "labels.csv", columns, [row])
    with pytest.raises(DataError, match=said):
        calibrate("support", judge, labels, Policy())


def test_a_rater_who_rates_twice_is_asked_which_counts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'ana' rates the same thing twice; the first time on line 2"):
        scores(
            tmp_path,
            [("1", "control", "tone", 3)],
            [("1", "control", "tone", 3, "ana"), ("1", "control", "tone", 4, "ana")],
        )
