"""Model families. One file is one family; MODELS is the table of all of them."""

from __future__ import annotations

from wenfang.models import gpt

MODELS = {
    "gpt": gpt.GPT,
}

__all__ = ["MODELS", "gpt"]
