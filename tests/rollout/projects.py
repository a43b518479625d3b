"""Project files and evidence, as users would have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROJECT = """\
providers: {openai: {base_url: https://api.example/v1, key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: m-1, temperature: 0.3, system: Be helpful.}
  search: {provider: openai, model: m-1}
"""
EXPERIMENT = """\
experiment: cites
feature: support-bot
hypothesis: Citing helps.
unit: conversation
variants:
  control: {}
  treatment: {system: "file://cite.md"}
metrics:
  resolution: {rate: resolved, window: 24h}
  csat: {mean: rating}
primary: resolution
guardrails:
  - {metric: latency_p95, margin: 300}
secondary: [csat]
design: {expected: 0.6, mde: 0.05, alpha: 0.05}
segments: [device]
rollout:
  - {stage: offline, dataset: golden.jsonl, gate: {win_rate: {above: 0.5}}}
  - {stage: shadow, skip: "no tools"}
  - {stage: canary, traffic: 10%, for: 1d}
  - {stage: ab, traffic: 50%}
monitors:
  - {metric: error_rate, max: 0.01, window: 5m, action: rollback}
"""
ROLLOUT = EXPERIMENT[EXPERIMENT.index("rollout:") : EXPERIMENT.index("monitors:")]
AB_ONLY = """\
rollout:
  - {stage: offline, skip: "tried by hand"}
  - {stage: shadow, skip: "no tools"}
  - {stage: canary, skip: "small"}
  - {stage: ab, traffic: 100%}
"""


def write_project(folder: Path) -> None:
    (folder / "arena.yaml").write_text(PROJECT)
    (folder / "cites.yaml").write_text(EXPERIMENT)
    (folder / "cite.md").write_text("Be helpful. Cite the policy.\n")
    (folder / "golden.jsonl").write_text('{"id": "a", "input": "Where is my parcel?"}\n')


def edit(file: Path, *changes: tuple[str, str]) -> Path:
    """Replace texts of a file, each of which must be there."""
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)
    return file


def ab_only(folder: Path, name: str) -> Path:
    """Another experiment, which begins in its A/B stage."""
    file = folder / f"{name}.yaml"
    text = EXPERIMENT.replace("experiment: cites", f"experiment: {name}").replace(ROLLOUT, AB_ONLY)
    file.write_text(text)
    return file


def gate(folder: Path, status: str = "pass") -> Path:
    return _written(
        folder / "duel.json", {"duel": "cites", "gate": {"status": status, "reasons": ["win rate .61"]}}
    )


def verdict(folder: Path, status: str = "ship", experiment: str = "cites", **more: Any) -> Path:
    said = {
        "status": status,
        "reasons": ["z 2.77 against 2.24"],
        "variant": "treatment",
        "by_variant": {"treatment": status},
        "preregistered": True,
    }
    return _written(folder / "readout.json", {"experiment": experiment, "verdict": said | more})


def _written(file: Path, value: dict[str, Any]) -> Path:
    file.write_text(json.dumps(value))
    return file
