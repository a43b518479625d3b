"""Records of a Parquet file, a few rows at a time, whatever a row group holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from promptarena.evaluation.data_problems import DataProblems

__all__ = ["parquet_rows"]

_ROWS: Final = 64
"""Turned into Python's values together; one row may hold tens of megabytes."""


def parquet_rows(path: Path, problems: DataProblems) -> Iterator[dict[str, Any]]:
    """Stream the rows as mappings of JSON's values.

    NaN is no value. Dates and times are in ISO format, decimals are numbers. A column of bytes is noted and
    left out.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
            schema = file.schema_arrow
            if repeated := sorted({name for name in schema.names if schema.names.count(name) > 1}):
                problems.add(path, f"The column {repeated[0]!r} is there twice.")
                return
            columns = []
            for field in schema:
                if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
                    problems.add(
                        path,
                        "The column holds bytes, not text.",
                        field=field.name,
                        hint="Cast it to a string.",
                    )
                else:
                    columns.append(field.name)
            for batch in file.iter_batches(_ROWS, columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    yield {name: _plain(value) for name, value in row.items()}
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        said = str(error).strip().splitlines()[0].rstrip(".")
        problems.add(path, f"This is not a Parquet file that can be read: {said}.")


def _plain(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return None
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return float(value) if value.is_finite() else None
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bytes():
            return value.decode("utf-8", "replace")
        case _:
            return value
