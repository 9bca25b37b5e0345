"""The way back from an asset to its sources, also where part of it lies elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wenfang.errors import NotFoundError, StoreError
from wenfang.store import Link, Manifest, Store, render_lineage, to_record


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    # Waiting for the disk proves nothing here and takes most of the time.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    with Store.open(tmp_path / "store") as opened:
        yield opened


def node(
    kind: str, name: str, inputs: dict[str, Manifest] | None = None, licence: str | None = None
) -> Manifest:
    links = tuple(Link(role=role, id=made.id) for role, made in (inputs or {}).items())
    return Manifest(kind=kind, name=name, media_type="text/plain", inputs=links, licence=licence)


TANG = node("source", "tang", licence="MIT")
SONG = node("source", "song", licence="CC0-1.0")
DATA = node("dataset", "quatrains", {"tang": TANG, "song": SONG})
BUNDLE = node("bundle", "verse", {"data": DATA}, licence="Apache-2.0")
POEM = node("asset", "poem", {"bundle": BUNDLE})
CARD = node("asset", "card", {"poem": POEM, "bundle": BUNDLE})


def test_the_way_back_reaches_every_source_and_licence(store: Store) -> None:
    for made in (TANG, SONG, DATA, BUNDLE, POEM, CARD):
        store.put(made.name.encode(), made)
    poem = store.put(None, POEM)
    lineage = store.lineage(poem.id)
    assert [step.role for step in lineage.steps()] == ["", "bundle"]
    store.adopt([TANG, SONG, DATA, BUNDLE])
    lineage = store.lineage(poem.id)
    assert [step.depth for step in lineage.steps()] == [0, 1, 2, 3, 3]
    assert lineage.licences() == {
        "Apache-2.0": ("verse",),
        "CC0-1.0": ("song",),
        "MIT": ("tang",),
        "NOASSERTION": ("quatrains",),
    }
    assert lineage.combined_licence() == "Apache-2.0 AND CC0-1.0 AND MIT AND NOASSERTION"
    assert lineage.missing() == ()


def test_a_shared_node_is_unfolded_once(store: Store) -> None:
    store.adopt([TANG, SONG, DATA, BUNDLE, POEM, CARD])
    text = render_lineage(store.lineage(CARD.id))
    assert text.splitlines()[:7] == [
        f"asset card [{CARD.id[:12]}]",
        f"├── poem: asset poem [{POEM.id[:12]}]",
        f"│   └── bundle: bundle verse [{BUNDLE.id[:12]}]  Apache-2.0",
        f"│       └── data: dataset quatrains [{DATA.id[:12]}]  licence unknown",
        f"│           ├── tang: source tang [{TANG.id[:12]}]  MIT",
        f"│           └── song: source song [{SONG.id[:12]}]  CC0-1.0",
        f"└── bundle: bundle verse [{BUNDLE.id[:12]}]  Apache-2.0  (shown above)",
    ]


def test_a_tower_of_shared_nodes_is_traced_quickly_and_deeply(store: Store) -> None:
    made = [TANG]
    for height in range(1200):
        made.append(node("asset", f"floor {height}", {"left": made[-1], "right": made[-1]}))
    lookup = {manifest.id: manifest for manifest in made}
    from wenfang.store import trace

    lineage = trace(made[-1].id, lookup.get)
    assert len(list(lineage.steps())) == 2 * 1200 + 1
    assert render_lineage(lineage).count("MIT") >= 1


def test_an_input_that_is_elsewhere_is_shown_as_such(store: Store) -> None:
    store.put(b"poem", node("asset", "poem", {"bundle": BUNDLE}))
    poem = store.resolve("poem")
    lineage = store.lineage(poem.id)
    assert lineage.missing() == (BUNDLE.id,)
    text = render_lineage(lineage)
    assert f"bundle: [{BUNDLE.id[:12]}] not in this store" in text


def test_the_tree_speaks_of_a_strangers_name_without_its_control_signs(store: Store) -> None:
    (made,) = store.adopt([node("source", "\x1b[2Jtang\n", licence="MIT")])
    assert "\x1b" not in render_lineage(store.lineage(made.id))


def test_adopted_manifests_are_known_but_their_payload_is_not_claimed(store: Store) -> None:
    elsewhere = Manifest(
        kind="dataset",
        name="quatrains",
        media_type="application/json",
        payload_sha256="0" * 64,
        payload_bytes=10,
        licence="MIT",
        key="k",
    )
    assert store.adopt([to_record(elsewhere)]) == [elsewhere]
    assert store.manifest(elsewhere.id) == elsewhere
    assert store.check() == []
    assert store.find("k") is None
    with pytest.raises(StoreError, match="only its manifest"):
        store.read(elsewhere.id)


def test_an_adopted_asset_becomes_whole_when_its_payload_comes(
    store: Store, tmp_path: Path
) -> None:
    with Store.open(tmp_path / "other") as other:
        made = other.put(b"poem", POEM)
    store.adopt([made])
    store.put(b"poem", POEM)
    assert store.read(made.id) == b"poem"
    store.adopt([made])
    assert store.read(made.id) == b"poem"
    assert [manifest.id for manifest in store.list()] == [made.id]


def test_one_changed_record_and_none_is_adopted(store: Store) -> None:
    changed = to_record(SONG) | {"licence": "CC-BY-4.0"}
    with pytest.raises(StoreError, match=SONG.id):
        store.adopt([TANG, changed])
    assert store.list() == []


def test_edges_lead_both_ways(store: Store) -> None:
    store.adopt([BUNDLE, POEM, CARD])
    assert store.inputs(POEM.id) == (Link(role="bundle", id=BUNDLE.id),)
    assert {made.name for made in store.outputs(BUNDLE.id)} == {"poem", "card"}
    with pytest.raises(NotFoundError):
        store.lineage("0" * 64)


def test_licences_with_a_choice_keep_their_brackets(store: Store) -> None:
    dual = node("source", "dual", licence="MIT OR Apache-2.0")
    both = node("source", "both", licence="MIT AND CC-BY-4.0")
    top = node("bundle", "top", {"a": dual, "b": both}, licence="MIT")
    store.adopt([dual, both, top])
    assert store.lineage(dual.id).combined_licence() == "MIT OR Apache-2.0"
    combined = store.lineage(top.id).combined_licence()
    assert combined == "(MIT OR Apache-2.0) AND CC-BY-4.0 AND MIT"
