"""Drawing many samples in shared steps, which they join and leave between two of them.

`sample` draws rows that begin together and wait for the slowest. Here every stream has its own
prompt, sampling, noise and end; a step computes the next token of all of them at once. A stream's
tokens are those that `sample` would draw for it alone: its randomness is its own, and the logits
of a row depend on the others only in their last bits, as they do in a batch of `sample`.

N streams, V vocabulary
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from wenfang.device import NoiseStream, idle_threads
from wenfang.errors import WenfangError
from wenfang.models import CausalModel
from wenfang.models.decode.slotted import Slots
from wenfang.samplers.tokens import Drawn, LogitsStep, Sampling, draw_at, shape_steps

# Who waits for a first token comes before those who have one: a step reads so many tokens of
# prompts and draws for these streams alone. After so many in a row the others have a step.
PROMPT_TOKENS_A_STEP = 256  # one prompt is always read whole
PROMPT_TOKENS_A_TURN = 768
# Prompts are read in one batch up to so many tokens of padding; beyond, another batch costs less.
PADDING_TOKENS_MAX = 32


def kept(tokens: Sequence[int], context: int) -> Sequence[int]:
    """What of a prompt is read: all that leaves room in the context, else the end of it."""
    return tokens if len(tokens) < context else tokens[-(context // 2) :]


@dataclass(kw_only=True, eq=False)
class Stream:
    """One sample that is drawn among others, and what was drawn of it.

    prompt     tokens that it continues, at least one
    against    tokens before which guidance moves away from; None where guidance is 1
    steps      constraints, applied before temperature and truncation. Streams that hold the very
               same steps and have drawn as many tokens are given to them as one batch
    watermark  a step on what is left after them, of this stream alone
    stop       tokens that end it; they are not part of it
    watch      told the tokens after each draw; may end the stream behind them
    stopped    whether it came to an end of its own
    error      what a step raised; the stream has ended there
    """

    prompt: Sequence[int]
    noise: NoiseStream
    sampling: Sampling
    against: Sequence[int] | None = None
    steps: tuple[LogitsStep, ...] = ()
    watermark: LogitsStep | None = None
    stop: frozenset[int] = frozenset()
    watch: Callable[[Sequence[int]], bool] | None = None
    tokens: list[int] = field(default_factory=list, init=False)
    log_probabilities: list[float] = field(default_factory=list, init=False)
    stopped: bool = field(default=False, init=False)
    error: WenfangError | None = field(default=None, init=False)

    @property
    def ended(self) -> bool:
        """Whether nothing more will be drawn."""
        full = len(self.tokens) >= self.sampling.maximum_tokens
        return self.stopped or full or self.error is not None

    @property
    def drawn(self) -> Drawn:
        """The sample so far."""
        return Drawn(
            tokens=list(self.tokens),
            log_probabilities=list(self.log_probabilities),
            stopped=self.stopped,
        )

    def take(self, token: int, log_probability: float) -> None:
        """Add a token that was drawn, unless it ends the stream."""
        if token in self.stop:
            self.stopped = True
            return
        self.tokens.append(token)
        self.log_probabilities.append(log_probability)
        self.stopped = bool(self.watch and self.watch(self.tokens))


@dataclass(kw_only=True, eq=False)
class _Row:
    """What a row of the model has read since its context last slid; the last may be unread."""

    seen: list[int]
    index: int = -1


@dataclass(kw_only=True, eq=False)
class _Member:
    """A stream with its rows (the second has not read the condition), and how its draws go.

    kind  equal for streams whose logits may go through `shape` as one batch
    """

    stream: Stream
    rows: list[_Row]
    shape: tuple[LogitsStep, ...]
    kind: Sampling


class SharedSampler:
    """Draws from one model for any number of streams; not for two threads at once."""

    def __init__(self, model: CausalModel) -> None:
        self._context = model.config.context
        self._slots = Slots(model)
        self._rows: list[_Row] = []  # by their number in the slots
        self._waiting: deque[_Member] = deque()
        self._members: list[_Member] = []
        self._weights = sum(one.numel() for one in model.parameters())
        self._turn = 0  # tokens of prompts that were read in a row

    def __len__(self) -> int:
        return len(self._waiting) + len(self._members)

    def join(self, stream: Stream) -> None:
        """Draw this stream too, from the next step on."""
        sampling = stream.sampling
        prompts = [stream.prompt, *([stream.against] if stream.against else [])]
        self._waiting.append(
            _Member(
                stream=stream,
                rows=[_Row(seen=list(kept(prompt, self._context))) for prompt in prompts],
                shape=tuple(shape_steps(sampling)),
                kind=replace(sampling, maximum_tokens=1, guidance=1.0),
            )
        )

    def leave(self, stream: Stream) -> None:
        """Draw no more of this stream, and free its rows; nothing if it has ended already."""
        for member in [one for one in self._waiting if one.stream is stream]:
            self._waiting.remove(member)
        for member in [one for one in self._members if one.stream is stream]:
            self._remove(member)

    def step(self) -> list[Stream]:
        """One more token for some streams; those that were drawn from. Ended ones have left.

        The oldest prompts that wait are read, and begun; where none waits, or enough were read in
        a row, every stream that was begun goes on.
        """
        members = self._admitted()
        raw = self._begun(members) if members else self._continued()
        members = members or list(self._members)
        if not members:
            return []
        tokens, own = self._choose(members, raw)
        for member, token, log_probability in zip(members, tokens, own, strict=True):
            if member.stream.error is None:
                member.stream.take(token, log_probability)
            for row in member.rows:
                row.seen.append(token)
            if member.stream.ended:
                self._remove(member)
        return [member.stream for member in members]

    def _begun(self, members: list[_Member]) -> Tensor:
        """The logits behind the prompts of new members, which are put into order: (N, V)."""
        first = len(self._rows)
        self._members += members
        rows = [row for member in members for row in member.rows]
        with idle_threads(2.0 * self._weights * sum(len(row.seen) for row in rows)):
            logits = torch.cat(self._read(rows))
        return self._guided(members, logits.float(), first)

    def _read(self, rows: Sequence[_Row]) -> list[Tensor]:
        """Rows that the model has not seen, put behind those that it has: logits by row."""
        found = []
        for group in _read_together(rows):
            found.append(self._slots.append([row.seen for row in group]))
            for row in group:
                row.index = len(self._rows)
                self._rows.append(row)
        return found

    def _continued(self) -> Tensor:
        """The logits of every member behind its last token: (N, V)."""
        fresh = [row for row in self._rows if self._slots.length(row.index) + 1 > self._context]
        for row in fresh:
            self._release(row)
            row.seen = row.seen[-(self._context // 2) :]
        parts = []
        if self._rows:
            parts.append(self._slots.step([row.seen[-1] for row in self._rows]))
        parts += self._read(fresh)
        if not parts:
            return torch.zeros(0, 0)
        return self._guided(self._members, torch.cat(parts).float(), 0)

    def _admitted(self) -> list[_Member]:
        """Members whose prompts this step reads; none where it is the turn of the others."""
        found: list[_Member] = []
        if self._turn >= PROMPT_TOKENS_A_TURN and self._members:
            self._turn = 0
            return found
        room = PROMPT_TOKENS_A_STEP
        while self._waiting:
            needed = sum(len(row.seen) for row in self._waiting[0].rows)
            if found and needed > room:
                break
            room -= needed
            found.append(self._waiting.popleft())
        self._turn = self._turn + PROMPT_TOKENS_A_STEP - room if found else 0
        return found

    @staticmethod
    def _guided(members: list[_Member], logits: Tensor, first: int) -> Tensor:
        """Logits of rows from `first` on (rows, V) -> of members (N, V), each with its guidance.

        Members are put into the order of their rows.
        """
        members.sort(key=lambda member: member.rows[0].index)
        if len(logits) == len(members):
            return logits
        chosen = logits[[member.rows[0].index - first for member in members]]
        places = [place for place, one in enumerate(members) if len(one.rows) > 1]
        guided = [members[place] for place in places]
        guidance = torch.tensor([[one.stream.sampling.guidance] for one in guided])
        plain = logits[[member.rows[1].index - first for member in guided]].log_softmax(-1)
        chosen[places] = plain + guidance * (chosen[places].log_softmax(-1) - plain)
        return chosen

    def _choose(self, members: Sequence[_Member], raw: Tensor) -> tuple[list[int], list[float]]:
        """Draw from logits (N, V): a token for each member, and its log-probability in nats."""
        streams = [member.stream for member in members]
        logits = raw
        held = _alike(
            [(tuple(map(id, one.steps)), len(one.tokens)) if one.steps else None for one in streams]
        )
        for places in held:
            logits = _applied(raw, logits, streams, places, streams[places[0]].steps)
        kinds = [
            (one.kind, len(one.stream.tokens) if _told(one) else None) if one.shape else None
            for one in members
        ]
        for places in _alike(kinds):
            first = members[places[0]]
            told = _told(first)
            logits = _applied(raw, logits, streams, places, first.shape, told=told)
        for place, stream in enumerate(streams):
            if stream.watermark:
                logits = _applied(raw, logits, streams, [place], (stream.watermark,))
        # In float32 a draw could round up to 1 and fall past the last token.
        uniform = torch.tensor([one.noise.random() for one in streams], dtype=torch.float64)
        token = draw_at(logits, uniform)
        own = raw.log_softmax(-1).gather(1, token[:, None])[:, 0]
        return token.tolist(), own.tolist()

    def _remove(self, member: _Member) -> None:
        self._members.remove(member)
        for row in member.rows:
            self._release(row)

    def _release(self, row: _Row) -> None:
        moved = self._rows[self._slots.release(row.index)]
        self._rows[row.index] = moved
        moved.index, row.index = row.index, -1
        self._rows.pop()


def _read_together(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Rows in batches of about one length, the shortest first."""
    found: list[list[_Row]] = []
    for row in sorted(rows, key=lambda one: len(one.seen)):
        padding = sum(len(row.seen) - len(one.seen) for one in found[-1]) if found else 0
        if found and padding <= PADDING_TOKENS_MAX:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _alike(keys: Sequence[Hashable | None]) -> list[list[int]]:
    """Places with equal keys, together; those without one are left out."""
    found: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            found.setdefault(key, []).append(place)
    return list(found.values())


def _told(member: _Member) -> bool:
    """Whether what shapes its logits asks for the tokens drawn."""
    return member.kind.repetition_penalty != 1


def _applied(
    raw: Tensor,
    logits: Tensor,
    streams: Sequence[Stream],
    places: Sequence[int],
    steps: Sequence[LogitsStep],
    *,
    told: bool = True,
) -> Tensor:
    """Logits (N, V) with steps taken at these places; a step's error ends the streams there.

    raw   what is never written to
    told  whether the steps are told what was drawn, which is then equally long
    """
    rows = [streams[place].tokens if told else [] for place in places]
    drawn = torch.tensor(rows, dtype=torch.int64)
    every = len(places) == len(streams)
    part = logits if every else logits[list(places)]
    try:
        for step in steps:
            part = step(part, drawn)
    except WenfangError as error:
        for place in places:
            streams[place].error = error
        return logits
    if every:
        return part
    if logits is raw:
        logits = raw.clone()
    logits[list(places)] = part
    return logits
