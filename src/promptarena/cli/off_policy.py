"""`arena off-policy`: what another policy would have earned on what was logged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptarena.cli.log_access import LogOption, log_to_read
from promptarena.cli.options import AsJson, Html, Markdown
from promptarena.errors import UsageError

if TYPE_CHECKING:
    from promptarena.definitions.off_policy_readout import OffPolicyReadout

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("off-policy")(off_policy)


def off_policy(
    file: Annotated[
        str | None,
        typer.Argument(help="CSV, TSV or Parquet file, or FILE.duckdb::TABLE: one row a round."),
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(help="An experiment that was started, in place of a file.", metavar="NAME")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="The other policy, as shares of the variants.", metavar="a=.2,b=.8"),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Of an experiment: the reward; by default the bandit's or the primary.")
    ] = None,
    reward: Annotated[str | None, typer.Option(help="Column of the reward.", metavar="COL")] = None,
    logged: Annotated[
        str | None,
        typer.Option(help="Column of the probability with which the choice was made.", metavar="COL"),
    ] = None,
    evaluated: Annotated[
        str | None, typer.Option(help="Column of the other policy's probability of it.", metavar="COL")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Column of the choice, with --policy.", metavar="COL")
    ] = None,
    predicted: Annotated[
        str | None, typer.Option(help="Column of a model's reward of the choice.", metavar="COL")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Column of the model's mean reward under the other policy.", metavar="COL"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column of what rounds have in common (a user).", metavar="COL")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Two-sided error of the intervals.")] = 0.05,
    log: LogOption = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Estimate what another policy would have earned, from choices that were logged with their propensities.

    IPS and SNIPS; with a reward model (--predicted and --baseline) also DM and DR. Where the weights explode
    it says so before anything else.
    """
    from promptarena.cli.rendering import refuse_overwriting, render_off_policy

    _check(file, experiment, policy, reward, logged, evaluated, variant, predicted, baseline)
    if not 0 < alpha < 0.5:
        raise UsageError(f"--alpha lies between 0 and 0.5; found {alpha:g}.")
    shares = None if policy is None else _shares(policy)
    if experiment is not None:
        found = _of_experiment(experiment, shares or {}, metric, alpha, log)
        refuse_overwriting(html, markdown, [])
    else:
        from promptarena.analysis.off_policy import RoundColumns, off_policy_readout, rounds_of_file

        refuse_overwriting(html, markdown, [Path(str(file).rsplit("::", 1)[0])])
        columns = RoundColumns(
            reward=str(reward),
            logged=str(logged),
            evaluated=evaluated,
            variant=variant,
            policy=shares,
            predicted=predicted,
            baseline=baseline,
            cluster=cluster,
        )
        found = off_policy_readout(
            rounds_of_file(str(file), columns),
            source=str(file),
            reward=str(reward),
            policy=policy or f"column {evaluated}",
            alpha=alpha,
        )
    render_off_policy(found, as_json=as_json, html=html, markdown=markdown)


def _of_experiment(
    name: str, shares: dict[str, float], metric: str | None, alpha: float, log: Path | None
) -> OffPolicyReadout:
    from promptarena.cli.registry_access import opened_registry
    from promptarena.definitions.clock import SystemClock
    from promptarena.rollout.other_policy import estimate_other_policy

    with opened_registry() as registry:
        if registry is None:
            raise UsageError("Nothing was ever started here.", hint="Begin with `arena start FILE`.")
        now = SystemClock().now()
        return estimate_other_policy(
            registry, log_to_read(log), name, shares, now, metric=metric, alpha=alpha
        )


def _check(
    file: str | None,
    experiment: str | None,
    policy: str | None,
    reward: str | None,
    logged: str | None,
    evaluated: str | None,
    variant: str | None,
    predicted: str | None,
    baseline: str | None,
) -> None:
    if (file is None) == (experiment is None):
        raise UsageError("Name a file of rounds, or --experiment NAME: one of the two.")
    if experiment is not None:
        if policy is None:
            raise UsageError("Say the other policy: --policy control=.2,treatment=.8.")
        return
    if missing := [flag for flag, said in (("--reward", reward), ("--logged", logged)) if said is None]:
        raise UsageError(f"A file of rounds needs {' and '.join(missing)}: the names of its columns.")
    if (evaluated is None) == (policy is None) or (policy is None) != (variant is None):
        raise UsageError(
            "Say the other policy: --evaluated COL, or --variant COL with --policy a=.2,b=.8.",
            hint="A policy that depends on more than the variant needs the column.",
        )
    if (predicted is None) != (baseline is None):
        raise UsageError("A reward model has both --predicted and --baseline.")


def _shares(written: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in written.split(","):
        variant, _, share = part.partition("=")
        try:
            shares[variant.strip()] = float(share.strip().removesuffix("%")) / (100 if "%" in share else 1)
        except ValueError:
            raise UsageError(f"--policy is written a=.2,b=.8; found {part!r}.") from None
    return shares
