"""The E2E set (Novikova et al. 2017, arXiv:1706.09254): facts about a venue and copy for them."""

from __future__ import annotations

import csv
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wenfang.data.venue import parse_facts, write_facts
from wenfang.errors import DataError

TRAIN = "e2e_aligned.tar.gz"
VALID, TEST = "devset.csv", "testset_w_refs.csv"
SETTINGS = {
    "split": "official; training texts from the aligned copy, put back into plain English",
    "cleaned": "sentences begin with a capital and the text ends with a mark, in training only",
}
LIMIT_BYTES = 32 * 2**20
FIELD = re.compile(r"__start_(\w+)__ (.*?) __end_\1__")

Row = tuple[str, dict[str, Any]]


def e2e_rows(folder: Path) -> Iterator[Row]:
    """(part, {"prompt", "completion", "text"}) of the set in `folder`, in its own order.

    raises DataError for an archive that is broken, too large or lacks a file
    """
    for prompt, completion in training_pairs(folder / TRAIN):
        yield "train", {"prompt": prompt, "completion": completion, "text": completion}
    for part, name in (("valid", VALID), ("test", TEST)):
        with (folder / name).open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                prompt = write_facts(parse_facts(row["mr"]))
                yield part, {"prompt": prompt, "completion": row["ref"], "text": row["ref"]}


def training_pairs(archive: Path) -> Iterator[tuple[str, str]]:
    """Facts in the notation of the set, and their text, of the archive's training part."""
    sources, texts = (
        _member(archive, f"e2e_aligned/{name}.txt") for name in ("src_train", "train")
    )
    if len(sources) != len(texts):
        raise DataError("{path} is damaged ({reason}); get it again", path=archive, reason="lines")
    for source, text in zip(sources, texts, strict=True):
        facts = {_slot(name): plain(value) for name, value in FIELD.findall(source)}
        yield write_facts(parse_facts(write_facts(facts))), sentence(text.split("<eos>")[0])


def _slot(name: str) -> str:
    return "customer rating" if name == "customerrating" else name


def _member(archive: Path, name: str) -> list[str]:
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = tar.getmember(name)
            stream = tar.extractfile(member) if member.size <= LIMIT_BYTES else None
            if stream is None:
                raise DataError("{path} holds too much or no file {name}", path=archive, name=name)
            return stream.read().decode("utf-8").splitlines()
    except (tarfile.TarError, KeyError, EOFError, OSError, UnicodeDecodeError) as error:
        raise DataError(
            "{path} is damaged ({reason}); get it again", path=archive, reason=error
        ) from None


def plain(tokens: str) -> str:
    """Tokenised text as people write it: `family - friendly , £ 20 .` -> `family-friendly, £20.`"""
    text = re.sub(r"\s+", " ", tokens).strip()
    text = re.sub(r" ?- ?", "-", text)
    text = re.sub(r"£ ", "£", text)
    text = re.sub(r" ([.,;:!?]+)", r"\1", text)
    text = re.sub(r" (')", r"\1", text)  # it 's, don 't, Browns ' menu
    text = re.sub(r"([.,;])\1+", r"\1", text)
    return re.sub(r"([.;!?,])(?=[A-Za-z])", r"\1 ", text)


def sentence(tokens: str) -> str:
    """`plain`, each sentence with a capital and the last with a mark at its end."""
    text = plain(tokens)
    text = re.sub(r"(?:^|(?<=[.!?] ))([a-z])", lambda match: match.group(1).upper(), text)
    return text if text.endswith((".", "!", "?")) else f"{text}."
