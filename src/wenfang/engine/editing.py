"""Given films and sounds changed: cut, joined, cleaned, played faster, reshaped, captioned.

What was made by AI stays marked: where a source carries any mark of it, the result is sealed anew,
names its sources, and keeps the producer that the source's label named.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from wenfang.atomic import write_bytes
from wenfang.compose import clean, cut, mix
from wenfang.compose.captioned import CaptionLook, captioned
from wenfang.compose.captions import captions_of
from wenfang.compose.reel import duration_of
from wenfang.compose.reframe import Fill, cropped, fitted
from wenfang.compose.scene import Scenes, scenes
from wenfang.compose.subtitles import from_srt, from_vtt
from wenfang.engine import sealing
from wenfang.engine.keeping import verify_files
from wenfang.engine.sounding import SOUND_TYPES
from wenfang.errors import ConfigError, MediaError, NotFoundError
from wenfang.media.audio import Sound, decode_sound, encode_sound
from wenfang.media.video import Caption, Film, Kind, Shot, decode, kind_of
from wenfang.media.video_encoding import encode
from wenfang.seal.inputs import LABEL
from wenfang.seal.label import sidecar_json
from wenfang.seal.statement import sealed_facts, sealed_id
from wenfang.store import Link

FILM_NAMES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi")
FILM_TYPES: Mapping[str, Kind] = {".mp4": "mp4", ".webm": "webm"}
CAPTION_TYPES = {".srt": from_srt, ".vtt": from_vtt}
MARKED = ("good", "tampered", "foreign")  # of a layer: somebody put it there
OWN, UNTOLD = "Wenfang", "unknown"  # what made a source
READ_MOST_BYTES = 1 << 20  # of a file of captions
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class EditSettings:
    """What is done, in the order of these fields; whatever is not given is left out.

    dissolve_s  between films that are joined
    start_s, end_s  what is kept of the whole
    silence     "cut": nothing stays in which nobody is heard; "ends": nothing before and after
    quiet       what silence is
    denoise     0..1: how much is taken away of what always sounds
    speed       0.25 to 4; the pitch stays
    lufs        the loudness of the sound
    shape       of the picture, such as 9:16
    fill        how it comes to that shape: "crop" around `focus`, or whole, on itself "blur"red or
                on black "bars"; for films that are joined too
    captions    a file: .srt, .vtt, or .txt, which is spread over the whole
    burnt       they stand in the picture, beside the track
    split       "silence" or "scenes": a file for each part
    """

    dissolve_s: float = 0.0
    start_s: float = 0.0
    end_s: float | None = None
    silence: Literal["keep", "ends", "cut"] = "keep"
    quiet: cut.Silences = field(default_factory=cut.Silences)
    denoise: float = 0.0
    speed: float = 1.0
    lufs: float | None = None
    shape: str = ""
    fill: Fill = "crop"
    focus: tuple[float, float] = (0.5, 0.5)
    captions: str = ""
    burnt: bool = True
    look: CaptionLook = field(default_factory=CaptionLook)
    split: Literal["", "silence", "scenes"] = ""
    scenes: Scenes = field(default_factory=Scenes)

    def __post_init__(self) -> None:
        """Refuse a loudness without a meaning."""
        if self.lufs is not None and not (isfinite(self.lufs) and -70 <= self.lufs <= 0):
            raise ConfigError("a loudness of {value} LUFS has no meaning; give -70 to 0",
                              value=self.lufs)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EditRequest:
    """What is changed, and where it goes.

    files      films, or sounds; several are joined in their order
    output     a file, or a folder where it is split or has no suffix
    made_with  the program that made them, where they are AI content that carries no mark
    """

    files: tuple[Path, ...]
    output: Path
    settings: EditSettings = EditSettings()
    made_with: str = ""


@dataclass(frozen=True, kw_only=True)
class Edited:
    """One file that was written, whether it is sealed, and what was noticed."""

    path: Path
    seconds: float
    sealed: bool
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "path": str(self.path),
            "seconds": round(self.seconds, 3),
            "sealed": self.sealed,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class _Marks:
    """What the sources say of where they came from."""

    made_with: str
    label: Mapping[str, str] | None
    links: tuple[Link, ...]


def edit(request: EditRequest, on_progress: Progress = lambda done, of: None) -> list[Edited]:
    """Change films or sounds and write what comes of them; none of the given files is touched.

    on_progress  hears how many frames of a film are written, and of how many
    raises NotFoundError, MediaError, ConfigError for what cannot be read or done
    """
    if not request.files:
        raise ConfigError("no file is given; give a film or a sound")
    sources = [(path, _bytes(path)) for path in request.files]
    _require_place(request)
    films = [
        _has_picture(path) and (kind_of(data) is not None or path.suffix.lower() in FILM_NAMES)
        for path, data in sources
    ]
    if any(films) and not all(films):
        raise MediaError("films and sounds cannot be joined; give the one or the other")
    parts: list[Film | Sound] = []
    if films[0]:
        given = [decode(data, path.name) for path, data in sources]
        parts += _films(given, request.settings)
    else:
        sounds = [decode_sound(data, path.name) for path, data in sources]
        parts += _sounds(sounds, request.settings)
    marks = _marks(request)
    return [
        _written(part, place, marks, on_progress)
        for part, place in zip(parts, _places(request, len(parts)), strict=True)
    ]


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise NotFoundError("{path} is a folder; give the files that are in it", path=path)
    if not path.is_file():
        raise NotFoundError("{path} is not there; give a file", path=path)
    return path.read_bytes()


def _has_picture(path: Path) -> bool:
    return path.suffix.lower() not in SOUND_TYPES  # .m4a is an MP4 without a picture


def _films(films: list[Film], asked: EditSettings) -> list[Film]:
    """The films joined and changed, in parts where that is asked."""
    join = cut.Join(dissolve_s=asked.dissolve_s, fill=asked.fill)
    film = cut.joined(films, join) if len(films) > 1 else films[0]
    if asked.start_s or asked.end_s is not None:
        film = cut.trimmed(film, asked.start_s, asked.end_s)
    if asked.silence == "cut":
        film = cut.without_silence(film, asked.quiet)
    elif asked.silence == "ends":
        film = _between_ends(film, asked.quiet)
    if asked.denoise and film.sound is not None:
        film = replace(film, sound=clean.denoised(film.sound, asked.denoise))
    if asked.speed != 1:
        film = cut.at_speed(film, asked.speed)
    if asked.lufs is not None and film.sound is not None:
        film = replace(film, sound=clean.normalised(film.sound, asked.lufs))
    if asked.shape:
        crops = asked.fill == "crop"
        film = (
            cropped(film, asked.shape, asked.focus)
            if crops
            else fitted(film, asked.shape, asked.fill)
        )
    if asked.captions:
        captions = _captions(Path(asked.captions), duration_of(film))
        film = (
            captioned(film, captions, asked.look)
            if asked.burnt
            else replace(film, captions=captions)
        )
    if asked.split == "silence":
        raise ConfigError("a film is split at its scenes; split=silence is for sounds")
    return scenes(film, asked.scenes) if asked.split else [film]


def _between_ends(film: Film, quiet: cut.Silences) -> Film:
    """A film from the first to the last moment in which something is heard."""
    if film.sound is None:
        raise MediaError("the film has no sound that could tell where to cut; give its times")
    length_s = duration_of(film)
    spans = clean.silences(film.sound, quiet.below_db, 0.0)
    start_s = spans[0][1] if spans and spans[0][0] == 0 else 0.0
    ended = bool(spans) and spans[-1][1] >= film.sound.duration_s
    end_s = spans[-1][0] if ended else length_s
    if start_s >= end_s:
        raise MediaError("nothing is heard in the sound; give another")
    return cut.trimmed(
        film, max(0.0, start_s - quiet.margin_s), min(length_s, end_s + quiet.margin_s)
    )


def _captions(path: Path, seconds: float) -> tuple[Caption, ...]:
    data = _bytes(path)
    if len(data) > READ_MOST_BYTES:
        raise MediaError("{path} is too large for captions; at most 1 MB is read", path=path)
    text = data.decode("utf-8-sig", "replace")
    read = CAPTION_TYPES.get(path.suffix.lower())
    if read is None:
        return tuple(captions_of(" ".join(text.split()), seconds))
    return read(text, path.name)


def _sounds(sounds: list[Sound], asked: EditSettings) -> list[Sound]:
    """The sounds one after another, changed, in parts where that is asked."""
    for name in ("shape", "captions"):
        if getattr(asked, name):
            raise ConfigError("a sound has no {name}; that is for films", name=name)
    if asked.split == "scenes":
        raise ConfigError("a sound has no scenes; it is split with split=silence")
    sound = _one_sound(sounds, asked.dissolve_s)
    if asked.start_s or asked.end_s is not None:
        sound = _between(sound, asked.start_s, asked.end_s)
    quiet = asked.quiet
    if asked.silence == "cut":
        sound = clean.without_silences(sound, quiet.below_db, quiet.least_s, 2 * quiet.margin_s)
    elif asked.silence == "ends":
        sound = clean.trimmed(sound, quiet.below_db)
    if asked.denoise:
        sound = clean.denoised(sound, asked.denoise)
    if asked.speed != 1:
        sound = clean.at_speed(sound, asked.speed)
    parts = (
        list(clean.parts_between(sound, quiet.below_db, quiet.least_s)) if asked.split else [sound]
    )
    if not parts:
        raise MediaError("nothing is heard in the sound; give another")
    if asked.lufs is None:
        return parts
    return [clean.normalised(one, asked.lufs) for one in parts]


def _one_sound(sounds: list[Sound], cross_s: float) -> Sound:
    return sounds[0] if len(sounds) == 1 else mix.joined(sounds, cross_s)


def _between(sound: Sound, start_s: float, end_s: float | None) -> Sound:
    end_s = sound.duration_s if end_s is None else end_s
    if not (isfinite(start_s) and isfinite(end_s) and 0 <= start_s < min(end_s, sound.duration_s)):
        raise MediaError("a cut from {start} to {end} s has no meaning; give a start from 0 s on "
                         "and a later end",
                         start=round(start_s, 3), end=round(end_s, 3))  # fmt: skip
    rate = sound.sample_rate_hz
    return replace(sound, samples=sound.samples[round(start_s * rate) : round(end_s * rate)])


def _places(request: EditRequest, count: int) -> list[Path]:
    """Where the parts go; MediaError for a kind of file that is not written, or a given one."""
    output, first = request.output, request.files[0]
    if output.suffix and count == 1 and not output.is_dir():
        places = [output]
    elif output.suffix and not output.is_dir():
        places = [output.with_stem(f"{output.stem}-{number + 1}") for number in range(count)]
    elif count == 1:
        places = [output / first.name]
    else:
        names = [f"{first.stem}-{number + 1}{first.suffix}" for number in range(count)]
        places = [output / name for name in names]
    given = {path.resolve() for path in request.files}
    for place in places:
        if place.resolve() in given:
            raise MediaError("{path} would be overwritten; choose another name with -o", path=place)
    return places


def _require_place(request: EditRequest) -> None:
    """What cannot be written is told before anything is done; parts are looked at again."""
    [place] = _places(request, 1)
    if place.suffix.lower() not in (*FILM_TYPES, *SOUND_TYPES):
        raise _unwritable(place, (*FILM_TYPES, *SOUND_TYPES))


def _unwritable(place: Path, known: Sequence[str]) -> MediaError:
    return MediaError(
        "{path}: this is saved as one of {suffixes}", path=place, suffixes=", ".join(known)
    )


def _marks(request: EditRequest) -> _Marks | None:
    """What is told of the sources; None where none of them says that it is made by AI."""
    label: Mapping[str, str] | None = None
    made_with, marked, links = request.made_with, bool(request.made_with), []
    for verdict in verify_files(request.files):
        path = Path(verdict.path)
        own_label, brings = sealing.marks_of(path)
        if not brings and not any(layer.status in MARKED for layer in verdict.layers):
            continue
        marked, label = True, label or own_label
        if (own := sealed_id(path)) is not None:
            links.append(Link(role="source", id=own))
            made_with = made_with or str(sealed_facts(path).get("made_with") or OWN)
    if not marked:
        return None
    return _Marks(
        made_with=made_with or (label or {}).get("ContentProducer", "") or UNTOLD,
        label=label,
        links=tuple(links),
    )


def _written(
    part: Film | Sound, place: Path, marks: _Marks | None, on_progress: Progress
) -> Edited:
    content = _encoded(part, place, on_progress)
    seconds = part.duration_s if isinstance(part, Sound) else duration_of(part)
    if marks is None:
        write_bytes(place, content)
        return Edited(path=place, seconds=seconds, sealed=False)
    with tempfile.TemporaryDirectory() as folder:
        unsealed = Path(folder) / place.name
        unsealed.write_bytes(content)
        if marks.label is not None:
            beside = unsealed.with_name(unsealed.name + LABEL)
            beside.write_bytes(sidecar_json(dict(marks.label)))
        asked = sealing.SealRequest(
            files=(unsealed,),
            made_with=marks.made_with,
            made_from=marks.links,
            output=place.parent,
        )
        (sealed,) = sealing.seal(asked)
    return Edited(path=place, seconds=seconds, sealed=True, notes=sealed.notes)


def _encoded(part: Film | Sound, place: Path, on_progress: Progress) -> bytes:
    suffix = place.suffix.lower()
    if suffix in SOUND_TYPES:
        sound = part.sound if isinstance(part, Film) else part
        if sound is None:
            raise MediaError("{path}: the film has no sound; write a film", path=place)
        return encode_sound(sound, SOUND_TYPES[suffix])
    kind = FILM_TYPES.get(suffix)
    if kind is None or isinstance(part, Sound):
        raise _unwritable(place, tuple(SOUND_TYPES))
    count = round(duration_of(part) * float(part.fps))
    done = 0

    def told(shot: Shot) -> Any:
        nonlocal done
        done += 1
        on_progress(min(done, count), count)
        return shot.frame

    return encode(part, kind, told)
