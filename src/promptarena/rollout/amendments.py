"""A file that is started again: what of it is frozen and differs, and what of it may be amended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.content_hash import canonical_json
from promptarena.definitions.document import Document
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.rollout_plan import OfflineStage
from promptarena.errors import DefinitionError, Problem
from promptarena.rollout.stages import taken_stages

__all__ = ["amended_parts", "check_frozen", "check_stages", "portable"]

_AMENDABLE: Final = ("hypothesis", "secondary", "rollout", "monitors")
_LONGEST: Final = 60
_ABSENT: Final = object()


def portable(experiment: Experiment, root: Path) -> Experiment:
    """The same experiment with its files relative to the project, so that every checkout says the same."""

    def relative(file: Path) -> Path:
        file = file.resolve()
        return file.relative_to(root.resolve()) if file.is_relative_to(root.resolve()) else file

    rollout = experiment.rollout and tuple(
        stage.model_copy(
            update={
                "dataset": stage.dataset.model_copy(
                    update={
                        name: str(relative(Path(file)))
                        for name in ("file", "holdout")
                        if (file := getattr(stage.dataset, name)) is not None
                    }
                ),
                "judge": stage.judge and relative(stage.judge),
            }
        )
        if isinstance(stage, OfflineStage)
        else stage
        for stage in experiment.rollout
    )
    return experiment.model_copy(update={"file": relative(experiment.file), "rollout": rollout})


def check_frozen(started: Experiment, written: Experiment, document: Document) -> None:
    """Make sure that a file still says what was frozen when its experiment was started.

    Raises:
        DefinitionError: it does not; every difference, with its place.
    """
    if started.feature == written.feature and started.content_hash == written.content_hash:
        return
    was, now = _frozen(started), _frozen(written)
    problems = [
        Problem(
            f"`{'.'.join(path)}` is frozen since `{started.name}` was started: "
            f"it was {_shown(before)}, the file says {_shown(after)}.",
            document.position(_place(path)),
        )
        for path, before, after in _differences(was, now)
    ]
    hint = f"Put it back, or start this as another experiment: a name other than `{started.name}`."
    raise DefinitionError([*problems[:-1], Problem(problems[-1].message, problems[-1].where, hint)])


def amended_parts(started: Experiment, written: Experiment) -> tuple[str, ...]:
    """What of the amendable differs, by field."""
    was, now = started.model_dump(mode="json"), written.model_dump(mode="json")
    return tuple(name for name in _AMENDABLE if was[name] != now[name])


def check_stages(started: Experiment, written: Experiment, stage: str, document: Document) -> None:
    """Make sure that an amendment leaves alone the stages that have begun.

    Args:
        started: as it holds now.
        written: as the file says.
        stage: the one that the experiment is in.
        document: the file.

    Raises:
        DefinitionError: one of them was changed, or left out.
    """
    names: list[str] = [taken.stage for taken in taken_stages(started.rollout)]
    begun = names[: names.index(stage) + 1]
    now = {taken.stage: taken for taken in taken_stages(written.rollout)}
    problems = [
        Problem(
            f"The stage `{taken.stage}` has begun and stays as it was; only later ones may be amended.",
            document.position(("rollout", _index(written, taken.stage))),
            "`arena ramp --traffic` widens the present one.",
        )
        for taken in taken_stages(started.rollout)
        if taken.stage in begun and now.get(taken.stage) != taken
    ]
    if problems:
        raise DefinitionError(problems)


def _index(experiment: Experiment, stage: str) -> int:
    return next((i for i, found in enumerate(experiment.rollout or ()) if found.stage == stage), 0)


def _frozen(experiment: Experiment) -> dict[str, Any]:
    """By the names of the file, so that a difference can be pointed at."""
    parts = {"feature": experiment.feature, **experiment.frozen_parts}
    parts["variants"] = {
        name: {"weight": weight, **settings.model_dump(mode="json", exclude_none=True)}
        for name, (weight, settings) in parts["variants"].items()
    }
    plain: dict[str, Any] = json.loads(canonical_json(parts))
    return plain


def _differences(
    was: Mapping[str, Any], now: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], object, object]]:
    for name in dict.fromkeys((*was, *now)):
        before, after = was.get(name, _ABSENT), now.get(name, _ABSENT)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, (*path, name))
        elif before != after:
            yield (*path, name), before, after


def _place(path: tuple[str, ...]) -> tuple[str | int, ...]:
    """Guardrails and segments are lists in a file, so a name within one of them is no key there."""
    return path[:1] if path[0] in ("guardrails", "segments") else path


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "not there"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
