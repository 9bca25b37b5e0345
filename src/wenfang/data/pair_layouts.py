"""The layouts of pairs by name: how a prompt is read and a completion written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from wenfang.data.layouts import PairLayout
from wenfang.data.translation import TranslationLayout
from wenfang.data.venue import VenueLayout
from wenfang.tokenizer import Tokenizer


class Layout(Protocol):
    """What every layout of pairs can do."""

    @property
    def specials(self) -> tuple[str, ...]:
        """Tokens of its own."""
        ...

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its vocabulary from."""
        ...

    def pair(self, record: Mapping[str, Any], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
        """A record as source and target."""
        ...


PAIR_LAYOUTS: dict[str, Layout] = {
    "pairs": PairLayout(),
    "translation": TranslationLayout(),
    "venue": VenueLayout(),
}
