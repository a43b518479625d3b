"""Whether the data may be believed at all: sample ratio, crossovers, and who was observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from promptarena.analysis import wording
from promptarena.analysis.arrivals import Arrivals, Counts
from promptarena.analysis.cube import Cell, Cube
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.definitions.readout import Balance, Check, UnitCounts
from promptarena.stats.anytime import anytime_p_value
from promptarena.stats.balance import (
    BALANCE_ALPHA,
    balance_threshold,
    independence_test,
    sample_ratio_log_e_value,
    sample_ratio_test,
)
from promptarena.stats.moments import Moments

__all__ = ["observed_checks", "sample_balance", "trust_checks"]

MOST_CROSSOVERS: Final = 0.005
"""The share of units in two variants beyond which a readout is invalid."""


def sample_balance(
    cube: Cube,
    plan: AnalysisPlan,
    arrivals: Arrivals | None = None,
    *,
    looks: int | None = None,
    at_look: Cube | None = None,
) -> Balance:
    """Count units by variant and segment, and test the counts against the allocation, within epochs.

    Data that is read once has S + 1 tests with S segment dimensions, and one more where it is known who was
    exposed. A trial with K looks is read between them too: the counts of now are held to the allocation by
    e-values, which hold at every readout together, and each look adds a chi-square of its counts and one a
    segment. Every test is held to its share of `BALANCE_ALPHA`.

    Args:
        cube: the units that are analysed.
        plan: its weights are those of every epoch that has none of its own.
        arrivals: the weights by epoch, where they are known.
        looks: how many are planned; `None` of data that is read once.
        at_look: the units at the latest look, if one was taken.
    """
    counts = dict.fromkeys(plan.variants or cube.variants, 0)
    counts |= {key[0]: cell.units for key, cell in cube.by().items()}
    once, always = 1 + len(cube.segments), 1 + (arrivals is not None)
    threshold = balance_threshold(once + always - 1 if looks is None else always + looks * once)
    watched = looks is not None
    tested = at_look if watched else cube
    segments = {name: _segment_p(tested, name) for name in cube.segments} if tested else {}
    expected, p_value = _against_allocation(_units(cube), list(counts), plan, arrivals, always_valid=watched)
    look_p = None
    if watched and at_look is not None:
        _, look_p = _against_allocation(_units(at_look), list(counts), plan, arrivals)
    failed = any(p is not None and p < threshold for p in (p_value, look_p, *segments.values()))
    return Balance(
        status="mismatch" if failed else "unknown" if expected is None else "ok",
        counts=counts,
        expected=expected,
        p_value=p_value,
        threshold=threshold,
        segments={name: p for name, p in segments.items() if p is not None},
        always_valid=watched,
        look_p_value=look_p,
    )


def trust_checks(
    units: UnitCounts, balance: Balance, cube: Cube, plan: AnalysisPlan, arrivals: Arrivals | None = None
) -> tuple[Check, ...]:
    """Checks that make a readout `invalid` when they fail."""
    checks = (_balance_check(balance), _crossover_check(units, balance, cube, arrivals))
    if arrivals is None:
        return checks
    return (*checks, _exposed_check(balance, plan, arrivals), *arrivals.checks)


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
    found = [p for p in (balance.p_value, balance.look_p_value) if p is not None]
    if found and min(found) < balance.threshold:
        p_text = wording.p_value(min(found))
        text = f"sample ratio mismatch: {counts} does not fit the allocation ({p_text})"
    elif skewed:
        name, p = min(skewed.items(), key=lambda item: item[1])
        text = (
            f"the variants differ in segment {name} ({wording.p_value(p)}): assignment was not random there"
        )
    elif balance.p_value is None and balance.expected is not None:
        text = f"balance: {counts} are too few to be held against the allocation"
    elif balance.p_value is None:
        text = f"balance is unknown: no allocation was given to hold {counts} against"
    else:
        valid = "always-valid " if balance.always_valid else ""
        text = f"balance: {counts} fits the allocation ({valid}{wording.p_value(balance.p_value)})"
    return Check(
        name="balance",
        passed={"ok": True, "mismatch": False}.get(balance.status),
        text=text,
        numbers={
            "p_value": balance.p_value,
            "look_p_value": balance.look_p_value,
            "threshold": balance.threshold,
        },
    )


def _exposed_check(balance: Balance, plan: AnalysisPlan, arrivals: Arrivals) -> Check:
    """The same of everybody who was exposed: what goes wrong now shows before its cohort has matured."""
    totals = dict.fromkeys(balance.counts, 0)
    for (variant, _), count in arrivals.exposed.items():
        totals[variant] = totals.get(variant, 0) + count
    _, p_value = _against_allocation(
        arrivals.exposed, list(totals), plan, arrivals, always_valid=balance.always_valid
    )
    # Too few to test is no reason to doubt those who are analysed.
    passed = p_value is None or p_value >= balance.threshold
    text = ", ".join(f"{variant} {count:,}" for variant, count in totals.items()) + " exposed until now"
    if p_value is not None:
        verb = "fit" if passed else "do not fit"
        text += f" {verb} the allocation ({wording.p_value(p_value)})"
    return Check(
        name="balance of the exposed",
        passed=passed,
        text=text,
        numbers={"p_value": p_value, "threshold": balance.threshold},
    )


def _crossover_check(units: UnitCounts, balance: Balance, cube: Cube, arrivals: Arrivals | None) -> Check:
    """Too many units in two variants, or more from one variant than from another."""
    share = units.crossovers / units.units if units.units else 0.0
    p_value = None if units.crossovers == 0 else _crossover_p(units, balance, cube, arrivals)
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


def _crossover_p(units: UnitCounts, balance: Balance, cube: Cube, arrivals: Arrivals | None) -> float | None:
    if arrivals is None:
        crossed = {variant: units.crossovers_by_variant.get(variant, 0) for variant in balance.counts}
        return independence_test([[crossed[v], count - crossed[v]] for v, count in balance.counts.items()])
    # Units of an early epoch had more time to cross, and other weights.
    cells, found = _by_epoch(cube), arrivals.crossed
    held = {key: (found.get(key, 0), cell.units - found.get(key, 0)) for key, cell in cells.items()}
    return _independent_within_epochs(held, list(balance.counts))


def _observed_check(plan: AnalysisPlan, cube: Cube, metric: Metric, treatment: str) -> Check | None:
    cells, pair = cube.by(), (plan.control, treatment)
    if any((variant,) not in cells or cells[variant,].units == 0 for variant in pair):
        return None
    held = [(cells[variant,].moments[metric.name], cells[variant,].units) for variant in pair]
    # Within epochs: their shares may differ, and so do the variants' shares of them.
    seen = {
        key: (cell.moments[metric.name].n, cell.units - cell.moments[metric.name].n)
        for key, cell in _by_epoch(cube).items()
    }
    p_value = _independent_within_epochs(seen, pair)
    if p_value is None:
        return None
    shares = [moments.n / units for moments, units in held]
    passed = p_value >= BALANCE_ALPHA
    text = (
        f"{metric.name} was observed for {shares[0]:.1%} of {plan.control} and {shares[1]:.1%} of {treatment}"
    )
    if not passed:
        text += f": absence depends on the variant ({wording.p_value(p_value)})"
        text += f"; {_worst_case_text(metric, held)}"
    return Check(
        name="observed share",
        passed=passed,
        metric=metric.name,
        variant=treatment,
        text=text,
        numbers={"control_share": shares[0], "variant_share": shares[1], "p_value": p_value},
    )


def _worst_case_text(metric: Metric, held: Sequence[tuple[Moments, int]]) -> str:
    """What the difference could be, whatever those had who were not observed.

    Only what was declared bounds them: the least and greatest values that were seen say nothing of those that
    were not.
    """
    if metric.audited_by is not None:
        return "what the others had is not known"
    bounds = (0.0, 1.0) if metric.kind is MetricKind.RATE else metric.bounds
    if bounds is None:
        return (
            "what the others had is not known: declare the metric's `range` to learn what the difference"
            " could be at most"
        )
    low, high = _worst_case(held, bounds)
    by = (
        ""
        if metric.kind is MetricKind.RATE
        else f", values being from {bounds[0]:g} to {bounds[1]:g} as declared"
    )
    return (
        f"the difference could be anything from {wording.difference(metric, low)}"
        f" to {wording.difference(metric, high)}{by}"
    )


def _worst_case(held: Sequence[tuple[Moments, int]], bounds: tuple[float, float]) -> tuple[float, float]:
    """The difference of means if all the unobserved are at one end under one variant, at the other under the
    other (Horowitz and Manski 2000, "Nonparametric analysis of randomized experiments with missing covariate
    and outcome data", JASA 95)."""
    (low_c, high_c), (low_t, high_t) = (
        tuple((moments.n * float(moments.mean[0]) + (units - moments.n) * end) / units for end in bounds)
        for moments, units in held
    )
    return low_t - high_c, high_t - low_c


def _segment_p(cube: Cube, name: str) -> float | None:
    dimensions = ["epoch", name] if "epoch" in cube.dimensions else [name]
    counts = {key: cell.units for key, cell in cube.by(*dimensions).items()}
    epochs, values = sorted({key[1:-1] for key in counts}), cube.segments[name]
    if not epochs:
        return None
    return independence_test(
        [
            [[counts.get((variant, *epoch, value), 0) for value in values] for variant in cube.variants]
            for epoch in epochs
        ]
    )


def _by_epoch(cube: Cube) -> dict[tuple[str, str], Cell]:
    """Cells by variant and epoch; one epoch without a name where the cube has none."""
    if "epoch" in cube.dimensions:
        return {(variant, epoch): cell for (variant, epoch), cell in cube.by("epoch").items()}
    return {(variant, ""): cell for (variant,), cell in cube.by().items()}


def _units(cube: Cube) -> Counts:
    return {key: cell.units for key, cell in _by_epoch(cube).items()}


def _against_allocation(
    units: Counts,
    variants: Sequence[str],
    plan: AnalysisPlan,
    arrivals: Arrivals | None,
    *,
    always_valid: bool = False,
) -> tuple[dict[str, float] | None, float | None]:
    """How many units the allocation promised, and the p-value of the units against it."""
    epochs = sorted({epoch for _, epoch in units})
    known = {epoch: (arrivals and arrivals.weights.get(epoch)) or plan.weights for epoch in epochs}
    if not epochs:
        return (None if plan.weights is None else dict.fromkeys(variants, 0.0)), None
    weights = [[share.get(v, 0.0) for v in variants] for share in known.values() if share is not None]
    if len(weights) < len(epochs):
        return None, None
    counts = [[units.get((variant, epoch), 0) for variant in variants] for epoch in epochs]
    promised = [
        [weight / sum(shares) * sum(row) for weight in shares]
        for shares, row in zip(weights, counts, strict=True)
    ]
    expected = {v: sum(row[at] for row in promised) for at, v in enumerate(variants)}
    if always_valid:
        return expected, anytime_p_value(sample_ratio_log_e_value(counts, weights))
    return expected, sample_ratio_test(counts, weights)


def _independent_within_epochs(
    held: Mapping[tuple[str, str], tuple[int, int]], variants: Sequence[str]
) -> float | None:
    """p-value that two kinds of units, counted by (variant, epoch), are spread alike over the variants."""
    epochs = sorted({epoch for _, epoch in held})
    if not epochs:
        return None
    return independence_test(
        [[held.get((variant, epoch), (0, 0)) for variant in variants] for epoch in epochs]
    )
