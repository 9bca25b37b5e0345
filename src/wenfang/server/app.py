"""The application: its routes, what they share, and how it begins and ends."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from fastapi import FastAPI

from wenfang.database import Database
from wenfang.jobs import Queue
from wenfang.server import (
    admin,
    audio,
    batches,
    chat,
    completions,
    describe,
    doors,
    embeddings,
    files,
    health,
    images,
    jobs,
    login,
    models,
    moderations,
    pieces,
    provenance,
    responses,
    tuning,
    videos,
)
from wenfang.server.faults import add_faults
from wenfang.server.gate import Gate
from wenfang.server.guard import Guard
from wenfang.server.inference import Inference
from wenfang.server.measures import Measures
from wenfang.server.openapi import declare
from wenfang.server.place import Place
from wenfang.server.settings import ServeSettings
from wenfang.server.tokens import digest
from wenfang.server.unfinished import chores_of
from wenfang.server.workers import workers_of
from wenfang.version import __version__

ROUTERS = (
    health.router,
    models.router,
    completions.router,
    images.router,
    audio.router,
    videos.router,
    chat.router,
    embeddings.router,
    moderations.router,
    responses.router,
    doors.router,
    admin.router,
    describe.router,
    login.router,
    files.router,
    batches.router,
    tuning.router,
    provenance.router,
    pieces.router,
    jobs.router,
)
SUMMARY = "The scholar's studio for AI-generated content, in the wire format of OpenAI's API."


Mount: TypeAlias = Callable[[FastAPI, Place], None]


def build_app(
    settings: ServeSettings,
    database: Database | None = None,
    mounts: Sequence[Mount] = (),
    *,
    token: str = "",
    inference: Inference | None = None,
) -> Any:
    """The ASGI application of one server.

    database   the one of this home, or of WENFANG_DATABASE_URL, unless one is given
    mounts     what stands upon it: they put routes of their own into it
    token      as good as an admin's key
    inference  what answers calls to models, unless it is a process of this server's own
    """
    measures = Measures()
    app = FastAPI(
        title="Wenfang", summary=SUMMARY, version=__version__, docs_url=None, redoc_url=None,
        lifespan=_living,
    )  # fmt: skip
    held = database or Database.open()
    place = Place(
        settings=settings,
        database=held,
        queue=Queue(database=held),
        inference=inference or Inference(waiting_most=settings.waiting_most),
        measures=measures,
    )
    app.state.place = place
    measures.watch("wenfang_calls_waiting", "Calls to models", lambda: place.inference.waiting)
    measures.watch("wenfang_engine_starts", "Starts of the models' process",
                   lambda: place.inference.starts)  # fmt: skip
    add_faults(app)
    for router in ROUTERS:
        app.include_router(router)
    for mount in mounts:
        mount(app, place)
    declare(app, settings)
    guard = Guard(app=app, settings=settings, database=held, token=digest(token) if token else "")
    return Gate(app=guard, settings=settings, measures=measures)


@asynccontextmanager
async def _living(app: FastAPI) -> AsyncIterator[None]:
    place: Place = app.state.place
    place.inference.start()
    # What was loaded stays: looking through it for garbage would hold everybody up for 0.1 s.
    gc.collect()
    gc.freeze()
    with workers_of(place.settings):
        try:
            async with chores_of(app):
                yield
        finally:
            place.inference.close()
