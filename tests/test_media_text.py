"""Text files: what is read is what was written, and what is not text is refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wenfang.errors import MediaError
from wenfang.media.text import decode_text, detect_encoding, is_binary, read_text

TRADITIONAL = "春江潮水連海平，海上明月共潮生。灩灩隨波千萬里，何處春江無月明。不知江月待何人"
SIMPLIFIED = "这是一段常见的中文文字，我们在这里说明它的意思。他不知道你来了，也没有看见我们。"
FRENCH = "Le garçon était déjà là, près de la forêt; où donc est passé l'été, pensa-t-il."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "gb18030"),
        (SIMPLIFIED, "utf-16-le"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL, "gb18030"),
        (FRENCH, "cp1252"),
        (FRENCH, "utf-16-be"),
        (SIMPLIFIED, "utf-8"),
    ],
)
def test_the_encoding_of_everyday_text_is_found(text: str, encoding: str) -> None:
    if encoding.startswith("utf-16"):
        text = "A line.\n" + FRENCH
    read = decode_text(text.encode(encoding))
    assert (read.text, read.encoding) == (text, encoding)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_and_is_not_part_of_the_text(encoding: str) -> None:
    assert decode_text(SIMPLIFIED.encode(encoding)).text == SIMPLIFIED


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff")))
def test_any_utf8_text_comes_back_in_nfc(text: str) -> None:
    assert decode_text(text.encode()).text == unicodedata.normalize("NFC", text)


def test_line_ends_become_newlines() -> None:
    assert decode_text(b"one\r\ntwo\rthree\n").text == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    "data",
    [b"\x89PNG\r\n\x1a\n", b"PK\x03\x04rest", b"%PDF-1.7", b"a\x00b" * 9, bytes(range(32)) * 20],
)
def test_a_binary_file_is_refused(data: bytes) -> None:
    assert is_binary(data)
    with pytest.raises(MediaError, match="not a text file"):
        decode_text(data, "picture.png")


def test_bytes_of_no_known_encoding_are_refused_and_not_guessed() -> None:
    assert detect_encoding(b"\x81\xff\x90\xfe\x8d\xff" * 30) is None
    with pytest.raises(MediaError, match="save it as UTF-8"):
        decode_text(b"\x81\xff\x90\xfe\x8d\xff" * 30, "notes.txt")


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"x" * 100)
    with pytest.raises(MediaError, match="100 bytes, the limit is 99"):
        read_text(path, limit_bytes=99)
    assert read_text(path, limit_bytes=100).text == "x" * 100


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.txt"):
        read_text(tmp_path / "gone.txt")
