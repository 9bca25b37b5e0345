"""Our GPT beside transformers' LlamaForCausalLM: decode and training, tokens a second.

    python benchmarks/speed.py [--json] [--rounds 5] [--threads 2] [--width 256] …

Same weights, float32, same threads. Before anything is timed, both must give the same greedy
tokens and logits within 1e-4. Rounds are interleaved, so that a change of the machine's load
meets both; medians are given with the spread (largest minus smallest, of the median).
Prefill is timed apart from decode. A ratio whose spread exceeds its margin says nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from wenfang import device
from wenfang.models import gpt
from wenfang.objectives.next_token import NextToken
from wenfang.samplers.tokens import CachedPredict, Sampling, sample

LARGEST_DIFFERENCE = 1e-4
DECODE_BATCHES = (1, 16)
PREFILL_REPEATS = 3

Measure = Callable[[], float]
Decode = Callable[[Any, Tensor, int], tuple[Tensor, float, float]]
Generate = Callable[[Any, Tensor, int], tuple[Tensor, float]]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is measured: the model, the prompt, the tokens drawn, the training batch."""

    width: int = 256
    layers: int = 6
    heads: int = 8
    kv_heads: int = 8
    hidden_width: int = 704
    vocabulary_size: int = 4096
    prompt: int = 64
    new_tokens: int = 48
    train_batch: int = 8
    train_time: int = 128
    threads: int = 2
    rounds: int = 5


