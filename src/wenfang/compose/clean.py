"""Given sound made better: silence cut out, noise taken away, another speed, one loudness.

N frames, C channels
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from wenfang.compose.mix import Mix, levelled
from wenfang.errors import MediaError
from wenfang.media.audio import Sound
from wenfang.media.quiet import above, runs, step_length_s, step_powers
from wenfang.media.stretch import paced

STEP_S = 0.01
EDGE_S = 0.05  # of silence that stays around what is heard
WINDOW, HOP = 2048, 512
LEAST_SPEED, MOST_SPEED = 0.25, 4.0
FLOOR_DB, OVER = -18.0, 2.0  # what is left of noise; how far above its mean noise may stand
QUIET_SHARE = 0.1  # of the pieces of a sound, the quietest, that are taken for noise alone


def silences(
    sound: Sound, below_db: float = -45.0, least_s: float = 0.5
) -> tuple[tuple[float, float], ...]:
    """(start_s, end_s) of everything quieter than `below_db` beside the loudest, if long enough."""
    quiet = ~above(_power(sound), below_db)
    step_s = step_length_s(sound.sample_rate_hz, STEP_S)
    spans = [(begun * step_s, ended * step_s) for begun, ended in runs(quiet)]
    return tuple(
        (start, min(end, sound.duration_s)) for start, end in spans if end - start >= least_s
    )


def trimmed(sound: Sound, below_db: float = -45.0) -> Sound:
    """Without the silence at its ends, but for EDGE_S; MediaError where nothing is heard."""
    heard = np.flatnonzero(above(_power(sound), below_db))
    if not heard.size:
        raise MediaError("nothing is heard in the sound; give another")
    rate = sound.sample_rate_hz
    step_s = step_length_s(rate, STEP_S)
    first = max(0, round((heard[0] * step_s - EDGE_S) * rate))
    after = min(len(sound.samples), round(((heard[-1] + 1) * step_s + EDGE_S) * rate))
    return replace(sound, samples=sound.samples[first:after])


def without_silences(
    sound: Sound, below_db: float = -45.0, least_s: float = 0.5, kept_s: float = 0.15
) -> Sound:
    """Every longer silence as short as `kept_s`, joined where it is quiet."""
    rate, parts, at = sound.sample_rate_hz, [], 0
    for start_s, end_s in silences(sound, below_db, max(least_s, kept_s)):
        first = round((start_s + kept_s / 2) * rate) if start_s > 0 else 0
        after = round((end_s - kept_s / 2) * rate)
        if end_s >= sound.duration_s:
            after = len(sound.samples)
        parts.append(sound.samples[at:first])
        at = max(first, after)
    parts.append(sound.samples[at:])
    whole = np.concatenate(parts)
    if not len(whole):
        raise MediaError("nothing is heard in the sound; give another")
    return replace(sound, samples=whole)


def parts_between(sound: Sound, below_db: float = -45.0, least_s: float = 0.5) -> tuple[Sound, ...]:
    """What lies between longer silences, each with EDGE_S around it."""
    rate = sound.sample_rate_hz
    found, at = [], 0.0
    for start_s, end_s in (*silences(sound, below_db, least_s), (sound.duration_s, 0.0)):
        if start_s - at > STEP_S:
            first = max(0, round((at - EDGE_S) * rate))
            found.append(
                replace(sound, samples=sound.samples[first : round((start_s + EDGE_S) * rate)])
            )
        at = end_s
    return tuple(found)


def denoised(sound: Sound, strength: float = 1.0) -> Sound:
    """Less of what always sounds: each frequency is let down where it is no louder than the noise,
    which is what sounds in the quietest pieces (spectral gating, Boll 1979).

    strength  from 0, nothing, to 1
    """
    if not isfinite(strength) or not 0 <= strength <= 1:
        raise MediaError("a strength of {value} has no meaning; give 0 to 1", value=strength)
    if len(sound.samples) < 2 * WINDOW:
        return sound
    columns = [_gated(channel.astype(np.float64), strength) for channel in sound.samples.T]
    return replace(sound, samples=np.stack(columns, axis=1).astype(np.float32))


def _gated(channel: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    padded = np.pad(channel, (WINDOW, 2 * WINDOW))
    window = np.hanning(WINDOW + 1)[:-1]
    starts = np.arange(0, len(padded) - WINDOW, HOP)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[starts] * window
    spectrum = np.fft.rfft(pieces, axis=1)
    power = np.abs(spectrum) ** 2
    within = (starts >= WINDOW) & (starts < WINDOW + len(channel) - WINDOW)
    loudness = power.sum(axis=1)
    quiet = within & (loudness <= np.quantile(loudness[within], QUIET_SHARE))
    noise = power[quiet].mean(axis=0)
    kept = np.clip((power / np.maximum(noise, 1e-20) / OVER**2 - 0.5) / 1.5, 0, 1)
    # What stands alone in time is a chance of the noise; its neighbours decide with it.
    smooth = (np.roll(kept, 1, axis=0) + 2 * kept + np.roll(kept, -1, axis=0)) / 4
    floor = 10 ** (FLOOR_DB / 20)
    gain = 1 - strength * (1 - np.maximum(smooth, floor))
    made = np.fft.irfft(spectrum * gain, WINDOW, axis=1) * window
    out, weight = np.zeros(len(padded)), np.zeros(len(padded))
    for start, piece in zip(starts.tolist(), made, strict=True):
        out[start : start + WINDOW] += piece
        weight[start : start + WINDOW] += window**2
    return (out / np.maximum(weight, 1e-6))[WINDOW : WINDOW + len(channel)]


def at_speed(sound: Sound, speed: float) -> Sound:
    """Faster or slower at the same pitch."""
    if not isfinite(speed) or not LEAST_SPEED <= speed <= MOST_SPEED:
        raise MediaError(
            "a speed of {value} cannot be played; give {least} to {most}",
            value=speed,
            least=LEAST_SPEED,
            most=MOST_SPEED,
        )
    return paced(sound, speed)


def normalised(sound: Sound, lufs: float = -14.0, peak_dbtp: float = -1.0) -> Sound:
    """As loud as asked, with no true peak above what is asked."""
    return levelled(sound, Mix(lufs=lufs, peak_dbtp=peak_dbtp))


def _power(sound: Sound) -> NDArray[np.float64]:
    return step_powers(sound.samples, sound.sample_rate_hz, STEP_S)
