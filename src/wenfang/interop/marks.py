"""Special tokens: which token of a foreign vocabulary does what ours do by their names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers

from wenfang.data.masked import BREAK, FIRST, MASK
from wenfang.errors import BundleError
from wenfang.interop.folder import TOKENIZER
from wenfang.interop.settings import Settings
from wenfang.tokenizer import BEGIN, END, PADDING, UNKNOWN

# transformers' names of what a token does, to ours.
PARTS = {
    "eos_token": END,
    "pad_token": PADDING,
    "unk_token": UNKNOWN,
    "cls_token": FIRST,
    "sep_token": BREAK,
    "mask_token": MASK,
}


def read_tokenizer(text: str, path: Path) -> tokenizers.Tokenizer:
    """The tokenizer in a `tokenizer.json`; BundleError where it is none."""
    try:
        return tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception
        raise BundleError("{path} cannot be read: {reason}", path=path, reason=error) from None


def size_of(tokenizer: tokenizers.Tokenizer) -> int:
    """One more than the highest id."""
    return 1 + max(tokenizer.get_vocab().values(), default=-1)


def special_tokens(
    tokenizer: tokenizers.Tokenizer, described: Mapping[str, Any], settings: Settings
) -> dict[str, str]:
    """Our names of special tokens to those of a foreign vocabulary; equal names are left out.

    described  the folder's tokenizer_config.json; what it leaves out the model's config may tell
    """
    found = {}
    for part, ours in PARTS.items():
        token = _token(tokenizer, described, settings, part)
        if token is not None and token != ours:
            found[ours] = token
    begin = _token(tokenizer, described, settings, "bos_token")
    if begin is not None and _begins_with(tokenizer, begin):
        found[BEGIN] = begin
    return found


def _token(
    tokenizer: tokenizers.Tokenizer, described: Mapping[str, Any], settings: Settings, part: str
) -> str | None:
    said = described.get(part)
    said = said.get("content") if isinstance(said, Mapping) else said
    if isinstance(said, str) and tokenizer.token_to_id(said) is not None:
        return said
    index = settings.index(f"{part}_id")
    token = None if index is None else tokenizer.id_to_token(index)
    return None if token is None else str(token)


def _begins_with(tokenizer: tokenizers.Tokenizer, begin: str) -> bool:
    """Whether the tokenizer puts this token before every text."""
    ids = tokenizer.encode("a").ids
    return bool(ids) and ids[0] == tokenizer.token_to_id(begin)


def exported_tokenizer(text: str, family: str) -> str:
    """A bundle's tokenizer.json, which marks texts as the model was trained on them.

    Encoder-decoders read `text <eos>`, encoders `<cls> text <sep>`; our own code adds these marks
    by its layouts, transformers by the template that is written here.
    """
    inner = read_tokenizer(text, Path(TOKENIZER))
    marks = {"seq2seq": ((), (END,)), "bert": ((FIRST,), (BREAK,))}.get(family)
    if marks is None or json.loads(text).get("post_processor") is not None:
        return text
    before, after = ([(m, inner.token_to_id(m)) for m in part] for part in marks)
    if any(index is None for _, index in (*before, *after)):
        return text
    names = [m for m, _ in before], [m for m, _ in after]
    pair = [*names[0], "$A", *names[1], "$B", *names[1]]
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single=[*names[0], "$A", *names[1]], pair=pair, special_tokens=[*before, *after]
    )
    return str(inner.to_str(pretty=True))


def describe_tokens(tokenizer: tokenizers.Tokenizer, roles: Mapping[str, str]) -> dict[str, str]:
    """transformers' names of what a token does, to the tokens of this vocabulary."""
    found = {}
    for part, ours in {**PARTS, "bos_token": BEGIN}.items():
        token = roles.get(ours, ours)
        if tokenizer.token_to_id(token) is not None:
            found[part] = token
    return found
