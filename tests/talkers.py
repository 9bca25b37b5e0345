"""A tiny model of a talk with random weights, as a Hugging Face folder, to be plugged in."""

from __future__ import annotations

import json
from pathlib import Path

import foreign_models as foreign
from test_hub import CHATML, words

CONTEXT = 2000


def save_talker(folder: Path) -> Path:
    """Save it; its context is long enough for a stream that somebody leaves."""
    foreign.save("llama", folder)
    foreign.change(folder, max_position_embeddings=CONTEXT)
    (folder / "tokenizer.json").write_text(words().to_json(), "utf-8")
    settings = {"eos_token": "<|im_end|>", "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return folder
