"""What is to be published: content before any label, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.config import to_dict
from wenfang.errors import SealError
from wenfang.seal.credential import Parent, read_credential
from wenfang.store.manifest import Manifest

if TYPE_CHECKING:
    from PIL import Image

    from wenfang.media.audio import Sound
    from wenfang.media.video import Film


@dataclass(frozen=True, kw_only=True, eq=False)
class Payload:
    """Generated content before any label.

    data  the bytes of a file; text, which becomes UTF-8; or a picture, a sound or a film, which
          is encoded once, after its label is drawn
    """

    media_type: str
    data: bytes | str | Image.Image | Sound | Film

    @cached_property
    def content(self) -> bytes:
        """The bytes that name the payload and that a store keeps: the file's, or a lossless form.

        A film's frames are too many to keep: its content is the hash of each.
        raises SealError for text that UTF-8 cannot carry
        """
        if isinstance(self.data, bytes):
            return self.data
        if not isinstance(self.data, str):
            return _lossless(self.data)
        try:
            return self.data.encode("utf-8")
        except UnicodeEncodeError as error:
            raise SealError(
                "the text to publish has a broken character at {position}; remove it",
                position=error.start,
            ) from None

    @property
    def drawable(self) -> bytes | Image.Image | Sound | Film:
        """What a format draws the label on."""
        return self.content if isinstance(self.data, str) else self.data


def _lossless(data: Image.Image | Sound | Film) -> bytes:
    from wenfang.media.audio import Sound
    from wenfang.media.image import encode_png
    from wenfang.media.video import Film

    if isinstance(data, Sound):
        head = canonical_json({"rate": data.sample_rate_hz, "shape": list(data.samples.shape)})
        return head + b"\n" + data.samples.astype("<f4").tobytes()
    if isinstance(data, Film):
        hashes = [sha256_bytes(frame.tobytes()) for frame in data.frames]
        sound = None if data.sound is None else sha256_bytes(_lossless(data.sound))
        words = {"captions": [to_dict(one) for one in data.captions]} if data.captions else {}
        return canonical_json({"fps": str(data.fps), "frames": hashes, "sound": sound, **words})
    return encode_png(data)


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """Content that another program made: the file as it came, and the marks that it brought.

    made_with   the program or model, as its user names it
    label       its valid metadata label; its producer is kept and we are the propagator
    credential  its detached credential; one inside `data` is found there
    """

    made_with: str
    data: bytes
    media_type: str
    label: Mapping[str, str] | None = None
    credential: bytes | None = None

    @property
    def parent(self) -> Parent | None:
        """The file as an ingredient, if it has a credential that can be read."""
        found = read_credential(self.data, self.media_type, self.credential, ())
        if found.state == "absent" or not found.made_by:
            return None
        return Parent(data=self.data, media_type=self.media_type, detached=self.credential)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the content comes from: the core of its manifest, hashes filled in when sealed.

    origin     for content that another program made
    watermark  {"kind": …} that a text was drawn with, or {"none": why}, as a message template
    """

    manifest: Manifest
    origin: Origin | None = None
    watermark: Mapping[str, object] | None = None
