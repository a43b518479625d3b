"""A simulation's outline: what such experiments come to, each figure with its error and its promise."""

from __future__ import annotations

from collections.abc import Iterator

from promptarena.definitions.simulated import Figure, ScenarioReadout, Simulation
from promptarena.reporting.figures import count, digits, number, percent, written
from promptarena.reporting.outline import Cell, Column, Outline, Section, Table, Tone

__all__ = ["outline_simulation"]

_STATUS = {True: "as promised", False: "not as promised"}


def outline_simulation(simulation: Simulation) -> Outline:
    """Everything a simulation says."""
    broken = [
        figure for scenario in simulation.scenarios for figure in scenario.figures if figure.kept is False
    ]
    per_truth = simulation.scenarios[0].experiments
    return Outline(
        title=simulation.experiment,
        kind="Simulation of an experiment",
        status=_STATUS[not broken],
        tone=Tone.WARNING if broken else Tone.GOOD,
        headline="; ".join(_headlines(simulation)),
        meaning=_meaning(broken),
        action=_action(broken),
        facts=(
            ("Experiments", f"{count(per_truth)} of each truth, seed {simulation.seed}"),
            (
                "Planned",
                f"{count(simulation.planned_units)} {simulation.unit} units in"
                f" {count(simulation.planned_days)} days of cohorts",
            ),
        ),
        sections=(
            *(_scenario(scenario) for scenario in simulation.scenarios),
            Section(key="assumed", title="What was assumed", bullets=simulation.assumptions),
            *([Section(key="notes", title="Notes", bullets=simulation.notes)] if simulation.notes else []),
        ),
    )


def _headlines(simulation: Simulation) -> Iterator[str]:
    for scenario in simulation.scenarios:
        figure = scenario.figures[0]
        yield f"{figure.title} {_value(figure)} ({scenario.title[0].lower()}{scenario.title[1:]})"


def _meaning(broken: list[Figure]) -> str:
    through = "Made-up units went through the real cohorts, looks, guardrails and verdicts"
    if not broken:
        return f"{through}; every promise of the design is kept within three Monte-Carlo errors."
    names = ", ".join(dict.fromkeys(figure.title for figure in broken))
    return f"{through}; beyond three Monte-Carlo errors of the design's promise: {names}."


def _action(broken: list[Figure]) -> str:
    if not broken:
        return "Check what was assumed against past data; what differs there, say with --assume."
    short = [figure for figure in broken if figure.key == "power" and figure.value < (figure.promised or 0)]
    if short:
        return "Plan more units, or a larger effect: guardrails, segments and whole weeks ask for more."
    return "Check what was assumed; then raise --experiments to see whether it stays."


def _scenario(scenario: ScenarioReadout) -> Section:
    columns = (
        Column("Figure"),
        Column("Found", numeric=True),
        Column("Error", numeric=True),
        Column("Promised", numeric=True),
    )
    rows = tuple(_row(figure) for figure in scenario.figures)
    effects = ", ".join(f"{name} {written(effect)}" for name, effect in scenario.effects.items())
    ends = ", ".join(f"{stop.when} {percent(stop.share)}" for stop in scenario.stops)
    notes = [f"Ended at: {ends}."] if ends else []
    if scenario.through_log is not None:
        tried, agreed = scenario.through_log
        notes.append(f"{count(agreed)} of {count(tried)} came to the same verdict through an event log.")
    return Section(
        key=scenario.key,
        title=scenario.title,
        lead=f"True effect, in the metric's own unit: {effects}." if effects else "",
        table=Table(columns, rows),
        notes=tuple(notes),
    )


def _row(figure: Figure) -> tuple[Cell, ...]:
    mark = {True: "", False: "no", None: ""}[figure.kept]
    promised = "" if figure.promised is None else f"{figure.bound} {percent(figure.promised)}"
    return ((figure.title, figure.meaning), (_value(figure),), (_error(figure),), (promised, mark))


def _value(figure: Figure) -> str:
    return percent(figure.value, 2) if figure.share else number(figure.value, 1)


def _error(figure: Figure) -> str:
    return f"{number(figure.error * 100, 2)} points" if figure.share else digits(figure.error, 2)
