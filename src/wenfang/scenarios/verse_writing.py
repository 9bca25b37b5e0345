"""What every scenario with a quatrain in it does: open who writes, keep the brief and the piece."""

from __future__ import annotations

import json
from typing import Protocol

from wenfang import config
from wenfang.backends.choosing import open_writer
from wenfang.backends.loading import load_named
from wenfang.backends.poet import Poet
from wenfang.backends.shelf import find_bundle
from wenfang.knowledge import script
from wenfang.scenarios.piece import Studio, piece_key
from wenfang.scenarios.verse_brief import WRITER, VerseCardBrief
from wenfang.scenarios.verse_drafting import BundleDrafting, Drafting, WriterDrafting
from wenfang.seal import SealedFile
from wenfang.store import Link, Manifest


class Brief(Protocol):
    """What a brief of verse has, whatever is made of it."""

    @property
    def scenario(self) -> str:
        """Which scenario it is for."""
        ...

    @property
    def subject(self) -> str:
        """Title or subject words."""
        ...


def open_drafting(
    named: str, brief: VerseCardBrief, studio: Studio
) -> tuple[str, Drafting, Manifest]:
    """Who writes, under which name, and its manifest in the store."""
    if writer := open_writer(named):
        adopted = studio.store.adopt(writer.made_from)[-1]
        return writer.name, WriterDrafting(writer, brief, find_bundle(WRITER)), adopted
    loaded = load_named(named)
    adopted = studio.store.adopt([*loaded.ancestors, loaded.manifest])[-1]
    poet = Poet(loaded, reference=studio.reference)
    return loaded.name, BundleDrafting(poet, brief), adopted


def keep_brief(brief: Brief, studio: Studio) -> Manifest:
    """The brief in the store."""
    payload = json.dumps(config.to_dict(brief), ensure_ascii=False, sort_keys=True).encode()
    manifest = Manifest(kind="brief", name=brief.subject, media_type="application/json")
    return studio.store.put(payload, manifest)


def keep_piece(brief: Brief, studio: Studio, files: list[SealedFile]) -> Manifest:
    """The piece in the store, by the key of its brief."""
    manifest = Manifest(
        kind="piece",
        name=brief.subject,
        media_type="application/x-wenfang-piece",
        inputs=tuple(Link(role=file.path.name, id=file.manifest.id) for file in files),
        key=piece_key(studio, brief),
        facts={"scenario": brief.scenario},
    )
    return studio.store.put(None, manifest)


def in_script(language: str, text: str) -> str:
    """`text` in simplified or traditional characters."""
    return script.to_simplified(text) if language == "zh-Hans" else script.to_traditional(text)
