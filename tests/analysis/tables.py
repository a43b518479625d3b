"""Tables in an engine's memory, and a metric of theirs."""

from __future__ import annotations

from itertools import count
from typing import Any

import ibis
import pyarrow as pa

from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.storage.warehouse import ROW, Warehouse

_NAMES = count()


def table_of(warehouse: Warehouse, columns: dict[str, Any]) -> ibis.Table:
    """An engine's table with row numbers, as a file has."""
    data = pa.table(columns)
    name = f"t{next(_NAMES)}"
    warehouse.connection.con.register(
        name, data.append_column(ROW, pa.array(range(data.num_rows), pa.int64()))
    )
    return warehouse.connection.table(name)


def sum_of(column: str, absent: Absence = Absence.MISSING) -> Metric:
    return Metric(name=column, kind=MetricKind.SUM, of=column, absent=absent)
