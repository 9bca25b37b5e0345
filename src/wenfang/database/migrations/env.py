"""Alembic's entry: it runs in the transaction that `Database.open` holds."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
