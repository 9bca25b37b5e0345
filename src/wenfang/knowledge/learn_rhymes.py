"""Learns rhyme classes from the ends of lines that rhyme.

Two characters that end lines 2 and 4 of one poem are joined by an edge. Communities of that graph,
split again wherever a part is itself clearly modular, are the first classes. A mixture (every poem
has one hidden class, its rhyme words are drawn from it) then gives each character its share in
every class, so that a character of two readings (車, 差, 行) belongs to two. Line 1 counts too,
where it rhymes. Characters seldom seen lean on those that share their modern reading.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wenfang.knowledge.communities import communities, modularity

Floats = NDArray[np.float64]
Rhyme = tuple[str, str, str]  # the last characters of lines 2, 4, 1; the last "" if unlike in tone
ROUNDS = 12
SMOOTHING = 0.02
READING_WEIGHT = 1.5  # a modern reading counts as much as one and a half rhymes
FIRST_LINE_RHYMES = 0.8
TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class ClassRules:
    """How finely the graph is cut.

    split_modularity  a class is cut where its own graph has at least this modularity
    least_uses        classes used less than this (two uses a poem) are given up
    """

    resolution: float = 1.0
    split_modularity: float = 0.2
    split_uses: int = 300
    least_uses: int = 150


@dataclass(frozen=True, kw_only=True)
class RhymeClasses:
    """characters (N,), their expected uses (N, K) in each class, and shares (N, K) of the classes.

    The shares lean on modern readings, the uses do not.
    """

    characters: list[str]
    uses: Floats
    share: Floats


def learn_rhymes(
    rhymes: Sequence[Rhyme], readings: Mapping[str, Sequence[str]], rules: ClassRules
) -> RhymeClasses:
    """Classes of all characters in `rhymes` and `readings`.

    readings  character -> keys of its modern reading, the most telling first
    """
    counts = Counter(character for rhyme in rhymes for character in rhyme[:2])
    characters = sorted(counts, key=lambda character: (-counts[character], character))
    index = {character: place for place, character in enumerate(characters)}
    start = _start(rhymes, characters, counts, rules)
    members = _mixture(_places(rhymes, index), start)
    everyone = characters + sorted(set(readings) - set(characters))
    members = np.vstack([members, np.zeros((len(everyone) - len(characters), members.shape[1]))])
    prior = _by_reading(everyone, members, readings)
    share = members + READING_WEIGHT * prior
    total = share.sum(1, keepdims=True)
    share = np.divide(share, total, out=np.zeros_like(share), where=total > TINY)
    return RhymeClasses(characters=everyone, uses=members, share=share)


def _start(
    rhymes: Sequence[Rhyme], characters: list[str], counts: Counter[str], rules: ClassRules
) -> Floats:
    """(N, K) first memberships: one class each, or all alike where its class was given up."""
    graph = _graph(rhymes, {character: place for place, character in enumerate(characters)})
    uses = [counts[character] for character in characters]
    labels = _split(graph, communities(graph, resolution=rules.resolution), uses, rules)
    weight: Counter[int] = Counter()
    for label, use in zip(labels, uses, strict=True):
        weight[label] += use
    kept = {
        label: place
        for place, label in enumerate(k for k in sorted(weight) if weight[k] >= rules.least_uses)
    }
    start = np.full((len(characters), len(kept)), 1 / len(kept))
    for place, label in enumerate(labels):
        if label in kept:
            start[place] = 0.0
            start[place, kept[label]] = 1.0
    return np.asarray(start * np.array(uses, dtype=np.float64)[:, None])


def _graph(rhymes: Sequence[Rhyme], index: Mapping[str, int]) -> list[dict[int, float]]:
    graph: list[dict[int, float]] = [defaultdict(float) for _ in index]
    for second, fourth, _ in rhymes:
        if second != fourth:
            graph[index[second]][index[fourth]] += 1.0
            graph[index[fourth]][index[second]] += 1.0
    return graph


def _split(
    graph: list[dict[int, float]], labels: list[int], uses: list[int], rules: ClassRules
) -> list[int]:
    """`labels` with every clearly modular class cut into its parts of enough uses."""
    groups: dict[int, list[int]] = defaultdict(list)
    for node, label in enumerate(labels):
        groups[label].append(node)
    result, free = list(labels), len(groups)
    for nodes in groups.values():
        if sum(uses[node] for node in nodes) < rules.split_uses:
            continue
        place = {node: inner for inner, node in enumerate(nodes)}
        part = [{place[j]: w for j, w in graph[node].items() if j in place} for node in nodes]
        inner = communities(part)
        if modularity(part, inner) < rules.split_modularity:
            continue
        weight: Counter[int] = Counter()
        for node, label in zip(nodes, inner, strict=True):
            weight[label] += uses[node]
        strong = [label for label, use in weight.most_common() if use >= rules.least_uses][1:]
        for node, label in zip(nodes, inner, strict=True):
            if label in strong:
                result[node] = free + strong.index(label)
        free += len(strong)
    return result


def _places(rhymes: Sequence[Rhyme], index: Mapping[str, int]) -> NDArray[np.int64]:
    """(poems, 3) places of the rhyme words; -1 where line 1 tells nothing."""
    rows = [[index[a], index[b], index.get(first, -1)] for a, b, first in rhymes]
    return np.array(rows, dtype=np.int64)


def _mixture(places: NDArray[np.int64], members: Floats) -> Floats:
    """(N, K) expected uses of each character in each class, by EM from `members`."""
    size, classes = members.shape
    second, fourth, first = places.T
    background = (np.bincount(places[:, :2].ravel(), minlength=size) + 0.5)[:, None]
    background = background / background.sum()
    has_first, rhymes_first = first >= 0, FIRST_LINE_RHYMES
    for _ in range(ROUNDS):
        weight = members.sum(0)
        chance = (members + SMOOTHING * background * weight) / (weight * (1 + SMOOTHING) + TINY)
        matched = rhymes_first * chance[first[has_first]]
        either = matched + (1 - rhymes_first) * background[first[has_first]]
        score = np.log(weight / weight.sum() + TINY)
        score = score + np.log(chance[second] + TINY) + np.log(chance[fourth] + TINY)
        score[has_first] += np.log(either + TINY)
        belief = np.exp(score - score.max(1, keepdims=True))
        belief /= belief.sum(1, keepdims=True)
        belief_first = belief[has_first] * matched / (either + TINY)
        rhymes_first = min(float(belief_first.sum() / max(has_first.sum(), 1)), 0.99)
        drawn = ((second, belief), (fourth, belief), (first[has_first], belief_first))
        members = np.zeros((size, classes))
        for where, amount in drawn:
            for k in range(classes):
                members[:, k] += np.bincount(where, weights=amount[:, k], minlength=size)
    return members


def _by_reading(
    characters: list[str], members: Floats, readings: Mapping[str, Sequence[str]]
) -> Floats:
    """(N, K) the classes of the characters that share a character's modern reading.

    The first of its keys under which three known characters stand decides.
    """
    known: dict[str, Floats] = defaultdict(lambda: np.zeros(members.shape[1]))
    seen: Counter[str] = Counter()
    for place, character in enumerate(characters):
        total = members[place].sum()
        if total >= 3:
            for key in readings.get(character, ()):
                known[key] = known[key] + members[place] / total
                seen[key] += 1
    prior = np.zeros_like(members)
    for place, character in enumerate(characters):
        telling = next((key for key in readings.get(character, ()) if seen[key] >= 3), None)
        if telling is not None:
            prior[place] = known[telling] / known[telling].sum()
    return prior
