"""How often somebody may ask: token buckets, in this process's memory."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

NAMES_MOST = 10_000  # buckets that are kept; whoever comes with ever new names fills no memory


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a bucket holds after one was asked for.

    granted     whether one was there
    remaining   whole ones that are left
    wait_s      until the next one is there; 0 where one is left
    """

    granted: bool
    limit: int
    remaining: int
    wait_s: float

    def headers(self) -> dict[str, str]:
        """As OpenAI's clients read it."""
        found = {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
        }
        return found if self.granted else {**found, "retry-after": str(math.ceil(self.wait_s))}


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """One bucket a name: it holds as many as may be asked in a minute, and fills up steadily.

    To be used by one thread: the event loop's.
    """

    clock_s: Callable[[], float] = time.monotonic
    _held: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict, init=False)

    def take(self, name: str, a_minute: int) -> Left:
        """Take one from the bucket of that name."""
        at = self.clock_s()
        held, since = self._held.pop(name, (float(a_minute), at))
        held = min(float(a_minute), held + (at - since) * a_minute / 60)
        granted = held >= 1
        held -= 1 if granted else 0
        self._held[name] = held, at
        while len(self._held) > NAMES_MOST:
            self._held.popitem(last=False)
        wait_s = max(0.0, (1 - held) * 60 / a_minute)
        return Left(granted=granted, limit=a_minute, remaining=int(held), wait_s=wait_s)
