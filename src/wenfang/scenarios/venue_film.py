"""A venue's facts become its advertisement as a film of fifteen seconds: voice, music, words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

from wenfang import config
from wenfang.backends.composer import Composer
from wenfang.backends.speech.speaker import Speaker, SpeechOptions, Voice
from wenfang.checks import FILM, Material, Report
from wenfang.checks.facts import read_facts
from wenfang.compose.brand import brand_palette
from wenfang.compose.film import Shape, filmed
from wenfang.compose.mix import Mix, Track, mix
from wenfang.compose.motif import Palette
from wenfang.compose.perform import ARRANGEMENTS, find_arrangement, perform
from wenfang.compose.poster import PALETTES, palette_of, require_letters
from wenfang.compose.reel import duration_of
from wenfang.compose.venue_shots import Brand, Moment, venue_shots
from wenfang.compose.voice import polished
from wenfang.device import environment
from wenfang.errors import BriefError, CheckError
from wenfang.knowledge.moods import MOODS
from wenfang.media.audio import Sound
from wenfang.media.paths import Paths
from wenfang.media.recolour import recoloured
from wenfang.media.score import Score, write_score
from wenfang.media.traced import traced
from wenfang.media.video import Caption, Film
from wenfang.scenarios.filming import FilmLook, film_payloads
from wenfang.scenarios.performers import (
    COMPOSER,
    PEAK_DBTP,
    Music,
    composed,
    composer_for,
    voice_for,
    voice_spent,
)
from wenfang.scenarios.picture import Drawn
from wenfang.scenarios.piece import (
    Event,
    Piece,
    Studio,
    keep_piece,
    publish,
    request_facts,
    require_known,
)
from wenfang.scenarios.rights import require_commercial
from wenfang.scenarios.venue_ad import (
    counts,
    drawn_for_venue,
    in_english,
    inputs_of,
    open_venue,
    spent_on,
    venue_words,
)
from wenfang.scenarios.venue_brief import VenueAdBrief, VenueFacts
from wenfang.scenarios.venue_report import VenueReport, render_venue_report
from wenfang.scenarios.venue_script import Line, script_of
from wenfang.seal import Payload, SealedFile

STEPS = 4
SECONDS = 15.0
LEAD_S, REST_S, BEGIN_S, END_S = 0.25, 0.2, 0.2, 0.9  # about each line, and of the whole
# How much goes unsaid, and how fast the rest is spoken: the first that is in time.
PACES = ((0, 1.0), (0, 1.1), (1, 1.0), (1, 1.1), (2, 1.0), (2, 1.15), (2, 1.35))
MUSIC_DB, DUCKED_DB = -6.0, 8.0
UNSURE_S = 0.5  # by which a faster voice may be shorter than its speed says
HOOK_S = 2.8  # to read the first shot
CALL_CHARACTERS = 40


@dataclass(frozen=True, kw_only=True)
class VenueSound:
    """Who speaks and what is played.

    engine       who speaks: espeak, openai:URL#model, or command:NAME of your own voices.json
    variant      a voice by the engine's own name for it; "": by `voice`
    music        a bundle that composes for four voices; "": none
    mood         of the music
    arrangement  who plays
    """

    engine: str = ""
    voice: Voice = "woman"
    variant: str = ""
    music: str = COMPOSER
    mood: str = "bright"
    arrangement: str = "piano"

    def __post_init__(self) -> None:
        """Refuse what cannot be heard."""
        find_arrangement(self.arrangement)
        require_known("sound.mood", self.mood, MOODS)


@dataclass(frozen=True, kw_only=True)
class VenueFilmBrief:
    """The brief of `venue_film`."""

    scenario: Literal["venue_film"] = field(
        default="venue_film", metadata={"doc": "which scenario this brief is for"}
    )
    facts: VenueFacts = field(metadata={"doc": "what may be told, and nothing else"})
    call: str = field(
        default="", metadata={"doc": "what people are asked to do; empty: Come and see us"}
    )
    film: FilmLook = FilmLook(shapes=("16:9", "9:16"))
    sound: VenueSound = VenueSound()
    palette: Literal["auto", "clay", "harbour", "moss", "plum", "night"] = field(
        default="auto", metadata={"doc": "colours of the film; auto: by the seed"}
    )
    brand: str = field(
        default="",
        metadata={"doc": "one or two colours of your own instead, such as #8e3a2a, #e2a454"},
    )
    writer: str = field(
        default="copywriter",
        metadata={"doc": "who writes the post: a bundle, hub:FOLDER or openai:URL#model"},
    )
    picture: str = field(
        default="", metadata={"doc": "a bundle that draws a picture from words; empty: a sign"}
    )
    picture_of: str = field(
        default="", metadata={"doc": "what the picture shows; empty: chosen by the facts"}
    )
    seed: int = field(default=0, metadata={"doc": "the same seed gives the same piece"})

    @property
    def ad(self) -> VenueAdBrief:
        """The same venue, as the brief of its written ad asks for it."""
        return VenueAdBrief(
            facts=self.facts,
            writer=self.writer,
            seed=self.seed,
            picture=self.picture,
            picture_of=self.picture_of,
        )

    @property
    def subject(self) -> str:
        """What it is about: the venue's name."""
        return self.facts.name

    def colours(self) -> Palette:
        """The palette that it is drawn in."""
        if self.brand:
            return brand_palette(self.brand)
        return PALETTES[palette_of(self.seed, "" if self.palette == "auto" else self.palette)]

    def __post_init__(self) -> None:
        """Refuse what no ad can be made of, and colours that are none."""
        _ = self.ad, self.colours()
        if len(self.call) > CALL_CHARACTERS or not self.call.isprintable():
            raise BriefError(
                "call is longer than {most} characters or holds a line break; shorten it",
                most=CALL_CHARACTERS,
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Aired:
    """The sound of the film, and when each line is said and shown.

    said  from when until when; ends  until when it is shown
    """

    sound: Sound
    said: tuple[tuple[float, float], ...]
    ends: tuple[float, ...]
    score: Score | None


def venue_film(brief: VenueFilmBrief, studio: Studio) -> Piece:
    """Write, check, speak, compose, film and seal; CheckError where a line does not pass."""
    ad = brief.ad
    made_with, drafting, bundle = open_venue(studio.model or brief.writer, ad, studio)
    composer, composed_by = composer_for(brief.sound.music, studio)
    speaker, spoken_by = voice_for(brief.sound.engine, studio)
    lineage = studio.store.lineage(bundle.id)
    if studio.commercial:
        require_commercial(lineage, made_with)
    facts = dict(ad.slots)
    require_letters("".join(facts.values()) + brief.call)
    drawn = drawn_for_venue(ad, facts, studio)
    studio.on_event(Event(step="write", done=0, of=STEPS))
    words = venue_words(facts, ad, drafting, studio)
    studio.on_event(Event(step="read", done=1, of=STEPS))
    script, voices, needed = _spoken(brief, facts, studio, speaker)
    aired = _aired(brief, voices, needed, composer)
    brand = _brand(brief, facts, drawn)
    films = {shape: _film(brief, shape, script, aired, brand) for shape in brief.film.shapes}
    report = _report(script, aired, composer, films[brief.film.shapes[0]], studio)
    spoken = " ".join(line.spoken for line in script)
    found = {
        name: read_facts(text, facts)
        for name, text in (("script", spoken), ("body", words.body), ("post", words.post))
    }
    told_facts: dict[str, Any] = {
        "made_with": made_with,
        **request_facts(studio, brief),
        "checks": report.to_dict(),
        "facts": {name: counts(one) for name, one in found.items()},
        "environment": environment(),
        **spent_on(drafting),
        **voice_spent(speaker),
        **({"picture": drawn.facts} if drawn else {}),
    }
    inputs = (
        *inputs_of(brief, bundle, studio),
        *composed_by,
        *spoken_by,
        *((drawn.link,) if drawn else ()),
    )
    studio.on_event(Event(step="seal", done=2, of=STEPS))
    files: list[SealedFile] = [
        publish(in_english(studio), name, payload, inputs, told_facts)
        for name, payload in _payloads(script, aired)
    ]
    files += [
        publish(in_english(studio), name, payload, inputs, told_facts)
        for name, payload in film_payloads(films, brief.film, studio)
    ]
    post = Payload(media_type="text/plain", data=words.post + "\n")
    files.append(publish(in_english(studio), "social.txt", post, inputs, told_facts))
    content = VenueReport(
        brief=None if studio.private else config.to_dict(brief),
        facts=facts,
        words=words,
        found=found,
        model=bundle,
        lineage=lineage,
        files=tuple(files),
        shown="film.mp4",
    )
    page = Payload(media_type="text/html", data=render_venue_report(content))
    files.append(publish(studio, "report.html", page, inputs, told_facts))
    studio.on_event(Event(step="done", done=STEPS, of=STEPS))
    return Piece(
        name=facts["name"],
        text="\n".join((*(line.spoken for line in script), "", words.post)),
        files=tuple(files),
        manifest=keep_piece(brief, studio, files),
        facts={"script": spoken, "post": words.post, "facts": told_facts["facts"]},
    )


def _spoken(
    brief: VenueFilmBrief, facts: Mapping[str, str], studio: Studio, speaker: Speaker
) -> tuple[list[Line], list[Sound], float]:
    """The script, its voices and the seconds they need; BriefError where these are too many."""
    voices: dict[tuple[str, float], Sound] = {}  # a foreign voice is paid for: nothing twice

    def voice(text: str, speed: float) -> Sound:
        if (text, speed) not in voices:
            options = SpeechOptions(
                voice=brief.sound.voice, variant=brief.sound.variant, speed=speed, language="en"
            )
            voices[text, speed] = polished(speaker.speak(text, options).sound)
        return voices[text, speed]

    least = inf
    for terse, speed in PACES:
        script = script_of(facts, brief.call, studio.judge, terse)
        around_s = len(script) * (LEAD_S + REST_S) + BEGIN_S + END_S
        calm_s = sum(voice(one.spoken, 1.0).duration_s for one in script)
        if calm_s / speed + around_s > SECONDS + UNSURE_S:
            least = min(least, calm_s / speed + around_s)
            continue
        said = [voice(one.spoken, speed) for one in script]
        needed = sum(one.duration_s for one in said) + around_s
        if needed <= SECONDS:
            return script, said, needed
        least = min(least, needed)
    raise BriefError(
        "the lines take {seconds} s to say and the film has {most}; shorten names and places",
        seconds=round(least, 1),
        most=SECONDS,
    )


def _aired(
    brief: VenueFilmBrief, voices: Sequence[Sound], needed: float, composer: Composer | None
) -> _Aired:
    """The lines over music, in exactly SECONDS."""
    # The first shot has most to read: it gets the first of the time that is left.
    spare = SECONDS - needed
    first = min(spare, max(0.0, HOOK_S - voices[0].duration_s))
    waits = [(spare - first) / len(voices)] * len(voices)
    waits[0] += first
    tracks, said, ends, at = [], [], [], BEGIN_S
    for voice, wait in zip(voices, waits, strict=True):
        begun = at + LEAD_S
        tracks.append(Track(sound=voice, start_s=begun, speech=True))
        said.append((round(begun, 3), round(begun + voice.duration_s, 3)))
        at = begun + voice.duration_s + REST_S + wait
        ends.append(at)
    # Cuts fall upon frames; the last line is shown until the film ends.
    ends = [round(one * 25) / 25 for one in ends[:-1]] + [SECONDS]
    score = None
    if composer:
        arranged = ARRANGEMENTS[brief.sound.arrangement]
        asked = Music(mood=MOODS[brief.sound.mood], seconds=SECONDS, slowing=arranged.slowing,
                      seed=brief.seed, name="venue")  # fmt: skip
        score = composed(composer, asked)
        played = perform(score, arranged, brief.seed, Mix(duration_s=SECONDS))
        tracks.append(Track(sound=played, gain_db=MUSIC_DB, ducked_db=DUCKED_DB, fade_out_s=0.8))
    sound = mix(tracks, Mix(duration_s=SECONDS, peak_dbtp=PEAK_DBTP))
    return _Aired(sound=sound, said=tuple(said), ends=tuple(ends), score=score)


def _report(
    script: Sequence[Line],
    aired: _Aired,
    composer: Composer | None,
    film: Film,
    studio: Studio,
) -> Report:
    """What is to be said of the sound; CheckError where that blocks."""
    material = Material(
        sound=aired.sound,
        said=tuple((line.spoken, *times) for line, times in zip(script, aired.said, strict=True)),
        film_s=duration_of(film),
        melody=tuple(aired.score.notes()) if aired.score else None,
        melodies=composer.melodies if composer else None,
    )
    report = studio.judge.ask(material, (*FILM, *(("melody_copy",) if aired.score else ())))
    if report.verdict.decision == "block":
        raise CheckError(
            "the film does not pass ({reasons}); try another seed", reasons=report.verdict
        )
    return report


def _brand(brief: VenueFilmBrief, facts: Mapping[str, str], drawn: Drawn | None) -> Brand:
    colours = brief.colours()
    sign: str | Paths = facts.get("eatType", "")
    if drawn:
        sign = traced(recoloured(drawn.image, (colours.deep, colours.bright, colours.paper)))
    told_of = tuple(f"{slot}:{value}" for slot, value in facts.items())
    return Brand(palette=colours, sign=sign, told=told_of, seed=brief.seed)


def _payloads(script: Sequence[Line], aired: _Aired) -> Iterator[tuple[str, Payload]]:
    """The script with its times, the sound and its music."""
    written = "\n".join(
        f"{begun:05.2f}–{ended:05.2f}  {line.spoken}"
        for line, (begun, ended) in zip(script, aired.said, strict=True)
    )
    yield "script.txt", Payload(media_type="text/plain", data=written + "\n")
    yield "sound.mp3", Payload(media_type="audio/mpeg", data=aired.sound)
    if aired.score:
        yield "music.mid", Payload(media_type="audio/midi", data=write_score(aired.score))


def _film(
    brief: VenueFilmBrief, shape: Shape, script: Sequence[Line], aired: _Aired, brand: Brand
) -> Film:
    """The film on a screen."""
    screen = brief.film.screen(shape)
    moments = [
        Moment(
            kind=line.kind,
            large=line.large,
            small=line.small,
            line=line.line,
            slot=line.slot,
            value=line.told.get(line.slot, ""),
            end_s=end,
        )
        for line, end in zip(script, aired.ends, strict=True)
    ]
    captions = tuple(
        Caption(text=line.spoken, start_s=begun, end_s=ended)
        for line, (begun, ended) in zip(script, aired.said, strict=True)
    )
    return filmed(venue_shots(moments, brand, screen), screen, aired.sound, captions)
