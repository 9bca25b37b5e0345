"""How long a job will take, and how much memory: what like ones took before it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from wenfang.jobs.job import Submission
from wenfang.jobs.queue import Queue

LEARNT_FROM = 20
AT_LEAST_UNITS = 1e-9


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Of one job, before it starts.

    seconds     the middle of what as many units took; `least_s` and `most_s` are the extremes
    peak_bytes  the most that any of them took
    learnt_from how many there were
    """

    seconds: float
    least_s: float
    most_s: float
    peak_bytes: int
    learnt_from: int


def estimate(queue: Queue, asked: Submission) -> Estimate | None:
    """What past jobs of the same kind and subject foretell; None where there are none."""
    past = queue.past(asked.kind, asked.subject, LEARNT_FROM)
    # What was done in one go tells the time best: an attempt that was killed may have been in
    # vain, or is not counted at all.
    past = [one for one in past if one.attempts == 1] or past
    if not past:
        return None
    paces = [one.seconds / max(one.units, AT_LEAST_UNITS) * asked.units for one in past]
    return Estimate(
        seconds=median(paces),
        least_s=min(paces),
        most_s=max(paces),
        peak_bytes=max(one.peak_bytes for one in past),
        learnt_from=len(past),
    )
