"""People and judges change their minds; applications and businesses report what happened.

A measurement by a human or a judge is an opinion: of several by the same evaluator on the same matter (name,
target, item, opponent) the latest in the window is the one that counts, whatever the metric makes of it. One
from code or from the business is an occurrence, and every one counts: two orders of a user are two orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import ibis

from promptarena.analysis.engine_words import EngineWords
from promptarena.storage.warehouse import fetch, held

__all__ = ["is_opinion", "replaced_opinions"]

_OPINIONS: Final = ("human", "judge")
_MATTER: Final = ("name", "source", "evaluator", "target_kind", "target", "item", "against")


def is_opinion(source: str) -> bool:
    """Whether a later one from this source replaces an earlier one."""
    return source in _OPINIONS


@contextmanager
def replaced_opinions(measurements: ibis.Table, words: EngineWords) -> Iterator[ibis.Table | None]:
    """Those opinions that a later one replaced: `event_id`, and `until`, when that was.

    An opinion counts for a window that ends no later than that. Of two at one time the greater event id is
    the later one. The table is held while it is used.

    Returns:
        `until` in microseconds since 1970; `None` where nobody changed their mind.
    """
    said = measurements.filter(measurements.source.isin(_OPINIONS))
    matter: Any = ibis.literal("\x1f").join([said[part].fill_null("") for part in _MATTER])
    opinions = said.select("event_id", at=words.microseconds(said.ts), matter=words.key(matter))
    counted = opinions.group_by("matter").aggregate(n=opinions.count())
    # Most matters are judged once: only the others are put in order.
    with held(counted.filter(counted.n > 1).select("matter")) as repeated:
        if not fetch(repeated.limit(1)).num_rows:
            yield None
            return
        several = opinions.semi_join(repeated, "matter")
        later = several["at"].lead().over(group_by=several.matter, order_by=[several["at"], several.event_id])
        ordered = several.select("event_id", until=later)
        with held(ordered.filter(ordered.until.notnull())) as replaced:
            yield replaced
