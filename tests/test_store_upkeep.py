"""What a store keeps, gives away and takes back."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from wenfang.errors import DataError, NotFoundError, StoreError, UsageError
from wenfang.store import Link, Manifest, Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    # Waiting for the disk proves nothing here and takes most of the time.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    with Store.open(tmp_path / "store") as opened:
        yield opened


def put(store: Store, kind: str, name: str, *inputs: Manifest, text: str | None = None) -> Manifest:
    links = tuple(Link(role=made.kind, id=made.id) for made in inputs)
    manifest = Manifest(kind=kind, name=name, media_type="text/plain", inputs=links)
    return store.put((text or name).encode(), manifest)


def published(store: Store) -> dict[str, Manifest]:
    source = put(store, "source", "tang")
    recipe = put(store, "recipe", "verse recipe")
    bundle = put(store, "bundle", "verse", source, recipe)
    brief = put(store, "brief", "brief")
    poem = put(store, "asset", "poem", bundle, brief)
    piece = put(store, "piece", "piece", poem)
    report = put(store, "report", "report", piece)
    made = (source, recipe, bundle, brief, poem, piece, report)
    return {manifest.name: manifest for manifest in made}


def test_collection_keeps_pieces_and_all_they_came_from(store: Store) -> None:
    kept = published(store)
    draft = put(store, "asset", "draft", kept["verse"])
    recipe = put(store, "recipe", "unused recipe")
    collected = store.gc(older_than_s=-1)
    assert {row.id for row in collected.assets} == {draft.id, recipe.id}
    assert collected.kept == {"ancestor": 3, "bundle": 1, "piece": 1, "report": 1, "source": 1}
    assert {manifest.id for manifest in store.list()} == {made.id for made in kept.values()}
    assert store.check() == []
    with pytest.raises(NotFoundError):
        store.read(draft.id)
    assert len([path for path in store.root.rglob("blobs/*/*") if path.is_file()]) == len(kept)


def test_a_dry_run_tells_the_same_and_removes_nothing(store: Store) -> None:
    published(store)
    put(store, "asset", "draft")
    before = sorted(store.root.rglob("*"))
    told = store.gc(dry_run=True, older_than_s=-1)
    assert sorted(store.root.rglob("*")) == before
    done = store.gc(older_than_s=-1)
    assert (told.assets, told.blobs, told.freed_bytes) == (
        done.assets,
        done.blobs,
        done.freed_bytes,
    )
    assert done.freed_bytes > 0


def test_recent_work_and_pinned_assets_stay(store: Store) -> None:
    draft = put(store, "asset", "draft")
    assert store.gc().assets == ()
    store.pin(draft.id)
    for path in store.root.glob("index.sqlite3*"):
        path.unlink()
    with Store.open(store.root) as again:
        assert again.gc(older_than_s=-1).kept == {"pinned": 1}
        again.unpin(draft.id)
        assert [row.id for row in again.gc(older_than_s=-1).assets] == [draft.id]


def test_collection_takes_old_leftovers_and_leaves_young_ones(store: Store) -> None:
    old, young = (store.root / "blobs" / "ab" / f".partial-{age}" for age in ("old", "young"))
    loose = store.root / "blobs" / "ab" / ("0" * 62)
    old.parent.mkdir(parents=True)
    for path in (old, young, loose):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    os.utime(loose, (1, 1))
    collected = store.gc()
    assert collected.partials == (str(old),)
    assert collected.blobs == ("ab" + "0" * 62,)
    assert not old.exists()
    assert not loose.exists()
    assert young.exists()


def test_collection_enters_what_missed_the_index_before_it_judges(store: Store) -> None:
    piece = put(store, "piece", "piece")
    store._index.remove([piece.id])
    os.utime(store.payload_path(piece.id), (1, 1))
    assert store.gc(older_than_s=0).blobs == ()
    assert store.read(piece.id) == b"piece"


def test_collection_refuses_a_store_with_a_damaged_manifest(store: Store) -> None:
    piece = put(store, "piece", "piece")
    (store.root / "manifests" / piece.id[:2] / f"{piece.id[2:]}.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match=piece.id):
        store.gc(older_than_s=-1)
    assert store.delete(piece.id, force=True) > 0
    assert store.gc(older_than_s=-1).assets == ()


def test_usage_counts_a_shared_blob_once(store: Store) -> None:
    put(store, "asset", "one", text="same")
    put(store, "asset", "two", text="same")
    put(store, "brief", "three", text="same")
    usage = store.du()
    assert usage.kinds["asset"].count == 2
    assert usage.kinds["asset"].payload_bytes == 4
    assert (usage.blobs, usage.blob_bytes) == (1, 4)
    assert usage.total_bytes > usage.blob_bytes + usage.index_bytes


def test_deletion_refuses_what_others_were_made_from(store: Store) -> None:
    made = published(store)
    with pytest.raises(UsageError, match=made["piece"].id):
        store.delete(made["poem"].id)
    assert store.read(made["poem"].id) == b"poem"
    assert store.delete(made["poem"].id[:8], force=True) > len(b"poem")
    with pytest.raises(NotFoundError):
        store.read(made["poem"].id)
    assert store.lineage(made["piece"].id).missing() == (made["poem"].id,)


def test_deletion_leaves_a_blob_that_another_holds(store: Store) -> None:
    one = put(store, "asset", "one", text="same")
    two = put(store, "asset", "two", text="same")
    store.delete("one")
    assert store.read(two.id) == b"same"
    path = store.payload_path(two.id)
    store.delete("two")
    assert not path.exists()
    with pytest.raises(NotFoundError):
        store.delete(one.id)


def test_deletion_refuses_a_pinned_asset(store: Store) -> None:
    draft = put(store, "asset", "draft")
    store.pin(draft.id)
    with pytest.raises(UsageError, match="pinned"):
        store.delete(draft.id)
    store.delete(draft.id, force=True)
    assert store.pinned() == []


@pytest.mark.parametrize("name", ["parcel.zip", "parcel"])
def test_an_export_is_whole_in_another_store(store: Store, tmp_path: Path, name: str) -> None:
    made = published(store)
    elsewhere = Manifest(
        kind="dataset", name="far", media_type="text/plain", payload_sha256="1" * 64
    )
    store.adopt([elsewhere])
    card = put(store, "piece", "card", made["poem"], elsewhere)
    store.export(card.id[:10], tmp_path / name)
    with Store.open(tmp_path / "other") as other:
        assert other.import_from(tmp_path / name) == card
        assert other.check() == []
        assert other.read(made["tang"].id) == b"tang"
        assert other.lineage(card.id).missing() == ()
        with pytest.raises(StoreError, match="only its manifest"):
            other.read(elsewhere.id)
        with pytest.raises(NotFoundError):
            other.manifest(made["piece"].id)


def test_equal_exports_are_equal_files(store: Store, tmp_path: Path) -> None:
    piece = published(store)["piece"]
    store.export(piece.id, tmp_path / "one.zip")
    store.export(piece.id, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_an_export_writes_over_nothing_and_serves_no_damage(store: Store, tmp_path: Path) -> None:
    made = published(store)
    (tmp_path / "here").mkdir()
    with pytest.raises(UsageError, match="exists"):
        store.export(made["piece"].id, tmp_path / "here")
    store.payload_path(made["tang"].id).write_bytes(b"tong")
    with pytest.raises(StoreError, match=made["tang"].id):
        store.export(made["piece"].id, tmp_path / "new.zip")
    assert not (tmp_path / "new.zip").exists()


def test_a_changed_parcel_is_refused_whole(store: Store, tmp_path: Path) -> None:
    made = published(store)
    parcel = store.export(made["piece"].id, tmp_path / "parcel")
    changes = [path for path in parcel.rglob("*") if path.is_file()]
    assert len(changes) == 1 + 2 * 6
    for number, path in enumerate(sorted(changes)):
        whole = path.read_bytes()
        path.write_bytes(b"[" + whole[1:])
        with Store.open(tmp_path / f"other-{number}") as other:
            with pytest.raises(DataError, match="parcel"):
                other.import_from(parcel)
            assert other.list() == []
            path.unlink()
            with pytest.raises(DataError, match="parcel"):
                other.import_from(parcel)
        path.write_bytes(whole)


def test_a_parcel_cannot_name_files_outside_itself(store: Store, tmp_path: Path) -> None:
    made = published(store)
    parcel = store.export(made["piece"].id, tmp_path / "parcel")
    contents = json.loads((parcel / "parcel.json").read_text())
    contents["manifests"].append("../../secret")
    (parcel / "parcel.json").write_text(json.dumps(contents))
    with pytest.raises(DataError, match="not an id"):
        store.import_from(parcel)


def test_what_is_no_parcel_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("not a zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("parcel.json", "{}")
    (tmp_path / "empty").mkdir()
    for name in ("text.zip", "other.zip", "empty", "absent.zip"):
        with pytest.raises(DataError, match=name):
            store.import_from(tmp_path / name)
    assert store.list() == []
