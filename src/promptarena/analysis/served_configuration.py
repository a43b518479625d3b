"""Whether users were served what they were assigned.

A model call says which experiment, variant and configuration it was served by, and why, if these are not the
unit's own: a fallback, a pause, a rollback. A call that differs and gives no reason means that the comparison
is not the one that was declared. Units seen in two variants are judged as crossovers, not here; what a call
does not say is not held against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis

from promptarena.definitions.readout import Check

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["configuration_check", "fits", "misfit"]


def fits(calls: ibis.Table, experiment: Experiment) -> Any:
    """To which variants' units a call may have been served: bit i is for the i-th variant."""
    bits = []
    for at, variant in enumerate(experiment.variants):
        allowed = [
            calls.experiment.fill_null(experiment.name) == experiment.name,
            calls.variant.fill_null(variant.name) == variant.name,
            calls.config_hash.fill_null(variant.settings.config_hash) == variant.settings.config_hash,
        ]
        served = calls.reason.notnull() | ibis.and_(*allowed)
        bits.append(ibis.ifelse(served, 2**at, 0).cast("int64"))
    total = bits[0]
    for bit in bits[1:]:
        total = total + bit
    return total


def misfit(call_fits: Any, variant_number: Any) -> Any:
    """Whether a call was not the unit's own; false where there is no call."""
    return (((call_fits >> variant_number) & 1) == 0).fill_null(False)


def configuration_check(calls: int) -> Check:
    """The readout is invalid if any call differs.

    Args:
        calls: how many differ without a reason.
    """
    text = (
        "every model call shows the variant that its unit was assigned, or says why not"
        if calls == 0
        else f"{calls:,} model calls show another variant or configuration than assigned, and no reason"
    )
    return Check(name="served configuration", passed=calls == 0, text=text, numbers={"calls": calls})
