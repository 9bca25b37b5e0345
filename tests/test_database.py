"""The database: its tables, its faults in one line, and many programs at it."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import wenfang
from conftest import Call
from postgres import Server, one_database, server_of_tests, url_of_database  # noqa: F401
from wenfang.database import Database, connection, database_url, now, take_turns
from wenfang.errors import ConfigError, DatabaseError, DependencyError, DiskError, WenfangError
from wenfang.jobs import Queue, Submission

SECRET = "geheim"


def metadata() -> list[sa.MetaData]:
    """What the rooms say of their tables: each in a module `tables`."""
    source = Path(wenfang.__file__).parent
    rooms = [path.parent.relative_to(source.parent) for path in source.rglob("tables.py")]
    modules = [import_module(".".join((*room.parts, "tables"))) for room in rooms]
    return [one.metadata for one in modules if hasattr(one, "metadata")]


def test_who_takes_turns_sees_what_the_one_before_wrote(url: str) -> None:
    database = Database.open(url)
    notes = sa.Table("turns", sa.MetaData(), sa.Column("n", sa.Integer))
    with database.writing() as held:
        notes.create(held)

    def add(number: int) -> None:
        with database.writing() as held:
            take_turns(held, "notes")
            if held.execute(sa.select(sa.func.count()).select_from(notes)).scalar_one() < 3:
                time.sleep(0.02)  # for the others to look meanwhile
                held.execute(sa.insert(notes).values(n=number))

    with ThreadPoolExecutor(8) as many:
        list(many.map(add, range(8)))
    with database.writing() as held:
        assert held.execute(sa.select(sa.func.count()).select_from(notes)).scalar_one() == 3
        notes.drop(held)
    database.close()


def test_migrations_make_the_tables_that_the_rooms_use(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    database = Database.open(url)
    rooms = metadata()
    assert any("jobs" in one.tables for one in rooms)
    for room in rooms:
        known = set(room.tables)

        def ours(name: str | None, kind: str, parents: Any, known: set[str] = known) -> bool:
            return kind != "table" or name in known

        with database.reading() as held:
            context = MigrationContext.configure(
                held, opts={"compare_type": True, "include_name": ours}
            )
            assert compare_metadata(context, room) == []
    database.close()


def test_every_migration_can_be_taken_back_and_made_again(url: str) -> None:
    from alembic import command
    from alembic.config import Config

    database = Database.open(url)
    config = Config()
    config.set_main_option("script_location", str(Path(connection.__file__).parent / "migrations"))
    with database.writing() as held:
        config.attributes["connection"] = held
        command.downgrade(config, "base")
        assert set(sa.inspect(held).get_table_names()) <= {"alembic_version"}
    database.close()
    again = Database.open(url)
    assert Queue(database=again).counts() == {}
    again.close()


def test_tables_of_a_newer_version_are_refused_in_one_line(url: str) -> None:
    database = Database.open(url)
    with database.writing() as held:
        held.exec_driver_sql("INSERT INTO alembic_version VALUES ('jobs_999')")
    database.close()
    with pytest.raises(ConfigError, match="newer version") as refused:
        Database.open(url)
    assert "jobs_999" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is not a database's URL"),
        (f"postgresql://u:{SECRET}@host:port/x", "is not a database's URL"),
        (f"mysql://u:{SECRET}@host/x", "mysql is no database for this"),
        ("sqlite://", "give SQLite a file"),
        ("sqlite:///:memory:", "give SQLite a file"),
        ("sqlite://folder/file.sqlite", "give SQLite a file"),
    ],
)
def test_a_bad_url_is_refused_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv(connection.URL_VARIABLE, url)
    outcome = call("jobs", "list")
    assert outcome.code == ConfigError.exit_code
    assert said in outcome.error
    assert SECRET not in outcome.err


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@127.0.0.1:1/x",
        f"postgresql://u@127.0.0.1:1/x?password={SECRET}",
        f"postgresql://u:{SECRET}@127.0.0.1:1/x?nonsense=1",
        f"postgresql://u:{SECRET}@localhost:1/x",
    ],
)
def test_an_unreachable_server_is_told_in_one_line_without_the_password(
    call: Call, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv(connection.URL_VARIABLE, url)
    outcome = call("jobs", "list", "--json")
    assert outcome.code == DatabaseError.exit_code
    assert "the database gives no answer" in outcome.error
    assert SECRET not in outcome.err + outcome.out
    assert outcome.json["error"]["type"] == "DatabaseError"


def test_a_wrong_password_is_not_repeated(server: Server) -> None:
    socket_folder = server.folder
    url = f"postgresql://nobody:{SECRET}@/nothing?host={socket_folder}"
    with pytest.raises(DatabaseError) as refused:
        Database.open(url)
    assert "nobody" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_server_that_accepts_and_says_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 1.0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        began = time.monotonic()
        with pytest.raises(DatabaseError):
            Database.open(f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/x")
        assert time.monotonic() - began < 10


def test_a_locked_file_is_told_soon_and_can_still_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.2)
    url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    Database.open(url).close()
    other = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database = Database.open(url)
    queue = Queue(database=database)
    assert queue.counts() == {}
    began = time.monotonic()
    with pytest.raises(DatabaseError, match=r"no answer \(database is locked\)"):
        queue.submit(Submission(kind="a", request={}))
    assert time.monotonic() - began < 5
    other.execute("ROLLBACK")
    other.close()
    assert queue.submit(Submission(kind="a", request={})).state == "queued"
    database.close()


def test_a_table_that_somebody_locks_is_told_soon(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.3)
    url = server.new_database()
    database, other = Database.open(url), Database.open(url)
    with other.writing() as held:
        held.exec_driver_sql("LOCK TABLE jobs")
        with pytest.raises(DatabaseError, match="lock timeout"):
            Queue(database=database).counts()
    assert Queue(database=database).counts() == {}
    database.close()
    other.close()


def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite").write_text("a letter, not a database" * 100)
    with pytest.raises(DatabaseError, match="file is not a database"):
        Database.open(f"sqlite:///{tmp_path / 'x.sqlite'}")


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError):
        Database.open(f"sqlite:///{tmp_path / 'file' / 'x.sqlite'}")


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DependencyError, match="pip install"):
        Database.open("postgresql://u@127.0.0.1:1/x")


def test_a_database_of_another_encoding_keeps_every_script(server: Server) -> None:
    database = Database.open(server.new_database("SQL_ASCII"))
    queue = Queue(database=database)
    job = queue.submit(Submission(kind="a", request={"text": "月"}, subject="春江", person="é"))
    assert queue.job(job.id) == job
    assert (job.subject, job.request) == ("春江", {"text": "月"})
    database.close()


def test_programs_that_find_no_tables_make_them_once(url: str) -> None:
    code = (
        "import sys; from wenfang.database import Database; from wenfang.jobs import *; "
        "Queue(database=Database.open(sys.argv[1])).submit(Submission(kind='a', request={}))"
    )
    command = [sys.executable, "-c", code, url]
    programs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [program.communicate(timeout=60)[1] for program in programs]
    assert [program.returncode for program in programs] == [0] * 4, said
    database = Database.open(url)
    assert Queue(database=database).counts() == {"queued": 4}
    database.close()


def test_a_transaction_is_whole_or_nothing(url: str) -> None:
    database = Database.open(url)
    queue = Queue(database=database)
    kept = queue.submit(Submission(kind="a", request={}))

    def delete_and_fail() -> None:
        with database.writing() as held:
            held.exec_driver_sql("DELETE FROM jobs")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        delete_and_fail()
    assert [job.id for job in queue.jobs()] == [kept.id]
    database.close()


def test_a_fault_of_ours_is_not_laid_upon_the_database(url: str) -> None:
    database = Database.open(url)
    job = Queue(database=database).submit(Submission(kind="a", request={}))
    with pytest.raises(sa.exc.IntegrityError), database.writing() as held:
        held.exec_driver_sql(f"INSERT INTO jobs (id) VALUES ('{job.id}')")
    database.close()


def test_no_number_goes_in_that_is_not_json(url: str) -> None:
    database = Database.open(url)
    queue = Queue(database=database)
    with pytest.raises((sa.exc.StatementError, ValueError), match="JSON compliant"):
        queue.submit(Submission(kind="a", request={"x": float("nan")}))
    assert queue.counts() == {}
    database.close()


def test_the_clock_is_the_databases_and_right(url: str) -> None:
    database = Database.open(url)
    with database.reading() as held:
        told = held.execute(sa.select(now())).scalar_one()
    assert isinstance(told, float)
    assert told == pytest.approx(time.time(), abs=2)
    database.close()


def test_the_variable_names_the_database_else_it_lies_in_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(connection.URL_VARIABLE, raising=False)
    assert database_url() == f"sqlite:///{home / 'wenfang.sqlite'}"
    monkeypatch.setenv(connection.URL_VARIABLE, " postgresql://u@h/x ")
    assert database_url() == "postgresql://u@h/x"


def test_a_server_that_was_killed_is_found_again(server: Server) -> None:
    url = server.new_database()
    database = Database.open(url)
    queue = Queue(database=database)
    job = queue.submit(Submission(kind="a", request={}))
    server.kill()
    for _ in range(2):
        with pytest.raises(WenfangError, match="the database gives no answer"):
            queue.counts()
    server.start()
    assert queue.job(job.id) == job
    database.close()
