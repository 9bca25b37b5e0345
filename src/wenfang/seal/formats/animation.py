"""What GIF and WebP share: their frames, decoded within bounds, labelled and measured."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from wenfang.errors import MediaError
from wenfang.language import keyed
from wenfang.seal.formats.contract import Drawn, Marking
from wenfang.seal.formats.raster import label_encoded, measure_shown
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from PIL import Image

    from wenfang.media.video import Film

Kind = Literal["GIF", "WEBP"]
MAX_FRAMES = 5000
MAX_FRAME_PIXELS = 40_000_000  # of all frames together, where there are several


@dataclass(frozen=True, kw_only=True, eq=False)
class Animation:
    """Whole frames as they are seen, RGB or, if any is transparent, RGBA; one for a still picture.

    durations_ms  of each frame
    loop          how often it runs, 0 for ever; None where the file does not say
    """

    frames: list[Image.Image]
    durations_ms: tuple[int, ...] = ()
    loop: int | None = None


def drawn_animation(content: Image.Image | Film) -> Animation:
    """A picture, or a film without its sound, that runs for ever; MediaError if it is too large."""
    from PIL import Image

    if isinstance(content, Image.Image):
        return Animation(frames=[content.copy()])
    frames: list[Image.Image] = []
    pixels = 0
    for frame in content.frames:
        frames.append(Image.fromarray(frame))
        pixels += frame.shape[0] * frame.shape[1]
        if pixels > MAX_FRAME_PIXELS or len(frames) > MAX_FRAMES:
            raise _too_many(len(frames), frames[0])
    if not frames:
        raise MediaError("a film without a frame cannot be labelled; give it one")
    times = [round(number * 1000 / content.fps) for number in range(len(frames) + 1)]
    durations = tuple(after - before for before, after in pairwise(times))
    return Animation(frames=frames, durations_ms=durations, loop=0)


def _too_many(count: int, one: Image.Image) -> MediaError:
    return MediaError(
        "the animation has {count} frames of {width} x {height} pixels, too many to label; "
        "make it shorter or smaller",
        count=count,
        width=one.width,
        height=one.height,
    )


def decode_animation(data: bytes, kind: Kind, ends: bool = False) -> Animation:
    """The frames of a file; with `ends` only the first, the middle and the last of them.

    raises MediaError if it has too many pixels or frames, is broken or of another format
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow's own bound only warns at first; ours is stricter and always raises.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=(kind,)) as image:
                return _decode(image, ends)
    except Image.DecompressionBombError as fault:
        raise MediaError(
            "{name} claims too many pixels; make it smaller", name="the image"
        ) from fault
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as fault:
        raise MediaError("{name} is a broken image; export it again", name="the image") from fault


def _decode(image: Image.Image, ends: bool) -> Animation:
    from PIL import ImageOps

    from wenfang.media.image import LIMIT_PIXELS

    pixels = image.width * image.height
    count = int(getattr(image, "n_frames", 1)) if pixels <= LIMIT_PIXELS else 1
    if count > MAX_FRAMES or pixels * count > (MAX_FRAME_PIXELS if count > 1 else LIMIT_PIXELS):
        raise _too_many(count, image)
    wanted = {0, count // 2, count - 1} if ends else range(count)
    frames, durations = list[Any](), list[int]()
    for number in range(count):
        image.seek(number)
        image.load()
        durations.append(max(0, round(image.info.get("duration") or 0)))
        if number in wanted:
            frames.append(image.convert("RGBA"))
    loop = image.info.get("loop")
    if count == 1:
        frames = [ImageOps.exif_transpose(frames[0])]
    if all(one.getchannel("A").getextrema() == (255, 255) for one in frames):
        frames = [one.convert("RGB") for one in frames]
    for one in frames:
        one.info.clear()  # what the file brought along, which Pillow would write again
    return Animation(
        frames=frames, durations_ms=tuple(durations), loop=None if loop is None else int(loop)
    )


def label_animation(
    animation: Animation,
    marking: Marking,
    kind: Kind,
    encode: Callable[[Animation], bytes],
) -> Drawn:
    """The animation as `encode` writes it, with the same label on every frame.

    A still picture gets a watermark too, where it is worth one.
    """
    from wenfang.seal.picture import label_frames

    if len(animation.frames) == 1:
        still = animation.frames[0]
        return label_encoded(still, marking, lambda one: encode(replace(animation, frames=[one])))
    data = b""

    def shown(frames: list[Image.Image]) -> list[Image.Image]:
        nonlocal data
        data = encode(replace(animation, frames=frames))
        return decode_animation(data, kind, ends=True).frames

    _, visible = label_frames(animation.frames, marking.settings.words, shown=shown)
    none = {"none": keyed("an animation holds no watermark")}
    return Drawn(data=data, inserted=None, visible=visible, watermark=none)


def measure_animation(data: bytes, recorded: Mapping[str, Any] | None, kind: Kind) -> Layer:
    """The visible layer by the first, the middle and the last frame."""
    return measure_shown(lambda: decode_animation(data, kind, ends=True).frames, recorded)
