"""How well does the watermark of sound survive, how well is it hidden, and is it seen in vain?

`python benchmarks/watermark_sound.py --data ROOT [--items 200] [--negatives 10000] [--quick]
[--json]`

ROOT (or WENFANG_DATA) holds fsdd and jsb_chorales. Nothing here is a studio recording: music is
chorales of jsb_chorales played by additive synthesis (organ-like or plucked, with a noise bed and
a synthetic room), noise is filtered and swells, and speech is spoken digits of fsdd (8 kHz) in a
row. Items last 8 to 20 s and are marked as they come, whatever `worth_marking` says of them; an
attack succeeds if exactly the marked pointer is read. Negatives last 3 s; one in ten is also
searched for other speeds. Hidden is said twice: signal to noise in dB over the item, and the
noise-to-mask ratio after the model of ITU-R BS.1387 (own, simpler: half-bark bands, 92 dB SPL at
full scale), where below -10 dB counts as inaudible. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from wenfang.seal.watermark import sound

RATE_BAR, SNR_BAR_DB = 0.95, 30.0
# Another speed is searched for as far as that is cheap; no rate is promised.
UNPROMISED = ("1 % faster", "0.7 % slower")
NEGATIVE_S = 3.0
Samples = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """Samples (N, C) with their rate."""

    samples: Samples
    rate_hz: int

    def part(self, start_s: float, length_s: float) -> Clip:
        """An excerpt."""
        first = int(start_s * self.rate_hz)
        cut = self.samples[first : first + int(length_s * self.rate_hz)]
        return Clip(samples=cut, rate_hz=self.rate_hz)


@cache
def spoken(root: Path) -> list[Samples]:
    """Every recording of fsdd, in the order of its names."""
    recordings = {}
    with tarfile.open(root / "fsdd" / "recordings.tar.xz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".wav") else None
            if file is not None:
                samples, _ = soundfile.read(io.BytesIO(file.read()), dtype="float32")
                recordings[member.name] = samples
    return [recordings[name] for name in sorted(recordings)]


@cache
def chorales(root: Path) -> list[list[list[int]]]:
    """The pitches that sound at each sixteenth of each chorale."""
    parts = json.loads((root / "jsb_chorales" / "jsb-chorales-16th.json").read_text())
    return [chorale for name in ("train", "valid", "test") for chorale in parts[name]]


def speech(root: Path, rng: np.random.Generator, duration_s: float) -> Clip:
    """Digits with short silences between them, 8 kHz, one channel."""
    parts: list[Samples] = []
    while sum(map(len, parts)) < duration_s * 8_000:
        digit = spoken(root)[rng.integers(len(spoken(root)))]
        silence = np.zeros(int(rng.uniform(0.02, 0.15) * 8_000), np.float32)
        parts += [digit * np.float32(0.5 / max(1e-3, float(np.abs(digit).max()))), silence]
    joined = np.concatenate(parts)[: int(duration_s * 8_000), None]
    return Clip(samples=joined, rate_hz=8_000)


def music(root: Path, rng: np.random.Generator, duration_s: float, plucked: bool) -> Clip:
    """A chorale, 44.1 kHz, two channels."""
    rate_hz, step_s = 44_100, rng.uniform(0.12, 0.2)
    chorale = chorales(root)[rng.integers(len(chorales(root)))]
    steps = int(duration_s / step_s)
    chorale = (chorale * (1 + steps // len(chorale)))[:steps]
    output = np.zeros((int(duration_s * rate_hz), 2))
    for step, pitches in enumerate(chorale):
        for pitch in set(pitches) - set(chorale[step - 1] if step else ()):
            end = step
            while end < steps and pitch in chorale[end]:
                end += 1
            first = int(step * step_s * rate_hz)
            room = output[first : first + int((end - step) * step_s * 1.15 * rate_hz)]
            tone = note(440 * 2 ** ((pitch - 69) / 12), len(room) / rate_hz, plucked, rng)
            pan = rng.uniform(0.3, 0.7)
            room += tone[: len(room), None] * [1 - pan, pan]
    output = echoed(output, rate_hz, rng)
    output /= np.abs(output).max()
    bed = tilted_noise(len(output), rate_hz, 500, rng)
    output += bed * 10 ** (-rng.uniform(35, 60) / 20)
    output *= rng.uniform(0.3, 0.95) / np.abs(output).max()
    return Clip(samples=output.astype(np.float32), rate_hz=rate_hz)


def note(pitch_hz: float, duration_s: float, plucked: bool, rng: np.random.Generator) -> Numbers:
    """Twelve harmonics: those of a string die away, the higher the sooner; others have vibrato."""
    at = np.arange(int(np.ceil(duration_s * 44_100))) / 44_100
    tone = np.zeros(len(at))
    vibrato = 0 if plucked else 0.3 * np.sin(2 * np.pi * 5 * at)
    for harmonic in range(1, min(13, int(16_000 / pitch_hz) + 1)):
        loudness = harmonic ** -rng.uniform(1.0, 1.6)
        decay = np.exp(-at * (1.5 + 0.8 * harmonic)) if plucked else 1.0
        angle = 2 * np.pi * pitch_hz * harmonic * at + rng.uniform(0, 2 * np.pi) + vibrato
        tone += loudness * decay * np.sin(angle)
    attack_s = 0.004 if plucked else 0.03
    return tone * np.minimum(1, at / attack_s) * np.minimum(1, (duration_s - at).clip(0) / 0.05)


def echoed(dry: Numbers, rate_hz: int, rng: np.random.Generator) -> Numbers:
    """A quarter of it from a room of 1.2 s."""
    length = int(1.2 * rate_hz)
    room = rng.standard_normal((length, 2)) * np.exp(-6.9 * np.arange(length) / length)[:, None]
    room /= np.sqrt(np.square(room).sum(axis=0))
    size = 1 << (len(dry) + length).bit_length()
    spectrum = np.fft.rfft(dry, size, axis=0) * np.fft.rfft(room, size, axis=0)
    return 0.75 * dry + 0.25 * np.fft.irfft(spectrum, size, axis=0)[: len(dry)]


def tilted_noise(length: int, rate_hz: int, corner_hz: float, rng: np.random.Generator) -> Numbers:
    """Noise of two channels and power 1 that falls 6 dB an octave above a corner."""
    spectrum = np.fft.rfft(rng.standard_normal((length, 2)), axis=0)
    spectrum /= (1 + np.fft.rfftfreq(length, 1 / rate_hz) / corner_hz)[:, None]
    shaped: Numbers = np.fft.irfft(spectrum, length, axis=0)
    shaped /= shaped.std()
    return shaped


def noise(rng: np.random.Generator, duration_s: float) -> Clip:
    """A noise that swells, 44.1 kHz, two channels."""
    length = int(duration_s * 44_100)
    output = tilted_noise(length, 44_100, rng.uniform(100, 2_000), rng)
    swell = np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * np.arange(length) / 44_100)
    output *= (0.6 + 0.4 * swell)[:, None]
    return Clip(samples=(output / np.abs(output).max() * 0.5).astype(np.float32), rate_hz=44_100)


KINDS = ("organ", "speech", "plucked", "noise")


def item(root: Path, number: int, duration_s: float | None = None) -> tuple[str, Clip]:
    """The item of this number, and its kind."""
    rng = np.random.default_rng([1, number])
    duration_s = duration_s or float(rng.uniform(8, 20))
    kind = KINDS[number % len(KINDS)]
    if kind == "speech":
        return kind, speech(root, rng, duration_s)
    if kind == "noise":
        return kind, noise(rng, duration_s)
    return kind, music(root, rng, duration_s, kind == "plucked")


def converted(clip: Clip, rate_hz: int) -> Clip:
    """At another rate, by FFmpeg's resampler."""
    layout = "stereo" if clip.samples.shape[1] == 2 else "mono"
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
    frames = [*resampler.resample(_frame(clip, layout)), *resampler.resample(None)]
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1).T
    return Clip(samples=samples.astype(np.float32), rate_hz=rate_hz)


