"""Sounds that are computed: weather, water, fire, bells, clicks and beds, by length and strength.

Every sound is a function of filtered noise and of decaying sines, in stereo, the same for the same
seed. Modes of bells are those of a minor-third church bell (Fletcher & Rossing 1998, ch. 21).

N frames
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from wenfang.compose.mix import RATE_HZ, Mix, levelled
from wenfang.compose.perform import CHAMBER, DRY, HALL, Room, in_room
from wenfang.config import nearest
from wenfang.device import NoiseStream, noise
from wenfang.errors import BriefError, ConfigError
from wenfang.media.audio import Sound

Wave = NDArray[np.float64]  # (N,) or (N, 2)
LONGEST_S = 600.0
FADE_S = 0.4
BELL_MODES = ((0.5, 1.0, 1.0), (1.0, 0.9, 0.7), (1.183, 0.8, 0.6), (1.506, 0.5, 0.45),
              (2.0, 0.8, 0.5), (2.514, 0.35, 0.3), (3.011, 0.3, 0.25), (4.166, 0.2, 0.15),
              (5.433, 0.12, 0.1))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EffectOptions:
    """Settings of an effect.

    seconds    of the sound; 0: as long as it lasts by itself, or ten
    intensity  from 0, hardly there, to 1, as strong as it gets
    loop       goes on into its own beginning, without a fade
    pitch      of bell, chime, tone and heartbeat, semitones higher
    """

    seconds: float = 0.0
    intensity: float = 0.5
    loop: bool = False
    pitch: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot sound."""
        if not isfinite(self.seconds) or not 0 <= self.seconds <= LONGEST_S:
            raise ConfigError(
                "settings.seconds is {value}; it must be 0 to {most}",
                value=self.seconds,
                most=LONGEST_S,
            )
        if not 0 <= self.intensity <= 1:
            raise ConfigError(
                "settings.intensity is {value}; it must be from 0 to 1", value=self.intensity
            )
        if not abs(self.pitch) <= 36:
            raise ConfigError("settings.pitch is {value}; it must be -36 to 36", value=self.pitch)


Make = Callable[[int, EffectOptions, NoiseStream], Wave]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """How a sound is made.

    words    that find it, in English and Chinese, by spaces apart
    seconds  that it lasts where none are asked for
    once     it happens and dies away; otherwise it goes on
    """

    make: Make
    words: str
    seconds: float = 10.0
    once: bool = False
    room: Room = DRY
    lufs: float = -23.0


# Building stones ---------------------------------------------------------------------------------


def _band(wave: Wave, low_hz: float, high_hz: float, slope: float = 2.0) -> Wave:
    """What lies between two frequencies; each slope is 6 dB an octave times `slope`."""
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)
    high = 1 / (1 + (frequency / high_hz) ** (2 * slope)) ** 0.5
    low = 1 - 1 / (1 + (frequency / low_hz) ** (2 * slope)) ** 0.5 if low_hz else 1.0
    gain = (high * low)[:, None] if wave.ndim == 2 else high * low
    return np.fft.irfft(np.fft.rfft(wave, axis=0) * gain, len(wave), axis=0)


def _noise(frames: int, drawn: NoiseStream, tilt_db: float = 0.0) -> Wave:
    """(N, 2) of power 1, that goes round, with `tilt_db` an octave."""
    spectrum = np.fft.rfft(drawn.normal(size=(frames, 2)), axis=0)
    frequency = np.maximum(np.fft.rfftfreq(frames, 1 / RATE_HZ), 20.0)[:, None]
    wave = np.fft.irfft(spectrum * (frequency / 1000) ** (tilt_db / 6.02), frames, axis=0)
    return np.asarray(wave / max(float(wave.std()), 1e-9))


