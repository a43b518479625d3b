"""`arena provider`: a simulated model provider on this machine, for whoever has no key."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from promptarena.errors import Location, UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("provider")(provider)


def provider(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where it listens; 0 for any free one.")] = 8321,
    seed: Annotated[int, typer.Option(help="Of all that it draws.")] = 1,
    pace: Annotated[
        float, typer.Option(min=0, help="How much slower than by nature it answers; 0 answers at once.")
    ] = 1.0,
    failures: Annotated[
        float, typer.Option(min=0, help="How much likelier it fails (429, 500) than by nature; 0 is never.")
    ] = 1.0,
) -> None:
    """Start a simulated provider that speaks OpenAI's protocol, on loopback, until Ctrl-C.

    It answers for a small shop's support and judges such answers, by a draw of the seed and the request: no
    language model is behind it. `gpt-4o-mini` and `gpt-4o` are other names of `sim-small` and `sim-large`.
    Embeddings are simulated by the words that texts share: `sim-embedding`, or `text-embedding-3-small`.
    """
    from promptarena.demo.provider import SimulatedProvider

    try:
        with SimulatedProvider(seed, pace=pace, failures=failures, port=port) as running:
            typer.echo(
                f"A simulated provider answers at {running.base_url}, until Ctrl-C. In another shell:\n\n"
                f"    export OPENAI_BASE_URL={running.base_url}\n"
                "    export OPENAI_API_KEY=simulated\n"
            )
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        typer.echo(f"\nAnswered {running.answered.total():,} requests.")
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used: {(error.strerror or str(error)).lower()}.",
            where=Location(field="--port"),
            hint="Name another one, or 0 for any free one.",
        ) from error
