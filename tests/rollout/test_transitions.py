"""What may follow what, as a table; and properties of every course that is allowed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.course import Move, Status
from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.rollout_plan import (
    AbStage,
    CanaryStage,
    OfflineStage,
    ShadowStage,
    SkippedStage,
    Stage,
)
from promptarena.errors import UsageError
from promptarena.rollout.transitions import State, begin, move, ramp, ship

_OFFLINE = OfflineStage(stage="offline", dataset=DatasetSource(file="golden.jsonl"))
_SHADOW = ShadowStage(stage="shadow", traffic=0.2)
_CANARY = CanaryStage(stage="canary", traffic=0.1)
_AB = AbStage(stage="ab", traffic=0.5)
ALL: tuple[Stage, ...] = (_OFFLINE, _SHADOW, _CANARY, _AB)


def _without(*names: str) -> tuple[Stage, ...]:
    return tuple(
        SkippedStage.model_validate({"stage": s.stage, "skip": "why"}) if s.stage in names else s for s in ALL
    )


_ALLOWED = {
    Move.PAUSE: {Status.RUNNING: Status.PAUSED},
    Move.RESUME: {Status.PAUSED: Status.RUNNING},
    Move.ROLLBACK: {Status.RUNNING: Status.ROLLED_BACK, Status.PAUSED: Status.ROLLED_BACK},
    Move.STOP: dict.fromkeys((Status.RUNNING, Status.PAUSED, Status.ROLLED_BACK), Status.STOPPED),
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("by", _ALLOWED)
def test_each_move_follows_certain_statuses_and_keeps_stage_and_traffic(by: Move, status: Status) -> None:
    before = State(status, "canary", 0.1)
    after = _ALLOWED[by].get(status)
    if after is not None:
        assert move(before, by) == State(after, "canary", 0.1)
        return
    with pytest.raises(UsageError, match=f"It is {status.value.replace('-', ' ')}; `{by}` follows") as caught:
        move(before, by)
    assert caught.value.problems[0].hint


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.RUNNING])
def test_only_what_runs_is_ramped_or_shipped(status: Status) -> None:
    with pytest.raises(UsageError, match="`ramp` follows running only"):
        ramp(State(status, "canary", 0.1), ALL)
    with pytest.raises(UsageError, match="`ship` follows running only"):
        ship(State(status, "ab", 0.5), ALL)


def test_a_course_goes_through_every_stage_that_is_not_left_out() -> None:
    def course(rollout: tuple[Stage, ...]) -> list[tuple[str, float]]:
        state = begin(rollout)
        passed = [(state.stage, state.traffic)]
        for _ in range(3):
            try:
                state = ramp(state, rollout)
            except UsageError:
                break
            passed.append((state.stage, state.traffic))
        assert ship(state, rollout).status is Status.SHIPPED
        return passed

    assert course(ALL) == [("offline", 0), ("shadow", 0.2), ("canary", 0.1), ("ab", 0.5)]
    assert course(_without("offline", "shadow")) == [("canary", 0.1), ("ab", 0.5)]
    assert course(_without("canary", "ab")) == [("offline", 0), ("shadow", 0.2)]
    assert course(_without("offline", "shadow", "canary")) == [("ab", 0.5)]


def test_without_a_stage_there_is_nothing_to_start() -> None:
    for rollout in (None, (), _without("offline", "shadow", "canary", "ab")):
        with pytest.raises(UsageError, match="no rollout"):
            begin(rollout)


@pytest.mark.parametrize(
    ("stage", "traffic", "to", "share", "told"),
    [
        (
            "offline",
            0.0,
            "ab",
            None,
            "`shadow`, `canary` come before `ab`",
        ),
        ("shadow", 0.2, "ab", None, "`canary` comes before `ab`"),
        ("ab", 0.5, "canary", None, "never goes back a stage"),
        ("shadow", 0.2, "abb", None, "no stage `abb`.*Did you mean"),
        ("canary", 0.1, None, 0.1, "10% already; found 10%"),
        ("canary", 0.1, None, 0.05, "Traffic only widens"),
        ("canary", 0.1, None, 1.5, "found 150%"),
        ("canary", 0.1, None, 0.0, "found 0%"),
        ("canary", 0.6, "ab", None, "`canary` has 60% and `ab` would have 50%.*--traffic 60%"),
        ("canary", 0.1, "ab", 0.05, "`ab` would have 5%"),
        ("offline", 0.0, None, 0.5, "has no traffic"),
        ("ab", 0.5, None, None, "the last stage"),
        ("ab", 0.5, "ab", None, "already; found"),
    ],
)
def test_a_step_that_is_no_next_step_is_told(
    stage: str, traffic: float, to: str | None, share: float | None, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        ramp(State(Status.RUNNING, stage, traffic), ALL, to=to, traffic=share)


def test_a_stage_that_is_left_out_cannot_be_entered() -> None:
    with pytest.raises(UsageError, match=r"leaves `canary` out; its stages are `offline`, `shadow`, `ab`\."):
        ramp(State(Status.RUNNING, "shadow", 0.2), _without("canary"), to="canary")


def test_traffic_may_be_said_when_a_stage_is_entered_and_widened_within_it() -> None:
    entered = ramp(State(Status.RUNNING, "canary", 0.1), ALL, to="ab", traffic=0.2)
    assert entered == State(Status.RUNNING, "ab", 0.2)
    wider = ramp(entered, ALL, traffic=0.3)
    assert wider.traffic == 0.3
    # With nothing said, the last stage gets what it was declared to have.
    assert ramp(wider, ALL).traffic == 0.5
    assert ramp(wider, ALL, to="ab").traffic == 0.5
    assert ramp(ramp(wider, ALL), ALL, traffic=1.0).traffic == 1.0


def test_shipping_waits_for_the_last_stage() -> None:
    with pytest.raises(UsageError, match="in `canary`, and `ab` comes before shipping"):
        ship(State(Status.RUNNING, "canary", 0.1), ALL)
    assert ship(State(Status.RUNNING, "canary", 0.1), _without("ab")).status is Status.SHIPPED


_STEPS = st.lists(
    st.one_of(
        st.sampled_from([Move.PAUSE, Move.RESUME, Move.ROLLBACK, Move.STOP, Move.SHIP]),
        st.tuples(st.sampled_from([None, "offline", "shadow", "canary", "ab"]), st.none() | st.floats(0, 1)),
    ),
    max_size=25,
)


@given(steps=_STEPS, left_out=st.sets(st.sampled_from(["offline", "shadow", "canary"])))
def test_no_course_narrows_enrolment_goes_back_or_leaves_an_end(
    steps: list[Move | tuple[str | None, float | None]], left_out: set[str]
) -> None:
    rollout = _without(*left_out)
    states = [begin(rollout)]
    for step in steps:
        try:
            match step:
                case Move.SHIP:
                    states.append(ship(states[-1], rollout))
                case Move():
                    states.append(move(states[-1], step))
                case (to, traffic):
                    states.append(ramp(states[-1], rollout, to=to, traffic=traffic))
        except UsageError:
            continue
    names = ["offline", "shadow", "canary", "ab"]
    for before, after in pairwise(states):
        assert before.status not in (Status.STOPPED, Status.SHIPPED)
        assert names.index(before.stage) <= names.index(after.stage)
        assert after.stage not in left_out
        if before.stage in ("canary", "ab"):
            assert after.traffic >= before.traffic
        if before.status is Status.ROLLED_BACK:
            assert after.status is Status.STOPPED
        assert 0 <= after.traffic <= 1
