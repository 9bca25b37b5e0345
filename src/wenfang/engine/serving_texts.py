"""Texts for many callers at once: those of one model share its steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from wenfang.engine.batching import Handle, Request, TextBatch, shares
from wenfang.engine.generating import Generated, Model, load_model
from wenfang.engine.verb import Stopped, require_wanted
from wenfang.errors import NotFoundError, WenfangError

SLOTS = 16
MODELS_MOST = 8  # that are kept in memory


@lru_cache(maxsize=MODELS_MOST)
def text_model(name: str) -> Model:
    """A model that writes; one that can share its steps comes as a TextBatch.

    raises NotFoundError for a model that writes no texts
    """
    found = load_model(name)
    if not isinstance(found, Model):
        raise NotFoundError(
            "{model} writes no texts; wenfang models lists what there is", model=name
        )
    return TextBatch(found.loaded, SLOTS) if shares(found.loaded) else found


def write_alone(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """The texts of a model whose steps cannot be shared."""
    model = text_model(str(content["model"]))

    def hear(text: str) -> None:
        require_wanted(stopped)

    seeds = tuple(content["seeds"])
    made = model.draw(str(content["prompt"]), seeds, content["settings"], hear)
    for index, text in enumerate(made):
        yield {"index": index, "piece": text.text}
    yield {"written": [_record(one) for one in made]}


@dataclass(kw_only=True, eq=False)
class _Call:
    """Texts that one call asks for: some wait for a slot, some are written, some are done."""

    number: int
    batch: TextBatch
    waiting: deque[tuple[int, Request]]
    handles: dict[Handle, int] = field(default_factory=dict)
    done: dict[int, Generated] = field(default_factory=dict)
    count: int


@dataclass
class TextDesk:
    """Calls for texts of models that share their steps."""

    _calls: dict[int, _Call] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._calls)

    def join(self, number: int, asked: Mapping[str, Any]) -> None:
        """Take a call: model, prompt, seeds, settings."""
        batch = text_model(str(asked["model"]))
        assert isinstance(batch, TextBatch)
        requests = deque(
            (index, Request(prompt=str(asked["prompt"]), settings=asked["settings"], seed=seed))
            for index, seed in enumerate(asked["seeds"])
        )
        self._calls[number] = _Call(
            number=number, batch=batch, waiting=requests, count=len(requests)
        )

    def leave(self, number: int) -> None:
        """Forget a call, and free its slots."""
        call = self._calls.pop(number, None)
        if call is not None:
            for handle in call.handles:
                call.batch.leave(handle)

    def clear(self) -> list[int]:
        """Forget every call, and models whose steps broke off in the middle; the calls' numbers."""
        numbers = list(self._calls)
        self._calls.clear()
        text_model.cache_clear()
        return numbers

    def step(self) -> Iterator[tuple[int, Any, bool]]:
        """One step of all: call, what is new of it, and whether that was all; or its error."""
        for call in list(self._calls.values()):
            if (error := self._seated(call)) is not None:
                self.leave(call.number)
                yield call.number, error, True
        batches = dict.fromkeys(call.batch for call in self._calls.values())
        owners = {handle: call for call in self._calls.values() for handle in call.handles}
        for batch in batches:
            for handle, piece, finished in batch.step():
                call = owners[handle]
                if call.number in self._calls:  # an earlier text of it may have failed just now
                    yield from self._told(call, handle, piece, finished)

    @staticmethod
    def _seated(call: _Call) -> WenfangError | None:
        """Give texts that wait the slots that are free; the error of one that cannot be written."""
        while call.waiting and call.batch.count < SLOTS:
            index, request = call.waiting.popleft()
            try:
                call.handles[call.batch.join(request)] = index
            except WenfangError as error:
                return error
        return None

    def _told(
        self, call: _Call, handle: Handle, piece: str, finished: str | None
    ) -> Iterator[tuple[int, Any, bool]]:
        index = call.handles[handle]
        if piece:
            yield call.number, {"index": index, "piece": piece}, False
        if finished is None:
            return
        if handle.error is not None:
            self.leave(call.number)
            yield call.number, handle.error, True
            return
        call.done[index] = call.batch.generated(handle)
        del call.handles[handle]
        if len(call.done) == call.count:
            del self._calls[call.number]
            written = [_record(call.done[place]) for place in range(call.count)]
            yield call.number, {"written": written}, True


def _record(text: Generated) -> dict[str, object]:
    return {**text.record(), "manifest": text.manifest.id}
