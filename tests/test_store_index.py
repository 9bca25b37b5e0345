"""The index can be lost, damaged, old or too new: the store goes on, or says why not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from wenfang.errors import StoreError
from wenfang.store import Link, Manifest, Store
from wenfang.store.index import MIGRATIONS, SCHEMA_VERSION

Names = list[str]


def fill(root: Path) -> list[Manifest]:
    with Store.open(root) as store:
        first = store.put(
            b"line", Manifest(kind="source", name="tang", media_type="text/plain", licence="MIT")
        )
        second = store.put(
            b"poem",
            Manifest(
                kind="asset",
                name="poem",
                media_type="text/plain",
                key="k",
                inputs=(Link(role="data", id=first.id),),
            ),
        )
    return [first, second]


def expect_whole(root: Path, expected: list[Manifest]) -> None:
    with Store.open(root) as store:
        assert set(store.list()) == set(expected)
        assert store.find("k") == expected[1]
        assert store.outputs(expected[0].id) == [expected[1]]
        assert store.check() == []


def test_a_lost_index_is_made_again_from_the_manifests(tmp_path: Path) -> None:
    expected = fill(tmp_path)
    for path in tmp_path.glob("index.sqlite3*"):
        path.unlink()
    expect_whole(tmp_path, expected)


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100, None])
def test_a_damaged_index_is_made_again_from_the_manifests(
    tmp_path: Path, damage: bytes | None
) -> None:
    expected = fill(tmp_path)
    path = tmp_path / "index.sqlite3"
    whole = path.read_bytes()
    # None stands for a page in the middle that was overwritten.
    torn = whole[:4096] + b"\xff" * 4096 + whole[8192:]
    path.write_bytes(torn if damage is None else damage)
    expect_whole(tmp_path, expected)


def test_an_index_of_the_first_schema_migrates_and_keeps_its_times(tmp_path: Path) -> None:
    expected = fill(tmp_path)
    path = tmp_path / "index.sqlite3"
    with closing(sqlite3.connect(path)) as now:
        assets = now.execute(
            "SELECT id, kind, name, payload_sha256, payload_bytes, held, key FROM assets"
        ).fetchall()
        edges = now.execute("SELECT * FROM edges").fetchall()
    path.unlink()
    with closing(sqlite3.connect(path)) as old, old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.executemany("INSERT INTO assets VALUES (?,?,?,?,?,?,?, 1234.5)", assets)
        old.executemany("INSERT INTO edges VALUES (?,?,?,?)", edges)
        old.execute("PRAGMA user_version = 1")
    expect_whole(tmp_path, expected)
    with closing(sqlite3.connect(path)) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert new.execute("SELECT DISTINCT added_s FROM assets").fetchall() == [(1234.5,)]
        oldest = new.execute("SELECT min(used_s) FROM assets").fetchone()
        assert oldest == (1234.5,)


def test_an_index_of_a_newer_program_is_one_clear_error(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "index.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"{SCHEMA_VERSION + 1}.*newer wenfang"):
        Store.open(tmp_path)
    assert path.read_bytes() == before


def test_a_failed_migration_leaves_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fill(tmp_path)
    broken = (*MIGRATIONS, ("CREATE TABLE half (id TEXT)", "CREATE NONSENSE"))
    monkeypatch.setattr("wenfang.store.index.MIGRATIONS", broken)
    monkeypatch.setattr("wenfang.store.index.SCHEMA_VERSION", len(broken))
    with pytest.raises(sqlite3.OperationalError, match="NONSENSE"):
        Store.open(tmp_path)
    monkeypatch.undo()
    with closing(sqlite3.connect(tmp_path / "index.sqlite3")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'half'").fetchall()
        assert tables == []
    expect_whole(tmp_path, expected)


def test_a_manifest_that_missed_the_index_is_entered_when_the_store_opens(tmp_path: Path) -> None:
    expected = fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "index.sqlite3")) as database, database:
        database.execute("DELETE FROM assets WHERE id = ?", (expected[1].id,))
        database.execute("DELETE FROM edges")
    expect_whole(tmp_path, expected)


def test_an_entry_without_its_manifest_is_forgotten(tmp_path: Path) -> None:
    first, second = fill(tmp_path)
    (tmp_path / "manifests" / second.id[:2] / f"{second.id[2:]}.json").unlink()
    with Store.open(tmp_path) as store:
        assert store.list() == [first]
        assert store.find("k") is None


def test_an_index_rebuilt_by_another_is_noticed(tmp_path: Path) -> None:
    expected = fill(tmp_path)
    with Store.open(tmp_path) as early:
        assert len(early.list()) == 2
        for path in tmp_path.glob("index.sqlite3*"):
            path.unlink()
        with Store.open(tmp_path):
            early.put(b"third", Manifest(kind="asset", name="third", media_type="text/plain"))
            assert len(early.list()) == 3
    with Store.open(tmp_path) as late:
        assert len(late.list()) == len(expected) + 1
