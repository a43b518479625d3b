"""A report added to the summary of a GitHub job, which every step of the job may add to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from promptarena.errors import Location, UsageError
from promptarena.reporting.markdown import to_markdown
from promptarena.reporting.outlines import Report, outline

__all__ = ["append_summary"]

MOST_BYTES: Final = 1024 * 1024
"""GitHub shows nothing of a step whose summary is longer."""


def append_summary(report: Report, path: Path) -> None:
    """Append a report as Markdown to a job's summary; of one that is too long the answer alone.

    Args:
        report: what to add.
        path: what the variable GITHUB_STEP_SUMMARY names.

    Raises:
        UsageError: the file cannot be written to.
    """
    text = to_markdown(report)
    if len(text.encode("utf-8", "backslashreplace")) >= MOST_BYTES // 2:
        content = outline(report)
        text = to_markdown(report, head_only=True)
        text += f"\nThe whole report of {len(content.sections)} sections is too long for a job's summary.\n"
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text + "\n")
    except OSError as error:
        raise UsageError(
            f"The job's summary cannot be written: {error.strerror or error}.", where=Location(path)
        ) from error