def _frame(clip: Clip, layout: str) -> av.AudioFrame:
    planes = np.ascontiguousarray(clip.samples.T)
    frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
    frame.sample_rate = clip.rate_hz
    return frame


def coded(clip: Clip, codec: str, container: str, rate_hz: int, bits_a_second: int) -> Clip:
    """Through a codec of FFmpeg and back."""
    clip = converted(clip, rate_hz) if clip.rate_hz != rate_hz else clip
    layout = "stereo" if clip.samples.shape[1] == 2 else "mono"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate_hz, layout=layout)
        stream.bit_rate = bits_a_second
        adapt = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate_hz)
        for frame in [*adapt.resample(_frame(clip, layout)), None]:
            output.mux(stream.encode(frame))
    buffer.seek(0)
    planar = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
    with av.open(buffer, "r") as source:
        parts = [
            part.to_ndarray() for frame in source.decode(audio=0) for part in planar.resample(frame)
        ]
    return Clip(samples=np.concatenate(parts, axis=1).T.astype(np.float32), rate_hz=rate_hz)


def vorbis(clip: Clip) -> Clip:
    """Through Ogg Vorbis at a low quality (level 0.8 of 0 best to 1 smallest)."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer, clip.samples, clip.rate_hz, format="OGG", subtype="VORBIS", compression_level=0.8
    )
    buffer.seek(0)
    samples, rate_hz = soundfile.read(buffer, dtype="float32", always_2d=True)
    return Clip(samples=samples, rate_hz=rate_hz)


def faster(clip: Clip, factor: float) -> Clip:
    """Played at another speed, pitch and all."""
    samples = converted(clip, round(clip.rate_hz / factor)).samples
    return Clip(samples=samples, rate_hz=clip.rate_hz)


def on_samples(change: Callable[[Samples], Any]) -> Callable[[Clip], Clip]:
    """An attack that only changes the samples."""
    return lambda clip: Clip(samples=change(clip.samples).astype(np.float32), rate_hz=clip.rate_hz)


def noisy(samples: Samples) -> Numbers:
    """White noise 30 dB below the sound."""
    level = float(np.sqrt(np.square(samples, dtype=np.float64).mean())) * 10 ** (-30 / 20)
    return samples + level * np.random.default_rng(5).standard_normal(samples.shape)


def mp3(clip: Clip) -> Clip:
    """MP3 at 64 kbit/s."""
    return coded(clip, "libmp3lame", "mp3", 44_100, 64_000)


ATTACKS: dict[str, Callable[[Clip], Clip]] = {
    "none (16 bit)": on_samples(lambda samples: np.round(samples * 32767) / 32768),
    "mp3 64 kbit/s": mp3,
    "aac 64 kbit/s": lambda clip: coded(clip, "aac", "mp4", 44_100, 64_000),
    "opus 48 kbit/s": lambda clip: coded(clip, "libopus", "ogg", 48_000, 48_000),
    "vorbis, low quality": vorbis,
    "48 kHz and back to 44.1": lambda clip: converted(converted(clip, 48_000), 44_100),
    "22.05 kHz": lambda clip: converted(clip, 22_050),
    "excerpt of 5 s": lambda clip: clip.part(1.37, 5),
    "excerpt of 3 s": lambda clip: clip.part(3.91, 3),
    "mp3 64, then 5 s": lambda clip: mp3(clip).part(2.21, 5),
    "gain -14 dB, inverted": on_samples(lambda samples: -0.2 * samples),
    "noise at 30 dB": on_samples(noisy),
    "12 bit": on_samples(lambda samples: np.round(samples * 2048) / 2048),
    "mixed to one channel": on_samples(lambda samples: samples.mean(axis=1, keepdims=True)),
    "1 % faster": lambda clip: faster(clip, 1.01),
    "0.7 % slower": lambda clip: faster(clip, 0.993),
}


def wilson(good: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a rate (Wilson 1927)."""
    rate, z = good / count, 1.959964
    middle = (rate + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def snr_db(before: Clip, after: Clip) -> float:
    """Sound over mark, in dB."""
    mark = after.samples.astype(np.float64) - before.samples
    return float(10 * np.log10(np.square(before.samples, dtype=np.float64).sum() / (mark**2).sum()))


def noise_to_mask_db(before: Clip, after: Clip) -> float:
    """Mark over masking threshold, the mean over sounding frames and bands, in dB."""
    heard, sum_ = (converted(one, 48_000).samples.mean(axis=1) for one in (before, after))
    centres = np.arange(0.25, 24, 0.5)
    frequencies_hz = np.fft.rfftfreq(2048, 1 / 48_000)
    band = np.minimum((7 * np.arcsinh(frequencies_hz / 650) * 2).astype(int), len(centres) - 1)
    loud, mark = (_band_powers(one, band, len(centres)) for one in (heard, sum_ - heard))
    centre_hz = 650 * np.sinh(centres / 7)
    loud = loud + 10 ** (0.1456 * (centre_hz / 1000).clip(0.05) ** -0.8)
    sounding = loud.sum(axis=1) > 1e4
    level_db = 10 * np.log10(loud)
    distance = centres[None, :] - centres[:, None]
    flat = 10 ** (np.where(distance >= 0, -10 * distance, 27 * distance) / 10)
    mask = np.zeros_like(loud)
    for masker in range(len(centres)):
        upper = (-24 - 230 / centre_hz[masker] + 0.2 * level_db[:, masker]).clip(-40, -5)
        away = distance[masker]
        fall = np.where(away >= 0, upper[:, None] * away, 27 * away)
        mask += 10 ** ((level_db[:, masker, None] + fall) / 10)
    mask *= 10 ** (-np.where(centres < 12, 3, 0.25 * centres) / 10) / flat.sum(axis=0)
    return float(10 * np.log10((mark / mask)[sounding].mean() + 1e-12))


def _band_powers(signal: Samples, band: NDArray[np.int_], bands: int) -> Numbers:
    """(frame, band), in the power of 0 dB SPL when full scale is 92 dB; the ear's curve applied."""
    khz = np.fft.rfftfreq(2048, 1 / 48_000)[1:] / 1000
    ear = -2.184 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 1e-3 * khz**3.6
    windows = np.lib.stride_tricks.sliding_window_view(signal, 2048)[::1024] * np.hanning(2048)
    power = np.square(np.abs(np.fft.rfft(windows, axis=1)) / 512) * 10**9.2
    power[:, 1:] *= 10 ** (ear / 10)
    power[:, 0] = 0
    return np.asarray(power @ np.eye(bands)[band])


def measure_items(root: Path, count: int) -> dict[str, Any]:
    """Rates by attack, loudness of the mark, and seconds."""
    read = {name: dict.fromkeys(KINDS, 0) for name in ATTACKS}
    hidden: list[tuple[float, float]] = []
    seconds: dict[str, list[float]] = {"embed": [], "detect": []}
    of_kind = dict.fromkeys(KINDS, 0)
    refused = 0
    for number in range(count):
        kind, clip = item(root, number)
        pointer = np.random.default_rng([2, number]).bytes(6).hex()
        refused += sound.worth_marking(clip.samples, clip.rate_hz) is not None
        began = time.process_time()
        marked = Clip(
            samples=sound.embed(clip.samples, clip.rate_hz, pointer), rate_hz=clip.rate_hz
        )
        per_10_s = 10 * clip.rate_hz / len(clip.samples)
        if clip.rate_hz == 44_100:
            seconds["embed"].append((time.process_time() - began) * per_10_s)
            began = time.process_time()
            sound.detect(marked.samples, marked.rate_hz)
            seconds["detect"].append((time.process_time() - began) * per_10_s)
        hidden.append((snr_db(clip, marked), noise_to_mask_db(clip, marked)))
        of_kind[kind] += 1
        for name, attack in ATTACKS.items():
            heard = attack(marked)
            read[name][kind] += sound.detect(heard.samples, heard.rate_hz).pointer == pointer
        print(f"\r{number + 1} of {count} items", end="", file=sys.stderr)
    return {
        "items": count,
        "refused_by_worth_marking": refused,
        "attacks": {name: _rate(good, of_kind) for name, good in read.items()},
        "snr_db": _spread([one[0] for one in hidden]),
        "noise_to_mask_db": _spread([one[1] for one in hidden]),
        "seconds_for_10_s_stereo": {name: _spread(values) for name, values in seconds.items()},
    }


def _rate(good: dict[str, int], of_kind: dict[str, int]) -> dict[str, Any]:
    total, count = sum(good.values()), sum(of_kind.values())
    by_kind = {kind: f"{good[kind]}/{of_kind[kind]}" for kind in good}
    return {"rate": total / count, "interval_95": wilson(total, count), "by_kind": by_kind}


def _spread(values: list[float]) -> dict[str, float]:
    names = ("minimum", "percentile_5", "median", "percentile_95", "maximum")
    found = np.percentile(values, [0, 5, 50, 95, 100])
    return {name: round(float(value), 3) for name, value in zip(names, found, strict=True)}


def negative(root: Path, number: int) -> Clip:
    """An unmarked sound of 3 s: one in eight a chorale, three speech, four noise (white to 1/f)."""
    rng = np.random.default_rng([3, number])
    if number % 8 == 0:
        return music(root, rng, NEGATIVE_S, number % 16 == 0)
    if number % 8 < 4:
        return speech(root, rng, NEGATIVE_S)
    if number % 8 < 7:
        samples = tilted_noise(int(NEGATIVE_S * 16_000), 16_000, 10 ** rng.uniform(2, 5), rng)
        return Clip(samples=(samples * 0.1).astype(np.float32)[:, :1], rate_hz=16_000)
    return noise(rng, NEGATIVE_S)


def measure_negatives(root: Path, count: int) -> dict[str, Any]:
    """How many unmarked sounds are said to bear a pointer."""
    claimed, passed, lowest = 0, 0, 1.0
    for number in range(count):
        clip = negative(root, number)
        found = sound.detect(clip.samples, clip.rate_hz, search=number % 10 == 9)
        claimed += found.pointer is not None
        passed += found.score > 0
        lowest = min(lowest, found.p_value)
        if number % 100 == 99:
            print(f"\r{number + 1} of {count} negatives", end="", file=sys.stderr)
    return {
        "negatives": count,
        "mix": "1/8 chorales, 3/8 fsdd speech, 4/8 noise; 3 s each; 1 in 10 with speed search",
        "false_pointers": claimed,
        "interval_95": wilson(claimed, count),
        "right_check_sum_by_chance": passed,
        "lowest_p_value": lowest,
    }


def show(result: dict[str, Any]) -> None:
    """The result as lines of text."""
    for name, found in result["attacks"].items():
        low, high = found["interval_95"]
        kinds = "  ".join(f"{kind} {share}" for kind, share in found["by_kind"].items())
        print(f"{name:24s} {found['rate']:.3f}  ({low:.3f} to {high:.3f})  {kinds}")
    for name, value in result.items():
        if name != "attacks":
            print(f"{name}: {value}")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("WENFANG_DATA"))
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--negatives", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="8 items and 200 negatives")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.data is None:
        parser.error("give --data or set WENFANG_DATA")
    items, negatives = (8, 200) if given.quick else (given.items, given.negatives)
    root = Path(given.data)
    result = measure_items(root, items) | {"false": measure_negatives(root, negatives)}
    print(file=sys.stderr)
    if given.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)
    rates = [one["rate"] for name, one in result["attacks"].items() if name not in UNPROMISED]
    loud = result["snr_db"]["minimum"] < SNR_BAR_DB
    return int(min(rates) < RATE_BAR or loud or result["false"]["false_pointers"] > 0)


if __name__ == "__main__":
    sys.exit(main())
