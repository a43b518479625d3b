"""From outcomes to figures, each with its Monte-Carlo error, its promise and one line that explains it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from promptarena.analysis.harm import HARM_ALPHA
from promptarena.analysis.plan import Plan
from promptarena.definitions.analysis_plan import AnalysisPlan, Test
from promptarena.definitions.readout import Status
from promptarena.definitions.simulated import Bound, Figure, StopsAtLook
from promptarena.simulation.trial import Outcome
from promptarena.simulation.truth import Truth
from promptarena.stats.balance import BALANCE_ALPHA

__all__ = ["figures", "stops"]


def figures(
    outcomes: Sequence[Outcome], plan: AnalysisPlan, size: Plan, truth: Truth, waiting: int
) -> tuple[Figure, ...]:
    """All figures of one truth.

    Args:
        outcomes: of every experiment.
        plan: what was declared.
        size: what it was sized to.
        truth: what was simulated.
        waiting: days that a cohort waits for its windows, before it counts.
    """
    return tuple(_figures(outcomes, plan, size, truth, waiting))


def stops(outcomes: Sequence[Outcome], looks: int) -> tuple[StopsAtLook, ...]:
    """Where the experiments ended."""
    counted = Counter(outcome.look for outcome in outcomes)
    total = len(outcomes)
    places: list[tuple[str, int | None]] = [(f"look {look + 1}", look) for look in range(looks)]
    return tuple(
        StopsAtLook(when=when, share=counted[place] / total, error=_error(counted[place] / total, total))
        for when, place in [*places, ("between looks", None)]
    )


def _figures(
    outcomes: Sequence[Outcome], plan: AnalysisPlan, size: Plan, truth: Truth, waiting: int
) -> Iterator[Figure]:
    first = next(name for name in plan.variants or () if name != plan.control)
    yield _ships(outcomes, plan, size, truth, first)
    wrong = [outcome.status is Status.SHIP and outcome.variant != first for outcome in outcomes]
    if not truth.promises_null and len(plan.variants or ()) > 2:
        text = f"a treatment other than {first} ships, though it is like control"
        yield _share("wrong_ship", "ships another", text, wrong, plan.design.alpha / 2, "at most")
    if truth.promises_null and plan.primary.test is Test.SUPERIORITY and not truth.effects:
        text = "the primary crosses its boundary on either side, at any look, for any treatment"
        crossed = [outcome.crossed for outcome in outcomes]
        yield _share("type_i_error", "type I error", text, crossed, plan.design.alpha, "at most")
    harmful = [outcome.status is Status.HARMFUL for outcome in outcomes]
    harmless = all(effect == 0 for effect in truth.effects.values()) or truth.key != "asked"
    text = "harm is declared on any day, on the primary or a guardrail, and the change rolled back"
    if harmless:
        yield _share("false_rollback", "false rollbacks", text, harmful, HARM_ALPHA, "at most")
    else:
        yield _share("rollback", "rollbacks", text, harmful)
    held = [outcome.status is Status.HOLD for outcome in outcomes]
    yield _share("hold", "holds", "it ends without ground to ship, and the baseline stays", held)
    invalid = [outcome.status is Status.INVALID for outcome in outcomes]
    text = "sound data are called invalid, by the checks of balance"
    yield _share("false_invalid", "false alarms of the data", text, invalid, BALANCE_ALPHA, "at most")
    open_ended = [outcome.status is Status.CONTINUE for outcome in outcomes]
    if any(open_ended):
        yield _share("unfinished", "unfinished", "it was still running on its last simulated day", open_ended)
    yield from _ends(outcomes, waiting)
    yield from _estimates(outcomes, plan)


def _ships(outcomes: Sequence[Outcome], plan: AnalysisPlan, size: Plan, truth: Truth, first: str) -> Figure:
    any_ship = [outcome.status is Status.SHIP for outcome in outcomes]
    if truth.promises_null:
        text = "a change that should not ship is shipped; one side of alpha bounds it"
        return _share("false_ship", "false ships", text, any_ship, plan.design.alpha / 2, "at most")
    named = [ship and outcome.variant == first for ship, outcome in zip(any_ship, outcomes, strict=True)]
    if truth.promises_power and plan.bandit is None:
        text = "the effect is found, every guardrail passes, and the change is shipped"
        return _share("power", "power", text, named if len(truth.effects) else any_ship, size.power)
    return _share("ship", "ships", "the change is shipped", named)


def _ends(outcomes: Sequence[Outcome], waiting: int) -> Iterator[Figure]:
    yield _mean(
        "units",
        "units at the end",
        "of all variants, on average; what looking early saves",
        [outcome.units for outcome in outcomes],
        "units",
    )
    yield _mean(
        "days",
        "days to the end",
        f"from the first unit of the stage `ab` on, with {waiting} to wait for the last windows",
        [outcome.days + waiting for outcome in outcomes],
        "days",
    )


def _estimates(outcomes: Sequence[Outcome], plan: AnalysisPlan) -> Iterator[Figure]:
    covered = [outcome.covered for outcome in outcomes if outcome.covered is not None]
    if covered and plan.bandit is not None:
        text = "the primary's always-valid interval in the last readout misses the true effect"
        missed = [not each for each in covered]
        yield _share("misses", "interval misses", text, missed, plan.design.alpha, "at most")
    elif covered:
        text = "the primary's interval in the last readout holds the true effect, after stopping early too"
        yield _share("coverage", "coverage", text, covered, 1 - plan.design.alpha)
    on_best = [outcome.on_best for outcome in outcomes if outcome.on_best is not None]
    if on_best:
        yield Figure(
            key="on_best",
            title="on the best",
            meaning="share of the units that met the best variant; equal weights give each the same",
            value=float(np.mean(on_best)),
            error=float(np.std(on_best)) / math.sqrt(len(on_best)),
        )
    above = [outcome.above for outcome in outcomes if outcome.above is not None]
    if above:
        text = "the estimate after stopping is larger than the truth: half of the time, if it is fair"
        yield _share("above", "estimates above", text, above)


def _share(
    key: str,
    title: str,
    meaning: str,
    happened: Sequence[bool],
    promised: float | None = None,
    bound: Bound = "about",
) -> Figure:
    n, value = len(happened), sum(happened) / len(happened)
    expected = value if promised is None else max(promised, value) if bound == "at most" else promised
    return Figure(
        key=key,
        title=title,
        meaning=meaning,
        value=value,
        error=_error(expected, n),
        promised=promised,
        bound=bound,
    )


def _mean(key: str, title: str, meaning: str, values: Sequence[int], unit: str) -> Figure:
    array = np.asarray(values, dtype=np.float64)
    error = float(array.std(ddof=1)) / math.sqrt(len(array)) if len(array) > 1 else 0.0
    return Figure(
        key=key,
        title=title,
        meaning=meaning,
        value=float(array.mean()),
        error=error,
        share=False,
        unit=unit,
    )


def _error(share: float, n: int) -> float:
    return math.sqrt(share * (1 - share) / n)
