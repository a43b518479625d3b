"""What a judge is told: the task by a template, then rules on untrusted texts and the form of the answer.

Templates see the definition only, never a text that is judged. The rules and the form come after whatever a
template says, so that a prompt of the user's own cannot lose them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

from promptarena.definitions.judge import JudgeEntry, Shown
from promptarena.evaluation.judges.judgment import Task
from promptarena.evaluation.judges.reply import SEAL

__all__ = ["instructions", "packaged_prompt"]

_FORM: Final = """# Your answer

Answer with one JSON object and nothing else: no text around it, no code fence. Its fields, in this order:

"""
_SEAL_FIELD: Final = f'- "{SEAL}": the seal that the first line of the message names, copied exactly.\n'


@cache
def packaged_prompt(name: str) -> str:
    """A prompt of the package, by the name of its file without `.md`."""
    return files("promptarena.evaluation.judges").joinpath("prompts", f"{name}.md").read_text("utf-8")


def instructions(judge: JudgeEntry, task: Task, form: str) -> str:
    """The system message of a task.

    Args:
        judge: the definition.
        task: what is asked.
        form: the fields of the answer after the seal, as a list in words.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    own = getattr(judge.prompts, task.value.replace("-", "_"))
    # A prompt is plain text for a model: there is no HTML in which to escape anything.
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    told = environment.from_string(own or packaged_prompt(task.value)).render(_variables(judge, task))
    parts = (told, packaged_prompt("untrusted"), _FORM + _SEAL_FIELD + form)
    return "\n\n".join(part.strip() for part in parts)


def _variables(judge: JudgeEntry, task: Task) -> dict[str, Any]:
    variables: dict[str, Any] = {"abstain": judge.abstain}
    variables |= {shown.value: shown in judge.sees for shown in Shown}
    if task is Task.PAIRWISE and judge.pairwise is not None:
        variables |= {"criteria": judge.pairwise.criteria.strip(), "ties": judge.pairwise.ties}
    if task is Task.RUBRIC and judge.rubric is not None:
        variables["axes"] = [
            {
                "name": name,
                "question": axis.question.strip(),
                "low": axis.low,
                "high": axis.high,
                "levels": [(score, words.strip()) for score, words in sorted(axis.levels.items())],
            }
            for name, axis in judge.rubric.items()
        ]
    return variables
