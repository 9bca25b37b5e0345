"""Facts about a venue, and how a model reads and writes them.

The notation is that of the E2E set: `name[Blue Spice], eatType[coffee shop], area[city centre]`.
Names never reach the model: on both sides a slot token stands for them, so that a name that no
text ever held is written as well as a known one. A kind of food and an area are slots in a part of
the training pairs, so that those that the set lacks can be asked for, too.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wenfang.config import nearest
from wenfang.errors import BriefError
from wenfang.tokenizer import END, Tokenizer

# In the order in which the encoder reads them.
SLOTS = (
    "name",
    "eatType",
    "food",
    "priceRange",
    "customer rating",
    "area",
    "familyFriendly",
    "near",
)
# What the model knows of slots whose values are words; any name, place, food or area may be given.
VALUES: dict[str, tuple[str, ...]] = {
    "eatType": ("restaurant", "pub", "coffee shop"),
    "priceRange": ("cheap", "moderate", "high", "less than £20", "£20-25", "more than £30"),
    "customer rating": ("low", "average", "high", "1 out of 5", "3 out of 5", "5 out of 5"),
    "familyFriendly": ("yes", "no"),
}
KNOWN: dict[str, tuple[str, ...]] = {
    "food": ("Chinese", "English", "Fast food", "French", "Indian", "Italian", "Japanese"),
    "area": ("city centre", "riverside"),
}
ALWAYS_COPIED = ("name", "near")
SOMETIMES_COPIED = ("food", "area")
VALUE_CHARACTERS = 60
# Words that follow a slot and may be its value's last one, too.
REPEATED = ("food", "area", "cuisine")
AN = re.compile(r"(?!eu|on(?:e|ce)\b)[aeio]|8|1[18]\b")
FACT = re.compile(r"\s*([A-Za-z ]+?)\s*\[([^\[\]]*)\]\s*(?:,|$)")

Facts = Mapping[str, str]


def slot_token(slot: str) -> str:
    """The special token of a slot, which marks its value and, where it is copied, stands for it."""
    return f"<{slot.replace(' ', '_')}>"


def parse_facts(notation: str) -> dict[str, str]:
    """`name[Blue Spice], near[Café Rouge]` as a dictionary, in the order of SLOTS.

    raises BriefError where it is no such notation, or as `require_facts`
    """
    found: dict[str, str] = {}
    position = 0
    while position < len(notation):
        match = FACT.match(notation, position)
        if match is None:
            raise BriefError(
                "{text} is not a list of facts; write slot[value], slot[value]",
                text=notation[position : position + 40].strip() or "-",
            )
        slot, value = match.groups()
        if slot in found:
            raise BriefError("the fact {slot} is given twice; give it once", slot=slot)
        found[slot] = value
        position = match.end()
    return require_facts(found)


def write_facts(facts: Facts) -> str:
    """The notation of a dictionary of facts."""
    return ", ".join(f"{slot}[{facts[slot]}]" for slot in SLOTS if slot in facts)


def require_facts(facts: Facts) -> dict[str, str]:
    """The facts in the order of SLOTS, values trimmed.

    raises BriefError for a slot that is none, a value that the slot does not know, a missing or
    empty name, and a value that is too long or holds brackets or control characters
    """
    for slot in facts:
        if slot not in SLOTS:
            raise BriefError(
                "there is no fact {slot}; did you mean {close}? There are: {names}",
                slot=str(slot)[:40],
                close=nearest(slot, SLOTS) or SLOTS[0],
                names=", ".join(SLOTS),
            )
    found = {slot: _value(slot, facts[slot]) for slot in SLOTS if slot in facts}
    if "name" not in found:
        raise BriefError("the facts lack a name; give one as name")
    if found.get("near", "").casefold() == found["name"].casefold():
        raise BriefError("near is the venue itself, {name}; leave it out", name=found["name"])
    return found


def _value(slot: str, value: object) -> str:
    text = " ".join(unicodedata.normalize("NFC", value).split()) if isinstance(value, str) else ""
    if not text:
        raise BriefError("the fact {slot} is empty; give a value or leave it out", slot=slot)
    if len(text) > VALUE_CHARACTERS:
        raise BriefError(
            "{name} has {count} characters; at most {most} fit",
            name=slot,
            count=len(text),
            most=VALUE_CHARACTERS,
        )
    if re.search(r"[\[\]<>]", text) or any(unicodedata.category(c)[0] == "C" for c in text):
        raise BriefError(
            "the fact {slot} holds a bracket or a control character; write it without", slot=slot
        )
    known = VALUES.get(slot)
    if known and text not in known:
        raise BriefError(
            "{slot} is {value}; the model knows {values}",
            slot=slot,
            value=text,
            values=", ".join(known),
        )
    return text


def copied_slots(facts: Facts) -> tuple[str, ...]:
    """The slots whose values a model for these facts never sees: names, and what is not KNOWN."""
    return tuple(
        slot
        for slot in facts
        if slot in ALWAYS_COPIED or (slot in KNOWN and facts[slot] not in KNOWN[slot])
    )


def delexicalise(text: str, facts: Facts, slots: Iterable[str]) -> list[str]:
    """Text in pieces: plain ones, and slot tokens where the value of one of `slots` stands.

    A value is found whatever its case and accents; the longest first, so that a name within a
    name is not cut out of it.
    """
    plain = _plain(text)
    taken: list[tuple[int, int, str]] = []
    for slot in sorted(slots, key=lambda slot: -len(facts[slot])):
        pattern = rf"(?<!\w){re.escape(_plain(facts[slot]))}(?!\w)"
        for match in re.finditer(pattern, plain):
            if all(match.end() <= start or match.start() >= end for start, end, _ in taken):
                taken.append((match.start(), match.end(), slot_token(slot)))
    pieces, position = [], 0
    for start, end, token in sorted(taken):
        pieces += [text[position:start], token]
        position = end
    return [piece for piece in (*pieces, text[position:]) if piece]


def _plain(text: str) -> str:
    """Lower case without accents, character by character, so that places stay the same."""
    return "".join(unicodedata.normalize("NFD", c)[0].lower()[:1] or c for c in text)


def lexicalise(pieces: Sequence[str], facts: Facts) -> str:
    """The text of pieces, slot tokens replaced by their values, and what is beside them put right.

    An article is the one that the value wants, or none where it brings its own; what the value
    ends with is not said again (street food food); a sentence begins with a capital.
    """
    tokens = {slot_token(slot): value for slot, value in facts.items()}
    text, last = "", ""
    for piece in pieces:
        value = tokens.get(piece, "")
        if value:
            text = _article(text, value)
            text += _begun(value, text, name=piece == slot_token("name"))
        else:
            text += _unrepeated(piece, last)
        last = value
    return text


def article(words: str) -> str:
    """The indefinite article before some words: a pub, an Italian pub, a European one."""
    return "an" if AN.match(_plain(words)) else "a"


def _article(before: str, value: str) -> str:
    """`before`, whose last word becomes a or an as `value` wants it, or goes."""
    if value.lower().startswith("the "):
        return re.sub(r"(?<!\w)[Tt]he $", "", before)
    match = re.search(r"(?<!\w)([Aa])n? $", before)
    if match is None:
        return before
    return f"{before[: match.start()]}{match.group(1)}{article(value)[1:]} "


def _begun(value: str, before: str, *, name: bool) -> str:
    """`value`, with a capital at the beginning of a sentence; a name keeps its own but for the."""
    begins = not before or before.rstrip().endswith((".", "!", "?"))
    if begins and (not name or value.startswith("the ")):
        return value[:1].upper() + value[1:]
    return value


def _unrepeated(piece: str, value: str) -> str:
    """`piece` behind `value`, without the word that the value ends with already."""
    end = value.lower().split()[-1:]
    if end and end[0] in REPEATED:
        return re.sub(rf"^ {end[0]}\b", "", piece)
    return piece


@dataclass(frozen=True, kw_only=True)
class VenueLayout:
    """Each fact as its slot's token and its value, `<eos>`; the text with slots, `<eos>`."""

    specials: tuple[str, ...] = tuple(slot_token(slot) for slot in SLOTS)

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its vocabulary from."""
        facts = parse_facts(record["prompt"])
        pieces = delexicalise(record["completion"], facts, _copied(facts, ALWAYS_COPIED))
        values = [f" {facts[slot]}" for slot in facts if slot not in ALWAYS_COPIED]
        return [*(piece for piece in pieces if piece not in self.specials), *values]

    def source(
        self, prompt: str, tokenizer: Tokenizer, copied: Sequence[str] | None = None
    ) -> list[int]:
        """What the encoder reads.

        prompt  facts in the notation of the E2E set
        copied  slots whose value is not shown; `copied_slots` where it is not given
        """
        facts = parse_facts(prompt)
        hidden = copied_slots(facts) if copied is None else copied
        ids = []
        for slot, value in facts.items():
            ids.append(tokenizer.id(slot_token(slot)))
            if slot not in hidden:
                ids += tokenizer.encode(f" {value}")
        return [*ids, tokenizer.id(END)]

    def target(
        self, completion: str, tokenizer: Tokenizer, facts: Facts, copied: Sequence[str]
    ) -> list[int]:
        """What the decoder writes."""
        ids = []
        for piece in delexicalise(completion, facts, copied):
            special = piece in self.specials
            ids += [tokenizer.id(piece)] if special else tokenizer.encode(piece)
        return [*ids, tokenizer.id(END)]

    def pair(self, record: Mapping[str, Any], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
        """A record as source and target; by a hash of the text, food and area are copied, too."""
        facts = parse_facts(record["prompt"])
        text = record["completion"]
        digest = hashlib.sha256(text.encode()).digest()
        chosen = [
            slot
            for bit, slot in enumerate(SOMETIMES_COPIED)
            if digest[bit] % 4 == 0 and _stands(text, facts, slot)
        ]
        copied = sorted({*_copied(facts, ALWAYS_COPIED), *chosen, *copied_slots(facts)})
        source = self.source(record["prompt"], tokenizer, copied)
        return source, self.target(text, tokenizer, facts, copied)

    def text(self, ids: Sequence[int], tokenizer: Tokenizer, facts: Facts) -> str:
        """The text that a model wrote, with the values of `facts` in its slots."""
        slots = {tokenizer.id(token): token for token in self.specials}
        pieces, run = list[str](), list[int]()
        for index in ids:
            if index in slots:
                pieces += [tokenizer.decode(run), slots[index]]
                run = []
            else:
                run.append(index)
        return lexicalise([*pieces, tokenizer.decode(run)], facts).strip()


def _copied(facts: Facts, slots: Sequence[str]) -> list[str]:
    return [slot for slot in slots if slot in facts]


def _stands(text: str, facts: Facts, slot: str) -> bool:
    """Whether the value of a slot is in the text; Fast food is no kind before the word food."""
    return slot in facts and facts[slot] != "Fast food" and _plain(facts[slot]) in _plain(text)
