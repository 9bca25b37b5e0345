"""The brief of `translate`: a text or a document, a glossary, and what is refused before work."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wenfang.data.translation import Language, language_of
from wenfang.errors import BriefError
from wenfang.knowledge.script import to_simplified
from wenfang.media.text import read_text

DOCUMENT_BYTES = 1_000_000
GLOSSARY_BYTES = 1_000_000
TERM_CHARACTERS = 100
TITLE_CHARACTERS = 120
GLOSSARY_TERMS = 5_000
SUFFIXES: dict[str, Literal["markdown", "plain"]] = {
    ".md": "markdown", ".markdown": "markdown", ".txt": "plain", ".text": "plain",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What was read from a path, kept so that a piece can be made again without the file."""

    path: str
    text: str


@dataclass(frozen=True, kw_only=True)
class TranslateBrief:
    """The brief of `translate`."""

    scenario: Literal["translate"] = field(
        default="translate", metadata={"doc": "which scenario this brief is for"}
    )
    text: str = field(default="", metadata={"doc": "what is translated, if no document is named"})
    document: str = field(default="", metadata={"doc": "path of a .md or .txt file, up to 1 MB"})
    format: Literal["auto", "markdown", "plain"] = field(
        default="auto", metadata={"doc": "auto: by the document's name, Markdown for a text"}
    )
    source: Literal["auto", "en", "zh"] = field(
        default="auto", metadata={"doc": "language of the text"}
    )
    into: Literal["auto", "en", "zh"] = field(
        default="auto", metadata={"doc": "language of the translation: the other one"}
    )
    title: str = field(default="", metadata={"doc": "name of the piece"})
    glossary: dict[str, str] | str = field(
        default_factory=dict,
        metadata={"doc": "term -> translation, or the path of a .json or .csv of them"},
    )
    writer: str = field(
        default="translator",
        metadata={"doc": "who translates: a bundle, hub:FOLDER or openai:URL#model"},
    )
    seed: int = field(default=0, metadata={"doc": "the same seed gives the same piece"})
    read: tuple[Contents, ...] = field(
        default=(), metadata={"doc": "filled in: what document and glossary held when read"}
    )

    @property
    def subject(self) -> str:
        """What it is about: its title, or its file's name."""
        return self.title or self.document.replace("\\", "/").rpartition("/")[2] or "translation"

    def __post_init__(self) -> None:
        """Read what the brief names, and refuse what cannot be translated."""
        if bool(self.text.strip()) == bool(self.document):
            raise BriefError("give either text or document, and something in it to translate")
        if re.search("[\ud800-\udfff\0]", self.text):
            raise BriefError("text holds half a character or a zero byte; write it as UTF-8")
        if len(self.text.encode()) > DOCUMENT_BYTES:
            _refuse_size("text", DOCUMENT_BYTES)
        if len(self.title) > TITLE_CHARACTERS or not self.title.isprintable():
            raise BriefError(
                "title is longer than {most} characters or holds a line break; shorten it",
                most=TITLE_CHARACTERS,
            )
        self._require_languages()
        kept = {one.path: one.text for one in self.read}
        named = [(self.document, DOCUMENT_BYTES, tuple(SUFFIXES))] if self.document else []
        if isinstance(self.glossary, str) and self.glossary:
            named.append((self.glossary, GLOSSARY_BYTES, (".json", ".csv")))
        read = [
            Contents(path=path, text=kept[path] if path in kept else _read(path, most, suffixes))
            for path, most, suffixes in named
        ]
        object.__setattr__(self, "read", tuple(read))
        if not self.content.strip():
            raise BriefError("{name} is empty; there is nothing to translate", name=self.document)
        self._require_another_language()
        _ = self.terms  # a contradiction is told before anything is made

    def _require_languages(self) -> None:
        if self.source == self.into != "auto":
            raise BriefError(
                "the text is to be translated from {language} into {language}; name two languages",
                language=self.source,
            )

    def _require_another_language(self) -> None:
        if self.source == "auto" and self.into == language_of(self.content):
            raise BriefError(
                "the text is in {language} already; say what it is to be translated into",
                language=self.into,
            )

    @property
    def content(self) -> str:
        """The text that is translated."""
        return self._held(self.document) if self.document else self.text

    @property
    def languages(self) -> tuple[Language, Language]:
        """Which language, and into which."""
        other: dict[str, Language] = {"en": "zh", "zh": "en"}
        if self.source != "auto":
            return self.source, other[self.source]
        if self.into != "auto":
            return other[self.into], self.into
        found = language_of(self.content)
        return found, other[found]

    @property
    def markdown(self) -> bool:
        """Whether the text is read as Markdown."""
        if self.format != "auto":
            return self.format == "markdown"
        return SUFFIXES.get(Path(self.document).suffix.lower(), "markdown") == "markdown"

    @property
    def terms(self) -> tuple[tuple[str, str], ...]:
        """The glossary, longest terms first; raises BriefError for what contradicts itself."""
        if isinstance(self.glossary, str):
            rows = _rows(self.glossary, self._held(self.glossary)) if self.glossary else []
        else:
            rows = list(self.glossary.items())
        return require_terms(rows)

    def _held(self, path: str) -> str:
        return next(one.text for one in self.read if one.path == path)


