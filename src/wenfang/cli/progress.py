"""Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_S = 10.0


class Bar:
    """One bar on standard error; `update` may be called as often as one likes."""

    def __init__(self, *, quiet: bool = False) -> None:
        # Of several processes that train together only the first one speaks.
        self._quiet = quiet or os.environ.get("RANK", "0") != "0"
        self._terminal = sys.stderr.isatty() and not self._quiet
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._last_line_s = 0.0
        self._name = ""

    def __enter__(self) -> Self:
        if self._terminal:
            # Only here, so that the commands without progress start without it.
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress:
            self._progress.stop()

    def update(self, name: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` of the step `name` are finished."""
        if not total:
            return
        if self._progress:
            if self._task is None or name != self._name:
                if self._task is not None:
                    self._progress.remove_task(self._task)
                self._task = self._progress.add_task(name, total=total, note=note)
            self._progress.update(self._task, completed=done, total=total, note=note)
        elif not self._quiet:
            now = time.monotonic()
            if name != self._name or done >= total or now - self._last_line_s > LINE_EVERY_S:
                self._last_line_s = now
                print(f"{name} {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)
        self._name = name

    def say(self, text: str) -> None:
        """One line beside the bar."""
        if self._progress:
            self._progress.console.print(text, highlight=False, markup=False)
        elif not self._quiet:
            print(text, file=sys.stderr, flush=True)
