"""ID3v2 tags: frames kept as they are, and the label in a TXXX frame whose description is AIGC.

Versions 2.2 to 2.4 are read, 2.3 and 2.4 written (id3.org, informal standards). A tag of 2.2, one
that is compressed as a whole, or a frame that ends outside its tag is left out when writing.
"""

from __future__ import annotations

from dataclasses import dataclass

from wenfang.seal.formats.xmp import MAX_METADATA_BYTES

MAX_FRAMES = 2_048
MAX_TAGS = 4
DESCRIPTION = "AIGC"
ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
# Bits of a frame's second flag byte that say its content is not plain: compressed, encrypted.
_CLOSED = {3: 0xC0, 4: 0x0C}
_UNSYNCHRONISED_FRAME = 0x02


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A frame: its name, its two flag bytes, and its content as it stands."""

    name: bytes
    flags: bytes
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Tag:
    """The tag of a file: version 3 or 4 (2 when read), its frames, and its size in the file."""

    version: int = 3
    frames: tuple[Frame, ...] = ()
    size: int = 0

    @property
    def labels(self) -> list[str]:
        """Values of every TXXX frame that is called AIGC."""
        texts = (_user_text(one, self.version) for one in self.frames)
        return [value for name, value in filter(None, texts) if name == DESCRIPTION]

    def with_label(self, json_text: str | None) -> Tag:
        """The tag with this one label, or with none; another maker's credential is left out."""
        version = self.version if self.version in (3, 4) else 3
        kept = self.frames if self.version == version else ()
        frames = [one for one in kept if not _is_ours(one, version)]
        if json_text is not None:
            content = b"\0" + DESCRIPTION.encode() + b"\0" + json_text.encode("latin-1", "replace")
            frames.append(Frame(name=b"TXXX", flags=bytes(2), content=content))
        return Tag(version=version, frames=tuple(frames))

    def render(self) -> bytes:
        """The tag's bytes; none for a tag without frames."""
        parts = []
        for one in self.frames:
            size = len(one.content)
            length = _syncsafe(size) if self.version == 4 else size.to_bytes(4, "big")
            parts.append(one.name + length + one.flags + one.content)
        body = b"".join(parts)
        head = b"ID3" + bytes((self.version, 0, 0)) + _syncsafe(len(body))
        return head + body if body else b""


def _is_ours(frame: Frame, version: int) -> bool:
    text = _user_text(frame, version)
    if text is not None and text[0] == DESCRIPTION:
        return True
    return frame.name == b"GEOB" and b"c2pa" in frame.content[:64]


def read_tag(data: bytes, start: int = 0) -> Tag:
    """The tag that begins at `start`; an empty one of size 0 if there is none that can be read."""
    head = data[start : start + 10]
    if len(head) < 10 or head[:3] != b"ID3" or head[3] not in (2, 3, 4):
        return Tag()
    version, flags, size = head[3], head[5], _number(head[6:10], syncsafe=True)
    if start + 10 + size > len(data):
        return Tag()
    body = data[start + 10 : start + 10 + size]
    if flags & _UNSYNCHRONISED and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    position = 0
    if version == 2 and flags & _EXTENDED:
        body = b""  # compressed in a way that was never defined
    elif flags & _EXTENDED:
        # The length counts itself in 2.4 and does not in 2.3.
        length = _number(body[:4], syncsafe=version == 4)
        position = length if version == 4 else length + 4
    footer = 10 if version == 4 and flags & _FOOTER else 0
    frames = tuple(_frames(body, position, version))
    return Tag(version=version, frames=frames, size=10 + size + footer)


def read_tags(data: bytes) -> list[Tag]:
    """The tags that stand one behind the other at the start of a file."""
    found: list[Tag] = []
    position = 0
    while len(found) < MAX_TAGS and (tag := read_tag(data, position)).size:
        found.append(tag)
        position += tag.size
    return found


def _frames(body: bytes, position: int, version: int) -> list[Frame]:
    """Frames up to the padding, the end, or the first that is broken."""
    found: list[Frame] = []
    header, width = (6, 3) if version == 2 else (10, 4)
    while position + header <= len(body) and len(found) < MAX_FRAMES:
        name = body[position : position + width]
        if not name.isalnum():
            break
        size = _number(body[position + width : position + 2 * width], syncsafe=version == 4)
        end = position + header + size
        if end > len(body):
            break
        flags = body[position + 8 : position + 10] if version > 2 else bytes(2)
        found.append(Frame(name=name, flags=flags, content=body[position + header : end]))
        position = end
    return found


def _user_text(frame: Frame, version: int) -> tuple[str, str] | None:
    """(description, value) of a user's text frame whose content is plain."""
    if frame.name not in (b"TXXX", b"TXX") or len(frame.content) > MAX_METADATA_BYTES:
        return None
    content = frame.content
    if frame.flags[1] & _CLOSED.get(version, 0):
        return None
    if version == 4 and frame.flags[1] & 0x01:  # a data length stands before the content
        content = content[4:]
    if version == 4 and frame.flags[1] & _UNSYNCHRONISED_FRAME:
        content = content.replace(b"\xff\x00", b"\xff")
    encoding = ENCODINGS.get(content[0]) if content else None
    if encoding is None:
        return None
    name, _, value = _decoded(content[1:], encoding).partition("\0")
    return name, value.lstrip("\ufeff").rstrip("\0")


def _decoded(content: bytes, encoding: str) -> str:
    text = content.decode(encoding, "replace")
    return text.lstrip("\ufeff")


def _number(content: bytes, *, syncsafe: bool) -> int:
    value = 0
    for byte in content:
        value = value << 7 | byte & 0x7F if syncsafe else value << 8 | byte
    return value


def _syncsafe(value: int) -> bytes:
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))
