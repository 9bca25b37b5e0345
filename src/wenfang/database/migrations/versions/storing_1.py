"""What is kept for each key, requests a day, and no requests of private jobs that have ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from wenfang.atomic import canonical_json, sha256_bytes

revision = "storing_1"
down_revision = "feedback_1"
branch_labels = None
depends_on = None

# Which of a person's keys a file came by was not written down: it is laid to their oldest
# that holds.
ENDED = ("done", "failed", "dead", "cancelled")
OLDEST = (
    "SELECT keys.id FROM keys WHERE keys.person = files.person AND keys.project = files.project "
    "ORDER BY (keys.revoked_at IS NOT NULL), keys.created_at, keys.id LIMIT 1"
)


def upgrade() -> None:
    """Make and fill the table, and change what goes with it."""
    op.create_table(
        "stored",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, sa.ForeignKey("keys.id"), nullable=False),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float),
    )
    op.create_index("stored_by_key", "stored", ["key"])
    op.execute(
        "INSERT INTO stored (id, key, bytes, place, job, expires_at) "
        f"SELECT files.id, ({OLDEST}), files.bytes, '', '', files.expires_at FROM files "
        f"WHERE EXISTS ({OLDEST})"
    )
    with op.batch_alter_table("spendings") as changed:
        changed.add_column(sa.Column("requests", sa.Integer, nullable=False, server_default="0"))
        changed.drop_column("bytes")
    op.add_column("keys", sa.Column("requests_a_day", sa.Integer))
    _erase_private()


def _erase_private() -> None:
    jobs = sa.table("jobs", sa.column("id"), sa.column("state"), sa.column("request", sa.JSON))
    connection = op.get_bind()
    ended = sa.select(jobs.c.id, jobs.c.request).where(jobs.c.state.in_(ENDED))
    for row in connection.execute(ended).all():
        if row.request.get("private") and not row.request.get("erased"):
            changed = sa.update(jobs).where(jobs.c.id == row.id)
            digest = sha256_bytes(canonical_json(row.request))
            erased = {"private": True, "erased": True, "sha256": digest}
            connection.execute(changed.values(request=erased))


def downgrade() -> None:
    """Take it back; what was erased stays so."""
    op.drop_column("keys", "requests_a_day")
    with op.batch_alter_table("spendings") as changed:
        changed.drop_column("requests")
        changed.add_column(sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(
        "INSERT INTO spendings (key, day, seconds, bytes) "
        "SELECT key, 0, 0, SUM(bytes) FROM stored WHERE bytes IS NOT NULL GROUP BY key"
    )
    op.drop_table("stored")
