"""The pieces of a project: what its finished jobs made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wenfang.engine.queueing import text_of
from wenfang.jobs import Job
from wenfang.jobs.job import moment
from wenfang.server.callers import Caller
from wenfang.studio.desk import Desk

KINDS = ("create", "generate")
LOOKED_AT = 500
TITLE_CHARACTERS = 40


async def pieces_of(desk: Desk, caller: Caller, words: str = "", subject: str = "") -> list[Job]:
    """Finished pieces, newest first; those that hold all of `words`, of one scenario or model."""
    found = await asyncio.to_thread(
        desk.place.queue.jobs,
        states=("done",),
        kinds=KINDS,
        project=caller.project,
        limit=LOOKED_AT,
    )
    wanted = words.casefold().split()
    return [
        job
        for job in found
        if (not subject or job.subject == subject)
        and all(word in _searched(job) for word in wanted)
    ]


def title_of(job: Job) -> str:
    """A piece in one line: when, what, and its first words."""
    at = (moment(job.finished_at) or "")[:16].replace("T", " ")
    words = " ".join(text_of(job).split()) or str(job.request.get("prompt", ""))
    return f"{at} · {job.subject} · {words[:TITLE_CHARACTERS]}"


def subjects_of(jobs: Sequence[Job]) -> list[str]:
    """Scenarios and models that made them."""
    return sorted({job.subject for job in jobs})


def _searched(job: Job) -> str:
    return f"{job.id} {job.subject} {text_of(job)} {job.request}".casefold()
