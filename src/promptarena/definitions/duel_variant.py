"""The contestants of a duel: outputs that are on file, or settings that are run.

    feature: support-bot                       # of arena.yaml; what a variant does not say it inherits
    variants:
      control: {}                              # the feature as it is, run now
      treatment: {system: file://prompts/cite.md}
      old: {outputs: recorded/old.jsonl}       # recorded

Without a feature a variant says its `provider` and `model` itself. Where the judge's verdicts are on file
nothing is run: variants have outputs, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from promptarena.definitions.frozen import mistake
from promptarena.definitions.project import Project, find_project, load_project, resolve_files
from promptarena.definitions.prompt_template import PromptTemplate
from promptarena.definitions.table_source import TableSource
from promptarena.definitions.validation import Mistakes
from promptarena.definitions.variant import Settings
from promptarena.errors import DefinitionError

__all__ = ["DuelVariant", "OutputsSource", "VariantSetting", "project_above", "resolved_variants"]


class OutputsSource(TableSource):
    """A variant's recorded outputs, one for each case."""

    output: Annotated[str, Field(min_length=1)] = "output"
    """The column of the output. JSON null is a missing output, an empty text is an output."""
    repeat: Annotated[str, Field(min_length=1)] | None = None
    """The column that numbers several outputs of a case, from 0. Checks and judges look at the first,
    pass@k at all of them."""


class DuelVariant(Settings):
    """One of the contestants: `outputs`, or settings of the model calls that are made."""

    outputs: OutputsSource | None = None
    template: PromptTemplate | None = None
    """What it is asked, over the columns of the dataset, in place of the dataset's own input."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> DuelVariant:
        if self.outputs is not None and (said := sorted(self.model_fields_set - {"outputs"})):
            raise mistake(
                f"Outputs that are on file are not run, so `{said[0]}` changes nothing.",
                field=said[0],
                involving=("outputs",),
                hint="Leave out `outputs` to run it, or the settings to take what is recorded.",
            )
        return self

    @property
    def settings(self) -> Settings:
        """Of its model calls, as they are sent."""
        return Settings.model_construct(**{name: getattr(self, name) for name in Settings.model_fields})


def _nothing_said(written: Any) -> Any:
    return {} if written is None else written


VariantSetting = Annotated[
    DuelVariant, BeforeValidator(_nothing_said, json_schema_input_type=DuelVariant | None)
]


def project_above(path: Path) -> Project | None:
    """The project that a duel's file belongs to; `None` where it stands alone.

    Raises:
        DefinitionError: the project's own files are wrong.
    """
    try:
        file = find_project(path.parent)
    except DefinitionError:
        return None
    return load_project(file)


def resolved_variants(
    variants: Mapping[str, DuelVariant],
    feature: str | None,
    path: Path,
    mistakes: Mistakes,
) -> dict[str, DuelVariant]:
    """Variants with what they inherit and with their files read; notes what is wrong with those to be run.

    Args:
        variants: as written; those with outputs stay as they are.
        feature: whose settings they inherit, if one is named.
        path: the duel's file.
        mistakes: of that file.

    Raises:
        DefinitionError: the project's own files are wrong.
    """
    if all(variant.outputs is not None for variant in variants.values()):
        return dict(variants)  # nothing is run, whatever the project may say
    project = project_above(path)
    baseline = Settings()
    if feature is not None and project is None:
        hint = "Write one, or say `provider` and `model` of every variant."
        mistakes.add("A feature is one of arena.yaml, and there is none here or above.", "feature", hint=hint)
    elif feature is not None and project is not None:
        if feature in project.features:
            baseline = project.features[feature]
        else:
            mistakes.unknown("feature", feature, project.features, "feature")
    root = project.root if project is not None else path.parent
    found = {}
    for name, variant in variants.items():
        if variant.outputs is not None:
            found[name] = variant
            continue
        said = resolve_files(variant, root, mistakes, ("variants", name))
        settings = baseline.changed(said)
        if feature is None:
            _check_complete(name, settings, project, mistakes)
        found[name] = DuelVariant.model_construct(
            set(settings.model_fields_set),
            template=variant.template,
            **{field: getattr(settings, field) for field in Settings.model_fields},
        )
    return found


def _check_complete(name: str, settings: Settings, project: Project | None, mistakes: Mistakes) -> None:
    lacking = [field for field in ("provider", "model") if getattr(settings, field) is None]
    if not lacking:
        return
    features = list(project.features) if project is not None else []
    inherit = f", or feature: {features[0]}" if features else ""
    mistakes.add(
        f"{name!r} has neither `outputs` on file nor the `{lacking[0]}` to run it.",
        "variants",
        name,
        key=True,
        hint=f"Write for example outputs: {name}.jsonl, or provider: openai and model: gpt-4o-mini{inherit}.",
    )
