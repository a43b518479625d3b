"""The judge of a duel: on file already, a model described in place, or a file that describes one.

judge: {recorded: verdicts.csv}
judge: judges/support.yaml
judge: {provider: openai, model: gpt-4o, pairwise: Which answer helps more?}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, Tag

from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.file_reference import find_file
from promptarena.definitions.judge import JudgeEntry, Shown, load_judge, resolve_judge
from promptarena.definitions.recorded_judge import Judge
from promptarena.definitions.suggestion import nearest
from promptarena.definitions.validation import Mistakes
from promptarena.errors import DefinitionError

__all__ = ["JudgeSetting", "check_judged_dataset", "read_judge"]


def _kind(written: Any) -> str:
    if isinstance(written, str):
        return "file"
    on_file = isinstance(written, Judge)
    if isinstance(written, dict):
        # A misspelt name counts as what it is nearest to, so that the message can say so.
        accepted = (*_ON_FILE, *JudgeEntry.written_names())
        on_file = not written or any(nearest(str(name), accepted) in _ON_FILE for name in written)
    return "recorded" if on_file else "live"


_ON_FILE = tuple(Judge.model_fields)


JudgeSetting: TypeAlias = Annotated[
    Annotated[str, Field(min_length=1), Tag("file")]
    | Annotated[Judge, Tag("recorded")]
    | Annotated[JudgeEntry, Tag("live")],
    Discriminator(_kind),
]
"""As written; once a duel is loaded, never a file's name."""


def read_judge(
    setting: str | Judge | JudgeEntry | None, root: Path, mistakes: Mistakes
) -> Judge | JudgeEntry | None:
    """The judge with its files read; mistakes of a judge's own file are told with their place there.

    Args:
        setting: as written.
        root: the folder outside of which nothing is read.
        mistakes: of the duel's file.
    """
    if isinstance(setting, JudgeEntry):
        return resolve_judge(setting, root, mistakes, "judge")
    if not isinstance(setting, str):
        return setting
    path = find_file(setting, root, mistakes, ("judge",))
    if path is None:
        return None
    try:
        return load_judge(path, root)
    except DefinitionError as error:
        mistakes.extend(error.problems)
        return None


def check_judged_dataset(judge: JudgeEntry, dataset: DatasetSource, mistakes: Mistakes) -> None:
    """Note what the judge has to be shown and the dataset does not say where to find."""
    if dataset.input is None and dataset.template is None:
        mistakes.add(
            "A judge has to see what was asked: the dataset names no `input` and no `template`.",
            "dataset",
            hint="Write for example dataset: {file: golden.jsonl, input: question}.",
        )
    for shown in judge.needs:
        if getattr(dataset, shown.value) is None:
            what = "the expected answer" if shown is Shown.REFERENCE else "the source documents"
            mistakes.add(
                f"The judge has to see {what}, and the dataset names no `{shown.value}` column.",
                "dataset",
                hint=f"Write for example dataset: {{..., {shown.value}: {_COLUMNS[shown]}}}.",
            )


_COLUMNS = {Shown.REFERENCE: "expected", Shown.CONTEXT: "documents"}
