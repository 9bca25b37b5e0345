"""How the tables came to be what they are, by Alembic."""
