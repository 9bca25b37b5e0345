"""One database for what changes: jobs, people, keys, votes. Files stay in the store.

SQLite in the home by default, PostgreSQL where WENFANG_DATABASE_URL names one.
"""

from wenfang.database.connection import Database, database_url, now, take_turns

__all__ = ["Database", "database_url", "now", "take_turns"]
