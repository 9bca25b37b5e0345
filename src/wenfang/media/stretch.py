"""Sound made slower, faster, higher or lower, each without the other (FFmpeg's atempo, WSOLA)."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, log2
from typing import Any

import numpy as np

from wenfang.media.audio import Sound, resample

# Below and above these atempo is heard to break up; several are put one after another.
MOST_AT_ONCE = 2.0
AIR_S = 0.5


def stretched(sound: Sound, speed: float = 1.0, semitones: float = 0.0) -> Sound:
    """(N / speed, 1) at the same rate: `speed` times as fast and `semitones` higher.

    A sound of a rate below 16 kHz comes back at twice the rate.
    """
    if speed == 1 and not semitones:
        return sound
    higher = 2 ** (semitones / 12)
    if semitones and sound.sample_rate_hz < 16_000:
        sound = resample(sound, 2 * sound.sample_rate_hz)
    rate_hz, count = sound.sample_rate_hz, round(len(sound.samples) / speed)
    # What comes last stays in the filters unless something follows it.
    air = np.zeros((round(AIR_S * max(1.0, speed) * rate_hz), 1), np.float32)
    changed = Sound(samples=np.concatenate((sound.samples, air)), sample_rate_hz=rate_hz)
    if semitones:
        taken = Sound(samples=changed.samples, sample_rate_hz=round(rate_hz * higher))
        changed = resample(taken, rate_hz)
    samples = _paced(changed, speed / higher).samples[:count]
    return Sound(
        samples=np.pad(samples, ((0, count - len(samples)), (0, 0))), sample_rate_hz=rate_hz
    )


def _paced(sound: Sound, tempo: float) -> Sound:
    if abs(tempo - 1) < 1e-6:
        return sound
    import av
    from av.filter import Graph

    rate_hz = sound.sample_rate_hz
    stages = max(1, ceil(abs(log2(tempo)) / log2(MOST_AT_ONCE) - 1e-9))
    graph = Graph()
    nodes = [
        graph.add_abuffer(
            sample_rate=rate_hz, format="fltp", layout="mono", time_base=Fraction(1, rate_hz)
        ),
        *(graph.add("atempo", f"{tempo ** (1 / stages):.6f}") for _ in range(stages)),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    planar = np.ascontiguousarray(sound.samples.T, np.float32)
    frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
    graph.push(frame)
    graph.push(None)
    samples = np.concatenate([np.zeros((0, 1), np.float32), *_pulled(graph)])
    return Sound(samples=samples, sample_rate_hz=rate_hz)


def _pulled(graph: Any) -> list[Any]:
    """(n, 1) of each frame that comes out."""
    import av

    found = []
    while True:
        try:
            found.append(graph.pull().to_ndarray().T)
        except (av.error.BlockingIOError, av.error.EOFError):
            return found
