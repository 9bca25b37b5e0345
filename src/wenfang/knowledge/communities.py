"""Communities of a weighted graph by modularity (Blondel et al. 2008, arXiv:0803.0476).

Own implementation of the Louvain method: nodes move to the neighbouring community that raises
modularity most, then communities become nodes, until nothing moves. Visits nodes in an order
drawn from a seed, so the same graph and seed give the same communities.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

Graph = Sequence[Mapping[int, float]]
SWEEPS = 20
LEAST_GAIN = 1e-9


def communities(graph: Graph, *, resolution: float = 1.0, seed: int = 0) -> list[int]:
    """The community, 0, 1, 2 ..., of each node.

    graph       node -> {neighbour: weight}, both directions given, no edge to itself
    resolution  above 1 finds smaller communities
    """
    chooser = random.Random(seed)
    current = [dict(neighbours) for neighbours in graph]
    inner = [0.0] * len(graph)
    member = list(range(len(graph)))
    while True:
        moved = _move(current, inner, resolution, chooser)
        names = {old: new for new, old in enumerate(sorted(set(moved)))}
        if len(names) == len(current):
            return member
        labels = [names[label] for label in moved]
        member = [labels[node] for node in member]
        current, inner = _joined(current, inner, labels, len(names))


def modularity(graph: Graph, labels: Sequence[int]) -> float:
    """Share of edge weight inside communities, less what chance would put there."""
    degree: dict[int, float] = defaultdict(float)
    within: dict[int, float] = defaultdict(float)
    for node, neighbours in enumerate(graph):
        for other, weight in neighbours.items():
            degree[labels[node]] += weight
            within[labels[node]] += weight * (labels[node] == labels[other])
    total = sum(degree.values())
    return sum(within[k] / total - (degree[k] / total) ** 2 for k in degree) if total else 0.0


def _move(
    graph: list[dict[int, float]], inner: list[float], resolution: float, chooser: random.Random
) -> list[int]:
    """Labels after moving single nodes for as long as that raises modularity."""
    degree = [sum(edges.values()) + 2 * own for edges, own in zip(graph, inner, strict=True)]
    scale = resolution / (sum(degree) or 1.0)
    label, total = list(range(len(graph))), list(degree)
    for _ in range(SWEEPS):
        order = list(range(len(graph)))
        chooser.shuffle(order)
        moved = False
        for node in order:
            old = label[node]
            total[old] -= degree[node]
            label[node] = _best(graph[node], label, total, old, degree[node] * scale)
            total[label[node]] += degree[node]
            moved = moved or label[node] != old
        if not moved:
            break
    return label


def _best(
    edges: Mapping[int, float], label: list[int], total: list[float], old: int, pull: float
) -> int:
    weight: dict[int, float] = defaultdict(float)
    for other, value in edges.items():
        weight[label[other]] += value
    best, gain = old, weight.get(old, 0.0) - pull * total[old]
    for candidate, value in weight.items():
        if value - pull * total[candidate] > gain + LEAST_GAIN:
            best, gain = candidate, value - pull * total[candidate]
    return best


def _joined(
    graph: list[dict[int, float]], inner: list[float], labels: list[int], size: int
) -> tuple[list[dict[int, float]], list[float]]:
    """The graph whose nodes are the communities."""
    edges: list[dict[int, float]] = [defaultdict(float) for _ in range(size)]
    own = [0.0] * size
    for node, neighbours in enumerate(graph):
        own[labels[node]] += inner[node]
        for other, weight in neighbours.items():
            if labels[node] == labels[other]:
                own[labels[node]] += weight / 2
            else:
                edges[labels[node]][labels[other]] += weight
    return [dict(one) for one in edges], own
