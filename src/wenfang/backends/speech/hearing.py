"""Sound that somebody else made: whole, finite, of a length that fits its text, without silence.

Servers that stream write a WAV header before they know how long it will be; such a header is read
by what really came. Any other claim is held: less than it says is an answer that broke off.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from wenfang.errors import MediaError
from wenfang.language import t
from wenfang.media.audio import Samples, Sound, SoundLimits, open_sound, read_frames, resample
from wenfang.media.quiet import above, step_powers

SOUND_BYTES_MAX = 64 * 2**20
VALUES_MAX = 100_000_000  # samples of all channels that a small file may unfold to
RATE_MAX_HZ = 48_000
RAW_RATE_HZ = 24_000  # of "pcm", as OpenAI's reference says: 16 bits, little-endian, one channel
# What is written for a length that is not known yet: 0xFFFFFFFF, 0x7FFFFFFF, 2,000,000,000, or 0.
UNKNOWN_BYTES = 2_000_000_000
CHUNKS_MAX = 1000
HEADS = (b"RIFF", b"fLaC", b"OggS")
STEP_S, SILENT_DB, MARGIN_STEPS = 0.01, -50.0, 2
SILENT = 0.002  # of full scale: a sound without anything louder is silence
SHORTEST_S = 0.03
FADE_S = 0.004


class BrokeOff(Exception):  # noqa: N818
    """A sound of which less came than its beginning says."""


def sound_of(data: bytes, longest_s: float, *, raw: bool = False) -> Sound:
    """(N, 1) of a file in WAV, FLAC or Ogg, at 48 kHz at most, without the silence around it.

    raw     whether bytes without a known head are samples alone
    raises  BrokeOff, or MediaError for what is no sound, silent, or longer than `longest_s`
    """
    name = t("the sound")
    if len(data) > SOUND_BYTES_MAX:
        raise MediaError(
            "{name} has {size} bytes, the limit is {limit}; make it shorter", name=name,
            size=len(data), limit=SOUND_BYTES_MAX,
        )  # fmt: skip
    if raw and not data.startswith(HEADS):
        samples, rate_hz = _raw(data), RAW_RATE_HZ
    else:
        samples, rate_hz = _decoded(_mended(data, name, longest_s), name, longest_s)
    if not np.isfinite(samples).all():
        raise MediaError("the sound holds values that are no numbers")
    samples = np.clip(samples.mean(axis=1, keepdims=True), -1, 1).astype(np.float32)
    if len(samples) > longest_s * rate_hz:
        raise _too_long(name, longest_s)
    if len(samples) < SHORTEST_S * rate_hz or np.abs(samples).max() < SILENT:
        raise MediaError("nothing is heard in the sound; give another")
    trimmed = Sound(samples=_trimmed(samples, rate_hz), sample_rate_hz=rate_hz)
    return resample(trimmed, RATE_MAX_HZ) if rate_hz > RATE_MAX_HZ else trimmed


def _raw(data: bytes) -> Samples:
    head = b"".join(data[:64].split())
    if head and head.isascii() and head.decode("ascii").isprintable():
        raise MediaError("it is text and no sound")
    if len(data) % 2:
        raise BrokeOff
    return np.frombuffer(data, "<i2").astype(np.float32)[:, None] / np.float32(32768)


def _decoded(data: bytes, name: str, longest_s: float) -> tuple[Samples, int]:
    limits = SoundLimits(size_bytes=SOUND_BYTES_MAX, duration_s=longest_s)
    with open_sound(data, name, limits) as source:
        if source.frames * source.channels > VALUES_MAX:
            raise _too_long(name, VALUES_MAX / source.samplerate / source.channels)
        samples = read_frames(source, name, 0, source.frames, "float32")
        if len(samples) < source.frames:
            raise BrokeOff
        return samples, source.samplerate


class _Body(NamedTuple):
    """The samples of a WAV file: where they begin, their bytes as claimed, and bytes a second."""

    first: int
    claimed: int
    bytes_s: int


def _body(data: bytes) -> _Body | None:
    """By the chunks of RIFF; None where there are none, which the decoder will tell."""
    at, bytes_s = 12, 0
    for _ in range(CHUNKS_MAX):
        if at + 8 > len(data):
            return None
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8
        if kind == b"data":
            return _Body(first=at, claimed=size, bytes_s=bytes_s)
        if kind == b"fmt " and at + 12 <= len(data):
            bytes_s = int.from_bytes(data[at + 8 : at + 12], "little")
        at += size + size % 2
    return None


def _mended(data: bytes, name: str, longest_s: float) -> bytes:
    """A file whose header tells how long it is; BrokeOff where it told more than there is."""
    if not data.startswith(b"RIFF"):
        return data
    body = _body(data)
    if body is None:
        return data
    there = len(data) - body.first
    finished = int.from_bytes(data[4:8], "little") + 8 == len(data)
    if body.claimed >= UNKNOWN_BYTES or not (body.claimed or finished):
        mended = bytearray(data)
        mended[4:8] = struct.pack("<I", len(data) - 8)
        mended[body.first - 4 : body.first] = struct.pack("<I", there)
        return bytes(mended)
    if body.bytes_s and body.claimed > longest_s * body.bytes_s:
        raise _too_long(name, longest_s)
    if body.claimed > there:
        raise BrokeOff
    return data


def _too_long(name: str, longest_s: float) -> MediaError:
    return MediaError(
        "{name} claims more than {seconds} s; give a part of it", name=name,
        seconds=f"{longest_s:g}",
    )  # fmt: skip


def _trimmed(samples: Samples, rate_hz: int) -> Samples:
    """What is heard, with a little before and after it, and without a click at either end."""
    step = max(1, round(STEP_S * rate_hz))
    heard = np.flatnonzero(above(step_powers(samples, rate_hz, STEP_S), SILENT_DB))
    first = max(0, int(heard[0]) - MARGIN_STEPS) * step
    trimmed = samples[first : (int(heard[-1]) + 1 + MARGIN_STEPS) * step].copy()
    size = min(round(FADE_S * rate_hz), len(trimmed) // 2)
    if size:
        ramp = np.linspace(0, 1, size, endpoint=False, dtype=np.float32)[:, None]
        trimmed[:size] *= ramp
        trimmed[-size:] *= ramp[::-1]
    return trimmed
