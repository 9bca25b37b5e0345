"""How the files of each named data set become records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from wenfang.atomic import exclusive, new_folder, sha256_bytes
from wenfang.data.chorales import SETTINGS as CHORALE_SETTINGS
from wenfang.data.chorales import chorale_rows
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.digits import SETTINGS as DIGIT_SETTINGS
from wenfang.data.digits import digit_rows
from wenfang.data.drawings import FINE, Archive, prepare_drawings
from wenfang.data.e2e import SETTINGS, e2e_rows
from wenfang.data.encoder_texts import Material, prepare_encoder_texts
from wenfang.data.lineage import (
    FORMAT,
    OnEvent,
    dataset_manifest,
    request_key,
    source_manifest,
)
from wenfang.data.lines import SourceFile
from wenfang.data.named_source import NamedSource, beside
from wenfang.data.parallel import (
    prepare_captions,
    prepare_short_sentences,
)
from wenfang.data.pictograms import SETTINGS as PICTOGRAM_SETTINGS
from wenfang.data.pictograms import grouped_rows, pictogram_rows
from wenfang.data.prepare import prepare
from wenfang.data.request import Duplicates, PrepareRequest, Reading, Source, request_for
from wenfang.data.rows import write_rows
from wenfang.data.shards import ShardWriter
from wenfang.data.split import Split
from wenfang.data.spoken_digits import Told, settings_of, spoken_rows
from wenfang.store.manifest import to_record, write_manifest

ReadRows = Callable[[Path], Iterator[tuple[str, dict[str, Any]]]]


def poem_request(source: Source, output: Path | str) -> PrepareRequest:
    """How quatrains become records: verse rules, and no author in two splits."""
    request = request_for("verse", (source,), str(output), text_field="lines")
    return replace(request, name=source.name, split=Split(key="author"))


def make_poems(named: NamedSource, path: Path, output: Path, on_event: OnEvent | None) -> Dataset:
    """Quatrains: title, author, dynasty, lines, and text (the lines joined)."""
    return prepare(poem_request(named.source(path), output), on_event)


def make_comments(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """Chinese comments: topic, label ("0" harmless, "1" offensive) and text.

    A tenth of the training file is the validation part; the origin's own held-out file is the
    test part. Comments are short, so they are compared by 2-character shingles, and 10 shared
    characters condemn one.
    """
    assert named.held_out
    request = request_for("none", (named.source(path),), str(output))
    request = replace(
        request,
        name=named.name,
        language="zh",
        reading=Reading(text_field="TEXT", keep_fields=("topic", "label")),
        duplicates=Duplicates(shingle_size=2, lines=False),
        contaminated_size=10,
        held_out=(str(path.with_name(named.held_out.name)),),
        split=Split(train=0.9, valid=0.1, test=0.0),
    )
    return prepare(request, on_event)


def make_text_by_position(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """One text, kept byte for byte: its first 90 % to train on, the rest to validate."""
    source = named.source(path)
    files = [SourceFile(path=path, name=path.name)]
    manifest = source_manifest(source, files, [named.file.sha256])
    text = path.read_bytes().decode("utf-8")
    border = int(len(text) * 0.9)
    parts = {"train": text[:border], "valid": text[border:]}
    request = request_for("none", (source,), str(output))
    key = sha256_bytes(f"{FORMAT} position {request_key(request, [manifest], [])}".encode())
    with exclusive(output.parent / f".{output.name}.lock", str(output)), new_folder(output) as new:
        with ShardWriter(new, request.shard_bytes) as writer:
            for split, part in parts.items():
                writer.write(split, {"text": part})
        facts: dict[str, object] = {
            "sources": [to_record(manifest)],
            "settings": {"split": "by position, the first 90 % of the characters to train"},
            "counts": {
                "read": 1,
                "kept": 2,
                "rejected": {},
                "splits": {s: {"records": 1, "characters": len(p)} for s, p in parts.items()},
            },
            "shards": writer.shards,
        }
        write_manifest(new / MANIFEST, dataset_manifest(named.name, key, [manifest], facts))
    return Dataset.open(output)


def make_drawings(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """Emoji and icons as pictures, split so that no kind of drawing is in two parts."""
    return prepare_drawings(named.name, _archives(named, path), output)


def make_fine_drawings(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """The same, icons drawn so large that fine edges can be learnt from them."""
    return prepare_drawings(named.name, _archives(named, path), output, FINE)


def _archives(named: NamedSource, path: Path) -> list[Archive]:
    archives = [
        Archive(source=replace(named.source(path), name=Path(named.file.name).parts[0]), path=path)
    ]
    for other in named.further:
        place = beside(path, named, other)
        archives.append(Archive(source=other.source(place), path=place))
    return archives


def make_captions(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """Captions in English and German, lower-cased, in the official parts."""
    files = (named, *named.further)
    hashes = {Path(one.file.name).name: one.file.sha256 for one in files}
    return prepare_captions(named.name, named.source(path), hashes, output)


def make_short_sentences(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """English and Chinese sentences, as records of both directions."""
    hashes = {named.file.name: named.file.sha256}
    return prepare_short_sentences(named.name, named.source(path), hashes, output)


def make_venues(named: NamedSource, path: Path, output: Path, on_event: OnEvent | None) -> Dataset:
    """Facts about venues and texts that tell them, in the official parts."""
    files = (named, *named.further)
    hashes = {Path(one.file.name).name: one.file.sha256 for one in files}
    rows = e2e_rows(path.parent)
    return write_rows(named.name, named.source(path), hashes, SETTINGS, rows, output)


def make_chorales(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """Chorales in four voices, in the official parts."""
    hashes = {named.file.name: named.file.sha256}
    rows = chorale_rows(path.parent)
    source = named.source(path)
    return write_rows(named.name, source, hashes, CHORALE_SETTINGS, rows, output, kind="chorales")


def make_digits(named: NamedSource, path: Path, output: Path, on_event: OnEvent | None) -> Dataset:
    """Handwritten digits as pictures, the test part the official one."""
    files = (named, *named.further)
    hashes = {Path(one.file.name).name: one.file.sha256 for one in files}
    rows = digit_rows(path.parent)
    source = named.source(path)
    return write_rows(named.name, source, hashes, DIGIT_SETTINGS, rows, output, kind="digits")


def make_spoken_digits(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """Spoken digits as pictures of their levels, labelled by digit and speaker."""
    return _spoken(named, path, output, "text")


def make_spoken_for_reading(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """The same, labelled by the digit alone."""
    return _spoken(named, path, output, "digit")


def _spoken(named: NamedSource, path: Path, output: Path, label: Told) -> Dataset:
    rejected: Counter[str] = Counter()
    rows = spoken_rows(path, label, rejected)
    hashes = {path.name: named.file.sha256}
    settings = settings_of(label)
    return write_rows(
        named.name, named.source(path), hashes, settings, rows, output, rejected, kind="spoken"
    )


def make_pictograms(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """Emoji with their names in English and Chinese, glyphs held out."""
    return _pictograms(named, path, output, pictogram_rows)


def make_pictogram_groups(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """The same, labelled by the groups of Unicode."""
    return _pictograms(named, path, output, grouped_rows)


def _pictograms(named: NamedSource, path: Path, output: Path, read: ReadRows) -> Dataset:
    files = (named, *named.further)
    hashes = {Path(one.file.name).name: one.file.sha256 for one in files}
    source = named.source(path)
    rows = read(path.parent)
    return write_rows(named.name, source, hashes, PICTOGRAM_SETTINGS, rows, output, kind=named.name)


def make_encoder_texts(
    named: NamedSource, path: Path, output: Path, on_event: OnEvent | None
) -> Dataset:
    """Pairs and plain texts in English and Chinese; files of one source lie in one folder."""
    root = path.parents[len(Path(named.file.name).parts) - 1]
    inside = Path(named.file.name)
    pairs = replace(named, name=inside.parts[0], file=replace(named.file, name=inside.name))
    found: dict[str, Material] = {}
    for one in (pairs, *named.further):
        known = found.get(one.name)
        found[one.name] = Material(
            source=one.source(root / one.name),
            folder=root / one.name,
            hashes={**(known.hashes if known else {}), one.file.name: one.file.sha256},
        )
    return prepare_encoder_texts(named.name, tuple(found.values()), output)
