"""Drawing tokens from our own bundles beside transformers' `generate` with the same weights, as
ratios.

    python benchmarks/sampling.py [--bundles chorale,verse] [--rounds 5] [--threads 1] [--json]

The weights go to transformers by our own export. Both draw from the whole distribution, without a
constraint and without an end: 300 tokens of `chorale` (a piece of half a minute), 48 of `verse` (a
poem), after a prompt of 8, in batches of 1 and 16. Before anything is timed the logits of a text
read at once must agree within 1e-4; read token by token, every way that tokens are drawn here must
be within 1e-4 of float64's, or as near to them as theirs are:

plain         modules call modules
direct        a few operations in the order of memory (the way of both in the program)
compiled      numba's, where it is installed; the program leaves it alone for models as small as
              these, since a process takes longer to load it than one piece takes to draw
transformers  `generate` with do_sample, by its own default attention

The program draws with one thread, and so do both here; --threads says otherwise for both. Rounds
are interleaved, who goes first changes. Medians with half the spread; a ratio whose spread exceeds
its margin says nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rounds import Rate, race, ratio, spread
from wenfang import device
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import read_bundle
from wenfang.interop.exporting import write_folder
from wenfang.models import gpt
from wenfang.models.decode.direct import direct_decoder
from wenfang.models.load import load
from wenfang.samplers.tokens import CachedPredict, Predict, Sampling, sample

LARGEST_DIFFERENCE = 1e-4
BATCHES, PROMPT, CHECKED = (1, 16), 8, 24
NEW_TOKENS = {"chorale": 300, "verse": 48}
Maker = Callable[[gpt.GPT, int, int], Predict]


def direct(model: gpt.GPT, rows: int, capacity: int) -> Predict:
    """The direct way, which both bundles can go."""
    found = direct_decoder(model, rows, capacity)
    assert found is not None
    return found


def compiled(model: gpt.GPT, rows: int, capacity: int) -> Predict:
    """The compiled way, whatever the model's size."""
    from wenfang.models.decode.compiled import CompiledPredict

    return CompiledPredict(model, rows, capacity, "float32")


WAYS: dict[str, Maker] = {"plain": CachedPredict, "direct": direct}
if find_spec("numba"):
    WAYS["compiled"] = compiled


def pair(name: str) -> tuple[gpt.GPT, Any]:
    """A bundle here and, by its export, in transformers."""
    from transformers import AutoModelForCausalLM

    folder = find_bundle(name)
    model = load(folder).model
    assert isinstance(model, gpt.GPT)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = write_folder(read_bundle(folder), Path(place) / name)
        other = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
    # Nothing that shapes or ends a text, and so no step of theirs that would cost time.
    settings = other.generation_config
    settings.eos_token_id = settings.max_length = settings.top_k = None
    return model.eval(), other


def prompt(model: gpt.GPT, rows: int, length: int = PROMPT) -> Tensor:
    """Random tokens (rows, length), the same for all."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(2, model.config.vocabulary_size, (rows, length), generator=generator)


@torch.no_grad()
def check(model: gpt.GPT, other: Any) -> dict[str, float]:
    """Largest difference from transformers' logits, read at once, and of logits read token by token
    from float64's; an assertion if one is too large.
    """
    tokens = prompt(model, BATCHES[-1], CHECKED)
    found = {"at once": float((model(tokens) - other(tokens).logits).abs().max())}
    assert found["at once"] < LARGEST_DIFFERENCE, found
    exact = copy.deepcopy(model).double()(tokens)[:, PROMPT - 1 :]
    ways: dict[str, Predict] = {"transformers": Stepping(other)}
    ways |= {name: make(model, len(tokens), CHECKED) for name, make in WAYS.items()}
    for name, predict in ways.items():
        found[name] = float((_step_by_step(predict, tokens) - exact).abs().max())
        assert found[name] <= max(LARGEST_DIFFERENCE, found["transformers"]), found
    return found


class Stepping:
    """transformers' logits of the last token, with its own cache."""

    def __init__(self, model: Any) -> None:
        self._model, self._cache = model, None

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) that follow what was given before -> (B, V)."""
        out = self._model(tokens, past_key_values=self._cache, use_cache=True)
        self._cache = out.past_key_values
        logits: Tensor = out.logits[:, -1]
        return logits


def _step_by_step(predict: Predict, tokens: Tensor) -> Tensor:
    logits = [predict(tokens[:, :PROMPT])]
    logits += [predict(tokens[:, at : at + 1]) for at in range(PROMPT, CHECKED)]
    return torch.stack(logits, dim=1)


def ours(make: Maker, model: gpt.GPT, tokens: Tensor, count: int) -> float:
    """Tokens a second, the prompt's reading included."""
    rows = len(tokens)
    started = time.perf_counter()
    found = sample(
        make(model, rows, PROMPT + count),
        tokens,
        [device.noise(0, row) for row in range(rows)],
        Sampling(maximum_tokens=count),
    )
    took = time.perf_counter() - started
    assert all(len(one.tokens) == count for one in found)
    return rows * count / took


