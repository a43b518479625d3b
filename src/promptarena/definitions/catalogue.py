"""The built-in metrics, with their direction and what absence means, and the generation fields they read."""

from __future__ import annotations

from typing import Final, NamedTuple

from promptarena.definitions.metric import Better, FactSource, Metric, MetricKind

__all__ = ["BUILT_IN", "GENERATION_FIELDS", "BuiltIn", "GenerationField", "source_of"]


class GenerationField(NamedTuple):
    """A number that every model call has, read without anybody measuring it."""

    better: Better
    unit: str | None
    says: str


class BuiltIn(NamedTuple):
    """A metric that every project has. Its window is the default of the experiment's unit."""

    metric: Metric
    says: str


_LOWER = Better.LOWER

GENERATION_FIELDS: Final[dict[str, GenerationField]] = {
    # These four are derived from a generation's fields; the rest stand in it under the same name.
    "requests": GenerationField(_LOWER, None, "1 for every model call"),
    "error": GenerationField(_LOWER, None, "1 if the call failed"),
    "blocked": GenerationField(_LOWER, None, "1 if a guardrail blocked the answer (`blocked_by`)"),
    "retried": GenerationField(_LOWER, None, "1 if there was an attempt after the first (`retry_count`)"),
    "latency_ms": GenerationField(_LOWER, "ms", "from request to the last byte"),
    "ttft_ms": GenerationField(_LOWER, "ms", "from request to the first content token"),
    "tpot_ms": GenerationField(_LOWER, "ms", "(last - first token) / (tokens - 1)"),
    "itl_p95_ms": GenerationField(_LOWER, "ms", "95th percentile of the gaps between content chunks"),
    "cost_usd": GenerationField(_LOWER, "USD", "price of the call"),
    "input_tokens": GenerationField(_LOWER, "tokens", "tokens sent"),
    "output_tokens": GenerationField(_LOWER, "tokens", "tokens received"),
    "cached_tokens": GenerationField(Better.HIGHER, "tokens", "input tokens that the provider had cached"),
    "reasoning_tokens": GenerationField(_LOWER, "tokens", "output tokens that the user does not see"),
    "retry_count": GenerationField(_LOWER, None, "attempts after the first"),
}
"""What a metric may name as well as measurements."""


def source_of(fact: str) -> FactSource:
    """Where a fact is read: a generation's own field, or a measurement of that name."""
    return "generation" if fact in GENERATION_FIELDS else "measurement"


def _metric(
    name: str,
    kind: MetricKind,
    of: str,
    *,
    over: str | None = None,
    q: float | None = None,
    better: Better | None = None,
    unit: str | None = None,
) -> Metric:
    field = GENERATION_FIELDS.get(of)
    return Metric(
        name=name,
        kind=kind,
        of=of,
        over=over,
        q=q,
        better=better or (field.better if field else Better.HIGHER),
        absent=kind.default_absence,
        unit=unit or (field.unit if field and over is None else None),
        source=source_of(of),
        over_source=source_of(over) if over else None,
    )


def _catalogue() -> dict[str, BuiltIn]:
    entries: list[BuiltIn] = []
    for name, of, what in (
        ("latency", "latency_ms", "latency"),
        ("ttft", "ttft_ms", "time to the first token"),
        ("tpot", "tpot_ms", "time per output token"),
    ):
        for percent in (50, 95, 99):
            metric = _metric(f"{name}_p{percent}", MetricKind.QUANTILE, of, q=percent / 100)
            entries.append(BuiltIn(metric, f"{percent}th percentile of {what} over all calls"))
    for name, of, over, unit, says in (
        ("error_rate", "error", "requests", None, "share of calls that failed"),
        ("blocked_rate", "blocked", "requests", None, "share of calls that a guardrail blocked"),
        ("retry_rate", "retried", "requests", None, "share of calls that needed another attempt"),
        ("cost_per_request", "cost_usd", "requests", "USD", "price of a call"),
        ("tokens_per_request", "output_tokens", "requests", "tokens", "tokens received a call"),
    ):
        entries.append(BuiltIn(_metric(name, MetricKind.RATIO, of, over=over, unit=unit), says))
    for name in ("cost_usd", "input_tokens", "output_tokens"):
        says = f"{GENERATION_FIELDS[name].says}, summed over the unit's calls"
        entries.append(BuiltIn(_metric(name, MetricKind.SUM, name), says))
    entries += [
        BuiltIn(_metric("turns", MetricKind.COUNT, "requests"), "calls a unit makes"),
        BuiltIn(_metric("thumbs_up_rate", MetricKind.RATE, "thumbs_up"), "share of units with a thumbs-up"),
        BuiltIn(
            _metric("thumbs_down_rate", MetricKind.RATE, "thumbs_down", better=Better.LOWER),
            "share of units with a thumbs-down",
        ),
        BuiltIn(_metric("rating", MetricKind.MEAN, "rating"), "mean rating among units that rated"),
    ]
    return {entry.metric.name: entry for entry in entries}


BUILT_IN: Final[dict[str, BuiltIn]] = _catalogue()