def build(shape: Shape) -> tuple[gpt.GPT, Any]:
    """Both models with the same random weights."""
    config = gpt.Config(
        vocabulary_size=shape.vocabulary_size,
        width=shape.width,
        layers=shape.layers,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        hidden_width=shape.hidden_width,
        context=max(shape.prompt + shape.new_tokens + 1, shape.train_time),
        tied_head=True,
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
    """Random tokens (batch, shape.prompt), the same for both."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(2, shape.vocabulary_size, (batch, shape.prompt), generator=generator)


@torch.no_grad()
def decode_ours(model: gpt.GPT, tokens: Tensor, count: int) -> tuple[Tensor, float, float]:
    """Greedy tokens (B, count), seconds of prefill, seconds of the `count` - 1 further tokens."""
    started = time.perf_counter()
    predict = CachedPredict(model, len(tokens), tokens.shape[1] + count)
    drawn = [predict(tokens).argmax(-1, keepdim=True)]
    filled = time.perf_counter()
    for _ in range(count - 1):
        drawn.append(predict(drawn[-1]).argmax(-1, keepdim=True))
    return torch.cat(drawn, dim=1), filled - started, time.perf_counter() - filled


@torch.no_grad()
def decode_theirs(model: Any, tokens: Tensor, count: int) -> tuple[Tensor, float, float]:
    """The same through transformers' own cache, one forward a token, without generate's checks."""
    started = time.perf_counter()
    out = model(tokens, use_cache=True, logits_to_keep=1)
    drawn = [out.logits[:, -1].argmax(-1, keepdim=True)]
    filled = time.perf_counter()
    for _ in range(count - 1):
        out = model(drawn[-1], past_key_values=out.past_key_values, use_cache=True)
        drawn.append(out.logits[:, -1].argmax(-1, keepdim=True))
    return torch.cat(drawn, dim=1), filled - started, time.perf_counter() - filled


def generate_ours(model: gpt.GPT, tokens: Tensor, count: int) -> tuple[Tensor, float]:
    """Tokens (B, count) of our sampler at temperature 0, and seconds, prefill included."""
    started = time.perf_counter()
    predict = CachedPredict(model, len(tokens), tokens.shape[1] + count)
    streams = [device.noise(0, row) for row in range(len(tokens))]
    drawn = sample(predict, tokens, streams, Sampling(temperature=0, maximum_tokens=count))
    return torch.tensor([one.tokens for one in drawn]), time.perf_counter() - started


@torch.no_grad()
def generate_theirs(model: Any, tokens: Tensor, count: int) -> tuple[Tensor, float]:
    """The same of transformers' `generate`."""
    started = time.perf_counter()
    mask = torch.ones_like(tokens)
    out: Tensor = model.generate(
        tokens, attention_mask=mask, max_new_tokens=count, min_new_tokens=count, do_sample=False
    )
    return out[:, tokens.shape[1] :], time.perf_counter() - started


def check_equal(ours: gpt.GPT, theirs: Any, shape: Shape) -> float:
    """The largest difference of logits; an assertion if they or the greedy tokens differ."""
    tokens = prompt(shape, 4)
    with torch.no_grad():
        difference = float((ours(tokens) - theirs(tokens).logits).abs().max())
    assert difference < LARGEST_DIFFERENCE, f"logits differ by {difference}"
    expected = generate_theirs(theirs, tokens, shape.new_tokens)[0]
    for found in (
        decode_ours(ours, tokens, shape.new_tokens)[0],
        decode_theirs(theirs, tokens, shape.new_tokens)[0],
        generate_ours(ours, tokens, shape.new_tokens)[0],
    ):
        assert torch.equal(found, expected), "greedy tokens differ"
    return difference


def train_ours(model: gpt.GPT, tokens: Tensor) -> float:
    """Seconds of one loss and its gradient."""
    batch = {"tokens": tokens, "weight": torch.ones(len(tokens), tokens.shape[1] - 1)}
    started = time.perf_counter()
    model.zero_grad(set_to_none=True)
    NextToken()(model, batch, torch.Generator()).value.backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - started


def train_theirs(model: Any, tokens: Tensor) -> float:
    """Seconds of one loss and its gradient."""
    started = time.perf_counter()
    model.zero_grad(set_to_none=True)
    logits = model(tokens[:, :-1], use_cache=False).logits
    functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - started


def decode_rate(decode: Decode, model: Any, tokens: Tensor, count: int) -> float:
    """Tokens a second after the first, which belongs to prefill."""
    return len(tokens) * (count - 1) / decode(model, tokens, count)[2]


def prefill_rate(decode: Decode, model: Any, tokens: Tensor) -> float:
    """Prompt tokens a second, until the first new token."""
    seconds = sum(decode(model, tokens, 1)[1] for _ in range(PREFILL_REPEATS))
    return PREFILL_REPEATS * tokens.numel() / seconds


def generate_rate(generate: Generate, model: Any, tokens: Tensor, count: int) -> float:
    """New tokens a second of what users call, prefill included."""
    return len(tokens) * count / generate(model, tokens, count)[1]


def train_rate(step: Callable[[Any, Tensor], float], model: Any, tokens: Tensor) -> float:
    """Predicted tokens a second, forward and backward."""
    return len(tokens) * (tokens.shape[1] - 1) / step(model, tokens)


def measures(ours: gpt.GPT, theirs: Any, shape: Shape) -> dict[str, tuple[Measure, Measure]]:
    """What is timed, as tokens a second of (ours, theirs)."""
    found: dict[str, tuple[Measure, Measure]] = {}
    count = shape.new_tokens
    for batch in DECODE_BATCHES:
        tokens = prompt(shape, batch)
        found[f"decode_batch_{batch}"] = (
            partial(decode_rate, decode_ours, ours, tokens, count),
            partial(decode_rate, decode_theirs, theirs, tokens, count),
        )
        found[f"prefill_batch_{batch}"] = (
            partial(prefill_rate, decode_ours, ours, tokens),
            partial(prefill_rate, decode_theirs, theirs, tokens),
        )
        found[f"generate_batch_{batch}"] = (
            partial(generate_rate, generate_ours, ours, tokens, count),
            partial(generate_rate, generate_theirs, theirs, tokens, count),
        )
    generator = torch.Generator().manual_seed(2)
    size = (shape.train_batch, shape.train_time + 1)
    text = torch.randint(2, shape.vocabulary_size, size, generator=generator)
    found["train"] = (
        partial(train_rate, train_ours, ours, text),
        partial(train_rate, train_theirs, theirs, text),
    )
    return found


def run(shape: Shape) -> dict[str, Any]:
    """All measures, in interleaved rounds after one that is thrown away."""
    device.set_threads(shape.threads)
    ours, theirs = build(shape)
    difference = check_equal(ours, theirs, shape)
    timed = measures(ours, theirs, shape)
    results: dict[str, dict[str, list[float]]] = {
        name: {"ours": [], "transformers": []} for name in timed
    }
    for turn in range(shape.rounds + 1):
        for name, pair in timed.items():
            # Who goes first changes with the round.
            order = [("ours", pair[0]), ("transformers", pair[1])]
            for who, measure in order if turn % 2 else reversed(order):
                value = measure()
                if turn:
                    results[name][who].append(value)
    return {
        "shape": asdict(shape),
        "parameters": sum(parameter.numel() for parameter in ours.parameters()),
        "environment": device.environment(),
        "largest_logit_difference": difference,
        "tokens_per_s": {name: summary(values) for name, values in results.items()},
    }


def summary(values: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, spreads, and the ratio by round."""
    ratios = [a / b for a, b in zip(values["ours"], values["transformers"], strict=True)]
    return {
        who: {"median": statistics.median(rows), "spread": spread(rows), "rounds": rows}
        for who, rows in values.items()
    } | {"ratio": statistics.median(ratios), "ratio_spread": spread(ratios)}


def spread(rows: list[float]) -> float:
    """Largest minus smallest, as a share of the median."""
    return (max(rows) - min(rows)) / statistics.median(rows)


def report(result: dict[str, Any]) -> str:
    """The result as a table."""
    shape = result["shape"]
    lines = [
        f"{result['parameters'] / 1e6:.1f} M parameters, float32, {shape['threads']} threads, "
        f"{shape['rounds']} rounds; logits differ by {result['largest_logit_difference']:.1e}",
        f"{'tokens/s':<20}{'ours':>16}{'transformers':>18}{'ratio':>14}",
    ]
    for name, row in result["tokens_per_s"].items():
        cells = [
            f"{row[who]['median']:.0f} ±{row[who]['spread'] / 2:.0%}"
            for who in ("ours", "transformers")
        ]
        ratio = f"{row['ratio']:.2f} ±{row['ratio_spread'] / 2:.0%}"
        lines.append(f"{name:<20}{cells[0]:>16}{cells[1]:>18}{ratio:>14}")
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    for name, value in asdict(Shape()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    arguments = vars(parser.parse_args())
    as_json = arguments.pop("json")
    result = run(Shape(**arguments))
    print(json.dumps(result, indent=2) if as_json else report(result))


if __name__ == "__main__":
    main()
