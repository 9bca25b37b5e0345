"""How near an upscaler comes to what a picture was, beside plain enlargement by Lanczos."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from wenfang.data.dataset import Dataset
from wenfang.data.finer import Fine, as_values, coloured
from wenfang.device import noise
from wenfang.metrics.pictures import psnr_db, ssim
from wenfang.models.load import Loaded
from wenfang.models.upscaler import Upscaler

Values = NDArray[np.float64]


def measure_upscaler(loaded: Loaded, dataset: Dataset) -> dict[str, Any]:
    """PSNR and SSIM over the test part: emoji whole, icons in colours drawn by one seed.

    Both are taken of colours times their opacity, and of the opacity.
    """
    model = loaded.model
    assert isinstance(model, Upscaler)
    fine = Fine.read(dataset.records("test"))
    numbers: dict[str, Any] = {"split": "test", "times": model.config.times}
    kinds = {
        "emoji": [image.convert("RGBa") for image in fine.drawings],
        "icons": [
            coloured(icon, noise(0, "suite", number)) for number, icon in enumerate(fine.icons)
        ],
    }
    for kind, images in kinds.items():
        scores = np.array([list(_scores(model, image)) for image in images])
        means = scores.mean(0)
        numbers |= {
            f"{kind}": len(images),
            f"{kind}_psnr_db": float(means[0]),
            f"{kind}_psnr_db_lanczos": float(means[1]),
            f"{kind}_ssim": float(means[2]),
            f"{kind}_ssim_lanczos": float(means[3]),
        }
    return numbers


@torch.no_grad()
def _scores(model: Upscaler, image: Image.Image) -> Iterator[float]:
    """PSNR of the model and of Lanczos, then SSIM of both."""
    size = (image.width // model.config.times, image.height // model.config.times)
    small = image.resize(size, Image.Resampling.BICUBIC)
    made = model(as_values(np.asarray(small)[None]))[0].clamp(0, 1).double().numpy()
    plain = _channels(small.resize(image.size, Image.Resampling.LANCZOS))
    real = _channels(image)
    for score in (psnr_db, ssim):
        yield score(real, made)
        yield score(real, plain)


def _channels(image: Image.Image) -> Values:
    """(4, H, W) of 0..1."""
    return np.asarray(image, np.float64).transpose(2, 0, 1) / 255
