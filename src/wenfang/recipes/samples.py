"""What a model makes while it learns, and beside another one: the same words and seeds each time.

A run's folder `samples` holds a look for each of some evaluations, `step_N`, and `old`, what the
bundle that it is compared with makes of the same. Pictures and sounds are labelled and sealed, and
`look.json`, written last, tells them all.
"""

from __future__ import annotations

import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from wenfang import config
from wenfang.atomic import write_json
from wenfang.backends.completer import LAYOUTS as ANSWERING
from wenfang.backends.completer import Completer, PairOptions
from wenfang.backends.composer import Composer, PartSampling
from wenfang.backends.painter import Asked, Painter, PaintOptions
from wenfang.backends.poet import Poet
from wenfang.backends.scribe import Scribe
from wenfang.backends.texts import Shape
from wenfang.compose.perform import find_arrangement, perform
from wenfang.data import part_tokens
from wenfang.data.captions import Caption
from wenfang.data.dataset import Dataset
from wenfang.device import environment
from wenfang.errors import BriefError, WenfangError
from wenfang.knowledge.verse import FORMS, is_han
from wenfang.language import keyed, t
from wenfang.media.audio import Sound
from wenfang.media.mel import sound_of
from wenfang.media.score import Key
from wenfang.media.sheet import contact_sheet
from wenfang.models.load import Loaded, Painting
from wenfang.recipes.build import Run
from wenfang.recipes.learn_pictures import PAINTERS, pictured
from wenfang.recipes.recipe import Recipe
from wenfang.samplers.denoise import Denoising
from wenfang.samplers.tokens import Sampling
from wenfang.samplers.verse import VerseRules, VerseSampling
from wenfang.seal import LabelSettings, Payload, Provenance, Sealer, emit
from wenfang.store import Manifest, home
from wenfang.trainer import Event, OnEvent, TrainConfig

FOLDER, LOOK, OLD = "samples", "look.json", "old"
PICTURES, SPOKEN, TEXTS = 9, 3, 4
KEYS = ("C major", "A minor")  # of the pieces that a composer is asked for
BARS, DENSITY, BPM, PLAYED_BY = 4, "even", 84.0, "piano"
# So much of the time may be spent on samples; the grace lets a run of seconds show some, too.
SHARE, GRACE_S = 0.03, 4.0
LEAST_SIDE_PX = 96  # of a picture upon a sheet
WORDS_CHARACTERS = 40  # of a text that is gone on from
TEXT_TOKENS, PHASE_ROUNDS = 60, 30
# Half of what is drawn with otherwise: enough to see how far a model is, in half of the time.
DRAWN = PaintOptions(denoising=Denoising(steps=10))
TITLE_CHARACTERS = (2, 12)


@dataclass(frozen=True, kw_only=True)
class SamplePlan:
    """How often a run shows what it makes.

    count    looks, evenly among the evaluations, the last of them at the end; 0: none
    against  folder of the bundle that the result is compared with; None: that which it starts
             from, or else the one of its name
    """

    count: int = 0
    against: Path | None = None
    label: LabelSettings = field(default_factory=LabelSettings)


