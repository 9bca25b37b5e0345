"""wenfang people, keys and projects: secrets come from the terminal, and go nowhere else."""

from __future__ import annotations

import getpass
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wenfang.cli import main
from wenfang.database import Database
from wenfang.server import audit
from wenfang.server.keys import Keys
from wenfang.server.people import People

PASSWORD = "correct horse battery"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command line left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


class Terminal(io.StringIO):
    """A standard input that somebody sits at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path))
    monkeypatch.delenv("WENFANG_DATABASE_URL", raising=False)
    opened = Database.open()
    yield opened
    opened.close()


@pytest.fixture
def run(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """`wenfang ARGUMENTS` in this process, with something on standard input."""

    def command(*arguments: str, typed: str | None = "") -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "stdin", Terminal() if typed is None else io.StringIO(typed))
        with pytest.raises(SystemExit) as leaving:
            main(list(arguments))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(code=int(leaving.value.code or 0), out=said.out, err=said.err)

    return command


def test_a_person_is_added_with_a_password_that_nothing_shows(run: Run, database: Database) -> None:
    said = run("people", "add", "Ann", "--role", "admin", "--json", typed=f"{PASSWORD}\n")
    assert said.code == 0
    told = json.loads(said.out)
    assert (told["name"], told["roles"], told["has_password"]) == (
        "ann",
        {"default": "admin"},
        True,
    )
    listed = run("people", "list", "--json")
    assert PASSWORD not in said.out + said.err + listed.out
    assert "argon2" not in said.out + listed.out
    assert People(database=database).verified("ANN", PASSWORD)
    assert People(database=database).verified("ann", PASSWORD + "x") is None


def test_the_terminal_is_asked_twice_and_without_echo(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers = iter([PASSWORD, PASSWORD, PASSWORD, "something else"])

    def read(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr(getpass, "getpass", read)
    assert run("people", "add", "ann", typed=None).code == 0
    assert len(asked) == 2
    assert People(database=database).verified("ann", PASSWORD)
    assert run("people", "password", "ann", typed=None).code == 64
    assert People(database=database).verified("ann", PASSWORD)


def test_no_option_takes_a_password(run: Run) -> None:
    for command in ("add", "password"):
        assert run("people", command, "ann", "--password", PASSWORD).code == 64
        assert "--password" not in run("people", command, "--help").out


@pytest.mark.parametrize(
    ("arguments", "typed", "code", "names"),
    [
        (("people", "add", "ann"), "", 64, "standard input"),
        (("people", "add", "ann"), "short\n", 64, "8 to 256"),
        (("people", "add", "a b"), PASSWORD, 64, "a b"),
        (("people", "add", "ann", "--role", "king"), PASSWORD, 64, "viewer, maker"),
        (("people", "add", "ann", "--project", "x"), PASSWORD, 16, "project x"),
        (("people", "add", "boss"), PASSWORD, 64, "people role"),
        (("people", "remove", "nobody"), "", 16, "nobody"),
        (("people", "remove", "boss"), "", 64, "last admin"),
        (("people", "role", "boss", "maker"), "", 64, "last admin"),
        (("keys", "add", "k", "--person", "nobody"), "", 16, "nobody"),
        (("keys", "add", "k", "--person", "boss", "--set", "speed=1"), "", 12, "speed"),
        (("keys", "add", "k", "--person", "boss", "--set", "seconds_a_day=0"), "", 12, "above 0"),
        (("keys", "revoke", "key_x"), "", 16, "key_x"),
        (("projects", "add", "A"), "", 64, "small letters"),
        (("projects", "revoke", "default"), "", 64, "always"),
    ],
)
def test_what_cannot_be_is_one_line(
    run: Run, arguments: tuple[str, ...], typed: str, code: int, names: str
) -> None:
    assert run("people", "add", "boss", "--role", "admin", "--no-password").code == 0
    said = run(*arguments, typed=typed)
    assert said.code == code
    [line] = said.err.strip().splitlines()
    assert names in line
    assert PASSWORD not in line


def test_a_key_is_printed_alone_and_once(run: Run, database: Database) -> None:
    run("people", "add", "ann", "--no-password")
    said = run("keys", "add", "laptop", "--person", "ann", "--days", "3")
    secret = said.out.strip()
    caller = Keys(database=database).caller(secret)
    assert caller is not None
    assert (caller.name, caller.role, caller.project) == ("ann", "maker", "")
    for form in ((), ("--json",)):
        listed = run("keys", "list", *form).out
        assert secret[-43:] not in listed
        assert "laptop" in listed
    told = json.loads(run("keys", "revoke", caller.key, "--json").out)
    assert told["revoked_at"]
    assert Keys(database=database).caller(secret) is None
    assert "revoked" in run("keys", "list").out


def test_limits_and_roles_reach_the_key(run: Run, database: Database) -> None:
    run("projects", "add", "east")
    run("people", "add", "ann", "--no-password", "--project", "east", "--role", "reviewer")
    arguments = ["--set", "requests_a_minute=5", "--set", "storage_bytes=1000", "--role", "viewer"]
    said = run("keys", "add", "k", "--person", "ann", "--project", "east", *arguments, "--json")
    told: dict[str, Any] = json.loads(said.out)
    assert (told["project"], told["role"], told["requests_a_minute"]) == ("east", "viewer", 5)
    assert told["seconds_a_day"] is None
    caller = Keys(database=database).caller(told["key"])
    assert caller is not None
    assert caller.limits.storage_bytes == 1000
    run("people", "role", "ann", "none", "--project", "east")
    assert Keys(database=database).caller(told["key"]) is None


def test_every_command_is_in_the_audit_log_without_secrets(run: Run, database: Database) -> None:
    run("people", "add", "ann", typed=PASSWORD)
    run("people", "password", "ann", typed=PASSWORD + "2")
    key = run("keys", "add", "k", "--person", "ann").out.strip()
    run("keys", "revoke", f"key_{key[3:19]}")
    run("projects", "add", "east")
    run("projects", "revoke", "east")
    run("people", "remove", "ann")
    rows = audit.page(database, project=None, after=None, limit=99, newest_first=False)
    assert [row["route"] for row in rows] == [
        "people add",
        "people password",
        "keys add",
        "keys revoke",
        "projects add",
        "projects revoke",
        "people remove",
    ]
    assert {row["event"] for row in rows} == {"command"}
    assert PASSWORD not in str(rows)
    assert key[-43:] not in str(rows)


def test_a_database_that_is_gone_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    said = run("people", "list")
    assert said.code == 28
    assert len(said.err.strip().splitlines()) == 1
