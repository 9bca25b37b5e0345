"""Runners side by side: interleaved rounds, and the ratios that they allow."""

from __future__ import annotations

import statistics
from collections.abc import Callable

Rate = Callable[[], float]


def spread(rows: list[float]) -> float:
    """Largest minus smallest, as a share of the median."""
    return (max(rows) - min(rows)) / statistics.median(rows)


def race(runners: dict[str, Rate], rounds: dict[str, list[float]], turn: int) -> None:
    """One round: every runner once; who goes first changes."""
    names = list(runners)
    first = turn % len(names)
    for name in names[first:] + names[:first]:
        rounds.setdefault(name, []).append(runners[name]())


def ratio(rows: dict[str, list[float]], one: str, other: str) -> dict[str, float]:
    """Median and spread of the ratio round by round."""
    found = [a / b for a, b in zip(rows[one], rows[other], strict=True)]
    return {"median": statistics.median(found), "spread": spread(found)}
