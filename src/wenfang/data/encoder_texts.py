"""What a bilingual encoder reads: sentences with their translation, and texts of one language.

A record of a pair is {"text": Chinese, "english": English}; any other is {"text": …}. Pairs are
split as the set of short sentences is, so that what was measured there is unseen here; names of
signs are for training only, since many of them differ in one word.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wenfang.atomic import exclusive, new_folder, sha256_bytes
from wenfang.data.dataset import MANIFEST, Dataset
from wenfang.data.lineage import FORMAT, dataset_manifest, request_key, source_manifest
from wenfang.data.lines import SourceFile
from wenfang.data.parallel import plain_chinese, plain_english, short_sentences
from wenfang.data.request import Source, request_for
from wenfang.data.shards import ShardWriter
from wenfang.data.split import SPLITS, Split
from wenfang.errors import DataError
from wenfang.store.manifest import to_record, write_manifest

Row = tuple[str, dict[str, Any]]
SPLIT = Split(train=0.95, valid=0.05, test=0.0)
DIALOGUE_BYTES_MAX = 64 * 2**20
SKIN_TONE = "skin tone"


@dataclass(frozen=True, kw_only=True)
class Material:
    """One source: the folder that its files lie in, and the SHA-256 of each by its name there."""

    source: Source
    folder: Path
    hashes: Mapping[str, str]


def prepare_encoder_texts(name: str, materials: Sequence[Material], output: Path) -> Dataset:
    """All materials as one data set; the same files give the same bytes.

    raises DataError for a material that READERS does not know, or that is broken
    """
    manifests = [
        source_manifest(
            one.source,
            [SourceFile(path=one.folder / file, name=file) for file in one.hashes],
            list(one.hashes.values()),
        )
        for one in materials
    ]
    request = request_for("none", tuple(one.source for one in materials), str(output))
    key = sha256_bytes(f"{FORMAT} encoder {request_key(request, manifests, [])}".encode())
    with exclusive(output.parent / f".{output.name}.lock", str(output)), new_folder(output) as new:
        with ShardWriter(new, request.shard_bytes) as writer:
            for one in materials:
                for split, record in READERS[one.source.name](one.folder):
                    writer.write(split, {**record, "source": one.source.name})
        counts = {split: writer.totals(split) for split in SPLITS}
        kept = sum(count["records"] for count in counts.values())
        facts: dict[str, object] = {
            "sources": [to_record(manifest) for manifest in manifests],
            "settings": {"script": "simplified", "split": "pairs by sentence, texts by document"},
            "counts": {"read": kept, "kept": kept, "rejected": {}, "splits": counts},
            "shards": writer.shards,
        }
        write_manifest(new / MANIFEST, dataset_manifest(name, key, manifests, facts))
    return Dataset.open(output)


def sentence_pairs(folder: Path) -> Iterator[Row]:
    """Short sentences in both languages, in the parts that a translator's are in."""
    for part, english, chinese in short_sentences(folder / "cmn.txt")[0]:
        yield part, {"text": chinese, "english": english}


def sign_names(folder: Path) -> Iterator[Row]:
    """English and Chinese names of signs and pictures, each once, without skin tones."""
    with (folder / "captions.tsv").open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        names = [(row["name_en"] or "", row["name_zh"] or "") for row in rows]
    for english, chinese in dict.fromkeys(names):
        if english and chinese and SKIN_TONE not in english:
            yield "train", {"text": plain_chinese(chinese), "english": plain_english(english)}


def stories(folder: Path) -> Iterator[Row]:
    """Fairy tales, each whole, in the origin's parts."""
    for part, file in (("train", "train.csv"), ("valid", "val.csv")):
        found: dict[str, list[str]] = {}
        with (folder / file).open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                found.setdefault(row["document_id"], []).append(plain_english(row["text"]))
        for sentences in found.values():
            yield part, {"text": " ".join(sentences)}


def sums(folder: Path) -> Iterator[Row]:
    """Questions of everyday arithmetic, without their answers."""
    for line in (folder / "train.jsonl").read_text("utf-8").splitlines():
        text = plain_english(json.loads(line)["question"])
        yield SPLIT.part_of(text, seed=0), {"text": text}


def travel_talk(folder: Path) -> Iterator[Row]:
    """Dialogues about restaurants, sights and hotels, each whole, a turn a line.

    raises DataError for an archive that is broken or too large
    """
    path = folder / "val.json.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo("val.json")
            if member.file_size > DIALOGUE_BYTES_MAX:
                raise DataError("{path} holds too much; get it again", path=path)
            content = json.loads(archive.read(member))
    except (zipfile.BadZipFile, KeyError, OSError, json.JSONDecodeError) as reason:
        raise DataError(
            "{path} is no readable archive ({reason}); get it again", path=path, reason=reason
        ) from None
    for key, dialogue in content.items():
        turns = (plain_chinese(turn["content"]) for turn in dialogue["messages"])
        yield SPLIT.part_of(key, seed=0), {"text": "\n".join(turns)}


def knowing_talk(folder: Path) -> Iterator[Row]:
    """Dialogues about films and travel, each whole, a turn a line."""
    for subject in ("film", "travel"):
        for number, dialogue in enumerate(json.loads((folder / subject / "dev.json").read_bytes())):
            turns = (plain_chinese(turn["message"]) for turn in dialogue["messages"])
            yield SPLIT.part_of(f"{subject} {number}", seed=0), {"text": "\n".join(turns)}


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "tatoeba_en_zh": sentence_pairs,
    "noto_emoji72": sign_names,
    "fairytaleqa_stories": stories,
    "gsm8k": sums,
    "crosswoz_zh": travel_talk,
    "kdconv_zh": knowing_talk,
}
