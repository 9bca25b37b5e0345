"""What film formats share: the label drawn before the only encoding, and measured on the pixels.

The sound of a film that is made here carries the watermark of sounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wenfang.errors import MediaError
from wenfang.language import keyed, t
from wenfang.media.video import Film, Kind, first_frames, first_sound
from wenfang.seal.formats.contract import Drawn, Marking, Trace, visible_layer
from wenfang.seal.layers import Layer
from wenfang.seal.picture import CONTRAST, GLYPH_SHARE, measure_picture, recorded_glyphs

ASKED_S, LOOK_EVERY_S, MEASURE_EVERY_S = 2.0, 0.1, 0.5
STEADY_LEVELS = 16.0  # root mean square by which the label may differ from its first picture
TRACED_S, SEARCHED_S = 40.0, 180.0  # as much as a watermark is looked for in


def draw_film(content: bytes | Film, marking: Marking, kind: Kind) -> Drawn:
    """The film with its visible label, encoded once; MediaError for what is no film."""
    from wenfang.media.video_encoding import encode
    from wenfang.seal.formats.film_label import film_label

    patch, visible = film_label(content, marking.settings.words)
    marked, watermark = _with_marked_sound(content, marking)
    data = encode(marked, kind, patch.lay)
    return Drawn(data=data, inserted=None, visible=visible, watermark=watermark)


def _with_marked_sound(
    content: bytes | Film, marking: Marking
) -> tuple[bytes | Film, Mapping[str, object]]:
    """The film with a watermark in its sound, or as it was and why it has none."""
    from wenfang.seal.formats.sounding import mark_samples

    if not isinstance(content, Film):
        reason = keyed(
            "the sound of a film made elsewhere is left as it is, and its pictures carry no "
            "watermark yet"
        )
        return content, {"none": reason}
    if content.sound is None:
        return content, {
            "none": keyed("pictures of a film carry no watermark yet, and it has no sound")
        }
    sound, watermark = mark_samples(content.sound, marking)
    return replace(content, sound=sound), watermark


def trace_film(data: bytes, search: bool) -> Trace:
    """The watermark in a film's sound; nothing for bytes that are no film."""
    from wenfang.seal.watermark import sound as watermark

    try:
        sound = first_sound(data, SEARCHED_S if search else TRACED_S)
    except MediaError:
        sound = None
    if sound is None:
        return Trace(pointer=None, p_value=1.0)
    found = watermark.detect(sound.samples, sound.sample_rate_hz, search=search)
    facts = {"score": round(found.score, 2)}
    return Trace(pointer=found.pointer, p_value=found.p_value, facts=facts)


def measure_film(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    """The visible layer of a film: the recorded label measured again on its first two seconds."""
    if not recorded:
        return visible_layer("unknown", t("nothing says where the visible label is"))
    try:
        seen = _seen(data, recorded)
    except MediaError as error:
        return visible_layer("unknown", str(error))
    except (KeyError, TypeError, ValueError, OverflowError):
        return visible_layer("unknown", t("the record of the visible label is not readable"))
    facts = {
        "words": recorded.get("words"),
        "glyph_height_px": seen.glyph_height_px,
        "glyph_share": round(seen.share, 4),
        "contrast": round(seen.contrast, 2),
        "seconds": round(seen.seconds, 2),
    }
    percent, ratio, seconds = f"{seen.share:.1%}", f"{seen.contrast:.1f}", f"{seen.seconds:.1f}"
    if seen.share < GLYPH_SHARE or seen.contrast < CONTRAST:
        finding = t(
            "the visible label is too small or too faint: {percent} of the short side, "
            "contrast {ratio}:1 (5 % and 4.5:1 are asked)",
            percent=percent,
            ratio=ratio,
        )
        return visible_layer("unlabelled", finding, facts)
    if not seen.long_enough:
        finding = t("the visible label is gone after {seconds} s; 2 s are asked", seconds=seconds)
        return visible_layer("unlabelled", finding, facts)
    finding = t(
        "visible label: {percent} of the short side, contrast {ratio}:1, on every picture of the "
        "first {seconds} s",
        percent=percent,
        ratio=ratio,
        seconds=seconds,
    )
    return visible_layer("good", finding, facts)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The label on the opening pictures: the lowest values while it stands, and how long it does.

    A first picture without it gives that picture's values and no seconds.
    """

    glyph_height_px: int
    share: float
    contrast: float
    seconds: float
    long_enough: bool


def _seen(data: bytes, recorded: Mapping[str, Any]) -> _Seen:
    red, green, blue = (int(level) for level in recorded["colour"])
    left, top, right, bottom = (int(edge) for edge in recorded["box"])
    first: NDArray[np.float32] | None = None
    measures: list[tuple[int, float, float]] = []  # glyph height in px, its share, contrast
    seconds, due_s, gone = 0.0, 0.0, False
    for start_s, end_s, pixels in first_frames(data, ASKED_S, LOOK_EVERY_S):
        area = pixels[top:bottom, left:right].astype(np.float32)
        first = area if first is None else first
        gone = float(np.sqrt(((area - first) ** 2).mean())) > STEADY_LEVELS
        if start_s >= due_s or end_s >= ASKED_S:
            image, due_s = Image.fromarray(pixels), start_s + MEASURE_EVERY_S
            glyphs = recorded_glyphs(recorded, image.size)
            found = measure_picture(image, glyphs, (red, green, blue))
            share = found.glyph_height_px / min(image.size)
            gone = gone or share < GLYPH_SHARE or found.contrast < CONTRAST
            if not gone or not measures:
                measures.append((found.glyph_height_px, share, found.contrast))
        seconds = start_s if gone else min(end_s, ASKED_S)
        if gone:
            break
    if not measures:
        raise MediaError("{name} is a broken film; export it again", name="the film")
    heights, shares, contrasts = zip(*measures, strict=True)
    return _Seen(
        glyph_height_px=min(heights),
        share=min(shares),
        contrast=min(contrasts),
        seconds=seconds,
        long_enough=not gone,
    )
