"""What every scenario with a quatrain in it does before it writes: who writes, in which script."""

from __future__ import annotations

from wenfang.backends.choosing import open_writer
from wenfang.backends.loading import load_named
from wenfang.backends.poet import Poet
from wenfang.backends.shelf import find_bundle
from wenfang.knowledge import script
from wenfang.scenarios.piece import Studio
from wenfang.scenarios.verse_brief import WRITER, VerseCardBrief
from wenfang.scenarios.verse_drafting import BundleDrafting, Drafting, WriterDrafting
from wenfang.store import Manifest


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


def in_script(language: str, text: str) -> str:
    """`text` in simplified or traditional characters."""
    return script.to_simplified(text) if language == "zh-Hans" else script.to_traditional(text)
