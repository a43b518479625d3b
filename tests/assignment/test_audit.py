"""SQL assigns as a node does, bit for bit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from tests.assignment.experiments import configuration, definition, running

from promptarena.assignment.assigned import Reason
from promptarena.assignment.audit import audit_query
from promptarena.assignment.bucketing import cut
from promptarena.assignment.layers import Slot
from promptarena.assignment.router import Router
from promptarena.assignment.running import RunningExperiment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "assignment.md"
ODD_IDS = [
    "Zoë",
    "Zoe\u0308",
    "☂",
    "𝄞",
    " ",
    "\t",
    "a'b",
    '"',
    "\x00",
    "a\x00b",
    "%",
    "0",
    "x" * 512,
    "ß" * 256,
]
EXPERIMENTS = [
    running(),
    running(definition("cite", {"control": 0.8, "treatment": 0.2}), 0.1),
    running(definition("thirds", dict.fromkeys(("control", "brief", "warm"), 1 / 3)), 1 / 3),
    running(definition("tiny", {"control": 1 - 1e-6, "treatment": 1e-6}), 0.999999),
    running(definition("none", {"control": 0.0, "treatment": 1.0}), 0.0),
    running(definition("all", {"control": 1.0, "treatment": 0.0}), 1.0),
    running(definition("part"), 0.5, slot=Slot(((0, 1000), (2500, 3000), (9999, 10_000)))),
]


def by_query(query: str, units: Sequence[str]) -> dict[str, tuple[bool, str]]:
    import pyarrow as pa

    with duckdb.connect() as connection:
        connection.register("units", pa.table({"unit_id": units}))
        return {unit: (enrolled, variant) for unit, enrolled, variant in connection.execute(query).fetchall()}


def by_router(experiment: RunningExperiment, units: Sequence[str]) -> dict[str, str | None]:
    router = Router(configuration(experiment))
    return {unit: router.assign("support-bot", {"conversation": unit}).variant for unit in units}


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: str(experiment.name))
def test_duckdb_computes_the_same_assignment(experiment: RunningExperiment) -> None:
    units = [*ODD_IDS, *(f"conversation-{number}" for number in range(20_000))]
    found = by_query(audit_query(experiment, "units"), units)
    said = by_router(experiment, units)
    assert {unit: variant if enrolled else None for unit, (enrolled, variant) in found.items()} == said
    everybody = RunningExperiment(
        definition=experiment.definition, stage="ab", traffic=1.0, allocation=experiment.allocation
    )
    assert {unit: variant for unit, (_, variant) in found.items()} == by_router(everybody, units)


@pytest.mark.soak
@pytest.mark.slow
def test_duckdb_computes_the_same_assignment_of_a_million_units() -> None:
    experiment = running(definition("thirds", dict.fromkeys(("control", "brief", "warm"), 1 / 3)), 1 / 3)
    units = [f"user-{number}" for number in range(1_000_000)]
    found = by_query(audit_query(experiment, "units"), units)
    assert {unit: v if enrolled else None for unit, (enrolled, v) in found.items()} == by_router(
        experiment, units
    )


@pytest.mark.parametrize("share", [0.0, 5e-324, 1e-15, 0.05, 0.1, 1 / 3, 0.5, 0.7, 1 - 2**-53, 1.0])
def test_a_share_becomes_the_same_number_in_sql(share: float) -> None:
    """So that a page or a person may write the share itself: as text, since 0.1 alone is a decimal there,
    and a decimal of 16 digits becomes another float."""
    [row] = duckdb.execute(f"SELECT ceil('{share!r}'::DOUBLE * 18446744073709551616)::HUGEINT").fetchall()
    assert row == (cut(share),)


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_query_of_the_page_computes_the_same_assignment() -> None:
    """As written there: 10% of traffic, 80% control, the experiment `support-cites-policy` alone."""
    experiment = running(definition(weights={"control": 0.8, "treatment": 0.2}), 0.1)
    units = [*ODD_IDS, *(f"conversation-{number}" for number in range(50_000))]
    query = blocks("sql")[0]
    found = by_query(query, units)
    said = by_router(experiment, units)
    assert {unit: variant if enrolled else None for unit, (enrolled, variant) in found.items()} == said


def test_the_check_of_exposures_on_the_page_finds_exactly_the_moved_ones() -> None:
    experiment = running(definition(weights={"control": 0.8, "treatment": 0.2}), 0.1)
    router = Router(configuration(experiment))
    logged = [
        (a.unit_id, a.variant)
        for number in range(5000)
        for a in [router.assign("support-bot", {"conversation": f"c-{number}"})]
        if a.reason is Reason.ENROLLED
    ]
    moved = [(unit, "treatment" if variant == "control" else "control") for unit, variant in logged[:7]]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE exposures (experiment TEXT, unit_id TEXT, variant TEXT)")
        rows = [["support-cites-policy", *row] for row in [*moved, *logged[7:]]]
        connection.executemany("INSERT INTO exposures VALUES (?, ?, ?)", rows)
        found = connection.execute(blocks("sql")[1]).fetchall()
    assert len(logged) > 400
    assert sorted(found) == sorted(
        (unit, variant, was) for (unit, variant), (_, was) in zip(moved, logged, strict=False)
    )


def test_the_python_of_the_page_runs_and_says_what_it_says() -> None:
    import doctest

    text = "\n".join(blocks("python"))
    example = doctest.DocTestParser().get_doctest(text, {}, "assignment.md", str(PAGE), 0)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0
