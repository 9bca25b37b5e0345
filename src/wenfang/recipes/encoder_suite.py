"""What an encoder of two languages is worth: does a sentence find its translation?

Beside it stand two baselines that know no order of words: a table of which word stands for which,
learnt from the same pairs, and the characters that both sentences share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wenfang.backends.embedder import Embedder
from wenfang.data.bilingual import BILINGUAL
from wenfang.data.dataset import Dataset
from wenfang.metrics.word_table import WordTable
from wenfang.models.load import Loaded
from wenfang.recipes.learn_encoder import hidden_words_nats

Scores = NDArray[np.float64]
SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Translations:
    """Different sentences of two languages, and which of them translate each other.

    right  (E, C) bool
    """

    english: tuple[str, ...]
    chinese: tuple[str, ...]
    right: NDArray[np.bool_]

    @classmethod
    def read(cls, dataset: Dataset, split: str) -> Translations:
        """The pairs of one part, each sentence once."""
        pairs = [(r["english"], r["text"]) for r in dataset.records(split) if "english" in r]
        english, chinese = (list(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
        right = np.zeros((len(english), len(chinese)), dtype=np.bool_)
        rows = {text: number for number, text in enumerate(english)}
        columns = {text: number for number, text in enumerate(chinese)}
        for one, other in pairs:
            right[rows[one], columns[other]] = True
        return cls(english=tuple(english), chinese=tuple(chinese), right=right)


def found_shares(scores: Scores, right: NDArray[np.bool_]) -> dict[str, float]:
    """Share of sentences whose likeliest counterpart is a right one, each way; (E, C) both."""
    forth = right[np.arange(len(scores)), scores.argmax(1)]
    back = right[scores.argmax(0), np.arange(scores.shape[1])]
    return {
        "english_to_chinese_first_share": float(forth.mean()),
        "chinese_to_english_first_share": float(back.mean()),
    }


def measure_encoder(loaded: Loaded, dataset: Dataset) -> dict[str, Any]:
    """Every number of the card of an encoder of two languages."""
    embedder = Embedder(loaded)
    test = Translations.read(dataset, "test")
    english, chinese = (embedder.embed(side).vectors for side in (test.english, test.chinese))
    cosines = (english @ chinese.T).astype(np.float64)
    own = found_shares(cosines, test.right)
    return {
        "split": "test",
        "english_sentences": len(test.english),
        "chinese_sentences": len(test.chinese),
        **own,
        **_named("word_table", found_shares(_by_word_table(embedder, dataset, test), test.right)),
        **_named("shared_characters", found_shares(shared_characters(test), test.right)),
        "cosine_of_translations_mean": float(cosines[test.right].mean()),
        "cosine_of_others_mean": float(cosines[~test.right].mean()),
        **_paraphrases(embedder, dataset),
        "hidden_words_nats_valid": hidden_words_nats(
            embedder.model, dataset, "valid", embedder.tokenizer
        ),
        "samples": [
            {"query": query, "nearest": test.chinese[int(cosines[row].argmax())]}
            for row, query in list(enumerate(test.english))[:: max(1, len(english) // SHOWN)][
                :SHOWN
            ]
        ],
    }


def _named(name: str, shares: dict[str, float]) -> dict[str, float]:
    return {f"{name}_{key}": value for key, value in shares.items()}


def _by_word_table(embedder: Embedder, dataset: Dataset, test: Translations) -> Scores:
    """Both directions of the table, added."""

    def words(texts: Sequence[str]) -> list[list[int]]:
        return [BILINGUAL.words(text, embedder.tokenizer) for text in texts]

    rows = [row for row in dataset.records("train") if "english" in row]
    sides = [words([row[name] for row in rows]) for name in ("english", "text")]
    asked = [words(test.english), words(test.chinese)]
    size = embedder.tokenizer.size
    forth = WordTable.learn(sides[0], sides[1], size).scores(asked[0], asked[1])
    back = WordTable.learn(sides[1], sides[0], size).scores(asked[1], asked[0])
    return forth + back.T


def shared_characters(test: Translations) -> Scores:
    """Cosine of the counts of characters: digits and names in Latin letters are all it knows."""
    known = sorted({c for text in (*test.english, *test.chinese) for c in text.casefold()})
    place = {character: number for number, character in enumerate(known)}

    def counts(texts: Sequence[str]) -> Scores:
        found = np.zeros((len(texts), len(known)))
        for row, text in enumerate(texts):
            for character in text.casefold():
                found[row, place[character]] += 1
        lengths: Scores = np.linalg.norm(found, axis=1, keepdims=True)
        return found / lengths

    scores: Scores = counts(test.english) @ counts(test.chinese).T
    return scores


def _paraphrases(embedder: Embedder, dataset: Dataset) -> dict[str, Any]:
    """Sentences with a common translation, in one language: is the nearest other one of these?

    Over the held-out parts together, since there are few.
    """
    numbers: dict[str, Any] = {}
    parts = [Translations.read(dataset, split) for split in ("valid", "test")]
    for name, turned in (("english", False), ("chinese", True)):
        asked = right = 0
        for part in parts:
            texts, links = (part.chinese, part.right.T) if turned else (part.english, part.right)
            together = (links.astype(np.int64) @ links.T) > 0
            np.fill_diagonal(together, val=False)
            vectors = embedder.embed(texts).vectors
            cosines = vectors @ vectors.T
            np.fill_diagonal(cosines, -np.inf)
            chosen = together.any(1)
            asked += int(chosen.sum())
            right += int(together[np.arange(len(texts)), cosines.argmax(1)][chosen].sum())
        numbers[f"{name}_paraphrases"] = asked
        numbers[f"{name}_paraphrase_first_share"] = right / max(1, asked)
    return numbers
