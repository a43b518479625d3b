"""Templates at work: a case's variables in, one text or the messages of a chat out.

Templates run in Jinja2's sandbox. Values are data: braces in a case are not looked at again. A variable that
a case lacks, or that is null, is an error and never an empty text; a template that can do without says so
(`{{ tier | default("free") }}`, `{% if tier is defined %}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptarena.definitions.file_reference import SCHEME
from promptarena.definitions.prompt_template import PromptTemplate, template_problem
from promptarena.errors import DefinitionError, Location

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["Message", "PreparedTemplate", "RenderError", "prepare_template"]

Message = Mapping[str, Any]
"""A chat message as providers take it: `role`, `content`, and what else was said."""


class RenderError(Exception):
    """A template cannot be filled from a case; its text says why, as a sentence."""


@dataclass(frozen=True, slots=True)
class PreparedTemplate:
    """A compiled template."""

    parts: tuple[tuple[str | None, Template], ...]
    """Roles and texts; one part without a role is a plain text."""

    def render(self, variables: Mapping[str, Any]) -> str | tuple[Message, ...]:
        """Fill it.

        Raises:
            RenderError: a variable is missing, or the template fails on this case's values.
        """
        known = {name: value for name, value in variables.items() if value is not None}
        [(role, first), *_] = self.parts
        if role is None:
            return _filled(first, known)
        return tuple({"role": role, "content": _filled(part, known)} for role, part in self.parts)


def prepare_template(template: PromptTemplate, folder: Path) -> PreparedTemplate:
    """Make a declared template ready.

    Args:
        template: the declaration.
        folder: what a `file://` in it is relative to.

    Raises:
        DefinitionError: its file cannot be read, or holds no template.
    """
    if isinstance(template, str):
        return PreparedTemplate(((None, _compiled(template, folder)),))
    return PreparedTemplate(tuple((part.role, _compiled(part.content, folder)) for part in template))


def _compiled(written: str, folder: Path) -> Template:
    if not written.startswith(SCHEME):
        return _environment().from_string(written)
    path = folder / written.removeprefix(SCHEME)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        message = f"The template cannot be read: {error.strerror}."
        raise DefinitionError(message, where=Location(path)) from None
    except UnicodeDecodeError:
        message, hint = "The template is not UTF-8.", "Save it as UTF-8."
        raise DefinitionError(message, where=Location(path), hint=hint) from None
    if problem := template_problem(text):
        raise DefinitionError(f"This is not a template: {problem}.", where=Location(path))
    return _environment().from_string(text)


def _filled(template: Template, variables: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError, UndefinedError

    try:
        return template.render(variables)
    except UndefinedError as error:
        raise RenderError(f"The template needs {error.message}, which this case has not.") from None
    except TemplateError as error:
        told = error.message or type(error).__name__
    except Exception as error:  # whatever a filter makes of a value that it did not expect
        told = f"{type(error).__name__}: {error}"
    raise RenderError(f"The template cannot be filled: {told.rstrip('.')}.")


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined, UndefinedError
    from jinja2.sandbox import SandboxedEnvironment

    class Missing(StrictUndefined):
        """Tells its name alone; the sentence around it is ours."""

        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            return self._undefined_hint or f"`{self._undefined_name}`"

    def refuse_null(value: Any) -> Any:
        if value is None:
            raise UndefinedError("a value where there is null")
        return value

    return SandboxedEnvironment(undefined=Missing, finalize=refuse_null, keep_trailing_newline=False)
