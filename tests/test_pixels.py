"""Pictures in memory and the files of digits: what is read, in which order, what is refused."""

from __future__ import annotations

import base64
import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tiny_pictures import COUNTS, NAMES, dataset
from wenfang.data.batches import Share
from wenfang.data.digits import VALID, digit_rows, read_idx
from wenfang.data.drawings import drawing
from wenfang.data.pixels import PixelBatches, Pixels
from wenfang.errors import DataError
from wenfang.media.image import encode_png


def write_idx(path: Path, values: np.ndarray) -> None:
    head = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


def write_digits(folder: Path, train: int = VALID + 5, test: int = 3) -> None:
    draw = np.random.default_rng(0)
    for stem, count in (("train", train), ("t10k", test)):
        pictures = draw.integers(0, 256, (count, 28, 28))
        write_idx(folder / f"{stem}-images-idx3-ubyte.gz", pictures)
        write_idx(folder / f"{stem}-labels-idx1-ubyte.gz", np.arange(count) % 10)


def test_digits_are_read_in_their_order_and_parts(tmp_path: Path) -> None:
    write_digits(tmp_path)
    found = list(digit_rows(tmp_path))
    assert [part for part, _ in found].count("valid") == VALID
    assert [part for part, _ in found[:6]] == ["train"] * 5 + ["valid"]
    assert [part for part, _ in found[-3:]] == ["test"] * 3
    pictures = read_idx(tmp_path / "train-images-idx3-ubyte.gz", axes=3)
    grey = np.asarray(drawing(found[7][1]).convert("L"))
    assert np.array_equal(grey, pictures[7])
    assert found[7][1]["label"] == "7"


@pytest.mark.parametrize("harm", ["cut", "axes", "type", "plain", "long"])
def test_a_broken_file_of_digits_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "x.gz"
    write_idx(path, np.zeros((3, 4)) if harm == "axes" else np.zeros((3, 4, 5)))
    content = gzip.decompress(path.read_bytes())
    if harm == "cut":
        path.write_bytes(gzip.compress(content[:-1]))
    if harm == "long":
        path.write_bytes(gzip.compress(content + b"x"))
    if harm == "type":
        path.write_bytes(gzip.compress(content[:2] + b"\x0d" + content[3:]))
    if harm == "plain":
        path.write_bytes(content)
    with pytest.raises(DataError, match="get it again"):
        read_idx(path, axes=3)


def test_labels_that_are_missing_are_told(tmp_path: Path) -> None:
    write_digits(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(4))
    with pytest.raises(DataError, match="4 labels"):
        list(digit_rows(tmp_path))


def test_pixels_keep_values_and_classes(tmp_path: Path) -> None:
    data = dataset(tmp_path / "set")
    pixels = Pixels.read(data.records("train"), channels=1)
    assert pixels.values.shape == (COUNTS["train"], 1, 8, 8)
    assert pixels.names == NAMES
    assert pixels.classes[:4].tolist() == [0, 1, 2, 0]
    scaled = pixels.tensor(slice(0, 2))
    assert scaled.min() >= -1
    assert torch.allclose((scaled + 1) * 127.5, torch.from_numpy(pixels.values[:2]).float())
    assert Pixels.read(data.records("valid"), channels=3).values.shape[1] == 3


def test_what_is_transparent_is_kept_or_becomes_white() -> None:
    clear = encode_png(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))
    record = {"name": "x", "png": base64.b64encode(clear).decode()}
    assert Pixels.read([record], channels=4).values[0, 3].max() == 0
    assert Pixels.read([record], channels=3).values.min() == 255
    assert Pixels.read([record], channels=1).values.min() == 255


def test_a_part_has_the_classes_of_the_training_part(tmp_path: Path) -> None:
    records = list(dataset(tmp_path / "set").records("valid"))
    only = [record for record in records if record["label"] == NAMES[2]]
    pixels = Pixels.read(only, channels=1, known=NAMES)
    assert pixels.names == NAMES
    assert set(pixels.classes) == {2}
    with pytest.raises(DataError, match="the label ring is of no picture in the training part"):
        Pixels.read(only, channels=1, known=NAMES[:2])


def test_pictures_of_two_sizes_are_refused() -> None:
    def record(side: int) -> dict[str, str]:
        png = encode_png(Image.new("RGB", (side, side)))
        return {"name": f"picture {side}", "png": base64.b64encode(png).decode()}

    with pytest.raises(DataError, match="picture 5 is 5x5x3"):
        Pixels.read([record(4), record(5)], channels=3)
    with pytest.raises(DataError, match="no pictures"):
        Pixels.read([], channels=3)


def batches(tmp_path: Path, **changes: Any) -> PixelBatches:
    pixels = Pixels.read(dataset(tmp_path / "set").records("train"), channels=1)
    return PixelBatches(pixels=pixels, batch_size=16, seed=3, **changes)


def test_an_epoch_shows_every_picture_once(tmp_path: Path) -> None:
    found = batches(tmp_path)
    epochs = [
        torch.cat([found.batch(3 * epoch + step, Share())["pictures"] for step in range(3)])
        for epoch in range(2)
    ]
    first, second = ({tuple(one.flatten().tolist()) for one in epoch} for epoch in epochs)
    assert len(first) == 48
    assert first == second
    assert not torch.equal(*epochs)


def test_ranks_share_one_batch(tmp_path: Path) -> None:
    found = batches(tmp_path, shift_px=1)
    whole = found.batch(5, Share())
    parts = [found.batch(5, Share(rank=rank, world=2)) for rank in range(2)]
    for name in ("pictures", "classes"):
        assert torch.equal(whole[name], torch.cat([part[name] for part in parts]))


def test_a_shift_moves_what_is_seen_and_fills_with_black(tmp_path: Path) -> None:
    pixels = Pixels(values=np.full((16, 1, 8, 8), 255, np.uint8), classes=np.zeros(16, np.int64))
    found = PixelBatches(pixels=pixels, batch_size=16, seed=0, shift_px=2).batch(0, Share())
    white = (found["pictures"] == 1).flatten(1).sum(1)
    assert set(white.tolist()) <= {8 * 8, 8 * 7, 8 * 6, 7 * 7, 7 * 6, 6 * 6}
    assert len(set(white.tolist())) > 2
    assert "classes" not in found  # there are no names


def test_a_batch_larger_than_the_set_is_refused(tmp_path: Path) -> None:
    pixels = Pixels(values=np.zeros((3, 1, 8, 8), np.uint8), classes=np.zeros(3, np.int64))
    with pytest.raises(DataError, match=r"lower train\.batch_size"):
        PixelBatches(pixels=pixels, batch_size=4, seed=0).batch(0, Share())
