"""A tokenizer.json as llama.cpp's vocabulary: byte-level BPE, whose merges it runs itself.

llama.cpp knows how text is cut before the merges by a name only (`tokenizer.ggml.pre`), so a way
of cutting without a name there cannot be written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tokenizers

from wenfang.errors import BundleError
from wenfang.interop.gguf_format import Value
from wenfang.tokenizer import BEGIN, END, PADDING, UNKNOWN

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # llama.cpp's types of tokens
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Patterns that cut a text, to llama.cpp's name and whether whole words pass by the merges.
PATTERNS = {_WORDS % "": ("qwen2", False), _WORDS % "{1,3}": ("llama-bpe", True)}


def vocabulary(text: str, roles: Mapping[str, str], size: int) -> dict[str, Value]:
    """The keys `tokenizer.ggml.*` of a tokenizer.json.

    roles   our names of special tokens to those of this vocabulary
    size    rows of the model's table; those past the vocabulary get names that mean nothing
    raises  BundleError where llama.cpp cannot do what the tokenizer does
    """
    record = json.loads(text)
    cut = _cut(record)
    inner = tokenizers.Tokenizer.from_str(text)
    added = {entry["id"]: bool(entry["special"]) for entry in record.get("added_tokens", [])}
    names, kinds = [], []
    for index in range(size):
        token = inner.id_to_token(index)
        names.append(f"[PAD{index}]" if token is None else token)
        if token is None:
            kinds.append(UNUSED)
        elif index in added:
            kinds.append(CONTROL if added[index] else USER_DEFINED)
        else:
            kinds.append(NORMAL)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": cut,
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": [_merge(one) for one in record["model"]["merges"]],
        **_marks(inner, roles),
    }


def _merge(merge: Any) -> str:
    """A merge as llama.cpp reads it; tokenizers writes pairs since 0.20, and text before."""
    return merge if isinstance(merge, str) else " ".join(merge)


def _cut(record: Mapping[str, Any]) -> str:
    """llama.cpp's name for the way in which a text is cut before the merges."""
    model, before = record["model"], record.get("pre_tokenizer") or {}
    normalizer = record.get("normalizer") or {"type": "NFC"}
    parts = before["pretokenizers"] if before.get("type") == "Sequence" else [before]
    last = parts[-1]
    plain = (
        model.get("type") == "BPE"
        and not model.get("byte_fallback")
        and normalizer.get("type") == "NFC"
        and last.get("type") == "ByteLevel"
        and not last.get("add_prefix_space")
    )
    found: tuple[str, bool] | None = None
    if plain and len(parts) == 1 and last.get("use_regex", True):
        found = "gpt-2", False
    elif plain and len(parts) == 2 and not last.get("use_regex", True):
        split = parts[0]
        if split.get("type") == "Split" and split.get("behavior") == "Isolated":
            found = PATTERNS.get(split.get("pattern", {}).get("Regex", ""))
    if found is None or bool(model.get("ignore_merges")) != found[1]:
        raise BundleError(
            "llama.cpp cannot cut texts as this tokenizer does; a GGUF file takes byte-level BPE "
            "as of GPT-2, Qwen2 or Llama 3; export it as a folder with --to hf"
        )
    return found[0]


def _marks(inner: tokenizers.Tokenizer, roles: Mapping[str, str]) -> dict[str, Value]:
    ids = {
        ours: inner.token_to_id(roles.get(ours, ours)) for ours in (BEGIN, END, PADDING, UNKNOWN)
    }
    begin, end = ids[BEGIN], ids[END]
    if end is None:
        raise BundleError("the vocabulary has no token that ends a text; llama.cpp needs one")
    # Without a key llama.cpp takes token 11 for either.
    found: dict[str, Value] = {
        "tokenizer.ggml.bos_token_id": end if begin is None else begin,
        "tokenizer.ggml.eos_token_id": end,
        "tokenizer.ggml.add_bos_token": begin is not None,
        "tokenizer.ggml.add_eos_token": False,
    }
    for ours, key in ((PADDING, "padding"), (UNKNOWN, "unknown")):
        index = ids[ours]
        if index is not None:
            found[f"tokenizer.ggml.{key}_token_id"] = index
    return found
