"""The SQLite index over the manifests: fast answers, never the truth.

A lost or damaged index is made again from the manifest files. Only the times (when an asset was
added, when it was last asked for) live here alone; a rebuilt index takes them from the files.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wenfang.errors import BusyError, DiskError, StoreError
from wenfang.store.manifest import Manifest

BUSY_TIMEOUT_S = 30.0
TOUCH_INTERVAL_S = 600.0

# MIGRATIONS[n] brings schema version n to n + 1. Published entries never change.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE assets (id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,"
        " payload_sha256 TEXT, payload_bytes INTEGER NOT NULL, held INTEGER NOT NULL,"
        " key TEXT, added_s REAL NOT NULL)",
        "CREATE TABLE edges (asset TEXT NOT NULL, position INTEGER NOT NULL, role TEXT NOT NULL,"
        " input TEXT NOT NULL, PRIMARY KEY (asset, position)) WITHOUT ROWID",
        "CREATE INDEX edges_by_input ON edges (input)",
    ),
    (
        # When an asset was last put or found: what is in use is not collected.
        "ALTER TABLE assets ADD COLUMN used_s REAL NOT NULL DEFAULT 0",
        "UPDATE assets SET used_s = added_s",
        "CREATE INDEX assets_by_key ON assets (key)",
        "CREATE INDEX assets_by_name ON assets (name)",
        "CREATE INDEX assets_by_payload ON assets (payload_sha256)",
    ),
)
SCHEMA_VERSION = len(MIGRATIONS)

# Connections of the parent process after a fork: closing them here would disturb the parent.
_INHERITED: list[sqlite3.Connection] = []


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the index knows of an asset; times in seconds since 1970."""

    id: str
    kind: str
    name: str
    payload_sha256: str | None
    payload_bytes: int
    held: bool
    added_s: float
    used_s: float


class DamagedIndexError(StoreError):
    """The index file is not a whole SQLite database."""


