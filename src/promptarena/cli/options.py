"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "Html", "Markdown"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to standard output, and nothing else.")]
Html = Annotated[
    Path | None,
    typer.Option("--html", help="Also write one self-contained page with charts.", metavar="FILE"),
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", help="Also write Markdown, for a review or a wiki.", metavar="FILE"),
]
