"""What `prepare` is asked for, and what it tells on the way: frozen values, JSON inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from wenfang.data.rules import ChineseRules, EnglishRules, NoRules, Rules, VerseRules
from wenfang.data.split import Split
from wenfang.errors import ConfigError

Language: TypeAlias = Literal["en", "zh"]
Profile: TypeAlias = Literal["english", "chinese", "verse", "none"]
UNKNOWN_LICENCE = "NOASSERTION"  # SPDX's word for "nobody said"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Material with an origin and a licence.

    path     a file (txt, md, jsonl, csv; plain, .gz or .xz) or a folder of such files
    name     empty: the last part of the path
    licence  SPDX expression
    origin   where it came from, for people
    notice   words that must travel with it (attribution)
    """

    path: str
    name: str = ""
    licence: str = UNKNOWN_LICENCE
    origin: str = ""
    notice: str = ""

    @property
    def label(self) -> str:
        """What the source is called in manifests and rejects."""
        return self.name or Path(self.path).name


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files become records.

    text_field    the column or JSON field that holds the text; a list of lines is joined
    keep_fields   the other fields that stay in the record; None: all
    encoding      of every source file
    unit          txt and md: a record is a passage (whole paragraphs of one file up to
                  `passage_characters`), a paragraph, a line, or a file
    bad_records   stop at a record that cannot be read, or skip it into the rejects
    line_bytes_max, record_characters_max  bounds kept before anything larger is held in memory
    """

    text_field: str = "text"
    keep_fields: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    unit: Literal["passage", "paragraph", "line", "file"] = "passage"
    passage_characters: int = 4000
    bad_records: Literal["stop", "skip"] = "stop"
    line_bytes_max: int = 16 * 2**20
    record_characters_max: int = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Which repeats are dropped.

    shingle_size          units in a shingle; characters for Chinese, words for English
    line_characters_min   shorter lines may repeat
    """

    exact: bool = True
    near: bool = True
    shingle_size: int = 5
    lines: bool = True
    line_characters_min: int = 20


@dataclass(frozen=True, kw_only=True)
class PrepareRequest:
    """Everything that decides a data set.

    evaluation        files (of the same form as the sources) whose text must not be in the set
    contaminated_size n-grams shared with them that condemn a record: words, Chinese characters
    held_out          files of the same form that become the test part, whole and unfiltered; what
                      shares an n-gram with them, or nearly repeats one of them, is left out
    personal_data     mask e-mail addresses, numbers of phones, cards and identity cards
    shard_bytes       uncompressed size at which a new shard begins
    fresh             prepare again even if the output already holds the same
    """

    sources: tuple[Source, ...]
    output: str
    name: str = ""
    language: Language = "en"
    reading: Reading = field(default_factory=Reading)
    rules: Rules = field(default_factory=EnglishRules)
    duplicates: Duplicates = field(default_factory=Duplicates)
    personal_data: bool = True
    evaluation: tuple[str, ...] = ()
    contaminated_size: int = 13
    held_out: tuple[str, ...] = ()
    split: Split = field(default_factory=Split)
    seed: int = 0
    shard_bytes: int = 32 * 2**20
    fresh: bool = False

    def __post_init__(self) -> None:
        if not self.sources:
            raise ConfigError("sources: give at least one file or folder")
        if not self.output:
            raise ConfigError("output: name the folder of the data set")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Progress: `done` of `total` in `unit` of one step; `kept` records so far."""

    step: Literal["hash", "read", "compare", "write"]
    done: int
    total: int
    unit: Literal["bytes", "records"]
    kept: int = 0


def request_for(
    profile: Profile, sources: tuple[Source, ...], output: str, *, text_field: str = "text"
) -> PrepareRequest:
    """A request with the defaults of a profile; change it with `replace` or `config.override`.

    Verse is compared by 2-character shingles: in 28 characters each changed one spoils five of
    the 5-grams (two changes match with chance 0.02) but two of the 2-grams (0.75). Old poems hold
    no personal data, so masking is off for them, and lines may repeat.
    """
    english = profile in ("english", "none")
    table: dict[Profile, Rules] = {
        "english": EnglishRules(),
        "chinese": ChineseRules(),
        "verse": VerseRules(),
        "none": NoRules(),
    }
    duplicates: dict[Profile, Duplicates] = {
        "english": Duplicates(),
        "chinese": Duplicates(),
        "verse": Duplicates(shingle_size=2, lines=False),
        "none": Duplicates(lines=False),
    }
    verse = profile == "verse"
    return PrepareRequest(
        sources=sources,
        output=output,
        language="en" if english else "zh",
        reading=Reading(text_field=text_field, unit="paragraph" if verse else "passage"),
        rules=table[profile],
        duplicates=duplicates[profile],
        personal_data=not verse,
    )
