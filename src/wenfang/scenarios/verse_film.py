"""A subject becomes a film: the poem, its card, its reading over music, and scenery for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from PIL import Image

from wenfang import config
from wenfang.compose.captions import Said
from wenfang.compose.film import Shape, filmed
from wenfang.compose.scenery import HOURS, Theme, draw_scenery, theme_of
from wenfang.compose.verse_shots import VerseText, captions_in, scenery_size, verse_shots
from wenfang.compose.weather import KINDS
from wenfang.media.image import encode_png
from wenfang.media.video import Film
from wenfang.scenarios.filming import FilmLook, film_payloads
from wenfang.scenarios.piece import Piece, Studio, require_known
from wenfang.scenarios.reciting import Recited, VerseReadBrief, recited
from wenfang.scenarios.verse_brief import CardLook, VerseCardBrief
from wenfang.scenarios.verse_card import PRINT_DPI, drawn_card, picture_of, set_in_kai
from wenfang.scenarios.verse_writing import in_script
from wenfang.seal import Payload

AFTER_S = 7.5  # music after the last line: the card is read meanwhile


@dataclass(frozen=True, kw_only=True)
class SceneryLook:
    """What is behind the verse; "" leaves it to the words of title and lines.

    hour     day, dawn, dusk, night, winter or rain
    weather  what falls: petals, leaves, snow, rain, glow, or none
    """

    hour: str = ""
    weather: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        require_known("scenery.hour", self.hour, HOURS)
        require_known("scenery.weather", self.weather, ["none", *KINDS])

    def of(self, title: str, text: str) -> Theme:
        """What is drawn for some words."""
        theme = theme_of(title, text)
        weather = {"": theme.weather, "none": ""}.get(self.weather, self.weather)
        return replace(theme, hour=self.hour or theme.hour, weather=weather)


@dataclass(frozen=True, kw_only=True)
class VerseFilmBrief(VerseReadBrief):
    """The brief of `verse_film`."""

    scenario: Literal["verse_film"] = field(
        default="verse_film", metadata={"doc": "which scenario this brief is for"}
    )
    film: FilmLook = FilmLook()
    scenery: SceneryLook = SceneryLook()
    style: CardLook = CardLook()
    signature: str = field(default="", metadata={"doc": "name at the foot of the card"})
    date: str = field(default="", metadata={"doc": "date line of the card, as it shall stand"})
    seal: str = field(default="文房", metadata={"doc": "up to four characters of the red seal"})

    @property
    def card(self) -> VerseCardBrief:
        """The same poem and its card, as a card's brief asks for them."""
        return replace(
            super().card,
            style=self.style,
            signature=self.signature,
            date=self.date,
            seal=self.seal,
        )


def verse_film(brief: VerseFilmBrief, studio: Studio) -> Piece:
    """Write, check, typeset, read, compose, film and seal; CheckError if no draw passes."""
    drawn = picture_of(brief.card, studio)
    read = recited(brief, studio, AFTER_S, drawn)
    card = drawn_card(brief.card, read.title, read.lines, drawn)
    theme = brief.scenery.of(read.title, "".join(read.verse))
    films = {shape: _film(brief, read, card, theme, shape) for shape in brief.film.shapes}
    read = replace(read, facts={**read.facts, "scenery": config.to_dict(theme)})
    read = read.checked(films[brief.film.shapes[0]])
    return read.published(_payloads(brief, read, card, films), "film.mp4", brief.style.label)


def _payloads(
    brief: VerseFilmBrief, read: Recited, card: Image.Image, films: Mapping[Shape, Film]
) -> Iterator[tuple[str, Payload]]:
    """Every file of the piece but the report, the films last."""
    yield "card.png", Payload(media_type="image/png", data=encode_png(card, PRINT_DPI))
    yield "recital.mp3", Payload(media_type="audio/mpeg", data=read.heard.sound)
    yield from read.texts()
    yield from film_payloads(films, brief.film, read.studio)


def _film(
    brief: VerseFilmBrief, read: Recited, card: Image.Image, theme: Theme, shape: Shape
) -> Film:
    """The film on a screen."""
    screen, heard = brief.film.screen(shape), read.heard
    text = VerseText(
        title=Said(read.title, heard.title.start_s, heard.title.end_s),
        lines=tuple(
            Said(set_in_kai(line), one.start_s, one.end_s)
            for one, line in zip(heard.lines, read.verse, strict=True)
        ),
        syllables=tuple((one.start_s, one.end_s) for one in heard.words),
        aside=in_script(brief.language, brief.form),
        seal=brief.seal,
    )
    scenery = draw_scenery(theme, scenery_size(screen), brief.seed)
    shots = verse_shots(text, scenery, card, screen, heard.sound.duration_s)
    return filmed(shots, screen, heard.sound, captions_in(text))
