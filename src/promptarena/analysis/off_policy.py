"""What another policy would have earned: from a table of logged rounds, or from a log's cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ibis
import numpy as np

from promptarena.analysis.arrivals import EpochWeights
from promptarena.analysis.cube import Cube
from promptarena.analysis.fields import is_not_number, name, number, row_number
from promptarena.definitions.metric import Metric
from promptarena.definitions.off_policy_readout import OffPolicyReadout, OffPolicyRow
from promptarena.definitions.suggestion import listed
from promptarena.errors import DataError, Problem, UsageError
from promptarena.stats.moments import Moments
from promptarena.stats.off_policy import LoggedRounds
from promptarena.storage.table_file import TableFile, missing_columns, open_table
from promptarena.storage.warehouse import fetch, held

__all__ = ["RoundColumns", "off_policy_readout", "rounds_of_cube", "rounds_of_file"]

_COLUMNS: Final = 6
_WEIGHTED: Final = ("ips", "snips")
_MODELLED: Final = ("dm", "dr", "sndr")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundColumns:
    """Which column of a table of rounds says what; one row a round."""

    reward: str
    logged: str
    """Probability with which what was chosen was chosen."""
    evaluated: str | None = None
    """Probability with which the other policy would have chosen it; or `variant` and `policy`."""
    variant: str | None = None
    policy: Mapping[str, float] | None = None
    """The other policy's probability of each variant."""
    predicted: str | None = None
    baseline: str | None = None
    """A reward model's mean under the other policy; with `predicted`."""
    cluster: str | None = None
    """What rounds have in common, such as the user."""

    @property
    def read(self) -> tuple[str, ...]:
        """Every column, once."""
        said = (getattr(self, field) for field in self.__slots__ if field != "policy")
        return tuple(dict.fromkeys(column for column in said if column is not None))


def rounds_of_file(file: str, columns: RoundColumns) -> LoggedRounds:
    """Read a table of rounds; the engine sums, and no row comes into Python.

    Args:
        file: CSV, TSV or Parquet, or FILE.duckdb::TABLE.
        columns: what its columns say.

    Raises:
        DataError: a column is missing, or a value is none that its column may have (told with its row).
        UsageError: a policy that does not sum to 1 or lacks a variant of the table.
    """
    with open_table(file, columns=columns.read) as table:
        if problems := missing_columns(columns.read, table.rows.columns, table.locate(None).file):
            raise DataError(problems)
        rounds = table.rows.select(**_read(table, columns))
        _refuse(table, columns, rounds)
        weight = rounds.evaluated / rounds.logged
        summed = rounds.select(
            cluster=rounds.cluster,
            c0=ibis.literal(1.0),
            c1=weight,
            c2=rounds.reward,
            c3=weight * rounds.reward,
            c4=rounds.baseline,
            c5=weight * rounds.predicted,
        )
        with held(summed) as each:
            facts = fetch(each.aggregate(squares=(each.c1 * each.c1).sum(), largest=each.c1.max()))
            [line] = facts.to_pylist()
            units = each
            if columns.cluster is not None:
                units = each.group_by("cluster").aggregate(**{f"c{i}": each[f"c{i}"].sum() for i in range(6)})
            moments = _moments(units)
    return LoggedRounds(moments, line["squares"], line["largest"], columns.predicted is not None)


def rounds_of_cube(
    cube: Cube, metric: Metric, weights: EpochWeights, policy: Mapping[str, float]
) -> LoggedRounds:
    """Rounds of an experiment: one a unit, whose choice is its variant and whose reward is a metric's value.

    Args:
        cube: with epochs.
        metric: one number a unit.
        weights: of every epoch, which are the propensities.
        policy: the other policy's weights, by variant.

    Raises:
        UsageError: the policy names another variant, lacks one, or does not sum to 1.
        DataError: there is no unit with a reward.
    """
    _check_policy(policy, cube.variants)
    total, squares, largest = Moments.empty(_COLUMNS), 0.0, 0.0
    for (variant, epoch), cell in cube.by("epoch").items():
        moments = cell.moments[metric.name].select(0)
        if moments.n == 0:
            continue
        own = weights[epoch]
        weight = policy[variant] / (own[variant] / sum(own.values()))
        # A unit's six columns are linear in its reward, so their moments follow from the cell's.
        slope = np.array([0.0, 0.0, 1.0, weight, 0.0, 0.0])
        start = np.array([1.0, weight, 0.0, 0.0, 0.0, 0.0])
        mean = start + slope * moments.mean[0]
        total = total + Moments(moments.n, mean, np.outer(slope, slope) * moments.comoments[0, 0])
        squares, largest = squares + moments.n * weight**2, max(largest, weight)
    if total.n == 0:
        raise DataError(f"No unit has a value of `{metric.name}` yet.")
    return LoggedRounds(total, squares, largest, modelled=False)


def off_policy_readout(
    log: LoggedRounds, *, source: str, reward: str, policy: str, alpha: float, notes: Sequence[str] = ()
) -> OffPolicyReadout:
    """All estimates that a log allows.

    Raises:
        DataError: fewer than two units, or the other policy would have chosen nothing that was chosen.
    """
    try:
        weights = log.check_weights()
        rows = tuple(_rows(log, alpha))
    except ValueError as error:
        raise DataError(f"Nothing can be estimated: {error}.") from None
    return OffPolicyReadout(
        source=source,
        reward=reward,
        policy=policy,
        alpha=alpha,
        rounds=weights.rounds,
        units=log.moments.n,
        estimates=rows,
        effective_rounds=weights.effective_rounds,
        largest_share=weights.largest_share,
        mean_weight=weights.mean_weight,
        warning=weights.warning,
        notes=tuple(notes),
    )


