"""Realised shares are the declared ones, from the first unit on, and experiments know nothing of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product

import duckdb
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.assignment.experiments import HALVES, configuration, definition, running

from promptarena.assignment.audit import audit_query
from promptarena.assignment.bucketing import digest, experiment_salt
from promptarena.assignment.router import Router
from promptarena.stats.balance import independence_test, sample_ratio_log_e_value, sample_ratio_test

ID_SHAPES = ("{}", "user-{:08d}", "{:032x}", "{}@example.org")
THREE = {"control": 0.6, "brief": 0.1, "warm": 0.3}


def first_numbers(name: str, count: int, shape: str = "user-{}") -> NDArray[np.uint64]:
    """Enrolment and variant numbers of units with consecutive ids, shape (count, 2)."""
    salt = experiment_salt(name)
    packed = b"".join(digest(salt, shape.format(number))[:16] for number in range(count))
    return np.frombuffer(packed, dtype=">u8").astype(np.uint64).reshape(count, 2)


def sixteenths(numbers: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (numbers >> np.uint64(60)).astype(np.int64)


def table(one: NDArray[np.int64], other: NDArray[np.int64], cells: int = 16) -> NDArray[np.int64]:
    return np.bincount(one * cells + other, minlength=cells * cells).reshape(cells, cells)


def alarms(p_values: Sequence[float | None], expected: float = 0.05) -> int:
    """How many are below `expected`; fails on more than chance allows, or on any that is next to impossible."""
    known = [p for p in p_values if p is not None]
    assert len(known) == len(p_values)
    below = sum(p < expected for p in known)
    tolerated = expected * len(known) + 4 * math.sqrt(len(known) * expected * (1 - expected)) + 1
    assert below <= tolerated, (below, len(known))
    assert min(known) > 1e-3 / len(known)
    return below


@pytest.mark.parametrize("shape", ID_SHAPES)
def test_the_two_numbers_of_a_digest_are_uniform_and_independent(shape: str) -> None:
    p_values: list[float | None] = []
    for name in ("cite", "shorten", "a", "support-cites-policy"):
        numbers = sixteenths(first_numbers(name, 10_000, shape))
        p_values += [
            sample_ratio_test(np.bincount(numbers[:, 0], minlength=16), [1] * 16),
            sample_ratio_test(np.bincount(numbers[:, 1], minlength=16), [1] * 16),
            independence_test(table(numbers[:, 0], numbers[:, 1])),
        ]
    alarms(p_values)


def test_experiments_with_names_however_alike_are_independent() -> None:
    names = [f"exp-{number}" for number in range(10)] + ["exp-1.", "exp-1-1", "Exp-1", "exp"]
    variants = [sixteenths(first_numbers(name, 20_000))[:, 1] for name in names]
    p_values = [independence_test(table(one, other)) for one, other in combinations(variants, 2)]
    assert len(p_values) == 91
    alarms(p_values)


def test_realised_shares_pass_the_sample_ratio_test() -> None:
    allocations = ({"control": 0.5, "treatment": 0.5}, {"control": 0.9, "treatment": 0.1}, THREE)
    p_values = []
    for weights, traffic, number in product(allocations, (0.1, 1.0), range(8)):
        experiment = running(definition(f"exp-{number}", weights), traffic)
        router = Router(configuration(experiment))
        found = [router.assign("support-bot", {"conversation": str(unit)}).variant for unit in range(4000)]
        p_values.append(sample_ratio_test([found.count(name) for name in weights], list(weights.values())))
        share = [4000 - found.count(None), found.count(None)]
        if traffic < 1:
            p_values.append(sample_ratio_test(share, [traffic, 1 - traffic]))
    alarms(p_values)


@pytest.mark.parametrize("traffic", [0.01, 0.05, 0.1])
def test_a_canarys_arms_are_balanced_from_the_first_unit(traffic: float) -> None:
    """At no moment of ten canaries do the units enrolled so far speak against equal shares (e-value below
    1000), though only a few of them are there at first."""
    for number in range(10):
        router = Router(configuration(running(definition(f"canary-{number}"), traffic, stage="canary")))
        counts = {"control": 0, "treatment": 0}
        for unit in range(int(200 / traffic)):
            variant = router.assign("support-bot", {"conversation": f"{number}-{unit}"}).variant
            if variant is not None:
                counts[variant] += 1
                if sum(counts.values()) in (1, 2, 5, 10, 20, 50, 100, 150):
                    assert sample_ratio_log_e_value(list(counts.values()), [0.5, 0.5]) < math.log(1000)
        p_value = sample_ratio_test(list(counts.values()), [0.5, 0.5])
        assert p_value is not None
        assert p_value > 1e-4


def test_a_ramp_keeps_the_weights_among_those_it_adds() -> None:
    """Units between 5% and 50% have the same shares as the first 5%, so a ramp mixes no times with variants."""
    experiment = definition("ramped", {"control": 0.8, "treatment": 0.2})
    narrow, wide = (Router(configuration(running(experiment, traffic))) for traffic in (0.05, 0.5))
    counts = {(added, name): 0 for added in (False, True) for name in ("control", "treatment")}
    for unit in map(str, range(40_000)):
        variant = wide.assign("support-bot", {"conversation": unit}).variant
        if variant is not None:
            added = narrow.assign("support-bot", {"conversation": unit}).variant is None
            counts[added, variant] += 1
    strata = [[counts[added, name] for name in ("control", "treatment")] for added in (False, True)]
    p_value = sample_ratio_test(strata, [0.8, 0.2])
    assert p_value is not None
    assert p_value > 0.001


def cross_table(units: int, first: str, second: str) -> tuple[list[list[int]], list[list[int]]]:
    """Two experiments on one set of units by SQL: variants of one against the other's, and enrolments."""
    queries = [
        audit_query(running(definition(first, HALVES), 0.3), "units"),
        audit_query(running(definition(second, THREE), 0.5), "units"),
    ]
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE units AS SELECT 'user-' || i AS unit_id FROM range({units}) AS t(i)"
        )
        joined = f"({queries[0]}) AS one JOIN ({queries[1]}) AS other USING (unit_id)"
        rows = connection.execute(
            f"SELECT one.variant, other.variant, one.enrolled, other.enrolled, count(*) FROM {joined} GROUP BY ALL"
        ).fetchall()
    variants = [[0] * 3, [0] * 3]
    enrolments = [[0] * 2, [0] * 2]
    for one, other, in_one, in_other, count in rows:
        variants[list(HALVES).index(one)][list(THREE).index(other)] += count
        enrolments[in_one][in_other] += count
    return variants, enrolments


@pytest.mark.parametrize(
    "units", [100_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.soak], id="a million")]
)
def test_two_experiments_are_independent_over_many_ids(units: int) -> None:
    p_values: list[float | None] = []
    for first, second in (("cite", "shorten"), ("exp-1", "exp-2"), ("a", "aa")):
        variants, enrolments = cross_table(units, first, second)
        assert sum(map(sum, variants)) == units
        p_values += [
            independence_test(variants),
            independence_test(enrolments),
            sample_ratio_test([sum(row) for row in variants], [0.5, 0.5]),
            sample_ratio_test(np.sum(variants, axis=0), list(THREE.values())),
            sample_ratio_test([sum(row) for row in enrolments], [0.7, 0.3]),
        ]
    alarms(p_values)


def test_one_salt_for_two_experiments_would_be_found_out() -> None:
    """The tests above can fail: without a salt of its own an experiment repeats the other's split."""
    numbers = sixteenths(first_numbers("cite", 2000))
    p_value = independence_test(
        table(numbers[:, 1] // 8, sixteenths(first_numbers("cite", 2000))[:, 1] // 8, 2)
    )
    assert p_value is not None
    assert p_value < 1e-100
