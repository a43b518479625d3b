"""Judge configurations, audit labels and hashed API keys."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

_MOMENT: Final = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "arena_judge_configurations",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_arena_judge_configurations"),
    )
    op.create_table(
        "arena_audit_labels",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("evaluator_hash", sa.Text, nullable=False),
        sa.Column("target_kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("against", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("label", sa.Text),
        sa.Column("rater", sa.Text, nullable=False),
        sa.Column("sampling_probability", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_arena_audit_labels"),
        sa.ForeignKeyConstraint(
            ["evaluator_hash"],
            ["arena_judge_configurations.hash"],
            name="fk_arena_audit_labels_evaluator_hash",
        ),
    )
    op.create_index(
        "ix_arena_audit_labels_evaluator_hash_name", "arena_audit_labels", ["evaluator_hash", "name"]
    )
    op.create_table(
        "arena_api_keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("revoked", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_arena_api_keys"),
        sa.UniqueConstraint("digest", name="uq_arena_api_keys_digest"),
    )