@torch.no_grad()
def theirs(model: Any, tokens: Tensor, count: int) -> float:
    """The same of transformers."""
    mask = torch.ones_like(tokens)
    started = time.perf_counter()
    out = model.generate(tokens, attention_mask=mask, max_new_tokens=count, do_sample=True)
    took = time.perf_counter() - started
    assert out.shape[1] == tokens.shape[1] + count
    return len(tokens) * count / took


def run(bundles: list[str], rounds: int, threads: int) -> dict[str, Any]:
    """All that is asked for, in interleaved rounds after one that is thrown away."""
    device.set_threads(threads)
    result: dict[str, Any] = {
        "environment": device.environment(),
        "threads": threads,
        "rounds": rounds,
        "load_average": os.getloadavg()[0],
        "logits_differ_by": {},
        "tokens_per_s": {},
    }
    runners: dict[str, dict[str, Rate]] = {}
    for name in bundles:
        model, other = pair(name)
        result["logits_differ_by"][name] = check(model, other)
        count = NEW_TOKENS[name]
        for batch in BATCHES:
            tokens = prompt(model, batch)
            row: dict[str, Rate] = {
                way: partial(ours, make, model, tokens, count) for way, make in WAYS.items()
            }
            row["transformers"] = partial(theirs, other, tokens, count)
            runners[f"{name}, batch {batch}"] = row
            for rate in row.values():
                rate()
    for turn in range(rounds):
        for name, row in runners.items():
            race(row, result["tokens_per_s"].setdefault(name, {}), turn)
    result["ratios"] = {
        f"{name}: {way} / transformers": ratio(rows, way, "transformers")
        for name, rows in result["tokens_per_s"].items()
        for way in WAYS
    }
    return result


def report(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    lines = [
        f"float32, {result['threads']} threads, {result['rounds']} rounds; load of the machine "
        f"before: {result['load_average']:.1f}"
    ]
    for name, found in result["logits_differ_by"].items():
        cells = ", ".join(f"{way} {value:.1e}" for way, value in found.items() if way != "at once")
        lines.append(f"{name}: logits are {found['at once']:.1e} from transformers'; from "
                     f"float64's, token by token: {cells}")  # fmt: skip
    for name, rows in result["tokens_per_s"].items():
        cells = ", ".join(
            f"{who} {statistics.median(found):.0f} ±{spread(found) / 2:.0%}"
            for who, found in rows.items()
        )
        lines.append(f"{name}, tokens/s: {cells}")
    for name, value in result["ratios"].items():
        lines.append(f"{name:<45} {value['median']:.2f} ±{value['spread'] / 2:.0%}")
    return "\n".join(lines)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=" ".join((__doc__ or "").split("\n\n")[0].split()))
    parser.add_argument("--bundles", default=",".join(NEW_TOKENS), help="which, of these two")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=device.DRAWING_THREADS)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    asked = parser.parse_args()
    result = run(asked.bundles.split(","), asked.rounds, asked.threads)
    print(json.dumps(result, indent=2) if asked.json else report(result))


if __name__ == "__main__":
    main()