def _wander(frames: int, drawn: NoiseStream, slowest_s: float, low: float, high: float) -> Wave:
    """(N, 1) a slow curve between two values, that goes round."""
    count = max(4, round(frames / RATE_HZ / slowest_s * 2))
    points = drawn.uniform(size=count)
    at = np.arange(frames) / frames * count
    first = at.astype(int)
    share = (1 - np.cos(np.pi * (at - first))) / 2
    curve = points[first % count] * (1 - share) + points[(first + 1) % count] * share
    return np.asarray(low + (high - low) * curve)[:, None]


def _scattered(
    frames: int, drawn: NoiseStream, a_second: float, grain: Callable[[NoiseStream], Wave]
) -> Wave:
    """(N, 2) of grains at random times and sides, that go round."""
    out = np.zeros((frames, 2))
    for _ in range(int(drawn.poisson(a_second * frames / RATE_HZ))):
        one = grain(drawn)[:frames]
        angle = drawn.uniform(0.1, 0.9) * np.pi / 2
        first = int(drawn.integers(frames))
        places = (first + np.arange(len(one))) % frames
        out[places] += one[:, None] * np.array([np.cos(angle), np.sin(angle)])
    return out


def _decay(seconds: float, fall_s: float) -> tuple[Wave, Wave]:
    """Time in seconds, and a curve that falls by 60 dB in `fall_s`."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return t, np.exp(-6.9 * t / fall_s)


def _both(wave: Wave) -> Wave:
    return np.stack((wave, wave), axis=1)


def _fitted(wave: Wave, frames: int) -> Wave:
    """(N, 2) cut, or with silence after it."""
    both = _both(wave) if wave.ndim == 1 else wave
    return np.pad(both[:frames], ((0, max(0, frames - len(both))), (0, 0)))


# Sounds ------------------------------------------------------------------------------------------


def rain(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Drops far away as noise, near ones one by one."""
    strong = options.intensity

    def drop(stream: NoiseStream) -> Wave:
        t, fall = _decay(0.03, stream.uniform(0.004, 0.02))
        pitch = stream.uniform(900, 5200)
        tick = np.sin(2 * np.pi * (pitch * t + 900 * t**2)) * fall
        return np.asarray(tick * stream.uniform(0.05, 1) ** 2)

    far = _band(_noise(frames, drawn, -1.5), 500, 9000)
    roof = _band(_noise(frames, drawn, -4), 120, 900) * (0.15 + 0.35 * strong)
    swell = _wander(frames, drawn, 4, 0.75, 1.0)
    near = _scattered(frames, drawn, 25 + 260 * strong, drop)
    return (far * (0.18 + 0.5 * strong) + roof) * swell + 1.6 * near


