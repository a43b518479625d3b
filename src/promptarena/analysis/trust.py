"""Whether the data may be believed at all: sample ratio, crossovers, and who was observed."""

from __future__ import annotations

from typing import Final

from promptarena.analysis import wording
from promptarena.analysis.cube import Cube
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.definitions.readout import Balance, Check, UnitCounts
from promptarena.stats.balance import (
    BALANCE_ALPHA,
    balance_threshold,
    independence_test,
    sample_ratio_test,
)
from promptarena.stats.moments import Moments

__all__ = ["observed_checks", "sample_balance", "trust_checks"]

MOST_CROSSOVERS: Final = 0.005
"""The share of units in two variants beyond which a readout is invalid."""


def sample_balance(cube: Cube, plan: AnalysisPlan) -> Balance:
    """Count units by variant and segment, and test the counts against the allocation.

    With S segment dimensions there are S + 1 tests; each is held to its share of `BALANCE_ALPHA`.
    """
    variants = plan.variants or cube.variants
    counts = dict.fromkeys(variants, 0) | {key[0]: cell.units for key, cell in cube.by().items()}
    threshold = balance_threshold(1 + len(cube.segments))
    segments = {name: _segment_p(cube, name) for name in cube.segments}
    expected, p_value = None, None
    if plan.weights is not None:
        weights = [plan.weights.get(variant, 0.0) for variant in counts]
        total = sum(counts.values())
        expected = {variant: weight * total for variant, weight in zip(counts, weights, strict=True)}
        p_value = sample_ratio_test(_by_epoch(cube, list(counts)), weights)
    failed = any(p is not None and p < threshold for p in (p_value, *segments.values()))
    return Balance(
        status="mismatch" if failed else "unknown" if plan.weights is None else "ok",
        counts=counts,
        expected=expected,
        p_value=p_value,
        threshold=threshold,
        segments={name: p for name, p in segments.items() if p is not None},
    )


def trust_checks(units: UnitCounts, balance: Balance) -> tuple[Check, ...]:
    """Checks that make a readout `invalid` when they fail."""
    return (_balance_check(balance), _crossover_check(units, balance))


def observed_checks(plan: AnalysisPlan, cube: Cube, treatment: str) -> list[Check]:
    """Whether absence is the same in both variants, for the metrics that a verdict rests on.

    A mean over those who were observed compares like with like only if being observed does not depend on the
    variant. Where the shares differ (p < `BALANCE_ALPHA`) the metric bars from `ship`.
    """
    names = dict.fromkeys([plan.primary.metric, *(guardrail.metric for guardrail in plan.guardrails)])
    return [
        check
        for name in names
        if (metric := plan.metric(name)).absent is Absence.MISSING
        and (check := _observed_check(plan, cube, metric, treatment)) is not None
    ]


def _balance_check(balance: Balance) -> Check:
    counts = ", ".join(f"{variant} {count:,}" for variant, count in balance.counts.items())
    skewed = {name: p for name, p in balance.segments.items() if p < balance.threshold}
    if balance.p_value is not None and balance.p_value < balance.threshold:
        p_text = wording.p_value(balance.p_value)
        text = f"sample ratio mismatch: {counts} does not fit the allocation ({p_text})"
    elif skewed:
        name, p = min(skewed.items(), key=lambda item: item[1])
        text = (
            f"the variants differ in segment {name} ({wording.p_value(p)}): assignment was not random there"
        )
    elif balance.p_value is None:
        text = f"balance is unknown: no allocation was given to hold {counts} against"
    else:
        text = f"balance: {counts} fits the allocation ({wording.p_value(balance.p_value)})"
    return Check(
        name="balance",
        passed={"ok": True, "mismatch": False}.get(balance.status),
        text=text,
        numbers={"p_value": balance.p_value, "threshold": balance.threshold},
    )


