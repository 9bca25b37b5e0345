"""What is put into a store comes out as it was, or is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from wenfang.atomic import sha256_bytes
from wenfang.errors import DataError, NotFoundError, StoreError
from wenfang.store import (
    Link,
    Manifest,
    Store,
    from_record,
    home,
    read_manifest,
    to_record,
    write_manifest,
)

POEM = "春江潮水連海平".encode()


def named(name: str, **more: object) -> Manifest:
    return replace(Manifest(kind="asset", name=name, media_type="text/plain"), **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    # Waiting for the disk proves nothing here and takes most of the time.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    with Store.open(tmp_path / "store") as opened:
        yield opened


def flip_a_bit(path: Path) -> None:
    changed = bytearray(path.read_bytes())
    changed[0] ^= 1
    path.write_bytes(changed)


def test_what_is_put_is_read_back_under_its_hash(store: Store) -> None:
    manifest = store.put(POEM, named("poem"))
    assert manifest.payload_sha256 == sha256_bytes(POEM)
    assert manifest.payload_bytes == len(POEM)
    assert store.read(manifest.id) == POEM
    assert store.manifest(manifest.id) == manifest
    digest = sha256_bytes(POEM)
    assert (store.root / "blobs" / digest[:2] / digest[2:]).read_bytes() == POEM
    path = store.root / "manifests" / manifest.id[:2] / f"{manifest.id[2:]}.json"
    assert sha256_bytes(path.read_bytes()) == manifest.id


def test_a_file_and_its_bytes_are_one_asset(store: Store, tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_bytes(POEM)
    assert store.put(tmp_path / "poem.txt", named("poem")) == store.put(POEM, named("poem"))
    assert len(store.list()) == 1


def test_a_payload_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.txt"):
        store.put(tmp_path / "absent.txt", named("poem"))
    assert store.list() == []


def test_a_manifest_that_claims_another_payload_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="claims"):
        store.put(POEM, named("poem", payload_sha256="0" * 64))
    assert store.list() == []
    assert not (store.root / "blobs").exists()


def test_the_id_depends_on_content_and_on_nothing_else() -> None:
    facts: dict[str, object] = {"seed": 7, "lines": (1, 2)}
    first = named("poem", facts=facts)
    again = named("poem", facts={"lines": [1, 2], "seed": 7})
    assert first.id == again.id
    assert first == again
    facts["seed"] = 8
    assert first.facts["seed"] == 7
    assert named("poem", facts=facts).id != first.id


def test_a_manifest_travels_as_a_record_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    manifest = named("詩", inputs=(Link(role="bundle", id="a" * 64),), facts={"ppl": 1.5})
    write_manifest(tmp_path / "manifest.json", manifest)
    assert read_manifest(tmp_path / "manifest.json") == manifest
    record = to_record(manifest) | {"licence": "CC0-1.0"}
    with pytest.raises(StoreError, match=manifest.id):
        from_record(record)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": 3}', "\udcff", "[" * 100_000])
def test_a_file_that_is_no_manifest_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(StoreError, match=r"manifest\.json"):
        read_manifest(path)


def test_an_id_that_could_leave_the_folder_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="hexadecimal"):
        Link(role="data", id="../../../../etc/passwd")
    with pytest.raises(StoreError, match="hexadecimal"):
        named("poem", payload_sha256="/etc/passwd")
    with pytest.raises(NotFoundError):
        store.manifest("../" * 20 + "etc")


def test_an_unknown_kind_and_a_fact_outside_json_are_refused() -> None:
    with pytest.raises(StoreError, match="kinds are source"):
        named("poem", kind="poem")
    with pytest.raises(StoreError, match="JSON"):
        _ = named("poem", facts={"loss": float("nan")}).id


def test_a_flipped_bit_is_named_and_never_served(store: Store) -> None:
    manifest = store.put(POEM, named("poem", key="k"))
    digest = sha256_bytes(POEM)
    flip_a_bit(store.root / "blobs" / digest[:2] / digest[2:])
    with pytest.raises(StoreError) as caught:
        store.read(manifest.id)
    assert digest in str(caught.value)
    assert manifest.id in str(caught.value)
    assert store.find("k") is None
    (damage,) = store.check()
    assert (damage.problem, damage.blob, damage.asset) == ("damaged", digest, manifest.id)
    assert str(damage) == f"blob {digest} of asset poem ({manifest.id}) is damaged"


def test_a_missing_blob_is_named_and_never_served(store: Store) -> None:
    manifest = store.put(POEM, named("poem", key="k"))
    store.payload_path(manifest.id).unlink()
    with pytest.raises(StoreError, match=sha256_bytes(POEM) + ".*missing"):
        store.read(manifest.id)
    assert store.find("k") is None
    assert [damage.problem for damage in store.check()] == ["missing"]


def test_a_damaged_manifest_is_named(store: Store) -> None:
    manifest = store.put(POEM, named("poem", key="k"))
    flip_a_bit(store.root / "manifests" / manifest.id[:2] / f"{manifest.id[2:]}.json")
    with pytest.raises(StoreError, match=manifest.id):
        store.read(manifest.id)
    assert store.find("k") is None
    assert [damage.asset for damage in store.check()] == [manifest.id]


def test_putting_again_heals_what_was_damaged(store: Store) -> None:
    manifest = store.put(POEM, named("poem"))
    flip_a_bit(store.payload_path(manifest.id))
    flip_a_bit(store.root / "manifests" / manifest.id[:2] / f"{manifest.id[2:]}.json")
    assert {damage.problem for damage in store.check()} == {"damaged", "manifest"}
    store.put(POEM, named("poem"))
    assert store.check() == []
    assert store.read(manifest.id) == POEM


def test_the_same_request_finds_the_newest_intact_answer(store: Store) -> None:
    assert store.find("k") is None
    first = store.put(b"one", named("poem", key="k"))
    second = store.put(b"two", named("poem", key="k"))
    assert store.find("k") == second
    store.payload_path(second.id).unlink()
    assert store.find("k") == first


def test_an_asset_answers_to_a_prefix_and_to_its_name(store: Store) -> None:
    manifest = store.put(POEM, named("spring"))
    assert store.resolve(manifest.id[:6]) == manifest
    assert store.resolve(manifest.id[:9].upper()) == manifest
    assert store.resolve("spring") == manifest
    with pytest.raises(NotFoundError, match="at least 6"):
        store.resolve(manifest.id[:5])
    other = store.put(b"another", named("spring"))
    with pytest.raises(NotFoundError) as caught:
        store.resolve("spring")
    assert manifest.id[:12] in str(caught.value)
    assert other.id[:12] in str(caught.value)


def test_an_unknown_asset_is_not_found(store: Store) -> None:
    for wanted in ("abcdef", "f" * 64, "", "no such poem", "%", "'"):
        with pytest.raises(NotFoundError):
            store.resolve(wanted)


def test_assets_are_listed_by_kind_in_their_order(store: Store) -> None:
    poem = store.put(POEM, named("poem"))
    brief = store.put(b"{}", named("brief", kind="brief"))
    assert store.list() == [poem, brief]
    assert store.list("brief") == [brief]


def test_home_follows_the_environment_and_is_not_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path / "state"))
    assert home() == tmp_path / "state"
    assert not home().exists()
    with Store.open() as opened:
        assert opened.root == home() / "store"
    monkeypatch.delenv("WENFANG_HOME")
    assert home().name == "wenfang"


def test_importing_the_store_does_not_import_torch() -> None:
    code = "import sys, wenfang.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
