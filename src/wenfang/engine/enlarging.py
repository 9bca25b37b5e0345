"""A given picture, larger: `wenfang generate upscaler --set start=small.png -o large.png`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from wenfang import config
from wenfang.atomic import sha256_file
from wenfang.backends.enlarger import Enlarger
from wenfang.backends.texts import OnText
from wenfang.engine.asset import BundleMaker, drawn_manifest
from wenfang.engine.painting import Painted
from wenfang.engine.picture_options import MOST_SIDE_PX, given_file, require_side
from wenfang.errors import BriefError
from wenfang.media.image import encode_png, read_image
from wenfang.models.load import Loaded


@dataclass(frozen=True, kw_only=True)
class EnlargeOptions:
    """Settings of `generate` for an upscaler.

    start    the file with the picture that is made larger
    side_px  its longer side afterwards; 0: as many times longer as the model makes it
    """

    start: str = ""
    side_px: int = 0

    def __post_init__(self) -> None:
        """Refuse a side that no file should have."""
        require_side(self.side_px)


class EnlargingModel(BundleMaker):
    """A loaded upscaler."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.name = loaded, loaded.name
        self._enlarger = Enlarger(loaded)

    def draw(
        self,
        prompt: str,
        seeds: tuple[int, ...],
        settings: Mapping[str, object],
        on_text: OnText | None = None,
    ) -> list[Painted]:
        """The picture, larger, for each seed: it is the same for all.

        raises BriefError for a prompt, no picture, or one that would become too large
        """
        if prompt.strip():
            raise BriefError(
                "{model} draws without being told what; leave the prompt out", model=self.name
            )
        options = config.from_dict(EnlargeOptions, settings, where="settings")
        if not options.start:
            raise BriefError(
                "{model} makes a picture larger; name it with --set start=FILE", model=self.name
            )
        path = given_file(options.start)
        image = larger(read_image(path), options, self._enlarger)
        facts = {"settings": config.to_dict(options), "start_sha256": sha256_file(path)}
        content = encode_png(image)
        return [
            Painted(
                image=image,
                manifest=drawn_manifest(
                    self.loaded, "", "image/png", content, {"seed": seed, **facts}
                ),
                made_from=(*self.loaded.ancestors, self.loaded.manifest),
            )
            for seed in seeds
        ]


def larger(image: Image.Image, options: EnlargeOptions, enlarger: Enlarger) -> Image.Image:
    """`image` as large as is asked for: drawn larger until it is, then shrunk to it."""
    longer = max(image.size)
    side = options.side_px or longer * enlarger.times
    if side > MOST_SIDE_PX or side < longer:
        raise BriefError(
            "{start} is {size[0]} x {size[1]} pixels and cannot become {side} wide or high; set "
            "side_px to {longer} or more and at most {most}",
            start=options.start,
            size=image.size,
            longer=longer,
            side=side,
            most=MOST_SIDE_PX,
        )
    size = tuple(max(1, round(one * side / longer)) for one in image.size)
    while max(image.size) < side:
        image = enlarger.enlarge(image)
    if image.size == size:
        return image
    return image.resize((size[0], size[1]), Image.Resampling.LANCZOS)
