"""Sealing JPEG, WebP, GIF and SVG: labels that others find, and pictures left as they were."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageSequence, JpegImagePlugin

from wenfang.errors import MediaError
from wenfang.seal import LabelSettings
from wenfang.seal.credential import Claim, read_credential, sign_embedded
from wenfang.seal.formats import Drawn, Format, Marking
from wenfang.seal.formats.gif import GIF
from wenfang.seal.formats.jpeg import JPEG
from wenfang.seal.formats.png import PNG
from wenfang.seal.formats.svg import SVG
from wenfang.seal.formats.webp import WEBP
from wenfang.seal.identity import Identity
from wenfang.seal.label import new_label
from wenfang.seal.picture import CORNERS, label_picture

SETTINGS = LabelSettings(watermark=False)
MARKING = Marking(settings=SETTINGS, pointer="0123456789ab")
LABEL = new_label(SETTINGS, "a" * 64)
DARK = "<rect width='100%' height='100%' fill='#123'/>"
RASTER = {"JPEG": JPEG, "WEBP": WEBP, "GIF": GIF}
NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'


def grained(width: int, height: int, level: int = 200, spread: int = 4) -> Image.Image:
    generator = np.random.default_rng(width * 1000 + height)
    grain = generator.integers(-spread, spread + 1, (height, width, 3)) + level
    return Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))


def busy(width: int, height: int) -> Image.Image:
    return grained(width, height, 128, 120)


def photograph(width: int, height: int) -> Image.Image:
    """Soft colours with a little grain."""
    coarse = busy(max(1, width // 24), max(1, height // 24))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = np.random.default_rng(5).integers(-5, 6, (height, width, 1))
    return Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def animation(kind: str, ground: tuple[int, ...] = (240, 235, 220), **options: Any) -> bytes:
    """Seven frames of a ball that runs along the lower edge."""
    mode = "RGBA" if len(ground) == 4 else "RGB"
    frames = []
    for number in range(7):
        frame = Image.new(mode, (200, 150), ground)
        place = (number * 25, 100, number * 25 + 40, 140)
        ImageDraw.Draw(frame).ellipse(place, fill=(200, 40 + number * 20, 60))
        frames.append(frame)
    durations = [100 + 10 * number for number in range(7)]
    options = {"save_all": True, "append_images": frames[1:], "duration": durations, **options}
    return encoded(frames[0], kind, **options)


def drawing(content: str, attributes: str = 'width="600" height="400"') -> bytes:
    return f"<svg {NAMESPACE} {attributes}>{content}</svg>".encode()


def sealed(chosen: Format, content: object) -> Drawn:
    assert chosen.write is not None
    return chosen.write(chosen.draw(content, MARKING), LABEL)


def box_of(drawn: Drawn) -> list[int]:
    box: Any = drawn.visible["box"]
    return [int(edge) for edge in box]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def packet_of(kind: str, data: bytes) -> bytes:
    """The XMP packet as Pillow finds it; for GIF, which it only points to, up to its end mark."""
    image = opened(data)
    if kind == "GIF":
        name, offset = image.info["extension"]
        assert name == b"XMP DataXMP"
        start = offset - (offset - data.index(name) - len(name))
        return data[start : data.index(b'<?xpacket end="w"?>', start)]
    packet: bytes = image.info["xmp"]
    return packet


def label_in(packet: bytes) -> object:
    found = re.findall(rb"<TC260:AIGC>(.*?)</TC260:AIGC>", packet)
    assert len(found) == 1
    return json.loads(found[0])


@pytest.mark.parametrize("kind", RASTER)
def test_another_reader_finds_the_label_and_the_verifier_exactly_one(kind: str) -> None:
    for content in (grained(300, 200), encoded(grained(300, 200), kind)):
        done = sealed(RASTER[kind], content)
        assert label_in(packet_of(kind, done.data)) == LABEL
        assert RASTER[kind].labels(done.data) == [LABEL]
        assert RASTER[kind].measure(done.data, done.visible).status == "good"
        starts = RASTER[kind].starts
        assert starts is not None
        assert starts(done.data)


def test_two_labels_are_seen_as_two() -> None:
    contents = {"JPEG": grained(90, 60), "WEBP": grained(90, 60), "GIF": grained(90, 60)}
    for kind, chosen in RASTER.items():
        once = sealed(chosen, contents[kind])
        assert chosen.write is not None
        assert chosen.labels(chosen.write(once, LABEL).data) == [LABEL, LABEL]
    once = sealed(SVG, drawing(""))
    assert SVG.write is not None
    twice = SVG.write(replace(once, inserted=None), LABEL)
    assert SVG.labels(twice.data) == [LABEL, LABEL]


@pytest.mark.parametrize("size", [(16, 16), (48, 20), (1, 400), (400, 1), (1, 1)])
@pytest.mark.parametrize("kind", [*RASTER, "SVG", "PNG"])
def test_a_picture_too_small_for_words_gets_a_footer(kind: str, size: tuple[int, int]) -> None:
    chosen = {**RASTER, "SVG": SVG, "PNG": PNG}[kind]
    if kind == "SVG":
        content = drawing(
            "<rect width='99%' height='99%'/>", f'width="{size[0]}" height="{size[1]}"'
        )
    else:
        content = encoded(grained(*size), kind)
    drawn = chosen.draw(content, MARKING)
    assert drawn.visible["form"] == "footer"
    assert chosen.measure(drawn.data, drawn.visible).status == "good"


@pytest.mark.parametrize("kind", RASTER)
@pytest.mark.parametrize("make", [grained, photograph])
def test_the_footer_leaves_the_whole_picture_in_sight(
    kind: str, make: Callable[[int, int], Image.Image]
) -> None:
    source = make(48, 20)
    content = encoded(source, kind, **({"lossless": True} if kind == "WEBP" else {}))
    image = opened(sealed(RASTER[kind], content).data).convert("RGB")
    left = (image.width - 48) // 2
    inner = np.asarray(image.crop((left, 0, left + 48, 20)), np.float64)
    before = np.asarray(opened(content).convert("RGB"), np.float64)
    assert np.abs(inner - before).mean() < (6 if kind == "JPEG" else 1)


def with_subject(corner: str, size: tuple[int, int] = (600, 400)) -> Image.Image:
    """A plain picture with one busy quarter."""
    image = grained(*size, level=230, spread=1)
    left = 0 if corner.endswith("left") else size[0] // 2
    top = 0 if corner.startswith("top") else size[1] // 2
    image.paste(busy(size[0] // 2, size[1] // 2), (left, top))
    return image


@pytest.mark.parametrize("kind", RASTER)
@pytest.mark.parametrize("corner", CORNERS)
def test_the_label_keeps_off_the_subject(kind: str, corner: str) -> None:
    drawn = RASTER[kind].draw(encoded(with_subject(corner), kind), MARKING)
    assert drawn.visible["form"] in set(CORNERS) - {corner}


def test_a_subject_in_the_last_frame_counts_too() -> None:
    frames = [grained(300, 200, 230, 1) for _ in range(4)] + [with_subject(CORNERS[0], (300, 200))]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert WEBP.draw(data, MARKING).visible["form"] != CORNERS[0]


@pytest.mark.parametrize("quality", [40, 75, 95])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_keeps_its_tables_and_its_blocks(quality: int, subsampling: int) -> None:
    source = encoded(photograph(600, 400), "JPEG", quality=quality, subsampling=subsampling)
    done = sealed(JPEG, source)
    before, after = opened(source), opened(done.data)
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert before.quantization == after.quantization
    assert JpegImagePlugin.get_sampling(after) == subsampling
    changed = np.abs(np.asarray(before, np.float64) - np.asarray(after, np.float64))
    left, top, right, bottom = box_of(done)
    changed[max(0, top - 24) : bottom + 24, max(0, left - 24) : right + 24] = 0
    assert changed.mean() < 0.6


def test_a_jpeg_keeps_profile_and_density_and_is_turned_upright_without_its_exif() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "a person's name"  # turn a quarter; Artist
    content = encoded(grained(300, 200), "JPEG", icc_profile=profile, dpi=(240, 240), exif=exif)
    done = opened(sealed(JPEG, content).data)
    assert done.size == (200, 300)
    assert done.info["icc_profile"] == profile
    assert done.info["dpi"] == (240, 240)
    assert "exif" not in done.info
    assert b"a person" not in sealed(JPEG, content).data


def test_grey_stays_grey_and_printing_colours_become_screen_colours() -> None:
    grey = sealed(JPEG, encoded(grained(300, 200).convert("L"), "JPEG"))
    assert opened(grey.data).mode == "L"
    print_colours = Image.new("CMYK", (300, 200), (0, 200, 200, 20))
    cmyk = sealed(JPEG, encoded(print_colours, "JPEG"))
    red, green, _ = np.asarray(opened(cmyk.data).convert("RGB"))[20, 20].tolist()
    assert opened(cmyk.data).mode == "RGB"
    assert red > 200 > 80 > green
    for done in (grey, cmyk):
        assert JPEG.measure(done.data, done.visible).status == "good"


def test_transparency_becomes_white_in_a_jpeg_and_stays_in_the_others() -> None:
    see_through = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    ImageDraw.Draw(see_through).ellipse((100, 20, 200, 120), fill=(200, 30, 30, 255))
    jpeg = opened(sealed(JPEG, see_through).data)
    assert jpeg.getpixel((2, 2)) == (255, 255, 255)
    for chosen in (WEBP, GIF):
        done = sealed(chosen, see_through)
        image = opened(done.data).convert("RGBA")
        assert image.getpixel((2, 2))[3] == 0  # type: ignore[index]
        assert image.getpixel((150, 70)) == (200, 30, 30, 255)
        assert done.visible["plate"] is True


def rendered(data: bytes) -> list[tuple[Image.Image, int]]:
    """Every frame as seen, with its duration."""
    found = []
    for frame in ImageSequence.Iterator(opened(data)):
        found.append((frame.convert("RGBA"), int(frame.info["duration"])))
    return found


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
@pytest.mark.parametrize("ground", [(240, 235, 220), (20, 22, 30), (0, 0, 0, 0)])
def test_an_animation_shows_the_same_with_a_label_on_every_frame(
    kind: str, ground: tuple[int, ...]
) -> None:
    exact = {"lossless": True, "exact": True} if kind == "WEBP" else {"disposal": 2}
    source = animation(kind, ground, loop=3, **exact)
    done = sealed(RASTER[kind], source)
    before, after = rendered(source), rendered(done.data)
    assert [one for _, one in after] == [one for _, one in before]
    assert opened(done.data).info["loop"] == opened(source).info["loop"]
    left, top, right, bottom = box_of(done)
    for (old, _), (new, _) in zip(before, after, strict=True):
        there = np.asarray(new.crop((left, top, right, bottom)))
        assert (there != np.asarray(old.crop((left, top, right, bottom)))).any()
        rest = np.ones((150, 200), bool)
        rest[max(0, top - 12) : bottom + 12, max(0, left - 12) : right + 12] = False
        visible = np.asarray(old)[..., 3] > 0
        assert (np.asarray(new)[rest & visible] == np.asarray(old)[rest & visible]).all()
        assert (np.asarray(new)[rest & ~visible][:, 3] == 0).all()
    assert RASTER[kind].measure(done.data, done.visible).status == "good"


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
@pytest.mark.parametrize("number", [0, 3, 6])
def test_a_frame_without_its_label_is_seen(kind: str, number: int) -> None:
    done = sealed(RASTER[kind], animation(kind, loop=0))
    frames = [frame.convert("RGB") for frame, _ in rendered(done.data)]
    blank = Image.new("RGB", frames[0].size, (240, 235, 220))
    frames[number] = blank
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    resaved = encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=90, **options
    )
    assert RASTER[kind].measure(resaved, done.visible).status == "unlabelled"


def test_a_gif_that_does_not_run_for_ever_still_does_not() -> None:
    assert "loop" not in opened(sealed(GIF, animation("GIF")).data).info


def test_a_gif_of_256_colours_keeps_its_own_but_for_a_few() -> None:
    source = busy(320, 240).quantize(256)
    content = encoded(source, "GIF")
    done = sealed(GIF, content)
    before = np.asarray(opened(content).convert("RGB"))[:180]
    after = np.asarray(opened(done.data).convert("RGB"))[:180]
    assert (before != after).any(axis=2).mean() < 0.05
    assert GIF.measure(done.data, done.visible).status == "good"


def test_a_lossless_webp_is_only_changed_where_the_label_is() -> None:
    source = with_subject("top-left")
    done = opened(sealed(WEBP, encoded(source, "WEBP", lossless=True)).data).convert("RGB")
    assert (np.asarray(done)[:320] == np.asarray(source)[:320]).all()


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"save_all": True}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_sizes_in_a_webp_are_right(mode: str, options: dict[str, Any]) -> None:
    image = grained(301, 203).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    more = [image.rotate(90)] if "save_all" in options else []
    data = sealed(WEBP, encoded(image, "WEBP", append_images=more, **options)).data
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert data[12:16] == b"VP8X"
    assert data[20] & 4
    assert int.from_bytes(data[24:27], "little") == 300
    assert int.from_bytes(data[27:30], "little") == 202
    assert more or opened(data).mode == mode


@pytest.mark.parametrize("kind", RASTER)
def test_what_a_file_brings_along_is_left_behind(kind: str) -> None:
    first = sealed(RASTER[kind], grained(300, 200)).data
    assert RASTER[kind].labels(RASTER[kind].draw(first, MARKING).data) == []


@pytest.mark.parametrize("kind", RASTER)
def test_a_picture_saved_again_loses_its_label_and_covered_words_are_seen(kind: str) -> None:
    done = sealed(RASTER[kind], grained(300, 200))
    again = encoded(opened(done.data).convert("RGB"), kind)
    assert RASTER[kind].labels(again) == []
    painted = opened(done.data).convert("RGB")
    painted.paste((200, 200, 200), (0, 150, 300, 200))
    assert RASTER[kind].measure(encoded(painted, kind), done.visible).status == "unlabelled"


@pytest.mark.parametrize("kind", RASTER)
def test_files_over_100_kb_grow_by_less_than_a_tenth(kind: str) -> None:
    options = {"JPEG": {"quality": 80}, "WEBP": {"quality": 80}, "GIF": {}}
    content = encoded(busy(700, 500), kind, **options[kind])
    assert len(content) > 100_000
    assert len(sealed(RASTER[kind], content).data) < 1.1 * len(content)


RECORDS: list[Any] = [
    {}, {"colour": "red"}, {"colour": [1, 2, 3], "glyphs": [[0, 0, 1e9, 1e9]]},
    {"colour": [1, 2, 3], "glyphs": []}, {"colour": [1, 2, 3], "glyphs": [["a"]]},
    {"colour": [1, 2, 3], "glyphs": [[9, 9, 9, 9]]},
]  # fmt: skip


@pytest.mark.parametrize("kind", [*RASTER, "SVG"])
def test_broken_files_and_records_give_no_label_and_no_exception(kind: str) -> None:
    chosen = {**RASTER, "SVG": SVG}[kind]
    content = drawing(DARK) if kind == "SVG" else grained(120, 90)
    done = sealed(chosen, content)
    generator = np.random.default_rng(1)
    broken = [b"", b"\0" * 64, done.data[: len(done.data) // 2], done.data[:20]]
    for _ in range(40 if kind == "SVG" else 150):
        noisy = bytearray(done.data)
        for place in generator.integers(0, len(noisy), 6):
            noisy[place] = generator.integers(256)
        broken.append(bytes(noisy))
    for data in broken:
        assert isinstance(chosen.labels(data), list)
        assert chosen.measure(data, done.visible).status in ("good", "unlabelled", "unknown")
        if chosen.trace is not None:
            chosen.trace(data, False)
    for record in RECORDS:
        assert chosen.measure(done.data, record).status == "unknown"


def test_huge_length_fields_are_not_believed() -> None:
    jpeg = b"\xff\xd8\xff\xe1\xff\xffhttp://ns.adobe.com/xap/1.0/\0<x"
    webp = b"RIFF\xff\xff\xff\xffWEBPXMP \xff\xff\xff\xff<x"
    gif = b"GIF89a\1\0\1\0\xf7\0\0" + b"!\xff\x0bXMP DataXMP\xff"
    assert JPEG.labels(jpeg) == WEBP.labels(webp) == GIF.labels(gif) == []


def test_many_empty_frames_and_scans_are_given_up_quickly() -> None:
    frame = b",\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0"
    gif = b"GIF89a\1\0\1\0\0\0\0" + frame * 50_000 + b";"
    facts = {"colour": [0, 0, 0], "glyphs": [[0, 0, 1, 1]]}
    assert GIF.measure(gif, facts).status == "unknown"
    with pytest.raises(MediaError):
        GIF.draw(gif, MARKING)
    jpeg = encoded(grained(64, 64), "JPEG", progressive=True)
    scan = jpeg[jpeg.index(b"\xff\xda") : jpeg.index(b"\xff\xda") + 40]
    many = jpeg[:-2] + scan * 2000 + jpeg[-2:]
    assert JPEG.measure(many, facts).status == "unknown"


def test_a_label_in_extended_xmp_is_found_too() -> None:
    done = sealed(JPEG, grained(90, 60)).data
    packet = packet_of("JPEG", done)
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + len(packet).to_bytes(4, "big")
    parts = b""
    for offset in (300, 0):
        part = packet[:300] if offset == 0 else packet[300:]
        content = head + offset.to_bytes(4, "big") + part
        parts += b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
    assert JPEG.labels(done[:2] + parts + done[2:]) == [LABEL, LABEL]


CREDENTIALLED: dict[str, tuple[Format, Callable[[], bytes]]] = {
    "jpeg": (JPEG, lambda: encoded(grained(200, 150), "JPEG")),
    "webp": (WEBP, lambda: encoded(grained(200, 150), "WEBP")),
    "moving webp": (WEBP, lambda: animation("WEBP", loop=0)),
    "gif": (GIF, lambda: encoded(grained(200, 150), "GIF")),
    "moving gif": (GIF, lambda: animation("GIF", loop=0)),
    "svg": (SVG, lambda: drawing(DARK)),
    "svg with metadata": (SVG, lambda: drawing("<metadata/>" + DARK)),
}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.open_or_create(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("case", CREDENTIALLED)
def test_label_and_words_survive_the_credential_which_sees_a_flipped_bit(
    case: str, identity: Identity
) -> None:
    chosen, content = CREDENTIALLED[case]
    done = sealed(chosen, content())
    claim = Claim(title="a", version="1", assertion={"manifest_sha256": "a"})
    signed = sign_embedded(done.data, chosen.media_type, claim, identity)
    assert chosen.labels(signed) == [LABEL]
    assert chosen.measure(signed, done.visible).status == "good"
    roots = (identity.root,)
    assert read_credential(signed, chosen.media_type, None, roots).state == "trusted"
    for place in (b"ContentProducer", b"PropagateID"):
        flipped = signed.replace(place, place[:-1] + bytes((place[-1] ^ 1,)))
        assert read_credential(flipped, chosen.media_type, None, roots).state == "tampered"


def test_a_watermark_is_put_in_where_the_format_holds_one() -> None:
    marking = replace(MARKING, settings=LabelSettings())
    for chosen in (JPEG, WEBP):
        drawn = chosen.draw(busy(400, 300), marking)
        assert drawn.watermark.get("pointer") == MARKING.pointer
        assert chosen.trace is not None
        assert chosen.trace(drawn.data, False).pointer == MARKING.pointer
    assert "none" in GIF.draw(busy(400, 300), marking).watermark


def test_an_encoding_that_pales_the_words_gets_stronger_ones() -> None:
    def pale(canvas: Image.Image) -> Image.Image:
        return Image.blend(canvas, Image.new("RGB", canvas.size, (235, 235, 235)), 0.2)

    _, facts = label_picture(grained(300, 200, 235, 1), SETTINGS.words, shown=pale)
    assert float(str(facts["contrast"])) >= 4.6
