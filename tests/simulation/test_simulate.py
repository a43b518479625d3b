"""Simulated experiments keep what their design promises, and are the same for a seed whoever does the work."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.calibration import Bound, Calibration
from tests.simulation.designs import DESIGNS, design

from promptarena.definitions.quantities import Margin
from promptarena.definitions.simulated import Simulation
from promptarena.errors import UsageError
from promptarena.simulation.simulate import Asked, simulate


def _simulate(
    folder: Path, kind: str, experiments: int, *, asked: Asked | None = None, **lines: str
) -> Simulation:
    experiment = design(folder, kind, **lines)
    return simulate(experiment, asked or Asked(experiments=experiments, seed=5, workers=1))


def test_the_same_seed_gives_the_same_answer_whoever_does_the_work(tmp_path: Path) -> None:
    experiment = design(tmp_path, "rate")
    done: list[tuple[int, int]] = []

    def noted(*progress: int) -> None:
        done.append((progress[0], progress[1]))

    answers = [
        simulate(experiment, Asked(experiments=14, seed=seed, workers=workers), noted)
        for seed, workers in ((5, 1), (5, 2), (6, 1))
    ]
    assert answers[0] == answers[1]
    assert answers[0].scenarios != answers[2].scenarios
    assert done[-1] == (28, 28)
    assert [progress for progress, _ in done[:4]] == [10, 14, 24, 28]


def test_few_without_effect_ship_and_most_with_the_planned_one_do(tmp_path: Path) -> None:
    null, effect = _simulate(tmp_path, "rate", 100).scenarios
    assert null.figure("false_ship").kept
    assert null.figure("false_rollback").kept
    assert effect.figure("power").value == pytest.approx(0.8, abs=0.13)
    assert effect.figure("units").value < null.figure("units").value
    assert effect.figure("coverage").kept
    assert sum(stop.share for stop in effect.stops) == pytest.approx(1)


@pytest.mark.parametrize("kind", [kind for kind in DESIGNS if kind != "rate"])
def test_every_kind_of_metric_goes_through(tmp_path: Path, kind: str) -> None:
    null, effect = _simulate(tmp_path, kind, 12).scenarios
    assert null.figure("false_ship").value <= 3 / 12
    assert effect.figure("power").value >= 5 / 12


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("rate", {"guardrails": "[{metric: latency_p95, margin: 600}, {metric: error_rate, margin: 0.2}]"}),
        ("mean with a covariate", {"segments": "[tier]"}),
        ("count", {}),
        ("ratio", {}),
    ],
)
def test_an_event_log_of_the_same_units_has_the_same_verdict(
    tmp_path: Path, kind: str, lines: dict[str, str]
) -> None:
    asked = Asked(experiments=2, seed=5, workers=1, logged=1)
    for scenario in _simulate(tmp_path, kind, 2, asked=asked, **lines).scenarios:
        assert scenario.through_log == (1, 1)


def test_large_harm_is_rolled_back_between_looks(tmp_path: Path) -> None:
    asked = Asked(experiments=10, seed=5, workers=1, effects={"resolved": (Margin(value=0.3), True)})
    _, harmed = _simulate(tmp_path, "rate", 10, asked=asked).scenarios
    assert harmed.key == "asked"
    assert harmed.figure("rollback").value > 0.8
    assert harmed.figure("false_ship").value == 0
    assert harmed.figure("days").value < 15
    assert {stop.when: stop.share for stop in harmed.stops}["between looks"] > 0.5


def test_a_guardrail_that_is_broken_keeps_a_good_change_from_shipping(tmp_path: Path) -> None:
    asked = Asked(
        experiments=30,
        seed=5,
        workers=1,
        effects={"resolved": (Margin(value=0.1), False), "rating": (Margin(value=0.5), True)},
    )
    rail = "[{metric: rating, margin: 0.25}]"
    _, broken = _simulate(tmp_path, "rate", 30, asked=asked, guardrails=rail).scenarios
    assert broken.figure("ship").value <= 0.1


def test_of_several_treatments_only_the_first_has_the_effect(tmp_path: Path) -> None:
    three = "{control: {}, warm: {temperature: 0.5}, hot: {temperature: 0.9}}"
    null, effect = _simulate(tmp_path, "rate", 30, variants=three).scenarios
    assert null.figure("false_ship").kept
    assert effect.figure("power").value > 0.6
    assert effect.figure("wrong_ship").kept


def test_a_plan_that_is_too_small_for_any_verdict_is_told(tmp_path: Path) -> None:
    small = "{expected: 3, sd: 1, mde: 20%}"
    simulation = _simulate(tmp_path, "count", 4, design=small)
    assert simulation.scenarios[1].figure("unfinished").value == 1
    assert any("200 observed values" in note for note in simulation.notes)


def test_a_burn_in_only_makes_it_longer(tmp_path: Path) -> None:
    design_line = DESIGNS["rate"][1].replace("looks", "burn_in: 3d, looks")
    plain = _simulate(tmp_path / "plain", "rate", 20).scenarios[1].figure("days").value
    burnt = _simulate(tmp_path / "burnt", "rate", 20, design=design_line).scenarios[1].figure("days").value
    assert plain < burnt < plain + 10


@pytest.mark.parametrize(
    ("asked", "lines", "message"),
    [
        (Asked(experiments=1), {}, "no Monte-Carlo error"),
        (Asked(seed=-1), {}, "seed"),
        (Asked(missing=1.0), {}, "without a value"),
        (Asked(logged=-1), {}, "0 or more"),
        (Asked(logged=1), {"unit": "team"}, "without a log"),
        (Asked(correlation=1.0), {}, "correlation"),
        (Asked(effects={"rating": (Margin(value=1), False)}), {}, "neither the primary nor a guardrail"),
        (Asked(effects={"resolved": (Margin(value=0.5), False)}), {}, "rate of 1.1"),
        (Asked(), {"design": "{expected: 0.6, looks: [0.5, 1]}"}, "effect to look for"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    tmp_path: Path, asked: Asked, lines: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        _simulate(tmp_path, "rate", 2, asked=asked, **lines)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DESIGNS)
def test_promises_of_every_kind_of_design(tmp_path: Path, kind: str, calibration: Calibration) -> None:
    _record(calibration, kind, _simulate(tmp_path, kind, 1_000))


@pytest.mark.slow
def test_promises_with_guardrails_segments_and_treatments(tmp_path: Path, calibration: Calibration) -> None:
    rails = "[{metric: rating, margin: 0.25}, {metric: latency_p95, margin: 10%}]"
    guarded = _simulate(tmp_path / "guarded", "rate", 1_000, guardrails=rails, segments="[device, tier]")
    _record(calibration, "rate, 2 guardrails, 2 segments", guarded)
    for scenario in guarded.scenarios:
        above = scenario.figure("above")
        assert calibration.record(
            "Simulated experiments, from units to verdict",
            f"rate, 2 guardrails, 2 segments: {scenario.title[0].lower()}{scenario.title[1:]}",
            above.title,
            nominal=0.5,
            observed=above.value,
            runs=scenario.experiments,
            seed=guarded.seed,
        ).kept
    three = "{control: {}, warm: {temperature: 0.5}, hot: {temperature: 0.9}}"
    _record(calibration, "rate, 2 treatments", _simulate(tmp_path / "three", "rate", 1_000, variants=three))


def _record(calibration: Calibration, kind: str, simulation: Simulation) -> None:
    for scenario in simulation.scenarios:
        for figure in scenario.figures:
            if figure.promised is None:
                continue
            bound: Bound = "at most" if figure.bound == "at most" else "about"
            # A look at the end of a whole week comes with more units than planned: power may be higher.
            slack = 0.06 if figure.key == "power" else 0.01 if figure.key == "coverage" else 0.0
            row = calibration.record(
                "Simulated experiments, from units to verdict",
                f"{kind}: {scenario.title[0].lower()}{scenario.title[1:]}",
                figure.title,
                nominal=figure.promised,
                observed=figure.value,
                runs=scenario.experiments,
                seed=simulation.seed,
                bound=bound,
                slack=slack,
            )
            assert row.kept, figure
