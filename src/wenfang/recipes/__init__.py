"""Complete training runs as functions; RECIPES is the table of all of them."""

from __future__ import annotations

from wenfang.recipes.bert import comment_classes, comments
from wenfang.recipes.chorale import chorale
from wenfang.recipes.copywriter import copywriter
from wenfang.recipes.digits import digit_reader, digits_diffusion, digits_gan, digits_vae
from wenfang.recipes.emblem import emblem, emblem_reader, pictogram_latents
from wenfang.recipes.encoder import encoder
from wenfang.recipes.picture_encoder import picture_encoder
from wenfang.recipes.recipe import Recipe
from wenfang.recipes.safety import safety
from wenfang.recipes.shakespeare import shakespeare_cpu, tiny
from wenfang.recipes.spoken_digits import (
    spoken_digit_reader,
    spoken_digits,
    spoken_digits_dit,
    spoken_digits_vae,
)
from wenfang.recipes.translation import multi30k, translator
from wenfang.recipes.upscaler import upscaler
from wenfang.recipes.verse import verse

RECIPES = {
    "verse": verse,
    "shakespeare-cpu": shakespeare_cpu,
    "safety-zh": safety,
    "multi30k": multi30k,
    "picture-encoder": picture_encoder,
    "copywriter": copywriter,
    "comments-zh": comments,
    "comment-classes-zh": comment_classes,
    "encoder": encoder,
    "translator": translator,
    "digits-vae": digits_vae,
    "digits-gan": digits_gan,
    "digits-diffusion": digits_diffusion,
    "digit-reader": digit_reader,
    "pictogram-latents": pictogram_latents,
    "emblem": emblem,
    "upscaler": upscaler,
    "emblem-reader": emblem_reader,
    "chorale": chorale,
    "spoken-digits": spoken_digits,
    "spoken-digits-dit": spoken_digits_dit,
    "spoken-digits-vae": spoken_digits_vae,
    "spoken-digit-reader": spoken_digit_reader,
    "tiny": tiny,
}

__all__ = ["RECIPES", "Recipe"]
