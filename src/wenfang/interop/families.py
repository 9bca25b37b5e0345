"""The architectures of other programs that are built here too, one row each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.errors import BundleError
from wenfang.interop.both_ways import (
    query_factor,
    read_bert,
    read_seq2seq,
    write_bert,
    write_seq2seq,
)
from wenfang.interop.causal import read_gpt, read_gpt2, write_gpt, write_gpt2
from wenfang.interop.names import Names
from wenfang.interop.settings import Settings

NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True, kw_only=True)
class Family:
    """How one of our families is read from and written to folders of transformers.

    layouts  what its bundles may be trained for; the first is that of a foreign model
    prefix   of the names of all weights but the heads'
    ignored  tensors that are no weights
    turned   weights that are stored transposed there
    old      ends of names in older folders, to those of today
    scaled   by our name and config, what a tensor of theirs is multiplied with to be ours
    """

    name: str
    architectures: tuple[str, ...]
    layouts: tuple[str, ...]
    read: Callable[[Settings, Names], Any]
    write: Callable[[Any], dict[str, Any]]
    prefix: str = ""
    ignored: re.Pattern[str] = NOTHING
    turned: re.Pattern[str] = NOTHING
    old: Mapping[str, str] = field(default_factory=dict)
    scaled: Callable[[str, Any], float] = lambda name, config: 1.0


def _scaled_query(name: str, config: Any) -> float:
    return query_factor(config) if name.endswith("Attention.q.weight") else 1.0


GPT = Family(
    name="gpt",
    architectures=("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"),
    layouts=("stream", "completion", "verse"),
    read=read_gpt,
    write=write_gpt,
    prefix="model.",
    ignored=re.compile(r"rotary_emb\.inv_freq$"),
)
GPT2 = Family(
    name="gpt2",
    architectures=("GPT2LMHeadModel",),
    layouts=("stream", "completion", "verse"),
    read=read_gpt2,
    write=write_gpt2,
    prefix="transformer.",
    ignored=re.compile(r"\.attn\.(bias|masked_bias)$"),
    turned=re.compile(r"\.(c_attn|c_proj|c_fc)\.weight$"),
)
BERT = Family(
    name="bert",
    architectures=(
        "BertForPreTraining",
        "BertForMaskedLM",
        "BertForNextSentencePrediction",
        "BertForSequenceClassification",
        "BertModel",
    ),
    layouts=("masked", "classes", "bilingual"),
    read=read_bert,
    write=write_bert,
    prefix="bert.",
    ignored=re.compile(r"embeddings\.position_ids$"),
    old={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
)
SEQ2SEQ = Family(
    name="seq2seq",
    architectures=("T5ForConditionalGeneration", "T5WithLMHeadModel"),
    layouts=("pairs", "spans", *PAIR_LAYOUTS),
    read=read_seq2seq,
    write=write_seq2seq,
    # An old slip of T5's: a table that its cross-attention never used.
    ignored=re.compile(r"EncDecAttention\.relative_attention_bias\.weight$"),
    scaled=_scaled_query,
)
FAMILIES = {
    "gpt2": GPT2,
    "llama": GPT,
    "qwen2": GPT,
    "qwen3": GPT,
    "bert": BERT,
    "t5": SEQ2SEQ,
}
BY_NAME = {family.name: family for family in FAMILIES.values()}
SUPPORTED = ", ".join(dict.fromkeys(n for f in FAMILIES.values() for n in f.architectures))


def family_of(path: Path, config: Mapping[str, Any]) -> Family:
    """The family of a config.json; BundleError that names what is supported."""
    kind = config.get("model_type")
    family = FAMILIES.get(kind) if isinstance(kind, str) else None
    named = config.get("architectures") or []
    names = [str(one)[:80] for one in named] if isinstance(named, list) else [str(named)[:80]]
    if family is None or (names and not set(names) & set(family.architectures)):
        raise BundleError(
            "{path}: the architecture {name} is not known here; supported: {names}",
            path=path,
            name=", ".join(names) or str(kind)[:80],
            names=SUPPORTED,
        )
    return family


def family_named(name: str) -> Family:
    """The family of a bundle; BundleError where nothing elsewhere computes what it does."""
    if name not in BY_NAME:
        raise BundleError(
            "the family {name} has no counterpart elsewhere; what can be exported: {names}",
            name=name,
            names=", ".join(BY_NAME),
        )
    return BY_NAME[name]
