"""The words for an experiment's course: what may happen to it, and how it stands."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Move", "Status"]


class Move(StrEnum):
    """What a transition did."""

    START = "start"
    AMEND = "amend"
    """What may be amended was changed: monitors, alerts, later stages, sampling rates, secondaries."""
    RAMP = "ramp"
    """On to the next stage, or more traffic in this one."""
    REALLOCATE = "reallocate"
    """A bandit's weights moved: a new epoch."""
    PAUSE = "pause"
    RESUME = "resume"
    ROLLBACK = "rollback"
    STOP = "stop"
    SHIP = "ship"


class Status(StrEnum):
    """How an experiment stands."""

    RUNNING = "running"
    PAUSED = "paused"
    """Everybody gets the control, until it is resumed; assignments stand."""
    ROLLED_BACK = "rolled-back"
    """Everybody gets the control, for good; assignments stand."""
    STOPPED = "stopped"
    """Ended: everybody gets the baseline."""
    SHIPPED = "shipped"
    """Ended: a treatment has become the baseline."""

    @property
    def ended(self) -> bool:
        """Whether nodes need to know nothing of it any more."""
        return self in (Status.STOPPED, Status.SHIPPED)
