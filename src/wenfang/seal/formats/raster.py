"""What picture formats share: label and watermark on the pixels, and both found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wenfang.errors import MediaError
from wenfang.language import keyed, t
from wenfang.seal.formats.contract import Drawn, Marking, Trace, visible_layer
from wenfang.seal.layers import Layer

if TYPE_CHECKING:
    from PIL import Image

    from wenfang.seal.picture import Measured


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Pixels with their watermark and, over it, their visible label; facts for the manifest."""

    image: Image.Image
    visible: Mapping[str, object]
    watermark: Mapping[str, object]


def label_pixels(content: bytes | Image.Image, marking: Marking) -> Labelled:
    """Mark a picture (RGB or RGBA), or the bytes of one; MediaError for bytes that are none."""
    from wenfang.media.image import decode_image
    from wenfang.seal.picture import label_picture

    image = decode_image(content) if isinstance(content, bytes) else content
    marked, watermark = mark_pixels(image, marking)
    canvas, visible = label_picture(marked, marking.settings.words)
    return Labelled(image=canvas, visible=visible, watermark=watermark)


def label_encoded(
    image: Image.Image, marking: Marking, encode: Callable[[Image.Image], bytes]
) -> Drawn:
    """The picture as `encode` writes it, with a label that is legible in what comes back."""
    from wenfang.media.image import decode_image
    from wenfang.seal.picture import label_picture

    data = b""

    def shown(canvas: Image.Image) -> Image.Image:
        nonlocal data
        data = encode(canvas)
        return decode_image(data)

    marked, watermark = mark_pixels(image, marking)
    marked.info.clear()  # what a file brought along, which Pillow would write again
    _, visible = label_picture(marked, marking.settings.words, shown=shown)
    return Drawn(data=data, inserted=None, visible=visible, watermark=watermark)


def mark_pixels(image: Image.Image, marking: Marking) -> tuple[Image.Image, Mapping[str, object]]:
    """The picture with its watermark, or as it was and why it has none."""
    if not marking.settings.watermark:
        return image, {"none": keyed("watermarks are switched off in label.json")}
    from wenfang.seal.watermark import picture as watermark

    reason = watermark.worth_marking(image)
    if reason is not None:
        return image, {"none": reason}
    facts = {"kind": watermark.KIND, "pointer": marking.pointer}
    return watermark.embed(image, marking.pointer), facts


def trace_pixels(data: bytes, search: bool) -> Trace:
    """The watermark in a picture's bytes; nothing for bytes that are no picture."""
    from wenfang.media.image import decode_image
    from wenfang.seal.watermark import picture as watermark

    try:
        image = decode_image(data)
    except MediaError:
        return Trace(pointer=None, p_value=1.0)
    found = watermark.detect(image, search=search)
    return Trace(pointer=found.pointer, p_value=found.p_value, facts=found.facts())


def measure_pixels(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    """The visible layer of a picture: the recorded label measured again on its pixels."""
    from wenfang.media.image import decode_image

    return measure_shown(lambda: [decode_image(data)], recorded)


def measure_shown(
    show: Callable[[], Sequence[Image.Image]], recorded: Mapping[str, Any] | None
) -> Layer:
    """The visible layer of pictures that show the same label; `show` may raise MediaError.

    They are not asked for unless the record can be used.
    """
    from wenfang.seal.picture import measure_frames, recorded_glyphs

    if not recorded:
        return visible_layer("unknown", t("nothing says where the visible label is"))
    try:
        red, green, blue = (int(level) for level in recorded["colour"])
        frames = show()
        size = frames[0].size
        found = measure_frames(frames, recorded_glyphs(recorded, size), (red, green, blue))
    except MediaError as error:
        return visible_layer("unknown", str(error))
    except (KeyError, TypeError, ValueError, OverflowError):
        return visible_layer("unknown", t("the record of the visible label is not readable"))
    share = found.glyph_height_px / min(size)
    return judge_visible(recorded, share, found)


def judge_visible(recorded: Mapping[str, Any], share: float, found: Measured) -> Layer:
    """The visible layer by what was measured; `share` is the glyphs' height of the short side."""
    from wenfang.seal.picture import CONTRAST, GLYPH_SHARE

    facts = {
        "words": recorded.get("words"),
        "glyph_height_px": found.glyph_height_px,
        "glyph_share": round(share, 4),
        "contrast": round(found.contrast, 2),
    }
    percent, ratio = f"{share:.1%}", f"{found.contrast:.1f}"
    if share < GLYPH_SHARE or found.contrast < CONTRAST:
        finding = t(
            "the visible label is too small or too faint: {percent} of the short side, "
            "contrast {ratio}:1 (5 % and 4.5:1 are asked)",
            percent=percent,
            ratio=ratio,
        )
        return visible_layer("unlabelled", finding, facts)
    finding = t("visible label: {percent} of the short side, contrast {ratio}:1", percent=percent,
                ratio=ratio)  # fmt: skip
    return visible_layer("good", finding, facts)
