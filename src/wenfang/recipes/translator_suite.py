"""What a translator of sentences is worth: BLEU each way on unseen pairs, by the sentence.

A sentence of the test part is one reference for each other; people translate in more ways than one,
so the numbers are lower than those of sets with several references.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wenfang.backends.translator import BundleInterpreter
from wenfang.data.dataset import Dataset
from wenfang.data.translation import MARK_BASE, NUMBER, Language
from wenfang.metrics.bleu import bleu
from wenfang.models.load import Loaded
from wenfang.recipes.learn_pairs import pair_loss, read_pairs

SHOWN = 6
TOKENIZERS: dict[Language, str] = {"zh": "zh", "en": "13a"}


def measure_translator(loaded: Loaded, dataset: Dataset, split: str) -> dict[str, Any]:
    """Loss, and BLEU of both directions with its signature."""
    interpreter = BundleInterpreter(loaded)
    pairs = read_pairs(loaded.layout, dataset, split, interpreter.tokenizer)
    records = list(dataset.records(split))
    numbers: dict[str, Any] = {
        "split": split,
        "nats_per_token": pair_loss(interpreter.pairs.model, pairs, len(pairs)),
    }
    samples: list[dict[str, str]] = []
    for into in ("zh", "en"):
        rows = [
            (str(one["prompt"]), str(one["completion"])) for one in records if one["into"] == into
        ]
        scores, shown = _direction(interpreter, rows, into)
        numbers |= {f"into_{into}_{name}": value for name, value in scores.items()}
        samples += shown
    return numbers | {"samples": samples}


def _direction(
    interpreter: BundleInterpreter, rows: Sequence[tuple[str, str]], into: Language
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    prompts = [prompt for prompt, _ in rows]
    marked = [_marked(prompt) for prompt in prompts]
    interpreter.prepare([text for text, _ in marked], into)
    made = [interpreter.render(text, into, {}).text.translate(numbers) for text, numbers in marked]
    references = [[completion] for _, completion in rows]
    same = sum(one == own[0] for one, own in zip(made, references, strict=True))
    scores = bleu(made, references, lowercase=False, tokenize=TOKENIZERS[into])
    step = max(1, len(rows) // SHOWN)
    shown = [
        {"prompt": prompt, "text": text, "reference": own[0]}
        for prompt, text, own in list(zip(prompts, made, references, strict=True))[::step][:SHOWN]
    ]
    return {"sentences": len(rows), **scores, "as_reference_share": same / len(rows)}, shown


def _marked(text: str) -> tuple[str, dict[int, str]]:
    """The text with marks for its numbers, as a document's are, and what each stands for."""
    numbers: dict[int, str] = {}

    def mark(found: re.Match[str]) -> str:
        place = MARK_BASE + len(numbers)
        numbers[place] = found[0]
        return chr(place)

    return NUMBER.sub(mark, text), numbers
