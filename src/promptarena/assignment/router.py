"""From a request to its variant: feature, experiment, eligibility, unit, enrolment, variant, settings.

    router = Router(Configuration({"support-bot": baseline}, [running]))
    assignment = router.assign("support-bot", {"conversation": "c-17"}, {"tier": "free"})
    log(assignment.exposure(clock.now(), {"tier": "free"}, request_id))     # where it is not None
    call(assignment.settings)

It takes no lock and reads no database, except for the first meeting of a unit with a bandit (`Configuration
.pinned`); an application that may not wait then calls it in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from promptarena.assignment.arms import Arms
from promptarena.assignment.assigned import Assignment, Placement
from promptarena.assignment.bucketing import LONGEST_UNIT
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.pins import PinStore
from promptarena.errors import StorageError, UsageError

__all__ = ["Router"]

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
# A NamedTuple's own constructor takes nearly twice as long, and assigning is held to four times its digest.
_new: Final = tuple.__new__


class Router:
    """Assigns units by a snapshot of the configuration.

    Args:
        configuration: the snapshot to begin with.
        pins: where pins are kept; needed as soon as an experiment is adaptive. Wrap a store that is elsewhere
            in `CachedPins`.

    Raises:
        UsageError: pins are needed and there is no store.
    """

    __slots__ = ("_configuration", "_pins")

    def __init__(self, configuration: Configuration, pins: PinStore | None = None) -> None:
        self._pins = pins
        self.swap(configuration)

    @property
    def configuration(self) -> Configuration:
        """The snapshot that the next assignment is made by."""
        return self._configuration

    def swap(self, configuration: Configuration) -> None:
        """Assign by another snapshot from now on; calls that are under way end by the one they began with.

        Raises:
            UsageError: it needs a pin store and there is none; the present one stays.
        """
        if configuration.pinned and self._pins is None:
            raise UsageError(
                "An adaptive experiment keeps its units' variants, and this node has no pin store."
            )
        self._configuration = configuration

    def unit_kind(self, feature: str) -> str | None:
        """What the experiments on a feature randomise, so that a caller looks for that id alone.

        Raises:
            UsageError: there is no such feature.
        """
        route = self._configuration.routes.get(feature)
        if route is None:
            raise self._unknown(feature)
        return route.unit_kind or None

    def assign(
        self,
        feature: str,
        units: Mapping[str, str],
        attributes: Mapping[str, object] = _NOTHING,
        *,
        keep: bool = True,
    ) -> Assignment:
        """Which variant this unit has and what it is served. The caller logs its `exposure`.

        Args:
            feature: the name that the application asks for.
            units: ids by kind (request, session, conversation, user, or an attribute's name). One kind never
                stands in for another. An id is taken as it is given; one that is empty, longer than 512 bytes
                of UTF-8, or no text that UTF-8 has is no unit.
            attributes: of the unit, for eligibility, and for an experiment whose unit is an attribute.
            keep: whether a unit that meets a bandit for the first time is pinned.

        Raises:
            UsageError: there is no such feature.
        """
        route = self._configuration.routes.get(feature)
        if route is None:
            raise self._unknown(feature)
        unit = units.get(route.unit_kind)
        try:
            encoded = unit.encode()  # type: ignore[union-attr]
        except (AttributeError, UnicodeEncodeError):
            encoded = b""
        if not 0 < len(encoded) <= LONGEST_UNIT:
            unit = route.other_unit(units, attributes)
            if unit is None:
                return route.without_unit(attributes)
            encoded = unit.encode()
        arms = route.only
        if arms is None:
            arms = route.layer.holder(encoded)
            if arms is None:
                return Assignment(route.baseline, unit)
        if arms.rules is not None and not arms.rules.admit(attributes):
            return Assignment(arms.not_eligible, unit)
        digest = sha256(arms.salt + encoded).digest()
        if digest >= arms.enrolled_below:
            return Assignment(arms.not_enrolled, unit)
        if arms.pinned:
            return Assignment(self._pinned(arms, str(unit), digest, keep), unit)
        return _new(Assignment, (arms.guide[digest[8]] or arms.arm(digest), unit))

    def peek(
        self, feature: str, units: Mapping[str, str], attributes: Mapping[str, object] = _NOTHING
    ) -> Assignment:
        """What `assign` would answer, for somebody who only looks: nothing to log, nothing pinned.

        Raises:
            UsageError: there is no such feature.
        """
        placement, unit_id = self.assign(feature, units, attributes, keep=False)
        return Assignment(replace(placement, exposed=False) if placement.exposed else placement, unit_id)

    def _pinned(self, arms: Arms, unit: str, digest: bytes, keep: bool) -> Placement:
        assert self._pins is not None
        new = arms.pin_for(digest)
        try:
            pin = self._pins.keep(arms.name, unit, new) if keep else self._pins.find(arms.name, unit) or new
        except StorageError:
            return arms.pins_unavailable
        return arms.pinned_arm(pin)

    def _unknown(self, feature: str) -> UsageError:
        from promptarena.definitions.suggestion import did_you_mean, listed

        known = self._configuration.routes
        return UsageError(
            f"There is no feature `{feature}`; there are {listed(known)}.", hint=did_you_mean(feature, known)
        )
