"""The charts of a duel: win rates, differences by axis, the path of one that stops early, the ranking."""

from __future__ import annotations

from promptarena.definitions.duel_readout import DuelReadout
from promptarena.reporting.charts import HEIGHT, SERIES, Chart, Row, altair, data, finished, rule_at, tooltips
from promptarena.reporting.figures import count, number, percent
from promptarena.reporting.interval_chart import interval_chart, interval_row, scaled

__all__ = ["duel_charts"]

_EVEN = 50.0
_MEAN_RATING = 1000.0
_DEEPEST = -50.0
"""Per cent of evidence below which a lost bet is cut: how far it falls says nothing more."""


def duel_charts(duel: DuelReadout) -> dict[str, Chart]:
    """The charts of a duel by the key of the section they belong to; sections without data have none."""
    charts = {
        "pairs": _win_rates(duel),
        "axes": _axes(duel),
        "early_stop": _path(duel),
        "ranking": _ranking(duel),
    }
    return {key: chart for key, chart in charts.items() if chart is not None}


def _win_rates(duel: DuelReadout) -> Chart | None:
    rows = [
        interval_row(
            (pair.variant, f"against {pair.against}"),
            pair.win_rate * 100,
            scaled(pair.interval, 100),
            reference=_EVEN,
            tooltip={
                "Win rate": percent(pair.win_rate),
                "Wins": count(pair.wins),
                "Ties": count(pair.ties),
                "Losses": count(pair.losses),
            },
        )
        for pair in duel.pairs
        if pair.win_rate is not None and pair.interval is not None
    ]
    if not rows:
        return None
    return Chart(
        "Win rate of each pair",
        "Each line is an interval over cases, its mark the win rate. At 50% the two are even.",
        interval_chart(rows, "Win rate, %", reference=_EVEN),
    )


def _ranking(duel: DuelReadout) -> Chart | None:
    if duel.ranking is None or not duel.ranking.variants:
        return None
    rows = [
        interval_row(
            (each.variant, f"rank {rank}"),
            each.rating,
            each.interval,
            reference=_MEAN_RATING,
            tooltip={"Rating": number(each.rating, 1), "Win rate": percent(each.average_win_rate)},
        )
        for rank, each in enumerate(duel.ranking.variants, 1)
    ]
    return Chart(
        "Rating of each variant",
        "Bradley-Terry strength with its interval. At 1000 stands the mean variant; 400 more is ten to one.",
        interval_chart(rows, "Rating, points (mean variant 1000)", reference=_MEAN_RATING, legend=False),
    )


def _axes(duel: DuelReadout) -> Chart | None:
    rows = [
        interval_row(
            (axis.name, variant),
            found.difference,
            found.interval,
            tooltip={
                "Difference": number(found.difference, 2, signed=True),
                "Better": count(found.better),
                "Worse": count(found.worse),
            },
        )
        for axis in duel.axes
        for variant, found in axis.differences.items()
        if found.difference is not None and found.interval is not None
    ]
    if not rows:
        return None
    return Chart(
        "Difference on each axis",
        f"Each line is an interval of the paired difference from {duel.control}. At 0 the two are even.",
        interval_chart(rows, "Difference, levels"),
    )


def _path(duel: DuelReadout) -> Chart | None:
    """Evidence for and against each condition, case by case."""
    found = duel.gate.early_stop if duel.gate is not None else None
    if found is None or not any(path.cases for path in found.paths):
        return None
    alone = len(duel.variants) == 2
    rows: list[Row] = [
        {
            "cases": cases,
            "evidence": evidence * 100,
            "condition": path.name if alone else f"{path.name}, {path.variant}",
            "bet": bet,
            "Condition": path.name,
            "Bet": bet,
            "Cases": count(cases),
            "Evidence": percent(max(evidence, 0.0), 0),
        }
        for path in found.paths
        for bet, series in (("for", path.evidence_for), ("against", path.evidence_against))
        for cases, evidence in zip(path.cases, series, strict=True)
        if evidence is not None
    ]
    alt = altair()
    names = list(dict.fromkeys(row["condition"] for row in rows))
    shown = alt.Scale(domain=[_DEEPEST, max(110.0, *(row["evidence"] for row in rows))])
    lines = (
        alt.Chart(data(rows))
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=alt.X("cases:Q", title="Cases, in the order in which they were taken"),
            y=alt.Y("evidence:Q", title="Evidence, % of what decides", scale=shown),
            color=alt.Color(
                "condition:N",
                scale=alt.Scale(domain=names, range=[SERIES[at % len(SERIES)] for at in range(len(names))]),
                legend=alt.Legend(title=None, orient="top", direction="vertical", labelLimit=400),
            ),
            strokeDash=alt.StrokeDash(
                "bet:N",
                scale=alt.Scale(domain=["for", "against"], range=[[1, 0], [4, 4]]),
                legend=None,
            ),
            tooltip=tooltips(rows[0]),
        )
    )
    return Chart(
        "How the evidence grew",
        "Solid lines are bets for a condition, dashed ones against it. The first to reach 100% decides it.",
        finished([rule_at(100, horizontal=True), lines], height=HEIGHT),
    )
