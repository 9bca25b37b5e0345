"""A folder of pictures as a data set: what is read, what is left out and said, what is refused."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Call
from wenfang.data.dataset import Dataset
from wenfang.data.drawings import drawing
from wenfang.data.picture_folder import PictureRequest, fitted, prepare_pictures
from wenfang.data.pixels import Pixels
from wenfang.data.request import Source
from wenfang.errors import ConfigError, DataError


def scene(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Large patches of colour, unlike those of another seed."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (4, 5, 3)).astype(np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def prepared(folder: Path, **changes: object) -> Dataset:
    request = PictureRequest(side_px=16, **changes)  # type: ignore[arg-type]
    source = Source(path=str(folder), licence="CC0-1.0")
    return prepare_pictures(source, folder.parent / "set", request)


def records(dataset: Dataset) -> dict[str, dict[str, object]]:
    return {
        str(one["name"]): one
        for part in ("train", "valid", "test")
        for one in dataset.records(part)
    }


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for number in range(6):
        scene(number).save(folder / f"{number}.png")
    scene(6).save(folder / "deep" / "six.webp")
    return folder


def test_every_picture_becomes_a_square_of_one_size(pictures: Path) -> None:
    found = records(prepared(pictures))
    assert set(found) == {*(f"{number}.png" for number in range(6)), "deep/six.webp"}
    for record in found.values():
        assert drawing(record).size == (16, 16)
        assert record["text"] == ""
    assert len(Pixels.read(found.values(), channels=3)) == 7


def test_the_same_files_give_the_same_set(pictures: Path, tmp_path: Path) -> None:
    first = prepared(pictures)
    source = Source(path=str(pictures), licence="CC0-1.0")
    again = prepare_pictures(source, tmp_path / "again", PictureRequest(side_px=16))
    assert first.manifest.id == again.manifest.id
    assert first.source_manifests[0].licence == "CC0-1.0"
    other = prepare_pictures(source, tmp_path / "other", PictureRequest(side_px=24))
    assert other.manifest.id != first.manifest.id


def test_another_caption_makes_another_set(pictures: Path, tmp_path: Path) -> None:
    source, request = Source(path=str(pictures)), PictureRequest(side_px=16)
    keys = []
    for number, caption in enumerate(("a cat", "a dog")):
        (pictures / "0.txt").write_text(caption, "utf-8")
        made = prepare_pictures(source, tmp_path / str(number), request)
        keys.append(made.manifest.payload_sha256)
    assert keys[0] != keys[1], "a run would go on with captions that it had not read"


def test_captions_come_from_beside_the_picture_or_from_a_table(pictures: Path) -> None:
    (pictures / "0.txt").write_text("a red cat\n", "utf-8")
    table = [
        {"file": "1.png", "caption": "一只猫", "label": "cat"},
        {"file": "0.png", "caption": "x"},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in table)
    (pictures / "captions.jsonl").write_text(lines, "utf-8")
    (pictures / "captions.csv").write_text("file,caption\ndeep/six.webp,a dog\n", "utf-8")
    found = records(prepared(pictures))
    assert found["0.png"]["text"] == "a red cat"
    assert found["1.png"]["text"] == "一只猫"
    assert found["1.png"]["label"] == "cat"
    assert found["deep/six.webp"]["text"] == "a dog"
    assert found["2.png"]["text"] == ""
    assert "label" not in found["2.png"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("captions.csv", "file,caption\nnobody.png,x\n", "of no picture"),
        ("captions.csv", "name,text\n1.png,x\n", "no columns file and caption"),
        ("captions.jsonl", '{"file": "1.png", "caption": "x"}\nnonsense\n', "line 2"),
        ("captions.jsonl", '{"caption": "x"}\n', "line 1: there is no file"),
        ("1.txt", b"\xff\xfe\xff", "not UTF-8"),
    ],
)
def test_captions_that_cannot_be_read_are_told(
    pictures: Path, name: str, content: str | bytes, words: str
) -> None:
    data = content if isinstance(content, bytes) else content.encode()
    (pictures / name).write_bytes(data)
    with pytest.raises(DataError, match=words):
        prepared(pictures)


def test_a_picture_saved_again_is_left_out_and_counted(pictures: Path) -> None:
    scene(0).save(pictures / "again.jpg", quality=70)
    scene(1).resize((80, 60)).save(pictures / "larger.png")
    counts = prepared(pictures).counts
    assert counts["rejected"] == {"repeated": 2}
    assert counts["kept"] == 7
    assert prepared_all(pictures) == 9


def prepared_all(folder: Path) -> int:
    request = PictureRequest(side_px=16, near_bits=-1)
    found = prepare_pictures(Source(path=str(folder)), folder.parent / "every", request)
    return int(found.counts["kept"])


def huge_png() -> bytes:
    """A picture that claims 100 megapixels in a few bytes."""
    head = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_files_of_every_kind_are_read_or_counted(pictures: Path) -> None:
    kinds = pictures / "kinds"
    kinds.mkdir()
    scene(10).convert("CMYK").save(kinds / "cmyk.jpg")
    scene(11).convert("P").save(kinds / "palette.png")
    deep = np.asarray(scene(12).convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(kinds / "deep.png")
    frames = [scene(13), scene(14)]
    frames[0].save(kinds / "moving.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    scene(15).save(kinds / "turned.jpg", exif=exif)
    clear = scene(16).convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 90))
    clear.save(kinds / "clear.png")
    Image.new("RGB", (1, 1)).save(kinds / "dot.png")
    (kinds / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    whole = io.BytesIO()
    scene(17).save(whole, "JPEG")
    (kinds / "cut.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (kinds / "huge.png").write_bytes(huge_png())
    (kinds / ".hidden.png").write_bytes(b"x")
    (kinds / "notes.md").write_text("no picture")
    dataset = prepared(pictures)
    found = records(dataset)
    kept = {name for name in found if name.startswith("kinds/")}
    assert kept == {f"kinds/{name}" for name in (
        "cmyk.jpg", "palette.png", "deep.png", "moving.gif", "turned.jpg", "clear.png"
    )}  # fmt: skip
    assert dataset.counts["rejected"] == {"unreadable": 3, "too_small": 1}
    upright = np.asarray(drawing(found["kinds/turned.jpg"]).convert("RGB")).astype(float)
    assert upright[:, :2].min() > 240  # it stands now, with white at its sides
    grey = np.asarray(drawing(found["kinds/deep.png"]).convert("L"))
    assert grey.std() > 10, "sixteen bits were not cut off"


def test_a_bad_file_stops_where_that_is_asked(pictures: Path) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png cannot be used"):
        prepared(pictures, bad_files="stop")


@pytest.mark.parametrize("transparent", [True, False])
def test_what_is_transparent_is_kept_or_becomes_white(transparent: bool) -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (10, 10, 30, 30))
    made = np.asarray(fitted(image, PictureRequest(side_px=16, transparent=transparent)))
    if transparent:
        assert made[0, 0, 3] == 0
        edge = made[(made[:, :, 3] > 20) & (made[:, :, 3] < 235)]
        assert len(edge)
        assert edge[:, 0].max() < 30, "the hidden red does not shine through"
    else:
        assert made.shape == (16, 16, 3)
        assert (made[0, 0] == 255).all()


def test_fit_keeps_the_whole_or_cuts_what_is_over() -> None:
    wide = Image.new("RGB", (40, 20), "black")
    contain = np.asarray(fitted(wide, PictureRequest(side_px=16)))
    cover = np.asarray(fitted(wide, PictureRequest(side_px=16, fit="cover")))
    assert (contain[:4] == 255).all()
    assert (contain[5:11] == 0).all()
    assert (cover == 0).all()


def test_what_holds_no_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no folder"):
        prepared(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        prepared(tmp_path / "empty")
    Image.new("RGB", (1, 1)).save(tmp_path / "empty" / "dot.png")
    with pytest.raises(DataError, match=r"none of the 1 pictures can be used \(1 too_small\)"):
        prepared(tmp_path / "empty")
    with pytest.raises(ConfigError, match="8 to 1024"):
        PictureRequest(side_px=4)


def test_a_command_prepares_them_and_tells_the_counts(pictures: Path, call: Call) -> None:
    told = call(
        "prepare", pictures, "--profile", "pictures", "--licence", "CC-BY-4.0",
        "--set", "side_px=32", "-o", "icons", "--json",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert told.json["kept"] == 7
    assert drawing(next(iter(records(Dataset.open("icons")).values()))).size == (32, 32)
    assert call("prepare", pictures, pictures, "--profile", "pictures", "-o", "x").code == 64
    wrong = call("prepare", pictures, "--profile", "pictures", "--set", "side=3", "-o", "x")
    assert "side_px" in wrong.err
