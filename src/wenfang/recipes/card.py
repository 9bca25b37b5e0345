"""The model card of a bundle: what it is, what it was made from, what it measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wenfang.knowledge.verse import FORMS
from wenfang.recipes.recipe import Recipe
from wenfang.store import Manifest


@dataclass(frozen=True, kw_only=True)
class CardContent:
    """What the card tells."""

    recipe: Recipe
    parameters: int
    sources: tuple[Manifest, ...]
    dataset: Manifest
    numbers: Mapping[str, Any]
    steps_done: int


def render_card(content: CardContent) -> str:
    """The card as Markdown with front matter."""
    recipe = content.recipe
    licences = sorted({source.licence or "NOASSERTION" for source in content.sources})
    lines = [
        "---",
        f"name: {recipe.name}",
        f"family: {recipe.family}",
        f"parameters: {content.parameters}",
        f"licence: {' AND '.join(licences)}",
        "---",
        "",
        f"# {recipe.name}",
        "",
        f"{recipe.summary[0].upper()}{recipe.summary[1:]}.",
        "",
        f"A {recipe.family} of {content.parameters:,} parameters: {recipe.model.layers} layers of "
        f"width {recipe.model.width}, context {recipe.model.context}, vocabulary "
        f"{recipe.model.vocabulary_size:,}. Stored in float16, computed in float32; "
        "everything below is measured after that rounding.",
        "",
        "## Data",
        "",
        *(f"- {s.name} ({s.licence}): {s.facts.get('notice', '')}" for s in content.sources),
        f"- data set `{content.dataset.id[:16]}`: {_counts(content.dataset)}",
        "",
        "## Training",
        "",
        f"`wenfang train {recipe.name}`: {content.steps_done:,} steps of {recipe.train.batch_size} "
        f"examples, {recipe.optim.kind}, seed {recipe.train.seed}. The whole recipe is in "
        "`lineage.json`.",
        "",
        *_numbers(content.numbers),
        *_samples(content.numbers),
        "## Limits",
        "",
        "A small model of our own. It writes in the manner of its training set and knows nothing "
        "else; what it writes is checked for form, copies and words, not for sense.",
        "",
    ]
    return "\n".join(lines)


def _counts(dataset: Manifest) -> str:
    counts: Any = dataset.facts.get("counts", {})
    splits = counts.get("splits", {})
    return ", ".join(f"{split} {value.get('records', 0):,}" for split, value in splits.items())


def _numbers(numbers: Mapping[str, Any]) -> list[str]:
    if not numbers:
        return []
    rows = [
        f"| {name} | {_plain(value)} |"
        for name, value in numbers.items()
        if isinstance(value, int | float | str)
    ]
    return ["## Measured", "", "| what | value |", "| --- | --- |", *rows, ""]


def _plain(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _samples(numbers: Mapping[str, Any]) -> list[str]:
    samples = numbers.get("samples", [])
    if not samples:
        return []
    lines = ["## Samples", "", "The first seeds of the evaluation, on unseen titles, unpicked.", ""]
    for sample in samples:
        form = FORMS[len(sample["lines"][0])]
        lines.append(f"- 《{sample['title']}》 {''.join(form.punctuated(sample['lines']))}")
    return [*lines, ""]
