"""Music from one model: `wenfang.load("chorale").generate("a calm evening in G minor").score`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from wenfang import config
from wenfang.atomic import sha256_file
from wenfang.backends.composer import (
    HARMONISING,
    Composer,
    PartSampling,
    continued,
    filled_in,
    harmonised,
    varied,
)
from wenfang.backends.texts import OnText
from wenfang.compose.perform import find_arrangement, perform, performed_loop
from wenfang.data.part_tokens import DENSITIES, MOST_BARS, MOST_BEATS, Asked
from wenfang.device import noise
from wenfang.engine.asset import Asset, BundleMaker, drawn_manifest
from wenfang.engine.sounding import SOUND_TYPES
from wenfang.errors import BriefError, ConfigError, MediaError
from wenfang.knowledge.moods import DEFAULT, MOODS, Mood, key_for, mood_of
from wenfang.media.audio import Sound
from wenfang.media.four_parts import BEAT, FourParts, four_parts_of
from wenfang.media.piano_roll import piano_roll
from wenfang.media.score import FASTEST_BPM, SLOWEST_BPM, Key, Metre, Score, read_score, write_score
from wenfang.models.load import Loaded
from wenfang.seal import Payload
from wenfang.seal.formats.midi import without_rhythm

MIDI, SVG = "audio/midi", "image/svg+xml"
MUSIC_TYPES = {".mid": MIDI, ".midi": MIDI, ".svg": SVG, **SOUND_TYPES}
Task = Literal["compose", "harmonise", "continue", "fill", "vary", "loop"]
LONGEST_S = 600.0
MOST_WISHED = 2_000  # characters of a prompt
LOOP_BPM = (50.0, 130.0)  # between which a loop's tempo is chosen so that whole bars fill its time


@dataclass(frozen=True, kw_only=True)
class MusicOptions:
    """Settings of `generate` for a model that composes for four voices.

    task         "compose"; "harmonise" the melody of `start`; "continue" it by `bars`; "fill" its
                 `bars` from `first_bar` on anew; "vary" about `share` of its voices' bars; "loop":
                 a piece of exactly `seconds` that goes on into its own beginning
    start        a MIDI file
    key          "G minor", "降E大调"; "": as the prompt says, or one that suits its mood
    metre        "4/4", "3/4" or "2/4"
    upbeat       beats before the first bar
    bars         whole bars, an upbeat not counted; of "continue" and "fill" the new ones
    density      "sparse", "even" or "flowing"; "": as the mood has it
    mood         a word of the moods that the prompt can name; "": as the prompt says
    tempo_bpm    beats a minute; 0: as `start` has it at its beginning, or else as the mood has it
    arrangement  who plays: "choir", "strings", "piano", "music-box", "organ", "winds", "zither",
                 "harp"; "own": a choir's General MIDI voices; "": as the mood has it
    repeated     held notes are struck again where the other voices move, as singers do
    seconds      of "loop"
    """

    task: Task = "compose"
    start: str = ""
    key: str = ""
    metre: str = "4/4"
    upbeat: int = 0
    bars: int = 8
    density: str = ""
    mood: str = ""
    tempo_bpm: float = 0.0
    arrangement: str = ""
    repeated: bool = True
    first_bar: int = 1
    share: float = 0.5
    seconds: float = 0.0
    sampling: PartSampling = PartSampling()

    def __post_init__(self) -> None:
        """Refuse what has no meaning, and what does not go together."""
        Metre.parse(self.metre)
        _require_one_of("mood", self.mood, MOODS)
        _require_one_of("density", self.density, DENSITIES)
        if self.key:
            Key.parse(self.key)
        if self.arrangement:
            find_arrangement(self.arrangement)
        if self.task not in ("compose", "loop"):
            if not self.start:
                raise ConfigError(
                    "settings.task {task} begins with a MIDI file; name it with settings.start",
                    task=self.task,
                )
        elif self.start:
            raise ConfigError(
                "settings.task {task} begins with nothing; leave settings.start out, or choose "
                "harmonise, continue, fill or vary",
                task=self.task,
            )
        if self.tempo_bpm and not SLOWEST_BPM <= self.tempo_bpm <= FASTEST_BPM:
            raise ConfigError(
                "settings.tempo_bpm is {value}; it must be {low} to {high}, or 0",
                value=self.tempo_bpm,
                low=SLOWEST_BPM,
                high=FASTEST_BPM,
            )
        if (self.task == "loop") != (self.seconds > 0) or self.seconds > LONGEST_S:
            raise ConfigError(
                "settings.seconds is {value}; it belongs to the task loop, which needs more than "
                "0 and at most {most}",
                value=self.seconds,
                most=LONGEST_S,
            )


def _require_one_of(name: str, value: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    if value and value not in known:
        raise ConfigError(
            "settings.{name} is {value}; choose one of {known}",
            name=name,
            value=value,
            known=", ".join(known),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Composed(Asset):
    """A piece of music as it is written, and how it is to be played.

    seconds  of a loop; 0: as long as it lasts
    """

    score: Score
    arrangement: str
    seed: int
    seconds: float = 0.0

    role: ClassVar[str] = "music"
    suffix: ClassVar[str] = ".mid"
    media_types: ClassVar[Mapping[str, str]] = MUSIC_TYPES

    @property
    def content(self) -> bytes:
        """A Standard MIDI File."""
        return write_score(self.score)

    @cached_property
    def audio(self) -> Sound:
        """The piece as it is played, at -14 LUFS."""
        arrangement = find_arrangement(self.arrangement)
        if self.seconds:
            return performed_loop(self.score, arrangement, self.seconds, self.seed)
        return perform(self.score, arrangement, self.seed)

    def payload(self, media_type: str) -> Payload:
        """Notes, a picture of them, or their sound."""
        if media_type == MIDI:
            return Payload(media_type=MIDI, data=self.content)
        if media_type == SVG:
            return Payload(media_type=SVG, data=piano_roll(self.score).encode())
        return Payload(media_type=media_type, data=self.audio)

    def record(self) -> dict[str, object]:
        """How long it is, in which key, and who plays."""
        return {
            "seconds": self.seconds or self.score.duration_s,
            "key": str(self.score.keys[0][1]) if self.score.keys else "",
            "notes": sum(len(part.notes) for part in self.score.parts),
            "arrangement": self.arrangement,
        }


def _says(settings: object, name: str) -> bool:
    return isinstance(settings, Mapping) and name in settings


class MusicModel(BundleMaker):
    """A loaded bundle that composes for four voices."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.name = loaded, loaded.name
        self._composer = Composer(loaded)

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Composed]:
        """`generate_many` with settings from outside: ConfigError for one that is none.

        raises BriefError and MediaError for a start that cannot be gone on from
        """
        options = config.from_dict(MusicOptions, settings, where="settings")
        if options.task == "harmonise" and not _says(settings.get("sampling"), "temperature"):
            cooler = replace(options.sampling, temperature=HARMONISING.temperature)
            options = replace(options, sampling=cooler)
        if len(prompt) > MOST_WISHED:
            raise BriefError(
                "the wish has {count} characters; at most {most} are read: a mood, a key",
                count=len(prompt),
                most=MOST_WISHED,
            )
        start, bpm = self._start(options)
        wish = _Wish.of(prompt, options, bpm)
        asked = [self._asked(options, wish, start, seed) for seed in seeds]
        streams = [(seed, "generate") for seed in seeds]
        pieces = self._composer.compose(asked, streams, options.sampling)
        facts: dict[str, object] = {}
        if options.start:
            facts["start_sha256"] = sha256_file(Path(options.start))
        elif prompt.strip() and not (options.mood or mood_of(prompt) or wish.key):
            facts["not_understood"] = {"mood": DEFAULT}
        return [
            self._composed(prompt, piece, seed, options, wish, facts)
            for seed, piece in zip(seeds, pieces, strict=True)
        ]

    @staticmethod
    def _start(options: MusicOptions) -> tuple[FourParts | None, float]:
        """The piece to begin with and its beats a minute; 0 where there is none."""
        if not options.start:
            return None, 0.0
        path = Path(options.start)
        try:
            data = path.read_bytes()
        except OSError as reason:
            raise MediaError(
                "{path} cannot be read ({reason}); name a MIDI file",
                path=path,
                reason=reason.strerror,
            ) from None
        score = without_rhythm(read_score(data, path.name), data)
        piece = four_parts_of(score, path.name)
        if not 2 <= piece.beats <= MOST_BEATS:
            raise BriefError(
                "{path} has bars of {beats} beats; 2 to {most} can be gone on from",
                path=path,
                beats=piece.beats,
                most=MOST_BEATS,
            )
        return piece, min(max(score.bpm, SLOWEST_BPM), FASTEST_BPM)

    @staticmethod
    def _asked(options: MusicOptions, wish: _Wish, start: FourParts | None, seed: int) -> Asked:
        if start is None:
            return wish.asked(options, seed)
        if options.task == "harmonise":
            found = harmonised(start)
        elif options.task == "continue":
            found = continued(start, options.bars)
        elif options.task == "fill":
            found = filled_in(start, options.first_bar - 1, options.bars)
        else:
            found = varied(start, options.share, (seed, "generate"))
        if options.key:
            found = replace(found, key=Key.parse(options.key))
        return replace(found, density=options.density) if options.density else found

    def _composed(
        self,
        prompt: str,
        piece: FourParts,
        seed: int,
        options: MusicOptions,
        wish: _Wish,
        facts: Mapping[str, object],
    ) -> Composed:
        written = piece.articulated() if options.repeated else piece
        bpm = wish.bpm
        if options.task == "loop":
            bpm = len(piece) / BEAT * 60 / options.seconds
        score = written.score(bpm, title=prompt[:60])
        settled = replace(options, arrangement=wish.arrangement, tempo_bpm=wish.bpm)
        told = {"seed": seed, "settings": config.to_dict(settled), **facts}
        content = write_score(score)
        return Composed(
            score=score,
            arrangement=wish.arrangement,
            seed=seed,
            seconds=options.seconds,
            manifest=drawn_manifest(self.loaded, prompt, MIDI, content, told),
            made_from=(*self.loaded.ancestors, self.loaded.manifest),
        )


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What prompt and settings together ask."""

    mood: Mood
    key: Key | None
    bpm: float
    arrangement: str

    @classmethod
    def of(cls, prompt: str, options: MusicOptions, bpm: float = 0.0) -> _Wish:
        """bpm  of the piece to begin with, or 0."""
        mood = MOODS[options.mood or mood_of(prompt) or DEFAULT]
        return cls(
            mood=mood,
            key=Key.parse(options.key) if options.key else Key.within(prompt),
            bpm=options.tempo_bpm or bpm or float(mood.bpm),
            arrangement=options.arrangement or mood.arrangement,
        )

    def asked(self, options: MusicOptions, seed: int) -> Asked:
        """A piece from nothing."""
        metre = Metre.parse(options.metre)
        beats = metre.beats * 4 // metre.unit
        if metre.unit != 4 or not 2 <= beats <= MOST_BEATS or not 0 <= options.upbeat < beats:
            raise BriefError(
                "{metre} with an upbeat of {upbeat} beats cannot be composed; choose 2/4, 3/4 or "
                "4/4, and an upbeat shorter than a bar",
                metre=options.metre,
                upbeat=options.upbeat,
            )
        bars = options.bars
        if options.task == "loop":
            bars = _bars_for(options.seconds, beats, self.bpm)
        choice = int(noise(seed, "key").integers(60))
        return Asked(
            key=self.key or key_for(self.mood, choice),
            beats=beats,
            upbeat=options.upbeat * BEAT,
            bars=bars + (options.upbeat > 0),
            density=options.density or self.mood.density,
        )


def _bars_for(seconds: float, beats: int, bpm: float) -> int:
    """How many bars fill a loop at about a tempo; BriefError where no tempo does."""
    bars = max(1, min(MOST_BARS, round(seconds * bpm / 60 / beats)))
    needed = bars * beats * 60 / seconds
    if not LOOP_BPM[0] <= needed <= LOOP_BPM[1]:
        raise BriefError(
            "a loop of {seconds} s cannot be filled by whole bars at {low} to {high} beats a "
            "minute; ask for other seconds",
            seconds=seconds,
            low=LOOP_BPM[0],
            high=LOOP_BPM[1],
        )
    return bars
