"""Finished pictures of one bundle: drawn, made as large as asked, in the colours of a brand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wenfang.backends.enlarger import Enlarger
from wenfang.backends.loading import same_bundle
from wenfang.backends.painter import Asked, Painter, PaintOptions, Stream, Toward
from wenfang.backends.starting import Start
from wenfang.data.pixels import as_image
from wenfang.errors import ConfigError, MediaError
from wenfang.media.recolour import read_palette, recoloured
from wenfang.media.traced import traced
from wenfang.models.load import Enlarging, Loaded, load

LEAST_SIDE_PX = 256  # a label must be legible upon it
PLAIN = PaintOptions()
FINISHING_THREADS = 2


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What becomes of a picture once it is drawn.

    side_px   of the image; 0: the model's own, times the least whole number that gives 256
    enlarged  how it is made larger than the model drew it: "drawn" by the upscaler that the model
              names, "smooth" between its pixels, "squares", each pixel as one, or "traced", its
              colours few and their borders sharp; "": as the model says, else drawn where there is
              an upscaler, else smooth
    palette   colours of a brand, as of `media.recolour`; "": its own
    """

    side_px: int = 0
    enlarged: Enlarging = ""
    palette: str = ""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who looks at a picture while a denoiser draws it; other models draw at one stroke.

    count    how often it is shown, evenly over the steps; fewer where there are few
    show     hears a step's number, from 1, and the picture that is foreseen then
    on_step  is called at every step, and may raise to stop it
    """

    count: int = 0
    show: Callable[[int, Image.Image], None] = lambda step, image: None
    on_step: Callable[[], None] = lambda: None

    def steps(self, total: int) -> set[int]:
        """The steps at which it is shown; never at the last, whose picture is the one itself."""
        shown = {round(number * total / (self.count + 1)) for number in range(1, self.count + 1)}
        return {step for step in shown if 0 < step < total}


UNSEEN = Watch()


class Draughtsman:
    """A painter, with what its pictures are made larger by."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded, self.painter = loaded, Painter(loaded)
        upscaler = self.painter.known.upscaler
        self._enlarger = Enlarger(load(same_bundle(upscaler, loaded.name))) if upscaler else None

    def settled(self, finish: Finish) -> Finish:
        """With the way of enlarging decided; raises ConfigError where an upscaler is missing."""
        if finish.enlarged == "drawn" and self._enlarger is None:
            raise ConfigError(
                "settings.enlarged is drawn, but {model} names no upscaler; use smooth or squares",
                model=self.loaded.name,
            )
        own: Enlarging = "drawn" if self._enlarger else "smooth"
        return replace(finish, enlarged=finish.enlarged or self.painter.known.enlarged or own)

    def draw(
        self,
        asked: Sequence[Asked],
        streams: Sequence[Stream],
        finish: Finish,
        options: PaintOptions = PLAIN,
        start: Start | None = None,
        toward: Toward | None = None,
        *,
        watch: Watch = UNSEEN,
    ) -> list[Image.Image]:
        """An image for each thing asked for and each stream; see `Painter.paint`.

        watch  sees the first of them
        """
        finish = self.settled(finish)
        palette = read_palette(finish.palette)
        shown = watch.steps(options.denoising.steps)

        def finished(one: NDArray[np.uint8]) -> Image.Image:
            return recoloured(enlarged(one, finish, self._enlarger), palette)

        def on_step(step: int, data: Tensor) -> None:
            watch.on_step()
            if step in shown:
                watch.show(step, finished(self.painter.foreseen(data[:1], start)[0]))

        pixels = self.painter.paint(asked, streams, options, on_step, start, toward)
        if len(pixels) == 1:
            return [finished(pixels[0])]
        with ThreadPoolExecutor(FINISHING_THREADS) as pool:  # tracing and scaling let go of Python
            return list(pool.map(finished, pixels))

    def beside(self, finish: Finish) -> tuple[Loaded, ...]:
        """The other bundles that such pictures are drawn with."""
        drawn = self.settled(finish).enlarged == "drawn"
        own = (self._enlarger.loaded,) if self._enlarger and drawn else ()
        return (*self.painter.companions, *own)


def enlarged(
    pixels: NDArray[np.uint8], finish: Finish, enlarger: Enlarger | None = None
) -> Image.Image:
    """(S, S, C) as an image of the side that is asked for; grey is told in three colours."""
    image = as_image(pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels)
    side = finish.side_px or image.width * math.ceil(LEAST_SIDE_PX / image.width)
    if finish.enlarged == "traced":
        try:
            return traced(image).image(side)
        except MediaError:  # nothing is seen of it, so there is nothing to sharpen
            return image.resize((side, side))
    if enlarger and finish.enlarged == "drawn":
        while image.width < side:
            image = enlarger.enlarge(image)
    if side == image.width:
        return image
    way = Image.Resampling.NEAREST if finish.enlarged == "squares" else Image.Resampling.LANCZOS
    # Edges are mixed by what is seen of them; Pillow weighs RGBA so by itself.
    return image.resize((side, side), way)
