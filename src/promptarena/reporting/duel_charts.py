"""The charts of a duel: win rates, and the ranking of more than two."""

from __future__ import annotations

from promptarena.definitions.duel_readout import DuelReadout
from promptarena.reporting.charts import Chart
from promptarena.reporting.figures import count, number, percent
from promptarena.reporting.interval_chart import interval_chart, interval_row, scaled

__all__ = ["duel_charts"]

_EVEN = 50.0
_MEAN_RATING = 1000.0


def duel_charts(duel: DuelReadout) -> dict[str, Chart]:
    """The charts of a duel by the key of the section they belong to; sections without data have none."""
    charts = {"pairs": _win_rates(duel), "ranking": _ranking(duel)}
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