def require_terms(rows: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Terms without repeats, longest first; raises BriefError for one that is empty, too long, or
    has two translations.
    """
    found: dict[str, tuple[str, str]] = {}
    for term, translation in rows:
        pair = (term.strip(), translation.strip())
        if not all(pair):
            raise BriefError(
                "glossary: {term} and {translation} are a pair with an empty side; fill it in or "
                "remove it",
                term=json.dumps(term, ensure_ascii=False),
                translation=json.dumps(translation, ensure_ascii=False),
            )
        if max(map(len, pair)) > TERM_CHARACTERS or not all(one.isprintable() for one in pair):
            raise BriefError(
                "glossary: {term} is longer than {most} characters or holds a line break; terms "
                "are short",
                term=pair[0][:30],
                most=TERM_CHARACTERS,
            )
        known = found.setdefault(to_simplified(pair[0]).casefold(), pair)
        if known[1] != pair[1]:
            raise BriefError(
                "glossary: {term} is to be both {one} and {other}; keep one of them",
                term=pair[0],
                one=known[1],
                other=pair[1],
            )
        if len(found) > GLOSSARY_TERMS:
            raise BriefError("glossary: more than {most} terms; give those of this text",
                             most=GLOSSARY_TERMS)  # fmt: skip
    return tuple(sorted(found.values(), key=lambda pair: (-len(pair[0]), pair)))


def _read(path: str, most: int, suffixes: tuple[str, ...]) -> str:
    file = Path(path).expanduser()
    if file.suffix.lower() not in suffixes:
        raise BriefError(
            "{path} is none of {suffixes}; give such a file",
            path=path,
            suffixes=", ".join(suffixes),
        )
    if not file.is_file():
        raise BriefError("there is no file {path}; check the path in the brief", path=path)
    if file.stat().st_size > most:
        _refuse_size(path, most)
    return read_text(file).text


def _refuse_size(name: str, most: int) -> None:
    raise BriefError(
        "{name} is larger than {most} bytes; divide it into several briefs", name=name, most=most
    )


def _rows(path: str, text: str) -> list[tuple[str, str]]:
    """The pairs of a glossary file, repeats included."""
    if Path(path).suffix.lower() == ".csv":
        return _csv_rows(path, text)
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        pairs = None
    whole = isinstance(pairs, list) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(p, str) for p in pair)
        for pair in pairs
    )
    if not whole:
        raise BriefError(
            '{path} is not a JSON object such as {{"term": "translation"}}; correct it', path=path
        )
    return [(str(term), str(translation)) for term, translation in pairs]


def _csv_rows(path: str, text: str) -> list[tuple[str, str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if any(row)]
    except csv.Error as error:
        raise BriefError(
            "{where} is not csv ({reason}); correct the row or its quotation marks",
            where=path,
            reason=error,
        ) from None
    odd = next((number for number, row in enumerate(rows, start=1) if len(row) != 2), None)
    if odd is not None:
        raise BriefError("{path}: row {row} has not two cells, term and translation",
                         path=path, row=odd)  # fmt: skip
    if rows and [cell.strip().lower() for cell in rows[0]] == ["term", "translation"]:
        rows = rows[1:]
    return [(row[0], row[1]) for row in rows]
