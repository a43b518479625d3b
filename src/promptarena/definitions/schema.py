"""JSON Schemas of the files that users write, for editors: what is accepted, short forms included.

They hold what one value can tell of itself. What goes across fields and files (a metric that is nowhere
defined, weights that do not sum to 100%) only `promptarena` itself can tell.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from promptarena.definitions.duel import Duel
from promptarena.definitions.experiment_file import ExperimentFile
from promptarena.definitions.judge import JudgeFile
from promptarena.definitions.metric_file import MetricsFile
from promptarena.definitions.project import ProjectFile

__all__ = ["KINDS", "schema"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FILES: Final[dict[str, tuple[type[BaseModel], str]]] = {
    "project": (ProjectFile, "A project of Prompt Arena (arena.yaml)"),
    "experiment": (ExperimentFile, "An experiment of Prompt Arena (experiments/*.yaml)"),
    "metrics": (MetricsFile, "Shared metrics of Prompt Arena (metrics.yaml)"),
    "duel": (Duel, "A duel of Prompt Arena"),
    "judge": (JudgeFile, "A judge of Prompt Arena (judges/*.yaml)"),
}
KINDS: Final = tuple(_FILES)
"""The kinds of file that have a schema."""


class _ClosedNames(GenerateJsonSchema):
    """Pydantic says how a mapping's names look and lets any other pass."""

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        result = super().dict_schema(schema)
        if "patternProperties" in result:
            result["additionalProperties"] = False
        return result


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of file.

    Args:
        kind: one of `KINDS`.

    Raises:
        KeyError: there is no such kind.
    """
    model, title = _FILES[kind]
    return {"$schema": DIALECT, **model.model_json_schema(schema_generator=_ClosedNames), "title": title}
