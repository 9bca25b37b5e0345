"""Votes, and which projects ask for approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "feedback_1"
down_revision = "files_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "feedback",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("rater", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("piece", sa.Text, nullable=False),
        sa.Column("candidates", sa.JSON, nullable=False),
        sa.Column("chosen", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("feedback_by_piece", "feedback", ["piece", "id"])
    op.create_table(
        "review_rules",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("approval", sa.Boolean, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("review_rules")
    op.drop_table("feedback")
