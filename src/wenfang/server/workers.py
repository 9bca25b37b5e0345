"""The workers that a server brings along; they end when it does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wenfang.server.settings import ServeSettings

SHORT_AFTER_S = 8.0  # what is not needed at once shall not make the start slower


@contextmanager
def workers_of(settings: ServeSettings) -> Iterator[None]:
    """Workers until the block ends; what they do then stops at a safe point and is queued again.

    Those for short work come a little later; it waits only where somebody trains already.
    """
    running = [_worker() for _ in range(settings.workers)]
    beside = settings.short_workers if settings.workers else 0
    later = asyncio.get_running_loop().call_later(
        SHORT_AFTER_S, lambda: running.extend(_worker("--short") for _ in range(beside))
    )
    try:
        yield
    finally:
        later.cancel()
        for one in running:
            one.terminate()
        for one in running:
            one.wait()


def _worker(*more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "wenfang", "jobs", "work", "--follow", str(os.getpid())]
    return subprocess.Popen([*command, *more], start_new_session=True)
