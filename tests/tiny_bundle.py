"""Bundles of any family with random weights, written without data and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from wenfang import config
from wenfang.atomic import canonical_json, new_folder, sha256_bytes, write_json, write_text
from wenfang.checkpoint import (
    CARD,
    LINEAGE,
    MANIFEST,
    BundleFiles,
    file_hashes,
    fill_bundle,
    read_bundle,
    weights_to_store,
)
from wenfang.models import MODELS, bert, gpt, gpt2, seq2seq
from wenfang.store import Link, Manifest, to_record
from wenfang.tokenizer import Tokenizer, train_bytes, train_characters

TEXTS = ["the moon over the sea, 12 boats", "spring river, flower night", "海上明月共潮生"]
BYTES = train_bytes(TEXTS, vocabulary_size=290, specials=("<cls>", "<sep>", "<mask>"))
CHARACTERS = train_characters(TEXTS)
SIZE: dict[str, Any] = {"vocabulary_size": BYTES.size, "width": 24, "context": 32}
MODELS_BY_NAME: dict[str, tuple[str, Any]] = {
    "llama": (
        "gpt",
        gpt.Config(**SIZE, layers=2, heads=4, kv_heads=2, hidden_width=32, tied_head=False),
    ),
    "tied": ("gpt", gpt.Config(**SIZE, layers=1, heads=3, kv_heads=3, hidden_width=32)),
    "qwen2": (
        "gpt",
        gpt.Config(**SIZE, layers=1, heads=4, kv_heads=2, hidden_width=32, attention_bias=True),
    ),
    "qwen3": (
        "gpt",
        gpt.Config(
            **SIZE,
            layers=1,
            heads=4,
            kv_heads=2,
            hidden_width=32,
            head_width=10,
            query_key_norm=True,
            zero_init_outputs=False,
        ),
    ),
    "gpt2": ("gpt2", gpt2.Config(**SIZE, layers=2, heads=4, hidden_width=32)),
    "bert": ("bert", bert.Config(**SIZE, layers=1, heads=4, hidden_width=32)),
    "classes": ("bert", bert.Config(**SIZE, layers=1, heads=4, hidden_width=32, classes=3)),
    "t5": (
        "seq2seq",
        seq2seq.Config(
            **SIZE, encoder_layers=1, decoder_layers=2, heads=3, head_width=10, hidden_width=32
        ),
    ),
    "t5-1.1": (
        "seq2seq",
        seq2seq.Config(
            **SIZE,
            encoder_layers=2,
            decoder_layers=1,
            heads=3,
            head_width=10,
            hidden_width=32,
            feed_forward="gated-gelu",
            tied_head=False,
        ),
    ),
}
LAYOUTS = {"gpt": "stream", "gpt2": "stream", "bert": "masked", "seq2seq": "venue"}


def write_bundle(
    folder: Path,
    name: str,
    *,
    tokenizer: Tokenizer = BYTES,
    licence: str = "MIT",
    dtype: torch.dtype = torch.float16,
) -> BundleFiles:
    """One of MODELS_BY_NAME as a bundle, which was made from a source of that licence."""
    family, model = MODELS_BY_NAME[name]
    built = MODELS[family](model)
    generator = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.2, generator=generator)
    source = Manifest(kind="source", name="stories", media_type="text/plain", licence=licence)
    layout = "classes" if name == "classes" else LAYOUTS[family]
    content = {"format": 1, "family": family, "layout": layout, "model": config.to_dict(model)}
    with new_folder(folder) as new:
        fill_bundle(new, content, weights_to_store(built, dtype), tokenizer.to_json())
        write_json(new / LINEAGE, [to_record(source)])
        write_text(new / "NOTICE", "This bundle was trained on: stories by hand.\n")
        write_text(new / CARD, f"---\nname: {name}\nlicence: {licence}\n---\n\n# {name}\n\nTiny.\n")
        files = file_hashes(new)
        manifest = Manifest(
            kind="bundle",
            name=name,
            media_type="application/x-wenfang-bundle",
            payload_sha256=sha256_bytes(canonical_json(files)),
            inputs=(Link(role="source", id=source.id),),
            licence=licence,
            facts={"parameters": 1, "files": files},
        )
        write_json(new / MANIFEST, to_record(manifest))
    return read_bundle(folder)
