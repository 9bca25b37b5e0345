"""Sentences and their translations as records: {"prompt", "completion", "text"}.

Unlike `prepare`, nothing is dropped for being like another record: a published number is only
comparable on the whole official set. "text" is the completion: what a model learns to write.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wenfang.data.dataset import Dataset
from wenfang.data.request import Source
from wenfang.data.rows import write_rows
from wenfang.data.split import Split
from wenfang.errors import DataError

# The official files of the captions, by the part that they become.
CAPTIONS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
# Both sides are written with the same marks: the German files mix „“ with ".
PLAIN_MARKS = str.maketrans(
    {"„": '"', "“": '"', "”": '"', "«": '"', "»": '"', "‚": "'", "‘": "'", "’": "'", "´": "'"}
    | {"–": "-", "—": "-", "…": "..."}
)


def plain_caption(line: str) -> str:
    """A line with plain quotes and dashes, single spaces, in lower case (`str.lower`).

    No mark that this changes is in the German side of test_2016_flickr, so its references are
    the official ones in lower case.
    """
    return " ".join(line.translate(PLAIN_MARKS).split()).lower()


def caption_files() -> tuple[str, ...]:
    """The files that `prepare_captions` reads, English before German."""
    return tuple(f"{stem}.{side}.gz" for stem in CAPTIONS.values() for side in ("en", "de"))


def prepare_captions(name: str, source: Source, hashes: Mapping[str, str], output: Path) -> Dataset:
    """English captions and their German, in the official parts, every pair kept in its order.

    hashes  SHA-256 by the name of each file of `caption_files`, all beside source.path
    raises  DataError where two sides differ in their number of lines
    """
    folder = Path(source.path).parent
    settings = {"case": "lower", "marks": "plain quotes and dashes", "split": "official"}
    return write_rows(name, source, hashes, settings, _captions(folder), output)


def _captions(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for split, stem in CAPTIONS.items():
        english, german = (_lines(folder / f"{stem}.{side}.gz") for side in ("en", "de"))
        if len(english) != len(german):
            raise DataError(
                "{path} has {count} lines in English and {other} in German; get both again",
                path=folder / stem,
                count=len(english),
                other=len(german),
            )
        for prompt, completion in zip(english, german, strict=True):
            written = plain_caption(completion)
            yield split, {"prompt": plain_caption(prompt), "completion": written, "text": written}


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        return stream.read().removesuffix("\n").split("\n")


def prepare_short_sentences(
    name: str, source: Source, hashes: Mapping[str, str], output: Path
) -> Dataset:
    """English and Chinese sentences, tab between, as records of both directions.

    A record's "into" is the language of its completion. Chinese is in simplified characters. No
    sentence of either language is in two parts: pairs that share one go to the same part, by the
    hash of the first English sentence among them.
    """
    parts, lost = short_sentences(Path(source.path))
    settings = {"script": "simplified", "directions": 2, "split": "0.9, 0.05, 0.05 by sentence"}
    return write_rows(
        name, source, hashes, settings, _both_ways(parts), output, {"same_pair": lost}
    )


def short_sentences(path: Path) -> tuple[list[tuple[str, str, str]], int]:
    """(part, English, simplified Chinese) of every pair of a file, and how many were repeats."""
    import opencc

    simplify = opencc.OpenCC("t2s").convert
    cells = [line.split("\t") for line in path.read_text("utf-8").split("\n") if line]
    read = [(plain_english(e), plain_chinese(simplify(c))) for e, c, *_ in cells]
    pairs = list(dict.fromkeys(read))
    first = _families(pairs)
    split = Split(train=0.9, valid=0.05, test=0.05)
    found = [(split.part_of(first[e], seed=0), e, c) for e, c in pairs]
    return found, len(read) - len(pairs)


def _both_ways(pairs: list[tuple[str, str, str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part, english, chinese in pairs:
        for prompt, written, into in ((english, chinese, "zh"), (chinese, english, "en")):
            yield part, {"prompt": prompt, "completion": written, "into": into, "text": written}


def _families(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Each English sentence's first relative: those that share a translation are one family."""
    parent: dict[str, str] = {}

    def root(one: str) -> str:
        while parent.setdefault(one, one) != one:
            one = parent[one] = parent[parent[one]]
        return one

    for english, chinese in pairs:
        # A Chinese sentence is a relative too, under a name that no English one has.
        one, other = root(english), root(f"\t{chinese}")
        low, high = sorted((one, other), key=lambda name: (name.startswith("\t"), name))
        parent[high] = low
    return {english: root(english) for english, _ in pairs}


def plain_english(text: str) -> str:
    """Compatibility forms and typographic quotes as plain ones, single spaces."""
    folded = unicodedata.normalize("NFKC", text).translate(PLAIN_MARKS)
    return " ".join(folded.replace("\u200b", "").split())


HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Marks that Chinese text writes wide, if they stand after a Han character or a closing mark.
_WIDE = str.maketrans({",": "，", "?": "？", "!": "！", ";": "；", ":": "：", ".": "。"})
_NARROW_MARK = re.compile(rf"(?<=[{HAN}”》）])[ ]*[,?!;:.]+")
_QUOTED = re.compile(r'"([^"]*)"|「([^」]*)」')


def plain_chinese(text: str) -> str:
    """Letters and digits narrow, marks wide, quotes as “ ”, no spaces beside Han characters."""
    folded = "".join(
        unicodedata.normalize("NFKC", c) if unicodedata.category(c)[0] in "LNZ" else c
        for c in text.replace("\u200b", "").replace("＂", '"').replace("﹐", "，")
    )
    quoted = _QUOTED.sub(lambda found: f"“{found[1] or found[2] or ''}”", " ".join(folded.split()))
    close = re.sub(rf"(?<=[{HAN}，。？！；：、“”]) | (?=[{HAN}，。？！；：、“”])", "", quoted)
    return _NARROW_MARK.sub(lambda found: found[0].strip().translate(_WIDE), close)
