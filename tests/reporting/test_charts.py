"""Charts: they compile, have titles and units, and show the numbers of the readout where they belong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import vl_convert
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reporting import duel_examples, examples

from promptarena.reporting.charts import Chart
from promptarena.reporting.duel_charts import duel_charts
from promptarena.reporting.interval_chart import goes_beyond, interval_chart, interval_row
from promptarena.reporting.readout_charts import readout_charts


def rows_of(chart: Chart | dict[str, Any], key: str) -> list[dict[str, Any]]:
    """All rows that have a column of that name."""
    spec = chart.spec if isinstance(chart, Chart) else chart
    return [row for rows in spec["datasets"].values() for row in rows if key in row]


def layers_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = spec["layer"]
    return layers


ALL: dict[str, Chart] = {
    f"{name} {key}": chart
    for name, found in {
        "rich": readout_charts(examples.rich()),
        "poor": readout_charts(examples.poor()),
        "two": readout_charts(examples.two_treatments()),
        "stopped": readout_charts(examples.stopped()),
        "adapting": readout_charts(examples.adapting()),
        "gated": duel_charts(duel_examples.gated()),
        "ranked": duel_charts(duel_examples.ranked()),
        "scored": duel_charts(duel_examples.scored()),
    }.items()
    for key, chart in found.items()
}


@pytest.mark.parametrize("name", ALL)
def test_every_chart_compiles_and_names_its_measured_axis(name: str) -> None:
    chart = ALL[name]
    compiled = vl_convert.vegalite_to_vega(chart.spec, vl_version="6.4")
    titles = {axis.get("title") for axis in compiled["axes"]} - {None}
    assert titles
    units = ("%", "points", "own unit", "ms", "USD", "z (", "month-day", "Epoch", "levels", "Cases")
    assert all(any(unit in title for unit in units) for title in titles), titles
    assert chart.title
    assert chart.reading.endswith(".")


def test_a_readout_has_a_chart_for_everything_it_holds_and_nothing_else() -> None:
    assert set(readout_charts(examples.rich())) == {
        "metrics",
        "balance",
        "looks:treatment",
        "daily:resolution",
        "segments:resolution",
    }
    assert set(readout_charts(examples.poor())) == {"balance"}
    assert set(duel_charts(duel_examples.ranked())) == {"pairs", "ranking"}
    assert set(duel_charts(duel_examples.scored())) == {"pairs", "axes", "early_stop"}
    assert duel_charts(duel_examples.unjudged()) == {}


def test_the_forest_shows_relative_effects_and_margins_on_the_bad_side() -> None:
    rows = {row["label"].split("\n")[0]: row for row in rows_of(ALL["rich metrics"], "outcome")}
    resolution = examples.rich().metrics["resolution"].comparisons["treatment"]
    assert resolution.relative_difference is not None
    assert rows["resolution"]["value"] == pytest.approx(resolution.relative_difference * 100)
    assert rows["latency_p95"]["margin"] == pytest.approx(300 / 2410 * 100)
    assert rows["cost_per_resolved"]["margin"] == 10
    assert rows["csat"]["margin"] is None
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "resolution": "better",
        "latency_p95": "worse",
        "cost_per_resolved": "unclear",
        "csat": "unclear",
    }


def test_a_margin_of_a_metric_that_should_be_high_lies_below_zero() -> None:
    base = examples.rich()
    primary = replace(base.metrics["resolution"], margin="0.02")
    readout = replace(base, metrics={**base.metrics, "resolution": primary})
    rows = {row["label"]: row for row in rows_of(readout_charts(readout)["metrics"], "margin")}
    assert rows["resolution\nprimary"]["margin"] == pytest.approx(-0.02 / 0.603 * 100)
    path = readout_charts(readout)["looks:treatment"]
    assert {row["name"] for row in rows_of(path, "name")} == {"margin kept", "margin broken"}


def test_a_primary_without_a_relative_interval_is_drawn_from_its_difference_and_says_so() -> None:
    base = examples.stopped()
    found = replace(base.metrics["resolution"].comparisons["treatment"], relative_interval=None)
    primary = replace(base.metrics["resolution"], comparisons={"treatment": found})
    chart = readout_charts(replace(base, metrics={**base.metrics, "resolution": primary}))["metrics"]
    row = next(row for row in rows_of(chart, "outcome") if row["label"].startswith("resolution"))
    assert found.interval is not None
    assert found.interval[0] is not None
    assert row["low"] == pytest.approx(found.interval[0] / 0.603 * 100)
    assert "divided by control's value" in chart.reading
    assert "divided by control's value" not in ALL["rich metrics"].reading


def test_what_has_no_relative_interval_is_named_as_absent() -> None:
    assert (
        "Not in it, for want of a relative interval: escalations of treatment." in ALL["two metrics"].reading
    )


def test_an_unbounded_interval_ends_in_an_arrow() -> None:
    chart = ALL["two metrics"]
    assert "An arrow means that the interval goes on beyond the picture." in chart.reading
    arrows = [layer for layer in layers_of(chart.spec) if layer["mark"].get("shape") == "triangle"]
    assert {layer["mark"]["angle"] for layer in arrows} == {90, 270}
    assert not [
        layer for layer in layers_of(ALL["rich metrics"].spec) if layer["mark"].get("shape") == "triangle"
    ]


BOUND = st.floats(-1e6, 1e6, allow_nan=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(BOUND, st.floats(1e-3, 1e6), st.booleans()), min_size=1, max_size=6))
def test_every_row_is_inside_the_picture_or_marked_as_cut(drawn: list[tuple[float, float, bool]]) -> None:
    rows = [
        interval_row((f"m{i}", ""), low + width / 2, (low, None if open_ended else low + width), tooltip={})
        for i, (low, width, open_ended) in enumerate(drawn)
    ]
    spec = interval_chart(rows, "x, %")
    low, high = next(layer for layer in layers_of(spec) if layer["mark"].get("strokeWidth") == 3)["encoding"][
        "x"
    ]["scale"]["domain"]
    assert low < 0 < high
    shown = {row["label"]: row for row in rows_of(spec, "from")}
    cut = False
    for row in rows:
        drawn_row = shown[row["label"]]
        assert low <= drawn_row["from"] <= drawn_row["to"] <= high
        whole = drawn_row["from"] == row["low"] and drawn_row["to"] == row["high"]
        assert whole != (row["high"] is None or row["low"] < low or row["high"] > high)
        cut = cut or not whole
    assert goes_beyond(rows) == cut


@given(BOUND, st.floats(0, 1e6), st.sampled_from(["higher", "lower"]))
def test_an_outcome_is_claimed_only_by_an_interval_wholly_on_one_side(
    low: float, width: float, better: str
) -> None:
    row = interval_row(("m", ""), low, (low, low + width), better=better, tooltip={})
    mirrored = interval_row(
        ("m", ""),
        -low,
        (-low - width, -low),
        better={"higher": "lower", "lower": "higher"}[better],
        tooltip={},
    )
    assert (row["outcome"] == "unclear") == (low <= 0 <= low + width)
    assert row["outcome"] == mirrored["outcome"]


def test_days_are_in_points_and_all_of_them_on_the_axis() -> None:
    chart, daily = ALL["rich daily:resolution"], examples.rich().metrics["resolution"].daily
    rows = rows_of(chart, "day")
    assert [row["day"] for row in rows] == [effect.day for effect in daily]
    assert [row["value"] / 100 for row in rows] == pytest.approx([effect.difference for effect in daily])
    assert "percentage points" in chart.reading


def test_a_day_without_an_effect_leaves_a_gap() -> None:
    base = examples.rich()
    resolution = base.metrics["resolution"]
    empty = replace(resolution.daily[3], difference=None, interval=None)
    daily = (*resolution.daily[:3], empty, *resolution.daily[4:])
    readout = replace(base, metrics={**base.metrics, "resolution": replace(resolution, daily=daily)})
    spec = readout_charts(readout)["daily:resolution"].spec
    assert len(rows_of(spec, "day")) == 13
    domain = next(layer for layer in layers_of(spec) if "x" in layer["encoding"])["encoding"]["x"]["scale"][
        "domain"
    ]
    assert empty.day in domain


def test_the_path_has_both_sides_and_dashes_what_is_to_come() -> None:
    chart = ALL["rich looks:treatment"]
    boundary = rows_of(chart, "side")
    past = {(row["side"], row["Look"]) for row in boundary if row.get("time") == "past"}
    future = {(row["side"], row["Look"]) for row in boundary if row.get("time") == "to come"}
    assert past == {(side, look) for side in ("good", "bad") for look in "12"}
    # The last look taken belongs to both, so that the lines meet.
    assert future == {(side, look) for side in ("good", "bad") for look in "234"}
    for row in boundary:
        if "Look" in row:
            critical = examples.rich().paths[0].looks[int(row["Look"]) - 1].critical_z
            assert row["z"] == (critical if row["side"] == "good" else -critical)
    assert [row["z"] for row in rows_of(chart, "Seen")] == [1.31, 2.77]


def test_a_trial_that_stopped_has_nothing_dashed_but_its_end() -> None:
    boundary = rows_of(ALL["stopped looks:treatment"], "time")
    assert {row["Look"] for row in boundary if row["time"] == "to come"} == {"3"}


def test_a_bandit_shows_the_weights_it_gave_and_the_shares_that_came() -> None:
    rows = rows_of(ALL["adapting allocation"], "weight")
    assert [(row["epoch"], row["weight"]) for row in rows[3:6]] == [(1, 5.0), (1, 90.0), (1, 5.0)]
    assert [row["came"] for row in rows[3:6]] == pytest.approx([61 / 12, 90, 59 / 12])
    # Nobody has come in the last epoch, which is not a share of zero.
    assert [row["came"] for row in rows[6:]] == [None] * 3


def test_shares_stand_against_what_was_promised_or_say_that_nothing_was() -> None:
    rows = rows_of(ALL["rich balance"], "share")
    assert [row["share"] for row in rows] == pytest.approx([2996 / 60.08, 3012 / 60.08])
    assert [row["expected"] for row in rows] == [50.0, 50.0]
    assert "promised" in ALL["rich balance"].reading
    assert "nothing to hold the shares against" in ALL["poor balance"].reading


def test_names_from_the_data_are_data_and_never_expressions() -> None:
    for chart in readout_charts(examples.hostile()).values():
        spec = json.loads(json.dumps(chart.spec))
        spec.pop("datasets")
        for layer in spec["layer"]:
            for channel in layer["encoding"].values():
                if isinstance(channel, dict):
                    channel.pop("sort", None)
                    channel.get("scale", {}).pop("domain", None)
        assert examples.HOSTILE not in json.dumps(spec, ensure_ascii=False)


def test_win_rates_stand_against_an_even_duel() -> None:
    (row,) = rows_of(ALL["gated pairs"], "outcome")
    assert (row["low"], row["value"], row["high"]) == pytest.approx((69.3, 76.25, 82.0))
    assert row["outcome"] == "better"
    assert {"reference": 50.0} in rows_of(ALL["gated pairs"], "reference")


def test_ratings_stand_against_the_mean_variant() -> None:
    rows = rows_of(ALL["ranked ranking"], "outcome")
    assert [row["outcome"] for row in rows] == ["better", "unclear", "worse"]
    assert {"reference": 1000.0} in rows_of(ALL["ranked ranking"], "reference")
