"""Which models answered control's calls: a provider may exchange one without a word, but for its name."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from promptarena.analysis.engine_words import DAY
from promptarena.analysis.event_tables import EventTables
from promptarena.definitions.readout import Check
from promptarena.storage.warehouse import fetch

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["answers_check"]

_FIRST_DAY: Final = date(1970, 1, 1)
_NAME: Final = "answering model"
_NAMED: Final = 3
_SHARE: Final = 0.2
"""Of the calls since it came, from which on a model that was not there before is told."""


def answers_check(
    tables: EventTables, experiment: Experiment, control: str, started: datetime | None = None
) -> tuple[Check, ...]:
    """Models and fingerprints that answered calls served by control, and which of them came later.

    Args:
        tables: what is known.
        experiment: the running definition.
        control: its control.
        started: calls before do not count.

    Returns:
        Nothing where no call says that control served it.
    """
    calls = tables.generations
    served = calls.filter(
        calls.role == "served", calls.experiment == experiment.name, calls.variant == control
    )
    if started is not None:
        served = served.filter(served.ts >= started)
    day = (tables.words.microseconds(served.ts) // DAY).cast("int32")
    named = served.select(day=day, model=served.model_answered, fingerprint=served.system_fingerprint)
    counted = named.group_by(["day", "model", "fingerprint"]).aggregate(calls=named.count())
    seen: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    total: dict[date, int] = defaultdict(int)
    for line in fetch(counted).to_pylist():
        if line["model"] is None and line["fingerprint"] is None:
            continue
        when = _FIRST_DAY + timedelta(days=line["day"])
        seen[_called(line["model"], line["fingerprint"])][when] += line["calls"]
        total[when] += line["calls"]
    return (_check(control, seen, total),) if total else ()


def _called(model: str | None, fingerprint: str | None) -> str:
    name = model or "a model without a name"
    return name if fingerprint is None else f"{name} ({fingerprint})"


def _check(control: str, seen: dict[str, dict[date, int]], total: dict[date, int]) -> Check:
    began = min(total)
    came: list[tuple[date, str]] = []
    for name, by_day in seen.items():
        first = min(by_day)
        since = sum(calls for day, calls in total.items() if day >= first)
        if first > began and sum(by_day.values()) >= _SHARE * since:
            came.append((first, name))
    there = [name for name, by_day in seen.items() if min(by_day) == began]
    # Of many fingerprints of one model, those that answered most.
    there = sorted(there, key=lambda name: -sum(seen[name].values()))
    at_first = ", ".join(there[:_NAMED]) + (" and others" if len(there) > _NAMED else "")
    numbers: dict[str, float | int | None] = {
        name: sum(by_day.values()) for name, by_day in sorted(seen.items())
    }
    if not came:
        text = f"{control} was answered by {at_first} from the first day to the last"
        return Check(name=_NAME, passed=True, variant=control, text=text, numbers=numbers)
    changes = "; ".join(f"{name} since {day.isoformat()}" for day, name in sorted(came))
    text = (
        f"{control} was answered by {at_first} at first, and then by others: {changes}; the effect is an"
        " average over before and after"
    )
    return Check(name=_NAME, passed=False, variant=control, text=text, numbers=numbers)
