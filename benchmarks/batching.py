"""Streams that share a model's steps, beside one stream and beside a draw of all in one call.

    python benchmarks/batching.py [--json] [--save FILE] [--rounds 5] [--threads 1]
                                  [--parts verse,s] [--processor-time] [--streams 16]
                                  [--width 512] …

The bundle `verse` writes quatrains of 28 characters with a title and guidance (two rows each).
Configuration S is that of benchmarks/text.py: 8 layers of width 512, hidden width 1408, 8 heads,
16,384 tokens, random weights; the prompt has 64 tokens, 120 are drawn greedily. Streams arrive
together, or one at each step. Tokens a second are those drawn in the whole time, prompts included;
of S those after every stream has its first token are told apart ("decode").
Before anything is timed, the shared streams must have drawn the tokens of the one call. Rounds are
interleaved and who goes first changes; ratios are medians of the rounds' ratios with their spread
(largest minus smallest, of the median). Time to first token is from a stream's arrival. With
--processor-time the time is that which the processor gave to this process (all threads added up):
for one thread on a machine that others use.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rounds import Rate, race, ratio, spread
from wenfang import device
from wenfang.backends.poet import Poet, length_of
from wenfang.backends.shelf import find_bundle
from wenfang.engine.batching import Request, TextBatch
from wenfang.models import gpt
from wenfang.models.decode import decoding_path, fast_decoder
from wenfang.models.load import load
from wenfang.samplers.shared import SharedSampler, Stream
from wenfang.samplers.tokens import CachedPredict, Predict, Sampling, sample
from wenfang.samplers.verse import VerseRules, VerseSampling

Now = Callable[[], float]
PARTS = ("verse", "s")
TITLE = "春江花月夜"
TURNS = 3  # quatrains are short: who comes one at a step comes three times as often
FIRST_WORD = 2  # tokens before it are special


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is measured: how many streams, and the model, the prompt and the tokens of S."""

    streams: int = 16
    width: int = 512
    layers: int = 8
    heads: int = 8
    hidden_width: int = 1408
    vocabulary_size: int = 16384
    prompt: int = 64
    new_tokens: int = 120
    threads: int = device.DRAWING_THREADS
    rounds: int = 5


@dataclass(kw_only=True)
class Clock:
    """When streams arrived and got their first token, over all rounds."""

    first_token_s: list[list[float]] = field(default_factory=list)

    def take(self, seconds: Sequence[float]) -> None:
        """Add one round."""
        self.first_token_s.append(sorted(seconds))

    @property
    def summary(self) -> dict[str, float]:
        """Medians over the rounds of the first, the middle and the last stream to get a token."""
        rows = self.first_token_s
        return {
            "first_s": statistics.median(row[0] for row in rows),
            "median_s": statistics.median(statistics.median(row) for row in rows),
            "last_s": statistics.median(row[-1] for row in rows),
        }


@dataclass(frozen=True, kw_only=True)
class Run:
    """Streams that have ended.

    drawn  what `join` gave for each
    """

    drawn: list[Any]
    seconds: float
    first_token_s: list[float]
    begun_s: float


def shared(
    join: Callable[[int], Any],
    step: Callable[[], Sequence[Any]],
    busy: Callable[[], int],
    count: int,
    most: int,
    now: Now,
    *,
    one_a_step: bool = False,
) -> Run:
    """Draw `count` streams until all have ended.

    busy  how many there are now; never more than `most`
    now   seconds of the clock that is measured by
    """
    arrived: dict[Any, float] = {}
    first: dict[Any, float] = {}
    started = now()
    while len(arrived) < count or busy():
        for _ in range(1 if one_a_step else count):
            if len(arrived) < count and busy() < most:
                arrives = now()
                arrived[join(len(arrived))] = arrives
        for one in step():
            first.setdefault(one, now())
    return Run(
        drawn=list(arrived),
        seconds=now() - started,
        first_token_s=[first[one] - arrived[one] for one in arrived],
        begun_s=max(first.values()) - started,
    )


