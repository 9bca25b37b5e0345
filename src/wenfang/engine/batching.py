"""`generate` for many callers at once: requests of one model share its steps.

    if shares(loaded):
        batch = TextBatch(loaded)
        handle = batch.join(Request(prompt="春江", settings={"characters": 5}, seed=7))
        while not batch.idle:
            for handle, piece, finished in batch.step(): ...
        handle.result                  # Written: the text, its log-probabilities, its finish
        batch.generated(handle)        # the same as Model(loaded).draw(prompt, (7,), settings)[0]

Models whose steps cannot be shared (`shares` is false: encoder-decoders, speech, music, pictures)
are asked one after another by their `draw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from wenfang import config
from wenfang.backends.batching import Batch, Handle, Piece, TextRequest, VerseRequest, shares
from wenfang.backends.poet import Poet
from wenfang.backends.scribe import Scribe
from wenfang.backends.texts import Shape
from wenfang.engine.generating import (
    TOO_SHORT,
    Generated,
    Model,
    TextOptions,
    VerseOptions,
    read_constraints,
    rules_of,
    title_of,
    told_of,
)
from wenfang.models.load import Loaded

__all__ = ["Handle", "Piece", "Request", "TextBatch", "shares"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One text that somebody asks for.

    settings  as `generate --set` takes them for this model: those of TextOptions or VerseOptions
    """

    prompt: str
    settings: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class _Told:
    """A request with its settings read, and what a manifest tells of its text beside them."""

    request: Request
    options: TextOptions | VerseOptions
    facts: Mapping[str, Any]


class TextBatch(Model):
    """Up to `slots` requests of one model at a time; not for two threads at once.

    A text is the one that `draw` gives for the same prompt, seed and settings. A request joins
    between two steps; the next step reads its prompt and draws its first token. An error of one
    request ends that one alone.
    """

    def __init__(self, loaded: Loaded, slots: int = 16) -> None:
        super().__init__(loaded)
        assert isinstance(self._writer, Poet | Scribe), "ask `shares` first"
        self._batch = Batch(self._writer, slots)
        self._told: WeakKeyDictionary[Handle, _Told] = WeakKeyDictionary()

    @property
    def count(self) -> int:
        """Requests that are being answered."""
        return self._batch.count

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return self._batch.idle

    def join(self, request: Request) -> Handle:
        """Answer this request too.

        raises BusyError when every slot is taken; ConfigError for a setting that is none or that
               cannot be met; BriefError for a prompt that the model cannot read
        """
        self._batch.require_room()
        asked, told = self._read(request)
        handle = self._batch.join(asked)
        self._told[handle] = told
        return handle

    def step(self) -> list[Piece]:
        """Draw one token for every request: (handle, new text, finished) of those with news.

        finished  None, "stop", "length", or "error" where handle.error says what failed
        """
        return self._batch.step()

    def leave(self, handle: Handle) -> None:
        """Give a request up and free its slot; nothing if it is answered already."""
        self._batch.leave(handle)

    def generated(self, handle: Handle) -> Generated:
        """The asset of a finished request, with its manifest."""
        assert handle.result is not None, "the text is not finished"
        told, text = self._told[handle], handle.result
        prompt = told.request.prompt
        if isinstance(self._writer, Scribe):
            text = self._whole(prompt, text)
        seeds = (told.request.seed,)
        return self._described(prompt, seeds, [text], told.options, told.facts)[0]

    def _read(self, request: Request) -> tuple[TextRequest | VerseRequest, _Told]:
        if isinstance(self._writer, Poet):
            return self._verse(self._writer, request)
        assert isinstance(self._writer, Scribe)
        return self._text(self._writer, request)

    @staticmethod
    def _text(scribe: Scribe, request: Request) -> tuple[TextRequest, _Told]:
        options = config.from_dict(
            TextOptions, read_constraints(request.settings), where="settings"
        )
        shape = Shape(sampling=options.sampling, constraints=options.constraints, stop=options.stop)
        marked, facts = told_of(scribe, request.prompt, options, shape)
        asked = TextRequest(
            prompt=request.prompt,
            shape=shape,
            counters=(request.seed, "generate"),
            against=options.against,
            watermark=marked,
        )
        return asked, _Told(request=request, options=options, facts=facts)

    @staticmethod
    def _verse(poet: Poet, request: Request) -> tuple[VerseRequest, _Told]:
        options = config.from_dict(VerseOptions, request.settings, where="settings")
        asked = VerseRequest(
            title=title_of(poet, request.prompt),
            rules=rules_of(options),
            sampling=options.sampling,
            counters=(request.seed, "generate"),
            simplified=options.language == "zh-Hans",
        )
        facts = {"watermark": {"none": TOO_SHORT}}
        return asked, _Told(request=request, options=options, facts=facts)
