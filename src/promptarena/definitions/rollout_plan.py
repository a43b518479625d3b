"""The way of a change to its users: offline, shadow, canary, ab. A stage left out says why.

rollout:
  - {stage: offline, dataset: golden/support.jsonl, gate: {win_rate: {above: 0.5}}}
  - {stage: shadow, skip: "the change touches no tool"}
  - {stage: canary, traffic: 10%, for: 1d}
  - {stage: ab, traffic: 100%}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from promptarena.definitions.checks import OutputCheck
from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.gate_rule import GateRule
from promptarena.definitions.names import Text
from promptarena.definitions.quantities import Duration, Share
from promptarena.definitions.similarity import Similarity

__all__ = [
    "STAGES",
    "AbStage",
    "CanaryStage",
    "OfflineStage",
    "ShadowStage",
    "SkippedStage",
    "Stage",
]

STAGES: Final = ("offline", "shadow", "canary", "ab")
"""In their order."""

# Part of the path of pydantic's errors; no key of a file, so that it is not taken for one.
_SKIPPED: Final = "(skipped)"
FileName = Annotated[Path, Field(json_schema_extra={"format": "path"})]
Traffic = Annotated[Share, Field(gt=0)]
"""A share that is more than none."""


class OfflineStage(Frozen):
    """Answers on a golden dataset, judged, before any user sees one."""

    stage: Literal["offline"]
    dataset: DatasetSource
    """The golden dataset: a file's name, or with its columns as a duel says them. Of a name alone the columns
    are found by what they are called: `input`, `question` or `prompt`; `reference` or `expected`; `context`
    or `documents`."""
    judge: FileName | None = None
    checks: tuple[OutputCheck, ...] = ()
    similarity: tuple[Similarity, ...] = ()
    gate: GateRule | None = None


class ShadowStage(Frozen):
    """A share of requests is sent to the treatments too; their answers reach nobody."""

    stage: Literal["shadow"]
    traffic: Traffic
    lasts: Annotated[Duration | None, Field(alias="for")] = None


class CanaryStage(Frozen):
    """A small share of units is enrolled, and monitored."""

    stage: Literal["canary"]
    traffic: Traffic
    """Share of units that are enrolled; the variants' weights divide them."""
    lasts: Annotated[Duration | None, Field(alias="for")] = None
    """Until the next stage may begin."""


class AbStage(Frozen):
    """The confirmatory stage: what it shows decides."""

    stage: Literal["ab"]
    traffic: Traffic = 1.0
    """Share of units that are enrolled; never less than in the canary."""
    lasts: Annotated[Duration | None, Field(alias="for")] = None


class SkippedStage(Frozen):
    """A stage that is left out on purpose."""

    stage: Literal["offline", "shadow", "canary", "ab"]
    skip: Text
    """Why."""

    @model_validator(mode="before")
    @classmethod
    def _says_why(cls, written: Any) -> Any:
        # Without its `skip` this would be a stage of another kind, and that one's fields found missing.
        if isinstance(written, dict) and not (isinstance(written["skip"], str) and written["skip"].strip()):
            raise mistake("`skip` says why the stage is left out, in words.", field="skip", whole=True)
        return written


def stage(written: Any) -> str | None:
    """Which kind of stage is written; pydantic names this function where none is."""
    if isinstance(written, dict):
        return _SKIPPED if "skip" in written else written.get("stage")
    if isinstance(written, SkippedStage):
        return _SKIPPED
    return getattr(written, "stage", STAGES[0])


Stage = Annotated[
    Annotated[OfflineStage, Tag("offline")]
    | Annotated[ShadowStage, Tag("shadow")]
    | Annotated[CanaryStage, Tag("canary")]
    | Annotated[AbStage, Tag("ab")]
    | Annotated[SkippedStage, Tag(_SKIPPED)],
    Discriminator(stage),
]
