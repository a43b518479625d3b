"""Simulated customers of the shop: who comes when, what they ask, when they are content, what they say then.

A customer judges an answer by whether it says what decides the case (`shop.is_right`), whoever wrote it, so
the same customers can talk to the simulated provider and to a real one. All of a customer's draws come from
the seed and the number: the same customer met by another prompt is the same person.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from promptarena.demo.shop import Policy, is_right, policies

__all__ = ["Conversation", "Customer", "customers"]

_MOST_TURNS: Final = 4
_TRAFFIC: Final = (1.25, 1.15, 1.05, 1.0, 0.95, 0.75, 0.85)
"""Customers by day of the week, from Monday; 1 is the mean."""
_MOOD: Final = (0.0, 0.01, 0.01, 0.0, -0.01, -0.03, -0.02)
"""What a day of the week adds to the chance of being content."""
_HOURS: Final = (1, 1, 0, 0, 0, 1, 2, 4, 7, 9, 10, 10, 9, 8, 8, 8, 8, 9, 10, 10, 9, 7, 4, 2)
_CONTENT_IF_RIGHT: Final = 0.62
_CONTENT_IF_WRONG: Final = 0.07
_ASKS_AGAIN: Final = 0.70
_RATES: Final = 1 / 3
_AGAIN: Final = (
    "That does not answer my question. What is your rule for this?",
    "I still do not know what happens now. Please be concrete.",
    "Could you say exactly what applies in my case?",
)
_NOTHING_CAME: Final = "Is anybody there?"


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer with one concern."""

    number: int
    arrives: datetime
    device: str
    """`phone` or `desktop`."""
    tier: str
    """`paying` or `free`."""
    concern: Policy
    """The policy that decides the case; the customer does not know it."""
    question: str
    seed: int

    @property
    def conversation_id(self) -> str:
        return f"c-{self.number:05d}"

    @property
    def user_id(self) -> str:
        return f"u-{self.number:05d}"

    @property
    def attributes(self) -> dict[str, str]:
        """What the shop knows when the conversation begins."""
        return {"device": self.device, "tier": self.tier}


def customers(count: int, start: datetime, days: int, seed: int) -> list[Customer]:
    """Customers in the order in which they arrive.

    Args:
        count: how many.
        start: the first midnight.
        days: over how many days they come; more on Mondays than on Saturdays, more by day than by night.
        seed: of everything about them.
    """
    draw = Random(f"customers/{seed}")
    daily = list(accumulate(_TRAFFIC[(start.weekday() + day) % 7] for day in range(days)))
    hourly = list(accumulate(_HOURS))
    moments = sorted(
        timedelta(
            days=bisect(daily, draw.random() * daily[-1]),
            hours=bisect(hourly, draw.random() * hourly[-1]),
            seconds=draw.random() * 3600,
        )
        for _ in range(count)
    )
    return [_customer(number, start + moment, seed) for number, moment in enumerate(moments)]


@dataclass(slots=True)
class Conversation:
    """One customer's conversation, without any network: say what `says`, tell it what came with `hears`."""

    customer: Customer
    messages: list[dict[str, str]] = field(default_factory=list)
    """All that was said, as a chat completion takes it."""
    resolved: bool = False
    rating: int | None = None
    """1 to 5, from about a third, once it has ended."""
    _draws: Random = field(init=False)

    def __post_init__(self) -> None:
        self._draws = Random(f"{self.customer.seed}/{self.customer.number}")
        self.messages.append({"role": "user", "content": self.customer.question})

    @property
    def turn(self) -> int:
        """Which one it is now, counted from 0."""
        return sum(message["role"] == "user" for message in self.messages) - 1

    def hears(self, answer: str | None) -> timedelta | None:
        """Take in an answer, or that there was none.

        Returns:
            How long the customer takes to ask again, which `messages` then ends with; `None`: it has ended.
        """
        # As many draws a turn whatever happens in it, or another answer would make another person.
        content, again, pause, words = (self._draws.random() for _ in range(4))
        if answer is not None:
            self.messages.append({"role": "assistant", "content": answer})
            self.resolved = content < self._chance(answer)
        if self.resolved or self.turn + 1 >= _MOST_TURNS or again >= _ASKS_AGAIN:
            self.rating = self._rate()
            return None
        more = _NOTHING_CAME if answer is None else _AGAIN[int(words * len(_AGAIN))]
        self.messages.append({"role": "user", "content": more})
        return timedelta(seconds=20 + 160 * pause)

    def _chance(self, answer: str) -> float:
        who = self.customer
        base = _CONTENT_IF_RIGHT if is_right(answer, who.concern) else _CONTENT_IF_WRONG
        device = -0.02 if who.device == "phone" else 0.03
        tier = 0.035 if who.tier == "paying" else -0.015
        return base + device + tier + _MOOD[who.arrives.weekday()]

    def _rate(self) -> int | None:
        draw = Random(f"{self.customer.seed}/{self.customer.number}/rating")
        if draw.random() >= _RATES:
            return None
        return min(5, max(1, round(draw.gauss(4.2 if self.resolved else 2.5, 0.8))))


def _customer(number: int, arrives: datetime, seed: int) -> Customer:
    draw = Random(f"{seed}/{number}/who")
    concern = _pick(policies(), draw)
    return Customer(
        number=number,
        arrives=arrives,
        device="phone" if draw.random() < 0.6 else "desktop",
        tier="paying" if draw.random() < 0.3 else "free",
        concern=concern,
        question=concern.asked[int(draw.random() * len(concern.asked))],
        seed=seed,
    )


def _pick(among: Sequence[Policy], draw: Random) -> Policy:
    return among[int(draw.random() * len(among))]
