"""A project on disk with a running experiment, and processes that use it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from promptarena.definitions.clock import SystemClock
from promptarena.definitions.project import load_project
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.storage.registry.registry import open_registry
from promptarena.wiring import registry_of

_ARENA = """
providers: {openai: {base_url: http://127.0.0.1:9/v1, key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: sim-small, system: Be helpful.}
"""
_EXPERIMENT = """
experiment: cites
feature: support-bot
unit: conversation
variants: {control: {}, treatment: {system: Cite the policy.}}
metrics: {resolution: {rate: resolved}}
primary: resolution
rollout:
  - {stage: offline, skip: a test}
  - {stage: shadow, skip: a test}
  - {stage: canary, skip: a test}
  - {stage: ab, traffic: 100%}
"""


def started_project(folder: Path, *, traffic: str = "100%") -> Path:
    """A project whose experiment takes so much of the traffic."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "arena.yaml").write_text(_ARENA)
    (folder / "cites.yaml").write_text(_EXPERIMENT.replace("100%", traffic))
    with open_registry(registry_of(load_project(folder))) as registry:
        Lifecycle(registry, SystemClock(), "tester").start(folder / "cites.yaml")
    return folder


def lifecycle_move(folder: Path, move: str) -> None:
    """A transition by somebody else."""
    with open_registry(registry_of(load_project(folder))) as registry:
        getattr(Lifecycle(registry, SystemClock(), "tester"), move)("cites", reason="a test")


def python(folder: Path, script: str) -> subprocess.Popen[str]:
    """A process of its own that runs a script in the project's folder."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    """What it printed; it must have ended well."""
    try:
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:  # it hangs, and its children with it
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, err
    return out