class Verse:
    """Quatrains of the shipped poet, tokens a second."""

    def __init__(self, streams: int, now: Now) -> None:
        self.streams, self.now, self.clock = streams, now, Clock()
        self.loaded = load(find_bundle("verse"))
        self.poet, self.batch = Poet(self.loaded), TextBatch(self.loaded, streams)
        self.rules = VerseRules()
        self.tokens = length_of(self.rules)

    def together(self, count: int, *, one_a_step: bool = False) -> tuple[list[str], float]:
        """Texts of streams that share steps, and their rate."""
        batch = self.batch
        found = shared(
            lambda number: batch.join(Request(prompt=TITLE, seed=number)),
            lambda: [piece.handle for piece in batch.step()],
            lambda: batch.count,
            count,
            self.streams,
            self.now,
            one_a_step=one_a_step,
        )
        if count == self.streams and not one_a_step:
            self.clock.take(found.first_token_s)
        return [one.result.text for one in found.drawn], count * self.tokens / found.seconds

    def called(self, count: int) -> tuple[list[str], float]:
        """Texts of one call, and its rate."""
        started = self.now()
        found = self.poet.lines(
            [TITLE] * count,
            self.rules,
            VerseSampling(),
            [(seed, "generate") for seed in range(count)],
        )
        rate = count * self.tokens / (self.now() - started)
        return ["".join(lines) for lines in found], rate

    def check(self) -> None:
        """The same poems, whoever draws them."""
        expected = self.called(self.streams)[0]
        for one_a_step in (False, True):
            found = self.together(self.streams, one_a_step=one_a_step)[0]
            plain = ["".join(c for c in text if c not in "，。\n") for text in found]
            assert plain == expected, "the shared streams draw other poems"
        self.clock.first_token_s.clear()

    def runners(self) -> dict[str, Rate]:
        """Who draws."""
        return {
            "one": lambda: self.together(1)[1],
            "together": lambda: self.together(self.streams)[1],
            "one a step": lambda: self.together(TURNS * self.streams, one_a_step=True)[1],
            "one call for one": lambda: self.called(1)[1],
            "one call for all": lambda: self.called(self.streams)[1],
        }


class Rates(NamedTuple):
    """Tokens a second of the whole time, and after every stream had its first token."""

    whole: float
    decode: float


class ConfigurationS:
    """Greedy tokens of a model with random weights, tokens a second."""

    def __init__(self, shape: Shape, now: Now) -> None:
        self.shape, self.streams, self.now, self.clock = shape, shape.streams, now, Clock()
        self.decode: dict[str, list[float]] = {}
        self.model = gpt.GPT(
            gpt.Config(
                vocabulary_size=shape.vocabulary_size,
                width=shape.width,
                layers=shape.layers,
                heads=shape.heads,
                kv_heads=shape.heads,
                hidden_width=shape.hidden_width,
                context=shape.prompt + shape.new_tokens,
                zero_init_outputs=False,
            )
        )
        self.model.initialise(torch.Generator().manual_seed(0))
        self.model.eval()
        size = (shape.streams, shape.prompt)
        generator = torch.Generator().manual_seed(1)
        self.prompts = torch.randint(FIRST_WORD, shape.vocabulary_size, size, generator=generator)
        self.sampling = Sampling(temperature=0, maximum_tokens=shape.new_tokens)

    def together(self, count: int, *, one_a_step: bool = False) -> tuple[list[list[int]], Rates]:
        """Tokens of streams that share steps, and their rates."""
        sampler, begun = SharedSampler(self.model), 0
        streams: list[Stream] = []

        def join(number: int) -> Stream:
            stream = Stream(
                prompt=self.prompts[number].tolist(),
                noise=device.noise(0, number),
                sampling=self.sampling,
            )
            sampler.join(stream)
            streams.append(stream)
            return stream

        def step() -> list[Stream]:
            nonlocal begun
            found = sampler.step()
            if any(len(one.tokens) == 1 for one in found):
                begun = total()
            return found

        def total() -> int:
            return sum(len(one.tokens) for one in streams)

        found = shared(
            join,
            step,
            lambda: len(sampler),
            count,
            self.streams,
            self.now,
            one_a_step=one_a_step,
        )
        if count == self.streams and not one_a_step:
            self.clock.take(found.first_token_s)
        decode = (total() - begun) / (found.seconds - found.begun_s)
        return [one.tokens for one in streams], Rates(total() / found.seconds, decode)

    def called(self, count: int, *, compiled: bool = False) -> tuple[list[list[int]], Rates]:
        """Tokens of one call of `sample`, and its rates."""
        clock: list[float] = []

        def note(row: int, _: Sequence[int]) -> bool:
            if row == count - 1:
                clock.append(self.now())
            return False

        started = self.now()
        tokens, capacity = self.prompts[:count], self.model.config.context
        predict: Predict | None = CachedPredict(self.model, count, capacity)
        if compiled:
            predict = fast_decoder(self.model, count, capacity)
        assert predict is not None, decoding_path(self.model).reason
        streams = [device.noise(0, row) for row in range(count)]
        found = sample(predict, tokens, streams, self.sampling, watch=note)
        total = count * self.shape.new_tokens
        rates = Rates(total / (clock[-1] - started), (total - count) / (clock[-1] - clock[0]))
        return [one.tokens for one in found], rates

    def check(self) -> None:
        """The same tokens, whoever draws them."""
        expected = self.called(self.streams)[0]
        for one_a_step in (False, True):
            found = self.together(self.streams, one_a_step=one_a_step)[0]
            assert found == expected, "the shared streams draw other tokens"
        self.clock.first_token_s.clear()

    def runners(self) -> dict[str, Rate]:
        """Who draws."""
        calls: dict[str, Callable[[], tuple[Any, Rates]]] = {
            "one": partial(self.together, 1),
            "together": partial(self.together, self.streams),
            "one a step": partial(self.together, self.streams, one_a_step=True),
            "one call for all": partial(self.called, self.streams),
        }
        if decoding_path(self.model).name == "compiled":
            self.called(1, compiled=True)  # compiles
            calls["one compiled call for all"] = partial(self.called, self.streams, compiled=True)
        return {name: partial(self._rate, name, call) for name, call in calls.items()}

    def _rate(self, name: str, call: Callable[[], tuple[Any, Rates]]) -> float:
        rates = call()[1]
        self.decode.setdefault(name, []).append(rates.decode)
        return rates.whole


