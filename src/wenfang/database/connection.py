"""Transactions on SQLite and PostgreSQL, on the database's own clock."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, event, exc
from sqlalchemy import text as sql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from wenfang.atomic import disk_errors, one_at_a_time
from wenfang.errors import ConfigError, DatabaseError, DependencyError
from wenfang.language import t
from wenfang.store import home

URL_VARIABLE = "WENFANG_DATABASE_URL"
FILE = "wenfang.sqlite"
WAIT_S = 10.0  # for a lock that another transaction holds, for a connection, for an answer
# One name for all that migrate one PostgreSQL database at once; any constant will do.
MIGRATION_LOCK = 0x77656E66
WRITES = "wenfang_writes"
REASON_CHARACTERS = 300
# PostgreSQL refuses what SQLite would keep: NaN is no JSON.
STRICT_JSON = partial(json.dumps, allow_nan=False)


class now(FunctionElement[float]):  # noqa: N801 - a function of SQL, and written like one
    """Seconds since 1970 by the database's clock, which all that share it agree on."""

    type = Float()
    inherit_cache = True
    name = "now"


@compiles(now, "sqlite")
def _now_sqlite(element: Any, compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(element: Any, compiler: Any, **_: Any) -> str:
    return "(extract(epoch from clock_timestamp())::double precision)"


def database_url() -> str:
    """WENFANG_DATABASE_URL, or a file of this home."""
    return os.environ.get(URL_VARIABLE, "").strip() or f"sqlite:///{home() / FILE}"


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where rows are read and written.

    DatabaseError  where it cannot be reached, is locked, or its disk is full
    """

    engine: Engine

    @classmethod
    def open(cls, url: str = "") -> Database:
        """The database of that URL, or of `database_url`, with its tables as this version asks.

        raises ConfigError for a URL of another kind, DependencyError without its driver
        """
        parsed = _parse(url or database_url())
        database = cls(engine=_engine(parsed))
        with ExitStack() as undo, _migrating(parsed):
            undo.callback(database.close)
            database._migrate(parsed)
            undo.pop_all()
        return database

    @property
    def url(self) -> str:
        """Where it is, with the password: for another program of ours, never to be shown."""
        return self.engine.url.render_as_string(hide_password=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that changes nothing; each statement in it sees one state of all."""
        with _faults(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that changes something: all of it, or nothing."""
        # SQLite must lock before it reads: a reader that turns into a writer is refused.
        engine = self.engine.execution_options(**{WRITES: True})
        with _faults(), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def _migrate(self, url: URL) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        # Not before the engine has its file: another program may be making the tables.
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        scripts = ScriptDirectory.from_config(config)
        newest = set(scripts.get_heads())  # one of each room that has tables
        with self.reading() as connection:
            if _versions(connection) == newest:
                return  # as nearly always; whoever only looks waits for no writer
        with self.writing() as connection:
            if url.get_backend_name() == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            known = _versions(connection)
            if known == newest:
                return
            _refuse_newer(known, scripts, url)
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")


def take_turns(connection: Connection, name: str) -> None:
    """Until this transaction ends nobody else's passes here with the same name.

    SQLite has one writer anyway. PostgreSQL's would not see what the other has not committed.
    """
    if connection.dialect.name == "postgresql":
        locked = sql("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        connection.execute(locked, {"name": name})


def _versions(connection: Connection) -> set[str]:
    from alembic.runtime.migration import MigrationContext

    return set(MigrationContext.configure(connection).get_current_heads())


def _refuse_newer(known: set[str], scripts: Any, url: URL) -> None:
    newer = known - {one.revision for one in scripts.walk_revisions()}
    if not newer:
        return
    raise ConfigError(
        "the database {url} was made by a newer version (its tables are {known}); install that "
        "version, or name another database with WENFANG_DATABASE_URL",
        url=url.set(query={}).render_as_string(),  # its query may hold a password
        known=", ".join(sorted(newer)),
    )


def _parse(text: str) -> URL:
    try:
        url = make_url(text)
    except (exc.ArgumentError, ValueError):  # ValueError: a port that is no number
        raise ConfigError(
            "{name} is not a database's URL; write sqlite:///FILE or postgresql://USER@HOST/NAME",
            name=URL_VARIABLE,
        ) from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        if url.host or not url.database or url.database == ":memory:":
            raise ConfigError(
                "what is queued outlives this program; give SQLite a file, sqlite:///FILE"
            )
        return url.set(drivername="sqlite")
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise ConfigError(
        "{kind} is no database for this; there are: sqlite, postgresql", kind=kind or text
    )


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        assert url.database
        path = Path(url.database)
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, json_serializer=STRICT_JSON, connect_args={"timeout": WAIT_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(
            url, pool_pre_ping=True, json_serializer=STRICT_JSON, connect_args=_settings()
        )
    except ModuleNotFoundError:
        raise DependencyError(
            "PostgreSQL needs psycopg; install it: pip install 'wenfang[postgres]'"
        ) from None
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _settings() -> dict[str, int | str]:
    """libpq's, by which a server that went away without a word is found out too."""
    return {
        "client_encoding": "utf8",  # whatever the server keeps its texts in
        "connect_timeout": round(WAIT_S),
        "tcp_user_timeout": round(WAIT_S * 1000),
        "keepalives_idle": round(WAIT_S),
        "keepalives_interval": 5,
        "keepalives_count": 2,
    }


def _prepare_postgresql(connection: Any, record: object) -> None:
    connection.execute(f"SET lock_timeout = {round(WAIT_S * 1000)}")
    connection.commit()


def _prepare_sqlite(connection: Any, record: object) -> None:
    # Transactions are begun by `_begin_sqlite`, not by the driver before its first write.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",  # a job that somebody was told of is there after a power cut too
        "secure_delete = ON",  # what is erased leaves no bytes in free pages
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _migrating(url: URL) -> Iterator[None]:
    """One program at a time; PostgreSQL has a lock of its own for this."""
    if url.get_backend_name() != "sqlite":
        yield
        return
    assert url.database
    with one_at_a_time(Path(url.database + ".lock")):
        yield


@contextmanager
def _faults() -> Iterator[None]:
    """Say in one line what a driver reports over many."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise  # our own fault, not the database's
    except exc.DBAPIError as error:
        raise _no_answer(" ".join(str(error.orig).split())[:REASON_CHARACTERS]) from error
    except exc.TimeoutError as error:
        raise _no_answer(t("every connection is in use")) from error


def _no_answer(reason: str) -> DatabaseError:
    return DatabaseError(
        "the database gives no answer ({reason}); look whether it runs, and try again",
        reason=reason,
    )
