"""Laws of the checks for copied pictures."""

from __future__ import annotations

import io
import json
import os
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from wenfang.checks import Material, judge
from wenfang.checks.check import Check
from wenfang.checks.picture import LEAST_BITS_APART, picture_copy, picture_neighbour
from wenfang.data.comparison import read_comparison
from wenfang.data.picture_index import PictureIndex, VectorIndex
from wenfang.errors import BundleError
from wenfang.media.image import encode_png

FLIP, TURN = Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90


@cache
def picture(number: int, side_px: int = 96) -> Image.Image:
    """Noise with the spectrum of natural pictures."""
    generator = np.random.default_rng(number)
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side_px), np.fft.fftfreq(side_px)))
    frequencies[0, 0] = 1
    waves = np.fft.fft2(generator.normal(size=(3, side_px, side_px))) / frequencies
    values = np.fft.ifft2(waves).real
    values = (values - values.mean()) / values.std() * 50 + 128
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8).transpose(1, 2, 0))


@pytest.fixture(scope="module")
def index() -> PictureIndex:
    return PictureIndex.build((f"{number}.png", picture(number)) for number in range(60))


def check(image: Image.Image, index: PictureIndex) -> Check:
    return picture_copy(Material(picture=image, pictures=index))


def test_a_flipped_training_picture_is_a_copy(index: PictureIndex) -> None:
    for number in range(60):
        answer = check(picture(number).transpose(FLIP), index)
        assert (answer.verdict, answer.evidence[0].values["name"]) == ("repair", f"{number}.png")
        assert "mirrored" in str(answer.evidence[0])


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_training_picture_is_a_copy(
    quarters: int, mirrored: bool, index: PictureIndex
) -> None:
    turned = picture(3).transpose(FLIP) if mirrored else picture(3)
    for _ in range(quarters):
        turned = turned.transpose(TURN)
    nearest = index.nearest(turned)
    assert nearest is not None
    assert (nearest.distance, nearest.name, nearest.mirrored) == (0, "3.png", mirrored)


def test_an_encoded_scaled_or_darkened_copy_is_a_copy(index: PictureIndex) -> None:
    stream = io.BytesIO()
    picture(5).save(stream, "JPEG", quality=50)
    for copy in (
        Image.open(stream),
        picture(5).resize((300, 200)),
        picture(5).resize((40, 40)),
        picture(5).point(lambda level: int(level * 0.8)),
        picture(5).convert("L"),
        picture(5).convert("RGBA"),
    ):
        assert check(copy, index).verdict == "repair"


def test_pictures_of_their_own_are_no_copies(index: PictureIndex) -> None:
    for number in range(1_000, 1_060):
        answer = check(picture(number), index)
        assert answer.verdict == "pass"
        assert answer.value is not None
        assert answer.value > LEAST_BITS_APART


def test_transparency_is_seen_upon_white(index: PictureIndex) -> None:
    drawn = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    drawn.paste(picture(7).crop((20, 20, 70, 70)), (20, 20))
    flat = Image.new("RGB", (96, 96), "white")
    flat.paste(picture(7).crop((20, 20, 70, 70)), (20, 20))
    nearest = PictureIndex.build([("flat", flat)]).nearest(drawn)
    assert nearest is not None
    assert nearest.distance == 0


@pytest.mark.parametrize("colour", ["white", "black", "#808182"])
def test_a_picture_of_one_colour_is_not_measured(colour: str, index: PictureIndex) -> None:
    answer = check(Image.new("RGB", (50, 50), colour), index)
    assert (answer.verdict, answer.value) == ("note", None)
    assert len(PictureIndex.build([("flat", Image.new("RGB", (9, 9), colour))])) == 0


def test_without_a_picture_or_an_index_nothing_is_measured(index: PictureIndex) -> None:
    for material in (
        Material(pictures=index),
        Material(picture=picture(1)),
        Material(picture=picture(1), pictures=PictureIndex.build([])),
    ):
        for answer in (picture_copy(material), picture_neighbour(material)):
            assert (answer.verdict, answer.value) == ("note", None)


def test_a_picture_of_the_users_folder_is_a_copy(tmp_path: Path) -> None:
    (tmp_path / "poster.png").write_bytes(encode_png(picture(9)))
    compared = read_comparison([tmp_path])
    material = Material(picture=picture(9).transpose(FLIP), compared=compared)
    assert judge(material, ["picture_copy"]).verdict.decision == "repair"


def test_a_saved_index_answers_the_same(index: PictureIndex, tmp_path: Path) -> None:
    path = tmp_path / "pictures.safetensors"
    index.save(path)
    assert PictureIndex.load(path).nearest(picture(4)) == index.nearest(picture(4))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BundleError, match="build it again"):
        PictureIndex.load(path)


# Neighbours in an encoder ------------------------------------------------------------------------


class Thumbnail:
    """An encoder to test with: sixteen squares of grey, without their mean."""

    name = "thumbnail@1"

    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        small = np.asarray(image.convert("L").resize((4, 4), Image.Resampling.BOX), np.float32)
        return np.asarray((small - small.mean()).ravel(), np.float32)


@pytest.fixture(scope="module")
def vectors() -> VectorIndex:
    pictures = ((f"{number}.png", picture(number)) for number in range(60))
    return VectorIndex.build(pictures, Thumbnail(), [picture(n) for n in range(500, 560)])


def test_a_training_picture_is_nearer_than_new_pictures_are(vectors: VectorIndex) -> None:
    def asked(number: int) -> Check:
        return picture_neighbour(
            Material(picture=picture(number), vectors=vectors, encoder=Thumbnail())
        )

    assert asked(8).verdict == "repair"
    assert asked(8).evidence[0].values["name"] == "8.png"
    assert asked(8).threshold == vectors.held_out
    assert sum(asked(number).verdict == "repair" for number in range(700, 740)) <= 3


def test_vectors_of_another_encoder_are_not_compared(vectors: VectorIndex) -> None:
    class Other(Thumbnail):
        name = "other@1"

    for encoder in (None, Other()):
        answer = picture_neighbour(Material(picture=picture(8), vectors=vectors, encoder=encoder))
        assert (answer.verdict, answer.value) == ("note", None)


def test_saved_vectors_answer_the_same(vectors: VectorIndex, tmp_path: Path) -> None:
    path = tmp_path / "vectors.safetensors"
    vectors.save(path)
    loaded = VectorIndex.load(path)
    query = Thumbnail().encode(picture(30))
    assert (loaded.nearest(query), loaded.held_out) == (vectors.nearest(query), vectors.held_out)
    with pytest.raises(BundleError):
        PictureIndex.load(path)


@pytest.mark.data
def test_mirrored_drawings_of_the_data_are_found() -> None:
    root = os.environ.get("WENFANG_DATA")
    path = Path(root or "", "noto_emoji72", "noto_png72.tar.xz")
    if not root or not path.exists():
        pytest.skip("WENFANG_DATA holds no noto_emoji72")
    drawings: list[tuple[str, Image.Image]] = []
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".png") else None
            if stream is not None and len(drawings) < 300:
                drawings.append(
                    (member.name, Image.open(io.BytesIO(stream.read())).convert("RGBA"))
                )
    index = PictureIndex.build(drawings)
    answers = [check(image.transpose(FLIP), index) for _, image in drawings]
    assert all(answer.verdict == "repair" for answer in answers)
    assert json.dumps([answer.value for answer in answers])
