"""The registry's tables as the code of today knows them; `migrations` brings a database there.

Facts are only ever added: a transition, an allocation, a baseline, a look and a definition's revision stand
as they were written, and the database itself refuses to change them. Numbers that count up within their
experiment or feature are unique, which is what makes the second of two writers fail.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

__all__ = [
    "APPEND_ONLY",
    "METADATA",
    "Moment",
    "allocations",
    "api_keys",
    "audit_labels",
    "baselines",
    "definitions",
    "experiments",
    "judge_configurations",
    "looks",
    "pins",
    "slots",
    "transitions",
]


class Moment(TypeDecorator[datetime]):
    """A time with its zone, kept in UTC; SQLite has no zones of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the registry is aware of its zone")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


# Every constraint has a name, so that a later migration can alter it on any database.
METADATA: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _plain() -> JSON:
    return JSON(none_as_null=True)


def _experiment(**more: Any) -> Column[str]:
    return Column("experiment", Text, ForeignKey("arena_experiments.name"), nullable=False, **more)


# A shared PostgreSQL database may well have tables called `experiments` already, hence the prefix.
experiments: Final = Table(
    "arena_experiments",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("feature", Text, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("baseline_version", Integer, nullable=False),
)
definitions: Final = Table(
    "arena_definitions",
    METADATA,
    _experiment(primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("resolved", _plain(), nullable=False),
)
transitions: Final = Table(
    "arena_transitions",
    METADATA,
    _experiment(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("move", Text, nullable=False),
    Column("reason", Text),
    Column("evidence", _plain()),
    Column("overrides", _plain(), nullable=False),
    Column("status", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("traffic", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("variant", Text),
    UniqueConstraint("id"),
)
allocations: Final = Table(
    "arena_allocations",
    METADATA,
    _experiment(primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("weights", _plain(), nullable=False),
    Column("at", Moment, nullable=False),
)
slots: Final = Table(
    "arena_slots",
    METADATA,
    Column("feature", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _experiment(unique=True),
    Column("ranges", _plain(), nullable=False),
)
baselines: Final = Table(
    "arena_baselines",
    METADATA,
    Column("feature", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("settings", _plain(), nullable=False),
    Column("config_hash", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("restores", Integer),
    Column("experiment", Text),
    Column("variant", Text),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
)
looks: Final = Table(
    "arena_looks",
    METADATA,
    _experiment(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("day", Text),
    Column("fraction", Double, nullable=False),
    Column("units", Integer, nullable=False),
    Column("result", _plain(), nullable=False),
)
pins: Final = Table(
    "arena_pins",
    METADATA,
    _experiment(primary_key=True),
    Column("unit_id", Text, primary_key=True),
    Column("variant", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("propensity", Double, nullable=False),
)
judge_configurations: Final = Table(
    "arena_judge_configurations",
    METADATA,
    Column("hash", Text, primary_key=True),
    Column("configuration", _plain(), nullable=False),
    Column("at", Moment, nullable=False),
)
audit_labels: Final = Table(
    "arena_audit_labels",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("evaluator_hash", Text, ForeignKey("arena_judge_configurations.hash"), nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("against", Text),
    Column("name", Text, nullable=False),
    Column("value", Double),
    Column("label", Text),
    Column("rater", Text, nullable=False),
    Column("sampling_probability", Double),
)
Index(None, audit_labels.c.evaluator_hash, audit_labels.c.name)
api_keys: Final = Table(
    "arena_api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("scopes", _plain(), nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("expires_at", Moment),
    Column("revoked", Boolean, nullable=False),
)

APPEND_ONLY: Final = (experiments, definitions, transitions, allocations, slots, baselines, looks)
"""Rows that are never changed or taken out, whoever asks."""
