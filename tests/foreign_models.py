"""Models of transformers with random weights and small sizes, saved as folders, all offline."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wenfang.tokenizer import Tokenizer, train_bytes

TEXTS = ["the moon over the sea, 12 boats", "spring river, flower night", "海上明月共潮生"]
VOCABULARY = 300  # rows of the tables: more than the tokenizer has, as in many published models
CONTEXT = 40
MARKS = {"bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
CAUSAL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    **MARKS,
}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
BERT = {name: CAUSAL[name] for name in CAUSAL if name != "num_key_value_heads"} | MARKS
T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 4,
    "decoder_start_token_id": 0,
    "n_positions": CONTEXT,
    "pad_token_id": 0,
    "eos_token_id": 2,
}
ROPE = {"rope_type": "default", "rope_theta": 500.0}
# What is built: its class, and the fields of its config.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", CAUSAL),
    "llama-one-key-head": (
        "LlamaForCausalLM",
        {**CAUSAL, "num_key_value_heads": 1, "head_dim": 16, "rope_parameters": ROPE},
    ),
    "llama-tied": ("LlamaForCausalLM", {**CAUSAL, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2ForCausalLM", {**CAUSAL, "rms_norm_eps": 1e-3}),
    "qwen2-tied": ("Qwen2ForCausalLM", {**CAUSAL, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3ForCausalLM", {**CAUSAL, "head_dim": 16}),
    "gpt2": ("GPT2LMHeadModel", {**GPT2, **MARKS}),
    "gpt2-gelu": (
        "GPT2LMHeadModel",
        {**GPT2, **MARKS, "activation_function": "gelu", "n_inner": 40},
    ),
    "gpt2-untied": ("GPT2LMHeadModel", {**GPT2, **MARKS, "tie_word_embeddings": False}),
    "bert": ("BertForPreTraining", BERT),
    "bert-words": ("BertForMaskedLM", {**BERT, "hidden_act": "gelu_new"}),
    "bert-vectors": ("BertModel", BERT),
    "bert-classes": ("BertForSequenceClassification", {**BERT, "num_labels": 3}),
    "t5": ("T5ForConditionalGeneration", T5),
    "t5-1.1": (
        "T5ForConditionalGeneration",
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "t5-1.1-untied": (
        "T5ForConditionalGeneration",
        {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "untied": True},
    ),
}
CAUSAL_KINDS = [name for name in KINDS if name.startswith(("llama", "qwen", "gpt2"))]
T5_KINDS = [name for name in KINDS if name.startswith("t5")]


def library() -> Any:
    """transformers, or a skip where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pytest.importorskip("transformers")
    found.logging.set_verbosity_error()
    found.logging.disable_progress_bar()
    return found


def quietly(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """`call` without the library's own warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **named)


def tokenizer() -> Tokenizer:
    return train_bytes(TEXTS, vocabulary_size=290, specials=("<cls>", "<sep>", "<mask>"))


def model(kind: str) -> Any:
    """A model of transformers none of whose weights is as it was initialised."""
    transformers = library()
    name, fields = KINDS[kind]
    cls = getattr(transformers, name)
    untied = fields.get("untied", False)
    settings = {key: value for key, value in fields.items() if key != "untied"}
    with torch.random.fork_rng():
        torch.manual_seed(5)
        made = quietly(cls, cls.config_class(**settings)).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        if untied:
            head = torch.randn(VOCABULARY, 32, generator=generator)
            made.lm_head.weight = torch.nn.Parameter(head)
    return made


def save(kind: str, folder: Path, **how: Any) -> Any:
    """Save a model with its tokenizer; returns the model."""
    made = model(kind)
    quietly(made.save_pretrained, folder, **how)
    (folder / "tokenizer.json").write_text(tokenizer().to_json(), "utf-8")
    return made


def change(folder: Path, **fields: Any) -> None:
    """Put fields into a folder's config.json; None takes one away."""
    path = folder / "config.json"
    record = {**json.loads(path.read_text("utf-8")), **fields}
    path.write_text(json.dumps({k: v for k, v in record.items() if v is not None}), "utf-8")


def again(kind: str, folder: Path) -> Any:
    """transformers' reading of a folder."""
    cls = getattr(library(), KINDS[kind][0])
    return quietly(cls.from_pretrained, folder, local_files_only=True).eval()


def rows(batch: int = 2, time: int = 11, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, VOCABULARY, (batch, time), generator=generator)


@torch.no_grad()
def theirs(kind: str, made: Any) -> Tensor:
    """What transformers computes of `rows`."""
    if kind in T5_KINDS:
        found = made(input_ids=rows(), decoder_input_ids=rows(2, 7, 3)).logits
    else:
        said = made(rows())
        names = ("prediction_logits", "logits", "last_hidden_state")
        found = next(getattr(said, name) for name in names if hasattr(said, name))
    answer: Tensor = found
    return answer


@torch.no_grad()
def ours(kind: str, made: Any) -> Tensor:
    """What our model computes of `rows`."""
    if kind in T5_KINDS:
        found: Tensor = made(rows(), None, rows(2, 7, 3))
    else:
        found = made.hidden(rows()) if kind == "bert-vectors" else made(rows())
    return found
