"""Experiments, definitions, transitions, allocations, slots, baselines, looks and pins."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

_MOMENT: Final = sa.DateTime(timezone=True)
_APPEND_ONLY: Final = (
    "experiments",
    "definitions",
    "transitions",
    "allocations",
    "slots",
    "baselines",
    "looks",
)
_REFUSAL: Final = "the registry only ever adds: this row stands as it was written"


def upgrade() -> None:
    """Make the tables, and have the database itself keep what was written."""
    _experiments()
    _course()
    op.create_table(
        "arena_baselines",
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("config_hash", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("restores", sa.Integer),
        sa.Column("experiment", sa.Text),
        sa.Column("variant", sa.Text),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("feature", "version", name="pk_arena_baselines"),
    )
    op.create_table(
        "arena_pins",
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("unit_id", sa.Text, nullable=False),
        sa.Column("variant", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("propensity", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("experiment", "unit_id", name="pk_arena_pins"),
        _of_an_experiment("arena_pins"),
    )
    for name in _APPEND_ONLY:
        _keep(f"arena_{name}")


def _of_an_experiment(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["experiment"], ["arena_experiments.name"], name=f"fk_{table}_experiment")


def _experiments() -> None:
    op.create_table(
        "arena_experiments",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("definition_hash", sa.Text, nullable=False),
        sa.Column("baseline_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_arena_experiments"),
    )
    op.create_table(
        "arena_definitions",
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("resolved", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("experiment", "revision", name="pk_arena_definitions"),
        _of_an_experiment("arena_definitions"),
    )
    op.create_table(
        "arena_slots",
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("ranges", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("feature", "number", name="pk_arena_slots"),
        sa.UniqueConstraint("experiment", name="uq_arena_slots_experiment"),
        _of_an_experiment("arena_slots"),
    )


def _course() -> None:
    op.create_table(
        "arena_transitions",
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("move", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("evidence", sa.JSON),
        sa.Column("overrides", sa.JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("traffic", sa.Double, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("variant", sa.Text),
        sa.PrimaryKeyConstraint("experiment", "number", name="pk_arena_transitions"),
        sa.UniqueConstraint("id", name="uq_arena_transitions_id"),
        _of_an_experiment("arena_transitions"),
    )
    op.create_table(
        "arena_allocations",
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("weights", sa.JSON, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("experiment", "epoch", name="pk_arena_allocations"),
        _of_an_experiment("arena_allocations"),
    )
    op.create_table(
        "arena_looks",
        sa.Column("experiment", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("day", sa.Text),
        sa.Column("fraction", sa.Double, nullable=False),
        sa.Column("units", sa.Integer, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("experiment", "number", name="pk_arena_looks"),
        _of_an_experiment("arena_looks"),
    )


def _keep(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_refuses_{event.lower()} BEFORE {event} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION arena_only_adds() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_only_adds BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION arena_only_adds()"
    )