class Index:
    """The index file of one store. `ready` tells whether it can be used as it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int, int] | None = None

    def ready(self) -> bool:
        """Whether the file is there, whole and of this schema; StoreError if it is newer."""
        if not self.path.exists():
            return False
        try:
            with self._using() as database:
                version = _version(database)
                _refuse_newer(version, self.path)
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        except DamagedIndexError:
            self.close()
            return False
        return version == SCHEMA_VERSION and verdict == "ok"

    def prepare(self) -> None:
        """Create the file or bring it to this schema; one that is damaged is thrown away first.

        The caller holds the store alone, and fills in what is missing afterwards.
        """
        try:
            self._migrate()
        except DamagedIndexError:
            self.discard()
            self._migrate()

    def _migrate(self) -> None:
        with self._using(create=True) as database:
            database.execute("PRAGMA journal_mode = WAL")
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise DamagedIndexError(
                    "{path} is damaged ({reason})", path=self.path, reason=verdict
                )
            with _transaction(database):
                version = _version(database)
                _refuse_newer(version, self.path)
                for step in range(version, SCHEMA_VERSION):
                    for statement in MIGRATIONS[step]:
                        database.execute(statement)
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def discard(self) -> None:
        """Remove the index file and its journals."""
        self.close()
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def add(self, manifest: Manifest, *, held: bool, added_s: float | None = None) -> None:
        """Enter a manifest and its edges; entering it again renews its time of use."""
        now_s = time.time() if added_s is None else added_s
        with self._using() as database, _transaction(database):
            database.execute(
                "INSERT INTO assets (id, kind, name, payload_sha256, payload_bytes, held, key,"
                " added_s, used_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET held = excluded.held, used_s = max(used_s, excluded.used_s)",
                (
                    manifest.id,
                    manifest.kind,
                    manifest.name,
                    manifest.payload_sha256,
                    manifest.payload_bytes,
                    held,
                    manifest.key,
                    now_s,
                    now_s,
                ),
            )
            database.executemany(
                "INSERT OR IGNORE INTO edges VALUES (?, ?, ?, ?)",
                [
                    (manifest.id, position, link.role, link.id)
                    for position, link in enumerate(manifest.inputs)
                ],
            )

    def remove(self, assets: Iterable[str]) -> None:
        """Forget assets and the edges to what they were made from."""
        values = [(asset,) for asset in assets]
        with self._using() as database, _transaction(database):
            database.executemany("DELETE FROM assets WHERE id = ?", values)
            database.executemany("DELETE FROM edges WHERE asset = ?", values)

    def touch(self, asset: str) -> None:
        """Note that an asset was asked for, unless that was noted a short while ago."""
        now_s = time.time()
        with self._using() as database:
            database.execute(
                "UPDATE assets SET used_s = ? WHERE id = ? AND used_s < ?",
                (now_s, asset, now_s - TOUCH_INTERVAL_S),
            )

    def with_key(self, key: str) -> list[str]:
        """Ids of held assets with that step key, the newest first."""
        return self._ids("key = ? AND held ORDER BY added_s DESC, rowid DESC", key)

    def with_prefix(self, prefix: str) -> list[str]:
        """Ids that begin so."""
        return self._ids("id >= ? AND id < ? ORDER BY id", prefix, prefix + "g")

    def with_name(self, name: str) -> list[str]:
        """Ids of assets of that name, the newest first."""
        return self._ids("name = ? ORDER BY added_s DESC, rowid DESC", name)

    def with_payload(self, digest: str) -> list[str]:
        """Ids of the assets that hold that blob."""
        return self._ids("payload_sha256 = ? AND held ORDER BY id", digest)

    def outputs(self, asset: str) -> list[str]:
        """Ids of what was made from an asset."""
        where = "id IN (SELECT asset FROM edges WHERE input = ?) ORDER BY added_s, id"
        return self._ids(where, asset)

    def rows(self, kind: str | None = None) -> list[Row]:
        """All assets, or those of one kind, in the order in which they came."""
        statement = (
            "SELECT id, kind, name, payload_sha256, payload_bytes, held, added_s, used_s"
            " FROM assets WHERE ? IS NULL OR kind = ? ORDER BY added_s, rowid"
        )
        with self._using() as database:
            found = database.execute(statement, (kind, kind)).fetchall()
        return [
            Row(
                id=id_,
                kind=kind_,
                name=name,
                payload_sha256=digest,
                payload_bytes=size_bytes,
                held=bool(held),
                added_s=added_s,
                used_s=used_s,
            )
            for id_, kind_, name, digest, size_bytes, held, added_s, used_s in found
        ]

    def edges(self) -> dict[str, list[str]]:
        """Asset -> ids of its inputs, for every asset that has some."""
        with self._using() as database:
            found = database.execute("SELECT asset, input FROM edges ORDER BY asset, position")
            table: dict[str, list[str]] = {}
            for asset, source in found:
                table.setdefault(asset, []).append(source)
        return table

    def _ids(self, where: str, *values: str) -> list[str]:
        with self._using() as database:
            found = database.execute(f"SELECT id FROM assets WHERE {where}", values).fetchall()
        return [asset for (asset,) in found]

    @contextmanager
    def _using(self, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; foreign errors are translated here."""
        with self._lock, _database_errors(self.path):
            yield self._connected(create)

    def _connected(self, create: bool) -> sqlite3.Connection:
        """A connection of this process to the file that now bears the name.

        SQLite's connections do not survive a fork, and a rebuilt index is another file.
        """
        if self._connection is not None and self._owner == _owner(self.path):
            return self._connection
        if self._connection is not None and self._owner and self._owner[0] != os.getpid():
            _INHERITED.append(self._connection)
        self._connection = None
        if not create and not self.path.exists():
            raise StoreError("{path} was removed while in use; start again", path=self.path)
        self._connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        # A commit lost with the power is entered again when the store is next opened.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._owner = _owner(self.path)
        return self._connection


def _owner(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return os.getpid(), status.st_dev, status.st_ino


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _refuse_newer(version: int, path: Path) -> None:
    if version > SCHEMA_VERSION:
        raise StoreError(
            "{path} has schema version {found}, but this program knows up to {known}; "
            "use a newer wenfang for this store",
            path=path,
            found=version,
            known=SCHEMA_VERSION,
        )


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def _database_errors(path: Path) -> Iterator[None]:
    """Translate SQLite's refusals: a full or forbidden disk, another process, a broken file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BusyError(
                "{what} is in use by another process; wait for it or choose another folder",
                what=path,
            ) from error
        disk = (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_PERM,
        )
        if code in disk:
            raise DiskError(
                "{path} cannot be written ({reason}); choose another place",
                path=path,
                reason=error,
            ) from error
        if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        raise DamagedIndexError(
            "{path} is damaged ({reason}); start again and it is made anew from the manifests",
            path=path,
            reason=error,
        ) from error
