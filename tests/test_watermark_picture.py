"""The invisible watermark of pictures: read back after what happens to pictures, never invented."""

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from wenfang.seal.watermark import codes
from wenfang.seal.watermark.pattern import chance, tile
from wenfang.seal.watermark.picture import (
    CHANCE,
    PUBLIC_KEY,
    SMALLEST_PX,
    detect,
    embed,
    worth_marking,
)

POINTER = "0123456789ab"


def textured(height_px: int = 512, width_px: int = 640, seed: int = 1) -> Image.Image:
    """Coarse and fine noise in colour, as in a photograph."""
    rng = np.random.default_rng(seed)
    plane = np.zeros((height_px, width_px, 3))
    for cell_px, levels in ((64, 40), (16, 16), (4, 6)):
        knots = rng.normal(0, levels, (height_px // cell_px + 1, width_px // cell_px + 1, 3))
        grown = np.kron(knots, np.ones((cell_px, cell_px, 1)))
        plane += grown[:height_px, :width_px]
    plane += rng.normal(128, 2, (height_px, width_px, 1))
    return Image.fromarray(np.clip(plane, 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image: Image.Image, scale: float) -> Image.Image:
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def marked() -> Image.Image:
    return embed(textured(), POINTER)


ATTACKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg 50": lambda image: saved(image, "JPEG", 50),
    "webp 75": lambda image: saved(image, "WEBP", 75),
    "a third of it": lambda image: image.crop((101, 53, 471, 347)),
    "half as large": lambda image: scaled(image, 0.5),
    "twice as large": lambda image: scaled(image, 2.0),
    "turned by 5 degrees": lambda image: image.rotate(5, Image.Resampling.BICUBIC, expand=True),
    "a quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "smaller and jpeg 75": lambda image: saved(scaled(image, 0.7), "JPEG", 75),
    "cropped and jpeg 50": lambda image: saved(image.crop((30, 30, 500, 400)), "JPEG", 50),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_pointer_survives(marked: Image.Image, attack: str) -> None:
    found = detect(ATTACKS[attack](marked))
    assert found.pointer == POINTER
    assert found.p_value < CHANCE


def test_scale_and_angle_are_told(marked: Image.Image) -> None:
    found = detect(scaled(marked, 0.8).rotate(3, Image.Resampling.BICUBIC))
    assert found.scale == pytest.approx(0.8, rel=0.005)
    assert found.rotation_degrees == pytest.approx(3, abs=0.2)


def test_what_a_crop_took_away_is_told(marked: Image.Image) -> None:
    whole, cut = (detect(one, search=False) for one in (marked, marked.crop((7, 11, 640, 512))))
    assert whole.offset_px == (0, 0)
    assert cut.offset_px is not None
    assert [(-at) % 150 for at in cut.offset_px] == [7, 11]


def test_a_mark_is_faint_and_the_same_each_time(marked: Image.Image) -> None:
    image = textured()
    error = np.asarray(image, float) - np.asarray(marked, float)
    assert 10 * math.log10(255**2 / (error**2).mean()) > 38
    assert embed(image, POINTER).tobytes() == marked.tobytes()
    assert (marked.mode, marked.size) == (image.mode, image.size)


def test_nothing_is_found_where_nothing_was_put(marked: Image.Image) -> None:
    for image in (textured(seed=2), Image.new("RGB", (300, 300), "white")):
        found = detect(image)
        assert (found.pointer, found.p_value) == (None, 1.0)
    assert detect(marked, key=b"another").pointer is None


def test_another_key_is_read_with_that_key_alone() -> None:
    private = embed(textured(), POINTER, key=b"a press's own")
    assert detect(private, key=b"a press's own", search=False).pointer == POINTER
    assert detect(private).pointer is None


def test_a_second_mark_is_read_beside_the_first(marked: Image.Image) -> None:
    found = detect(embed(marked, "ba9876543210"), search=False)
    assert {found.pointer, *found.others} == {POINTER, "ba9876543210"}


def test_alpha_and_what_it_hides_stay() -> None:
    image = textured().convert("RGBA")
    alpha = Image.linear_gradient("L").resize(image.size)
    alpha.paste(0, (0, 0, 200, 200))
    image.putalpha(alpha)
    both = embed(image, POINTER)
    before, after = np.asarray(image), np.asarray(both)
    hidden = before[..., 3] == 0
    assert both.mode == "RGBA"
    assert (before[..., 3] == after[..., 3]).all()
    assert (before[hidden] == after[hidden]).all()
    assert detect(both, search=False).pointer == POINTER


def test_photographs_are_marked_and_flat_graphics_left_alone() -> None:
    poster = Image.new("RGB", (800, 1000), (240, 230, 210))
    poster.paste((180, 30, 30), (100, 100, 500, 700))
    assert worth_marking(textured()) is None
    assert "flat" in str(worth_marking(poster))
    assert "small" in str(worth_marking(textured(SMALLEST_PX - 1)))


def test_what_is_hardly_seen_is_left_alone() -> None:
    """Its few pixels would not be read again."""
    image = textured(256, 256).convert("RGBA")
    assert worth_marking(image) is None
    shape = np.zeros((256, 256), np.uint8)
    shape[100:130, 100:130] = 255
    hidden = np.array(image)
    hidden[..., 3] = shape
    assert "too little" in str(worth_marking(Image.fromarray(hidden)))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (13, 700), (3000, 3), (9, 9)])
def test_odd_sizes_are_marked_and_read_without_fault(size: tuple[int, int]) -> None:
    image = Image.effect_noise(size, 40).convert("RGB")
    assert embed(image, POINTER).size == size
    assert detect(image).pointer is None
    assert worth_marking(image) is not None


@pytest.mark.parametrize("pointer", ["", "0123456789a", "0123456789AB", "0123456789abc", "０" * 12])
def test_a_pointer_is_twelve_digits(pointer: str) -> None:
    with pytest.raises(ValueError, match="pointer"):
        embed(textured(200, 200), pointer)


def test_the_check_value_of_the_crc_is_the_published_one() -> None:
    assert codes.crc16(int.from_bytes(b"123456789", "big"), bits=72) == 0x29B1


def test_a_seventh_of_the_coded_bits_may_be_wrong() -> None:
    rng = np.random.default_rng(3)
    soft = codes.encode(POINTER).astype(float)
    assert codes.decode(soft) == POINTER
    soft[rng.permutation(codes.CODED_BITS)[: codes.CODED_BITS // 7]] *= -1
    assert codes.decode(soft) == POINTER
    assert codes.decode(rng.normal(size=codes.CODED_BITS)) is None


def test_any_two_pointers_differ_in_24_coded_bits_or_more() -> None:
    """The free distance published for these generators, as the lightest way back to state 0."""
    least = {1: int((codes._outputs()[0, 1] == -1).sum())}
    waiting = list(least)
    while waiting:
        state = waiting.pop()
        for bit in (0, 1) if state else ():
            weight = least[state] + int((codes._outputs()[state, bit] == -1).sum())
            following = (state << 1 | bit) & 255
            if weight < least.get(following, 999):
                least[following] = weight
                waiting.append(following)
    assert least[0] == 24


def test_a_key_gives_the_same_tile_for_ever() -> None:
    """A mark written today must be read by every later version."""
    keyed = tile(PUBLIC_KEY)
    assert keyed.known[:3].tolist() == KNOWN_PLACES
    assert keyed.known_signs[:8].tolist() == KNOWN_SIGNS


KNOWN_PLACES = [5961, 9543, 2826]
KNOWN_SIGNS = [-1, -1, 1, 1, 1, 1, -1, -1]


def test_the_bound_on_chance_counts_every_hypothesis() -> None:
    assert chance(12.0, 1) == pytest.approx(2**48 * math.exp(-72))
    assert chance(12.0, 1000) == pytest.approx(1000 * chance(12.0, 1))
    assert chance(5.0, 1) == 1.0
