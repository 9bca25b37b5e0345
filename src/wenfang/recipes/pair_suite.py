"""What a bundle of pairs measures: its loss on unseen pairs, and BLEU against their completions."""

from __future__ import annotations

from typing import Any

from wenfang.backends.pairwriter import PairWriter
from wenfang.data.dataset import Dataset
from wenfang.data.layouts import PairLayout
from wenfang.data.venue import VenueLayout, parse_facts
from wenfang.metrics.bleu import bleu
from wenfang.models.load import Loaded
from wenfang.recipes.learn_pairs import pair_loss, read_pairs
from wenfang.samplers.beam import Beam

SHOWN = 8


def measure_pairs(loaded: Loaded, dataset: Dataset, split: str, beam: Beam) -> dict[str, Any]:
    """Loss, BLEU and its signature on one part of the bundle's data set."""
    writer = PairWriter(loaded, ("pairs", "venue"))
    pairs = read_pairs(loaded.layout, dataset, split, writer.tokenizer)
    prompts, references = references_of(dataset, split, grouped=loaded.layout == "venue")
    hypotheses = write_all(writer, prompts, beam)
    return {
        "split": split,
        "prompts": len(prompts),
        "references": sum(map(len, references)),
        "nats_per_token": pair_loss(writer.model, pairs, len(pairs)),
        "beams": beam.beams,
        "length_penalty": beam.length_penalty,
        **bleu(hypotheses, references),
        "samples": [
            {"prompt": prompt, "text": text, "reference": own[0]}
            for prompt, text, own in list(zip(prompts, hypotheses, references, strict=True))[:SHOWN]
        ],
    }


def references_of(
    dataset: Dataset, split: str, *, grouped: bool
) -> tuple[list[str], list[list[str]]]:
    """Prompts and their references.

    grouped  every prompt once, with all of its completions; else each record for itself, as
             published translations are scored
    """
    rows = [(record["prompt"], record["completion"]) for record in dataset.records(split)]
    if not grouped:
        return [prompt for prompt, _ in rows], [[completion] for _, completion in rows]
    found: dict[str, list[str]] = {}
    for prompt, completion in rows:
        found.setdefault(prompt, []).append(completion)
    return list(found), list(found.values())


def write_all(writer: PairWriter, prompts: list[str], beam: Beam) -> list[str]:
    """The best completion of every prompt."""
    tokenizer = writer.tokenizer
    if writer.loaded.layout == "venue":
        venue = VenueLayout()
        best = writer.best([venue.source(prompt, tokenizer) for prompt in prompts], beam)
        return [
            venue.text(own[0].tokens, tokenizer, parse_facts(prompt))
            for prompt, own in zip(prompts, best, strict=True)
        ]
    plain = PairLayout()
    best = writer.best([plain.source(prompt, tokenizer) for prompt in prompts], beam)
    return [tokenizer.decode(own[0].tokens).strip() for own in best]
