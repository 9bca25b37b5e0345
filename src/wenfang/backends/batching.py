"""Texts of one local model for many who ask at once: their draws share the model's steps.

A text is the same as one that `Scribe.draw` or `Poet.draw` writes alone for the same counters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal, NamedTuple

from wenfang.backends.poet import Poet, length_of
from wenfang.backends.scribe import Scribe
from wenfang.backends.texts import Drawer, Shape, Written
from wenfang.device import noise
from wenfang.errors import BusyError, WenfangError
from wenfang.knowledge import script
from wenfang.knowledge.verse import FORMS
from wenfang.models.decode.slotted import shares_steps
from wenfang.models.load import Loaded
from wenfang.samplers.constraints import Watch
from wenfang.samplers.shared import SharedSampler, Stream
from wenfang.samplers.tokens import Drawn, Sampling
from wenfang.samplers.verse import VerseRules
from wenfang.samplers.watermark import TournamentStep
from wenfang.tokenizer import END

LAYOUTS = ("stream", "completion", "verse")
Finish = Literal["stop", "length", "error"]


@dataclass(frozen=True, kw_only=True)
class TextRequest:
    """A continuation of `prompt`, as `Scribe.draw` takes it.

    counters  a seed and what follows it
    """

    prompt: str
    shape: Shape
    counters: tuple[int | str, ...]
    against: str = ""
    watermark: bool = False


@dataclass(frozen=True, kw_only=True)
class VerseRequest:
    """A quatrain, as `Poet.draw` takes it, printed with its punctuation.

    title       in traditional characters; empty for none
    simplified  the printed text is in simplified characters
    """

    title: str
    rules: VerseRules
    sampling: Sampling
    counters: tuple[int | str, ...]
    simplified: bool = False


@dataclass(kw_only=True, eq=False)
class Handle:
    """One request that is being answered.

    result  the text, once it is whole
    error   why there will be none
    """

    stream: Stream = field(repr=False)
    finish: Callable[[], Written] = field(repr=False)
    pieces: list[str] = field(default_factory=list, repr=False)
    result: Written | None = None
    error: WenfangError | None = None

    @property
    def tokens(self) -> int:
        """Tokens drawn so far."""
        return len(self.stream.tokens)

    def told(self) -> str:
        """What is new of the text since the last call."""
        new = "".join(self.pieces)
        self.pieces.clear()
        return new


class Piece(NamedTuple):
    """What a step added to one text.

    text      new characters that no later token changes; all pieces joined are the whole text
    finished  None while it goes on; "stop" or "length" when `handle.result` is there, "error" when
              `handle.error` says why it will not be
    """

    handle: Handle
    text: str
    finished: Finish | None


def shares(loaded: Loaded) -> bool:
    """Whether texts of this model can share its steps; others are drawn one after another."""
    known = loaded.layout in LAYOUTS and loaded.tokenizer is not None
    return known and shares_steps(loaded.model)


class Batch:
    """Answers up to `slots` requests of one writer at a time; not for two threads at once.

    A request that joins is read (its prompt as a whole) by the next step. A guided one takes the
    room of two in the model's cache. Neither who joins or leaves changes what the others get.
    """

    def __init__(self, writer: Scribe | Poet, slots: int = 16) -> None:
        assert shares(writer.loaded), "ask `shares` first"
        self.writer, self.slots = writer, slots
        self._sampler = SharedSampler(writer.model)
        self._handles: dict[Stream, Handle] = {}

    @property
    def count(self) -> int:
        """Requests that are being answered."""
        return len(self._handles)

    @property
    def idle(self) -> bool:
        """Whether a step would do nothing."""
        return not self._handles

    def join(self, request: TextRequest | VerseRequest) -> Handle:
        """Answer this request too.

        raises BusyError when every slot is taken; BriefError for a prompt that cannot be read;
               ConfigError for constraints that cannot be met or a text longer than the context
        """
        self.require_room()
        if isinstance(self.writer, Poet):
            assert isinstance(request, VerseRequest), "a poet writes verse"
            handle = _verse(self.writer, request)
        else:
            assert isinstance(request, TextRequest), "a scribe continues texts"
            handle = self._text(self.writer, request)
        self._handles[handle.stream] = handle
        self._sampler.join(handle.stream)
        return handle

    def require_room(self) -> None:
        """BusyError when every slot is taken."""
        if len(self._handles) >= self.slots:
            raise BusyError(
                "{name} writes {count} texts already; try again later",
                name=self.writer.loaded.name,
                count=self.slots,
            )

    def leave(self, handle: Handle) -> None:
        """Give a request up and free its slot; nothing if it is answered already."""
        self._sampler.leave(handle.stream)
        self._handles.pop(handle.stream, None)

    def step(self) -> list[Piece]:
        """Draw one token for every request: what is new of those that have something new."""
        found = []
        for stream in self._sampler.step():
            handle = self._handles[stream]
            finished = self._finished(handle) if stream.ended else None
            text = handle.told()
            if text or finished:
                found.append(Piece(handle, text, finished))
        return found

    def _finished(self, handle: Handle) -> Finish:
        del self._handles[handle.stream]
        handle.error = handle.stream.error
        if handle.error is None:
            try:
                handle.result = handle.finish()
            except WenfangError as error:
                handle.error = error
        return "error" if handle.result is None else handle.result.finish

    @cached_property
    def _tournament(self) -> TournamentStep:
        """The watermark of this vocabulary, whose every token is hashed once."""
        return TournamentStep(self.writer.tokenizer.tokens())

    def _text(self, scribe: Scribe, request: TextRequest) -> Handle:
        shape = request.shape
        pieces: list[str] = []
        drawer = Drawer(scribe.tokenizer, shape)
        watch = Watch(scribe.tokenizer.decode, shape.stop, pieces.append)
        first, *rest = request.counters
        guided = shape.sampling.guidance != 1
        stream = Stream(
            prompt=scribe.read(request.prompt),
            noise=noise(int(first), *rest),
            sampling=shape.sampling,
            against=scribe.read_against(request.against) if guided else None,
            steps=tuple(drawer.steps),
            # A step remembers the contexts of one text, from its first token on.
            watermark=copy.copy(self._tournament) if request.watermark else None,
            stop=shape.ends | {scribe.tokenizer.id(END)},
            watch=partial(watch, 0),
        )

        def finish() -> Written:
            written = drawer.finished(stream.drawn)
            watch.close(written.text)
            return written

        return Handle(stream=stream, finish=finish, pieces=pieces)


def _verse(poet: Poet, request: VerseRequest) -> Handle:
    rules, tokenizer = request.rules, poet.tokenizer
    opening = poet.layout.opening(rules.characters, tokenizer)
    condition = poet.layout.condition(request.title, tokenizer)
    length = length_of(rules)
    poet.model.check_room(len(opening) + len(condition) + length - 1 + poet.model.taken)
    first, *rest = request.counters
    print_ = _Printing(poet, request)
    stream = Stream(
        prompt=opening + condition,
        noise=noise(int(first), *rest),
        sampling=replace(request.sampling, maximum_tokens=length),
        against=opening if condition and request.sampling.guidance != 1 else None,
        steps=(poet.step(rules),),
        stop=frozenset({tokenizer.id(END)}),
        watch=print_.watch,
    )
    return Handle(stream=stream, finish=partial(print_.whole, stream), pieces=print_.pieces)


class _Printing:
    """A quatrain as it is printed while it is drawn.

    Characters are made simplified by whole lines: what one becomes depends on its neighbours.
    """

    def __init__(self, poet: Poet, request: VerseRequest) -> None:
        self.pieces: list[str] = []
        self._poet, self._simplified = poet, request.simplified
        self._marks = FORMS[request.rules.characters].punctuation
        self._told = 0

    def watch(self, tokens: Sequence[int]) -> bool:
        """Tell what these tokens add; never ends a poem."""
        *done, begun = self._lines(tokens)
        text = "".join(f"{line}{mark}\n" for line, mark in zip(done, self._marks, strict=False))
        self._tell(self._written(text) if self._simplified else text + begun)
        return False

    def whole(self, stream: Stream) -> Written:
        """The poem at its end."""
        lines = self._lines(stream.tokens)
        text = "\n".join(line + mark for line, mark in zip(lines, self._marks, strict=True))
        text = self._written(text)
        self._tell(text)
        return Written(text=text, log_probabilities=(), finish="stop")

    def _lines(self, tokens: Sequence[int]) -> tuple[str, ...]:
        return self._poet.lines_of(Drawn(tokens=list(tokens), log_probabilities=[], stopped=False))

    def _written(self, text: str) -> str:
        return script.to_simplified(text) if self._simplified else text

    def _tell(self, text: str) -> None:
        if len(text) > self._told:
            self.pieces.append(text[self._told :])
            self._told = len(text)
