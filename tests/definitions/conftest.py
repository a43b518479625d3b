"""The project and experiment of the documentation, as files."""

from __future__ import annotations

from pathlib import Path

import pytest

# Word for word as documented, so that what is documented loads.
PROJECT = """\
# arena.yaml: the project
providers: {openai: {base_url: https://api.example/v1, key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: gpt-4o-mini, temperature: 0.3, system: Be helpful.}    # the baseline, versioned
content: {sample: 10%, retention: 30d, redact: [email, phone, card]}
"""

EXPERIMENT = """\
# experiments/support-cites-policy.yaml
experiment: support-cites-policy
feature: support-bot
hypothesis: Citing the policy raises resolution without slowing answers.
unit: conversation
variants:
  control: {}                                              # the baseline, frozen at start
  treatment: {system: file://prompts/cite_policy.md}       # what it does not say it inherits
metrics:                                                   # or names from metrics.yaml; built-ins carry their direction
  resolution:        {rate: resolved, window: 24h, better: higher}
  csat:              {mean: rating, better: higher, covariate: rating_before}
  cost_per_resolved: {ratio: {of: cost_usd, over: resolved}, better: lower}
primary: resolution                                        # or {metric: resolution, test: non-inferiority, margin: 2%}
guardrails:
  - {metric: latency_p95, margin: 300}                     # a plain number is in the metric's unit; % is relative, everywhere
  - {metric: cost_per_resolved, margin: 10%}
secondary: [csat]
design: {expected: 0.60, mde: 0.05, power: 0.8, alpha: 0.05, looks: [0.25, 0.5, 0.75, 1], spending: obrien-fleming, min_days: 7}
segments: [device, tier]
rollout:                                                   # a stage left out needs a `skip` with its reason
  - {stage: offline, dataset: golden/support.jsonl, judge: judges/support.yaml, gate: {win_rate: {above: 0.5}, axes: {accuracy: {margin: 0.1}}}}
  - {stage: shadow, traffic: 10%}
  - {stage: canary, traffic: 10%, for: 1d}
  - {stage: ab, traffic: 100%}
monitors:
  - {metric: error_rate, max: 0.001, window: 5m, consecutive: 2, action: rollback}
  - {metric: latency_p95, max: {of: stable_period, plus: 20%}, window: 5m, consecutive: 2, action: pause}
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def project_folder(tmp_path: Path) -> Path:
    """A project with the documentation's example as its experiment, and the files that it names."""
    write(
        tmp_path,
        {
            "arena.yaml": PROJECT,
            "experiments/support-cites-policy.yaml": EXPERIMENT,
            "experiments/prompts/cite_policy.md": "Cite the policy.\n",
            "experiments/golden/support.jsonl": '{"id": "a", "input": "Where is my parcel?"}\n',
            "experiments/judges/support.yaml": "rubric: {}\n",
        },
    )
    return tmp_path


@pytest.fixture
def experiment_file(project_folder: Path) -> Path:
    return project_folder / "experiments" / "support-cites-policy.yaml"
