"""How a server's call is answered in the models' process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wenfang.errors import StoppedError

Stopped = Callable[[], bool]


def require_wanted(stopped: Stopped) -> None:
    """A safe point: StoppedError where nobody waits for the answer any more."""
    if stopped():
        raise StoppedError("stopped")


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One verb.

    run   takes the call's content and a question, whether it was stopped; yields its answers
    line  it waits in: quick verbs do not wait for slow ones
    """

    run: Callable[[Mapping[str, Any], Stopped], Iterator[Any]]
    line: Literal["quick", "slow"]
