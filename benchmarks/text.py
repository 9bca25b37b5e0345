"""Language models side by side: decoding, 8 bits, training and cold start, as ratios.

    python benchmarks/text.py [--rounds 5] [--threads 2] [--parts decode,int8,train,cold]
                              [--save FILE] [--json] [--data FOLDER] [--width 512] …

Configuration S: 8 layers of width 512, hidden width 1408, 8 heads, 16,384 tokens, tied head; the
prompt has 64 tokens, 120 are drawn greedily and timed without the prompt. Peers: transformers'
`generate`, llama.cpp in float32 where xllamacpp is installed, and for training transformers with
torch's AdamW. Same weights, float32, same threads. Before anything is timed, logits must agree
within 1e-4 and greedy tokens must be equal. Rounds are interleaved, who goes first changes, and
--save keeps the results after each. Medians are given with the spread (largest minus smallest, of
the median): a ratio whose spread exceeds its margin says nothing. No C++ compiler is used: what is
found of one is printed, and `PATH=/nowhere PYTHON benchmarks/text.py` shows the same without. With
--data (or WENFANG_DATA) the perplexity of 8 bits is measured on held-out poems too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import llama_cpp
from rounds import Rate, race, ratio, spread
from wenfang import device, optim
from wenfang.backends.shelf import find_bundle
from wenfang.data.batches import Examples
from wenfang.data.layouts import VERSE
from wenfang.device import kept_memory
from wenfang.models import gpt
from wenfang.models.decode import decoding_path, fast_decoder
from wenfang.models.int8 import rounded
from wenfang.models.load import load
from wenfang.models.products import fast_products
from wenfang.objectives.next_token import NextToken, score
from wenfang.recipes.train import find_dataset
from wenfang.samplers.tokens import CachedPredict, Predict, Sampling, sample
from wenfang.tokenizer import Tokenizer

LARGEST_DIFFERENCE = 1e-4
DECODE_BATCHES = (1, 16)
PARTS = ("decode", "int8", "train", "cold")
HELD_OUT_POEMS = 1500
TRAINING_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is measured: the model, the prompt, the tokens drawn, the training batch."""

    width: int = 512
    layers: int = 8
    heads: int = 8
    hidden_width: int = 1408
    vocabulary_size: int = 16384
    prompt: int = 64
    new_tokens: int = 120
    train_batch: int = 8
    train_time: int = 256
    threads: int = 2
    rounds: int = 5


def build(shape: Shape) -> tuple[gpt.GPT, Any]:
    """Our model and transformers' with the same random weights."""
    config = gpt.Config(
        vocabulary_size=shape.vocabulary_size,
        width=shape.width,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.heads,
        hidden_width=shape.hidden_width,
        context=max(shape.prompt + shape.new_tokens, shape.train_time),
        zero_init_outputs=False,
    )
    ours = gpt.GPT(config)
    ours.initialise(torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import LlamaConfig, LlamaForCausalLM

        theirs = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=config.vocabulary_size,
                hidden_size=config.width,
                intermediate_size=config.hidden_width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                num_key_value_heads=config.kv_heads,
                max_position_embeddings=config.context,
                rms_norm_eps=config.norm_epsilon,
                rope_parameters={"rope_type": "default", "rope_theta": config.rotary_base},
                tie_word_embeddings=True,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=None,
            )
        )
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours.eval(), theirs.eval()


def prompt(shape: Shape, batch: int) -> Tensor:
    """Random tokens (batch, shape.prompt), the same for all."""
    generator = torch.Generator().manual_seed(1)
    size = (batch, shape.prompt)
    return torch.randint(llama_cpp.FIRST_WORD, shape.vocabulary_size, size, generator=generator)


def ours(model: gpt.GPT, tokens: Tensor, count: int, kind: str) -> tuple[Tensor, float]:
    """Greedy tokens (B, count) by our sampler, and tokens a second after the first.

    kind  plain, float32 or int8
    """
    rows, capacity = len(tokens), tokens.shape[1] + count
    predict: Predict | None = None
    if kind == "plain":
        predict = CachedPredict(model, rows, capacity)
    else:
        predict = fast_decoder(
            model, rows, capacity, precision="int8" if kind == "int8" else "float32"
        )
    assert predict is not None, decoding_path(model).reason
    clock: list[float] = []

    def note(row: int, _: Sequence[int]) -> bool:
        if row == 0:
            clock.append(time.perf_counter())
        return False

    drawn = sample(
        predict,
        tokens,
        [device.noise(0, row) for row in range(rows)],
        Sampling(temperature=0, maximum_tokens=count),
        watch=note,
    )
    rate = rows * (count - 1) / (clock[-1] - clock[0])
    return torch.tensor([one.tokens for one in drawn]), rate


