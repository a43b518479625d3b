"""Small definitions to simulate: one a kind of metric, so small that hundreds of them take seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.analysis.event_logs import experiment

from promptarena.definitions.experiment import Experiment

METRICS: Final = """metrics:
  resolved: {rate: resolved}
  rating: {mean: rating, absent: missing}
  adjusted: {mean: score, absent: zero, covariate: score_before}
  spent: {sum: spent, better: lower}
  questions: {count: question, better: lower}
  cost_per_resolved: {ratio: {of: cost_usd, over: resolved}, better: lower}
"""
DESIGNS: Final = {
    "rate": ("resolved", "{expected: 0.6, mde: 0.1, looks: [0.5, 1]}"),
    "mean": ("rating", "{expected: 3.8, sd: 1.1, mde: 0.2, looks: [0.5, 1]}"),
    "mean with a covariate": ("adjusted", "{expected: 3.8, sd: 1.1, mde: 0.2, looks: [0.5, 1]}"),
    "sum": ("spent", "{expected: 2, sd: 1.5, mde: 15%, looks: [0.5, 1]}"),
    "count": ("questions", "{expected: 3, sd: 2, mde: 15%, looks: [0.5, 1]}"),
    "ratio": ("cost_per_resolved", "{expected: 0.2, sd: 0.15, mde: 0.03, looks: [0.5, 1]}"),
    "quantile": ("latency_p95", "{expected: 2000, sd: 2100, mde: 500, looks: [0.5, 1]}"),
    "non-inferiority": (
        "{metric: resolved, test: non-inferiority, margin: 0.1}",
        "{expected: 0.6, looks: [0.5, 1]}",
    ),
}
"""Primary and design by what is special about it; all need some 600 to 1,000 units."""


def design(folder: Path, kind: str, **replaced: str) -> Experiment:
    """An experiment of one kind; further lines of the definition replace those it has."""
    primary, planned = DESIGNS[kind]
    text = (
        "experiment: cites\nfeature: support-bot\nunit: conversation\n"
        "variants: {control: {}, treatment: {temperature: 0.5}}\n"
    )
    # The metrics go last, so that a replaced line cannot part them.
    lines = {"primary": primary, "design": planned} | replaced
    folder.mkdir(parents=True, exist_ok=True)
    return experiment(folder, text, **lines, metrics=METRICS.removeprefix("metrics:").rstrip())
