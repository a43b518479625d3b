"""Small event logs written by hand, as tables of an engine: for tests of what is read from a log."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from promptarena.analysis.event_tables import EventTables
from promptarena.definitions.events import Event, Exposure, Generation, Kind, Measurement
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.storage.arrow_schema import events_to_table

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""

_PROJECT = """
providers: {openai: {base_url: "https://api.example/v1", key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: small, temperature: 0.3}
  search: {provider: openai, model: small}
"""
_EXPERIMENT = """
experiment: cites
feature: support-bot
unit: conversation
variants: {control: {}, treatment: {temperature: 0.5}}
metrics: {resolved: {rate: resolved}}
primary: resolved
design: {expected: 0.6, mde: 0.05}
"""


def at(hours: float = 0, *, days: float = 0) -> datetime:
    """So long after the first midnight."""
    return MIDNIGHT + timedelta(days=days, hours=hours)


def experiment(folder: Path, text: str = _EXPERIMENT, **replaced: str) -> Experiment:
    """An experiment; `unit="user"` writes another line in place of `unit: ...`."""
    lines = text.strip().splitlines()
    kept = [line for line in lines if line.split(":")[0] not in replaced]
    folder.joinpath("arena.yaml").write_text(_PROJECT)
    file = folder / "cites.yaml"
    file.write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in replaced.items())]) + "\n")
    return load_experiment(file)


@dataclass
class Log:
    """Events in the order in which they were written; each is received a second after it happened."""

    of: Experiment
    events: list[Event] = field(default_factory=list)

    def expose(self, unit: str, hours: float, variant: str = "control", **fields: Any) -> None:
        """A unit meets a variant."""
        usual: dict[str, Any] = {
            "experiment": self.of.name,
            "definition_hash": self.of.content_hash,
            "stage": "ab",
            "epoch": 0,
            "variant": variant,
            "propensity": 0.5,
            "unit_kind": self.of.unit,
            "unit_id": unit,
        }
        self._add(Exposure, hours, usual | fields)

    def call(self, unit: str, hours: float, **fields: Any) -> None:
        """A model call of a unit, whose id it carries if there is a field for such."""
        usual: dict[str, Any] = {"request_id": uuid.uuid4().hex, "feature": self.of.feature}
        if (id_ := f"{self.of.unit}_id") in Generation.__struct_fields__:
            usual[id_] = unit
        self._add(Generation, hours, usual | fields)

    def measure(self, target: str, hours: float, name: str = "resolved", **fields: Any) -> None:
        """Something is observed of a target: by default, of a unit."""
        usual = {"name": name, "target": target, "target_kind": self.of.unit, "source": "code", "value": 1.0}
        self._add(Measurement, hours, usual | fields)

    def tables(self, backend: Any) -> EventTables:
        """The log as an engine's tables."""
        kinds: dict[Kind, type[Event]] = {
            "exposure": Exposure,
            "generation": Generation,
            "measurement": Measurement,
        }
        made = [
            stored(backend, kind, [event for event in self.events if isinstance(event, declared)])
            for kind, declared in kinds.items()
        ]
        return EventTables(backend, *made)

    def _add(self, declared: type[Event], hours: float, fields: dict[str, Any]) -> None:
        ts = at(hours)
        self.events.append(declared(**{"ts": ts, "received_at": ts + timedelta(seconds=1)} | fields))


def stored(backend: Any, kind: Kind, events: Sequence[Event]) -> Any:
    """Events as a table of an engine."""
    return backend.create_table(f"{kind}_{uuid.uuid4().hex}", events_to_table(kind, events))
