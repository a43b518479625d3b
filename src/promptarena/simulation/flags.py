"""What a simulation is asked for, as the command line writes it: text in, `Asked` out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from promptarena.analysis.plan_flags import numbers, signed_margin
from promptarena.definitions.quantities import parse_share
from promptarena.errors import Location, Problem, UsageError
from promptarena.simulation.assumptions import Stated
from promptarena.simulation.simulate import Asked
from promptarena.simulation.truth import SignedMargin

__all__ = ["asked_from_flags"]

_Read = TypeVar("_Read")


def asked_from_flags(
    primary: str,
    *,
    effects: Sequence[str] = (),
    stated: Sequence[str] = (),
    daily_units: str | None = None,
    missing: str = "0",
    correlation: float | None = None,
    experiments: int = 1_000,
    seed: int = 1,
    logged: int = 0,
    workers: int | None = None,
) -> Asked:
    """Read what was written.

    Args:
        primary: the metric that an effect without a name is on.
        effects: `0.05`, `-2%`, or `METRIC=0.05`.
        stated: `METRIC=EXPECTED` or `METRIC=EXPECTED:SD`.
        daily_units: one number, or seven.
        missing: a share.
        correlation: of covariates.
        experiments: how many of each truth.
        seed: of all of them.
        logged: how many of each truth go through an event log too.
        workers: processes.

    Raises:
        UsageError: something that cannot be read, or is said twice.
    """
    problems: list[Problem] = []

    def read(flag: str, written: str, reader: Callable[[str], _Read]) -> _Read | None:
        try:
            return reader(written)
        except ValueError as error:
            problems.append(Problem(f"{error}.", Location(field=flag)))
            return None

    found: dict[str, SignedMargin] = {}
    for written in effects:
        name, size = _named(written, primary)
        effect = read("--effect", size, signed_margin)
        _once("--effect", name, found, problems)
        if effect is not None:
            found[name] = effect
    known: dict[str, Stated] = {}
    for written in stated:
        name = written.partition("=")[0].strip()
        said = read("--assume", written, _stated)
        _once("--assume", name, known, problems)
        if said is not None:
            known[name] = said
    daily = None if daily_units is None else read("--daily-units", daily_units, _daily)
    share = read("--missing", missing, lambda text: parse_share(text if "%" in text else float(text)))
    if problems or share is None:
        raise UsageError(problems)
    return Asked(
        experiments=experiments,
        seed=seed,
        effects=found,
        stated=known,
        daily_units=daily,
        missing=share,
        correlation=correlation,
        logged=logged,
        workers=workers,
    )


def _named(written: str, primary: str) -> tuple[str, str]:
    name, sign, size = written.partition("=")
    return (name.strip(), size) if sign else (primary, written)


def _once(flag: str, name: str, found: dict[str, _Read], problems: list[Problem]) -> None:
    if name in found:
        problems.append(Problem(f"`{name}` is said twice.", Location(field=flag)))


def _stated(written: str) -> Stated:
    _, sign, value = written.partition("=")
    expected, colon, sd = value.partition(":")
    try:
        if not sign:
            raise ValueError
        said = Stated(float(expected), float(sd) if colon else None)
    except ValueError:
        raise ValueError(f"{written!r} is no METRIC=EXPECTED:SD, such as latency_p95=1800:900") from None
    if not math.isfinite(said.expected) or (said.sd is not None and not 0 < said.sd < math.inf):
        raise ValueError(f"{written!r}: values are finite, and a standard deviation is above 0")
    return said


def _daily(written: str) -> tuple[float, ...]:
    daily = numbers(written)
    if len(daily) not in (1, 7) or any(not 0 <= day < math.inf for day in daily) or not sum(daily) > 0:
        raise ValueError(f"{written!r} is neither a positive number nor seven, one a day of the week")
    return daily
