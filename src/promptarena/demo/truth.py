"""What only a simulation knows: how every customer would have fared under every prompt."""

from __future__ import annotations

from collections.abc import Iterable

from promptarena.definitions.variant import Settings
from promptarena.demo.bot import Failure, answer
from promptarena.demo.customers import Conversation, Customer
from promptarena.llm.chat_request import chat_request

__all__ = ["RETRIES", "resolved_under"]

RETRIES = 3
"""How often the story's client repeats a request that failed."""


def resolved_under(settings: Settings, customers: Iterable[Customer], seed: int) -> list[bool]:
    """Whether each customer's conversation would be resolved under these settings.

    The same requests as over HTTP, answered by the same draws; so for the settings that a customer was really
    served, this is what really happened.
    """
    return [_resolved(settings, customer, seed) for customer in customers]


def _resolved(settings: Settings, customer: Customer, seed: int) -> bool:
    conversation = Conversation(customer)
    pause = None
    while pause is not None or conversation.turn == 0:
        request = {**chat_request(settings, conversation.messages), "user": customer.conversation_id}
        tries = (answer(request, seed, attempt=attempt) for attempt in range(RETRIES + 1))
        reply = next((tried for tried in tries if not isinstance(tried, Failure)), None)
        pause = conversation.hears(reply.text if reply is not None else None)
        if pause is None:
            break
    return conversation.resolved
