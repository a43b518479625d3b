"""Any HTTP endpoint that takes JSON and answers with it: a template of the body, the path of the output."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from promptarena.definitions.content_hash import content_hash
from promptarena.definitions.provider import HttpProvider
from promptarena.llm.attempt import AttemptError, Failure, Received
from promptarena.llm.http_session import HttpSession
from promptarena.llm.model_client import ModelCall
from promptarena.llm.response_facts import ResponseFacts, read_usage
from promptarena.llm.timing import Timing

__all__ = ["JsonEndpoint", "at_path"]

Fill = Callable[[Mapping[str, Any]], Any]
_ONE_EXPRESSION: Final = re.compile(r"\s*\{\{((?:(?!\}\}|\{\{).)*)\}\}\s*", re.DOTALL)


class JsonEndpoint:
    """One address that answers questions.

    Args:
        declared: url, headers, template of the body, path of the output.
        key: sent as `Authorization: Bearer`; nothing where it is `None`.
        hosts: those that may be talked to.
    """

    def __init__(self, declared: HttpProvider, key: str | None, hosts: Collection[str]) -> None:
        shape = (declared.url, declared.headers, declared.body, declared.output)
        self.identity = f"http {content_hash(list(shape))}"
        headers = declared.headers | ({} if key is None else {"authorization": f"Bearer {key}"})
        self._session = HttpSession(declared.url, headers, hosts, declared.timeout.total_seconds())
        self._fill = _prepared(declared.body)
        self._output = declared.output

    async def send(self, call: ModelCall, attempt: int = 0) -> Received:
        """Make one attempt.

        Raises:
            AttemptError: it gave no answer, or the body's template asks for what is not there.
        """
        from jinja2 import TemplateError

        try:
            body = json.dumps(self._fill(_variables(call))).encode()
        except (TemplateError, TypeError, ValueError) as error:
            raise AttemptError(
                f"the template of the body cannot be filled: {error}", Failure.PROVIDER
            ) from error
        start = time.monotonic()
        answer = await self._session.ask(body, attempt)
        timing = Timing(latency_ms=(time.monotonic() - start) * 1000)
        found = at_path(answer, self._output)
        if found is None:
            raise AttemptError(f"the answer holds nothing at `{self._output}`", Failure.CALL, began=True)
        output = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        return Received(facts=ResponseFacts(output=output or None, **read_usage(usage)), timing=timing)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def at_path(answer: Any, path: str) -> Any:
    """What stands at a dotted path of keys and numbers; `None` where nothing does.

    >>> at_path({"choices": [{"text": "yes"}]}, "choices.0.text"), at_path({"a": 1}, "b.c")
    ('yes', None)
    """
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.lstrip("-").isdigit() and abs(int(part)) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer


def _variables(call: ModelCall) -> dict[str, Any]:
    messages = [dict(message) for message in call.request.get("messages", ())]
    by_role = {str(message.get("role")): message.get("content") for message in messages}
    return {
        "input": by_role.get("user") or "",
        "system": by_role.get("system") or by_role.get("developer") or "",
        "messages": messages,
        "model": call.request.get("model"),
        "request": dict(call.request),
        "repeat": call.repeat,
    }


def _defined(found: Any) -> Any:
    from jinja2 import Undefined

    if isinstance(found, Undefined):
        str(found)  # raises, with the name of what is missing
    return found


def _prepared(template: Any) -> Fill:
    """A template, compiled; its texts run in Jinja2's sandbox, and what they miss is an error."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=StrictUndefined)

    def compiled(part: Any) -> Fill:
        if isinstance(part, dict):
            fills = {key: compiled(item) for key, item in part.items()}
            return lambda known: {key: fill(known) for key, fill in fills.items()}
        if isinstance(part, list | tuple):
            each = [compiled(item) for item in part]
            return lambda known: [fill(known) for fill in each]
        if not isinstance(part, str) or "{" not in part:
            return lambda _known: part
        if whole := _ONE_EXPRESSION.fullmatch(part):
            expression = environment.compile_expression(whole[1].strip(), undefined_to_none=False)
            return lambda known: _defined(expression(**known))
        text = environment.from_string(part)
        return lambda known: text.render(known)

    return compiled(template)
