"""One asset from one model: `wenfang.load(name).generate(prompt)`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Literal

from wenfang import config
from wenfang.backends.completer import LAYOUTS, Completer, PairOptions
from wenfang.backends.loading import load_named
from wenfang.backends.poet import Poet
from wenfang.backends.scribe import Scribe
from wenfang.backends.texts import OnText, Shape, Written
from wenfang.device import DRAWING_THREADS, set_threads
from wenfang.engine.asset import Asset, BundleMaker, Maker, drawn_manifest
from wenfang.engine.composing import MusicModel
from wenfang.engine.effecting import EffectModel
from wenfang.engine.enlarging import EnlargingModel
from wenfang.engine.filming import FilmModel
from wenfang.engine.keeping import label_settings
from wenfang.engine.painting import PictureModel
from wenfang.engine.speaking import SpeechModel
from wenfang.engine.uttering import UtteringModel
from wenfang.errors import BriefError, ConfigError
from wenfang.knowledge import script
from wenfang.knowledge.verse import FORMS
from wenfang.language import keyed
from wenfang.media.text_marks import KIND
from wenfang.models.load import Loaded
from wenfang.models.upscaler import Upscaler
from wenfang.samplers.constraints import SCHEMA_BYTES_MAX, Constraints
from wenfang.samplers.tokens import Sampling
from wenfang.samplers.verse import VerseRules, VerseSampling
from wenfang.scenarios.verse_brief import SUBJECT_CHARACTERS, words_of
from wenfang.seal import Payload

MEDIA_TYPES = {".txt": "text/plain", ".md": "text/markdown", ".html": "text/html"}


TOO_SHORT = keyed("the text is too short for a watermark")


@dataclass(frozen=True, kw_only=True)
class VerseOptions:
    """Settings of `generate` for a model of the layout verse."""

    characters: Literal[5, 7] = 7
    language: Literal["zh-Hant", "zh-Hans"] = "zh-Hant"
    rhyme_first: bool = False
    regular_tones: bool = True
    sampling: VerseSampling = VerseSampling()


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """Settings of `generate` for a model that continues text.

    stop         texts that end it; they are not part of it
    constraints  what the continuation must be
    against      the beginning that sampling.guidance moves away from; empty: none at all
    """

    sampling: Sampling = Sampling(temperature=0.8)
    stop: tuple[str, ...] = ()
    constraints: Constraints = Constraints()
    against: str = ""
    watermark: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Generated(Asset):
    """A text.

    log_probabilities  of its tokens in nats, the model's own; empty where a search or several
                       draws were compared
    finish     "length": it was cut at sampling.maximum_tokens
    """

    text: str
    log_probabilities: tuple[float, ...] = ()
    finish: Literal["stop", "length"] = "stop"

    role: ClassVar[str] = "text"
    suffix: ClassVar[str] = ".txt"
    media_types: ClassVar[Mapping[str, str]] = MEDIA_TYPES

    @property
    def content(self) -> bytes:
        """UTF-8."""
        return self.text.encode()

    def payload(self, media_type: str) -> Payload:
        """Plain, as Markdown, or as a page."""
        data = self.text if media_type != "text/html" else _page(self.text)
        return Payload(media_type=media_type, data=data)

    def record(self) -> dict[str, object]:
        """Its text, and the likelihood where the model told it."""
        told: dict[str, object] = {"text": self.text, "finish": self.finish}
        nats = self.log_probabilities
        if nats:
            told |= {
                "tokens": len(nats),
                "log_probability_nats": sum(nats),
                "log_probabilities": nats,
            }
        return told


def _page(text: str) -> str:
    lines = "<br>\n".join(escape(line) for line in text.splitlines())
    head = '<head><meta charset="utf-8"></head>'
    return f"<!DOCTYPE html>\n<html>\n{head}\n<body>\n<p>{lines}</p>\n</body>\n</html>\n"


class Model(BundleMaker):
    """A loaded bundle that generates."""

    def __init__(self, loaded: Loaded, *, reference: bool = False) -> None:
        self.loaded = loaded
        self.name = loaded.name
        self._writer: Poet | Scribe | Completer
        if loaded.layout in LAYOUTS:
            self._writer = Completer(loaded)
        else:
            kind = Poet if loaded.layout == "verse" else Scribe
            self._writer = kind(loaded, reference=reference)

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Generated]:
        """`generate_many` with settings from outside: ConfigError for one that is none.

        on_text  hears the first text as it comes, or when it is done where several are compared
        """
        if isinstance(self._writer, Poet):
            verse = config.from_dict(VerseOptions, settings, where="settings")
            texts = self._verses(self._writer, prompt, seeds, verse)
            if on_text:
                on_text(texts[0].text)
            return self._described(prompt, seeds, texts, verse, {"watermark": {"none": TOO_SHORT}})
        streams = [(seed, "generate") for seed in seeds]
        settings = read_constraints(settings)
        if isinstance(self._writer, Completer):
            asked = config.from_dict(PairOptions, settings, where="settings")
            texts = self._writer.complete(prompt, asked, streams, on_text)
            unmarked = {"none": self._writer.unmarked(asked)}
            return self._described(prompt, seeds, texts, asked, {"watermark": unmarked})
        plain = config.from_dict(TextOptions, settings, where="settings")
        return self._continued(self._writer, prompt, seeds, plain, on_text)

    def _continued(
        self,
        scribe: Scribe,
        prompt: str,
        seeds: tuple[int, ...],
        plain: TextOptions,
        on_text: OnText | None,
    ) -> list[Generated]:
        shape = Shape(sampling=plain.sampling, constraints=plain.constraints, stop=plain.stop,
                      on_text=on_text)  # fmt: skip
        marked, facts = told_of(scribe, prompt, plain, shape)
        if on_text and not self._answers:
            on_text(prompt)
        drawn = scribe.draw(
            prompt,
            shape,
            [(seed, "generate") for seed in seeds],
            against=plain.against,
            watermark=marked,
        )
        texts = [self._whole(prompt, one) for one in drawn]
        return self._described(prompt, seeds, texts, plain, facts)

    @property
    def _answers(self) -> bool:
        """Whether it learnt to answer a prompt; another one goes on from it."""
        return self.loaded.layout == "completion"

    def _whole(self, prompt: str, text: Written) -> Written:
        """A text as people read it, with the prompt that it goes on from."""
        whole = text.text.strip() if self._answers else prompt + text.text
        return replace(text, text=whole)

    @staticmethod
    def _verses(
        poet: Poet, prompt: str, seeds: tuple[int, ...], options: VerseOptions
    ) -> list[Written]:
        title, rules = title_of(poet, prompt), rules_of(options)
        poems = poet.draw(title, rules, options.sampling, [(s, "generate") for s in seeds])
        texts = ["\n".join(FORMS[options.characters].punctuated(p.lines)) for p in poems]
        simplified = options.language == "zh-Hans"
        return [
            Written(
                text=script.to_simplified(text) if simplified else text,
                log_probabilities=(),
                finish="stop",
            )
            for text in texts
        ]

    def _described(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        texts: Sequence[Written],
        options: VerseOptions | TextOptions | PairOptions,
        facts: Mapping[str, object],
    ) -> list[Generated]:
        made_from = (*self.loaded.ancestors, self.loaded.manifest)
        told = {"settings": config.to_dict(options), **facts}
        return [
            Generated(
                text=one.text,
                log_probabilities=one.log_probabilities,
                finish=one.finish,
                manifest=drawn_manifest(
                    self.loaded, prompt, "text/plain", one.text.encode(), {"seed": seed, **told}
                ),
                made_from=made_from,
            )
            for seed, one in zip(seeds, texts, strict=True)
        ]


def told_of(
    scribe: Scribe, prompt: str, options: TextOptions, shape: Shape
) -> tuple[bool, dict[str, Any]]:
    """Whether a continuation carries a watermark, and what a manifest tells of that and of a
    prompt that is not read whole.
    """
    reason = scribe.unmarked(shape)
    if not (options.watermark and label_settings().watermark):
        reason = keyed("watermarks are switched off")
    facts: dict[str, Any] = {"watermark": {"kind": KIND} if reason is None else {"none": reason}}
    if cut := scribe.cut(scribe.read(prompt)):
        facts["prompt_read"] = {"tokens": cut.tokens, "last": cut.read}
    return reason is None, facts


def title_of(poet: Poet, prompt: str) -> str:
    """The title that a prompt is to a poet; BriefError for one that is too long."""
    words = words_of(prompt)
    if len(words) > SUBJECT_CHARACTERS:
        raise BriefError(
            "{name} has {count} characters; at most {most} fit",
            name="prompt",
            count=len(words),
            most=SUBJECT_CHARACTERS,
        )
    return poet.title_of(words)


def rules_of(options: VerseOptions) -> VerseRules:
    """The rules of verse that a request's settings ask for."""
    return VerseRules(
        characters=options.characters,
        rhyme_first=options.rhyme_first,
        regular_tones=options.regular_tones,
    )


