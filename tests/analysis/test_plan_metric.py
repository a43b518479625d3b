"""A metric's spread follows from what people know: parts of a ratio, a median beside a quantile, a count."""

from __future__ import annotations

import math

import numpy as np
import pytest

from promptarena.analysis.plan import plan
from promptarena.analysis.plan_flags import request_from_flags
from promptarena.definitions.metric import MetricKind
from promptarena.errors import UsageError
from promptarena.stats.clustered_counts import ClusteredCounts, clustered_quantile
from promptarena.stats.effects import ratio_estimate
from promptarena.stats.moments import Moments


def test_a_ratio_from_its_parts_has_the_error_of_the_delta_method() -> None:
    request = request_from_flags(parts="0.5,0.4,2.5,1,0.6", mde="10%")
    assert request.kind is MetricKind.RATIO
    assert request.baseline == pytest.approx(0.2)
    rng = np.random.default_rng(1)
    y = rng.normal(2.5, 1, 200_000)
    x = 0.5 + 0.4 * (0.6 * (y - 2.5) + 0.8 * rng.standard_normal(len(y)))
    estimate = ratio_estimate(Moments.from_values(np.column_stack([x, y])))
    assert request.sd == pytest.approx(math.sqrt(estimate.variance * len(y)), rel=0.02)


def test_a_quantile_from_its_median_has_the_error_of_lognormal_values() -> None:
    request = request_from_flags(quantile=0.95, baseline=1800, median=700, mde="100")
    assert request.kind is MetricKind.QUANTILE
    rng = np.random.default_rng(2)
    sigma = math.log(1800 / 700) / 1.6448536
    values = 700 * np.exp(sigma * rng.standard_normal(100_000))
    found = clustered_quantile(0.95, ClusteredCounts.from_values(np.arange(len(values)), values))
    assert found.value == pytest.approx(1800, rel=0.02)
    assert request.sd == pytest.approx(math.sqrt(found.variance * len(values)), rel=0.05)


def test_a_density_says_the_same_and_a_quantile_is_planned_as_a_mean_is() -> None:
    by_median = request_from_flags(quantile=0.95, baseline=1800, median=700, mde="100")
    assert by_median.sd is not None
    density = math.sqrt(0.95 * 0.05) / by_median.sd
    by_density = request_from_flags(quantile=0.95, density=density, mde="100")
    by_sd = request_from_flags(kind="quantile", quantile=0.95, sd=by_median.sd, mde="100")
    assert plan(by_density).total == plan(by_sd).total == plan(by_median).total
    assert plan(by_median).total == plan(request_from_flags(sd=by_median.sd, mde="100")).total


def test_a_count_without_a_spread_is_poisson() -> None:
    assert request_from_flags(kind="count", baseline=3, mde="10%").sd == pytest.approx(math.sqrt(3))
    assert request_from_flags(kind="count", baseline=3, sd=4, mde="10%").sd == 4


def test_kinds_follow_from_what_is_said() -> None:
    assert request_from_flags(baseline=0.6, mde="0.05").kind is MetricKind.RATE
    assert request_from_flags(sd=2, mde="0.5").kind is MetricKind.MEAN
    assert request_from_flags(kind="sum", sd=2, mde="0.5").kind is MetricKind.SUM


@pytest.mark.parametrize(
    ("flags", "field", "message"),
    [
        ({"kind": "median"}, "--kind", "no kind of metric"),
        ({"parts": "1,2"}, "--parts", "five numbers"),
        ({"parts": "1,2,0,1,0"}, "--parts", "denominator"),
        ({"parts": "1,2,3,1,0", "sd": 1.0}, "--sd", "follows from --parts"),
        ({"parts": "1,2,3,1,0", "kind": "mean"}, "--parts", "of a ratio, not of a mean"),
        ({"median": 3.0, "baseline": 0.5}, "--median", "of a quantile, not of a rate"),
        ({"quantile": 1.5, "sd": 1.0}, "--quantile", "between 0 and 1"),
        ({"quantile": 0.95}, "--quantile", "spread around it"),
        ({"quantile": 0.95, "median": 3.0}, "--baseline", "expected value"),
        ({"quantile": 0.95, "median": 3.0, "baseline": 2.0}, "--median", "no lognormal values"),
        ({"quantile": 0.95, "density": -1.0}, "--density", "above 0"),
        ({"quantile": 0.95, "density": 1.0, "sd": 2.0}, "--quantile", "one of"),
        ({"baseline": 0.6, "labelled": "0%"}, "--labelled", "above 0"),
        ({"baseline": 0.6, "judge_correlation": 0.5}, "--judge-correlation", "--labelled"),
        ({"baseline": 0.6, "labelled": 0.1, "judge_correlation": 1.0}, "--judge-correlation", "strictly"),
    ],
)
def test_what_does_not_fit_is_told_at_its_flag(flags: dict[str, object], field: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        request_from_flags(mde="0.05", **flags)  # type: ignore[arg-type]
    told = [problem for problem in caught.value.problems if problem.where and problem.where.field == field]
    assert any(message in str(problem) for problem in told), caught.value