@torch.no_grad()
def theirs(model: Any, tokens: Tensor, count: int) -> tuple[Tensor, float]:
    """The same of transformers' `generate`, which asks a criterion after every token."""
    clock: list[float] = []

    def note(ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        clock.append(time.perf_counter())
        return torch.zeros(len(ids), dtype=torch.bool)

    out: Tensor = model.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=count,
        min_new_tokens=count,
        do_sample=False,
        stopping_criteria=[note],
    )
    rate = len(tokens) * (count - 1) / (clock[-1] - clock[0])
    return out[:, tokens.shape[1] :], rate


def check_decoding(model: gpt.GPT, other: Any, llama: Any, shape: Shape) -> dict[str, float]:
    """Largest differences of logits; an assertion if they or the greedy tokens differ."""
    tokens, count = prompt(shape, DECODE_BATCHES[-1]), shape.new_tokens
    with torch.no_grad():
        logits = model(tokens)
        found = {"transformers": float((logits - other(tokens).logits).abs().max())}
        fast = fast_decoder(model, len(tokens), shape.prompt + 1)
        assert fast is not None, decoding_path(model).reason
        fast(tokens[:, :-1])
        found["compiled"] = float((fast(tokens[:, -1:]) - logits[:, -1]).abs().max())
    assert max(found.values()) < LARGEST_DIFFERENCE, found
    expected = theirs(other, tokens, count)[0]
    for kind in ("plain", "float32"):
        assert torch.equal(ours(model, tokens, count, kind)[0], expected), kind
    assert torch.equal(ours(model, tokens[:1], count, "float32")[0], expected[:1])
    if llama:
        words = [token for token in expected[0].tolist() if token >= llama_cpp.FIRST_WORD]
        assert llama.decode(tokens[0], count)[0] == words, "llama.cpp draws other tokens"
    return found


def decoders(model: gpt.GPT, other: Any, llama: Any, shape: Shape) -> dict[str, dict[str, Rate]]:
    """Who decodes, by batch: tokens a second."""
    found: dict[str, dict[str, Rate]] = {}
    for batch in DECODE_BATCHES:
        tokens, count = prompt(shape, batch), shape.new_tokens
        row: dict[str, Rate] = {
            kind: partial(_rate, ours, model, tokens, count, kind)
            for kind in ("float32", "plain", "int8")
        }
        row["transformers"] = partial(_rate, theirs, other, tokens, count)
        if llama and batch == 1:
            row["llama.cpp"] = partial(_rate, llama.decode, tokens[0], count)
        found[f"decode, batch {batch}"] = row
    return found


def _rate(decode: Callable[..., tuple[Any, float]], *given: Any) -> float:
    return decode(*given)[1]


class OurTraining:
    """A loss, its gradient and one update, as the trainer does them."""

    def __init__(self, model: gpt.GPT, tokens: Tensor) -> None:
        self.model = model
        self.batch = {"tokens": tokens, "weight": torch.ones(len(tokens), tokens.shape[1] - 1)}
        config = optim.OptimConfig(kind="adamw", lr=1e-6)
        self.optimizers = optim.build(model.named_parameters(), config)
        self.count = len(tokens) * (tokens.shape[1] - 1)
        self.losses: list[float] = []

    def __call__(self) -> float:
        """Tokens a second of some steps."""
        self.model.train()
        with fast_products(), kept_memory():
            rate = self.count / seconds_a_step(self._step)
        self.model.eval()
        return rate

    def _step(self) -> None:
        self.model.zero_grad(set_to_none=True)
        loss = NextToken()(self.model, self.batch, torch.Generator()).value
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()
        self.losses.append(float(loss.detach()))


