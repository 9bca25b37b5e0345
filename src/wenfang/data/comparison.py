"""What a draft is compared with: texts, pictures and melodies of folders that a user names.

Folders are read with bounds, files in the order of their names, links not followed. Where a cache
folder is given the indexes are kept in it under the hash of the files' names and contents, so
that unchanged folders are read but not indexed again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from PIL import Image

from wenfang.atomic import canonical_json, new_folder, sha256_bytes
from wenfang.data.melody_index import MELODY_INDEX, Melody, MelodyIndex
from wenfang.data.picture_index import PICTURE_INDEX, VECTOR_INDEX, PictureIndex, VectorIndex
from wenfang.data.text_index import TEXT_INDEX, TextIndex
from wenfang.errors import BundleError, DataError, MediaError
from wenfang.media.image import decode_image
from wenfang.media.midi import notes, read_midi
from wenfang.media.text import decode_text

TEXTS = (".txt", ".md")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MELODIES = (".mid", ".midi")
LIMIT_FILES = 20_000
LIMIT_FILE_BYTES = 64 * 1024 * 1024
LIMIT_BYTES = 2 * 1024**3
FORMAT = "1"  # of the cached indexes: raise it when any of them is built otherwise


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Indexes of what a user's folders hold, and what in them could not be read.

    find_vectors  makes or reads the index of vectors when it is first asked for
    """

    texts: TextIndex
    pictures: PictureIndex
    melodies: MelodyIndex
    unread: tuple[str, ...] = ()
    find_vectors: Callable[[], VectorIndex | None] = field(
        default=lambda: None, repr=False, compare=False
    )

    @cached_property
    def vectors(self) -> VectorIndex | None:
        """Vectors of the pictures by the encoder in the package, made at the first use; None
        without pictures or encoder.
        """
        return self.find_vectors() if len(self.pictures) else None

    def unread_of(self, endings: tuple[str, ...]) -> tuple[str, ...]:
        """Files with one of these endings that could not be read."""
        return tuple(name for name in self.unread if name.lower().endswith(endings))

    def save(self, folder: Path) -> None:
        """Write three .safetensors files as a new folder, atomically."""
        with new_folder(folder) as place:
            self.texts.save(place / TEXT_INDEX)
            self.pictures.save(place / PICTURE_INDEX)
            self.melodies.save(place / MELODY_INDEX)

    @classmethod
    def load(cls, folder: Path, unread: tuple[str, ...] = ()) -> Comparison:
        """Read what `save` wrote; BundleError where a file is missing or damaged."""
        return cls(
            texts=TextIndex.load(folder / TEXT_INDEX),
            pictures=PictureIndex.load(folder / PICTURE_INDEX),
            melodies=MelodyIndex.load(folder / MELODY_INDEX),
            unread=unread,
        )


@dataclass(frozen=True)
class _File:
    """A file of a folder; `name` is what a find is reported by."""

    path: Path
    name: str

    def read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise MediaError(
                "{name} cannot be read: {reason}", name=self.path, reason=error.strerror
            ) from None

    @cached_property
    def ending(self) -> str:
        return self.path.suffix.lower()


def read_comparison(folders: Sequence[Path], cache: Path | None = None) -> Comparison:
    """Index the texts, pictures and melodies of `folders`; `cache` keeps the indexes.

    A file that is broken is named in `unread` and left out.
    raises DataError for a folder that is none, or that holds too much
    """
    files = [file for folder in folders for file in _files(folder)]
    if len(files) > LIMIT_FILES:
        raise DataError(
            "there are more than {limit} files to compare with; name a smaller folder",
            limit=LIMIT_FILES,
        )
    place = cache / f"compare-{_key(files)}" if cache else None
    made = _cached(place) if place else None
    if made is None:
        made = _build(files)
        if place and not made.unread:
            made.save(place)
    kept = place / VECTOR_INDEX if place and not made.unread else None
    return replace(made, find_vectors=lambda: _vectors(files, kept))


def _cached(place: Path) -> Comparison | None:
    """The indexes kept at `place`; None where there are none or they are damaged."""
    try:
        return Comparison.load(place) if place.is_dir() else None
    except BundleError:
        return None


def _vectors(files: Sequence[_File], kept: Path | None) -> VectorIndex | None:
    """Vectors of the pictures among `files`, kept at `kept` for the next time."""
    from wenfang.data.picture_sight import shipped  # reads a bundle

    encoder = shipped()
    if encoder is None:
        return None
    if kept and kept.is_file():
        try:
            found = VectorIndex.load(kept)
            if (found.encoder, found.held_out) == (encoder.name, encoder.held_out):
                return found
        except BundleError:
            pass  # a damaged cache is made again
    made = VectorIndex.of(_pictures(files, []), encoder, encoder.held_out)
    if kept:
        made.save(kept)
    return made


def _pictures(files: Iterable[_File], unread: list[str]) -> Iterator[tuple[str, Image.Image]]:
    """Name and pixels of every picture; what is broken is named in `unread`."""
    for file in files:
        if file.ending in PICTURES:
            try:
                yield file.name, decode_image(file.read(), file.name)
            except MediaError:
                unread.append(file.name)


def _files(folder: Path) -> Iterator[_File]:
    if not folder.is_dir():
        raise DataError("{path} is not a folder; name a folder to compare with", path=folder)
    total = 0
    for where, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if path.suffix.lower() not in (*TEXTS, *PICTURES, *MELODIES) or path.is_symlink():
                continue
            size = path.stat().st_size
            total += size
            if size > LIMIT_FILE_BYTES or total > LIMIT_BYTES:
                raise DataError(
                    "{path} is too much to compare with ({size} bytes); name a smaller folder",
                    path=path,
                    size=size,
                )
            yield _File(path, path.relative_to(folder).as_posix())


def _key(files: Iterable[_File]) -> str:
    contents = [[file.name, sha256_bytes(file.read())] for file in files]
    return sha256_bytes(canonical_json([FORMAT, contents]))[:32]


def _build(files: Sequence[_File]) -> Comparison:
    unread: list[str] = []

    def texts() -> Iterator[tuple[str, str]]:
        for file in files:
            if file.ending in TEXTS:
                try:
                    yield file.name, decode_text(file.read(), file.name).text
                except MediaError:
                    unread.append(file.name)

    def melodies() -> Iterator[tuple[str, Melody]]:
        for file in files:
            if file.ending in MELODIES:
                try:
                    yield file.name, notes(read_midi(file.read(), file.name))
                except MediaError:
                    unread.append(file.name)

    return Comparison(
        texts=TextIndex.build(texts()),
        pictures=PictureIndex.build(_pictures(files, unread)),
        melodies=MelodyIndex.build(melodies()),
        unread=tuple(unread),
    )
