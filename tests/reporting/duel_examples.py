"""Duel readouts for the reporting tests: gated, ranked, and one in which nothing was judged."""

from __future__ import annotations

from dataclasses import replace

from promptarena.definitions.duel_readout import (
    AxisDifference,
    AxisMean,
    AxisReadout,
    CaseFinding,
    CheckDifference,
    CheckRate,
    CheckReadout,
    DuelPlan,
    DuelReadout,
    EarlyStopReadout,
    EvidencePath,
    Gate,
    GateCondition,
    GateStatus,
    JudgeReadout,
    LengthEffect,
    MinimumEffect,
    PairReadout,
    RankedVariant,
    Ranking,
    SegmentEffect,
)

PAIR = PairReadout(
    variant="treatment",
    against="control",
    win_rate=0.7625,
    interval=(0.693, 0.82),
    wins=45,
    losses=3,
    ties=32,
    conflicts=22,
    unscored=1,
    first_position_rate=0.603,
    first_position_interval=(0.551, 0.653),
    conflict_rate=0.275,
    conflict_interval=(0.189, 0.381),
    both_orders=80,
    consistent=58,
    first_both=8,
    second_both=0,
    missing=0,
)


def gated() -> DuelReadout:
    """Two variants, a gate that failed on a check."""
    conditions = (
        GateCondition(
            name="win_rate",
            variant="treatment",
            status=GateStatus.PASS,
            text="treatment wins 76.2% of 80 cases, surely more than the 50.0% asked.",
            value=0.7625,
            low=0.691,
            high=0.824,
            threshold=0.5,
        ),
        GateCondition(
            name="check: length",
            variant="treatment",
            status=GateStatus.FAIL,
            text="length: treatment differs by -33.8 points, which rules out a difference above -10 points.",
            value=-0.338,
            low=-0.473,
            high=-0.191,
            threshold=-0.1,
        ),
    )
    return DuelReadout(
        duel="refund answers",
        cases=80,
        variants=("control", "treatment"),
        control="control",
        conflict_rule="tie",
        confidence=0.95,
        pairs=(PAIR,),
        judge=JudgeReadout(
            verdicts=160,
            unscored=1,
            repeated=0,
            both_orders=80,
            consistent=58,
            conflicts=22,
            first_both=8,
            second_both=0,
            conflict_rate=0.275,
            conflict_interval=(0.189, 0.381),
            first_position_rate=0.603,
            first_position_interval=(0.551, 0.653),
        ),
        ranking=None,
        checks=(
            CheckReadout(
                name="length",
                rates={
                    "control": CheckRate(
                        passed=72, failed=8, missing=0, pass_rate=0.9, interval=(0.815, 0.948)
                    ),
                    "treatment": CheckRate(
                        passed=45, failed=35, missing=0, pass_rate=0.5625, interval=(0.453, 0.666)
                    ),
                },
                differences={
                    "treatment": CheckDifference(
                        difference=-0.3375, interval=(-0.47, -0.2), cases=80, only_variant=1, only_control=28
                    )
                },
            ),
        ),
        gate=Gate(
            status=GateStatus.FAIL,
            reasons=(conditions[1].text, conditions[0].text),
            alpha=0.025,
            conditions=conditions,
        ),
    )


def ranked() -> DuelReadout:
    """Three variants without a control or a gate."""
    ranks = (("best", 1180.2, 0.71), ("middle", 1010.6, 0.52), ("last", 809.2, 0.27))
    pairs = tuple(
        replace(PAIR, variant=variant, against=against)
        for variant, against in (("best", "middle"), ("best", "last"), ("middle", "last"))
    )
    return replace(
        gated(),
        variants=("middle", "best", "last"),
        control=None,
        pairs=pairs,
        ranking=Ranking(
            variants=tuple(
                RankedVariant(
                    variant=name,
                    rating=rating,
                    interval=(rating - 45, rating + 45),
                    average_win_rate=average,
                    elo=1000 + (rating - 1000) / 4,
                    comparisons=320,
                )
                for name, rating, average in ranks
            ),
            method="Bradley-Terry on every verdict",
        ),
        checks=(),
        gate=None,
    )


