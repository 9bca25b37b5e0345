"""Files of sound that `generate` saves."""

from __future__ import annotations

from wenfang.media.audio import Sound, encode_sound

SOUND_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".m4a": "audio/mp4",
}


def sound_content(sound: Sound) -> bytes:
    """What a manifest's hash is of: FLAC."""
    return encode_sound(sound, "audio/flac")
