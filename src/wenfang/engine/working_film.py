"""Short films as jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wenfang import config
from wenfang.engine.filming import FilmModel, Seconds, Size, check_film
from wenfang.jobs import Handler, Task

FILES = {"video": "film.mp4", "thumbnail": "still.webp", "spritesheet": "sheet.jpg"}


@dataclass(frozen=True, kw_only=True)
class FilmJob:
    """`film`: a film of some words, a still of it and a sheet of its frames.

    settings  further ones of `generate film`
    """

    prompt: str
    size: Size = "720x1280"
    seconds: Seconds = 4
    seed: int = 0
    settings: Mapping[str, object]

    @property
    def whole(self) -> dict[str, object]:
        """All that `generate film` is told."""
        return {**self.settings, "size": self.size, "seconds": self.seconds}


def _film(asked: FilmJob, task: Task) -> dict[str, Any]:
    options = check_film(asked.prompt, asked.whole)

    def tell(done: int, total: int) -> None:
        task.report("film", done, total)

    made = FilmModel().film(asked.prompt, asked.seed, options, tell)
    sealed = {kind: made.save(task.folder / name) for kind, name in FILES.items()}
    return {
        "files": {kind: str(one.path) for kind, one in sealed.items()},
        "manifests": {kind: one.manifest.id for kind, one in sealed.items()},
        "facts": config.to_dict(made.record()),
    }


def _check(asked: FilmJob) -> None:
    check_film(asked.prompt, asked.whole)


FILM = Handler(
    request=FilmJob,
    run=_film,
    subject=lambda asked: (asked.size, float(asked.seconds)),
    check=_check,
)
