"""Does contrasting measure better? Three ways to write copy without being held to its facts.

    WENFANG_DATA=... python benchmarks/contrast.py [--part dev] [--bundle copywriter] [--json]

Each way writes the inputs of one part of the E2E set; BLEU is against all human references and the
slot error is that of wenfang.checks.facts. Plain: greedy, and five beams. DoLa (Chuang et al.
2024, arXiv:2309.03883): log-probabilities less those that the head gives after an earlier layer of
the decoder, among tokens at least a tenth as likely as the likeliest; greedy and five beams.
Contrastive search (Su et al. 2022, arXiv:2202.06417): of the four likeliest tokens the one whose
probability, less its likeness to what the text already holds, is largest.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from facts import grouped, read_pairs, slot_error
from wenfang.backends.pairwriter import SOURCES_AT_ONCE, PairWriter
from wenfang.backends.shelf import find_bundle
from wenfang.data.venue import VenueLayout, write_facts
from wenfang.device import set_threads
from wenfang.metrics.bleu import bleu
from wenfang.models.load import load
from wenfang.models.seq2seq import Seq2Seq
from wenfang.samplers.beam import Beam, beam_search
from wenfang.samplers.tokens import Seq2SeqPredict

LEAST_SHARE, CANDIDATES, MAXIMUM = 0.1, 4, 100
PENALTIES = (0.1, 0.3, 0.6)

Way = Callable[[PairWriter, list[list[int]]], list[list[int]]]


class DoLaPredict(Seq2SeqPredict):
    """Logits of the last layer less those of an earlier one, where the last finds it plausible."""

    def __init__(
        self, model: Seq2Seq, sources: Sequence[Sequence[int]], capacity: int, layer: int
    ) -> None:
        super().__init__(model, sources, capacity)
        self._layer = layer

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of `tokens`."""
        early: list[Tensor] = []
        block = self._model.decoder.block[self._layer]
        handle = block.register_forward_hook(lambda _block, _given, out: early.append(out[:, -1]))
        late = super().__call__(tokens).log_softmax(-1)
        handle.remove()
        before = self._model.logits(self._model.decoder.final_layer_norm(early[0])).log_softmax(-1)
        least = late.max(-1, keepdim=True).values + math.log(LEAST_SHARE)
        return (late - before).masked_fill(late < least, -torch.inf)


def searched(beams: int, layer: int | None = None) -> Way:
    """Beam search, plain or with the contrast of a layer."""

    def write(writer: PairWriter, sources: list[list[int]]) -> list[list[int]]:
        predict = (
            Seq2SeqPredict(writer.model, sources, MAXIMUM)
            if layer is None
            else DoLaPredict(writer.model, sources, MAXIMUM, layer)
        )
        prompt = torch.full((len(sources), 1), writer.start, dtype=torch.int64)
        beam = Beam(beams=beams, maximum_tokens=MAXIMUM - 1)
        found = beam_search(predict, prompt, beam, stop=frozenset({writer.end}))
        return [own[0].tokens for own in found]

    return write


def contrastive(penalty: float) -> Way:
    """Contrastive search with a penalty on likeness."""

    @torch.no_grad()
    def write(writer: PairWriter, sources: list[list[int]]) -> list[list[int]]:
        model, rows = writer.model, len(sources)
        cache = Seq2SeqPredict(model, sources, MAXIMUM)._cache
        block = torch.full((rows, 1), writer.start, dtype=torch.int64)
        hidden = model.hidden(block, cache)[:, -1]
        past, tokens = hidden[:, None], torch.zeros(rows, 0, dtype=torch.int64)
        first = torch.arange(rows) * CANDIDATES
        for _ in range(MAXIMUM - 2):
            chances, candidates = model.logits(hidden).softmax(-1).topk(CANDIDATES)
            cache.select(torch.arange(rows).repeat_interleave(CANDIDATES))
            ahead = model.hidden(candidates.view(-1, 1), cache)[:, -1]
            seen = functional.normalize(past, dim=-1).repeat_interleave(CANDIDATES, 0)
            likeness = (seen @ functional.normalize(ahead, dim=-1)[:, :, None]).amax((1, 2))
            worth = (1 - penalty) * chances - penalty * likeness.view(rows, CANDIDATES)
            chosen = worth.argmax(1)
            cache.select(first + chosen)
            hidden = ahead[first + chosen]
            past = torch.cat((past, hidden[:, None]), 1)
            tokens = torch.cat((tokens, candidates.gather(1, chosen[:, None])), 1)
            if bool((tokens == writer.end).any(1).all()):
                break
        return [
            [*row, writer.end][: [*row, writer.end].index(writer.end)] for row in tokens.tolist()
        ]

    return write


def written(writer: PairWriter, inputs: list[dict[str, str]], way: Way) -> list[str]:
    """One text for each input; sources of like length go together."""
    venue, tokenizer = VenueLayout(), writer.tokenizer
    sources = [list(venue.source(write_facts(facts), tokenizer)) for facts in inputs]
    order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
    found: dict[int, list[int]] = {}
    for first in range(0, len(order), SOURCES_AT_ONCE):
        chosen = order[first : first + SOURCES_AT_ONCE]
        texts = way(writer, [sources[index] for index in chosen])
        found |= dict(zip(chosen, texts, strict=True))
    return [venue.text(found[index], tokenizer, facts) for index, facts in enumerate(inputs)]


def main() -> None:
    """Every way in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--part", choices=("dev", "test"), default="dev")
    parser.add_argument("--bundle", default="copywriter")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    set_threads(asked.threads)
    root = Path(os.environ.get("WENFANG_DATA", ""))
    if not (root / "e2e_nlg").is_dir():
        sys.exit("set WENFANG_DATA to the folder that holds e2e_nlg")
    inputs, references = grouped(read_pairs(root, asked.part))
    writer = PairWriter(load(find_bundle(asked.bundle)), ("venue",))
    layers = range(len(writer.model.decoder.block) - 1)
    ways: dict[str, Way] = {"greedy": searched(1), "5 beams": searched(5)}
    for layer in layers:
        ways[f"DoLa after layer {layer + 1}, greedy"] = searched(1, layer)
        ways[f"DoLa after layer {layer + 1}, 5 beams"] = searched(5, layer)
    for penalty in PENALTIES:
        ways[f"contrastive search, penalty {penalty}"] = contrastive(penalty)
    found: dict[str, dict[str, Any]] = {}
    for name, way in ways.items():
        texts = written(writer, inputs, way)
        found[name] = {
            "bleu": bleu(texts, references)["bleu"],
            "slot_error": slot_error(list(zip(inputs, texts, strict=True))),
        }
        print(f"{name:36} BLEU {found[name]['bleu']:.1f}, slot error "
              f"{found[name]['slot_error']:.1%}", file=sys.stderr, flush=True)  # fmt: skip
    if asked.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
