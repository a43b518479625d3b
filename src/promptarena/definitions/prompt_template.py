"""What a case's variables become before a model sees them: one text, or the messages of a chat, in Jinja2.

template: "{{ question }}\\n\\nPolicies:\\n{{ documents }}"
template: file://prompts/ask.txt
template: [{role: system, content: "Answer in {{ language }}."}, {role: user, content: "{{ question }}"}]
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from promptarena.definitions.file_reference import SCHEME
from promptarena.definitions.frozen import Frozen
from promptarena.definitions.names import Text

__all__ = ["MessageTemplate", "PromptTemplate", "template_problem"]

_LONGEST: Final = 1_000_000


def template_problem(text: str) -> str | None:
    """What is wrong with the syntax of a template, with the line within it; None if nothing is.

    >>> template_problem("Dear {{ name }},"), template_problem("Dear {{ name }")
    (None, "line 1 of the template: unexpected '}'")
    """
    from jinja2 import TemplateSyntaxError
    from jinja2.sandbox import SandboxedEnvironment

    if len(text) > _LONGEST:
        return f"a template has at most {_LONGEST:,} characters; this one has {len(text):,}"
    try:
        # Compiled, not only parsed: an unknown filter shows only then.
        SandboxedEnvironment().from_string(text)
    except TemplateSyntaxError as error:
        return f"line {error.lineno} of the template: {error.message}"
    except RecursionError:
        return "the template is nested too deeply"
    return None


def _compiles(written: str) -> str:
    if not written.startswith(SCHEME) and (problem := template_problem(written)):
        raise ValueError(problem)
    return written


TemplateText = Annotated[Text, AfterValidator(_compiles)]
"""Jinja2, or `file://` and a path relative to the definition."""


class MessageTemplate(Frozen):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: TemplateText


PromptTemplate: TypeAlias = TemplateText | Annotated[tuple[MessageTemplate, ...], Field(min_length=1)]
