"""One picture from one model: `wenfang.load(name).generate("7").image`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from PIL import Image

from wenfang import config
from wenfang.backends.draughtsman import UNSEEN, Draughtsman, Watch
from wenfang.backends.painter import Stream, Toward
from wenfang.backends.texts import OnText
from wenfang.engine.asset import Asset, BundleMaker, drawn_manifest
from wenfang.engine.picture_options import PictureOptions, start_of, usual_strength
from wenfang.media.image import encode_png
from wenfang.media.sheet import contact_sheet
from wenfang.media.traced import traced
from wenfang.models.load import Loaded
from wenfang.models.vae import VAE
from wenfang.seal import Payload

SVG = "image/svg+xml"
PICTURE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": SVG,
}


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
        """Encoded once, after its label is drawn; JPEG knows no transparency, so it gets white, and
        SVG no pixels, so it gets the borders of its colours.
        """
        image = self.image
        if media_type == SVG:
            return Payload(media_type=SVG, data=traced(image).svg().encode())
        if media_type == "image/jpeg" and image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
        return Payload(media_type=media_type, data=image)

    def record(self) -> dict[str, object]:
        """Its size, and the words that it was drawn for where they are not those asked for."""
        size: dict[str, object] = {"width_px": self.image.width, "height_px": self.image.height}
        read_as = self.manifest.facts.get("read_as")
        return {**size, "read_as": read_as} if read_as else size


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Who looks at a picture while it is drawn.

    count    how often at most
    show     is given the picture as it is foreseen
    on_step  is called at every step, and may raise to stop it
    """

    count: int = 0
    show: Callable[[Painted], None] = lambda foreseen: None
    on_step: Callable[[], None] = lambda: None


class PictureModel(BundleMaker):
    """A loaded bundle that makes pictures."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.name = loaded, loaded.name
        self._draughtsman = Draughtsman(loaded)

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
        # On the way to another seed each tells its share, so that it can be made again alone.
        asked = [(seed, options) for seed in seeds]
        if options.to_seed >= 0:
            shares = _shares(len(seeds), options)
            asked = [(seeds[0], replace(options, share=share)) for share in shares]
        return [
            self._painted(prompt, image, own, {"seed": seed, **hashes})
            for (seed, own), image in zip(asked, images, strict=True)
        ]

    def draw_watched(
        self,
        prompt: str,
        seed: int,
        settings: Mapping[str, object],
        watching: Watching,
    ) -> Painted:
        """`draw` of one seed, shown on the way where a denoiser draws it."""
        options = self._options(settings)

        def show(step: int, image: Image.Image) -> None:
            facts = {"foreseen": {"step": step, "of": options.paint.denoising.steps}}
            watching.show(self._painted(prompt, image, options, {"seed": seed, **facts}))

        watch = Watch(count=watching.count, show=show, on_step=watching.on_step)
        images, hashes = self._images(prompt, (seed,), options, watch)
        return self._painted(prompt, images[0], options, {"seed": seed, **hashes})

    def sheet(self, prompt: str, seeds: tuple[int, ...], settings: Mapping[str, object]) -> Painted:
        """One picture for each seed, all upon one contact sheet."""
        options = self._options(settings)
        images, hashes = self._images(prompt, seeds, options)
        facts = {"seed": seeds[0], "seeds": list(seeds), **hashes}
        return self._painted(prompt, contact_sheet(images), options, facts)

    def _options(self, settings: Mapping[str, object]) -> PictureOptions:
        """As asked for; what is left open is decided here, so that a manifest tells: how a picture
        is enlarged, and how far it goes from the one that it begins with.
        """
        options = config.from_dict(PictureOptions, settings, where="settings")
        usual = usual_strength(options, autoencoder=isinstance(self.loaded.model, VAE))
        enlarged = self._draughtsman.settled(options.finish).enlarged
        return replace(options, enlarged=enlarged, strength=options.strength or usual)

    def _images(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        options: PictureOptions,
        watch: Watch = UNSEEN,
    ) -> tuple[list[Image.Image], dict[str, object]]:
        """A picture for each seed, and the hashes of the files that they began with.

        With `to_seed` there is one for each step of the way from the first seed.
        """
        painter = self._draughtsman.painter
        wanted = [painter.asked(prompt)] * len(seeds)
        start, hashes = start_of(options, painter.known)
        streams: list[Stream] = [(seed, "generate") for seed in seeds]
        toward = None
        if options.to_seed >= 0:
            streams = streams[:1] * len(seeds)
            shares = _shares(len(seeds), options)
            toward = Toward(stream=(options.to_seed, "generate"), shares=shares)
        images = self._draughtsman.draw(
            wanted, streams, options.finish, options.paint, start, toward, watch=watch
        )
        return images, hashes

    def _painted(
        self,
        prompt: str,
        image: Image.Image,
        options: PictureOptions,
        facts: Mapping[str, object],
    ) -> Painted:
        told = {"settings": config.to_dict(options), **facts}
        read_as = self._draughtsman.painter.read_as(prompt.strip(), options.paint)
        if read_as != prompt.strip():
            told["read_as"] = read_as
        beside = self._draughtsman.beside(options.finish)
        manifest = drawn_manifest(self.loaded, prompt, "image/png", encode_png(image), told, beside)
        every = (self.loaded, *beside)
        made_from = tuple(record for one in every for record in (*one.ancestors, one.manifest))
        return Painted(image=image, manifest=manifest, made_from=made_from)


def _shares(count: int, options: PictureOptions) -> list[float]:
    """How far each of `count` pictures is on the way to another seed."""
    if count == 1:
        return [options.share]
    found: list[float] = np.linspace(0, 1, count).tolist()
    return found
