"""A judge scores every unit and people label some: one estimate of both, from a table and from a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.analysis.event_logs import Log, at, experiment

from promptarena.analysis.log_readout import read_events
from promptarena.analysis.plan import plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.analysis.table_analysis import Flags, analyze_table
from promptarena.definitions.readout import Comparison, Readout
from promptarena.errors import DefinitionError, UsageError
from promptarena.stats.prediction_powered import AuditMoments, prediction_powered_difference
from promptarena.storage.warehouse import Warehouse

Column = np.ndarray[Any, np.dtype[Any]]


def drawn(n: int, share: float, seed: int = 1) -> tuple[Column, Column, Column, Column]:
    """Variant, the judge's score, people's label, and whether there is one."""
    rng = np.random.default_rng(seed)
    treated = np.arange(n) % 2
    truth = rng.normal(3 + 0.2 * treated, 1)
    # The judge is kind to the treatment, by half of the effect.
    score = truth + 0.1 * treated + rng.normal(0.4, 0.5, n)
    return treated, score, truth, rng.random(n) < share


def table(path: Path, n: int = 4_000, share: float = 0.1, **more: Column) -> Path:
    treated, score, truth, labelled = drawn(n, share)
    names = np.where(treated == 1, "treatment", "control")
    pq.write_table(
        pa.table(
            {
                "user": np.arange(n),
                "variant": names,
                "helpful": score,
                "label": pa.array(truth, mask=~labelled),
                **more,
            }
        ),
        path,
    )
    return path


def analyzed(path: Path, **flags: Any) -> Readout:
    return analyze_table(Flags(file=str(path), unit="user", variant="variant", means=("helpful",), **flags))


def compared(readout: Readout, metric: str = "helpful") -> Comparison:
    return readout.metrics[metric].comparisons["treatment"]


def test_a_tables_effect_is_that_of_prediction_powered_inference(tmp_path: Path) -> None:
    found = compared(analyzed(table(tmp_path / "t.parquet"), audits=("helpful=label",)))
    treated, score, truth, labelled = drawn(4_000, 0.1)
    arms = []
    for arm in (0, 1):
        own = treated == arm
        one, rest = own & labelled, own & ~labelled
        arms.append(AuditMoments.from_records(truth[one], score[one], score[rest]))
    expected = prediction_powered_difference(*arms)
    assert found.difference == pytest.approx(expected.value, rel=1e-9)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-9)
    assert (found.n_control, found.n_variant) == (2_000, 2_000)
    assert "prediction-powered" in found.method
    assert f"people labelled {labelled.sum()} of 4,000 units" in found.notes[0]


def test_the_judges_kindness_to_one_variant_is_taken_off(tmp_path: Path) -> None:
    path = table(tmp_path / "t.parquet", n=60_000)
    believed, audited = compared(analyzed(path)), compared(analyzed(path, audits=("helpful=label",)))
    assert believed.difference == pytest.approx(0.3, abs=0.03)
    assert audited.difference == pytest.approx(0.2, abs=0.05)
    assert believed.interval is not None
    assert (believed.interval[0] or 0) > 0.2


def test_rows_of_a_unit_are_rolled_up_before(tmp_path: Path) -> None:
    single = compared(analyzed(table(tmp_path / "t.parquet"), audits=("helpful=label",)))
    rows = pq.read_table(tmp_path / "t.parquet")
    pq.write_table(pa.concat_tables([rows, rows]), tmp_path / "twice.parquet")
    twice = compared(analyzed(tmp_path / "twice.parquet", audits=("helpful=label",)))
    assert twice.difference == pytest.approx(single.difference)
    assert twice.standard_error == pytest.approx(single.standard_error)


def test_too_few_labels_are_no_effect_and_are_counted(tmp_path: Path) -> None:
    # The primary is another metric: without one there would be no readout at all.
    path = table(tmp_path / "t.parquet", share=0.005, other=np.arange(4_000) % 7)
    readout = analyze_table(
        Flags(
            file=str(path),
            unit="user",
            variant="variant",
            means=("other", "helpful"),
            audits=("helpful=label",),
        )
    )
    found = compared(readout)
    assert found.difference is None
    assert "30 are needed" in found.notes[0]


def test_a_log_has_the_same_effect_as_a_table(tmp_path: Path) -> None:
    of = experiment(
        tmp_path,
        metrics="{resolved: {rate: resolved}, helpful: {mean: helpful, audited_by: helpful_label}}",
        secondary="[helpful]",
    )
    log = Log(of)
    treated, score, truth, labelled = drawn(400, 0.4)
    for unit in range(400):
        name, hours = f"c{unit}", 0.001 * unit
        log.expose(name, hours, "treatment" if treated[unit] else "control")
        log.measure(name, hours + 1, name="helpful", value=float(score[unit]), source="judge", evaluator="j")
        if labelled[unit]:
            log.measure(
                name,
                hours + 2,
                name="helpful_label",
                value=float(truth[unit]),
                source="human",
                evaluator="ana",
            )
    with Warehouse(ordered=False) as warehouse:
        readout = read_events(of, log.tables(warehouse.connection), as_of=at(days=9))
    names = np.where(treated == 1, "treatment", "control")
    pq.write_table(
        pa.table(
            {
                "user": np.arange(400),
                "variant": names,
                "helpful": score,
                "label": pa.array(truth, mask=~labelled),
            }
        ),
        tmp_path / "t.parquet",
    )
    expected = compared(analyzed(tmp_path / "t.parquet", audits=("helpful=label",)))
    found = compared(readout)
    assert found.difference == pytest.approx(expected.difference, rel=1e-9)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-9)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("{rate: resolved, audited_by: label}", "Labels audit a `mean`"),
        ("{mean: helpful, audited_by: helpful}", "not audited by its own scores"),
        ("{mean: helpful, audited_by: label, covariate: before}", "`covariate` or `audited_by`"),
    ],
)
def test_what_cannot_be_audited_is_refused_in_the_definition(tmp_path: Path, metric: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        experiment(tmp_path, metrics=f"{{resolved: {{rate: resolved}}, helpful: {metric}}}")


@pytest.mark.parametrize(
    ("written", "said"), [("helpful", "names no labels"), ("csat=label", "not one of the means.*--mean csat")]
)
def test_a_flag_that_names_no_mean_or_no_labels_is_refused(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        analyzed(table(tmp_path / "t.parquet", n=100), audits=(written,))


def test_a_plan_counts_the_labels_that_its_audited_primary_needs(tmp_path: Path) -> None:
    of = experiment(
        tmp_path,
        metrics="{helpful: {mean: helpful, audited_by: label}}",
        primary="helpful",
        design="{expected: 3, sd: 1, mde: 0.2, labelled: 10%, correlation: 0.8}",
    )
    found = plan(PlanRequest.from_analysis_plan(of.analysis_plan()))
    # 4 sd^2 (1 - r^2 (1 - share)) / share, over the squared effect in units of its quantiles.
    expected = 4 * (1 - 0.64 * 0.9) / 0.1 * ((1.959964 + 0.841621) / 0.2) ** 2
    assert found.total == pytest.approx(expected, abs=2)
    assert found.labels == pytest.approx(0.1 * expected, abs=1)


@pytest.mark.parametrize(
    ("design", "metric", "said"),
    [
        ("{sd: 1, mde: 0.2}", "{mean: helpful, audited_by: label}", "Add `labelled: 10%`"),
        ("{labelled: 10%}", "{mean: helpful}", "`helpful` is not audited by labels"),
        ("{correlation: 0.5}", "{mean: helpful}", "neither a covariate nor labels"),
    ],
)
def test_a_design_says_of_labels_what_its_primary_has(
    tmp_path: Path, design: str, metric: str, said: str
) -> None:
    with pytest.raises(DefinitionError, match=said):
        experiment(tmp_path, metrics=f"{{helpful: {metric}}}", primary="helpful", design=design)
