"""The keyed bits behind a watermark in text, and the statistic that finds them again.

Tournament sampling of SynthID-Text (Dathathri et al. 2024, Nature 634, 818-823): each token has
`LAYERS` pseudorandom bits that depend on a key and on the CONTEXT tokens before it; the sampler
leans, layer by layer, to tokens whose bit is 1, and on average over keys changes no probability.
A reader counts the bits: half are 1 in a text that knows nothing of the key. The mark says that a
text was made with it; it holds no message and points to nothing.

The bits depend on what a token says, not on its number, so a text of a character model can be
read without its tokenizer.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KIND = "tournament-characters-1"
KEY = b"wenfang text watermark 1"
CONTEXT = 4
LAYERS = 30
# A shorter text holds too little chance for its mark to be told from luck.
SHORTEST_TOKENS = 100
# Early layers lean harder (each one takes up part of what is left to choose), so they weigh more.
WEIGHTS = np.linspace(10, 1, LAYERS) / np.linspace(10, 1, LAYERS).sum()

Codes = NDArray[np.uint64]
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


def token_codes(texts: Sequence[str], key: bytes = KEY) -> Codes:
    """A keyed 64-bit number for what each token says: (n,)."""
    digests = (
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key[:64]).digest()
        for text in texts
    )
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def context_code(codes: Codes) -> Codes:
    """One number for the order of CONTEXT tokens: (..., CONTEXT) -> (...)."""
    code = np.zeros(codes.shape[:-1], np.uint64)
    for place in range(codes.shape[-1]):
        code = _mixed(code ^ codes[..., place])
    return code


def bits(context: Codes, token: Codes) -> NDArray[np.uint8]:
    """The LAYERS bits of a token after a context, broadcast: (...), (...) -> (..., LAYERS)."""
    code = _mixed(_mixed(context ^ token))
    places = np.arange(LAYERS, dtype=np.uint64)
    return ((code[..., None] >> places) & np.uint64(1)).astype(np.uint8)


def _mixed(code: Codes) -> Codes:
    """SplitMix64's finaliser (Steele et al. 2014); wraps around by design."""
    with np.errstate(over="ignore"):
        mixed = code + _STEP
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
        return mixed ^ (mixed >> np.uint64(31))


@dataclass(frozen=True, kw_only=True)
class TextMark:
    """What counting the bits gave.

    tokens   places counted; one context with one token counts once, however often it stands
    z        standard deviations above a text that knows nothing of the key
    p_value  chance of such a count or a higher one in such a text
    """

    tokens: int
    z: float
    p_value: float


def find_mark(tokens: Sequence[str], key: bytes = KEY) -> TextMark:
    """Count the bits of a text, given as its tokens (for a character model, its characters)."""
    if len(tokens) <= CONTEXT:
        return TextMark(tokens=0, z=0.0, p_value=1.0)
    known = {text: place for place, text in enumerate(dict.fromkeys(tokens))}
    codes = token_codes(list(known), key)[[known[text] for text in tokens]]
    windows = np.lib.stride_tricks.sliding_window_view(codes, CONTEXT)[:-1]
    pairs = np.stack((context_code(windows), codes[CONTEXT:]), axis=1)
    distinct = np.unique(pairs, axis=0)
    found = bits(distinct[:, 0], distinct[:, 1]).astype(np.float64)
    mean = float((found @ WEIGHTS).mean())
    spread = 0.5 * math.sqrt(float((WEIGHTS**2).sum()) / len(distinct))
    z = (mean - 0.5) / spread
    return TextMark(tokens=len(distinct), z=z, p_value=0.5 * math.erfc(z / math.sqrt(2)))
