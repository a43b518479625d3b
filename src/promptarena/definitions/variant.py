"""What a feature is made of: the settings of its model calls, and variants that inherit them.

    variants:
      control: {}                                                   # the baseline, as arena.yaml has it
      treatment: {weight: 20%, system: file://prompts/cite.md, temperature: null}

A variant says what it changes; the rest it inherits from the feature in arena.yaml. `params` and `retrieval`
are inherited key by key. `null` takes an inherited setting away. `weight` is the variant's share among the
enrolled: said for all variants, summing to 100%, or for none, which is equal shares.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from promptarena.definitions.content_hash import content_hash
from promptarena.definitions.frozen import Frozen
from promptarena.definitions.names import Name, Text
from promptarena.definitions.quantities import Number, Share, Whole

__all__ = ["FeatureEntry", "Settings", "Variant", "VariantEntry"]

_MERGED: Final = ("params", "retrieval")


def _one_or_more(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


class Settings(Frozen):
    """Settings of a model call. What is `None` is not sent to the provider."""

    provider: Name | None = None
    """One of `providers` in arena.yaml."""
    model: Text | None = None
    system: Text | None = None
    """The system prompt: text, or `file://` and a path."""
    temperature: Annotated[Number, Field(ge=0)] | None = None
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[Whole, Field(gt=0)] | None = None
    presence_penalty: Number | None = None
    frequency_penalty: Number | None = None
    seed: Whole | None = None
    stop: (
        Annotated[
            tuple[str, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | tuple[str, ...])
        ]
        | None
    ) = None
    reasoning_effort: Text | None = None
    response_format: dict[str, Any] | None = None
    tools: tuple[dict[str, Any], ...] | None = None
    tool_choice: str | dict[str, Any] | None = None
    """`auto`, `none`, `required`, or a mapping that names a tool."""
    retrieval: dict[str, Any] = Field(default_factory=dict)
    """Settings of retrieval (index, depth, ...), for the application to read."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of the request that this provider knows."""

    def changed(self, said: dict[str, Any]) -> Settings:
        """A variant's settings: what it says, and these where it says nothing."""
        merged = {name: getattr(self, name) | said[name] for name in _MERGED if name in said}
        return self.model_copy(update=said | merged)

    @cached_property
    def config_hash(self) -> str:
        """Of the settings as they are sent, files read; written on every generation."""
        return content_hash(self)


class FeatureEntry(Settings):
    """A feature in arena.yaml: the baseline of its experiments."""

    provider: Name
    model: Text


class VariantEntry(Settings):
    """A variant as written: what it changes of the feature."""

    weight: Annotated[Share, Field(gt=0)] | None = None
    """Share of the enrolled units."""


class Variant(Frozen):
    """A variant as resolved: everything said, files read."""

    name: str
    weight: float
    settings: Settings
