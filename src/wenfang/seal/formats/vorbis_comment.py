"""Vorbis comments, as FLAC, Ogg Vorbis and Opus have them: the field `AIGC=` written and read."""

from __future__ import annotations

from dataclasses import dataclass

from wenfang.seal.formats.xmp import MAX_METADATA_BYTES

MAX_FIELDS = 4_096
FIELD = b"AIGC="
VENDOR = b"Wenfang"


@dataclass(frozen=True, kw_only=True)
class Comment:
    """The encoder's name and the fields, each `NAME=value` in UTF-8."""

    vendor: bytes = VENDOR
    fields: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, content: bytes) -> Comment:
        """The comment in `content`; as many fields as are whole."""
        vendor, position = _counted(content, 0)
        if vendor is None:
            return cls()
        count = int.from_bytes(content[position : position + 4], "little")
        position += 4
        fields: list[bytes] = []
        while len(fields) < min(count, MAX_FIELDS):
            field, position = _counted(content, position)
            if field is None:
                break
            fields.append(field)
        return cls(vendor=vendor, fields=tuple(fields))

    def render(self) -> bytes:
        """The bytes of the comment, without any frame around it."""
        parts = [_with_length(self.vendor), len(self.fields).to_bytes(4, "little")]
        return b"".join([*parts, *map(_with_length, self.fields)])

    @property
    def labels(self) -> list[str]:
        """Values of every AIGC field of a bearable size."""
        texts = [one[len(FIELD) :] for one in self.fields if _is_label(one)]
        return [one.decode("utf-8", "replace") for one in texts if len(one) <= MAX_METADATA_BYTES]

    def with_label(self, json_text: str | None) -> Comment:
        """The comment with this one AIGC field, or with none."""
        kept = tuple(one for one in self.fields if not _is_label(one))
        added = () if json_text is None else (FIELD + json_text.encode(),)
        return Comment(vendor=self.vendor, fields=kept + added)


def _is_label(field: bytes) -> bool:
    return field[: len(FIELD)].upper() == FIELD


def _counted(content: bytes, position: int) -> tuple[bytes | None, int]:
    """Bytes behind their length, and where they end; None where they are not all there."""
    size = int.from_bytes(content[position : position + 4], "little")
    if position + 4 + size > len(content):
        return None, position
    return content[position + 4 : position + 4 + size], position + 4 + size


def _with_length(content: bytes) -> bytes:
    return len(content).to_bytes(4, "little") + content