def _rows(log: LoggedRounds, alpha: float) -> Iterator[OffPolicyRow]:
    for method in ("logged", *_WEIGHTED, *(_MODELLED if log.modelled else ())):
        found = log.logged_policy() if method == "logged" else getattr(log, method)()
        effect = None if method == "logged" else log.effect(method)
        yield OffPolicyRow(
            method=method,
            value=found.value,
            standard_error=found.standard_error,
            interval=found.interval(alpha) if found.standard_error > 0 else None,
            difference=effect.difference if effect else None,
            difference_interval=effect.interval(alpha) if effect and effect.variance > 0 else None,
        )


def _read(table: TableFile, columns: RoundColumns) -> dict[str, Any]:
    rows = table.rows
    if columns.variant is not None and columns.policy is not None:
        _check_policy(columns.policy, _variants(rows, columns.variant))
        chosen = name(rows[columns.variant])
        evaluated = ibis.cases(
            *((chosen == each, share) for each, share in columns.policy.items()), else_=0.0
        )
    else:
        evaluated = number(rows[str(columns.evaluated)])
    nothing = ibis.literal(0.0)
    return {
        "place": row_number(rows),
        "reward": number(rows[columns.reward]),
        "logged": number(rows[columns.logged]),
        "evaluated": evaluated,
        "predicted": number(rows[columns.predicted]) if columns.predicted else nothing,
        "baseline": number(rows[columns.baseline]) if columns.baseline else nothing,
        "cluster": name(rows[columns.cluster]) if columns.cluster else ibis.literal(""),
        **{f"text_{i}": is_not_number(rows[column]) for i, column in enumerate(_numbers(columns))},
    }


def _numbers(columns: RoundColumns) -> list[str]:
    said = (columns.reward, columns.logged, columns.evaluated, columns.predicted, columns.baseline)
    return [column for column in said if column is not None]


def _variants(rows: ibis.Table, column: str) -> list[str]:
    found = rows.select(variant=name(rows[column])).distinct().limit(1_000)
    return sorted(line["variant"] for line in fetch(found).to_pylist())


def _refuse(table: TableFile, columns: RoundColumns, rounds: ibis.Table) -> None:
    """Tell every rule that some row breaks, with the first that does."""
    rules: list[tuple[str, Any, str]] = [
        (column, rounds[f"text_{i}"], "Expected a number") for i, column in enumerate(_numbers(columns))
    ]
    kinds = ["reward", "logged", "predicted", "baseline"] + (["evaluated"] if columns.evaluated else [])
    for kind in kinds:
        if (column := getattr(columns, kind)) is not None:
            value = rounds[kind]
            text = rounds[f"text_{_numbers(columns).index(column)}"]
            broken = (value.isnull() | value.isnan() | value.isinf()) & ~text
            rules.append((column, broken, "A round has a finite number; found none"))
    logged, evaluated = rounds.logged, rounds.evaluated
    least = "A logged probability is above 0 and at most 1: what was chosen could be chosen"
    rules.append((columns.logged, (logged <= 0) | (logged > 1), least))
    if columns.evaluated is not None:
        between = "An evaluated probability is between 0 and 1"
        rules.append((columns.evaluated, (evaluated < 0) | (evaluated > 1), between))
    marked = rounds.select("place", **{f"b{i}": broken for i, (_, broken, _) in enumerate(rules)})
    counts = {f"n{i}": marked[f"b{i}"].sum() for i in range(len(rules))}
    firsts = {f"f{i}": marked.place.min(where=marked[f"b{i}"]) for i in range(len(rules))}
    [line] = fetch(marked.aggregate(**counts, **firsts)).to_pylist()
    problems = [
        Problem(f"{says} ({line[f'n{i}']:,} rows).", table.locate(line[f"f{i}"], column))
        for i, (column, _, says) in enumerate(rules)
        if line[f"n{i}"]
    ]
    if problems:
        raise DataError(problems)


def _check_policy(policy: Mapping[str, float], variants: Sequence[str]) -> None:
    if unknown := [each for each in policy if each not in variants]:
        raise UsageError(f"There is no variant {listed(unknown)}; there are {listed(variants)}.")
    if missing := [each for each in variants if each not in policy]:
        raise UsageError(
            f"The policy does not say how often it chooses {listed(missing)}.",
            hint="A share of 0 is one too.",
        )
    if abs(sum(policy.values()) - 1) > 1e-9 or min(policy.values()) < 0:
        raise UsageError(f"Shares of a policy are zero or more and sum to 1; found {dict(policy)}.")


def _moments(units: ibis.Table) -> Moments:
    """Means first, then products about them: unshifted sums of squares would lose a small variance."""
    columns = [f"c{i}" for i in range(_COLUMNS)]
    means = {column: units[column].mean() for column in columns}
    [line] = fetch(units.aggregate(n=units.count(), **means)).to_pylist()
    mean = np.array([line[column] for column in columns])
    pairs = [(i, j) for i in range(_COLUMNS) for j in range(i, _COLUMNS)]
    off = [units[column] - float(centre) for column, centre in zip(columns, mean, strict=True)]
    [found] = fetch(units.aggregate(**{f"p{i}_{j}": (off[i] * off[j]).sum() for i, j in pairs})).to_pylist()
    comoments = np.zeros((_COLUMNS, _COLUMNS))
    for i, j in pairs:
        comoments[i, j] = comoments[j, i] = found[f"p{i}_{j}"]
    return Moments(line["n"], mean, comoments)