def unjudged() -> DuelReadout:
    """No verdicts at all, and a gate that can conclude nothing."""
    return replace(
        gated(),
        pairs=(),
        judge=None,
        gate=Gate(status=GateStatus.INVALID, reasons=("no case has an outcome.",), alpha=0.025),
    )


def scored() -> DuelReadout:
    """Everything that a duel may find besides who won: axes, length, segments, its path, its worst cases."""
    duel = gated()
    assert duel.gate is not None
    assert duel.judge is not None
    path = EvidencePath(
        name="win_rate",
        variant="treatment",
        cases=(1, 20, 40),
        evidence_for=(0.02, 0.6, 1.04),
        evidence_against=(-0.03, -1.2, None),
    )
    length = LengthEffect(
        mean_difference=468.2,
        longer_wins=0.9375,
        longer_interval=(0.832, 0.979),
        effect=1.9,
        effect_interval=(1.1, 2.7),
        p_value=0.00001,
        controlled=0.638,
        controlled_interval=(0.549, 0.719),
    )
    unknown = AxisDifference(
        difference=1.0,
        interval=None,
        p_value=None,
        cases=80,
        better=80,
        worse=0,
        missing=0,
        between_variance=None,
        repeat_variance=None,
        note="all cases agree exactly, so their spread is not known",
    )
    known = replace(
        unknown,
        difference=-0.21,
        interval=(-0.4, -0.02),
        p_value=0.03,
        better=10,
        worse=25,
        missing=2,
        between_variance=0.49,
        repeat_variance=0.09,
        note=None,
    )
    means = {
        "control": AxisMean(mean=3.4, interval=(3.2, 3.6), cases=80, unscored=0),
        "treatment": AxisMean(mean=3.19, interval=(3.0, 3.4), cases=78, unscored=2),
    }
    segment = SegmentEffect(
        dimension="tier",
        value="free",
        variant="treatment",
        measure="win_rate",
        cases=40,
        effect=0.81,
        interval=(0.68, 0.9),
        p_value=0.0002,
        p_adjusted=0.0004,
    )
    return replace(
        duel,
        pairs=(replace(PAIR, length=length),),
        judge=replace(duel.judge, asked_again=40, noise_rate=0.1, noise_interval=(0.04, 0.23)),
        gate=replace(duel.gate, early_stop=EarlyStopReadout(cases=80, taken=40, stopped=True, paths=(path,))),
        axes=(
            AxisReadout(name="accuracy", low=1, high=5, means=means, differences={"treatment": known}),
            AxisReadout(name="tone", low=1, high=5, means=means, differences={"treatment": unknown}),
        ),
        clusters=35,
        weighted=True,
        holdout_openings=2,
        segments=(
            segment,
            replace(segment, measure="axis: accuracy", effect=-0.5, interval=(-0.9, -0.1), p_adjusted=0.06),
            replace(segment, value="paid", cases=7, p_value=None, p_adjusted=None),
        ),
        worst=(
            CaseFinding(
                case="q7",
                variant="treatment",
                badness=0.9,
                outcome=0.0,
                axes={"accuracy": -3.0, "tone": 0.0},
                lost_checks=("length",),
            ),
            CaseFinding(
                case="q9", variant="treatment", badness=0.2, outcome=None, axes={"tone": -1.0}, lost_checks=()
            ),
        ),
        plan=plan(),
    )


def plan() -> DuelPlan:
    """What the cases could show: one thing in each unit, one of them out of reach."""
    effect = MinimumEffect(
        name="win_rate", threshold=0.5, detectable=0.652, unit="share", deviation=0.5, from_pilot=False
    )
    return DuelPlan(
        duel="refund answers",
        cases=80,
        independent=35.2,
        alpha=0.025,
        power=0.8,
        effects=(
            effect,
            replace(effect, name="check: length", threshold=-0.1, detectable=0.21, unit="points"),
            replace(
                effect, name="axis: accuracy", threshold=-0.5, detectable=0.3, unit="levels", from_pilot=True
            ),
            replace(effect, name="axis: tone", threshold=4.9, detectable=None, unit="level"),
        ),
        early_stop=True,
        notes=("80 cases that share clusters or count unequally are worth at least 35 independent ones",),
    )