PAIRS = [
    ("together", "one"),
    ("one a step", "one"),
    ("together", "one call for one"),
    ("together", "one call for all"),
    ("one a step", "one call for all"),
    ("together", "one compiled call for all"),
]


def ratios(rows: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Every ratio that the rates allow."""
    return {
        f"{one} / {other}": ratio(rows, one, other)
        for one, other in PAIRS
        if one in rows and other in rows
    }


def run(shape: Shape, parts: list[str], save: Path | None, now: Now) -> dict[str, Any]:
    """All measures asked for, saved after every round."""
    device.set_threads(shape.threads)
    result: dict[str, Any] = {
        "shape": asdict(shape),
        "clock": getattr(now, "__name__", ""),
        "environment": device.environment(),
        "parts": {},
    }
    measured: dict[str, Verse | ConfigurationS] = {}
    if "verse" in parts:
        measured["verse"] = Verse(shape.streams, now)
    if "s" in parts:
        measured["configuration S"] = ConfigurationS(shape, now)
    for one in measured.values():
        one.check()
    runners = {name: one.runners() for name, one in measured.items()}
    for turn in range(shape.rounds):
        for name, one in measured.items():
            row = result["parts"].setdefault(name, {"tokens_per_s": {}})
            race(runners[name], row["tokens_per_s"], turn)
            row["ratios"] = ratios(row["tokens_per_s"])
            row["first_token"] = one.clock.summary
            if isinstance(one, ConfigurationS):
                row["decode_tokens_per_s"] = one.decode
                row["decode_ratios"] = ratios(one.decode)
        if save:
            save.write_text(json.dumps(result, indent=2))
    return result


def report(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    shape = result["shape"]
    lines = [
        f"{shape['streams']} streams, {shape['threads']} threads, {shape['rounds']} rounds, "
        f"{result['clock']}"
    ]
    for name, part in result["parts"].items():
        for kind in ("", "decode_"):
            title = f"{name}, decode" if kind else name
            for who, found in part.get(f"{kind}tokens_per_s", {}).items():
                rate = f"{statistics.median(found):.0f} ±{spread(found) / 2:.0%}"
                lines.append(f"{title}, {who:<40} {rate} tokens/s")
            for pair, value in part.get(f"{kind}ratios", {}).items():
                rate = f"{value['median']:.2f} ±{value['spread'] / 2:.0%}"
                lines.append(f"{title}, {pair:<40} {rate}")
        first = part["first_token"]
        lines.append(
            f"{name}, first token of streams that arrive together: {first['first_s'] * 1e3:.0f} ms "
            f"the first, {first['median_s'] * 1e3:.0f} the middle, {first['last_s'] * 1e3:.0f} the "
            "last"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--save", type=Path, help="write the results here after every round")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure")
    parser.add_argument("--processor-time", action="store_true", help="not by the wall's clock")
    for one in fields(Shape):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=int, default=one.default)
    arguments = vars(parser.parse_args())
    as_json, save = arguments.pop("json"), arguments.pop("save")
    parts = arguments.pop("parts").split(",")
    now = time.process_time if arguments.pop("processor_time") else time.perf_counter
    result = run(Shape(**arguments), parts, save, now)
    print(json.dumps(result, indent=2) if as_json else report(result))


if __name__ == "__main__":
    main()
