"""JSON, CSV and ZIP: the content stays as it is, byte for byte; label and credential are sidecars.

Data has no visible form, and a line or field that is added to it breaks the program that reads it.
What is checked is that the bytes are what they are published as.
"""

from __future__ import annotations

import codecs
import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from wenfang.errors import SealError
from wenfang.language import t
from wenfang.seal.formats.contract import Drawn, Format, Marking, visible_layer
from wenfang.seal.formats.opc import is_package_with
from wenfang.seal.formats.text import plain_words
from wenfang.seal.label import parse_label
from wenfang.seal.layers import Layer

MAX_LABEL_JSON_BYTES = 8 << 20  # JSON of empty lists takes twenty times its size when parsed
MAX_ENTRIES = 100_000
_ENTRY = b"PK\1\2"  # begins every entry of a zip's central directory
_ZIP_STARTS = (b"PK\3\4", b"PK\5\6")
_NAME, _BOOK = 30, b"mimetypeapplication/"  # how EPUB and OpenDocument begin, behind the header
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class _Object(list[tuple[str, object]]):
    """A JSON object as its pairs, so that a key that stands twice is seen twice."""


def _parsed(text: str, hook: Callable[[list[tuple[str, object]]], object]) -> object:
    # Numbers stay text: their value is of no interest, and one of a million digits takes minutes.
    value: object = json.loads(
        text, object_pairs_hook=hook, parse_int=str, parse_float=str, parse_constant=_no_number
    )
    return value


def _no_number(name: str) -> object:
    raise ValueError(name)


def _check_json(payload: bytes) -> None:
    try:
        # Objects are dropped as they are read, which bounds the memory.
        _parsed(payload.decode("utf-8-sig"), lambda pairs: None)
    except json.JSONDecodeError as error:
        raise SealError(
            "the JSON to publish breaks at line {line}, column {column}; correct it first",
            line=error.lineno,
            column=error.colno,
        ) from None
    except RecursionError:
        raise SealError("the JSON to publish is nested too deeply; flatten it first") from None
    except ValueError:
        raise SealError(
            "the JSON to publish is not UTF-8, or has NaN or Infinity, which JSON does not know"
        ) from None


def _json_labels(data: bytes) -> list[object]:
    """Every top-level `AIGC` that another maker wrote into files of up to 8 MB."""
    if len(data) > MAX_LABEL_JSON_BYTES:
        return []
    try:
        top = _parsed(data.decode("utf-8-sig"), _Object)
    except (ValueError, RecursionError):
        return []
    if not isinstance(top, _Object):
        return []
    return [_label(value) for key, value in top if key == "AIGC"]


def _label(value: object) -> object:
    """A label's object, or text that holds one."""
    if isinstance(value, str):
        return parse_label(value)
    return dict(value) if isinstance(value, _Object) else value


def _check_csv(payload: bytes) -> None:
    """SealError unless the bytes are text in an encoding that spreadsheets write."""
    encodings = ("utf-16",) if payload.startswith(_UTF16) else ("utf-8", "gb18030")
    for encoding in encodings:
        try:
            text = payload.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not any(control in text for control in "\0\1\2\3\4\5\6\7\x08\x0e\x0f"):
            return
    raise SealError("the table to publish is not text; export it as CSV in UTF-8")


def _check_zip(payload: bytes) -> None:
    if payload.count(_ENTRY) > MAX_ENTRIES:
        raise SealError("the zip to publish has more than {count} entries; publish it in parts",
                        count=MAX_ENTRIES)  # fmt: skip
    try:
        zipfile.ZipFile(io.BytesIO(payload)).close()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
        raise SealError(
            "the zip to publish is damaged: its list of contents cannot be read; pack it again"
        ) from None


def _is_plain_zip(data: bytes) -> bool:
    """A zip by its first bytes that is no office document and no book."""
    return data.startswith(_ZIP_STARTS) and not (
        data[_NAME:].startswith(_BOOK) or is_package_with(data, "")
    )


def _no_labels(data: bytes) -> list[object]:
    return []


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    finding = t("data has no visible form; its label is the sidecar {name}", name="FILE.aigc.json")
    return visible_layer("good", finding, {"form": "none"})


def _untouched(
    name: str,
    media_type: str,
    check: Callable[[bytes], None],
    labels: Callable[[bytes], list[object]] = _no_labels,
    starts: Callable[[bytes], bool] | None = None,
    words: Callable[[bytes], str] | None = None,
) -> Format:
    """A format whose files are published as they are once `check` has passed them."""

    def draw(payload: bytes, marking: Marking) -> Drawn:
        check(payload)
        return Drawn(data=payload, inserted=(), visible={"form": "none"})

    return Format(
        name=name,
        media_type=media_type,
        suffixes=(f".{name}",),
        credential="sidecar",
        draw=draw,
        write=None,
        labels=labels,
        measure=_measure,
        starts=starts,
        words=words,
    )


JSON = _untouched("json", "application/json", _check_json, _json_labels, words=plain_words)
CSV = _untouched("csv", "text/csv", _check_csv, words=plain_words)
ZIP = _untouched("zip", "application/zip", _check_zip, starts=_is_plain_zip)
