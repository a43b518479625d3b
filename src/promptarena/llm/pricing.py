"""What calls cost: a dated table of prices, which a project may add to or replace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from promptarena.definitions.document import read_document
from promptarena.definitions.frozen import Frozen
from promptarena.definitions.names import Text
from promptarena.definitions.quantities import Number
from promptarena.definitions.validation import validate
from promptarena.llm.response_facts import ResponseFacts

__all__ = ["PRICES_FILE", "Price", "PriceTable", "built_in_prices", "load_prices"]

PRICES_FILE: Final = "prices.yaml"
_MILLION: Final = 1_000_000
_VERSION: Final = re.compile(r"-(\d{4}-?\d{2}-?\d{2}|\d{3,4}|latest|preview)$")
"""How providers mark versions of one model, which cost the same unless the table has them by themselves."""

_Amount = Annotated[Number, Field(ge=0)]


class Price(Frozen):
    """Of one model, in US dollars a million tokens."""

    input: _Amount
    output: _Amount
    cached: _Amount | None = None
    """Input that the provider had cached; as other input where not said."""


class PriceTable(Frozen):
    """Prices as they were on a day."""

    date: Text
    source: Text
    prices: Annotated[dict[str, Price], Field(min_length=1)]

    def of(self, *models: str | None) -> Price | None:
        """The price of the first of these names that has one.

        >>> built_in_prices().of("gpt-4o-mini-2024-07-18").input, built_in_prices().of("my-own-model")
        (0.15, None)
        """
        for model in models:
            # Routers put the maker in front: openai/gpt-4o-mini.
            name = (model or "").rpartition("/")[2]
            for known in (model, name, _VERSION.sub("", name)):
                if known and (price := self.prices.get(known)):
                    return price
        return None

    def cost_usd(self, facts: ResponseFacts, model: str | None) -> float | None:
        """What an answer cost: what it says itself, else by the table; `None` where neither tells.

        Args:
            facts: of the answer.
            model: the one that was asked; used where the one that answered has no price.
        """
        if facts.cost_usd is not None:
            return facts.cost_usd
        price = self.of(facts.model, model)
        if price is None or facts.input_tokens is None or facts.output_tokens is None:
            return None
        return cost_of(price, facts.input_tokens, facts.output_tokens, facts.cached_tokens or 0)


def cost_of(price: Price, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
    """US dollars. `cached_tokens` are some of the input's."""
    cached = min(cached_tokens, input_tokens)
    rate = price.input if price.cached is None else price.cached
    return ((input_tokens - cached) * price.input + cached * rate + output_tokens * price.output) / _MILLION


@cache
def built_in_prices() -> PriceTable:
    """The table that comes with the package."""
    with as_file(files("promptarena.llm") / PRICES_FILE) as path:
        return validate(PriceTable, read_document(path))


def load_prices(folder: Path) -> PriceTable:
    """The built-in table, and what the folder's prices.yaml says otherwise.

    Raises:
        DefinitionError: with every mistake of that file.
    """
    built_in, path = built_in_prices(), folder / PRICES_FILE
    if not path.is_file():
        return built_in
    own = validate(PriceTable, read_document(path))
    merged: Mapping[str, Price] = built_in.prices | own.prices
    return own.model_copy(update={"prices": merged})