@dataclass(frozen=True, kw_only=True)
class Note:
    """A message that is kept, and read in whichever language its reader has."""

    template: str
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: WenfangError) -> Note:
        """What an error says."""
        return cls(template=error.template, values={k: str(v) for k, v in error.values.items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """One thing that was made.

    asked    words, or several apart by " · "
    payload  of a picture or a sound; None for a text
    told     why there is none, or what the model was not told
    """

    asked: str
    text: str = ""
    payload: Payload | None = None
    suffix: str = ""
    told: Note | None = None


class Showing(Protocol):
    """What shows a model's work: `kind` is pictures, sounds or texts."""

    kind: ClassVar[str]

    def draw(self, words: Sequence[str]) -> list[Shown]:
        """The same for the same words and weights."""
        ...


class _Pictures:
    """All upon one sheet."""

    kind: ClassVar[str] = "pictures"

    def __init__(self, loaded: Loaded) -> None:
        self._painter = Painter(loaded)

    def draw(self, words: Sequence[str]) -> list[Shown]:
        asked, unknown = _asked_of(self._painter, words)
        drawn = self._painter.paint(asked, _streams(len(words)), DRAWN)
        sheet = contact_sheet([_enlarged(one) for one in drawn])
        return [
            Shown(
                asked=" · ".join(dict.fromkeys(filter(None, words))),
                payload=Payload(media_type="image/png", data=sheet),
                suffix=".png",
                told=_unknown(unknown),
            )
        ]


class _Spoken:
    """Levels of sounds, heard."""

    kind: ClassVar[str] = "sounds"

    def __init__(self, loaded: Loaded) -> None:
        self._painter = Painter(loaded)

    def draw(self, words: Sequence[str]) -> list[Shown]:
        asked, unknown = _asked_of(self._painter, words)
        drawn = self._painter.paint(asked, _streams(len(words)), DRAWN)
        mel = self._painter.known.mel
        assert mel
        return [
            _sounding(word, sound_of(levels[:, :, 0], mel, PHASE_ROUNDS), word in unknown)
            for word, levels in zip(words, drawn, strict=True)
        ]


class _Music:
    """Short pieces in some keys, played."""

    kind: ClassVar[str] = "sounds"

    def __init__(self, loaded: Loaded) -> None:
        self._composer = Composer(loaded)

    def draw(self, words: Sequence[str]) -> list[Shown]:
        asked = [
            part_tokens.Asked(key=Key.parse(word), beats=4, upbeat=0, bars=BARS, density=DENSITY)
            for word in words
        ]
        pieces = self._composer.compose(asked, _streams(len(words)), PartSampling())
        arranged = find_arrangement(PLAYED_BY)
        return [
            _sounding(word, perform(piece.score(BPM), arranged, number))
            for number, (word, piece) in enumerate(zip(words, pieces, strict=True))
        ]


class _Texts(ABC):
    """A text for each word, or why there is none: a model that has just begun may find no end."""

    kind: ClassVar[str] = "texts"

    def draw(self, words: Sequence[str]) -> list[Shown]:
        return [self._shown(word, number) for number, word in enumerate(words)]

    def _shown(self, word: str, number: int) -> Shown:
        try:
            return Shown(asked=word, text=self._text(word, number))
        except WenfangError as error:
            return Shown(asked=word, told=Note.of(error))

    @abstractmethod
    def _text(self, word: str, number: int) -> str:
        """Drawn by the seed `number`."""


class _Verses(_Texts):
    """A quatrain for each title."""

    def __init__(self, loaded: Loaded) -> None:
        self._poet = Poet(loaded)

    def _text(self, title: str, number: int) -> str:
        rules = VerseRules(characters=7)
        (lines,) = self._poet.lines(
            [self._poet.title_of(title)], rules, VerseSampling(), [(number, FOLDER)]
        )
        return "\n".join(FORMS[rules.characters].punctuated(lines))


class _Answers(_Texts):
    """An answer to each prompt, a translation, or copy of some facts."""

    def __init__(self, loaded: Loaded) -> None:
        self._completer = Completer(loaded)

    def _text(self, prompt: str, number: int) -> str:
        return self._completer.complete(prompt, PairOptions(), [(number, FOLDER)])[0].text


class _Continued(_Texts):
    """What comes after some words."""

    def __init__(self, loaded: Loaded) -> None:
        self._scribe = Scribe(loaded)

    def _text(self, prompt: str, number: int) -> str:
        shape = Shape(sampling=Sampling(temperature=0.8, maximum_tokens=TEXT_TOKENS))
        return self._scribe.draw(prompt, shape, [(number, FOLDER)])[0].text


def _streams(count: int) -> list[tuple[int, str]]:
    return [(number, FOLDER) for number in range(count)]


def _asked_of(painter: Painter, words: Sequence[str]) -> tuple[list[Asked], list[str]]:
    """What a painter is told, and the words that say nothing to it."""
    asked: list[Asked] = []
    unknown = []
    for word in words:
        try:
            asked.append(painter.asked(word))
        except BriefError:
            asked.append(None)
            unknown.append(word)
    return asked, unknown


def _unknown(words: Sequence[str]) -> Note | None:
    if not words:
        return None
    template = keyed("it was not told {words}, which it does not know")
    return Note(template=template, values={"words": ", ".join(dict.fromkeys(words))})


def _sounding(word: str, sound: Sound, unknown: bool = False) -> Shown:
    return Shown(
        asked=word,
        payload=Payload(media_type="audio/mpeg", data=sound),
        suffix=".mp3",
        told=_unknown([word]) if unknown else None,
    )


def _enlarged(pixels: NDArray[np.uint8]) -> Image.Image:
    """(S, S, C) as a picture upon white, its pixels so large that they are seen."""
    channels = pixels.shape[2]
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    whole = Image.new("RGB", image.size, "white")
    whole.paste(image.convert("RGB"), mask=image if image.mode == "RGBA" else None)
    times = math.ceil(LEAST_SIDE_PX / whole.width)
    return whole.resize((whole.width * times, whole.height * times), Image.Resampling.NEAREST)


def showing_of(loaded: Loaded) -> Showing | None:
    """How a model's work is shown; None where it makes nothing: it judges, reads, or repairs."""
    if loaded.painting:
        return _Spoken(loaded) if loaded.painting.mel else _Pictures(loaded)
    if loaded.layout in ANSWERING:
        return _Answers(loaded)
    kind = SHOWN_BY.get(loaded.layout)
    return kind(loaded) if kind else None


SHOWN_BY: dict[str, Callable[[Loaded], Showing]] = {
    "parts": _Music,
    "verse": _Verses,
    "stream": _Continued,
    "completion": _Continued,
}


def live(run: Run, dataset: Dataset, folder: Path) -> Loaded:
    """The model of a run as it is now, and as it goes on to be; `folder` is the run's."""
    recipe = run.recipe
    return Loaded(
        folder=folder,
        model=run.task.model,
        tokenizer=run.tokenizer,
        layout=recipe.data.layout,
        manifest={"name": recipe.name},
        painting=_painting(recipe, dataset) if recipe.data.layout in PAINTERS else None,
    )


def _painting(recipe: Recipe, dataset: Dataset) -> Painting:
    found = pictured(recipe, dataset)
    path = recipe.objective.denoising.built_path() if "path" in found else None
    plain = {name: value for name, value in found.items() if name != "path"}
    read: Painting = config.from_dict(Painting, plain, where=recipe.name)
    return Painting(**{**vars(read), "path": path})


def words_of(loaded: Loaded, dataset: Dataset) -> tuple[str, ...]:
    """What samples are asked for: of what was set aside, else of what is learnt from."""
    part = "valid" if dataset.count("valid") else "train"
    if loaded.painting:
        return _of_pictures(loaded.painting, dataset, part)
    if loaded.layout == "parts":
        return KEYS
    if loaded.layout == "verse":
        return _distinct(_titles(dataset, part), TEXTS)
    if loaded.layout == "stream":
        return _distinct((_begun(record["text"]) for record in dataset.records(part)), TEXTS)
    return _distinct((str(record["prompt"]) for record in dataset.records(part)), TEXTS)


def _of_pictures(painting: Painting, dataset: Dataset, part: str) -> tuple[str, ...]:
    count = SPOKEN if painting.mel else PICTURES
    if names := painting.classes:
        if len(names) < count:
            return tuple(islice(cycle(names), count))
        return tuple(names[place * len(names) // count] for place in range(count))
    if not painting.words:
        return ("",) * count
    said = _distinct((Caption.of(record).names[0] for record in dataset.records(part)), count)
    return tuple(islice(cycle(said or ("",)), count))


def _titles(dataset: Dataset, part: str) -> Iterator[str]:
    least, most = TITLE_CHARACTERS
    for record in dataset.records(part):
        title = str(record["title"])
        if least <= len(title) <= most and all(map(is_han, title)):
            yield title


def _begun(text: str) -> str:
    """The first words of a text, not cut in the middle of one."""
    line = " ".join(text.split())
    if len(line) <= WORDS_CHARACTERS:
        return line[: max(1, len(line) // 2)]
    return line[:WORDS_CHARACTERS].rpartition(" ")[0] or line[:WORDS_CHARACTERS]


def _distinct(found: Iterator[str], count: int) -> tuple[str, ...]:
    seen: dict[str, None] = {}
    for one in found:
        if one.strip():
            seen.setdefault(one)
        if len(seen) == count:
            break
    return tuple(seen)


def moments(train: TrainConfig, count: int) -> frozenset[int]:
    """The steps at which there is a look: evaluations, spread evenly, the last one among them."""
    evaluations = math.ceil(train.steps / train.evaluate_every)
    chosen = {math.ceil(evaluations * place / count) for place in range(1, count + 1)}
    return frozenset(min(train.steps, one * train.evaluate_every) for one in chosen)


class Looks:
    """Makes a run's samples as it goes on; none beyond SHARE of the time, but for the last."""

    def __init__(
        self, run: Run, dataset: Dataset, folder: Path, plan: SamplePlan, on_event: OnEvent
    ) -> None:
        self.plan, self.folder, self.on_event = plan, folder / FOLDER, on_event
        self.name, self.steps = run.recipe.name, run.recipe.train.steps
        self.moments = moments(run.recipe.train, plan.count)
        self.spent_s, self.latest_s, self.begun_at = 0.0, 0.0, time.monotonic()
        loaded = live(run, dataset, folder)
        self.showing: Showing | None = None
        self.words: tuple[str, ...] = ()
        try:
            self.showing = showing_of(loaded)
            self.words = words_of(loaded, dataset) if self.showing else ()
        except WenfangError as error:  # of what only samples need; the run itself goes on
            self.showing = None
            self._tell("warning", 0, t("no samples are made: {reason}", reason=error))
            return
        if self.showing is None:
            self._tell("warning", 0, t("this model makes nothing, so there are no samples of it"))

    def __call__(self, model: nn.Module, step: int) -> None:
        """A look at this step, where one is due; `model` is the run's."""
        if self.showing is None or step not in self.moments:
            return
        begun = time.monotonic()
        allowed_s = GRACE_S + SHARE * (begun - self.begun_at - self.spent_s)
        if step < self.steps and self.spent_s + self.latest_s > allowed_s:
            return
        self._look(self.showing, step)
        self.latest_s = time.monotonic() - begun
        self.spent_s += self.latest_s

    def _look(self, showing: Showing, step: int) -> None:
        place = self.folder / f"step_{step:08d}"
        try:
            with torch.no_grad():
                shown = showing.draw(self.words)
            title = t("{name} at step {step}", name=self.name, step=step)
            write_look(shown, place, showing.kind, title, step, self.plan.label)
        except WenfangError as error:  # of what only samples need; the run itself goes on
            self.showing = None
            self._tell("warning", step, t("no samples are made: {reason}", reason=error))
            return
        self._tell("samples", step, str(place))

    def _tell(self, kind: str, step: int, text: str) -> None:
        self.on_event(Event(kind=kind, step=step, steps=self.steps, text=text))


def write_look(
    shown: Sequence[Shown], place: Path, kind: str, title: str, step: int, label: LabelSettings
) -> dict[str, Any]:
    """A look's folder, in place of what it held: files, and look.json, which is returned."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    made: list[dict[str, Any]] = []
    for number, one in enumerate(shown):
        name = f"{number}{one.suffix}" if one.payload else ""
        if one.payload:
            _publish(one.payload, place / name, title, label)
        told = config.to_dict(one.told) if one.told else None
        made.append({"asked": one.asked, "text": one.text, "file": name, "told": told})
    if kind == "texts":
        lines = "\n\n".join(f"{one.asked}\n{one.text}" for one in shown)
        _publish(Payload(media_type="text/plain", data=lines), place / "texts.txt", title, label)
    look: dict[str, Any] = {"step": step, "shows": kind, "made": made}
    write_json(place / LOOK, look)
    return look


def _publish(payload: Payload, path: Path, title: str, label: LabelSettings) -> None:
    manifest = Manifest(
        kind="asset",
        name=path.name,
        media_type=payload.media_type,
        facts={"made_with": title, "environment": environment()},
    )
    emit(payload, path, Provenance(manifest=manifest), Sealer.at(home(), label))
