"""What an experiment is about, in words for whoever meets its readout without having seen its definition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from promptarena.definitions.readout import Readout

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment
    from promptarena.definitions.variant import Settings

__all__ = ["declared_words", "with_declared"]

_LONGEST: Final = 200
"""Characters of a setting that are shown: of a prompt, its beginning."""


def with_declared(readout: Readout, experiment: Experiment) -> Readout:
    """The same readout, saying what was asked and what was tried."""
    return replace(readout, declared=declared_words(experiment))


def declared_words(experiment: Experiment) -> tuple[tuple[str, str], ...]:
    """Label and text: the hypothesis, who is compared on what, and what each treatment changes."""
    control, *treatments = experiment.variants
    asked = (("Question", experiment.hypothesis),) if experiment.hypothesis else ()
    changes = tuple(
        (variant.name, "; ".join(_changes(control.settings, variant.settings)) or "the same settings")
        for variant in treatments
    )
    return (*asked, ("Units", f"each {experiment.unit} of {experiment.feature}"), *changes)


def _changes(before: Settings, after: Settings) -> Iterator[str]:
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield f"{name} {_shown(new)}, where control has {_shown(old)}"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if not isinstance(value, str):
        return str(value)
    text = " ".join(value.split())
    return f'"{text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."}"'
