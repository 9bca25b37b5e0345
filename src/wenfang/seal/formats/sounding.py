"""What sound formats share: watermark in the samples, the rhythm beside them, and both found again.

Content that comes as samples is encoded once. A lossless file keeps its samples bit by bit beside
the rhythm, unless a watermark goes into them; a lossy one is decoded and encoded once more, at no
lower bit rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import MediaError
from wenfang.language import keyed, t
from wenfang.media.audio import (
    Part,
    Samples,
    Sound,
    decode_sound,
    encode_sound,
    open_sound,
    read_frames,
    write_array,
)
from wenfang.seal.formats.contract import Drawn, Marking, Trace, visible_layer
from wenfang.seal.layers import Layer
from wenfang.seal.rhythm import WINDOW_S, find_rhythm, recorded_tone, with_rhythm

EXACT_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FLOATS = ("FLOAT", "DOUBLE")
MOST_BITS_PER_S = 512_000
# As much as a watermark is looked for in. A file that is as it was sealed shows its mark in some
# seconds; the second part is for those that begin quietly.
TRACED = (Part(seconds=16.0, most_frames=8_640_000), Part(seconds=40.0, most_frames=8_640_000))
SEARCHED = Part(seconds=120.0, most_frames=8_640_000)

Believable = Callable[[bytes], bool]


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """A sound with watermark and rhythm; facts for the manifest."""

    sound: Sound
    visible: Mapping[str, object]
    watermark: Mapping[str, object]


def draw_lossy(
    content: bytes | Sound, media_type: str, marking: Marking, nominal_bits_per_s: int = 0
) -> Drawn:
    """The labelled sound, encoded once; MediaError for bytes that are no sound.

    nominal_bits_per_s  what the content's encoder aimed at, where the file says so
    """
    bit_rate, facts = None, {}
    sound = decode_sound(content) if isinstance(content, bytes) else content
    if isinstance(content, bytes):
        mean = round(8 * len(content) / max(sound.duration_s, 0.1))
        bit_rate = max(mean, min(nominal_bits_per_s, MOST_BITS_PER_S))
        facts = {"encoded_again_bits_per_s": bit_rate}
    labelled = label_samples(sound, marking)
    return Drawn(
        data=encode_sound(labelled.sound, media_type, bit_rate),
        inserted=None,
        visible={**labelled.visible, **facts},
        watermark=labelled.watermark,
    )


def label_samples(sound: Sound, marking: Marking) -> Labelled:
    """The sound with its watermark, and its rhythm before or behind it."""
    marked, watermark = mark_samples(sound, marking)
    before, behind, visible = with_rhythm(sound, marking.settings.position)
    samples = np.concatenate([before, marked.samples, behind])
    return Labelled(
        sound=Sound(samples=samples, sample_rate_hz=sound.sample_rate_hz),
        visible=visible,
        watermark=watermark,
    )


def mark_samples(sound: Sound, marking: Marking) -> tuple[Sound, Mapping[str, object]]:
    """The sound with its watermark, or as it was and why it has none."""
    if not marking.settings.watermark:
        return sound, {"none": keyed("watermarks are switched off in label.json")}
    from wenfang.seal.watermark import sound as watermark

    reason = watermark.worth_marking(sound.samples, sound.sample_rate_hz)
    if reason is not None:
        return sound, {"none": reason}
    facts = {"kind": watermark.KIND, "pointer": marking.pointer}
    samples = watermark.embed(sound.samples, sound.sample_rate_hz, marking.pointer)
    return Sound(samples=samples, sample_rate_hz=sound.sample_rate_hz), facts


def draw_lossless(content: bytes | Sound, media_type: str, marking: Marking) -> Drawn:
    """A WAV or FLAC of the labelled sound, in the sample format that the content had."""
    kind = media_type.removeprefix("audio/").upper()
    if isinstance(content, Sound):
        labelled = label_samples(content, marking)
        data = encode_sound(labelled.sound, media_type)
        return Drawn(data=data, inserted=None, visible=labelled.visible,
                     watermark=labelled.watermark)  # fmt: skip
    frames, rate, subtype = _exact(content)
    sound = Sound(samples=_as_float(frames), sample_rate_hz=rate)
    marked, watermark = mark_samples(sound, marking)
    if marked is not sound:
        change = marked.samples.astype(np.float64) - sound.samples
        frames = _added(frames, change, subtype)
    before, behind, visible = with_rhythm(sound, marking.settings.position)
    parts = [_like(before, frames, subtype), frames, _like(behind, frames, subtype)]
    data = write_array(np.concatenate(parts), rate, kind, subtype)
    return Drawn(data=data, inserted=None, visible=visible, watermark=watermark)


def _exact(data: bytes) -> tuple[NDArray[Any], int, str]:
    """(frames without loss, rate, subtype): float64, or int32 with the bits at the top."""
    name = "the sound"
    with open_sound(data, name) as source:
        subtype = source.subtype
        kind = "float64" if subtype in FLOATS else "int32"
        frames = read_frames(source, name, 0, source.frames, kind)
        # Old companded kinds decode to 16 bits, which hold them without loss.
        known = subtype in FLOATS or subtype in EXACT_BITS
        return frames, source.samplerate, subtype if known else "PCM_16"


def _as_float(frames: NDArray[Any]) -> Samples:
    if frames.dtype == np.int32:
        return (frames / 2.0**31).astype(np.float32)
    return np.asarray(np.clip(np.nan_to_num(frames, nan=0.0), -1, 1), np.float32)


def _like(samples: Samples, frames: NDArray[Any], subtype: str) -> NDArray[Any]:
    """Samples as frames of that kind, rounded to its bits."""
    return _added(np.zeros(samples.shape, frames.dtype), samples.astype(np.float64), subtype)


def _added(frames: NDArray[Any], change: NDArray[np.float64], subtype: str) -> NDArray[Any]:
    """Frames plus a change in full scale, rounded to the subtype's bits and kept from overflow."""
    if frames.dtype != np.int32:
        return np.asarray(frames + change)
    bits = EXACT_BITS[subtype]
    step, top = 1 << (32 - bits), (1 << (bits - 1)) - 1
    levels = frames.astype(np.int64) // step + np.rint(change * 2.0 ** (bits - 1)).astype(np.int64)
    return np.asarray((np.clip(levels, -top - 1, top) * step).astype(np.int32))


