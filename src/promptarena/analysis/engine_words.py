"""What Ibis has no fast word for: moments as whole microseconds, and names as numbers of 64 bits.

Engines compare and add whole numbers several times faster than moments that have a zone, and join on a number
several times faster than on a text of 36 letters. Each engine has functions of its own for both; the numbers
that names become are not the same everywhere, and never leave their engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import ibis
import ibis.expr.datatypes as dt

__all__ = ["DAY", "EngineWords", "engine_words"]

DAY: Final = 86_400_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class EngineWords:
    """One engine's functions, from column to column."""

    microseconds: Callable[[Any], Any]
    """Since 1970, of a moment in UTC."""
    key: Callable[[Any], Any]
    """A number for a text. Any two of n texts share one with a probability of n^2 / 2^65: 3e-6 of ten million
    units, of whom two would then count as one."""


def engine_words(backend: Any) -> EngineWords:
    """The words of an Ibis backend. One that is not known here has Ibis's own, right and slow."""
    return _WORDS.get(backend.name, EngineWords(_plain_microseconds, lambda text: text))


def _function(name: str, takes: dt.DataType, gives: dt.DataType) -> Callable[[Any], Any]:
    def declared(value: Any) -> Any:
        """The engine's own function."""

    word: Callable[[Any], Any] = ibis.udf.scalar.builtin(declared, name=name, signature=((takes,), gives))
    return word


def _plain_microseconds(moment: Any) -> Any:
    # Whole seconds first: of a fraction, engines do not agree whether `epoch_seconds` keeps it.
    return moment.truncate("s").epoch_seconds().cast("int64") * 1_000_000 + moment.microsecond()


_INSTANT: Final = dt.Timestamp(timezone="UTC", scale=6)
_WORDS: Final = {
    "duckdb": EngineWords(_function("epoch_us", _INSTANT, dt.int64), _function("hash", dt.string, dt.uint64)),
    "clickhouse": EngineWords(
        _function("toUnixTimestamp64Micro", _INSTANT, dt.int64), _function("sipHash64", dt.string, dt.uint64)
    ),
    "pyspark": EngineWords(
        _function("unix_micros", _INSTANT, dt.int64), _function("xxhash64", dt.string, dt.int64)
    ),
}
