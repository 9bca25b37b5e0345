"""Answers of /v1/responses that were kept, and the talks they end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "responses_1"
down_revision = "people_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "responses",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("talk", sa.JSON, nullable=False),
    )
    op.create_index("responses_by_age", "responses", ["created_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("responses")
