"""Duel readouts for the reporting tests: gated, ranked, and one in which nothing was judged."""

from __future__ import annotations

from dataclasses import replace

from promptarena.definitions.duel_readout import (
    CheckDifference,
    CheckRate,
    CheckReadout,
    DuelReadout,
    Gate,
    GateCondition,
    GateStatus,
    JudgeReadout,
    PairReadout,
    RankedVariant,
    Ranking,
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