def trace_samples(data: bytes, search: bool, believable: Believable | None = None) -> Trace:
    """The watermark in a sound's bytes; nothing for bytes that are no sound."""
    if believable is not None and not believable(data):
        return Trace(pointer=None, p_value=1.0)
    from wenfang.seal.watermark import sound as watermark

    for part in (SEARCHED,) if search else TRACED:
        try:
            sound = decode_sound(data, part=part)
        except MediaError:
            return Trace(pointer=None, p_value=1.0)
        found = watermark.detect(sound.samples, sound.sample_rate_hz, search=search)
        if found.pointer is not None:
            break
    facts = {"score": round(found.score, 2)}
    if found.pointer is not None:
        facts |= {"offset_s": round(found.offset_s, 4), "speed": round(found.speed, 5)}
    return Trace(pointer=found.pointer, p_value=found.p_value, facts=facts)


def measure_rhythm(
    data: bytes, recorded: Mapping[str, Any] | None, believable: Believable | None = None
) -> Layer:
    """The visible layer of a sound: the rhythm, listened for in its first or last seconds."""
    try:
        unit_s, pitch_hz = recorded_tone(recorded)
        position = recorded["position"] if recorded else None
        if position not in (None, "start", "end"):
            raise ValueError("position")
    except (KeyError, TypeError, ValueError):
        return visible_layer("unknown", t("the record of the audible label is not readable"))
    try:
        if believable is not None and not believable(data):
            raise MediaError("{name} is a broken sound; export it again", name=t("the sound"))
        for place in (position,) if position else ("end", "start"):
            part = Part(seconds=WINDOW_S) if place == "start" else Part(start_s=-WINDOW_S)
            heard = find_rhythm(decode_sound(data, part=part), unit_s, pitch_hz)
            if heard is not None:
                level = round(heard.level_dbfs, 1)
                facts = {
                    "form": "rhythm", "position": place, "unit_s": round(heard.unit_s, 4),
                    "pitch_hz": pitch_hz, "level_dbfs": level, "tonal": round(heard.tonal, 3),
                }  # fmt: skip
                finding = (
                    t("audible label: the rhythm short long, short short at the start")
                    if place == "start"
                    else t("audible label: the rhythm short long, short short at the end")
                )
                return visible_layer("good", finding, facts)
    except MediaError as error:
        return visible_layer("unknown", str(error))
    if recorded:
        return visible_layer("unlabelled", t("the audible label is not heard where it was put"))
    return visible_layer("unknown", t("no rhythm is heard at either end; it may be spoken"))
