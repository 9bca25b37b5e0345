"""One step of a causal model for rows that have each come a different way.

`Slots` keeps the keys and values of every row in one array, filled from the left to the row's own
length. A step adds one token to each row: its position is the row's own, and what lies behind the
row's end is masked. Rows come (`append`) and go (`release`) between two steps; those in use are
always the first ones, so that no step copies the cache.

The operations are the plain model's, called by its own modules, so adapters, biases and norms of
heads are kept. Logits equal the plain model's up to the last bits, as in any batch of another size.

N rows in use, D width, H heads, G key/value heads, K width of a head, L layers, C capacity
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models import CausalModel
from wenfang.models.gpt import GPT
from wenfang.models.gpt2 import GPT2


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the tokens of one step go.

    at       (N,) the position of each row's token
    same     that position, where all rows share it
    longest  filled positions of the longest row, the new token's counted
    mask     (N, 1, 1, longest) added to attention's scores; None where all rows are as long
    """

    at: Tensor
    same: int | None
    longest: int
    mask: Tensor | None


def places_of(lengths: Sequence[int]) -> Places:
    """The places behind rows of these lengths."""
    at, longest = torch.tensor(lengths), max(lengths) + 1
    if min(lengths) == longest - 1:
        return Places(at=at, same=longest - 1, longest=longest, mask=None)
    behind = torch.arange(longest) > at[:, None]
    mask = torch.zeros(behind.shape).masked_fill(behind, -torch.inf)
    return Places(at=at, same=None, longest=longest, mask=mask[:, None, None])


