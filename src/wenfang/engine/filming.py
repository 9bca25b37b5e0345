"""A few words as a short film: `wenfang generate film "rain on the river" -o film.mp4`.

No video model is here. Scenery is drawn in ink by what the words name, the view moves over it,
something may fall, the words are written on it and read aloud where there is time for them, over
music that is composed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

from PIL import Image

from wenfang import config
from wenfang.backends.composer import Composer
from wenfang.backends.loading import load_named
from wenfang.backends.speech.choosing import open_speaker
from wenfang.backends.speech.speaker import SpeechOptions
from wenfang.backends.texts import OnText
from wenfang.compose.effects import EFFECTS, EffectOptions, find_effect, sound_of
from wenfang.compose.film import Screen, filmed
from wenfang.compose.mix import Mix, Track, mix
from wenfang.compose.perform import ARRANGEMENTS, perform
from wenfang.compose.prompt_shots import ambience_of, prompt_shots, theme_of_prompt, written
from wenfang.compose.reel import count_of
from wenfang.compose.scenery import Theme, draw_scenery
from wenfang.compose.verse_shots import scenery_size
from wenfang.compose.voice import polished
from wenfang.engine.asset import Asset, Maker, made_manifest
from wenfang.errors import BriefError, DependencyError
from wenfang.knowledge.moods import DEFAULT, MOODS, mood_of
from wenfang.language import keyed
from wenfang.media.audio import Sound
from wenfang.media.sheet import contact_sheet
from wenfang.media.video import Caption, Film, Frame
from wenfang.scenarios.performers import COMPOSER, PEAK_DBTP, Music, composed
from wenfang.scenarios.verse_film import SceneryLook
from wenfang.seal import Payload
from wenfang.seal.formats.film_label import SHORT_FILM_S
from wenfang.store import Link

Size = Literal["720x1280", "1280x720", "1024x1792", "1792x1024"]
Seconds = Literal[4, 8, 12]
MP4, WEBM, WEBP, JPEG = "video/mp4", "video/webm", "image/webp", "image/jpeg"
SKETCH_FPS = 2  # of the frames that a still and a sheet are chosen from
SHEET_PX = 480  # longer side of a frame upon a sheet
VOICE_AT_S, AFTER_VOICE_S = 0.5, 0.6
MUSIC_S = 12  # music for less would hurry: it is composed for so long and fades out
MUSIC_DB, DUCKED_DB, AMBIENT_DB = -4.0, 8.0, -12.0
PASSES = 2  # frames are drawn once to be named by their hash, and once to be encoded; in between
# a label looks at the first ones
NOTE = keyed(
    "no video model made this: it is drawn scenery under a moving view, with written words and "
    "composed sound"
)


@dataclass(frozen=True, kw_only=True)
class FilmOptions:
    """Settings of `generate` for the program film.

    size     of the picture in px
    seconds  4, 8 or 12
    fps      frames a second, 12 or 25
    scenery  its hour and weather; "": as the words have it
    voice    woman, man or child, who reads the words where there is time; "none"
    music    whether there is music
    """

    size: Size = "1280x720"
    seconds: Seconds = 4
    fps: Literal[12, 25] = 25
    scenery: SceneryLook = SceneryLook()
    voice: Literal["woman", "man", "child", "none"] = "woman"
    music: bool = True

    @property
    def screen(self) -> Screen:
        """What it is drawn for."""
        width, _, height = self.size.partition("x")
        return Screen(width_px=int(width), height_px=int(height), fps=self.fps)


@dataclass(frozen=True, kw_only=True, eq=False)
class Filmed(Asset):
    """A film; as a picture, a still of it (WebP) or a sheet of its frames (JPEG).

    sketch  the same with SKETCH_FPS frames a second, silent
    told    how it was made, for whoever asked
    """

    film: Film
    sketch: Film
    told: Mapping[str, object]

    role: ClassVar[str] = "film"
    suffix: ClassVar[str] = ".mp4"
    media_types: ClassVar[Mapping[str, str]] = {
        ".mp4": MP4, ".webm": WEBM, ".webp": WEBP, ".jpg": JPEG,
    }  # fmt: skip

    @cached_property
    def _mp4(self) -> Payload:
        return Payload(media_type=MP4, data=self.film)

    @property
    def content(self) -> bytes:
        """The hash of each frame."""
        return self._mp4.content

    def payload(self, media_type: str) -> Payload:
        """Encoded once, after its label is drawn."""
        if media_type == WEBM:
            return Payload(media_type=WEBM, data=self.film)
        if media_type == MP4:
            return self._mp4
        frames = [Image.fromarray(frame) for frame in self.sketch.frames]
        if media_type == WEBP:
            return Payload(media_type=WEBP, data=frames[len(frames) * 2 // 3])
        for frame in frames:
            frame.thumbnail((SHEET_PX, SHEET_PX))
        return Payload(media_type=JPEG, data=contact_sheet(frames))

    def record(self) -> dict[str, object]:
        """How it was made."""
        return dict(self.told)


class FilmModel(Maker):
    """The program; it holds no weights, and music is composed by a bundle."""

    name = "film"

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Filmed]:
        """A film for each seed; BriefError for words that cannot be shown."""
        options = config.from_dict(FilmOptions, settings, where="settings")
        return [self.film(prompt, seed, options) for seed in seeds]

    def film(
        self,
        prompt: str,
        seed: int,
        options: FilmOptions,
        on_frame: Callable[[int, int], None] = lambda done, total: None,
    ) -> Filmed:
        """One film; `on_frame` hears how many frames are drawn, of how many, until it is saved."""
        screen, seconds = options.screen, float(options.seconds)
        text = written(prompt, screen)
        theme = _theme(prompt, options)
        composer = Composer(load_named(COMPOSER)) if options.music else None
        heard = _heard(prompt, theme, options, seed, composer)
        scenery = draw_scenery(theme, scenery_size(screen), seed)
        shots = prompt_shots(text, scenery, screen, seconds)
        shown = " ".join(prompt.split())
        captions = (Caption(text=shown, start_s=heard.begun_s, end_s=heard.ended_s),)
        film = filmed(shots, screen, heard.sound, captions)
        told: dict[str, object] = {
            "width_px": screen.width_px,
            "height_px": screen.height_px,
            "seconds": seconds,
            "fps": options.fps,
            "scenery": config.to_dict(theme),
            "spoken": heard.spoken,
            "note": NOTE,
        }
        watched = replace(film, frames=_Counted(film, on_frame))
        payload = Payload(media_type=MP4, data=watched)
        facts = {"seed": seed, "settings": config.to_dict(options), **told}
        manifest = made_manifest(self.name, prompt, MP4, payload.content, facts)
        made_from: tuple[dict[str, object], ...] = ()
        if composer:
            loaded = composer.loaded
            manifest = replace(
                manifest, inputs=(Link(role="composer", id=str(loaded.manifest["id"])),)
            )
            made_from = (*loaded.ancestors, loaded.manifest)
        made = Filmed(
            film=watched,
            sketch=filmed(shots, replace(screen, fps=SKETCH_FPS)),
            told=told,
            manifest=manifest,
            made_from=made_from,
        )
        made.__dict__["_mp4"] = payload  # its frames are hashed already
        return made


def check_film(prompt: str, settings: Mapping[str, object]) -> FilmOptions:
    """What would be refused anyway, before anything is drawn."""
    options = config.from_dict(FilmOptions, settings, where="settings")
    written(prompt, options.screen)
    return options


def _theme(prompt: str, options: FilmOptions) -> Theme:
    """What the words name, unless it is asked for otherwise."""
    theme, look = theme_of_prompt(prompt), options.scenery
    weather = {"": theme.weather, "none": ""}.get(look.weather, look.weather)
    return replace(theme, hour=look.hour or theme.hour, weather=weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Heard:
    """The sound if there is any, when the words are read or shown, and whether they are read."""

    sound: Sound | None
    begun_s: float
    ended_s: float
    spoken: str


def _heard(
    prompt: str, theme: Theme, options: FilmOptions, seed: int, composer: Composer | None
) -> _Heard:
    """Voice, music and what lies under both, exactly as long as the film."""
    seconds = float(options.seconds)
    voice, spoken = _voice(prompt, options)
    tracks: list[Track] = []
    if voice:
        tracks.append(Track(sound=voice, start_s=VOICE_AT_S, speech=True))
    if composer:
        mood = MOODS[mood_of(prompt) or DEFAULT]
        arranged = ARRANGEMENTS[mood.arrangement]
        wanted = Music(mood=mood, seconds=max(seconds, MUSIC_S), slowing=arranged.slowing,
                       seed=seed, name="film")  # fmt: skip
        played = perform(composed(composer, wanted), arranged, seed, Mix(duration_s=seconds))
        tracks.append(Track(sound=played, gain_db=MUSIC_DB, ducked_db=DUCKED_DB, fade_out_s=1.2))
    if effect := _effect(prompt, theme):
        asked = EffectOptions(seconds=seconds, intensity=0.4)
        under = sound_of(effect, asked, seed)
        gain = AMBIENT_DB if tracks else 0.0
        tracks.append(Track(sound=under, gain_db=gain, fade_in_s=0.6, fade_out_s=1.0,
                            ducked_db=3.0))  # fmt: skip
    whole = Mix(duration_s=seconds, peak_dbtp=PEAK_DBTP)
    sound = mix(tracks, whole) if tracks else None
    ended = VOICE_AT_S + voice.duration_s if voice else seconds - AFTER_VOICE_S
    return _Heard(sound=sound, begun_s=VOICE_AT_S, ended_s=ended, spoken=spoken)


def _effect(prompt: str, theme: Theme) -> str:
    """What the words name, or what is heard in such scenery."""
    try:
        named = find_effect(prompt)
    except BriefError:
        named = ""
    return named if named and not EFFECTS[named].once else ambience_of(theme)


def _voice(prompt: str, options: FilmOptions) -> tuple[Sound | None, str]:
    """The words read aloud, and by whom; None and why not where they are not."""
    if options.voice == "none":
        return None, "no voice was asked for"
    try:
        spoken = open_speaker().speak(prompt, SpeechOptions(voice=options.voice))
    except (BriefError, DependencyError) as error:
        return None, f"not read: {error}"
    voice = polished(spoken.sound)
    room = options.seconds - VOICE_AT_S - AFTER_VOICE_S
    if voice.duration_s > room:
        return None, f"not read: that takes {voice.duration_s:.1f} s, and there are {room:.1f}"
    return voice, f"read by a {options.voice}'s voice"


class _Counted:
    """The frames of a film; whoever asked hears how many are drawn, in all passes."""

    def __init__(self, film: Film, on_frame: Callable[[int, int], None]) -> None:
        self.film, self.on_frame = film, on_frame
        count = count_of(film)
        self.total, self.done = count * PASSES + min(count, round(SHORT_FILM_S * film.fps)), 0

    def __len__(self) -> int:
        return count_of(self.film)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.film.frames:
            self.done = min(self.done + 1, self.total)
            self.on_frame(self.done, self.total)
            yield frame
