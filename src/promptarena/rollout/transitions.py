"""What may follow what: an experiment's state, and the moves that lead from it to the next.

    start -> running -- ramp --> running (next stage, or more traffic)
             running -- pause -> paused -- resume -> running
             running, paused -- rollback -> rolled back
             running, paused, rolled back -- stop -> stopped
             running in its last stage -- ship -> shipped

Nothing here can be overruled; `objections` has what can.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from promptarena.definitions.course import Move, Status
from promptarena.definitions.rollout_plan import STAGES, Stage
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import UsageError
from promptarena.rollout.stages import ENROLLING, declared_traffic, following, taken_stages

__all__ = ["WAY_OUT", "State", "begin", "move", "ramp", "ship"]

_FROM: Final[dict[Move, tuple[Status, ...]]] = {
    Move.RAMP: (Status.RUNNING,),
    Move.PAUSE: (Status.RUNNING,),
    Move.RESUME: (Status.PAUSED,),
    Move.ROLLBACK: (Status.RUNNING, Status.PAUSED),
    Move.STOP: (Status.RUNNING, Status.PAUSED, Status.ROLLED_BACK),
    Move.SHIP: (Status.RUNNING,),
}
_TO: Final = {
    Move.PAUSE: Status.PAUSED,
    Move.RESUME: Status.RUNNING,
    Move.ROLLBACK: Status.ROLLED_BACK,
    Move.STOP: Status.STOPPED,
}
WAY_OUT: Final = {
    Status.RUNNING: "`arena status` says what may come next.",
    Status.PAUSED: "`arena resume` lets it go on; `arena rollback` and `arena stop` end it.",
    Status.ROLLED_BACK: "`arena stop` ends it. What was mended is another experiment, with another name.",
    Status.STOPPED: "It has ended. Start what comes next under another name: names salt assignments.",
    Status.SHIPPED: "It has ended. `arena revert` goes back to the baseline before it.",
}


@dataclass(frozen=True, slots=True)
class State:
    """Where an experiment stands."""

    status: Status
    stage: str
    traffic: float
    """Share of units that are enrolled (canary, ab), of requests (shadow), or none (offline)."""


def begin(rollout: Sequence[Stage] | None) -> State:
    """The state after `start`: the first stage that is not left out.

    Raises:
        UsageError: there is none.
    """
    stages = taken_stages(rollout)
    if not stages:
        raise UsageError(
            "This experiment has no rollout, so there is nothing to start.",
            hint="Declare its stages under `rollout`; `arena init` writes an example.",
        )
    return State(Status.RUNNING, stages[0].stage, declared_traffic(stages[0]))


def move(state: State, by: Move) -> State:
    """The state after a move that changes the status alone: pause, resume, rollback, stop.

    Raises:
        UsageError: the experiment stands where this cannot follow.
    """
    _check(state, by)
    return replace(state, status=_TO[by])


def ramp(
    state: State, rollout: Sequence[Stage] | None, *, to: str | None = None, traffic: float | None = None
) -> State:
    """The state after `ramp`: the next stage, or more traffic in this one.

    Args:
        state: now.
        rollout: as declared.
        to: the stage to enter; the next one where neither this nor `traffic` is said.
        traffic: the share to have there; what is declared where it is not said.

    Raises:
        UsageError: the experiment does not run; that stage is not the next; traffic would not widen.
    """
    _check(state, Move.RAMP)
    if to is None and traffic is not None:
        return _widen(state, traffic)
    if to == state.stage:
        return _widen(state, traffic if traffic is not None else _declared(rollout, to))
    entered = following(rollout, state.stage)
    if to is None and entered is None:
        return _widen(state, _declared(rollout, state.stage), last=True)
    if entered is None or (to is not None and to != entered.stage):
        raise _no_such_step(state, rollout, str(to))
    wanted = declared_traffic(entered) if traffic is None else traffic
    _check_share(entered.stage, wanted)
    if state.stage in ENROLLING and wanted < state.traffic:
        raise UsageError(
            f"Traffic only widens, so that every unit keeps its variant: `{state.stage}` has "
            f"{_share(state.traffic)} and `{entered.stage}` would have {_share(wanted)}.",
            hint=f"Enter it with as much: --traffic {_share(state.traffic)}",
        )
    return State(Status.RUNNING, entered.stage, wanted)


def ship(state: State, rollout: Sequence[Stage] | None) -> State:
    """The state after `ship`, which follows the last stage alone.

    Raises:
        UsageError: the experiment does not run, or has a stage to come.
    """
    _check(state, Move.SHIP)
    if (coming := following(rollout, state.stage)) is not None:
        raise UsageError(
            f"It is in `{state.stage}`, and `{coming.stage}` comes before shipping.",
            hint=f"`arena ramp` enters it; or amend the file: {{stage: {coming.stage}, skip: the reason}}.",
        )
    return replace(state, status=Status.SHIPPED)


def _check(state: State, by: Move) -> None:
    if state.status not in _FROM[by]:
        raise UsageError(
            f"It is {_words(state.status)}; `{by}` follows {_either(_FROM[by])} only.",
            hint=WAY_OUT[state.status],
        )


def _widen(state: State, traffic: float, *, last: bool = False) -> State:
    _check_share(state.stage, traffic)
    if traffic > state.traffic:
        return replace(state, traffic=traffic)
    if last:
        text = (
            f"`{state.stage}` is the last stage and has {_share(state.traffic)} of the traffic, as declared."
        )
        raise UsageError(text, hint="`arena ship` or `arena stop` comes next; --traffic widens it further.")
    raise UsageError(
        f"Traffic only widens, so that every unit keeps its variant: it has {_share(state.traffic)} already; "
        f"found {_share(traffic)}.",
        hint="`arena pause` serves the control to everybody at once.",
    )


def _check_share(stage: str, traffic: float) -> None:
    if stage == STAGES[0]:
        if traffic:
            raise UsageError(
                "`offline` has no traffic: it answers a golden dataset.", hint="Leave --traffic out."
            )
    elif not 0 < traffic <= 1:
        raise UsageError(f"Traffic is a share above 0% and up to 100%; found {_share(traffic)}.")


def _declared(rollout: Sequence[Stage] | None, name: str) -> float:
    return next(declared_traffic(stage) for stage in taken_stages(rollout) if stage.stage == name)


def _no_such_step(state: State, rollout: Sequence[Stage] | None, to: str) -> UsageError:
    taken: list[str] = [stage.stage for stage in taken_stages(rollout)]
    if to not in STAGES:
        return UsageError(
            f"There is no stage `{to}`; there are {listed(STAGES)}.", hint=did_you_mean(to, STAGES)
        )
    if to not in taken:
        return UsageError(f"The rollout leaves `{to}` out; its stages are {listed(taken)}.")
    if taken.index(to) < taken.index(state.stage):
        return UsageError(
            f"It is in `{state.stage}`, and `{to}` came before it: an experiment never goes back a stage.",
            hint="`arena pause` serves the control to everybody until it is resumed.",
        )
    between = taken[taken.index(state.stage) + 1 : taken.index(to)]
    come = "comes" if len(between) == 1 else "come"
    return UsageError(
        f"It is in `{state.stage}`; {listed(between)} {come} before `{to}`.",
        hint="`arena ramp` without --to enters the next stage; a stage is left out by `skip` in the file.",
    )


def _words(status: Status) -> str:
    return status.value.replace("-", " ")


def _either(statuses: Collection[Status]) -> str:
    return " or ".join(_words(status) for status in statuses)


def _share(traffic: float) -> str:
    return f"{traffic * 100:g}%"
