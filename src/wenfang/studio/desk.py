"""What the pages of one language share: the server's place, words, and errors in plain ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

import gradio as gr

from wenfang.engine.queueing import files_of, read_as_of, text_of
from wenfang.errors import WenfangError
from wenfang.jobs import Happening, Job
from wenfang.language import speaking, t
from wenfang.server.approval import require_published
from wenfang.server.callers import Caller, lacking
from wenfang.server.faults import Fault
from wenfang.server.local_names import at_this_machine, require_local_names
from wenfang.server.place import Place

LOOK_S = 0.5
# What nobody asked for goes past Gradio's queue. The stream of that closes after the last answer
# and opens for the next event; one that comes just then is lost, and the page is loaded anew, with
# all that was filled in gone. Opening a page asks for many things at once, and timers never rest.
UNASKED: Mapping[str, Any] = {"queue": False, "show_progress": "hidden"}
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One language of the studio of one server."""

    place: Place
    language: str
    loads: list[tuple[Any, Any, Any]] = field(default_factory=list)
    turns: list[tuple[Any, Any, Any]] = field(default_factory=list)

    def speaks(self, act: Callable[P, AsyncIterator[T]]) -> Callable[P, AsyncIterator[T]]:
        """A handler that yields pages, each of them written in this language.

        The words of one request are not those of the next: between two pages others are served.
        """

        @wraps(act)
        async def spoken(*values: P.args, **named: P.kwargs) -> AsyncIterator[T]:
            pages = act(*values, **named)
            while True:
                with speaking(self.language):
                    page = await anext(pages, None)
                if page is None:
                    return
                yield page

        return spoken

    def on_load(self, act: Any, inputs: Any, outputs: Any) -> None:
        """Do this once the page is opened."""
        self.loads.append((act, inputs, outputs))

    def on_turn(self, act: Any, inputs: Any, outputs: Any) -> None:
        """Do this whenever somebody turns to the page that is being built."""
        self.turns.append((act, inputs, outputs))

    def on_tick(self, timer: gr.Timer, act: Any, inputs: Any, outputs: Any) -> None:
        """Do this every few seconds."""
        timer.tick(act, inputs, outputs, **UNASKED)

    def caller(self, request: gr.Request) -> Caller:
        """Who sits at the desk; Fault where the guard let nobody in."""
        found = request.request and getattr(request.request.state, "caller", None)
        if not isinstance(found, Caller):
            raise Fault(401, t("sign in first"), "key_required")
        return found

    async def piece(self, job: Job, caller: Caller) -> dict[str, Any]:
        """The piece that a job made, as the library tells it; without its files until this caller
        may open them.
        """
        paths = files_of(job)
        found: dict[str, Any] = await self.ask("piece", {"files": list(map(str, paths))})
        for one in found["files"]:
            one["url"] = f"/studio/files/{job.id}/{one['number']}/{quote(one['name'])}"
        asked = str(job.request.get("prompt") or "")
        told = {**found, "text": text_of(job), "asked": asked, "id": job.id, "kind": job.kind}
        told["read_as"] = read_as_of(job)
        try:
            await asyncio.to_thread(require_published, self.place, caller, job.id, job.project)
        except Fault as fault:
            return {**told, "files": [], "waits": fault.message}
        return told

    async def ask(self, verb: str, content: Mapping[str, Any]) -> Any:
        """The one answer of a verb, its words in this language."""
        with speaking(self.language):
            return await self.place.inference.once(verb, content)

    async def job(self, name: str, caller: Caller) -> Job:
        """A job of the caller's own project; Fault 404 for any other."""
        job = await asyncio.to_thread(self.place.queue.job, name)
        if job.project != caller.project:
            raise Fault(404, t("there is no such piece"), "not_found")
        return job

    def require_maker(self, caller: Caller) -> None:
        """Fault 403 for who may only look."""
        if not caller.may("maker"):
            raise lacking("maker", caller.role)

    def require_names(self, content: Any, caller: Caller) -> None:
        """Fault 400 where somebody else than this machine's owner names a file of it."""
        if not at_this_machine(self.place, caller):
            require_local_names(content, self.place.settings.plugged)

    async def queue(self, kind: str, request: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Queue a job; the job, an estimate, and how many workers there are."""
        self.require_maker(caller)
        content = {"kind": kind, "request": request}
        about = {"project": caller.project, "person": caller.person}
        found: dict[str, Any] = await self.ask("submit", {**content, **about})
        return found

    async def follow(self, name: str) -> AsyncIterator[tuple[Job, Happening | None]]:
        """A job and what it tells, until it has ended; None where it tells nothing for a moment."""
        after = 0
        while True:
            job = await asyncio.to_thread(self.place.queue.job, name)
            told = await asyncio.to_thread(self.place.queue.happenings, job, after)
            for one in told:
                after = one.id
                yield job, one
            if not told:
                yield job, None
            if job.ended and not told:
                return
            await asyncio.sleep(LOOK_S)


def plain(error: Exception) -> str:
    """An error's line for people."""
    if isinstance(error, Fault):
        return error.message
    assert isinstance(error, WenfangError)
    return str(error)
