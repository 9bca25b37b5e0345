"""Whether a base can read a user's examples as they are: nothing is cut, what is lost is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wenfang.data.dataset import Dataset
from wenfang.data.layouts import COMPLETION, VERSE
from wenfang.data.pair_layouts import PAIR_LAYOUTS
from wenfang.errors import BriefError, DataError
from wenfang.language import t
from wenfang.tokenizer import UNKNOWN, Tokenizer

Record = dict[str, Any]
SPLITS = ("train", "valid")
POEMS = "poems"
SHOWN = 3
CHARACTERS_SHOWN = 20
# A base that knows fewer of the characters than this cannot learn from the material.
KNOWN_SHARE = 0.9
STREAM_WINDOW_MAX, STREAM_WINDOW_LEAST = 256, 8


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What reads the examples.

    name        of the base
    context     tokens that it reads at once, learned vectors before them already taken off
    parameters  how many it has
    """

    name: str
    layout: str
    tokenizer: Tokenizer
    context: int
    parameters: int

    def room(self) -> tuple[int, int]:
        """The most tokens of a source and of a target, or of a whole text and nothing.

        Rows are padded to multiples of 4 or 8, which must fit as well; a whole text may be one
        token longer, since its last one is only predicted.
        """
        if self.layout in PAIR_LAYOUTS:
            return self.context // 4 * 4, self.context // 4 * 4
        return self.context // 8 * 8 + 1, 0

    def lengths(self, record: Record) -> tuple[int, int]:
        """Tokens of a source and of a target, or of a whole text and nothing.

        raises DataError, naming the example, where it cannot be read
        """
        try:
            if self.layout in PAIR_LAYOUTS:
                source, target = PAIR_LAYOUTS[self.layout].pair(record, self.tokenizer)
                return len(source), len(target)
            layout: Any = VERSE if self.layout == "verse" else COMPLETION
            return sum(map(len, layout.parts(record, self.tokenizer))), 0
        except (BriefError, DataError) as error:
            raise DataError(
                "the example {prompt} cannot be read: {reason}", prompt=_start(record), reason=error
            ) from None
        except KeyError as error:
            raise DataError(
                "the example {prompt} has no field {name}; prepare the data set again",
                prompt=_start(record),
                name=error.args[0],
            ) from None


def kind_of(dataset: Dataset) -> str:
    """What its records are: "pairs", "poems" or "texts".

    raises DataError where there is nothing to learn from, or nothing to measure by
    """
    for split in SPLITS:
        if not dataset.count(split):
            raise DataError(
                "{folder} has no records in its part {split}; prepare it with a larger "
                "split.{split}",
                folder=dataset.folder,
                split=split,
            )
    first = next(dataset.records("train"))
    if "prompt" in first and "completion" in first:
        return "pairs"
    return POEMS if "title" in first and "lines" in first else "texts"


def require_room(dataset: Dataset, reader: Reader) -> None:
    """raises DataError naming the first examples that are longer than the base reads at once."""
    first, second = reader.room()
    long = []
    for record in _records(dataset):
        one, other = reader.lengths(record)
        if one > first or other > second:
            long.append(record)
    if long:
        raise DataError(
            "{count} examples are longer than the context of {base} ({context} tokens), among "
            "them: {first}; shorten them, nothing is cut",
            count=len(long),
            base=reader.name,
            context=reader.context,
            first=" | ".join(_start(record) for record in long[:SHOWN]),
        )


def stream_sizes(dataset: Dataset, reader: Reader) -> dict[str, int]:
    """Tokens of each part, read as one stream."""
    return {
        split: sum(len(reader.tokenizer.encode(one["text"])) for one in dataset.records(split))
        for split in SPLITS
    }


def stream_window(sizes: dict[str, int], context: int) -> int:
    """Tokens predicted at once, as many as the parts of a stream allow.

    raises DataError where they are too short for any
    """
    window = min(STREAM_WINDOW_MAX, context, (sizes["train"] - 1) // 2, sizes["valid"] - 1)
    if window < min(STREAM_WINDOW_LEAST, context):
        raise DataError(
            "{train} tokens to learn from and {valid} to measure by are too few; give more text",
            train=sizes["train"],
            valid=sizes["valid"],
        )
    return window


def tell_unknown(dataset: Dataset, reader: Reader, tell: Callable[[str], None]) -> None:
    """Tell which characters the base does not know.

    raises DataError where it knows too few of them to learn from
    """
    missing: Counter[str] = Counter()
    total = 0
    for record in _records(dataset):
        for text in _texts(record):
            total += len(text)
            missing.update(unknown_characters(text, reader.tokenizer))
    count = missing.total()
    shown = "".join(one for one, _ in missing.most_common(CHARACTERS_SHOWN))
    if count > (1 - KNOWN_SHARE) * total:
        raise DataError(
            "{base} does not know {count} of the {total} characters, among them {shown}; choose a "
            "base that was trained on such text",
            base=reader.name,
            count=count,
            total=total,
            shown=shown,
        )
    if count:
        tell(
            t(
                "{count} of {total} characters are unknown to {base} and read as one: {shown}",
                count=count,
                total=total,
                base=reader.name,
                shown=shown,
            )
        )


def unknown_characters(text: str, tokenizer: Tokenizer) -> list[str]:
    """The characters of a text that the vocabulary does not hold."""
    unknown = tokenizer.find(UNKNOWN)
    ids, places = tokenizer.spans(text)
    if unknown is None or unknown not in ids:
        return []
    found = [text[a:b] for index, (a, b) in zip(ids, places, strict=True) if index == unknown]
    return [character for piece in found for character in piece if character.strip()]


def _records(dataset: Dataset) -> Iterator[Record]:
    for split in SPLITS:
        yield from dataset.records(split)


def _texts(record: Record) -> list[str]:
    """Everything of a record that is read or written."""
    if "completion" in record:
        return [str(record.get("prompt", "")), str(record["completion"])]
    if "lines" in record:
        return [str(record.get("title", "")), *map(str, record["lines"])]
    return [str(record.get("text", ""))]


def _start(record: Record) -> str:
    """The beginning of a record, by which a user finds it again."""
    return next((text[:60] for text in _texts(record) if text.strip()), "-")
