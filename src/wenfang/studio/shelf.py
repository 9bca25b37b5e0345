"""The pieces of a project: what its finished jobs made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wenfang.engine.queueing import text_of
from wenfang.jobs import Job
from wenfang.server.callers import Caller
from wenfang.studio.desk import Desk
from wenfang.studio.naming import job_name, subject_name, time_name

KINDS = ("create", "generate", "film")
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
    words = " ".join(words_of(job).split())
    return f"{time_name(job.finished_at)} · {subject_of(job)} · {words[:TITLE_CHARACTERS]}"


def words_of(job: Job) -> str:
    """Its text, or the words that it was asked for by."""
    return text_of(job) or str(job.request.get("prompt", ""))


def subject_of(job: Job) -> str:
    """The scenario or model that made it; a film's job is told apart by its size."""
    return job_name(job) if job.kind == "film" else subject_name(job.subject)


def subjects_of(jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """Scenarios and models that made them: as people read them, and as they are asked for."""
    return sorted({(subject_of(job), job.subject) for job in jobs})


def _searched(job: Job) -> str:
    return f"{job.id} {job.subject} {text_of(job)} {job.request}".casefold()