def wind(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Noise through a pass that moves and howls."""
    base = _noise(frames, drawn, -3)
    low, middle, high = _band(base, 60, 250), _band(base, 250, 700, 3), _band(base, 700, 2400, 3)
    gust = _wander(frames, drawn, 2.5, 0.1, 1.0) ** (2.2 - 1.4 * options.intensity)
    howl = _wander(frames, drawn, 1.2, 0.0, 1.0) ** 2
    return 1.3 * low * (0.4 + gust) + 1.5 * middle * gust + 2.2 * high * gust * howl


def sea(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Waves that rise, break and run back."""
    seconds = frames / RATE_HZ
    count = max(1, round(seconds / (9.5 - 3.5 * options.intensity)))
    t = np.arange(frames) / frames * count
    turn = t - np.floor(t)
    rise, fall = np.clip(turn / 0.42, 0, 1) ** 2.5, np.clip((1 - turn) / 0.58, 0, 1) ** 1.6
    wave = np.minimum(rise, fall)[:, None]
    base = _noise(frames, drawn, -3)
    deep, foam = _band(base, 40, 400), _band(_noise(frames, drawn, -1), 700, 7000)
    breaking = np.clip(1 - np.abs(turn - 0.45) / 0.3, 0, 1)[:, None] ** 2
    strong = 0.5 + options.intensity
    return deep * (0.5 + wave) + foam * (0.05 + 0.9 * wave * breaking + 0.25 * wave) * strong


def fire(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """A low roar and crackling wood."""

    def crackle(stream: NoiseStream) -> Wave:
        _, fall = _decay(0.05, stream.uniform(0.005, 0.05))
        return np.asarray(stream.normal(size=len(fall)) * fall * stream.uniform(0.05, 1) ** 3)

    roar = _band(_noise(frames, drawn, -5), 40, 600) * _wander(frames, drawn, 0.8, 0.4, 1.0)
    hiss = _band(_noise(frames, drawn, 0), 2500, 9000) * _wander(frames, drawn, 0.5, 0.0, 0.08)
    wood = _scattered(frames, drawn, 6 + 34 * options.intensity, crackle)
    return roar * (0.3 + 0.5 * options.intensity) + hiss + 2.2 * _band(wood, 300, 9000)


def stream(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Running water: bubbles of many sizes."""

    def bubble(numbers: NoiseStream) -> Wave:
        pitch = 350 * 2 ** numbers.uniform(0, 2.6)
        t, fall = _decay(0.12, numbers.uniform(0.02, 0.1))
        rising = pitch * (1 + numbers.uniform(0.1, 0.8) * t / 0.1)
        return np.asarray(np.sin(2 * np.pi * np.cumsum(rising) / RATE_HZ) * fall
                          * numbers.uniform(0.1, 1) ** 2)  # fmt: skip

    rush = _band(_noise(frames, drawn, -2), 300, 4000) * _wander(frames, drawn, 1.5, 0.7, 1.0)
    return rush * (0.08 + 0.3 * options.intensity) + _scattered(
        frames, drawn, 60 + 160 * options.intensity, bubble
    )


def thunder(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """A crack and a long roll."""
    seconds = frames / RATE_HZ
    t = np.arange(frames) / RATE_HZ
    roll = _band(_noise(frames, drawn, -6), 25, 220) * _wander(frames, drawn, 0.6, 0.2, 1.0)
    shape = np.minimum(t / 0.3, 1) * np.exp(-3.2 * t / max(seconds, 1e-3))
    crack = _band(_noise(frames, drawn, -3), 80, 4000) * np.exp(-t / 0.12)[:, None]
    return np.asarray(roll * shape[:, None] * 2 + crack * 1.6 * options.intensity**2)


def bell(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """A church bell, struck once."""
    base = 220 * 2 ** (options.pitch / 12)
    return _struck(frames, base, BELL_MODES, 6.5, 0.4 + options.intensity)


def chime(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Five tubes in the wind, of a scale without half steps."""
    out = np.zeros((frames, 2))
    tubes = 523.25 * 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12 + options.pitch / 12)
    modes = ((1.0, 1.0, 1.0), (2.756, 0.4, 0.5), (5.404, 0.18, 0.3))
    at = 0.05
    while at < frames / RATE_HZ:
        first = round(at * RATE_HZ)
        pitch = float(drawn.choice(tubes))
        one = _struck(frames - first, pitch, modes, 2.6, 0.5) * drawn.uniform(0.3, 1)
        angle = drawn.uniform(0.15, 0.85) * np.pi / 2
        out[first:] += one * np.array([np.cos(angle), np.sin(angle)])
        at += float(drawn.exponential(1.1 - 0.8 * options.intensity)) + 0.09
    return out


def _struck(
    frames: int, base_hz: float, modes: tuple[tuple[float, float, float], ...], fall_s: float,
    bright: float,
) -> Wave:  # fmt: skip
    """Sines that die away, each a little apart on either side."""
    t = np.arange(frames) / RATE_HZ
    out = np.zeros((frames, 2))
    for ratio, strength, lasting in modes:
        if base_hz * ratio > RATE_HZ / 2.2:
            continue
        loud = strength * bright ** (ratio / 2) * np.exp(-6.9 * t / (fall_s * lasting))
        for side, off in enumerate((0.9994, 1.0006)):
            out[:, side] += loud * np.sin(2 * np.pi * base_hz * ratio * off * t)
    return out * np.minimum(t / 0.0015, 1)[:, None]


def click(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """A button."""
    t, fall = _decay(0.06, 0.018)
    body = np.sin(2 * np.pi * 1800 * t) * fall + 0.6 * np.sin(2 * np.pi * 420 * t) * fall**0.5
    snap = drawn.normal(size=len(t)) * np.exp(-t / 0.0015) * (0.2 + options.intensity)
    return _fitted(np.asarray(body + snap), frames)


def whoosh(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Something that flies past, from left to right."""
    t = np.arange(frames) / frames
    near = np.exp(-(((t - 0.55) / (0.2 - 0.06 * options.intensity)) ** 2))[:, None]
    base = _noise(frames, drawn, -2)
    low, high = _band(base, 120, 900), _band(base, 900, 6500)
    sides = np.stack((np.cos(t * np.pi / 2), np.sin(t * np.pi / 2)), axis=1)
    return np.asarray((low * near + 1.6 * high * near**2.2) * sides * np.sqrt(2))


def applause(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Many hands, each with a sound and a beat of its own."""
    out = np.zeros((frames, 2))
    for _ in range(12 + round(70 * options.intensity)):
        pitch, beat = drawn.uniform(700, 2600), drawn.uniform(0.19, 0.34)
        _, fall = _decay(0.05, 0.03)
        clap = _band(drawn.normal(size=len(fall)) * fall, pitch * 0.7, pitch * 1.6)
        angle, loud = drawn.uniform(0.05, 0.95) * np.pi / 2, drawn.uniform(0.3, 1)
        sides = np.array([np.cos(angle), np.sin(angle)]) * loud
        at = drawn.uniform(0, beat)
        while at < frames / RATE_HZ:
            first = int(np.clip(round((at + drawn.normal() * 0.012) * RATE_HZ), 0, frames))
            place = slice(first, min(frames, first + len(clap)))
            out[place] += clap[: place.stop - place.start, None] * sides
            at += beat * drawn.uniform(0.93, 1.07)
    return out


def heartbeat(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Two thuds a beat; faster the more intense."""
    a_minute = 56 + 74 * options.intensity
    out = np.zeros(frames)
    for number in range(int(frames / RATE_HZ * a_minute / 60) + 1):
        for after_s, base, loud in ((0.0, 52, 1.0), (0.29, 64, 0.65)):
            t, fall = _decay(0.25, 0.2)
            pitch = base * 2 ** (options.pitch / 12) * (1 + 0.5 * np.exp(-t / 0.02))
            thud = np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ) * fall * np.minimum(t / 0.006, 1)
            first = round((number * 60 / a_minute + after_s) * RATE_HZ)
            place = slice(min(first, frames), min(first + len(thud), frames))
            out[place] += loud * thud[: place.stop - place.start]
    return _both(out)


def tone(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """A sine of 440 Hz, or of as many as `pitch` makes of it."""
    cycles = max(1, round(440 * 2 ** (options.pitch / 12) * frames / RATE_HZ))
    return _both(np.sin(2 * np.pi * cycles * np.arange(frames) / frames))


def bed(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """Noise that falls by 3 dB an octave: a floor under everything."""
    return _noise(frames, drawn, -3 - 3 * options.intensity)


def crickets(frames: int, options: EffectOptions, drawn: NoiseStream) -> Wave:
    """A summer night."""
    t = np.arange(frames) / RATE_HZ
    out = 0.03 * _band(_noise(frames, drawn, -3), 200, 2500)
    for _ in range(2 + round(6 * options.intensity)):
        pitch, trill = drawn.uniform(3800, 5200), drawn.uniform(26, 40)
        chirp = (np.sin(2 * np.pi * (t * drawn.uniform(0.7, 1.6) + drawn.uniform())) > 0.1) * 1.0
        shape = np.clip(np.sin(2 * np.pi * trill * t), 0, 1) ** 2 * chirp
        angle = drawn.uniform(0.05, 0.95) * np.pi / 2
        voice = np.sin(2 * np.pi * pitch * t) * shape * drawn.uniform(0.1, 0.6)
        out = out + voice[:, None] * np.array([np.cos(angle), np.sin(angle)])
    return out


EFFECTS: dict[str, Effect] = {
    "rain": Effect(make=rain, words="rain rainy drizzle 雨"),
    "wind": Effect(make=wind, words="wind windy breeze gale 风 風"),
    "sea": Effect(make=sea, words="sea ocean waves surf tide beach 海 浪 潮", seconds=20.0),
    "fire": Effect(make=fire, words="fire campfire flame 火 焰 炉 爐"),
    "stream": Effect(make=stream, words="stream brook river water creek 溪 流水 泉 河 江 水"),
    "thunder": Effect(make=thunder, words="thunder thunderstorm 雷", seconds=6.0, once=True),
    "bell": Effect(make=bell, words="bell 钟 鐘", seconds=7.0, once=True, room=HALL),
    "chime": Effect(make=chime, words="chime chimes 风铃 風鈴 铃 鈴", room=CHAMBER),
    "click": Effect(make=click, words="click button tap 点击 按键 按鍵", seconds=0.2, once=True),
    "whoosh": Effect(
        make=whoosh,
        words="whoosh swoosh swish transition 呼啸 呼嘯 转场 轉場",
        seconds=1.2,
        once=True,
    ),
    "applause": Effect(
        make=applause, words="applause clapping claps 掌声 掌聲 鼓掌", seconds=6.0, room=HALL
    ),
    "heartbeat": Effect(make=heartbeat, words="heartbeat heart 心跳", seconds=8.0),
    "tone": Effect(make=tone, words="tone sine beep 纯音 純音 哔 嗶", seconds=1.0),
    "bed": Effect(make=bed, words="noise bed hiss 噪声 噪聲 底噪"),
    "crickets": Effect(make=crickets, words="crickets insects 蟋蟀 虫 蟲 夏夜"),
}


def find_effect(text: str) -> str:
    """The effect that a text names, in English or Chinese; the longest word that is said decides.

    raises BriefError that lists what there is
    """
    folded = text.casefold().strip()
    if folded in EFFECTS:
        return folded
    spaced = f" {''.join(one if one.isalpha() else ' ' for one in folded)} "
    said = [
        (len(word.encode()), name)
        for name, effect in EFFECTS.items()
        for word in effect.words.split()
        if (f" {word} " in spaced if word.isascii() else word in folded)
    ]
    if said:
        return max(said)[1]
    close = nearest(folded, EFFECTS)
    raise BriefError(
        "no effect is named in {text}; there are {known}"
        if not close
        else "no effect is named in {text}; did you mean {close}? There are {known}",
        text=text[:60] or "''",
        close=close,
        known=", ".join(EFFECTS),
    )


def sound_of(name: str, options: EffectOptions, seed: int = 0) -> Sound:
    """An effect: stereo at RATE_HZ, as loud as its kind is, no peak above -1 dBTP."""
    effect = EFFECTS[name]
    seconds = options.seconds or effect.seconds
    frames = max(1, round(seconds * RATE_HZ))
    wave = _fitted(effect.make(frames, options, noise(seed, "effect", name)), frames)
    if not options.loop:
        wave = wave * _ends(frames, effect.once)[:, None]
    sound = Sound(samples=wave.astype(np.float32), sample_rate_hz=RATE_HZ)
    if not options.loop:
        sound = in_room(sound, effect.room, seed)
    return levelled(sound, Mix(lufs=effect.lufs + 8 * options.intensity))


def _ends(frames: int, once: bool) -> Wave:
    """A fade at the end, and at the beginning of what goes on."""
    length = min(round(FADE_S * RATE_HZ), frames // 4)
    gains = np.ones(frames)
    if length:
        ramp = np.sin(np.linspace(0, np.pi / 2, length))
        gains[frames - length :] = ramp[::-1]
        if not once:
            gains[:length] = ramp
    return gains
