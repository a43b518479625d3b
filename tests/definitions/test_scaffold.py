from __future__ import annotations

from pathlib import Path

import pytest

from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.project import load_project
from promptarena.definitions.scaffold import scaffold
from promptarena.errors import UsageError


def test_the_scaffold_is_right_as_it_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "project"
    files = scaffold(folder)
    assert sorted(str(path.relative_to(folder)) for path in files) == [
        "arena.yaml",
        "experiments/cite-policy.yaml",
        "golden/support.jsonl",
        "metrics.yaml",
        "prompts/support.md",
        "prompts/support_cites_policy.md",
    ]
    assert all(path.stat().st_size > 0 for path in files)
    project = load_project(folder)
    experiment = load_experiment(folder / "experiments/cite-policy.yaml", project)
    control, treatment = experiment.variants
    assert control.settings == project.features["support-bot"]
    assert control.settings.system != treatment.settings.system
    assert experiment.notes == ()


def test_nothing_is_written_over_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    own = {
        tmp_path / "arena.yaml": "mine",
        tmp_path / "prompts/support.md": "mine",
        tmp_path / "notes.txt": "mine",
    }
    for path, text in own.items():
        path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        scaffold(tmp_path)
    assert [str(problem).split(": ")[0] for problem in caught.value.problems] == [
        str(tmp_path / "arena.yaml"),
        str(tmp_path / "prompts/support.md"),
    ]
    assert "--force" in str(caught.value)
    assert {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()} == own
    scaffold(tmp_path, force=True)
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"
    load_experiment(tmp_path / "experiments/cite-policy.yaml")


def test_a_folder_that_cannot_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("a file where a folder is due", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be written"):
        scaffold(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["prompts"]
    with pytest.raises(UsageError, match="cannot be written"):
        scaffold(tmp_path / "prompts" / "project")
