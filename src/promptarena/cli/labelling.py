"""Blind labelling in a terminal: one question after the other, each label kept before the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from promptarena.definitions.rubric import RubricAxis
    from promptarena.evaluation.calibration.blind import LabelFile, Question

__all__ = ["label"]

_QUIT: Final = "q"
_SKIP: Final = "s"
_VERDICTS: Final = {"1": "first", "2": "second", "t": "tie"}


class _QuitError(Exception):
    """The rater has had enough; what was labelled is kept."""


def label(questions: Sequence[Question], axes: Mapping[str, RubricAxis], rater: str, file: LabelFile) -> int:
    """Ask until all is labelled or the rater quits; how many were labelled."""
    done = 0
    for number, question in enumerate(questions, start=1):
        _show(question, f"{number} of {len(questions)}")
        try:
            said = _verdict() if len(question.variants) == 2 else _scores(axes)
        except _QuitError:
            break
        if said:
            file.append(question.record(rater, said, datetime.now(UTC).isoformat(timespec="seconds")))
            done += 1
    return done


def _show(question: Question, place: str) -> None:
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    from promptarena.evaluation.judges.untrusted import shown_openly

    console = Console(stderr=True)
    console.rule(place)
    console.print(Panel(Text(shown_openly(question.question)), title="Question", title_align="left"))
    for at, answer in enumerate(question.answers, start=1):
        title = "Answer" if len(question.answers) == 1 else f"Answer {at}"
        console.print(Panel(Text(shown_openly(answer)), title=title, title_align="left"))


def _scores(axes: Mapping[str, RubricAxis]) -> dict[str, float | str]:
    said: dict[str, float | str] = {}
    for name, axis in axes.items():
        _say(f"\n{name}: {axis.question}")
        for level, words in sorted(axis.levels.items()):
            _say(f"  {level}  {words}")
        accepted = {str(level): level for level in range(axis.low, axis.high + 1)}
        answer = _ask(f"{axis.low} to {axis.high}, {_SKIP} to skip, {_QUIT} to quit", accepted)
        if answer is not None:
            said[name] = accepted[answer]
    return said


def _verdict() -> dict[str, float | str]:
    answer = _ask(f"Which is better: 1, 2, or t for a tie; {_SKIP} to skip, {_QUIT} to quit", _VERDICTS)
    return {} if answer is None else {"verdict": _VERDICTS[answer]}


def _ask(words: str, accepted: Mapping[str, object]) -> str | None:
    """One of what is accepted; `None` where it was skipped."""
    while True:
        try:
            _say(f"{words}: ", end="")
            answer = input().strip().lower()
        except EOFError:
            raise _QuitError from None
        if answer == _QUIT:
            raise _QuitError
        if answer == _SKIP:
            return None
        if answer in accepted:
            return answer
        _say(f"{answer!r} is none of {', '.join(accepted)}.")


def _say(text: str, end: str = "\n") -> None:
    """On standard error: standard output is the report's, which may be JSON."""
    typer.echo(f"{text}{end}", err=True, nl=False)
