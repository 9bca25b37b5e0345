"""The two labels that a generated file carries: words for people, seven fields for machines.

Reported rules: China's labelling measures of 2025 and GB 45438-2025 (Annex E names the seven
fields); AI Act Art. 50(2) for the English words. Without a provider code, which only the legal
person can give, the producer's plain name stands in the field and the report says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from wenfang.errors import ConfigError
from wenfang.language import t

KEYS = (
    "Label",
    "ContentProducer",
    "ProduceID",
    "ReservedCode1",
    "ContentPropagator",
    "PropagateID",
    "ReservedCode2",
)
REQUIRED = ("Label", "ContentProducer", "ProduceID", "ContentPropagator", "PropagateID")
GRADES = ("1", "2", "3")  # generated, possibly, suspected
PROVIDER_CODE = re.compile(r"[0-9A-Za-z]{27}")
WORDS = {"zh": ("AI生成",), "en": ("AI GENERATED",), "both": ("AI生成", "AI GENERATED")}
LABEL_LINE_CHARACTERS = 40
_MACHINE = re.compile(r"人工智能|(?<![A-Za-z])AI(?![A-Za-z])")
_MADE = re.compile(r"生成|合成|\b(GENERATED|MODIFIED)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class LabelSettings:
    """How published files are labelled, and whose name they carry.

    language       language of the visible words
    producer_name  the maker's plain name; used in the metadata label when there is no code
    producer_code  the provider code of 27 characters that the legal person holds, or None
    position       where a text carries its visible line
    watermark      False leaves out every invisible watermark
    timestamp_url  an RFC 3161 authority that times each credential over the network, or None
    """

    language: Literal["zh", "en", "both"] = "both"
    producer_name: str = "Wenfang"
    producer_code: str | None = None
    position: Literal["start", "end"] = "end"
    watermark: bool = True
    timestamp_url: str | None = None

    def __post_init__(self) -> None:
        if self.producer_code is not None and not PROVIDER_CODE.fullmatch(self.producer_code):
            raise ConfigError(
                "producer_code {code}: a provider code is 27 letters and digits, and only its "
                "holder can give it; leave it out to be named by producer_name",
                code=self.producer_code,
            )
        _ = self.producer

    @property
    def producer(self) -> str:
        """The value of ContentProducer: the code, or the name in the allowed characters."""
        if self.producer_code is not None:
            return self.producer_code
        name = "".join(_allowed(self.producer_name))
        if not name.strip("-"):
            raise ConfigError(
                "producer_name {name} has no character that the metadata label allows "
                "(0x21-0x7E); give a name in Latin letters or set producer_code",
                name=self.producer_name,
            )
        return name

    @property
    def words(self) -> tuple[str, ...]:
        """The visible words, one line each where there is room for lines."""
        return WORDS[self.language]

    @property
    def line(self) -> str:
        """The visible words on one line."""
        return " · ".join(self.words)

    def report(self) -> dict[str, object]:
        """What a report says about the producer; a missing code is said, never filled in."""
        note = None
        if self.producer_code is None:
            note = t("no provider code is set; the label names the producer in plain letters")
        return {"name": self.producer_name, "code": self.producer_code, "note": note}


def _allowed(text: str) -> Iterator[str]:
    """Characters of `text` that a label value may hold; a space becomes a hyphen."""
    for character in text.strip():
        if character.isspace():
            yield "-"
        elif "!" <= character <= "~" and character not in '"\\':
            yield character


def produce_id(manifest_id: str) -> str:
    """ProduceID of the file whose manifest has this id: its first 128 bits."""
    return f"wf-{manifest_id[:32]}"


def new_label(
    settings: LabelSettings, manifest_id: str, before: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The seven fields. At first writing the propagator is the producer; a valid label that the
    content had `before` keeps its grade, its producer and number, and we are the propagator."""
    number = produce_id(manifest_id)
    if before is None:
        values = ("1", settings.producer, number, "", settings.producer, number, "")
        return dict(zip(KEYS, values, strict=True))
    kept = {key: before[key] for key in KEYS}
    return {
        **kept,
        "ContentPropagator": settings.producer,
        "PropagateID": number,
        "ReservedCode2": "",
    }


def bare_json(label: dict[str, str]) -> str:
    """The seven fields as one line of JSON, the form inside a container's own field."""
    return json.dumps(label, separators=(",", ":"))


def sidecar_json(label: dict[str, str]) -> bytes:
    """The content of FILE.aigc.json: the field AIGC with its seven keys."""
    ordered = {**{key: label[key] for key in KEYS if key in label}, **label}
    return (json.dumps({"AIGC": ordered}, indent=2) + "\n").encode()


def parse_label(text: str) -> object:
    """The label in a field's text, with or without the outer AIGC; the text itself if no JSON."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict) and set(value) == {"AIGC"}:
        return value["AIGC"]
    return value


def label_fault(label: object) -> str | None:
    """What makes `label` invalid, in the reader's language; None for a valid one."""
    if not isinstance(label, dict):
        return t("the metadata label is not an object with seven keys")
    if set(label) != set(KEYS):
        wrong = ", ".join(sorted(str(key) for key in set(label) ^ set(KEYS)))
        return t("the metadata label lacks or adds keys: {keys}", keys=wrong)
    for key in KEYS:
        value = label[key]
        if not isinstance(value, str):
            return t("the label's {key} is not a string", key=key)
        if "".join(_allowed(value)) != value:
            return t("the label's {key} has a character outside 0x21-0x7E", key=key)
        if key in REQUIRED and not value:
            return t("the label's {key} is empty", key=key)
    if label["Label"] not in GRADES:
        return t("the label's Label is {value}, not 1, 2 or 3", value=label["Label"])
    return None


def is_label_line(line: str) -> bool:
    """True for a short line that names AI and says generated (生成, 合成 or the English word)."""
    if len(line) > LABEL_LINE_CHARACTERS:
        return False
    return bool(_MACHINE.search(line)) and bool(_MADE.search(line))
