"""Readouts for the reporting tests: rich, poor, with two treatments, stopped early, with hostile names."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from promptarena.definitions.readout import (
    Adaptive,
    AdaptiveArm,
    AdaptiveEpoch,
    Balance,
    Check,
    Comparison,
    DailyEffect,
    Interval,
    Look,
    LookPath,
    MetricReadout,
    Readout,
    SegmentEffect,
    Status,
    UnitCounts,
    Verdict,
)

HOSTILE: Final = "</script><img src=x onerror=alert(1)>"
_METHOD_RATE: Final = "difference of rates, normal interval with unpooled binomial variance"
_METHOD_MEAN: Final = "difference of unit means, Welch's t"


def comparison(
    control: float, variant: float, error: float, n: tuple[int, int], method: str, adjusted: float | None
) -> Comparison:
    """A consistent comparison from two values and the standard error of their difference."""
    difference = variant - control
    interval = (difference - 1.96 * error, difference + 1.96 * error)
    return Comparison(
        control_value=control,
        variant_value=variant,
        difference=difference,
        interval=interval,
        relative_difference=difference / abs(control),
        relative_interval=(interval[0] / abs(control), interval[1] / abs(control)),
        standard_error=error,
        p_value=math.erfc(abs(difference) / error / math.sqrt(2)),
        p_adjusted=adjusted,
        n_control=n[0],
        n_variant=n[1],
        method=method,
    )


def rate(control: float, variant: float, n: tuple[int, int], adjusted: float | None = None) -> Comparison:
    """A comparison of two rates."""
    error = math.sqrt(control * (1 - control) / n[0] + variant * (1 - variant) / n[1])
    return comparison(control, variant, error, n, _METHOD_RATE, adjusted)


def unknown(note: str, n: tuple[int, int] = (1, 3)) -> Comparison:
    """A comparison of which nothing is known."""
    return Comparison(
        control_value=None,
        variant_value=None,
        difference=None,
        interval=None,
        relative_difference=None,
        relative_interval=None,
        standard_error=None,
        p_value=None,
        p_adjusted=None,
        n_control=n[0],
        n_variant=n[1],
        method=_METHOD_MEAN,
        notes=(note,),
    )


def _daily(variant: str) -> tuple[DailyEffect, ...]:
    effects = []
    for day in range(14):
        wobble = math.sin(day * 1.7) * 0.035
        found = rate(0.603 + 0.02 * math.cos(day), 0.652 + 0.02 * math.cos(day) + wobble, (214, 215))
        effects.append(
            DailyEffect(
                day=f"2025-03-{day + 3:02d}",
                variant=variant,
                difference=found.difference,
                interval=found.interval,
                control_value=found.control_value,
                variant_value=found.variant_value,
                n_control=214,
                n_variant=215,
            )
        )
    return tuple(effects)


def _segment(name: str, value: str, found: Comparison, harm: float | None) -> SegmentEffect:
    return SegmentEffect(
        segment=name,
        value=value,
        variant="treatment",
        comparison=found,
        harm_p_value=harm,
        harm_p_adjusted=None if harm is None else min(1.0, harm * 1.1),
    )


_LOOKS: Final = (
    Look(
        fraction=0.25,
        day="2025-03-09",
        n=1502,
        z=1.31,
        critical_z=4.3326,
        alpha_spent=0.0000147,
        crossed=False,
    ),
    Look(
        fraction=0.5,
        day="2025-03-16",
        n=3004,
        z=2.77,
        critical_z=2.9631,
        alpha_spent=0.0030503,
        crossed=False,
    ),
    Look(fraction=0.75, day=None, n=0, z=None, critical_z=2.3590, alpha_spent=0.0192982, crossed=None),
    Look(fraction=1.0, day=None, n=0, z=None, critical_z=2.0141, alpha_spent=0.05, crossed=None),
)


def rich() -> Readout:
    """Everything there is: four looks (two taken), guardrails, a secondary, two segments, 14 days."""
    primary = rate(0.603, 0.6521, (2996, 3012), 0.00008)
    metrics = {
        "resolution": MetricReadout(
            name="resolution",
            kind="rate",
            role="primary",
            better="higher",
            comparisons={"treatment": primary},
            daily=_daily("treatment"),
            segments=(
                _segment("device", "desktop", rate(0.612, 0.668, (1400, 1411)), 0.9989),
                _segment("device", "phone", rate(0.595, 0.638, (1596, 1601)), 0.9936),
                _segment("tier", "free", rate(0.571, 0.631, (2101, 2110)), 0.9999),
                _segment("tier", "paid", rate(0.678, 0.701, (895, 902)), 0.8537),
            ),
        ),
        "latency_p95": MetricReadout(
            name="latency_p95",
            kind="mean",
            role="guardrail",
            better="lower",
            unit="ms",
            comparisons={"treatment": comparison(2410.0, 2536.0, 41.0, (2996, 3012), _METHOD_MEAN, 0.0063)},
            margin="300",
        ),
        "cost_per_resolved": MetricReadout(
            name="cost_per_resolved",
            kind="ratio",
            role="guardrail",
            better="lower",
            unit="USD",
            comparisons={
                "treatment": comparison(
                    0.01314, 0.01302, 0.00031, (2996, 3012), "delta method over units", 0.71
                )
            },
            margin="10%",
        ),
        "csat": MetricReadout(
            name="csat",
            kind="mean",
            role="secondary",
            better="higher",
            comparisons={"treatment": comparison(3.911, 3.978, 0.052, (812, 840), _METHOD_MEAN, 0.31)},
        ),
    }
    return Readout(
        experiment="support-cites-policy",
        source="event log",
        control="control",
        variants=("control", "treatment"),
        primary="resolution",
        alpha=0.05,
        preregistered=True,
        verdict=Verdict(
            status=Status.CONTINUE,
            reasons=(
                "resolution is up 4.9 points (60.3% to 65.2%), z 2.77 of the 2.96 that look 2 of 4 asks for.",
                "latency_p95 is within its margin of 300 ms: +126 ms, at worst +193 ms.",
                "The next look is at 75% of the information, about 2025-03-23.",
            ),
            variant="treatment",
            by_variant={"treatment": Status.CONTINUE},
            preregistered=True,
            checks=(
                Check(name="balance", passed=True, text="2,996 and 3,012 units: p 0.84 against 50% / 50%."),
                Check(name="harm", passed=True, text="no harm", metric="resolution", variant="treatment"),
                Check(
                    name="primary", passed=None, text="not crossed", metric="resolution", variant="treatment"
                ),
                Check(
                    name="guardrail",
                    passed=True,
                    text="+126 ms, at worst +193 ms, margin 300 ms.",
                    metric="latency_p95",
                    variant="treatment",
                    numbers={"z": 4.24},
                ),
                Check(
                    name="guardrail",
                    passed=None,
                    text="not yet shown to be within 10%.",
                    metric="cost_per_resolved",
                    variant="treatment",
                ),
            ),
        ),
        balance=Balance(
            status="ok",
            counts={"control": 2996, "treatment": 3012},
            expected={"control": 3004.0, "treatment": 3004.0},
            p_value=0.8365,
            threshold=0.001,
            segments={"device": 0.91, "tier": 0.44},
        ),
        units=UnitCounts(
            rows=9120,
            units=6008,
            repeated=1544,
            crossovers=3,
            crossovers_by_variant={"control": 1, "treatment": 2},
        ),
        metrics=metrics,
        paths=(LookPath(variant="treatment", looks=_LOOKS, interval_label="always-valid, between looks"),),
        days=14,
        adjustment="Benjamini-Hochberg over the secondary metrics",
        notes=("12 units arrived in the canary stage; they are reported apart.",),
    )


def poor() -> Readout:
    """A table without time, weights or enough units: almost nothing is known."""
    return Readout(
        experiment="outcomes.csv",
        source="outcomes.csv",
        control="A",
        variants=("A", "B"),
        primary="revenue",
        alpha=0.05,
        preregistered=False,
        verdict=Verdict(
            status=Status.CONTINUE,
            reasons=("A has 1 observed unit of revenue; 2 are needed.",),
            variant="B",
            preregistered=False,
        ),
        balance=Balance(
            status="unknown", counts={"A": 1, "B": 3}, expected=None, p_value=None, threshold=0.001
        ),
        units=UnitCounts(rows=4, units=4, repeated=0, crossovers=0),
        metrics={
            "revenue": MetricReadout(
                name="revenue",
                kind="mean",
                role="primary",
                better="higher",
                comparisons={"B": unknown("A has 1 observed unit; 2 are needed")},
            )
        },
        adjustment="none",
    )


def two_treatments() -> Readout:
    """Two treatments, one harmful; a relative interval with no upper side; an outlier far from the rest."""
    base = rich()
    harmful = rate(0.603, 0.548, (2996, 2871), 0.0002)
    resolution = base.metrics["resolution"]
    unbounded: Interval = (-0.4, None)
    odd = replace(comparison(0.8, 9.1, 6.0, (2996, 2871), _METHOD_MEAN, 0.5), relative_interval=unbounded)
    return replace(
        base,
        variants=("control", "treatment", "shorter"),
        verdict=Verdict(
            status=Status.HARMFUL,
            reasons=(
                "resolution of shorter is down 5.5 points, at least 1.2 with always-valid 99% evidence.",
            ),
            variant="shorter",
            by_variant={"treatment": Status.CONTINUE, "shorter": Status.HARMFUL},
            preregistered=True,
            checks=(Check(name="harm", passed=False, text="down", metric="resolution", variant="shorter"),),
        ),
        balance=replace(
            base.balance,
            counts={"control": 2996, "treatment": 3012, "shorter": 2871},
            expected={"control": 2959.67, "treatment": 2959.67, "shorter": 2959.66},
        ),
        metrics={
            **base.metrics,
            "resolution": replace(
                resolution,
                comparisons={**resolution.comparisons, "shorter": harmful},
                daily=(*_daily("treatment"), *_daily("shorter")),
            ),
            "escalations": MetricReadout(
                name="escalations",
                kind="mean",
                role="other",
                better="lower",
                comparisons={"treatment": unknown("no measurement yet"), "shorter": odd},
            ),
        },
        paths=(*base.paths, replace(base.paths[0], variant="shorter")),
    )


def stopped() -> Readout:
    """Shipped at the third look: the sequence has ended early."""
    base = rich()
    third = replace(_LOOKS[2], day="2025-03-23", n=4506, z=3.9, crossed=True)
    path = replace(
        base.paths[0],
        looks=(*_LOOKS[:2], third),
        interval_label="stage-wise ordered, after stopping",
        estimate=0.0481,
        interval=(0.0244, 0.0721),
    )
    checks = tuple(replace(check, passed=True) for check in base.verdict.checks)
    return replace(
        base,
        verdict=replace(
            base.verdict,
            status=Status.SHIP,
            reasons=(
                "resolution rose by 4.8 points: z 3.90 crosses 2.36 at look 3 of 4.",
                "All guardrails pass.",
            ),
            by_variant={"treatment": Status.SHIP},
            checks=checks,
        ),
        paths=(path,),
    )


def adapting() -> Readout:
    """A bandit in its third epoch; one variant has too few units for a value."""
    base = two_treatments()
    even = dict.fromkeys(base.variants, 1 / 3)
    moved = dict(zip(base.variants, (0.05, 0.9, 0.05), strict=True))
    return replace(
        base,
        paths=(),
        adaptive=Adaptive(
            rule="top-two",
            reward="resolution",
            epochs=(
                AdaptiveEpoch(epoch=0, weights=even, units=dict.fromkeys(base.variants, 400)),
                AdaptiveEpoch(
                    epoch=1, weights=moved, units=dict(zip(base.variants, (61, 1080, 59), strict=True))
                ),
                AdaptiveEpoch(epoch=2, weights=moved, units=dict.fromkeys(base.variants, 0)),
            ),
            arms={
                base.variants[0]: AdaptiveArm(value=0.603, interval=(0.571, 0.635), probability_best=0.04),
                base.variants[1]: AdaptiveArm(value=0.652, interval=(0.611, 0.693), probability_best=0.96),
                base.variants[2]: AdaptiveArm(
                    value=None,
                    interval=None,
                    probability_best=None,
                    note="an asymptotic sequence needs 100 units",
                ),
            },
        ),
    )


def hostile() -> Readout:
    """The rich one, with names that try to break out of whatever they are put into."""
    base = rich()
    resolution = replace(base.metrics["resolution"], name=HOSTILE)
    metrics = {HOSTILE: resolution} | {k: v for k, v in base.metrics.items() if k != "resolution"}
    return replace(
        base,
        experiment=HOSTILE,
        source="[bold]x[/bold] \x1b[31mred\x1b[0m <!-- & | `code` __init__",
        primary=HOSTILE,
        metrics=metrics,
        verdict=replace(base.verdict, reasons=(f"{HOSTILE} is up", "a|b\nc")),
    )


def with_status(readout: Readout, status: Status) -> Readout:
    """The same readout under another verdict."""
    verdict = replace(readout.verdict, status=status, by_variant={"treatment": status})
    return replace(readout, verdict=verdict)


def renamed(name: str) -> Readout:
    """The rich readout with another name for its primary, wherever the name stands."""
    base = rich()
    primary = replace(base.metrics["resolution"], name=name)
    metrics = {name: primary} | {k: v for k, v in base.metrics.items() if k != "resolution"}
    return replace(base, primary=name, metrics=metrics)
