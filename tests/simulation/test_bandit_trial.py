"""Simulated bandits: traffic goes to the better variant, and no promise of the readout is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.calibration import Calibration
from tests.simulation.designs import design

from promptarena.definitions.simulated import Simulation
from promptarena.errors import UsageError
from promptarena.reporting.json import to_json
from promptarena.reporting.simulation_outline import outline_simulation
from promptarena.simulation.simulate import Asked, simulate

BANDIT = "{bandit: thompson, min_share: 10%, burn_in: 200}"
DESIGN = "{expected: 0.6, mde: 0.1, max_days: 28}"


def _simulate(folder: Path, experiments: int, kind: str = "rate", **lines: str) -> Simulation:
    said = {"allocation": BANDIT, "design": DESIGN} | lines
    return simulate(design(folder, kind, **said), Asked(experiments=experiments, seed=7, workers=1))


def test_traffic_follows_the_effect_and_the_promises_are_kept(tmp_path: Path) -> None:
    null, effect = _simulate(tmp_path, 20).scenarios
    assert effect.figure("on_best").value > 0.58
    assert effect.figure("ship").value > 0.2
    assert {figure.key for figure in null.figures} >= {
        "false_ship",
        "type_i_error",
        "false_rollback",
        "misses",
    }
    for scenario in (null, effect):
        assert scenario.stops == ()
        assert all(figure.kept is not False for figure in scenario.figures), scenario.figures
    # Without an effect it goes on to its declared end, and no variant is the best.
    assert null.figure("hold").value == 1
    assert "Ended at" not in str(outline_simulation(_simulate(tmp_path, 2)))
    assert "on_best" not in {figure.key for figure in null.figures}
    assert "power" not in {figure.key for figure in effect.figures}


def test_several_treatments_means_and_a_guardrail_go_through_it(tmp_path: Path) -> None:
    three = "{control: {}, warm: {temperature: 0.5}, hot: {temperature: 0.9}}"
    rail = "[{metric: resolved, margin: 0.2}]"
    line = "{expected: 3.8, sd: 1.1, mde: 0.4, max_days: 28}"
    for name, kind in (("mean", "mean"), ("quantile rail", "mean")):
        rails = rail if name == "mean" else "[{metric: latency_p95, margin: 30%}]"
        simulation = _simulate(tmp_path / name, 6, kind, design=line, variants=three, guardrails=rails)
        assert simulation.scenarios[1].figure("on_best").value > 0.35


def test_the_same_seed_gives_the_same_answer_on_several_processes(tmp_path: Path) -> None:
    declared = design(tmp_path, "rate", allocation=BANDIT, design=DESIGN)
    one, two = (simulate(declared, Asked(experiments=12, seed=3, workers=n)) for n in (1, 2))
    assert to_json(one) == to_json(two)


def test_a_bandit_is_simulated_without_a_log(tmp_path: Path) -> None:
    declared = design(tmp_path, "rate", allocation=BANDIT, design=DESIGN)
    with pytest.raises(UsageError, match="without a log"):
        simulate(declared, Asked(experiments=2, workers=1, logged=1))


def test_interleaving_is_not_simulated(tmp_path: Path) -> None:
    lists = {"unit": "request", "interleave": "team-draft", "design": "{expected: 0.6, mde: 0.1}"}
    declared = design(tmp_path, "rate", **lists)
    with pytest.raises(UsageError, match="interleaving shows"):
        simulate(declared, Asked(experiments=2, workers=1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["thompson", "top-two"])
def test_promises_of_a_bandit(tmp_path: Path, kind: str, calibration: Calibration) -> None:
    simulation = _simulate(tmp_path, 1_000, allocation=BANDIT.replace("thompson", kind))
    for scenario in simulation.scenarios:
        for figure in scenario.figures:
            if figure.promised is not None:
                assert calibration.record(
                    "Simulated bandits, from units to verdict", f"rate, {kind}, {scenario.key}", figure.title,
                    nominal=figure.promised, bound=figure.bound, observed=figure.value, runs=1_000, seed=7,
                ).kept  # fmt: skip
    best = simulation.scenarios[1].figure("on_best")
    assert np.isfinite(best.error)
    if kind == "thompson":
        assert best.value > 0.55
    else:  # of two arms, the top two are both: each has a half
        assert abs(best.value - 0.5) < 4 * best.error
