"""A subject becomes a quatrain that is read aloud over music: sound, text and a report, sealed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from wenfang.scenarios.piece import Piece, Studio
from wenfang.scenarios.reciting import Recited, VerseReadBrief, recited
from wenfang.seal import Payload


@dataclass(frozen=True, kw_only=True)
class VerseRecitalBrief(VerseReadBrief):
    """The brief of `verse_recital`."""

    scenario: Literal["verse_recital"] = field(
        default="verse_recital", metadata={"doc": "which scenario this brief is for"}
    )


def verse_recital(brief: VerseRecitalBrief, studio: Studio) -> Piece:
    """Write, check, read, compose, mix and seal; raises CheckError if no draw passes."""
    read = recited(brief, studio).checked()
    return read.published(_payloads(read), "recital.mp3")


def _payloads(read: Recited) -> Iterator[tuple[str, Payload]]:
    yield "recital.mp3", Payload(media_type="audio/mpeg", data=read.heard.sound)
    yield "recital.wav", Payload(media_type="audio/wav", data=read.heard.sound)
    yield from read.texts()
