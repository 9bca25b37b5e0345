"""One picture from one model: `wenfang.load(name).generate("7").image`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wenfang import config
from wenfang.atomic import sha256_file
from wenfang.backends.enlarger import Enlarger
from wenfang.backends.loading import same_bundle
from wenfang.backends.painter import Painter, PaintOptions, Start
from wenfang.backends.texts import OnText
from wenfang.data.picture_folder import PictureRequest, fitted
from wenfang.data.picture_views import upon_white
from wenfang.data.pixels import Pixels, as_image
from wenfang.engine.asset import Asset, Maker, drawn_manifest
from wenfang.errors import BriefError, ConfigError
from wenfang.media.image import encode_png, read_image
from wenfang.media.sheet import contact_sheet
from wenfang.models.load import Loaded, load
from wenfang.seal import Payload

PICTURE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
LEAST_SIDE_PX = 256  # a label must be legible upon it
MOST_SIDE_PX = 4096


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """Settings of `generate` for a model that makes pictures.

    side_px   of the file; 0: the model's own, times the least whole number that gives 256
    enlarged  how a picture is made larger than the model drew it: "drawn" by the upscaler that the
              model names, "smooth" between its pixels, or "squares", each pixel as one; "": drawn
              where there is an upscaler, else smooth
    start     a file with a picture to begin with: a variation of it is made
    strength  share of the way that is walked again: near 0 little of it changes, at 1 all may
    mask      a file whose white parts are painted anew while the rest of `start` stays
    """

    paint: PaintOptions = PaintOptions()
    side_px: int = 0
    enlarged: Literal["", "drawn", "smooth", "squares"] = ""
    start: str = ""
    strength: float = 0.6
    mask: str = ""

    def __post_init__(self) -> None:
        """Refuse a side that no file should have."""
        if not 0 <= self.side_px <= MOST_SIDE_PX:
            raise ConfigError(
                "settings.side_px is {value}; it must be at most {most}, or 0",
                value=self.side_px,
                most=MOST_SIDE_PX,
            )
        if not 0 < self.strength <= 1:
            raise ConfigError(
                "settings.strength is {value}; it must be above 0 and at most 1",
                value=self.strength,
            )
        if self.mask and not self.start:
            raise ConfigError("settings.mask is of a picture; name it with settings.start")


@dataclass(frozen=True, kw_only=True, eq=False)
class Painted(Asset):
    """A picture: RGB, or RGBA where parts of it are transparent."""

    image: Image.Image

    role: ClassVar[str] = "picture"
    suffix: ClassVar[str] = ".png"
    media_types: ClassVar[Mapping[str, str]] = PICTURE_TYPES

    @property
    def content(self) -> bytes:
        """PNG."""
        return encode_png(self.image)

    def payload(self, media_type: str) -> Payload:
        """Encoded once, after its label is drawn; JPEG knows no transparency, so it gets white."""
        image = self.image
        if media_type == "image/jpeg" and image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
        return Payload(media_type=media_type, data=image)

    def record(self) -> dict[str, object]:
        """Its size."""
        return {"width_px": self.image.width, "height_px": self.image.height}


class PictureModel(Maker):
    """A loaded bundle that makes pictures."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.name = loaded, loaded.name
        self._painter = Painter(loaded)
        upscaler = self._painter.known.upscaler
        self._enlarger = Enlarger(load(same_bundle(upscaler, loaded.name))) if upscaler else None

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Painted]:
        """`generate_many` with settings from outside: ConfigError for one that is none.

        raises BriefError for a prompt that the model does not know
        """
        options = self._options(settings)
        images, hashes = self._images(prompt, seeds, options)
        return [
            self._painted(prompt, image, options, {"seed": seed, **hashes})
            for seed, image in zip(seeds, images, strict=True)
        ]

    def sheet(self, prompt: str, seeds: tuple[int, ...], settings: Mapping[str, object]) -> Painted:
        """One picture for each seed, all upon one contact sheet."""
        options = self._options(settings)
        images, hashes = self._images(prompt, seeds, options)
        facts = {"seed": seeds[0], "seeds": list(seeds), **hashes}
        return self._painted(prompt, contact_sheet(images), options, facts)

    def _options(self, settings: Mapping[str, object]) -> PictureOptions:
        """As asked for; how a picture is enlarged is decided here, so that its manifest tells."""
        options = config.from_dict(PictureOptions, settings, where="settings")
        if options.enlarged == "drawn" and self._enlarger is None:
            raise ConfigError(
                "settings.enlarged is drawn, but {model} names no upscaler; use smooth or squares",
                model=self.name,
            )
        own: Literal["drawn", "smooth"] = "drawn" if self._enlarger else "smooth"
        return replace(options, enlarged=options.enlarged or own)

    def _images(
        self, prompt: str, seeds: tuple[int, ...], options: PictureOptions
    ) -> tuple[list[Image.Image], dict[str, object]]:
        """A picture for each seed, and the hashes of the files that they began with."""
        wanted = [self._painter.asked(prompt)] * len(seeds)
        start, hashes = self._start(options)
        streams = [(seed, "generate") for seed in seeds]
        pixels = self._painter.paint(wanted, streams, options.paint, start=start)
        return [enlarged(one, options, self._enlarger) for one in pixels], hashes

    def _start(self, options: PictureOptions) -> tuple[Start | None, dict[str, object]]:
        """The picture to begin with, at the model's size, and the hashes of its files."""
        if not options.start:
            return None, {}
        known = self._painter.known
        request = PictureRequest(
            side_px=known.side_px, fit="cover", transparent=known.channels == 4
        )
        image = read_image(Path(options.start))
        one = Pixels.of([fitted(image, request)], known.channels).tensor(slice(None))
        hashes: dict[str, object] = {"start_sha256": sha256_file(Path(options.start))}
        fresh = None
        if options.mask:
            mask = read_image(Path(options.mask))
            if mask.size != image.size:
                raise BriefError(
                    "{mask} is {own[0]} x {own[1]} pixels, {start} {other[0]} x {other[1]}; a mask "
                    "has the size of its picture",
                    mask=options.mask,
                    own=mask.size,
                    start=options.start,
                    other=image.size,
                )
            fresh = Pixels.of([upon_white(fitted(mask, request))], 1).tensor(slice(None), least=0.0)
            hashes["mask_sha256"] = sha256_file(Path(options.mask))
        return Start(picture=one, strength=options.strength, fresh=fresh), hashes

    def _painted(
        self,
        prompt: str,
        image: Image.Image,
        options: PictureOptions,
        facts: Mapping[str, object],
    ) -> Painted:
        told = {"settings": config.to_dict(options), **facts}
        beside = [*self._painter.companions]
        if self._enlarger and options.enlarged == "drawn":
            beside.append(self._enlarger.loaded)
        manifest = drawn_manifest(self.loaded, prompt, "image/png", encode_png(image), told, beside)
        every = (self.loaded, *beside)
        made_from = tuple(record for one in every for record in (*one.ancestors, one.manifest))
        return Painted(image=image, manifest=manifest, made_from=made_from)


def enlarged(
    pixels: NDArray[np.uint8], options: PictureOptions, enlarger: Enlarger | None = None
) -> Image.Image:
    """(S, S, C) as a picture of the side that is asked for; grey is told in three colours."""
    image = as_image(pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels)
    side = options.side_px or image.width * math.ceil(LEAST_SIDE_PX / image.width)
    if enlarger and options.enlarged == "drawn":
        while image.width < side:
            image = enlarger.enlarge(image)
    if side == image.width:
        return image
    way = Image.Resampling.NEAREST if options.enlarged == "squares" else Image.Resampling.LANCZOS
    # Edges are mixed by what is seen of them; Pillow weighs RGBA so by itself.
    return image.resize((side, side), way)
