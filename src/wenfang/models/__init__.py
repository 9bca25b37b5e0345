"""Model families. One file is one family; MODELS is the table of all of them."""

from __future__ import annotations

from typing import Any

from wenfang.models import bert, gpt, picture_encoder, seq2seq, text_classifier

# Each is an nn.Module with `config_class` and `initialise(generator)`, made from its own Config.
MODELS: dict[str, Any] = {
    "bert": bert.Bert,
    "gpt": gpt.GPT,
    "seq2seq": seq2seq.Seq2Seq,
    "text-classifier": text_classifier.TextClassifier,
    "picture-encoder": picture_encoder.PictureEncoder,
}

__all__ = ["MODELS", "bert", "gpt", "picture_encoder", "seq2seq", "text_classifier"]
