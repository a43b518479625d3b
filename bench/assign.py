"""One assignment in this process, beside a bare SHA-256 of the same bytes and GrowthBook's Python SDK.

GrowthBook is installed into an environment of its own, in a temporary folder; where that fails the claim
fails. It evaluates one feature with one experiment of two variants on 100% of traffic, as ours does, for
prepared attributes, in one instance that is reused and tracks nothing: the quickest of its documented ways.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from bench.claim import Claim, take_turns
from promptarena.assignment.allocation import Allocation
from promptarena.assignment.bucketing import experiment_salt
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.layers import WHOLE, Slot
from promptarena.assignment.router import Router
from promptarena.assignment.running import RunningExperiment
from promptarena.definitions.analysis_plan import Design, Primary
from promptarena.definitions.eligibility import Condition
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.variant import Settings, Variant

_PEER = "growthbook>=4,<5"
_CALLS = 20_000
_EXPERIMENT, _FEATURE = "support-cites-policy", "support-bot"
_IDS = [f"conversation-{number:08d}" for number in range(_CALLS)]
_UNITS = [{"conversation": unit} for unit in _IDS]
_ATTRIBUTES = {"tier": "free", "country": "DE", "device": "mobile"}
_ELIGIBLE = {
    "tier": Condition.model_validate(["free", "plus"]),
    "cohort": Condition.model_validate({"not": "internal"}),
}
_PARTS = Slot(((0, 4000),)), Slot(((4000, 10_000),))

# Answers each line on its input with how many of the calls gave the treatment.
_PEER_PROGRAM = f"""
import sys
from growthbook import GrowthBook
rule = {{"key": "{_EXPERIMENT}", "variations": ["control", "treatment"], "weights": [0.5, 0.5], "coverage": 1,
        "hashAttribute": "conversation", "hashVersion": 2}}
peer = GrowthBook(features={{"{_FEATURE}": {{"defaultValue": "control", "rules": [rule]}}}})
attributes = [{{"conversation": f"conversation-{{number:08d}}"}} for number in range({_CALLS})]
for line in sys.stdin:
    treated = 0
    for unit in attributes:
        peer.set_attributes(unit)
        treated += peer.eval_feature("{_FEATURE}").value == "treatment"
    print(treated, flush=True)
"""


def run() -> Iterator[Claim]:
    """Time whole loops by turns."""
    salt = experiment_salt(_EXPERIMENT)
    salted = [salt + unit.encode() for unit in _IDS]
    name = f"assign, {_CALLS:,} units"

    def floor() -> None:
        for one in salted:
            sha256(one).digest()

    ours = _loop(_router())
    yield take_turns(name, ours, floor, other_name="bare SHA-256", target=4.0, rounds=25)
    told = {
        "two eligibility rules": _loop(_router(eligibility=_ELIGIBLE), _ATTRIBUTES),
        "two experiments in a layer": _loop(_router(slots=_PARTS)),
    }
    for what, action in told.items():
        yield take_turns(f"{name}, {what}", action, floor, other_name="bare SHA-256", target=None, rounds=25)
    yield _beside_growthbook(name, ours)


def _loop(router: Router, attributes: Mapping[str, str] | None = None) -> Callable[[], None]:
    def plain() -> None:
        assign = router.assign
        for unit in _UNITS:
            assign(_FEATURE, unit)

    def with_attributes() -> None:
        assign = router.assign
        for unit in _UNITS:
            assign(_FEATURE, unit, attributes or {})

    return plain if attributes is None else with_attributes


def _beside_growthbook(name: str, ours: Callable[[], None]) -> Claim:
    target = 1 / 7
    try:
        with _peer() as ask:
            treated = ask()
            assert 0.45 < treated / _CALLS < 0.55, f"the peer does not split in halves: {treated}"
            return take_turns(name, ours, ask, other_name="GrowthBook 4", target=target, rounds=9)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        said = error.stderr.strip()[-500:] if isinstance(error, subprocess.CalledProcessError) else ""
        print(f"  GrowthBook could not be run: {error} {said}", flush=True)
        return Claim(name, "-", "GrowthBook 4 not installed", math.inf, target)


@contextmanager
def _peer() -> Iterator[Callable[[], int]]:
    """A process that runs the peer's loop when it is asked, and says how many were treated."""
    with tempfile.TemporaryDirectory(prefix="promptarena-bench-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder, "bin", "python"))
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _PEER]
        subprocess.run(install, check=True, capture_output=True, text=True)
        command = [python, "-c", _PEER_PROGRAM]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            asked, answers = _pipes(process)

            def ask() -> int:
                asked.write("go\n")
                asked.flush()
                return int(answers.readline())

            yield ask
            asked.close()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _router(eligibility: dict[str, Condition] | None = None, slots: tuple[Slot, ...] = (WHOLE,)) -> Router:
    baseline = Settings(provider="openai", model="gpt-4o-mini", system="Be helpful.")
    changed = baseline.changed({"system": "Cite the policy."})
    running = [
        RunningExperiment(
            definition=Experiment(
                file=Path("experiment.yaml"),
                name=_EXPERIMENT if at == 0 else f"another-{at}",
                feature=_FEATURE,
                hypothesis=None,
                unit="conversation",
                eligibility=eligibility or {},
                variants=(
                    Variant(name="control", weight=0.5, settings=baseline),
                    Variant(name="treatment", weight=0.5, settings=changed),
                ),
                metrics=(),
                declared=(),
                primary=Primary(metric="resolution"),
                guardrails=(),
                secondary=(),
                segments=(),
                design=Design(),
                rollout=None,
                monitors=(),
                monitored=(),
            ),
            stage="ab",
            traffic=1.0,
            allocation=Allocation({"control": 0.5, "treatment": 0.5}),
            slot=slot,
        )
        for at, slot in enumerate(slots)
    ]
    return Router(Configuration({_FEATURE: baseline}, running))
