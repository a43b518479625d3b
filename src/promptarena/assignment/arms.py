"""One experiment, ready for digests: where its variants' numbers begin and end, and what each is served."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from typing import Final

from promptarena.assignment.allocation import cut_points
from promptarena.assignment.assigned import Placement, Reason
from promptarena.assignment.bucketing import bound, cut, experiment_salt
from promptarena.assignment.eligibility import Rules
from promptarena.assignment.merging import Merging
from promptarena.assignment.pins import Pin
from promptarena.assignment.running import RunningExperiment, Serving

__all__ = ["Arms"]

_HELD: Final = {Serving.PAUSED: Reason.PAUSED, Serving.ROLLED_BACK: Reason.ROLLED_BACK}


class Arms:
    """What assigning needs of an experiment, computed once for each configuration."""

    __slots__ = (
        "_arms",
        "_cuts",
        "_in_order",
        "enrolled_below",
        "guide",
        "name",
        "not_eligible",
        "not_enrolled",
        "pinned",
        "pins_unavailable",
        "rules",
        "salt",
    )

    def __init__(self, running: RunningExperiment, baseline: Placement) -> None:
        definition, allocation = running.definition, running.allocation
        told = replace(
            baseline,
            experiment=definition.name,
            definition_hash=definition.content_hash,
            unit_kind=definition.unit,
            stage=running.stage,
            segments=tuple(segment.name for segment in definition.segments),
        )
        control, *_ = definition.variants
        unpinned = replace(
            told,
            reason=Reason.PINS_UNAVAILABLE,
            settings=control.settings,
            config_hash=control.settings.config_hash,
            served=control.name,
        )
        arms = {
            variant.name: replace(
                told,
                reason=Reason.ENROLLED,
                settings=variant.settings,
                config_hash=variant.settings.config_hash,
                variant=variant.name,
                served=variant.name,
                epoch=allocation.epoch,
                propensity=allocation.propensity(variant.name),
                exposed=True,
            )
            for variant in definition.variants
        }
        if held := _HELD.get(running.serving):
            # Whose variant is in a pin keeps it, but nothing hangs on it now: the store is left in peace.
            arms = {
                name: replace(unpinned, reason=held)
                if running.pinned
                else replace(
                    arm,
                    reason=held,
                    settings=control.settings,
                    config_hash=control.settings.config_hash,
                    served=control.name,
                    exposed=False,
                )
                for name, arm in arms.items()
            }
        elif definition.interleave is not None:
            # Nobody has a variant of his own: every list has both.
            merged = replace(
                unpinned,
                reason=Reason.INTERLEAVED,
                served=None,
                epoch=allocation.epoch,
                merging=Merging.of(definition.interleave, definition.variants),
            )
            arms = dict.fromkeys(arms, merged)
        self._arms = arms
        self._in_order = tuple(arms.values())
        self._cuts = [bound(at) for at in cut_points([allocation.weights[name] for name in arms])]
        self.guide: Final = tuple(self._all_alike(first) for first in range(256))
        """By the first byte of the variant number: the arm of all numbers that begin with it, `None` where
        they differ. It saves most units a search, which would cost 40% of their digest."""
        self.name: Final = definition.name
        self.salt: Final = experiment_salt(definition.name)
        self.rules: Final = Rules(definition.eligibility) or None
        self.enrolled_below: Final = bound(cut(running.traffic))
        """A digest below it belongs to an enrolled unit."""
        self.pinned: Final = running.pinned and not held
        """Whether the unit's pin decides, and not the digest alone."""
        self.not_eligible: Final = replace(told, reason=Reason.NOT_ELIGIBLE)
        self.not_enrolled: Final = replace(told, reason=Reason.NOT_ENROLLED)
        self.pins_unavailable: Final = unpinned

    def arm(self, digest: bytes) -> Placement:
        """Of the enrolled unit with this digest."""
        return self._in_order[bisect_right(self._cuts, digest[8:16])]

    def pin_for(self, digest: bytes) -> Pin:
        """What is pinned for a unit that is met for the first time."""
        arm = self.arm(digest)
        assert arm.variant is not None
        assert arm.epoch is not None
        assert arm.propensity is not None
        return Pin(arm.variant, arm.epoch, arm.propensity)

    def pinned_arm(self, pin: Pin) -> Placement:
        """Of a unit that is pinned so: epoch and propensity are those of its first assignment."""
        if (arm := self._arms.get(pin.variant)) is None:
            return self.pins_unavailable
        return replace(arm, epoch=pin.epoch, propensity=pin.propensity)

    def _all_alike(self, first: int) -> Placement | None:
        lowest, highest = (bytes([first]) + rest * 7 for rest in (b"\x00", b"\xff"))
        at = bisect_right(self._cuts, lowest)
        return self._in_order[at] if at == bisect_right(self._cuts, highest) else None
