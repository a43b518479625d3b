"""Every interval says for when it holds, and every method what it does, in a sentence."""

from __future__ import annotations

from dataclasses import replace

from tests.reporting import examples

from promptarena.analysis.comparisons import _MEANS, _METHODS
from promptarena.definitions.readout import Readout
from promptarena.reporting.method_outline import interval_sentences, methods_section
from promptarena.reporting.readout_outline import outline_readout


def _with_kind(readout: Readout, kind: str) -> Readout:
    primary = readout.metrics[readout.primary]
    comparisons = {
        variant: replace(comparison, interval_kind=kind)  # type: ignore[arg-type]
        for variant, comparison in primary.comparisons.items()
    }
    metrics = {**readout.metrics, readout.primary: replace(primary, comparisons=comparisons)}
    return replace(readout, metrics=metrics)


def test_a_primary_that_was_looked_at_is_told_apart_from_metrics_that_are_read_once() -> None:
    readout = _with_kind(examples.rich(), "always-valid")
    first, others = interval_sentences(readout)
    assert first.startswith(f"Interval of {readout.primary}: always-valid interval: between looks anybody")
    assert "for data that is read once" in others
    assert first in (outline_readout(readout).sections[2].notes + outline_readout(readout).sections[1].notes)
    assert "too high as often as too low" in interval_sentences(_with_kind(readout, "stage-wise"))[0]
    assert "the boundary of this look" in interval_sentences(_with_kind(readout, "repeated"))[0]


def test_one_kind_for_all_is_said_once() -> None:
    assert len(interval_sentences(examples.rich())) == 1


def test_no_method_is_left_without_a_sentence() -> None:
    primary = examples.rich().metrics["resolution"]
    [comparison] = primary.comparisons.values()
    for method in (*_METHODS.values(), _MEANS, "difference of unit means, adjusted for x (CUPED)"):
        told = replace(primary, comparisons={"treatment": replace(comparison, method=method)})
        section = methods_section([told])
        assert section.facts == (("resolution", method),)
        assert section.bullets, method
