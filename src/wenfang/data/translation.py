"""Sentences with slots, as a translation model reads and writes them.

A slot stands for what must come over unchanged or as given: a number, a name in Latin letters, a
term of a glossary, a link. In text it is one private character (`SLOTS[k]`), among tokens one
special. Models learn slots from pairs in which both sides hold the same number or name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wenfang.errors import DataError
from wenfang.tokenizer import END, Tokenizer

Language = Literal["en", "zh"]

SLOT_COUNT = 8
SLOTS = tuple(chr(0xE000 + number) for number in range(SLOT_COUNT))
SLOT_TOKENS = tuple(f"<slot{number}>" for number in range(SLOT_COUNT))
# In a document, marks stand for what shall not change: as many as it needs, each once.
MARK_BASE, MARK_COUNT = 0xF0000, 0xFFFE
MARK = re.compile("[\U000f0000-\U000ffffd]")
DIRECTIONS: dict[str, str] = {"en": "<2en>", "zh": "<2zh>"}

# Words of the training sentences whose translation is the same nearly every time: with them
# a model learns that a slot may stand for a name and for a thing.
TERMS: tuple[tuple[str, str], ...] = (
    ("Tom", "汤姆"), ("Mary", "玛丽"), ("English", "英语"), ("French", "法语"), ("Japan", "日本"),
    ("Boston", "波士顿"), ("London", "伦敦"), ("Tokyo", "东京"), ("New York", "纽约"),
    ("Kyoto", "京都"), ("Paris", "巴黎"), ("America", "美国"), ("China", "中国"),
    ("Canada", "加拿大"), ("Australia", "澳大利亚"), ("Europe", "欧洲"), ("France", "法国"),
    ("Hokkaido", "北海道"), ("Mt. Fuji", "富士山"), ("tennis", "网球"), ("coffee", "咖啡"),
    ("station", "车站"), ("piano", "钢琴"), ("park", "公园"), ("garden", "花园"),
    ("baseball", "棒球"), ("camera", "相机"), ("hospital", "医院"), ("dictionary", "字典"),
    ("library", "图书馆"), ("milk", "牛奶"), ("cake", "蛋糕"), ("pencil", "铅笔"),
    ("radio", "收音机"), ("soccer", "足球"), ("computer", "电脑"), ("guitar", "吉他"),
    ("airport", "机场"), ("beer", "啤酒"), ("church", "教堂"), ("bread", "面包"),
    ("golf", "高尔夫"),
)  # fmt: skip
NUMBER = re.compile(r"(?<![A-Za-z0-9])[0-9]+(?:[.,:/-][0-9]+)*%?(?![A-Za-z0-9])")
LATIN = re.compile(r"[A-Za-z][A-Za-z0-9'.+-]*[A-Za-z0-9]|[A-Z]")


def language_of(text: str) -> Language:
    """Chinese if it holds a Han character, else English."""
    return "zh" if re.search(r"[\u3400-\u9fff\U00020000-\U0003ffff]", text) else "en"


def slotted(english: str, chinese: str) -> tuple[str, str]:
    """Both sides with slots for what they share, in the order of the English side.

    Numbers and Latin names are always slots, since they always are in use; a term of TERMS in
    half of the pairs (by a hash), so that it is also learnt as a word. Which slot comes first is
    by the hash too, so that a model learns all of them.
    """
    digest = hashlib.sha256(f"{english}\t{chinese}".encode()).digest()
    shared: list[tuple[str, str]] = []
    for pattern in (NUMBER, LATIN):
        for word in pattern.findall(chinese):
            if _once(english, word) and chinese.count(word) == 1:
                shared.append((word, word))
    if digest[0] & 1:
        shared += [
            (one, other)
            for one, other in TERMS
            if _once(english, one) and chinese.count(other) == 1
        ]
    places = sorted((english.find(one), one, other) for one, other in dict(shared).items())
    for number, (_, one, other) in enumerate(places[:SLOT_COUNT]):
        slot = SLOTS[(digest[1] + number) % SLOT_COUNT]
        english = re.sub(_word(one), slot, english, count=1)
        chinese = chinese.replace(other, slot, 1)
    return english, chinese


def _word(word: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"


def _once(text: str, word: str) -> bool:
    return len(re.findall(_word(word), text)) == 1 and text.count(word) == 1


@dataclass(frozen=True, kw_only=True)
class TranslationLayout:
    """`<2en>` or `<2zh>`, the sentence, `<eos>`; its translation, `<eos>`. Slots are specials."""

    specials: tuple[str, ...] = (*DIRECTIONS.values(), *SLOT_TOKENS)

    def texts(self, record: Mapping[str, Any]) -> list[str]:
        """What the tokenizer learns its vocabulary from."""
        return [record["prompt"], record["completion"]]

    def source(self, prompt: str, tokenizer: Tokenizer, into: str = "") -> list[int]:
        """What the encoder reads; `into` is the other language of the prompt if not given.

        raises DataError for a language that is neither en nor zh
        """
        chosen = into or ("en" if language_of(prompt) == "zh" else "zh")
        if chosen not in DIRECTIONS:
            raise DataError(
                "a record is to be translated into {language}; give en or zh", language=chosen
            )
        return [tokenizer.id(DIRECTIONS[chosen]), *encode(prompt, tokenizer), tokenizer.id(END)]

    def target(self, completion: str, tokenizer: Tokenizer) -> list[int]:
        """What the decoder writes."""
        return [*encode(completion, tokenizer), tokenizer.id(END)]

    def pair(self, record: Mapping[str, Any], tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
        """A record as source and target, what both sides share as slots."""
        into = str(record.get("into", "")) or language_of(record["completion"])
        prompt, completion = record["prompt"], record["completion"]
        if into == "zh":
            prompt, completion = slotted(prompt, completion)
        else:
            completion, prompt = slotted(completion, prompt)
        return self.source(prompt, tokenizer, into), self.target(completion, tokenizer)


def encode(text: str, tokenizer: Tokenizer) -> list[int]:
    """Ids of text in which the characters SLOTS are slots."""
    ids: list[int] = []
    for piece in re.split(f"([{SLOTS[0]}-{SLOTS[-1]}])", text):
        if piece in SLOTS:
            ids.append(tokenizer.id(SLOT_TOKENS[SLOTS.index(piece)]))
        elif piece:
            ids += tokenizer.encode(piece)
    return ids


def decode(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """The text of ids, slots as the characters SLOTS; other specials are left out."""
    slots = {tokenizer.id(token): slot for token, slot in zip(SLOT_TOKENS, SLOTS, strict=True)}
    text, run = "", list[int]()
    for index in ids:
        if index in slots:
            text += tokenizer.decode(run) + slots[index]
            run = []
        else:
            run.append(index)
    return text + tokenizer.decode(run)
