"""The same assignment in SQL, so that anybody who has the unit ids can check what a node did."""

from __future__ import annotations

from promptarena.assignment.allocation import cut_points
from promptarena.assignment.bucketing import cut, experiment_salt, layer_salt
from promptarena.assignment.layers import PLACES
from promptarena.assignment.running import RunningExperiment

__all__ = ["audit_query"]


def audit_query(running: RunningExperiment, relation: str) -> str:
    """A query in DuckDB's dialect that assigns every unit of a relation, bit for bit as a node does.

    Columns of its result: `unit_id`; `enrolled` (in the experiment's slot, and within its present traffic);
    `variant` (that of every unit, enrolled or not: traffic never changes it). Eligibility is not looked at,
    nor are pins: of an adaptive experiment it gives the variants of units first met in this epoch.

    Args:
        running: the experiment as it stands.
        relation: a table, view or file with a text column `unit_id`, as it is written after FROM.
    """
    names = [variant.name for variant in running.definition.variants]
    cuts = cut_points([running.allocation.weights[name] for name in names])
    arms = "".join(
        f"\n           WHEN variant_number < {at} THEN {_text(name)}"
        for name, at in zip(names[:-1], cuts, strict=True)
    )
    slot = " OR ".join(f"place >= {start} AND place < {end}" for start, end in running.slot.ranges)
    return f"""\
WITH digests AS (
    SELECT unit_id,
           sha256({_text(experiment_salt(running.name).decode())} || unit_id) AS digest,
           sha256({_text(layer_salt(running.definition.feature).decode())} || unit_id) AS layer_digest
    FROM {relation}
), numbers AS (
    SELECT unit_id,
           ('0x' || substr(digest, 1, 16))::UBIGINT AS enrolment_number,
           ('0x' || substr(digest, 17, 16))::UBIGINT AS variant_number,
           (('0x' || substr(layer_digest, 1, 16))::UBIGINT::HUGEINT * {PLACES}) >> 64 AS place
    FROM digests
)
SELECT unit_id,
       ({slot}) AND enrolment_number < {cut(running.traffic)} AS enrolled,
       CASE{arms}
           ELSE {_text(names[-1])}
       END AS variant
FROM numbers
"""


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"