def read_constraints(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings whose `constraints.schema` is the schema itself: a file that is named is read."""
    constraints = settings.get("constraints")
    if not isinstance(constraints, Mapping) or "schema" not in constraints:
        return dict(settings)
    schema = constraints["schema"]
    if isinstance(schema, Mapping):
        text = json.dumps(schema, ensure_ascii=False)
    else:
        text = str(schema)
        if text and not text.lstrip().startswith("{"):
            text = _read_schema(Path(text))
    return {**settings, "constraints": {**constraints, "schema": text}}


def _read_schema(path: Path) -> str:
    try:
        if path.stat().st_size <= SCHEMA_BYTES_MAX:
            return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(
            "constraints.schema: {path} cannot be read ({reason}); give JSON, or a file of it",
            path=path,
            reason=error,
        ) from None
    raise ConfigError("constraints.schema is larger than 64 kB; make it smaller")


PROGRAMS: dict[str, type[SpeechModel | EffectModel | FilmModel]] = {
    SpeechModel.name: SpeechModel,
    EffectModel.name: EffectModel,
    FilmModel.name: FilmModel,
}


def load_model(name: str, *, reference: bool = False) -> Maker:
    """The bundle of that name, or in that folder, ready to generate; `base+adapter:0.5`, too.

    Three names are programs of ours without weights: "speech", "effects" and "film".
    reference  draw one sample at a time, as a replay does
    """
    set_threads(DRAWING_THREADS)
    if name in PROGRAMS:
        return PROGRAMS[name]()
    loaded = load_named(name)
    if loaded.painting and loaded.painting.mel:
        return UtteringModel(loaded)
    if loaded.painting:
        return PictureModel(loaded)
    if loaded.layout == "parts":
        return MusicModel(loaded)
    if isinstance(loaded.model, Upscaler):
        return EnlargingModel(loaded)
    return Model(loaded, reference=reference)
