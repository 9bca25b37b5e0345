"""A writer that follows instructions as a poet: quatrains asked for in words, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.backends.writer import Ask, Draft, Writer
from wenfang.errors import CheckError
from wenfang.knowledge import script
from wenfang.knowledge.verse import Form, tonal_schemes
from wenfang.samplers.tokens import Sampling

LINES = ("line1", "line2", "line3", "line4")
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in LINES},
    "required": list(LINES),
    "additionalProperties": False,
}
# Around a line, where some writers put a stop in spite of what they are told.
STOPS = "，。、；：！？,.;:!? \t\u3000"
REFUSED_SHOWN = 3
SIGNS = {"level": "平", "oblique": "仄"}
ANY = "中"


@dataclass(frozen=True, kw_only=True)
class VerseOrder:
    """What is asked of a quatrain in words; the checks decide whether it was kept."""

    title: str
    form: Form
    rhyme_first: bool = False
    regular_tones: bool = True
    avoid: str = ""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A quatrain that did not pass, and why, in English."""

    lines: tuple[str, ...]
    reasons: str


class VerseWriter:
    """Quatrains for one order; of `sampling`, temperature and maximum_tokens count."""

    def __init__(self, writer: Writer, order: VerseOrder, sampling: Sampling) -> None:
        self.writer, self.order, self.sampling = writer, order, sampling

    def lines(self, counters: Sequence[int], refused: Sequence[Refused] = ()) -> tuple[str, ...]:
        """Four lines in traditional characters, of any length; the same counters, the same seed.

        raises CheckError for an answer that does not hold four lines, and whatever the writer does
        """
        ask = Ask(
            prompt=request(self.order.title, refused),
            system=instructions(self.order),
            seed=int(sha256_bytes(canonical_json(list(counters)))[:7], 16),
            temperature=self.sampling.temperature,
            maximum_tokens=self.sampling.maximum_tokens,
            schema=SCHEMA,
        )
        (draft,) = self.writer.write(ask)
        return _read(draft, ask)


def _read(draft: Draft, ask: Ask) -> tuple[str, ...]:
    try:
        content = json.loads(draft.text)
        lines = [content[name].strip(STOPS) for name in LINES]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        if draft.finish == "length":
            raise CheckError(
                "the answer was cut at {count} tokens; raise sampling.maximum_tokens",
                count=ask.maximum_tokens,
            ) from None
        raise CheckError("the answer holds no four lines; name another writer") from None
    return tuple(script.to_traditional("\n".join(lines)).split("\n"))


def request(title: str, refused: Sequence[Refused] = ()) -> str:
    """What a writer is asked: the title, and what was refused before."""
    told = [f"Title: {title}"]
    for one in refused[:REFUSED_SHOWN]:
        told += ["", "Refused: " + "／".join(one.lines), f"Because: {one.reasons}"]
    return "\n".join([*told, "", "Write another quatrain that keeps every rule."] if refused
                     else told)  # fmt: skip


def instructions(order: VerseOrder) -> str:
    """What a writer is told of the form."""
    size, rhyming = order.form.characters, "1, 2 and 4" if order.rhyme_first else "2 and 4"
    asked = [
        f"You write Chinese quatrains in the form {order.form.name}, in traditional characters.",
        "Write a new one on the title that the user gives; quote no line of a known poem.",
        f"It has four different lines of exactly {size} Chinese characters each, without "
        "punctuation.",
        f"Lines {rhyming} end in different characters of one level-tone rhyme of 平水韻.",
    ]
    if order.regular_tones:
        either = " or ".join("／".join(_pattern(one, size)) for one in tonal_schemes(order.form))
        asked.append(f"Its tones follow {either} ({ANY}: either tone).")
    if order.avoid:
        asked.append(f"None of these characters appears: {order.avoid}")
    names = ", ".join(f'"{name}": "…"' for name in LINES)
    return " ".join([*asked, f"Answer with JSON alone: {{{names}}}"])


def _pattern(scheme: Sequence[Mapping[int, str]], size: int) -> list[str]:
    """A pattern as it is customarily written, one sign a character."""
    return ["".join(SIGNS.get(line.get(place, ""), ANY) for place in range(size))
            for line in scheme]  # fmt: skip
