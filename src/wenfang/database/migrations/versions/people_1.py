"""People, projects, keys, sessions, what keys spent, and who did what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "people_1"
down_revision = "jobs_1"
branch_labels = None
depends_on = None

# Rows of the audit log are written once: not even a mistake of ours may change them.
SQLITE_LOCKS = [
    f"CREATE TRIGGER audit_keeps_{verb.lower()} BEFORE {verb} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    for verb in ("UPDATE", "DELETE")
]
POSTGRESQL_LOCKS = [
    "CREATE FUNCTION audit_keeps() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only' "
    "USING ERRCODE = 'integrity_constraint_violation'; END $$",
    "CREATE TRIGGER audit_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_keeps()",
]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "projects",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("revoked_at", sa.Float),
    )
    op.execute("INSERT INTO projects (id, created_at) VALUES ('', 0)")
    op.create_table(
        "people",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password", sa.Text),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("removed_at", sa.Float),
    )
    here = sa.text("removed_at IS NULL")
    op.create_index(
        "people_names", "people", ["name"],
        unique=True, sqlite_where=here, postgresql_where=here,
    )  # fmt: skip
    op.create_table(
        "memberships",
        sa.Column("person", sa.Text, sa.ForeignKey("people.id"), primary_key=True),
        sa.Column("project", sa.Text, sa.ForeignKey("projects.id"), primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
    )
    _make_tokens()
    op.create_table(
        "audit",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_project", "audit", ["project", "id"])
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_LOCKS if on_sqlite else POSTGRESQL_LOCKS:
        op.execute(statement)


def _make_tokens() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("person", sa.Text, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("project", sa.Text, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
        sa.Column("used_at", sa.Float),
        sa.Column("requests_a_minute", sa.Integer),
        sa.Column("seconds_a_day", sa.Float),
        sa.Column("storage_bytes", sa.BigInteger),
    )
    op.create_table(
        "spendings",
        sa.Column("key", sa.Text, sa.ForeignKey("keys.id"), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("project", sa.Text, sa.ForeignKey("projects.id"), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in ("audit", "sessions", "spendings", "keys", "memberships", "people", "projects"):
        op.drop_table(name)
    if not on_sqlite:
        op.execute("DROP FUNCTION audit_keeps()")