class TheirTraining:
    """The same by transformers and torch's AdamW."""

    def __init__(self, model: Any, tokens: Tensor) -> None:
        self.model, self.tokens = model, tokens
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.0)
        self.count = len(tokens) * (tokens.shape[1] - 1)
        self.losses: list[float] = []

    def __call__(self) -> float:
        """Tokens a second of some steps."""
        self.model.train()
        rate = self.count / seconds_a_step(self._step)
        self.model.eval()
        return rate

    def _step(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.model(self.tokens[:, :-1], use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), self.tokens[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.losses.append(float(loss.detach()))


class TheirKeptTraining(TheirTraining):
    """Theirs again, with the memory kept that they give back: what the loop alone is worth."""

    def __call__(self) -> float:
        """Tokens a second of some steps."""
        with kept_memory():
            return super().__call__()


def seconds_a_step(step: Callable[[], None]) -> float:
    """Mean of TRAINING_STEPS, after one that is not counted: the first fetches its memory."""
    step()
    started = time.perf_counter()
    for _ in range(TRAINING_STEPS):
        step()
    return (time.perf_counter() - started) / TRAINING_STEPS


def trainers(shape: Shape) -> dict[str, dict[str, Rate]]:
    """Who trains: tokens a second. Both models are fresh and of equal weights."""
    model, other = build(shape)
    generator = torch.Generator().manual_seed(2)
    size = (shape.train_batch, shape.train_time + 1)
    tokens = torch.randint(2, shape.vocabulary_size, size, generator=generator)
    mine, theirs = OurTraining(model, tokens), TheirTraining(other, tokens)
    kept = TheirKeptTraining(other, tokens)
    mine(), theirs()
    for own, foreign in zip(mine.losses, theirs.losses, strict=True):
        assert math.isclose(own, foreign, rel_tol=1e-4), (mine.losses, theirs.losses)
    return {"training": {"ours": mine, "transformers": theirs, "transformers, memory kept": kept}}


COLD = """
import time
started = time.perf_counter()
import wenfang
from wenfang.backends.shelf import find_bundle
from wenfang.models.load import load
loaded = load(find_bundle("verse"))
import torch
from wenfang.samplers.tokens import CachedPredict
predict = CachedPredict(loaded.model, 1, 4)
token = predict(torch.tensor([[2]])).argmax()
token = predict(token[None, None]).argmax()
print(time.perf_counter() - started)
"""
COLD_TORCH = """
import time
started = time.perf_counter()
import torch
print(time.perf_counter() - started)
"""


def seconds_of(program: str) -> float:
    """What a fresh Python prints."""
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(out.stdout)


def cold(shape: Shape) -> dict[str, Any]:
    """Seconds from nothing to the first tokens of `verse`, beside those of `import torch`."""
    rows: dict[str, list[float]] = {"wenfang": [], "torch": []}
    for turn in range(shape.rounds + 1):
        pair = (seconds_of(COLD), seconds_of(COLD_TORCH))
        if turn:  # the first reads files that are not in memory yet
            rows["wenfang"].append(pair[0])
            rows["torch"].append(pair[1])
    over = [a - b for a, b in zip(rows["wenfang"], rows["torch"], strict=True)]
    return {"seconds": rows, "over_torch_s": statistics.median(over)}


def perplexities(data: Path | None) -> dict[str, dict[str, float]]:
    """Perplexity of the bundle `verse`, float32 and 8 bits, on poems that it was not trained on.

    Also on poems that it draws itself, for which no data is needed: all its tokens count there,
    and text that it is sure of shows rounding soonest. On held-out poems the Han characters count.
    """
    loaded = load(find_bundle("verse"))
    model = loaded.model
    assert isinstance(model, gpt.GPT)
    assert loaded.tokenizer is not None
    every = np.ones(model.config.vocabulary_size, dtype=bool)
    texts = {"its own draws": (own_draws(model), every)}
    if data is not None:
        counted = VERSE.scored(loaded.tokenizer)
        texts["held-out poems"] = held_out_poems(loaded.tokenizer, data), counted
    found = {}
    for name, (rows, counted) in texts.items():
        of = {}
        for kind, network in (("float32", model), ("int8", rounded(model))):
            nats, counts = score(network, rows, counted)
            of[kind] = math.exp(nats.sum() / counts.sum())
        found[name] = of | {"ratio": of["int8"] / of["float32"]}
    return found


def own_draws(model: gpt.GPT) -> list[tuple[np.ndarray, int]]:
    """Poems of a model, from nothing but the mark that begins one."""
    rows, size = 128, model.config.context
    predict = CachedPredict(model, rows, size)
    streams = [device.noise(11, row) for row in range(rows)]
    opening = torch.full((rows, 1), 2)
    drawn = sample(predict, opening, streams, Sampling(maximum_tokens=size - 2))
    return [(torch.tensor([2, *one.tokens]).numpy(), 1) for one in drawn]


def held_out_poems(tokenizer: Tokenizer, data: Path) -> list[tuple[np.ndarray, int]]:
    """The first poems of the validation part of what `verse` learned from."""
    with tempfile.TemporaryDirectory() as folder:
        records = find_dataset("chinese_poetry", data, Path(folder)).records("valid")
        parts = [VERSE.parts(record, tokenizer) for record in islice(records, HELD_OUT_POEMS)]
    examples = Examples.build(parts)
    return [examples.sequence(row, conditioned=False) for row in range(len(examples))]


@contextmanager
def llama_of(model: gpt.GPT, shape: Shape) -> Iterator[Any]:
    """The model in llama.cpp, or None where that is not installed."""
    if llama_cpp.missing():
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        llama_cpp.write_gguf(model, path)
        yield llama_cpp.LlamaCpp(path, shape.threads, model.config.context)


PAIRS = {
    "decode": [("float32", "transformers"), ("float32", "llama.cpp"), ("float32", "plain"),
               ("plain", "transformers"), ("int8", "float32")],
    "training": [("ours", "transformers"), ("ours", "transformers, memory kept")],
}  # fmt: skip


def ratios(rates: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    """Every ratio that the rates allow."""
    found = {}
    for name, rows in rates.items():
        for one, other in PAIRS[name.split(",")[0]]:
            if one in rows and other in rows:
                found[f"{name}: {one} / {other}"] = ratio(rows, one, other)
    return found


def run(shape: Shape, parts: list[str], save: Path | None, data: Path | None) -> dict[str, Any]:
    """All measures asked for, saved after every round."""
    device.set_threads(shape.threads)
    compilers = [name for name in ("c++", "g++", "clang++") if shutil.which(name)]
    result: dict[str, Any] = {
        "shape": asdict(shape),
        "environment": device.environment(),
        "compiler_on_this_machine": compilers,
        "llama.cpp": llama_cpp.missing() or "here",
        "tokens_per_s": {},
    }
    model, other = build(shape)
    with llama_of(model, shape) as llama:
        runners: dict[str, dict[str, Rate]] = {}
        if "decode" in parts:
            started = time.perf_counter()
            for precision in ("float32", "int8"):
                ours(model, prompt(shape, 1), 2, precision)
            result["compile_s"] = time.perf_counter() - started
            result["logits_differ_by"] = check_decoding(model, other, llama, shape)
            runners |= decoders(model, other, llama, shape)
        if "train" in parts:
            runners |= trainers(shape)
        for turn in range(shape.rounds):
            for name, row in runners.items():
                race(row, result["tokens_per_s"].setdefault(name, {}), turn)
            result["ratios"] = ratios(result["tokens_per_s"])
            if save:
                save.write_text(json.dumps(result, indent=2))
    result |= {"perplexity_of_verse": perplexities(data)} if "int8" in parts else {}
    result |= {"cold_start": cold(shape)} if "cold" in parts else {}
    if save:
        save.write_text(json.dumps(result, indent=2))
    return result


def report(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    compilers = ", ".join(result["compiler_on_this_machine"]) or "none"
    lines = [
        f"float32, {result['shape']['threads']} threads, {result['shape']['rounds']} rounds; "
        f"C++ compiler here: {compilers} (not used); llama.cpp: {result['llama.cpp']}"
    ]
    if "compile_s" in result:
        differ = ", ".join(f"{k} {v:.1e}" for k, v in result["logits_differ_by"].items())
        lines.append(f"compiled in {result['compile_s']:.1f} s; logits differ by {differ}")
    for name, rows in result["tokens_per_s"].items():
        cells = [
            f"{who} {statistics.median(found):.0f} ±{spread(found) / 2:.0%}"
            for who, found in rows.items()
        ]
        lines.append(f"{name}, tokens/s: " + ", ".join(cells))
    for name, value in result.get("ratios", {}).items():
        lines.append(f"{name:<50} {value['median']:.2f} ±{value['spread'] / 2:.0%}")
    if "perplexity_of_verse" in result:
        for name, found in result["perplexity_of_verse"].items():
            lines.append(
                f"perplexity of verse, {name}: float32 {found['float32']:.3f}, "
                f"int8 {found['int8']:.3f}, {found['ratio'] - 1:+.2%}"
            )
    if "cold_start" in result:
        found = result["cold_start"]
        middle = {who: statistics.median(rows) for who, rows in found["seconds"].items()}
        lines.append(
            f"cold start: first tokens {middle['wenfang']:.2f} s, import torch "
            f"{middle['torch']:.2f} s, {found['over_torch_s']:+.2f} s"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--save", type=Path, help="write the results here after every round")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure")
    root = os.environ.get("WENFANG_DATA")
    parser.add_argument("--data", type=Path, default=Path(root) if root else None)
    for field in fields(Shape):
        name = f"--{field.name.replace('_', '-')}"
        parser.add_argument(name, type=int, default=field.default)
    arguments = vars(parser.parse_args())
    as_json, save = arguments.pop("json"), arguments.pop("save")
    data = arguments.pop("data")
    parts = arguments.pop("parts").split(",")
    result = run(Shape(**arguments), parts, save, data)
    print(json.dumps(result, indent=2) if as_json else report(result))


if __name__ == "__main__":
    main()
