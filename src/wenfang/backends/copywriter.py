"""Copy for a venue by the bundle `copywriter`, held to its facts: all of them, and no others."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from wenfang.backends.venue_lexicon import Lexicon
from wenfang.data.venue import SLOTS, slot_token
from wenfang.tokenizer import END, Tokenizer

CANDIDATES = 32  # tokens that are looked at for each row; the rest is refused unread
TAIL_CHARACTERS = 80
# A sentence that begins without the last one having ended: "Chinese food It is".
UNENDED = re.compile(
    r"[a-z0-9>,] (?:It|Its|There|They|Their|This|That|You|We|With|Near|In|At|For|The|A|An|Located"
    r"|And|Prices?|Customers?|On|By|If|Here|Is|Has)$|[.!?] [a-z]$|[.,;!?] ?[.,;!?]$|[.!?][A-Za-z]$"
    r"|\b(\w+) \1 $|^[^A-Z<]"
)


class FactStep:
    """A constraint on tokens: no phrase of a fact that was not given, no end before all are told."""

    def __init__(self, words: Lexicon, tokenizer: Tokenizer, slots: tuple[str, ...]) -> None:
        self.words = words
        self.tokenizer = tokenizer
        self.end = tokenizer.id(END)
        tokens = tokenizer.tokens()
        self.slots = {tokenizer.id(slot_token(slot)): f"<{slot}>" for slot in slots}
        first = 3 + len(SLOTS)
        self.forbidden = [i for i in range(first) if i not in self.slots and i != self.end]
        self.pieces = [tokenizer.decode([index]) for index in range(len(tokens))]
        self.known: dict[tuple[str, int], bool] = {}

    def text(self, ids: list[int]) -> str:
        """What `ids` write, slots by their names."""
        out, run = "", list[int]()
        for index in ids:
            if index in self.slots:
                out += self.tokenizer.decode(run) + self.slots[index]
                run = []
            else:
                run.append(index)
        return out + self.tokenizer.decode(run)

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """(B, V) logits after (B, t) tokens, what is refused at -inf."""
        logits = logits.clone()
        logits[:, self.forbidden] = -torch.inf
        kept = torch.full_like(logits, -torch.inf)
        values, ids = logits.topk(CANDIDATES, dim=1)
        for row, tokens in enumerate(drawn.tolist()):
            text = self.text(tokens)
            whole = text[-1:] in ".!?" and bool(text) and not self.words.untold(text.lower())
            for value, token in zip(values[row].tolist(), ids[row].tolist(), strict=True):
                if whole if token == self.end else self.allows(text, token):
                    kept[row, token] = value
        return kept

    def allows(self, text: str, token: int) -> bool:
        tail = text[-TAIL_CHARACTERS:]
        found = self.known.get((tail, token))
        if found is None:
            piece = self.slots.get(token) or self.pieces[token]
            after = tail + piece
            found = self._clean(after, len(piece))
            self.known[tail, token] = found
        return found

    def _clean(self, text: str, length: int) -> bool:
        """Whether `text` is free of bans that end within its last `length` characters."""
        low = text.lower()
        for end in range(len(text) - length + 1, len(text) + 1):
            if "<" in text[end - 8 : end] and text[end - 1] != ">" and ">" not in text[end - 8 : end]:
                continue
            if self.words.banned.search(low, 0, end) or UNENDED.search(text, 0, end):
                return False
        return True
