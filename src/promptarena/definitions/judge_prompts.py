"""Instructions that a user gives a judge in place of the package's own: Jinja2 templates."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from promptarena.definitions.document import FieldPath
from promptarena.definitions.frozen import Frozen
from promptarena.definitions.names import Text
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.definitions.validation import Mistakes

__all__ = ["PROMPT_VARIABLES", "JudgePrompts", "check_prompt"]

PROMPT_VARIABLES: Final = {
    "pairwise": ("criteria", "ties", "abstain", "reference", "context"),
    "rubric": ("axes", "abstain", "reference", "context"),
    "faithfulness": (),
    "answer_relevance": (),
    "context_precision": (),
    "context_recall": (),
}
"""What each prompt may refer to. `axes` are objects with `name`, `question`, `low`, `high` and `levels`
(pairs of score and words); `reference` and `context` say whether the judge sees them."""


class JudgePrompts(Frozen):
    """Each one text, usually `file://` and a path. Rules on untrusted texts and the form of the answer are
    added by the package, whatever the prompt says."""

    pairwise: Text | None = None
    rubric: Text | None = None
    faithfulness: Text | None = None
    answer_relevance: Text | None = Field(default=None, alias="answer-relevance")
    context_precision: Text | None = Field(default=None, alias="context-precision")
    context_recall: Text | None = Field(default=None, alias="context-recall")


def check_prompt(name: str, text: str, mistakes: Mistakes, at: FieldPath) -> None:
    """Note what Jinja2 would not take, and names that stand for nothing."""
    from jinja2 import TemplateSyntaxError
    from jinja2.meta import find_undeclared_variables
    from jinja2.sandbox import SandboxedEnvironment

    try:
        used = find_undeclared_variables(SandboxedEnvironment().parse(text))
    except TemplateSyntaxError as error:
        mistakes.add(f"The prompt is not a Jinja2 template: {error.message} (its line {error.lineno}).", *at)
        return
    known = PROMPT_VARIABLES[name]
    for variable in sorted(used.difference(known)):
        mistakes.add(
            f"The prompt refers to `{variable}`; it may refer to {listed(known)}.",
            *at,
            hint=did_you_mean(variable, known),
        )
