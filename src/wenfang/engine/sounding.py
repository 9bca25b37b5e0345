"""Assets that are sound, and the files that they are saved as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from wenfang.engine.asset import Asset
from wenfang.media.audio import Sound, encode_sound
from wenfang.seal import Payload

SOUND_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".m4a": "audio/mp4",
}
KEPT_AS = "audio/flac"


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundAsset(Asset):
    """What is heard and nothing else."""

    audio: Sound

    suffix: ClassVar[str] = ".wav"
    media_types: ClassVar[Mapping[str, str]] = SOUND_TYPES

    @cached_property
    def content(self) -> bytes:
        """FLAC."""
        return sound_content(self.audio)

    def payload(self, media_type: str) -> Payload:
        """Encoded once, after its label is heard in it."""
        return Payload(media_type=media_type, data=self.audio)


def sound_content(sound: Sound) -> bytes:
    """What a manifest's hash is of."""
    return encode_sound(sound, KEPT_AS)
