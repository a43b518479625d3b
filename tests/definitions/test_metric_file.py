from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from promptarena.definitions.catalogue import BUILT_IN, GENERATION_FIELDS
from promptarena.definitions.metric import Absence, Better, MetricKind
from promptarena.definitions.metric_file import MetricEntry, default_window, resolve


@pytest.mark.parametrize(
    ("written", "kind", "absent"),
    [
        ({"rate": "x"}, MetricKind.RATE, Absence.ZERO),
        ({"count": "x"}, MetricKind.COUNT, Absence.ZERO),
        ({"sum": "x"}, MetricKind.SUM, Absence.ZERO),
        ({"mean": "x"}, MetricKind.MEAN, Absence.MISSING),
        ({"ratio": {"of": "x", "over": "y"}}, MetricKind.RATIO, Absence.ZERO),
        ({"quantile": {"of": "x", "q": "95%"}}, MetricKind.QUANTILE, Absence.MISSING),
    ],
)
def test_each_kind_says_what_absence_means(
    written: dict[str, object], kind: MetricKind, absent: Absence
) -> None:
    metric = MetricEntry.model_validate(written).resolve("m", "user")
    assert (metric.name, metric.kind, metric.of, metric.absent) == ("m", kind, "x", absent)
    assert (metric.over, metric.q) == (
        "y" if kind is MetricKind.RATIO else None,
        0.95 if kind is MetricKind.QUANTILE else None,
    )
    assert metric.source == "measurement"
    assert metric.better is Better.HIGHER


def test_absence_and_direction_may_be_said() -> None:
    written = {"rate": "cost_usd", "absent": "missing", "better": "higher", "unit": "EUR", "window": "36h"}
    metric = MetricEntry.model_validate(written).resolve("m", "user")
    assert (metric.absent, metric.better, metric.unit) == (Absence.MISSING, Better.HIGHER, "EUR")
    assert metric.window == timedelta(hours=36)


def test_a_generation_field_brings_its_source_direction_and_unit() -> None:
    metric = MetricEntry.model_validate({"mean": "latency_ms"}).resolve("slow", "session")
    assert (metric.source, metric.better, metric.unit) == ("generation", Better.LOWER, "ms")
    ratio = MetricEntry.model_validate({"ratio": {"of": "rating", "over": "requests"}}).resolve(
        "r", "session"
    )
    assert (ratio.source, ratio.over_source, ratio.better, ratio.unit) == (
        *("measurement", "generation"),
        *(Better.HIGHER, None),
    )


def test_windows_by_kind_of_unit() -> None:
    days = {
        unit: default_window(unit).days for unit in ("request", "conversation", "session", "user", "account")
    }
    assert days == {"request": 1, "conversation": 1, "session": 1, "user": 7, "account": 7}


def test_the_first_mapping_that_has_a_name_decides_then_the_catalogue() -> None:
    own = {"turns": MetricEntry(count="messages")}
    shared = {"turns": MetricEntry(count="lines"), "csat": MetricEntry(mean="stars")}

    def of(name: str) -> str | None:
        metric = resolve(name, "user", own, shared)
        return metric.of if metric else None

    assert [of(name) for name in ("turns", "csat", "rating", "nothing")] == [
        "messages",
        "stars",
        "rating",
        None,
    ]
    built_in = resolve("latency_p95", "user")
    assert built_in is not None
    assert built_in.window == timedelta(days=7)


def test_a_built_in_metric_is_named_for_what_it_computes() -> None:
    assert all(name == entry.metric.name and entry.says for name, entry in BUILT_IN.items())
    for name, entry in BUILT_IN.items():
        metric = entry.metric
        facts = [(metric.of, metric.source), (metric.over, metric.over_source)]
        assert all((fact in GENERATION_FIELDS) == (source == "generation") for fact, source in facts if fact)
        assert metric.absent is metric.kind.default_absence
        if name.endswith(("_p50", "_p95", "_p99")):
            assert metric.q == int(name[-2:]) / 100
            assert (metric.better, metric.unit) == (Better.LOWER, "ms")
    lower = {name for name, entry in BUILT_IN.items() if entry.metric.better is Better.LOWER}
    assert set(BUILT_IN) - lower == {"thumbs_up_rate", "rating"}
    assert {"latency_p95", "ttft_p95", "tpot_p95", "error_rate", "blocked_rate", "cost_usd", "turns"} < lower


@pytest.mark.parametrize("q", [0, 1, "100%", 1.5, "high"])
def test_a_quantile_lies_inside(q: object) -> None:
    with pytest.raises(ValidationError):
        MetricEntry.model_validate({"quantile": {"of": "x", "q": q}})


def test_a_quantile_takes_no_covariate() -> None:
    with pytest.raises(ValidationError, match="A quantile takes no covariate"):
        MetricEntry.model_validate({"quantile": {"of": "x", "q": 0.5}, "covariate": "before"})
