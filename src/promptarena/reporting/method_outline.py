"""Which method gave each number, and why that one: a sentence each, for somebody who is no statistician."""

from __future__ import annotations

from typing import Final

from promptarena.definitions.readout import IntervalKind, MetricReadout, Readout
from promptarena.reporting.outline import Depth, Section

__all__ = ["interval_sentences", "methods_section"]

_INTERVALS: Final[dict[IntervalKind, str]] = {
    "fixed": (
        "for data that is read once, at the end: looking again and again makes it wrong more often than"
        " it says"
    ),
    "repeated": (
        "repeated interval: wider than usual by as much as the boundary of this look asks for, so that"
        " the intervals of all looks together hold the truth as often as they say, whichever look one"
        " stops at"
    ),
    "always-valid": (
        "always-valid interval: between looks anybody may look on any day, so it is made to hold the"
        " truth on all days together; the price is about half again the width"
    ),
    "stage-wise": (
        "who stops because a difference looks large has caught it at its largest, so outcomes are ordered"
        " by the look at which they stopped; the estimate is then too high as often as too low"
    ),
}
_METHODS: Final = {
    "score test": (
        "Score test: asks how surprising the data would be if there were no difference (or just the"
        " margin), with the spread that rates have in that case. The spread that was observed is too small"
        " just where rare events happen to be absent."
    ),
    "unpooled normal": (
        "Normal interval of rates: difference plus and minus a multiple of its standard error, each"
        " variant with its own spread; good from 10 events and 10 non-events a variant on."
    ),
    "Newcombe": (
        "Newcombe's interval: joins the score intervals of both rates, because with few events the normal"
        " interval is too short."
    ),
    "Welch's t": (
        "Welch's t: each variant has its own spread and its own number of units; units are counted, never"
        " rows."
    ),
    "delta method": (
        "Delta method: a ratio of sums moves with its numerator and its denominator, which go together"
        " within a unit; both are taken into account, with units as the sample."
    ),
    "Woodruff": (
        "Woodruff's error of a quantile: how uncertain the share of values below it is, turned into the"
        " metric's unit; units are clusters, because values of one unit resemble one another."
    ),
    "(CUPED)": (
        "CUPED: what was known of units before their exposure explains part of how they differ; variants"
        " differ in it by chance only, and that part is taken off. It narrows intervals and moves no true"
        " effect."
    ),
    "prediction-powered": (
        "Prediction-powered: the judge scores everybody, people label some; the labels measure by how"
        " much the judge is off and correct it, so a wrong judge costs precision, not truth."
    ),
    "propensity": (
        "Weighted by propensity: weights that follow outcomes favour whoever looks good by luck, so each"
        " unit counts by how likely it was to get its variant."
    ),
}


def interval_sentences(readout: Readout) -> tuple[str, ...]:
    """For when the intervals hold: the primary's, then the others' where they differ."""
    said: dict[IntervalKind, list[str]] = {}
    for metric in sorted(readout.metrics.values(), key=lambda metric: metric.name != readout.primary):
        for comparison in metric.comparisons.values():
            names = said.setdefault(comparison.interval_kind, []) if comparison.interval else []
            if metric.name not in names:
                names.append(metric.name)
    who = {
        kind: f"Interval of {', '.join(names)}" if len(said) > 1 else "Intervals"
        for kind, names in said.items()
    }
    # After a stop the path says of which look the interval is.
    stopped = [path.interval_label for path in readout.paths if path.interval is not None]
    return tuple(
        f"{name}: {stopped[0] + ': ' if kind == 'stage-wise' and stopped else ''}{_INTERVALS[kind]}."
        for kind, name in who.items()
    )


def methods_section(metrics: list[MetricReadout]) -> Section:
    """Each metric's method, and what the words in it mean."""
    methods = {
        metric.name: "; ".join(dict.fromkeys(comparison.method for comparison in metric.comparisons.values()))
        for metric in metrics
    }
    told = " ".join(methods.values())
    return Section(
        key="methods",
        title="Methods",
        facts=tuple(methods.items()),
        bullets=tuple(sentence for word, sentence in _METHODS.items() if word in told),
        depth=Depth.FOLDED,
    )
