"""Sealing: every published file carries its labels and is read back before it appears."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from wenfang.atomic import TEMPORARY_PREFIX, sha256_bytes
from wenfang.config import from_dict
from wenfang.errors import ConfigError, IdentityError, SealError, WenfangError
from wenfang.seal import (
    FORMATS,
    LabelSettings,
    Payload,
    Provenance,
    SealedFile,
    Sealer,
    emit,
    picture,
    verify,
)
from wenfang.seal import label as labels
from wenfang.seal.formats import without
from wenfang.seal.formats.html import visible_lines as html_lines
from wenfang.seal.formats.markdown import visible_lines as markdown_lines
from wenfang.seal.formats.xmp import xmp_labels
from wenfang.store.manifest import Manifest

TEXTS = {"text/plain": "a.txt", "text/markdown": "a.md", "text/html": "a.html"}


@pytest.fixture(scope="module")
def sealer(tmp_path_factory: pytest.TempPathFactory) -> Sealer:
    return Sealer.at(tmp_path_factory.mktemp("home"))


def png(width: int = 300, height: int = 400, level: int = 240) -> bytes:
    grain = np.random.default_rng(0).integers(-3, 4, (height, width, 1)) + level
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(grain, 3, 2).astype(np.uint8)).save(buffer, "PNG", dpi=(150, 150))
    return buffer.getvalue()


def seal(sealer: Sealer, path: Path, media_type: str, data: bytes | str) -> SealedFile:
    core = Manifest(kind="asset", name=path.name, media_type=media_type)
    payload = Payload(media_type=media_type, data=data)
    return emit(payload, path, Provenance(manifest=core), sealer)


def statement_of(sealed: SealedFile) -> dict[str, Any]:
    path = sealed.path.with_name(sealed.path.name + ".wenfang.json")
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    statement: dict[str, Any] = document["statement"]
    return statement


@pytest.mark.parametrize(
    ("media_type", "name", "suffixes"),
    [
        ("text/plain", "a.txt", {"", ".c2pa", ".wenfang.json", ".aigc.json"}),
        ("text/markdown", "a.md", {"", ".c2pa", ".wenfang.json"}),
        ("text/html", "a.html", {"", ".c2pa", ".wenfang.json"}),
        ("image/png", "a.png", {"", ".wenfang.json"}),
    ],
)
def test_every_format_is_sealed_good_with_its_sidecars_and_nothing_else(
    sealer: Sealer, tmp_path: Path, media_type: str, name: str, suffixes: set[str]
) -> None:
    data = png() if media_type == "image/png" else "春江潮水連海平\n"
    sealed = seal(sealer, tmp_path / name, media_type, data)
    assert {path.name for path in tmp_path.iterdir()} == {name + suffix for suffix in suffixes}
    assert {name, *(path.name for path in sealed.sidecars)} == {name + one for one in suffixes}
    verdict = verify([sealed.path], (sealer.identity.root,))[0]
    assert {layer.status for layer in verdict.layers} <= {"good", "none"}
    assert verdict.exit_code == 0


def _without_labels(sealed: SealedFile) -> bytes:
    return without(sealed.path.read_bytes(), statement_of(sealed)["inserted"])


@pytest.mark.parametrize("position", ["start", "end"])
@pytest.mark.parametrize(
    ("media_type", "text"),
    [
        ("text/plain", ""),
        ("text/plain", "\ufeffone\r\ntwo"),
        ("text/plain", "AI生成\nAI生成\nAI生成\n"),
        ("text/plain", "%PDF-1.7\n"),
        ("text/plain", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("text/markdown", ""),
        ("text/markdown", "---\ntitle: 春\ntags:\n  - a\n---\n# 春\n"),
        ("text/markdown", "---\r\ntitle: x\r\n---\r\n\r\nbody"),
        ("text/markdown", "---\nno map\n---\nbody"),
        ("text/markdown", "---\nnever closed"),
        ("text/markdown", "text\n\n```python\nopen fence"),
        ("text/markdown", "text\n\n<!-- open comment"),
        ("text/html", ""),
        ("text/html", "plain text"),
        ("text/html", "<?xml version='1.0'?><!DOCTYPE html><html><body>x</body></html>"),
        ("text/html", "<html><head><meta charset=utf-8><title>t</title></head><body>x"),
        ("text/html", "<head><title>t</title>no body tag"),
        ("text/html", "<p>x<!-- </body> never closed"),
        ("text/html", "<body><script>var a = '</body>'"),
        ("text/html", "<!-- <head> --><body>x</body>"),
        ("text/html", "<body><div hidden>x"),
        ("text/html", "<![foo<p>x"),
    ],
)
def test_a_text_without_its_labels_is_the_payload_again(
    sealer: Sealer, tmp_path: Path, media_type: str, text: str, position: str
) -> None:
    chosen = replace(sealer, label=from_dict(LabelSettings, {"position": position}))
    sealed = seal(chosen, tmp_path / TEXTS[media_type], media_type, text)
    assert _without_labels(sealed) == text.encode()
    assert sealed.payload_sha256 == sha256_bytes(text.encode())


PIECES = (
    r"---\n|title: x\n|AI|\r\n|\n|```|<p>|</p>|<head>|</head>|<body>|</body>|<html>|<!--|-->|"
    r"<script>|</script>|\ufeff|&amp;|<title>|</title>|<![|<!doctype html>|- |    |\0|\u2028|"
    r"<div hidden>"
)
MARKUP = st.sampled_from([one.encode().decode("unicode_escape") for one in PIECES.split("|")])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    kind=st.sampled_from(sorted(TEXTS)),
    text=st.lists(MARKUP | st.text(max_size=8), max_size=12).map("".join),
)
def test_any_text_is_sealed_and_comes_back_whole(
    sealer: Sealer, tmp_path: Path, kind: str, text: str
) -> None:
    sealed = seal(sealer, tmp_path / TEXTS[kind], kind, text)
    assert sealed.verdict.exit_code == 0
    assert _without_labels(sealed) == text.encode()


def test_markdown_label_is_front_matter_beside_what_was_there(
    sealer: Sealer, tmp_path: Path
) -> None:
    sealed = seal(sealer, tmp_path / "a.md", "text/markdown", "---\ntitle: 春\n---\n# 春\n")
    lines = sealed.path.read_text("utf-8").split("\n")
    assert lines[:3] == ["---", "AIGC:", '  Label: "1"']
    assert lines.index("title: 春") < lines.index("---", 1) < lines.index("# 春")


class _Metas(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta" and dict(attrs).get("name") == "AIGC":
            self.found.append(dict(attrs)["content"] or "")


def test_html_label_is_read_by_an_independent_parser(sealer: Sealer, tmp_path: Path) -> None:
    sealed = seal(sealer, tmp_path / "a.html", "text/html", "<html><head></head><body>x</body>")
    reader = _Metas()
    reader.feed(sealed.path.read_text("utf-8"))
    assert [json.loads(one) for one in reader.found] == [dict(sealed.label)]


def test_png_label_and_resolution_are_read_by_pillow(sealer: Sealer, tmp_path: Path) -> None:
    sealed = seal(sealer, tmp_path / "a.png", "image/png", png())
    with Image.open(sealed.path) as image:
        packet = image.info["XML:com.adobe.xmp"]
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        assert json.loads(xmp_labels(packet.encode())[0]) == dict(sealed.label)


def test_only_the_label_changes_the_pixels(sealer: Sealer, tmp_path: Path) -> None:
    before = np.asarray(Image.open(io.BytesIO(png())))
    sealer = replace(sealer, label=LabelSettings(watermark=False))
    sealed = seal(sealer, tmp_path / "a.png", "image/png", png())
    with Image.open(sealed.path) as image:
        changed = np.argwhere((np.asarray(image) != before).any(axis=2))
    left, top, right, bottom = (int(edge) for edge in statement_of(sealed)["visible"]["box"])
    (first_y, first_x), (last_y, last_x) = changed.min(axis=0), changed.max(axis=0)
    assert left <= first_x <= last_x < right
    assert top <= first_y <= last_y < bottom


@pytest.mark.parametrize("size", [(300, 400), (1240, 1754), (5000, 100), (64, 64), (1, 1)])
@pytest.mark.parametrize("level", [10, 118, 240])
def test_glyphs_reach_five_percent_and_the_contrast(size: tuple[int, int], level: int) -> None:
    for words in labels.WORDS.values():
        canvas, facts = picture.label_picture(Image.new("RGB", size, (level,) * 3), words)
        height, ratio = facts["glyph_height_px"], facts["contrast"]
        assert isinstance(height, int)
        assert isinstance(ratio, float)
        assert height >= max(0.05 * min(canvas.size), picture.LEGIBLE_PX)
        assert ratio >= 4.5


def test_the_label_avoids_the_subject() -> None:
    image = Image.new("RGB", (600, 600), (240, 235, 220))
    noise = np.random.default_rng(1).integers(0, 255, (300, 600, 3), np.uint8)
    image.paste(Image.fromarray(noise), (0, 300))
    _, facts = picture.label_picture(image, ("AI生成",))
    assert facts["form"] == "top-right"


def test_a_small_picture_gets_a_footer_and_keeps_its_pixels() -> None:
    image = Image.new("RGB", (48, 40), (10, 120, 30))
    canvas, facts = picture.label_picture(image, ("AI生成", "AI GENERATED"))
    left = (canvas.width - 48) // 2
    assert facts["form"] == "footer"
    assert canvas.crop((left, 0, left + 48, 40)).tobytes() == image.tobytes()


def test_a_transparent_picture_gets_a_plate() -> None:
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    _, facts = picture.label_picture(image, ("AI生成",))
    assert facts["plate"] is True


# Faults of the writer: whatever goes wrong, nothing appears.


def _fails(sealer: Sealer, folder: Path, name: str, media_type: str, data: bytes | str) -> str:
    with pytest.raises(SealError) as caught:
        seal(sealer, folder / name, media_type, data)
    assert not folder.exists() or not list(folder.iterdir())
    return str(caught.value)


@pytest.mark.parametrize("media_type", ["image/png", "text/markdown", "text/html"])
def test_a_label_silently_not_written_publishes_nothing(
    sealer: Sealer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, media_type: str
) -> None:
    broken = replace(FORMATS[media_type], write=lambda drawn, _: drawn)
    monkeypatch.setitem(FORMATS, media_type, broken)
    monkeypatch.setattr("wenfang.seal.reader.format_of", lambda name: broken)
    data = png() if media_type == "image/png" else " " * 99
    name = "a" + broken.suffixes[0]
    assert "no metadata label" in _fails(sealer, tmp_path / "out", name, media_type, data)


@pytest.mark.parametrize(
    ("key", "value", "finding"),
    [
        ("Label", 1, "not a string"),
        ("Label", "4", "not 1, 2 or 3"),
        ("ContentProducer", "文房", "0x21-0x7E"),
        ("ContentProducer", "two words", "0x21-0x7E"),
        ("ProduceID", 'a"b', "0x21-0x7E"),
        ("ProduceID", "", "empty"),
        ("Extra", "x", "Extra"),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.txt", "a.html"])
def test_an_invalid_label_publishes_nothing(
    sealer: Sealer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    key: str,
    value: object,
    finding: str,
) -> None:
    def wrong(*arguments: Any) -> dict[str, Any]:
        return {**labels.new_label(*arguments), key: value}

    monkeypatch.setattr("wenfang.seal.writer.new_label", wrong)
    media_type = {"a.png": "image/png", "a.txt": "text/plain", "a.html": "text/html"}[name]
    data = png() if name == "a.png" else "x"
    assert finding in _fails(sealer, tmp_path / "out", name, media_type, data)


@pytest.mark.parametrize(
    ("name", "media_type", "data"),
    [
        ("a.md", "text/markdown", "---\nAIGC: {}\n---\n"),
        ("a.html", "text/html", '<meta name="aigc" content="{}">'),
    ],
)
def test_a_payload_that_brings_a_label_is_refused(
    sealer: Sealer, tmp_path: Path, name: str, media_type: str, data: str
) -> None:
    assert "2 metadata labels" in _fails(sealer, tmp_path / "out", name, media_type, data)


def test_glyphs_of_4_9_percent_publish_nothing(
    sealer: Sealer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = partial(picture.label_picture, glyph_share=0.049)
    monkeypatch.setattr(picture, "label_picture", low)
    data = png(1000, 1000)
    assert "4.9%" in _fails(sealer, tmp_path / "out", "a.png", "image/png", data)


@pytest.mark.parametrize(
    ("name", "media_type", "data", "finding"),
    [
        ("a.txt", "text/plain", b"\xff\xfe", "not UTF-8"),
        ("a.txt", "text/plain", "\ud800", "broken character"),
        ("a.png", "image/png", b"GIF89a", "not a PNG"),
        ("a.jpg", "image/png", b"", "must end in .png"),
        ("a.xyz", "chemical/x-xyz", "x", "cannot be sealed"),
    ],
)
def test_a_payload_of_another_kind_publishes_nothing(
    sealer: Sealer, tmp_path: Path, name: str, media_type: str, data: bytes | str, finding: str
) -> None:
    assert finding in _fails(sealer, tmp_path / "out", name, media_type, data)


def test_a_broken_png_publishes_nothing(sealer: Sealer, tmp_path: Path) -> None:
    with pytest.raises(WenfangError):
        seal(sealer, tmp_path / "out" / "a.png", "image/png", png()[:200])
    assert not (tmp_path / "out").exists()


def test_a_manifest_of_other_content_is_refused(sealer: Sealer, tmp_path: Path) -> None:
    core = Manifest(kind="asset", name="a", media_type="text/plain", payload_sha256="0" * 64)
    payload = Payload(media_type="text/plain", data="x")
    with pytest.raises(SealError, match="other content"):
        emit(payload, tmp_path / "a.txt", Provenance(manifest=core), sealer)
    assert not list(tmp_path.iterdir())


def test_a_missing_key_publishes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (Sealer.at(home).identity.folder / "signer.pem").unlink()
    with pytest.raises(IdentityError):
        seal(Sealer.at(home), tmp_path / "out" / "a.txt", "text/plain", "x")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fails_at", [0, 1, 2, 3])
def test_a_rename_that_fails_leaves_nothing(
    sealer: Sealer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    real, calls = os.replace, iter(range(9))

    def replace_or_fail(*paths: Any) -> None:
        if next(calls) == fails_at:
            raise KeyboardInterrupt
        real(*paths)

    monkeypatch.setattr("wenfang.seal.writer.os.replace", replace_or_fail)
    with pytest.raises(KeyboardInterrupt):
        seal(sealer, tmp_path / "a.txt", "text/plain", "x")
    assert not list(tmp_path.iterdir())


def test_sealing_again_replaces_the_file_and_its_sidecars(sealer: Sealer, tmp_path: Path) -> None:
    seal(sealer, tmp_path / "a.txt", "text/plain", "old")
    sealed = seal(sealer, tmp_path / "a.txt", "text/plain", "new")
    assert verify([sealed.path], (sealer.identity.root,))[0].exit_code == 0
    assert sealed.path.read_text("utf-8").startswith("new")
    assert not list(tmp_path.glob(f"{TEMPORARY_PREFIX}*"))


# What the label and the report say.


def test_producer_is_the_code_or_the_plain_name() -> None:
    assert LabelSettings(producer_name='My 文房 "Studio"').producer == "My--Studio"
    assert LabelSettings(producer_code="0011" + "9" * 23).producer == "0011" + "9" * 23
    with pytest.raises(ConfigError, match="27"):
        LabelSettings(producer_code="0011")
    with pytest.raises(ConfigError, match="文房"):
        LabelSettings(producer_name="文房")


def test_the_report_says_self_made_and_that_no_code_is_set(sealer: Sealer, tmp_path: Path) -> None:
    sealed = seal(sealer, tmp_path / "a.txt", "text/plain", "x")
    assert "self-made, not issued by an authority" in sealed.notes
    assert any("no provider code" in note for note in sealed.notes)
    assert statement_of(sealed)["producer"] == {"name": "Wenfang", "code": None}


def test_ids_derive_from_the_manifest_and_the_propagator_is_the_producer(
    sealer: Sealer, tmp_path: Path
) -> None:
    sealed = seal(sealer, tmp_path / "a.txt", "text/plain", "x")
    label = sealed.label
    assert label["ProduceID"] == label["PropagateID"] == f"wf-{sealed.manifest.id[:32]}"
    assert label["ContentPropagator"] == label["ContentProducer"]
    assert statement_of(sealed)["manifest_sha256"] == sealed.manifest.id


@pytest.mark.parametrize(
    ("line", "is_label"),
    [
        ("AI生成", True),
        ("AI GENERATED", True),
        ("本文由人工智能合成", True),
        ("AI播客", False),
        ("生成", False),
        ("MAID GENERATED", False),
        ("AI生成" + "x" * 60, False),
    ],
)
def test_label_words_hold_both_elements(line: str, is_label: bool) -> None:
    assert labels.is_label_line(line) is is_label


def test_readers_do_not_see_what_is_hidden() -> None:
    assert html_lines("<p style='display: none'>AI生成</p><template>AI生成</template>") == []
    assert html_lines("<title>AI生成</title><p>x <b>y</b></p>") == ["x y"]
    assert markdown_lines("```\nAI生成\n```\n<!--\nAI生成\n-->\nx") == ["x"]


@pytest.mark.parametrize(
    "packet",
    [b"", b"<a>" * 500, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"\xff\xfe", b"<a"],
)
def test_hostile_xmp_gives_no_label(packet: bytes) -> None:
    assert xmp_labels(packet) == []


def test_a_text_is_sealed_and_verified_without_torch_or_decoders(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from wenfang.seal import *\n"
        "from wenfang.store.manifest import Manifest\n"
        "home = Path(sys.argv[1])\n"
        "core = Manifest(kind='asset', name='a', media_type='text/plain')\n"
        "emit(Payload(media_type='text/plain', data='x'), home / 'a.txt',\n"
        "     Provenance(manifest=core), Sealer.at(home))\n"
        "assert verify([home / 'a.txt'], own_roots(home))[0].exit_code == 0\n"
        "assert not {'torch', 'PIL', 'av', 'soundfile'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
