"""The language in which a job tells what happens to it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "languages_1"
down_revision = "storing_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; jobs of before tell things in their worker's language."""
    op.add_column("jobs", sa.Column("language", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Take it back."""
    with op.batch_alter_table("jobs") as changed:
        changed.drop_column("language")
