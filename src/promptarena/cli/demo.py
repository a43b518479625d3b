"""`arena demo`: the whole way of one change, on a provider and customers that are simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.errors import UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write the files of the story.")] = Path(
        "arena-demo"
    ),
    recorded: Annotated[
        bool, typer.Option("--recorded", help="The short story: recorded answers and a table of outcomes.")
    ] = False,
    base_url: Annotated[
        str | None, typer.Option(help="A real provider that speaks OpenAI's protocol.", metavar="URL")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Its model that answers.")] = None,
    judge: Annotated[str | None, typer.Option(help="Its model that compares; the same one.")] = None,
    key_env: Annotated[str, typer.Option(help="The variable that holds its key.")] = "OPENAI_API_KEY",
    daily: Annotated[
        int | None, typer.Option(min=1, help="Conversations a day; 70, and 5 with a real provider.")
    ] = None,
) -> None:
    """Take a support bot's new prompt from its plan to a verdict: offline gate, canary, A/B test with looks.

    Customers and calendar are simulated, and so is the provider unless --base-url names a real one.
    """
    if recorded:
        from promptarena.demo.story import tell

        tell(folder)
        return
    if (base_url is None) != (model is None):
        raise UsageError("A real provider is --base-url and --model together.")
    from promptarena.demo.live_story import RealProvider, tell_live

    if base_url is None or model is None:
        tell_live(folder, daily=daily or 70)
    else:
        tell_live(folder, real=RealProvider(base_url, model, key_env, judge), daily=daily or 5)
