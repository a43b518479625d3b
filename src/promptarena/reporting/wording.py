"""What a verdict means and what to do next, for somebody who is no statistician."""

from __future__ import annotations

from typing import Final

from promptarena.definitions.readout import Readout, Status
from promptarena.reporting.figures import Scale
from promptarena.reporting.outline import Tone

__all__ = ["NOT_PREREGISTERED", "TONES", "action", "meaning"]

NOT_PREREGISTERED: Final = (
    "Not preregistered: no definition fixed this analysis before the data came in, so it is valid only if"
    " the data were looked at once."
)

TONES: Final = {
    Status.INVALID: Tone.BAD,
    Status.HARMFUL: Tone.BAD,
    Status.SHIP: Tone.GOOD,
    Status.HOLD: Tone.WARNING,
    Status.CONTINUE: Tone.NEUTRAL,
}

_MEND: Final = {
    "balance": "Find out why a variant lost or gained units (crashes, time-outs, filters, late logging)",
    "crossovers": "Find out why units were seen in several variants (unstable ids, changed salt or weights)",
}


def meaning(readout: Readout) -> str:
    """The verdict in plain words."""
    control, variant = readout.control, readout.verdict.variant or "the change"
    match readout.verdict.status:
        case Status.INVALID:
            return "The data cannot be trusted, so none of the effects below may be believed, good or bad."
        case Status.HARMFUL:
            hurt = _hurt(readout)
            return f"{variant} makes {hurt} worse than {control} does, by more than chance explains."
        case Status.SHIP:
            return f"{variant} {_shown(readout)} {control} on {readout.primary}; {_guarded(readout)}."
        case Status.HOLD:
            return (
                f"There is no ground to ship {variant}. That is not proof of no effect: the interval of "
                f"{readout.primary} shows which effects are still possible."
            )
        case _:
            return "There is not enough evidence yet, neither for nor against."


def action(readout: Readout) -> str:
    """The next step."""
    control, variant = readout.control, readout.verdict.variant or "the change"
    match readout.verdict.status:
        case Status.INVALID:
            broken = next((c.name for c in readout.verdict.checks if c.passed is False), "")
            mend = _MEND.get(broken, "Find the cause of what is named above")
            return f"Decide nothing from these numbers. {mend}, mend it, and run the experiment again."
        case Status.HARMFUL:
            return (
                f"Send all traffic back to {control} now. Then see in the segments who is hurt, mend the"
                " change, and test it as a new experiment."
            )
        case Status.SHIP:
            watch = " and keep watching the guardrails as traffic grows" if _guardrails(readout) else ""
            return f"Give {variant} all traffic{watch}."
        case Status.HOLD:
            return (
                f"Keep {control}. If an effect that is still possible would be worth having, plan a larger "
                "experiment; if not, drop the change."
            )
        case _ if not readout.paths:
            return "Decide nothing yet: collect more units, then analyse again."
        case _:
            return (
                "Leave the traffic as it is and wait for the next look. Do not decide from today's numbers: "
                "stopping as soon as they look good is how false winners are made."
            )


def _guardrails(readout: Readout) -> list[str]:
    return [name for name, metric in readout.metrics.items() if metric.role == "guardrail"]


def _hurt(readout: Readout) -> str:
    variant = readout.verdict.variant
    hurt = [
        check.metric
        for check in readout.verdict.checks
        if check.name == "harm"
        and check.passed is False
        and check.metric
        and check.variant in (variant, None)
    ]
    return " and ".join(dict.fromkeys(hurt)) or readout.primary


def _shown(readout: Readout) -> str:
    primary = readout.metrics[readout.primary]
    if primary.margin is None:
        return "is better than"
    return f"is no worse, by more than the margin of {Scale.of(primary).margin(primary.margin)}, than"


def _guarded(readout: Readout) -> str:
    match len(_guardrails(readout)):
        case 0:
            return "no guardrail was declared, so nothing else was protected"
        case 1:
            return "its one guardrail stayed within its margin"
        case n:
            return f"{'both' if n == 2 else f'all {n}'} guardrails stayed within their margins"
