"""Other engines to ask, ClickHouse's and Spark's, beside our own.

Both come as wheels, slow to start: the extra `engines`, which `make soak` installs. Spark needs a Java too.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import ibis

from promptarena.analysis.event_tables import EventTables
from promptarena.definitions.events import Kind

_FACTS: tuple[Kind, ...] = ("exposure", "generation", "measurement")


def _clickhouse() -> Any:
    return ibis.clickhouse.connect(interface="chdb")


def _spark() -> Any:
    session: Any = import_module("pyspark.sql").SparkSession
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    return ibis.pyspark.connect(session.builder.master("local[1]").config(map=settings).getOrCreate())


ENGINES: dict[str, Callable[[], Any]] = {
    "duckdb": ibis.duckdb.connect,
    "clickhouse": _clickhouse,
    "pyspark": _spark,
}


def tables_of(backend: Any, engine: str, files: dict[Kind, Path]) -> EventTables:
    """Parquet files of a log, one a kind, as an engine's tables."""
    if engine != "clickhouse":
        return EventTables(backend, *(backend.read_parquet(str(files[kind])) for kind in _FACTS))
    for kind, file in files.items():
        backend.raw_sql(
            f"CREATE OR REPLACE TABLE {kind} ENGINE=Memory AS SELECT * FROM file('{file}', Parquet)"
        )
    return EventTables(backend, *(backend.table(kind) for kind in _FACTS))
