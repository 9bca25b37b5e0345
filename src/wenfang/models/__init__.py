"""Model families. One file is one family; MODELS is the table of all of them."""

from __future__ import annotations

from typing import Any, TypeAlias

from wenfang.models import (
    bert,
    dit,
    gan,
    gpt,
    gpt2,
    picture_classifier,
    picture_encoder,
    seq2seq,
    text_classifier,
    text_image,
    unet,
    upscaler,
    vae,
)

# Each is an nn.Module with `config_class` and `initialise(generator)`, made from its own Config.
MODELS: dict[str, Any] = {
    "bert": bert.Bert,
    "gpt": gpt.GPT,
    "gpt2": gpt2.GPT2,
    "seq2seq": seq2seq.Seq2Seq,
    "text-classifier": text_classifier.TextClassifier,
    "picture-classifier": picture_classifier.PictureClassifier,
    "picture-encoder": picture_encoder.PictureEncoder,
    "vae": vae.VAE,
    "gan": gan.GAN,
    "unet": unet.UNet,
    "dit": dit.DiT,
    "text-image": text_image.TextImage,
    "upscaler": upscaler.Upscaler,
}

# Those that predict the next token from all before it.
CausalModel: TypeAlias = gpt.GPT | gpt2.GPT2

__all__ = [
    "MODELS",
    "CausalModel",
    "bert",
    "dit",
    "gan",
    "gpt",
    "gpt2",
    "picture_classifier",
    "picture_encoder",
    "seq2seq",
    "text_classifier",
    "text_image",
    "unet",
    "upscaler",
    "vae",
]