def _crossover_check(units: UnitCounts, balance: Balance) -> Check:
    """Too many units in two variants, or more from one variant than from another."""
    share = units.crossovers / units.units if units.units else 0.0
    p_value = _crossover_p(units, balance)
    passed = share <= MOST_CROSSOVERS and (p_value is None or p_value >= BALANCE_ALPHA)
    text = f"{units.crossovers:,} units were seen in two variants ({share:.2%})"
    if share > MOST_CROSSOVERS:
        text += f"; more than {MOST_CROSSOVERS:.1%} cannot be explained by chance or clean data"
    elif not passed and p_value is not None:
        text += f", unequally by variant ({wording.p_value(p_value)})"
    return Check(
        name="crossovers",
        passed=passed,
        text=text,
        numbers={"share": share, "limit": MOST_CROSSOVERS, "p_value": p_value},
    )


def _crossover_p(units: UnitCounts, balance: Balance) -> float | None:
    if units.crossovers == 0:
        return None
    crossed = {variant: units.crossovers_by_variant.get(variant, 0) for variant in balance.counts}
    return independence_test([[crossed[v], count - crossed[v]] for v, count in balance.counts.items()])


def _observed_check(plan: AnalysisPlan, cube: Cube, metric: Metric, treatment: str) -> Check | None:
    cells = cube.by()
    pair = [cells.get((variant,)) for variant in (plan.control, treatment)]
    if any(cell is None or cell.units == 0 for cell in pair):
        return None
    held = [(cell.moments[metric.name], cell.units) for cell in pair if cell is not None]
    p_value = independence_test([[moments.n, units - moments.n] for moments, units in held])
    if p_value is None:
        return None
    shares = [moments.n / units for moments, units in held]
    passed = p_value >= BALANCE_ALPHA
    text = (
        f"{metric.name} was observed for {shares[0]:.1%} of {plan.control} and {shares[1]:.1%} of {treatment}"
    )
    if not passed:
        text += f": absence depends on the variant ({wording.p_value(p_value)})"
        if metric.kind is MetricKind.RATE:
            low, high = _worst_case([float(moments.mean[0]) * moments.n for moments, _ in held], held)
            text += (
                f"; the difference could be anything from {wording.difference(metric, low)}"
                f" to {wording.difference(metric, high)}"
            )
    return Check(
        name="observed share",
        passed=passed,
        metric=metric.name,
        variant=treatment,
        text=text,
        numbers={"control_share": shares[0], "variant_share": shares[1], "p_value": p_value},
    )


def _worst_case(successes: list[float], held: list[tuple[Moments, int]]) -> tuple[float, float]:
    """The difference of rates if all the unobserved failed under one variant and not under the other."""
    (low_c, high_c), (low_t, high_t) = (
        (hits / units, (hits + units - moments.n) / units)
        for hits, (moments, units) in zip(successes, held, strict=True)
    )
    return low_t - high_c, high_t - low_c


def _segment_p(cube: Cube, name: str) -> float | None:
    """Within epochs: a ramp while the mix of segments drifts is not a fault of the assignment."""
    epoch = _epoch_dimension(cube)
    cells = cube.by(*epoch, name)
    epochs = sorted({key[1:-1] for key in cells})
    return independence_test(
        [
            [
                [
                    cells[variant, *each, value].units if (variant, *each, value) in cells else 0
                    for value in cube.segments[name]
                ]
                for variant in cube.variants
            ]
            for each in epochs
        ]
    )


def _by_epoch(cube: Cube, variants: list[str]) -> list[list[int]]:
    cells = cube.by(*_epoch_dimension(cube))
    epochs = sorted({key[1:] for key in cells})
    return [
        [cells[variant, *epoch].units if (variant, *epoch) in cells else 0 for variant in variants]
        for epoch in epochs
    ]


def _epoch_dimension(cube: Cube) -> tuple[str, ...]:
    return ("epoch",) if "epoch" in cube.dimensions else ()
