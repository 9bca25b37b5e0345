"""What `generate` may be told of a picture, and the picture that it begins with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from wenfang.atomic import sha256_file
from wenfang.backends.draughtsman import Finish
from wenfang.backends.painter import PaintOptions
from wenfang.backends.starting import Start, Task
from wenfang.data.picture_folder import squared
from wenfang.data.picture_views import upon_white
from wenfang.data.pixels import Pixels
from wenfang.errors import BriefError, ConfigError
from wenfang.media.image import read_image
from wenfang.media.recolour import read_palette
from wenfang.models.load import Enlarging, Painting
from wenfang.samplers.restoring import noise_of
from wenfang.store import home

MOST_SIDE_PX = 4096
MOST_MARGIN = 0.4
VARIED = 0.6
VARIED_BY_AUTOENCODER = 0.2  # of the way to chance: beyond, its pictures fall apart
PAINTED_ANEW = 1.0  # a mask says where; how much may change there is all


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """Settings of `generate` for a model that makes pictures.

    side_px   of the file; 0: the model's own, times the least whole number that gives 256
    enlarged  how a picture is made larger than the model drew it: "drawn" by the upscaler that the
              model names, "smooth" between its pixels, "squares", each pixel as one, or "traced",
              its colours few and their borders sharp; "": as the model says, else drawn where there
              is an upscaler, else smooth
    palette   colours of a brand, as "#1d3557, gold": the picture's light in these; "": its own
    to_seed   another seed; the pictures that are asked for lie on the way to it. -1: none
    share     of that way, where one picture is asked for
    start     a file with a picture to begin with
    task      what is done with it: "vary" makes a variation; "colourise" keeps its light and draws
              colours; "superresolve" takes it for a picture `times` as small as the model's and
              draws what it may have been; "denoise" takes its grain away
    strength  of "vary": share of the way that is walked again: near 0 little of it changes, at 1
              all may; 0: as what is asked wants it, see `usual_strength`
    times     of "superresolve": 2 or 4, say
    noise     of "denoise": deviation of the grain, of 255 levels; 0: it is estimated
    mask      a file whose white parts are painted anew while the rest of `start` stays
    margin    share of the side that is painted anew around `start`, which becomes smaller
    """

    paint: PaintOptions = PaintOptions()
    side_px: int = 0
    enlarged: Enlarging = ""
    palette: str = ""
    to_seed: int = -1
    share: float = 0.5
    start: str = ""
    task: Task = "vary"
    strength: float = 0.0
    times: int = 4
    noise: float = 0.0
    mask: str = ""
    margin: float = 0.0

    @property
    def finish(self) -> Finish:
        """What becomes of the picture once it is drawn."""
        return Finish(side_px=self.side_px, enlarged=self.enlarged, palette=self.palette)

    def __post_init__(self) -> None:
        """Refuse a side that no file should have, and what does not go together."""
        require_side(self.side_px)
        if not 0 <= self.share <= 1:
            raise ConfigError(
                "settings.share is {value}; it must be 0 to {most}", value=self.share, most=1
            )
        read_palette(self.palette)
        if not 0 <= self.strength <= 1:
            raise ConfigError(
                "settings.strength is {value}; it must be above 0 and at most 1",
                value=self.strength,
            )
        if not 0 <= self.margin <= MOST_MARGIN:
            raise ConfigError(
                "settings.margin is {value}; it must be 0 to {most}",
                value=self.margin,
                most=MOST_MARGIN,
            )
        if self.times < 2 or not 0 <= self.noise <= 255:
            raise ConfigError("settings.times must be 2 or more, settings.noise 0 to 255")
        for name in ("mask", "margin"):
            if getattr(self, name) and not self.start:
                raise ConfigError(
                    "settings.{name} is of a picture; name it with settings.start", name=name
                )
        if self.task != "vary" and (self.mask or self.margin or not self.start):
            raise ConfigError(
                "settings.task {task} is done with the whole of settings.start; name that, and "
                "neither mask nor margin",
                task=self.task,
            )


def usual_strength(options: PictureOptions, *, autoencoder: bool) -> float:
    """How far a picture goes from the one that it begins with, where nobody says it."""
    if autoencoder and options.start:
        return VARIED_BY_AUTOENCODER
    return PAINTED_ANEW if options.mask else VARIED


def require_side(side_px: int) -> None:
    """ConfigError for a side that no file should have; 0 is a side that is not asked for."""
    if not 0 <= side_px <= MOST_SIDE_PX:
        raise ConfigError(
            "settings.side_px is {value}; it must be at most {most}, or 0",
            value=side_px,
            most=MOST_SIDE_PX,
        )


def given_file(name: str) -> Path:
    """A file by its path from here, or from the home: what a server was given lies there, and the
    manifests that name it tell nothing of the machine.
    """
    path = Path(name)
    return path if path.is_absolute() or path.exists() else home() / path


def start_of(options: PictureOptions, known: Painting) -> tuple[Start | None, dict[str, object]]:
    """The picture to begin with, at the model's size, and the hashes of its files.

    raises BriefError for a mask of another size, and for a task that the model's pictures do not
    bear
    """
    if not options.start:
        return None, {}
    image = read_image(given_file(options.start))
    hashes: dict[str, object] = {"start_sha256": sha256_file(given_file(options.start))}
    side = known.side_px
    if options.task == "colourise" and known.channels < 3:
        raise BriefError("the model draws in grey, so it has no colours to give")
    if options.task == "superresolve":
        if side % options.times:
            raise BriefError(
                "the model's pictures have {side} pixels, which {times} does not divide",
                side=side,
                times=options.times,
            )
        small = _read(image, side // options.times, known.channels)
        one = small.repeat_interleave(options.times, 2).repeat_interleave(options.times, 3)
    else:
        one = _read(image, side, known.channels)
    fresh = None
    if options.mask:
        fresh = _mask(options, image, side)
        hashes["mask_sha256"] = sha256_file(given_file(options.mask))
    if options.margin:
        one, fresh = _framed(image, options.margin, known, fresh)
    grain = options.noise / 127.5 or noise_of(one[0]) if options.task == "denoise" else 0.0
    start = Start(
        picture=one,
        strength=options.strength,
        fresh=fresh,
        task=options.task,
        square_px=options.times,
        noise_std=grain,
    )
    return start, hashes


def _read(image: Image.Image, side: int, channels: int) -> Tensor:
    """(1, C, side, side) of -1..1; what does not fit is cut off."""
    return Pixels.of([squared(image, side, "cover")], channels).tensor(slice(None))


def _mask(options: PictureOptions, image: Image.Image, side: int) -> Tensor:
    mask = read_image(given_file(options.mask))
    if mask.size != image.size:
        raise BriefError(
            "{mask} is {own[0]} x {own[1]} pixels, {start} {other[0]} x {other[1]}; a mask has "
            "the size of its picture",
            mask=options.mask,
            own=mask.size,
            start=options.start,
            other=image.size,
        )
    return (_read(upon_white(mask), side, 1) + 1) / 2


def _framed(
    image: Image.Image, margin: float, known: Painting, fresh: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The picture smaller, in the middle of nothing, and a mask of all around it."""
    side = known.side_px
    edge = max(1, round(side * margin))
    inner = _read(image, side - 2 * edge, known.channels)
    # Nothing is black to a model, and what is seen through has no colour.
    framed = torch.full((1, known.channels, side, side), -1.0)
    framed[..., edge : side - edge, edge : side - edge] = inner
    around = torch.ones(1, 1, side, side)
    within = around[..., edge : side - edge, edge : side - edge]
    within.zero_()
    if fresh is not None:
        size = (side - 2 * edge, side - 2 * edge)
        within += torch.nn.functional.adaptive_max_pool2d(fresh, size)
    return framed, around
