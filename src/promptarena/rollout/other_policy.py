"""What fixed weights of another kind would have earned in an experiment, from its registry and its log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from promptarena.analysis.cohort_cube import read_cohorts
from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.off_policy import off_policy_readout, rounds_of_cube
from promptarena.definitions.bandit import FOLLOWED
from promptarena.definitions.off_policy_readout import OffPolicyReadout
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import UsageError
from promptarena.rollout.lifecycle import definition_of, known_standing
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.registry import Registry
from promptarena.storage.warehouse import Warehouse

__all__ = ["estimate_other_policy"]


def estimate_other_policy(
    registry: Registry,
    log: LogReader,
    name: str,
    policy: Mapping[str, float],
    as_of: datetime,
    *,
    metric: str | None = None,
    alpha: float = 0.05,
) -> OffPolicyReadout:
    """What other weights would have earned on an experiment's units; each unit's propensity is its epoch's.

    Args:
        registry: what was started, and its allocations.
        log: its events.
        name: of the experiment.
        policy: the other weights, by variant.
        as_of: the moment; whole cohorts count.
        metric: the reward; what the bandit follows, or else the primary.
        alpha: of the intervals.

    Raises:
        UsageError: it was never started, has no such metric or variant, or the weights do not sum to 1.
        StorageError: the registry or the log cannot be read.
        DataError: no unit has a reward yet.
    """
    definition = definition_of(known_standing(registry, name))
    plan = definition.analysis_plan()
    usual = definition.allocation.reward if definition.allocation else plan.primary.metric
    wanted, known = metric or str(usual), [each.name for each in plan.metrics if each.kind in FOLLOWED]
    if wanted not in known:
        raise UsageError(
            f"A reward is one number a unit; `{name}` has {listed(known)}, and found `{wanted}`.",
            hint=did_you_mean(wanted, known),
        )
    reward = plan.metric(wanted).model_copy(update={"covariates": ()})
    weights = {str(record.epoch): record.weights for record in registry.allocations(name)}
    started = registry.history(name)[0].at
    maturity = Maturity.of((reward,), definition.unit)
    with Warehouse(ordered=False) as warehouse:
        tables = EventTables.of_snapshot(
            warehouse.connection,
            log.snapshot(),
            since=started.astimezone(UTC).date() - timedelta(days=1),
            until=as_of.astimezone(UTC).date(),
        )
        cohorts = read_cohorts(
            tables,
            definition,
            (reward,),
            as_of=as_of,
            last_day=maturity.last_day(as_of),
            maturity=maturity,
            started=started,
        )
    told = ", ".join(f"{variant} {share * 100:.4g}%" for variant, share in policy.items())
    return off_policy_readout(
        rounds_of_cube(cohorts.cube, reward, weights, policy),
        source=name,
        reward=reward.name,
        policy=told,
        alpha=alpha,
        notes=("a round is a unit of a whole cohort in stage ab; its propensity is its epoch's weight",),
    )
