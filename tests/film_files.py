"""Small films for tests, drawn or in files with frames at any times; frames tell their numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import av
import numpy as np

from wenfang.media.audio import Sound
from wenfang.media.video import Caption, Film, Frame

RATE = 48_000
WIDTH, HEIGHT = 64, 48
TWO_SECONDS = tuple(range(0, 2000, 40))


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """A frame that shows its number in eight stripes of black and white, lowest bit first."""
    bits = np.array([number >> place & 1 for place in range(8)], np.uint8) * 200 + 25
    columns = bits[np.arange(width) * 8 // width]
    return np.ascontiguousarray(np.broadcast_to(columns[None, :, None], (height, width, 3)))


def number_of(frame: Frame) -> int:
    """The number that a frame of `numbered` shows, also after it was encoded."""
    height, width, _ = frame.shape
    middles = (np.arange(8) * 2 + 1) * width // 16
    return int(sum((frame[height // 2, middles].mean(axis=1) > 128) << np.arange(8)))


def clicks(seconds: float, at_s: Sequence[float], rate_hz: int = RATE, channels: int = 1) -> Sound:
    """Silence with a short beep at each of these times."""
    wave = np.zeros(round(seconds * rate_hz), np.float32)
    beep = 0.6 * np.sin(2 * np.pi * 1000 * np.arange(round(0.02 * rate_hz)) / rate_hz)
    for time in at_s:
        first = round(time * rate_hz)
        room = wave[first : first + len(beep)]
        room += beep[: len(room)].astype(np.float32)
    return Sound(samples=np.stack([wave] * channels, axis=1), sample_rate_hz=rate_hz)


def click_times(sound: Sound, least: float = 0.2) -> list[float]:
    """Where the beeps of a sound begin."""
    loud = np.flatnonzero(np.abs(sound.samples).max(axis=1) > least)
    if not len(loud):
        return []
    firsts = loud[np.concatenate(([True], np.diff(loud) > 0.03 * sound.sample_rate_hz))]
    return [float(one) / sound.sample_rate_hz for one in firsts]


@dataclass(frozen=True)
class Numbered:
    """So many frames of `numbered`, drawn when they are asked for."""

    count: int
    width: int = WIDTH
    height: int = HEIGHT

    def __iter__(self) -> Iterator[Frame]:
        return (numbered(one, self.width, self.height) for one in range(self.count))


def film(
    count: int = 50, fps: int = 25, sound: Sound | None = None, size: tuple[int, int] = (64, 48),
    captions: tuple[Caption, ...] = (),
) -> Film:  # fmt: skip
    """A drawn film whose frames tell their numbers."""
    return Film(frames=Numbered(count, *size), fps=Fraction(fps), sound=sound, captions=captions)


def numbers(made: Film) -> list[int]:
    """What the frames of a film tell."""
    return [number_of(one) for one in made.frames]


@lru_cache
def file_of(
    kind: str = "mp4", codec: str = "libx264", times_ms: tuple[int, ...] = TWO_SECONDS,
    beeps: tuple[float, ...] = (), sound_from_s: float = 0.0, options: tuple[str, ...] = (),
    muxing: tuple[str, ...] = (),
) -> bytes:  # fmt: skip
    """A file whose frames tell their numbers, by PyAV alone.

    times_ms      of the frames
    beeps         times in the film at which one is heard; no sound where there are none
    sound_from_s  when the sound begins
    options       of the encoder, as name=value
    muxing        options of the container
    """
    buffer = io.BytesIO()
    muxer = dict(one.split("=", 1) for one in muxing)
    with av.open(buffer, "w", format=kind, container_options=muxer) as container:
        stream: Any = container.add_stream(codec, 25, dict(one.split("=", 1) for one in options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        sound: Any = None
        if beeps:
            sound = container.add_stream("aac" if kind == "mp4" else "libopus", RATE)
            sound.layout = "mono"
        for number, time in enumerate(times_ms):
            picture = av.VideoFrame.from_ndarray(numbered(number % 256), "rgb24")
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if beeps:
            _add_sound(container, sound, times_ms[-1] / 1000 + 0.04, beeps, sound_from_s)
    return buffer.getvalue()


def _add_sound(
    container: Any, stream: Any, end_s: float, beeps: Sequence[float], from_s: float
) -> None:
    samples = clicks(end_s - from_s, [one - from_s for one in beeps]).samples
    for start in range(0, len(samples) - 959, 960):
        part = np.ascontiguousarray(samples[start : start + 960].T)
        heard = av.AudioFrame.from_ndarray(part, "fltp", "mono")
        heard.sample_rate, heard.pts = RATE, start + round(from_s * RATE)
        heard.time_base = Fraction(1, RATE)
        container.mux(stream.encode(heard))
    container.mux(stream.encode(None))


def without(data: bytes, kind: str, start_s: float, end_s: float) -> bytes:
    """A WebM file without the packets of its "video" or "audio" between two times."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(buffer, "w", format="webm") as target:
        streams = {one.index: target.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            time_s = float(packet.pts * packet.time_base)
            if packet.stream.type != kind or not start_s <= time_s < end_s:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return buffer.getvalue()
