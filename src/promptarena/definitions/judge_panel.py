"""The models behind a judge: one, or a panel whose votes are counted."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.names import Name, Text
from promptarena.definitions.quantities import Number, Whole

__all__ = ["JudgeModel", "Panel", "PanelSetting", "ScoreRule"]


class JudgeModel(Frozen):
    """A model and its settings. What is `null` is not sent."""

    provider: Name | None = None
    """One of `providers` in arena.yaml, or a name that the environment tells of."""
    model: Text | None = None
    temperature: Annotated[Number, Field(ge=0)] | None = 0.0
    """0 where not said, so that the same question has the same answer as far as the provider can; `null` for
    models that refuse the setting."""
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[Whole, Field(gt=0)] | None = None
    """An answer that is cut off cannot be read: leave room for the rationale."""
    seed: Whole | None = None
    reasoning_effort: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of the request that this provider knows."""

    def changed(self, said: JudgeModel) -> JudgeModel:
        """These settings, changed by what another says; `params` key by key."""
        update = {name: getattr(said, name) for name in said.model_fields_set}
        if "params" in update:
            update["params"] = self.params | said.params
        return self.model_copy(update=update)


class ScoreRule(StrEnum):
    """What a panel's scores of one answer come to."""

    MEAN = "mean"
    MEDIAN = "median"


class Panel(Frozen):
    """Several models that judge independently.

    Of a pair, what more than half of the votes say counts, else it is a tie. Who abstains or cannot be read
    has no vote; with fewer than `min_votes` the judgment is unscored.
    """

    members: Annotated[tuple[JudgeModel, ...], Field(min_length=2, max_length=15)]
    scores: ScoreRule = ScoreRule.MEAN
    min_votes: Annotated[Whole, Field(ge=1)] | None = None
    """More than half of the members where not said."""

    @model_validator(mode="after")
    def _votes_can_be_had(self) -> Panel:
        if self.min_votes is not None and self.min_votes > len(self.members):
            raise mistake(
                f"{self.min_votes} votes cannot come from {len(self.members)} members.",
                field="min_votes",
                involving=("members", "min_votes"),
            )
        return self

    @property
    def needed(self) -> int:
        """Votes without which nothing is said."""
        return self.min_votes or len(self.members) // 2 + 1


def _as_panel(written: Any) -> Any:
    return {"members": written} if isinstance(written, list | tuple) else written


PanelSetting = Annotated[
    Panel, BeforeValidator(_as_panel, json_schema_input_type=Panel | tuple[JudgeModel, ...])
]
"""A panel, or just its members."""