class Slots:
    """Rows of one causal model with their keys and values; not for two threads at once.

    raises ConfigError where a row would pass the model's context
    """

    def __init__(self, model: CausalModel) -> None:
        self._model: Any = model
        self._hidden = STEPS[type(model)]
        self._lengths: list[int] = []
        self._cache: Any = model.new_cache(0, 0)  # of the model's own family

    def __len__(self) -> int:
        return len(self._lengths)

    def length(self, row: int) -> int:
        """Filled positions of a row, learned vectors before its text counted."""
        return self._lengths[row]

    @torch.no_grad()
    def append(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        """Read prompts into new rows behind those in use: logits (len(prompts), V)."""
        lengths = [len(prompt) for prompt in prompts]
        count, longest, first = len(prompts), max(lengths), len(self._lengths)
        tokens = torch.zeros(count, longest, dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            tokens[row, : lengths[row]] = torch.tensor(prompt)
        self._reserve(first + count, longest + self._model.taken)
        part = self._model.new_cache(0, 0)
        part.keys = self._cache.keys[:, first : first + count]
        part.values = self._cache.values[:, first : first + count]
        # A causal model sees nothing of what stands behind: shorter prompts are padded there.
        hidden = self._model.hidden(tokens, part)
        self._lengths += [length + self._model.taken for length in lengths]
        ends = hidden[torch.arange(count), torch.tensor(lengths) - 1]
        return cast(Tensor, self._model.logits(ends))

    @torch.no_grad()
    def step(self, tokens: Sequence[int]) -> Tensor:
        """One token for each row in use: logits (N, V)."""
        assert len(tokens) == len(self._lengths), "one token a row"
        places = places_of(self._lengths)
        self._model.check_room(places.longest)
        self._reserve(len(tokens), places.longest)
        hidden = self._hidden(self._model, torch.tensor(tokens), places, self._attend)
        self._lengths = [length + 1 for length in self._lengths]
        return cast(Tensor, self._model.logits(hidden))

    def release(self, row: int) -> int:
        """Free a row; the last row in use takes its place, and its old number is returned."""
        last = len(self._lengths) - 1
        if row != last:
            length = self._lengths[last]
            for kept in (self._cache.keys, self._cache.values):
                kept[:, row, :, :length] = kept[:, last, :, :length]
            self._lengths[row] = length
        self._lengths.pop()
        return last

    def _reserve(self, rows: int, length: int) -> None:
        """Room for `rows` of `length` positions: twice as much as before, where it is too small."""
        kept = self._cache.keys
        if rows <= kept.shape[1] and length <= kept.shape[3]:
            return
        most = self._model.config.context + self._model.taken
        rows = kept.shape[1] if rows <= kept.shape[1] else max(rows, 2 * kept.shape[1])
        room = max(length, min(most, 2 * kept.shape[3])) if length > kept.shape[3] else 0
        new = self._model.new_cache(rows, max(room, kept.shape[3]) - self._model.taken)
        used, filled = len(self._lengths), max(self._lengths, default=0)
        for name in ("keys", "values"):
            old = getattr(self._cache, name)
            getattr(new, name)[:, :used, :, :filled] = old[:, :used, :, :filled]
        self._cache = new

    def _attend(
        self, layer: int, places: Places, query: Tensor, key: Tensor, value: Tensor
    ) -> Tensor:
        """Attention of one token a row: query (N, H, K), key, value (N, G, K) -> (N, H * K)."""
        count, past = len(query), slice(0, places.longest)
        keys, values = self._cache.keys[layer, :count], self._cache.values[layer, :count]
        if places.same is None:
            rows = torch.arange(count)
            keys[rows, :, places.at] = key
            values[rows, :, places.at] = value
        else:
            keys[:, :, places.same] = key
            values[:, :, places.same] = value
        y = functional.scaled_dot_product_attention(
            query[:, :, None],
            keys[:, :, past],
            values[:, :, past],
            attn_mask=places.mask,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return y.flatten(1)


Attend = Callable[[int, Places, Tensor, Tensor, Tensor], Tensor]


def _gpt_hidden(model: GPT, tokens: Tensor, places: Places, attend: Attend) -> Tensor:
    """tokens (N,) -> (N, D), the stream before the head."""
    config, decoder = model.config, model.model
    heads, groups, width = config.heads, config.kv_heads, config.key_width
    half = width // 2
    cosine, sine = (
        table[places.at][:, None] for table in (decoder.rotary.cosine, decoder.rotary.sine)
    )
    # The upper half of a head is turned by its sine, the lower one by the sine's negative.
    sine = torch.cat((-sine[..., :half], sine[..., half:]), dim=-1)
    x = decoder.embed_tokens(tokens)
    blocks: list[Any] = list(decoder.layers)
    for layer, block in enumerate(blocks):
        attention, y = block.self_attn, block.input_layernorm(x)
        query = attention.q_proj(y).view(-1, heads, width)
        key = attention.k_proj(y).view(-1, groups, width)
        if attention.q_norm is not None:
            query, key = attention.q_norm(query), attention.k_norm(key)
        mixed = torch.cat((query, key), dim=1)
        mixed = mixed * cosine + mixed.roll(half, -1) * sine
        value = attention.v_proj(y).view(-1, groups, width)
        read = attend(layer, places, mixed[:, :heads], mixed[:, heads:], value)
        x = x + attention.o_proj(read)
        x = x + block.mlp(block.post_attention_layernorm(x))
    out: Tensor = decoder.norm(x)
    return out


def _gpt2_hidden(model: GPT2, tokens: Tensor, places: Places, attend: Attend) -> Tensor:
    """tokens (N,) -> (N, D), the stream before the head."""
    decoder, heads = model.transformer, model.config.heads
    x = decoder.wte(tokens) + decoder.wpe(places.at)
    blocks: list[Any] = list(decoder.h)
    for layer, block in enumerate(blocks):
        parts = block.attn.c_attn(block.ln_1(x)).view(len(x), 3, heads, -1)
        x = x + block.attn.c_proj(attend(layer, places, *parts.unbind(1)))
        x = x + block.mlp(block.ln_2(x))
    out: Tensor = decoder.ln_f(x)
    return out


# By family: one token of every row through all blocks.
STEPS: dict[type[nn.Module], Callable[[Any, Tensor, Places, Attend], Tensor]] = {
    GPT: _gpt_hidden,
    GPT2: _gpt2_hidden,
}


def shares_steps(model: nn.Module) -> bool:
    """Whether rows of a model that came different ways can share its steps."""
    return type(model) in STEPS and not model.training
