"""What an audit found, as the readout shows it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.calibration_readout import JudgeBias, Measure
from promptarena.stats.agreement import Agreement
from promptarena.stats.judge_audit import BiasByVariant
from promptarena.stats.proportions import Proportion

__all__ = ["bias_of_each", "coefficient_measure", "share_measure", "with_gaps"]


def share_measure(name: str, found: Proportion | None, text: str) -> Measure:
    """A share; of nothing where there is nothing to compare."""
    if found is None:
        return Measure(name=name, value=None, interval=None, items=0, text=text)
    return Measure(name=name, value=found.value, interval=found.interval, items=found.n, text=text)


def coefficient_measure(name: str, found: Agreement, text: str) -> Measure:
    """A coefficient of agreement; without an interval where its error is not known."""
    interval = None if found.low is None else (found.low, found.high)
    return Measure(name=name, value=found.value, interval=interval, items=found.items, text=text)


def with_gaps(said: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """What several people said, a row each thing; NaN where fewer spoke than of another."""
    return np.array(list(zip_longest(*said, fillvalue=np.nan))).T


def bias_of_each(found: BiasByVariant | None) -> tuple[JudgeBias, ...]:
    """Every variant's bias; none where nothing was compared."""
    return tuple(
        JudgeBias(
            variant=str(name),
            value=each.value,
            interval=None if each.low is None else (each.low, each.high),
            items=each.items,
        )
        for name, each in (found.variants.items() if found is not None else ())
    )
