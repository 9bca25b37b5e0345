"""What every scenario with a film in it does: its look, its progress, its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from wenfang.compose.captioned import CaptionLook, captioned
from wenfang.compose.film import SCREENS, Screen, Shape, draft
from wenfang.compose.reel import count_of
from wenfang.errors import BriefError
from wenfang.media.image import resize
from wenfang.media.video import Film, Frame
from wenfang.scenarios.piece import Event, Studio
from wenfang.seal import Payload

Also = Literal["webm", "gif", "webp"]
TYPES = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif", "webp": "image/webp"}
# Of animations without sound: short side in px, frames a second, how much of the film.
PREVIEWS = {"webp": (270, 8, 12.0), "gif": (240, 8, 8.0)}
# Above the corners, in one of which the label stands.
BURNT = CaptionLook(ground="plate", weight="regular", margin=0.13)
TOLD_EVERY = 10  # frames
PASSES = 2  # frames are drawn once to be named by their hash, and once to be encoded


@dataclass(frozen=True, kw_only=True)
class FilmLook:
    """How a film is shown.

    shapes    of the screen; each is a film of its own
    quality   full, or draft: half as large, with half as many frames, in an eighth of the time
    also      other files of each: webm; webp and gif, small, silent and of the first seconds
    captions  of what is said: a track that players show on demand, the same and burnt into the
              picture, or none
    """

    shapes: tuple[Shape, ...] = ("16:9",)
    quality: Literal["full", "draft"] = "full"
    also: tuple[Also, ...] = ()
    captions: Literal["track", "burnt", "none"] = "track"

    def screen(self, shape: Shape) -> Screen:
        """The screen that a film of that shape is drawn for."""
        return draft(SCREENS[shape]) if self.quality == "draft" else SCREENS[shape]

    def __post_init__(self) -> None:
        """Refuse what would give two files one name, or no file."""
        for name, values in (("shapes", self.shapes), ("also", self.also)):
            if len(set(values)) != len(values) or (name == "shapes" and not values):
                raise BriefError(
                    "film.{name} is {value}; give each once, and one shape at least",
                    name=name,
                    value=", ".join(values) or "-",
                )


def film_name(shape: Shape, look: FilmLook, suffix: str = "mp4") -> str:
    """film.mp4 for the first shape, film-9x16.mp4 for another."""
    if shape == look.shapes[0]:
        return f"film.{suffix}"
    return f"film-{shape.replace(':', 'x')}.{suffix}"


def film_payloads(
    films: Mapping[Shape, Film], look: FilmLook, studio: Studio
) -> Iterator[tuple[str, Payload]]:
    """The films in every form that is asked for; how far they are drawn is told."""
    for shape, drawn in films.items():
        film = _told(drawn, studio)
        if look.captions == "none":
            film = replace(film, captions=())
        elif look.captions == "burnt":
            film = captioned(film, film.captions, BURNT)
        for kind in ("mp4", *look.also):
            shown = previewed(film, look.screen(shape), kind) if kind in PREVIEWS else film
            yield film_name(shape, look, kind), Payload(media_type=TYPES[kind], data=shown)


def previewed(film: Film, screen: Screen, kind: str) -> Film:
    """The film's first seconds, small, silent and with fewer frames a second."""
    side_px, fps, seconds = PREVIEWS[kind]
    step = max(1, round(film.fps / fps))
    scale = min(1.0, side_px / screen.short_px)
    size = (2 * round(screen.width_px * scale / 2), 2 * round(screen.height_px * scale / 2))
    most = round(seconds * film.fps)
    return Film(frames=_Fewer(film, step, size, most), fps=film.fps / step)


class _Fewer:
    def __init__(self, film: Film, step: int, size: tuple[int, int], most: int) -> None:
        self.film, self.step, self.size, self.most = film, step, size, most

    def __iter__(self) -> Iterator[Frame]:
        for number, frame in enumerate(self.film.frames):
            if number >= self.most:
                return
            if number % self.step == 0:
                yield np.asarray(resize(Image.fromarray(frame), *self.size))


def _told(film: Film, studio: Studio) -> Film:
    """The same film; how many of its frames are drawn is told while they are."""
    progress = _Progress(count_of(film) * PASSES, studio.on_event)
    return replace(film, frames=_Told(film, progress))


class _Progress:
    def __init__(self, total: int, on_event: Callable[[Event], None]) -> None:
        self.total, self.on_event, self.done = total, on_event, 0

    def step(self) -> None:
        self.done += 1
        # A label looks at the beginning once more, which is not counted.
        if self.done == self.total or (self.done < self.total and self.done % TOLD_EVERY == 0):
            self.on_event(Event(step="film", done=self.done, of=self.total))


class _Told:
    def __init__(self, film: Film, progress: _Progress) -> None:
        self.film, self.progress = film, progress

    def __len__(self) -> int:
        return count_of(self.film)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.film.frames:
            self.progress.step()
            yield frame
