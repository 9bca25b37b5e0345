"""A PostgreSQL server of the tests' own, from the system's package, with an empty database a test.

WENFANG_POSTGRES=1   its absence is a failure; otherwise its tests are skipped
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

VARIABLE = "WENFANG_POSTGRES"
PACKAGED = Path("/usr/lib/postgresql")  # Debian keeps its versions beside each other
START_S = 30.0
SUPERUSER = "postgres"


def programs() -> Path | None:
    """The folder of initdb and postgres: the newest of Debian's, or the one on the path."""
    packaged = sorted(PACKAGED.glob("*/bin"), key=lambda path: path.parent.name.zfill(4))
    if packaged:
        return packaged[-1]
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass(kw_only=True)
class Server:
    """One server on a socket in a folder of its own; `process` is None while it is down."""

    programs: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(cls, programs: Path, folder: Path) -> Server:
        """An empty cluster, started."""
        folder.chmod(0o755)
        own = folder / "server"
        own.mkdir()
        if not os.geteuid():  # PostgreSQL refuses to run as root
            shutil.chown(own, SUPERUSER, SUPERUSER)
        server = cls(programs=programs, folder=own)
        cluster = ("-D", str(own / "data"), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8")
        server._run("initdb", *cluster, "--locale", "C", "--no-sync")
        server.start()
        return server

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "150",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        until = time.monotonic() + START_S
        while not self.answers():
            assert time.monotonic() < until, self.log()
            # After a kill it refuses to start while a process of the former server lives.
            if self.process is None or self.process.poll() is not None:
                self.process = self._spawn(options)
            time.sleep(0.05)

    def _spawn(self, options: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder.parent / "server.log").open("ab") as log:
            # With its user changed it still is our child: no su, which a kill would not go through.
            return subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                user=self._user,
                group=self._user,
            )

    @property
    def _user(self) -> str | None:
        return None if os.geteuid() else SUPERUSER

    def log(self) -> str:
        """What the server said."""
        return (self.folder.parent / "server.log").read_text()

    def answers(self) -> bool:
        """Whether it takes connections."""
        asked = [str(self.programs / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(asked, check=False).returncode == 0

    def kill(self) -> None:
        """Pull the plug: the server and, a moment later, all who wait on its clients."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
            self.process = None

    def new_database(self, encoding: str = "UTF8") -> str:
        """The URL of an empty one."""
        name = f"wenfang_{secrets.token_hex(4)}"
        how = ("-E", encoding, "-T", "template0")
        self._run("createdb", *how, "-h", str(self.folder), "-U", SUPERUSER, name)
        return f"postgresql://{SUPERUSER}@/{name}?host={self.folder}"

    def empty(self, url: str) -> None:
        """Throw out whoever still is in a database, and all that it holds."""
        everyone = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with psycopg.connect(url, autocommit=True) as connection:
            for asked in (everyone, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
                connection.execute(asked)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command,
            cwd=self.folder,
            user=self._user,
            group=self._user,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as the block; pytest's skip or failure where there is no PostgreSQL."""
    found = programs()
    if found is None:
        reason = f"PostgreSQL is not installed (initdb is neither in {PACKAGED} nor on the path)"
        if os.environ.get(VARIABLE) == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    # A socket's path may have 107 bytes, fewer than a folder of pytest's takes.
    with tempfile.TemporaryDirectory(prefix="wf-pg-", ignore_cleanup_errors=True) as folder:
        server = Server.make(found, Path(folder))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session", name="server")
def server_of_tests() -> Iterator[Server]:
    """One server for all tests of this process."""
    with running() as server:
        yield server


@pytest.fixture(scope="session", name="database_of_server")
def one_database(server: Server) -> str:
    """The URL of a database that one test after the other has."""
    return server.new_database()


@pytest.fixture(name="url", params=["sqlite", "postgresql"])
def url_of_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'jobs.sqlite'}"
        return
    server: Server = request.getfixturevalue("server")
    url: str = request.getfixturevalue("database_of_server")
    yield url
    server.empty(url)
