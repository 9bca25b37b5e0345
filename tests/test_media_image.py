"""Images: bounded before they are decoded, stable when they are written."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wenfang.errors import MediaError
from wenfang.media.image import (
    decode_image,
    encode_png,
    read_image,
    resize,
    same_pixels,
    web_size,
)


def picture(width: int = 40, height: int = 30, mode: str = "RGB") -> Image.Image:
    rng = np.random.Generator(np.random.Philox(key=1))
    depth = len(mode)
    return Image.fromarray(rng.integers(0, 256, (height, width, depth), np.uint8), mode)


def written(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_png_bytes_give_back_the_pixels(mode: str) -> None:
    image = picture(mode=mode)
    assert same_pixels(decode_image(encode_png(image)), image)


def test_png_bytes_do_not_depend_on_where_the_pixels_came_from() -> None:
    image = picture()
    travelled = decode_image(written(image, "PNG", dpi=(72, 72)))
    travelled.info["comment"] = "from elsewhere"
    assert encode_png(travelled) == encode_png(image)


def test_a_small_file_that_claims_gigapixels_is_refused_before_decoding() -> None:
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(MediaError, match="pixels"):
        decode_image(bomb, "bomb.png")


def test_the_bounds_are_what_they_say() -> None:
    data = encode_png(picture())
    with pytest.raises(MediaError, match="the limit is 1199"):
        decode_image(data, limit_pixels=1199)
    with pytest.raises(MediaError, match="bytes"):
        decode_image(data, limit_bytes=len(data) - 1)
    assert decode_image(data, limit_pixels=1200, limit_bytes=len(data)).size == (40, 30)


def test_a_cut_file_is_called_broken() -> None:
    data = encode_png(picture(400, 300))
    with pytest.raises(MediaError, match="broken"):
        decode_image(data[: len(data) // 2], "cut.png")


@pytest.mark.parametrize("data", [b"", b"not an image", b"%PDF-1.7"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="not an image"):
        decode_image(data)


def test_an_image_is_turned_upright_by_its_exif() -> None:
    exif = Image.Exif()
    exif[274] = 6
    assert decode_image(written(picture(), "JPEG", exif=exif)).size == (30, 40)


def test_the_web_size_keeps_the_proportions_and_never_enlarges() -> None:
    assert web_size(picture(1240, 1754)).size == (620, 877)
    assert web_size(picture(300, 200)).size == (300, 200)


def test_resizing_averages_and_does_not_pick_pixels() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = np.asarray(resize(Image.fromarray(stripes), 16))
    assert abs(float(small[4:-4, 4:-4].mean()) - 127.5) < 3
    with pytest.raises(MediaError, match="at least 1"):
        resize(picture(), 0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.png"):
        read_image(tmp_path / "gone.png")


def test_a_side_beyond_every_format_is_refused_before_it_is_decoded() -> None:
    from wenfang.media.image import LIMIT_SIDE_PX

    buffer = io.BytesIO()
    Image.new("L", (LIMIT_SIDE_PX + 1, 1)).save(buffer, "PNG")
    with pytest.raises(MediaError, match="limit"):
        decode_image(buffer.getvalue())
