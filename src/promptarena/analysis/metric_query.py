"""From a table of rows to a cube: checked, rolled up to units, measured in one pass, quantiles counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import ibis

from promptarena.analysis.cube import Cube
from promptarena.analysis.fields import Columns, columns_read
from promptarena.analysis.moment_pass import measure
from promptarena.analysis.quantile_query import count_values
from promptarena.analysis.roll_up import one_row_a_unit, roll_up
from promptarena.analysis.table_checks import Locate, check_rows, nowhere
from promptarena.definitions.metric import Metric
from promptarena.definitions.readout import UnitCounts
from promptarena.storage.warehouse import fetch, held

__all__ = ["Columns", "columns_read", "measure", "one_row_a_unit", "read_table", "roll_up"]


def read_table(
    rows: ibis.Table, columns: Columns, metrics: Sequence[Metric], *, locate: Locate = nowhere
) -> tuple[Cube, UnitCounts]:
    """Everything a readout needs of a table of outcomes.

    Args:
        rows: any number of rows a unit; `storage.table_file.open_table(...).rows`, or any Ibis table.
        columns: what its columns say.
        metrics: what to measure.
        locate: where a row stands, for errors; `TableFile.locate` for a file.

    Raises:
        DataError: the table does not hold what it must (see `table_checks.check_rows`), or a segment has too
            many values. All problems that a look at the rows can find come together.
        UsageError: a ratio or a quantile that does not say of what.
    """
    facts = check_rows(rows, columns, metrics, locate)
    if facts.units == facts.rows:
        cube = measure(one_row_a_unit(rows, columns, metrics), columns, metrics)
        cube = replace(cube, values=count_values(rows, None, columns, metrics))
        nobody = dict.fromkeys(cube.variants, 0)
        counts = UnitCounts(
            rows=facts.rows, units=facts.units, repeated=0, crossovers=0, crossovers_by_variant=nobody
        )
        return cube, counts
    with held(roll_up(rows, columns, metrics)) as units:
        cube = replace(measure(units, columns, metrics), values=count_values(rows, units, columns, metrics))
        return cube, _count_units(units)


def _count_units(units: ibis.Table) -> UnitCounts:
    by_variant = units.group_by("variant").aggregate(
        units=units.count(),
        rows=units["rows"].sum(),
        repeated=(units["rows"] > 1).sum(),
        crossed=units.crossed.sum(),
    )
    found = fetch(by_variant.order_by("variant")).to_pylist()
    return UnitCounts(
        rows=sum(line["rows"] for line in found),
        units=sum(line["units"] for line in found),
        repeated=sum(line["repeated"] for line in found),
        crossovers=sum(line["crossed"] for line in found),
        crossovers_by_variant={line["variant"]: line["crossed"] for line in found},
    )
