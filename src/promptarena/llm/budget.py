"""Money that a run may spend: set aside before a call, settled after it, never exceeded.

Before a call its highest cost is set aside: its input by length, its output by the limit that it asks for, or
by the longest output that was seen. What is set aside comes back when the real cost is known. A call that
does not fit waits for those under way; if it still does not fit then, the budget is spent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from promptarena.errors import BudgetSpentError, UsageError
from promptarena.llm.pricing import Price, PriceTable, cost_of

__all__ = ["Budget", "Reserved"]

_BYTES_A_TOKEN: Final = 2.5
"""Texts have 3 to 4 bytes a token; fewer is dearer, so on the safe side."""
_FIRST_OUTPUT: Final = 1024
"""Output tokens of a call without a limit, before any was seen."""
_LONGER: Final = 1.5
"""How much longer than the longest seen the next output may be."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """What was set aside for one call."""

    model: str
    usd: float
    held: bool = True
    """Whether anything is held for it; nothing is where there is no limit."""


class Budget:
    """What is left of a sum.

    Args:
        usd: all of it; `None` for no limit.
        prices: by which costs are foreseen.
    """

    def __init__(self, usd: float | None, prices: PriceTable) -> None:
        self.usd = usd
        self.spent = 0.0
        """US dollars that are known to be spent."""
        self.unpriced = 0
        """Calls whose cost nobody knows."""
        self._prices = prices
        self._set_aside = 0.0
        self._open = 0
        """Calls that money is set aside for; a sum of floats never comes back to 0 exactly."""
        self._longest: dict[str, int] = {}
        self._changed = asyncio.Event()

    def check(self, model: str) -> None:
        """See whether costs of a model can be foreseen, where there is a limit.

        Raises:
            UsageError: there is one, and no price for the model.
        """
        if self.usd is not None:
            self._price(model)

    async def reserve(self, request: Mapping[str, Any]) -> Reserved:
        """Set the cost of a call aside, waiting for calls under way if need be.

        Raises:
            BudgetSpentError: it would not fit even if those cost nothing more.
            UsageError: there is a budget and no price for the model.
        """
        model = str(request.get("model") or "")
        if self.usd is None:
            return Reserved(model, 0.0, held=False)
        usd = self._foreseen(model, request)
        while self.spent + self._set_aside + usd > self.usd:
            if not self._open:
                raise BudgetSpentError(
                    f"The budget of ${self.usd:g} does not allow for another call: ${self.spent:.4f} are "
                    f"spent, and the next one may cost ${usd:.4f}."
                )
            self._changed.clear()
            await self._changed.wait()
        self._set_aside += usd
        self._open += 1
        return Reserved(model, usd)

    def settle(self, reserved: Reserved, cost_usd: float | None, output_tokens: int | None = None) -> None:
        """Give back what was set aside and book what the call cost.

        Args:
            reserved: what was set aside.
            cost_usd: `None` where nobody knows; then what was set aside counts as spent.
            output_tokens: of its answer, if there was one.
        """
        self.release(reserved)
        if cost_usd is None:
            self.unpriced += 1
        self.spent += reserved.usd if cost_usd is None else cost_usd
        if output_tokens is not None:
            self._longest[reserved.model] = max(output_tokens, self._longest.get(reserved.model, 0))

    def release(self, reserved: Reserved) -> None:
        """Give back what was set aside for a call that cost nothing."""
        if reserved.held:
            self._open -= 1
            self._set_aside = max(self._set_aside - reserved.usd, 0.0)
            self._changed.set()

    def _foreseen(self, model: str, request: Mapping[str, Any]) -> float:
        price = self._price(model)
        limit = request.get("max_tokens") or request.get("max_completion_tokens")
        if not isinstance(limit, int):
            seen = self._longest.get(model)
            limit = _FIRST_OUTPUT if seen is None else max(int(seen * _LONGER), 64)
        size = len(json.dumps(dict(request), ensure_ascii=False).encode(errors="replace"))
        return cost_of(price, int(size / _BYTES_A_TOKEN) + 1, limit)

    def _price(self, model: str) -> Price:
        price = self._prices.of(model)
        if price is None:
            raise UsageError(
                f"No price is known of the model {model!r}, so a budget cannot be kept.",
                hint="Put one into prices.yaml beside arena.yaml, or leave --budget out.",
            )
        return price
