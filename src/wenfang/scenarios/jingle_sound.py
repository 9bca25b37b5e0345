"""The sound of a jingle: the name is said, the music gives way to it, and the end meets the start.

N frames, C channels
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np

from wenfang.backends.speech.speaker import Speaker, SpeechOptions, Spoken, phrases_of
from wenfang.compose.effects import EffectOptions, sound_of
from wenfang.compose.mix import RATE_HZ, Mix, Track, levelled, mix
from wenfang.compose.perform import (
    ARRANGEMENTS,
    CHAMBER,
    Arrangement,
    perform,
    performed_loop,
)
from wenfang.compose.voice import polished
from wenfang.device import noise
from wenfang.errors import BriefError
from wenfang.knowledge import script
from wenfang.knowledge.reading import language_of
from wenfang.media.audio import Sound
from wenfang.media.four_parts import BEAT
from wenfang.media.loudness import loudness_lufs
from wenfang.media.midi import Note
from wenfang.media.score import TICKS, Key, Part, Score
from wenfang.scenarios.jingle_brief import SECONDS, JingleBrief
from wenfang.scenarios.jingle_music import Tune

BEFORE_S = 0.5  # of music alone, at least
SOON_S = 0.9  # after which the name is said, where there is room
AFTER_S = 0.6  # of music alone after the last word, at least
SPEEDS = (0.92, 1.0, 1.1, 1.2, 1.3)  # the first at which the words fit
CLEAR_S = 0.2  # between a late name and the last chord
MUSIC_DB, DUCKED_DB = -3.0, 10.0
# compose.mix would let music rise for a second after speech; a last chord cannot wait so long.
FALL_S, RISE_S = 0.25, 0.35
SIGNATURE_LUFS = {"chime": -24.0, "bell": -22.0}
SIGNATURE_S = 2.4
SIGNATURE_AFTER_S = 0.15  # of the name's end
# Three notes of the tonic chord, as steps above the tonic, apart by these seconds; the seed
# chooses one way for all variants, so that it is theirs.
WAYS = ((-5, 0, 4), (0, 4, 7), (4, 7, 12), (7, 4, 12), (0, 7, 12))
APART_S, GLOCKENSPIEL, LOWEST_CHIME = 0.13, 9, 79
DYING_S = 1.2  # in which music that does not go on dies away
PEAK_DBTP = -1.2  # a watermark adds up to 0.1 dB, and -1 is asked
ROUND_S = 0.2  # of the other end that is heard while a loop is levelled
HIGHEST_BELL, BELL_AT = 88, 57  # MIDI pitches: the highest that a bell is tuned to, and its own


@dataclass(frozen=True, kw_only=True, eq=False)
class Said:
    """The words as they are said, and when the name among them begins and ends."""

    spoken: Spoken
    speed: float
    name_start_s: float
    name_end_s: float

    @property
    def duration_s(self) -> float:
        """How long the voice is heard."""
        return self.spoken.sound.duration_s

    @cached_property
    def sound(self) -> Sound:
        """Made easier on the ear."""
        return polished(self.spoken.sound)


def said(brief: JingleBrief, late: bool, speaker: Speaker) -> Said:
    """Name and slogan; where the name stands `late` it is said last.

    raises BriefError where they cannot be said, or not in the seconds that there are
    """
    room = brief.seconds - BEFORE_S - AFTER_S
    for speed in SPEEDS:
        found = _said(brief, late, speed, speaker)
        if found.duration_s <= room:
            return found
    least = ceil(10 * (found.duration_s + BEFORE_S + AFTER_S)) / 10
    told = {"spoken": f"{found.duration_s:.1f}", "seconds": brief.seconds, "room": f"{room:.1f}"}
    if least > SECONDS[1]:
        raise BriefError(
            "the words take {spoken} s to say, and {seconds} s leave {room} s for them; shorten "
            "brand or slogan",
            **told,
        )
    raise BriefError(
        "the words take {spoken} s to say, and {seconds} s leave {room} s for them; ask for "
        "{least} s, or shorten brand or slogan",
        **told,
        least=f"{least:g}",
    )


def _said(brief: JingleBrief, late: bool, speed: float, speaker: Speaker) -> Said:
    options = SpeechOptions(
        voice=brief.voice, variant=brief.variant, speed=speed, language=brief.language
    )
    chinese = (brief.language or language_of(brief.brand + brief.slogan)) == "zh"
    between, end = ("，", "。") if chinese else (", ", ".")
    # Readings of characters are known best in simplified form.
    name, slogan = (script.to_simplified(one.strip()) for one in (brief.brand, brief.slogan))
    parts = [one for one in ((slogan, name) if late else (name, slogan)) if one]
    spoken = speaker.speak(between.join(parts) + end, options)
    counts = {one: len(phrases_of(one)) for one in parts}
    if len(spoken.phrases) != sum(counts[one] for one in parts):
        raise BriefError(
            "something in {text} cannot be read aloud; write it as it is said",
            text=brief.brand if not brief.slogan else f"{brief.brand}, {brief.slogan}",
        )
    own = spoken.phrases[-counts[name] :] if late else spoken.phrases[: counts[name]]
    return Said(spoken=spoken, speed=speed, name_start_s=own[0].start_s, name_end_s=own[-1].end_s)


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """When a tune's beats are heard.

    music_s  how long the music lasts before it goes on, or dies away
    """

    brief: JingleBrief
    tune: Tune

    @property
    def music_s(self) -> float:
        """All of a loop; less where the last chord dies away."""
        return self.brief.seconds - (0.0 if self.brief.loop else DYING_S)

    @property
    def final_s(self) -> float:
        """When the last chord is reached."""
        return self.tune.final / len(self.tune.piece) * self.music_s

    def start_s(self, spoken_s: float) -> float:
        """When the voice begins: upon a beat or between two, and never before BEFORE_S.

        Late, it ends as the last chord is reached; else it follows the first beats of the music.
        """
        half_s = self.music_s / len(self.tune.piece) * BEAT / 2
        last = self.brief.seconds - AFTER_S - spoken_s
        places = [number * half_s for number in range(ceil(self.brief.seconds / half_s))]
        free = [at for at in places if BEFORE_S <= at <= last]
        if not free:
            return last
        if self.tune.style.late:
            ending = [at for at in free if at + spoken_s <= self.final_s - CLEAR_S]
            return max(ending or free)
        return next((at for at in free if at >= SOON_S), free[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Jingle:
    """One variant as it is heard.

    bed      the music alone
    name_…   when the name is heard, and voice_… all that is said
    seams    how rough the point is where the end meets the start (`seam`), of the jingle and of
             the bed; None where they do not go on
    """

    tune: Tune
    score: Score
    sound: Sound
    bed: Sound
    speed: float
    name_start_s: float
    name_end_s: float
    voice_start_s: float
    voice_end_s: float
    signature_s: float | None
    seams: tuple[float, float] | None


def heard(brief: JingleBrief, tune: Tune, words: Said) -> Jingle:
    """A variant: bed, name and signature, exactly as long as asked."""
    timeline = Timeline(brief=brief, tune=tune)
    score = tune.score(timeline.music_s, brief.brand)
    bed = _bed(brief, tune, score)
    start_s = timeline.start_s(words.duration_s)
    end_s = start_s + words.duration_s
    tracks = [
        Track(sound=_lowered(bed, start_s, end_s), gain_db=MUSIC_DB),
        Track(sound=words.sound, start_s=start_s),
    ]
    signature_s = None
    if brief.signature != "none":
        signature_s = max(timeline.final_s, end_s + SIGNATURE_AFTER_S)
        tracks.append(_signature(brief, tune.style.key, signature_s))
    whole = mix(tracks, Mix(duration_s=brief.seconds, lufs=None, peak_dbtp=None))
    sound = _levelled_round(whole) if brief.loop else levelled(whole, Mix(peak_dbtp=PEAK_DBTP))
    return Jingle(
        tune=tune,
        score=score,
        sound=sound,
        bed=bed,
        speed=words.speed,
        name_start_s=round(start_s + words.name_start_s, 3),
        name_end_s=round(start_s + words.name_end_s, 3),
        voice_start_s=round(start_s, 3),
        voice_end_s=round(end_s, 3),
        signature_s=None if signature_s is None else round(signature_s, 3),
        seams=(seam(sound), seam(bed)) if brief.loop else None,
    )


def _bed(brief: JingleBrief, tune: Tune, score: Score) -> Sound:
    """The music as it is played."""
    arrangement = ARRANGEMENTS[tune.style.arrangement]
    seed = brief.seed + tune.style.number
    if brief.loop:
        return _levelled_round(performed_loop(score, arrangement, brief.seconds, seed))
    steady = replace(arrangement, slowing=0.0)
    played = perform(score, steady, seed, Mix(duration_s=brief.seconds, lufs=None))
    ending = Track(sound=played, fade_out_s=DYING_S * 0.8)
    return mix([ending], Mix(duration_s=brief.seconds, peak_dbtp=PEAK_DBTP))


def _lowered(bed: Sound, start_s: float, end_s: float) -> Sound:
    """The bed, softer while somebody speaks."""
    at = np.arange(len(bed.samples)) / bed.sample_rate_hz
    rise = np.clip((at - start_s + FALL_S) / FALL_S, 0, 1)
    fall = np.clip((end_s + RISE_S - at) / RISE_S, 0, 1)
    level = (1 - np.cos(np.pi * np.minimum(rise, fall))) / 2
    gains = 10 ** (-DUCKED_DB * level / 20)
    samples = (bed.samples * gains[:, None]).astype(np.float32)
    return Sound(samples=samples, sample_rate_hz=bed.sample_rate_hz)


def _signature(brief: JingleBrief, key: Key, start_s: float) -> Track:
    """A small sound in the key of the music; in a loop, what is left of it sounds at the start."""
    length = SIGNATURE_S if brief.loop else min(SIGNATURE_S, max(0.3, brief.seconds - start_s))
    asked = Mix(duration_s=length, lufs=SIGNATURE_LUFS[brief.signature])
    sound = _bell(key, length, brief.seed) if brief.signature == "bell" else _chime(brief, key)
    fading = mix([Track(sound=sound, fade_out_s=0.5 * sound.duration_s)], asked)
    if not brief.loop:
        return Track(sound=fading, start_s=start_s)
    frames = round(brief.seconds * RATE_HZ)
    samples = np.zeros((frames, 2), np.float32)
    places = (round(start_s * RATE_HZ) + np.arange(len(fading.samples))) % frames
    np.add.at(samples, places, fading.samples)
    return Track(sound=Sound(samples=samples, sample_rate_hz=RATE_HZ))


def _bell(key: Key, seconds: float, seed: int) -> Sound:
    """One stroke. The partials of a bell make a minor third, which is put upon the tonic in minor
    and upon the third in major.
    """
    wanted = (key.tonic + (0 if key.minor else 4)) % 12
    pitch = HIGHEST_BELL - (HIGHEST_BELL - wanted) % 12 - BELL_AT
    return sound_of("bell", EffectOptions(seconds=seconds, pitch=pitch), seed)


def _chime(brief: JingleBrief, key: Key) -> Sound:
    """Three notes of the tonic chord; the effect `chime` would strike as the wind does."""
    way = WAYS[int(noise(brief.seed, "jingle", "signature").integers(len(WAYS)))]
    tonic = LOWEST_CHIME + (key.tonic - LOWEST_CHIME) % 12
    ticks = round(APART_S * TICKS)
    struck = tuple(
        Note(
            start_ticks=number * ticks,
            duration_ticks=TICKS,
            pitch=tonic + (step - 1 if key.minor and step == 4 else step),
            velocity=70 + 12 * number,
        )
        for number, step in enumerate(way)
    )
    part = Part(name="signature", program=GLOCKENSPIEL, notes=struck)
    played = Arrangement(room=CHAMBER, looseness_s=0.0, slowing=0.0)
    asked = Mix(duration_s=SIGNATURE_S, lufs=None)
    return perform(Score(parts=(part,)).at_tempo(60), played, brief.seed, asked)


def _levelled_round(sound: Sound) -> Sound:
    """At -14 LUFS as a loop: peaks near one end are let down with an ear to the other."""
    reach = round(ROUND_S * sound.sample_rate_hz)
    samples = sound.samples
    padded = np.concatenate((samples[-reach:], samples, samples[:reach]))
    wanted = whole = Mix(peak_dbtp=PEAK_DBTP)
    assert wanted.lufs is not None
    for _ in range(2):  # what is heard of the other end counts for the loudness, a little
        out = levelled(Sound(samples=padded, sample_rate_hz=sound.sample_rate_hz), whole).samples
        off = wanted.lufs - loudness_lufs(out[reach:-reach], sound.sample_rate_hz)
        whole = replace(whole, lufs=wanted.lufs + off)
    return Sound(samples=out[reach:-reach], sample_rate_hz=sound.sample_rate_hz)


def seam(sound: Sound) -> float:
    """How sharply the samples bend where the end meets the start, beside their sharpest bend
    elsewhere; up to 1 it is as smooth as the rest.
    """
    samples = sound.samples.astype(np.float64)
    elsewhere = np.abs(np.diff(samples, 2, axis=0)).max()
    across = np.abs(np.diff(np.concatenate((samples[-2:], samples[:2])), 2, axis=0)).max()
    return round(float(across / max(elsewhere, 1e-12)), 4)
