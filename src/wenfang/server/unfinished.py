"""What a server takes up when it starts, and leaves for the next one when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from wenfang.server.batches import take_up_batches
from wenfang.server.chores import Chores
from wenfang.server.filing import Filing
from wenfang.server.pictures import forget_pictures
from wenfang.server.storing import credit_expired
from wenfang.server.tuning import take_up_tunings

CLEAR_EVERY_S = 3600.0


@asynccontextmanager
async def chores_of(app: FastAPI) -> AsyncIterator[None]:
    """The server's own work, while it serves."""
    chores = Chores()
    app.state.chores = chores
    chores.start("unfinished batches", lambda: take_up_batches(app))
    chores.start("unfinished tunings", lambda: take_up_tunings(app))
    chores.start("leftovers", lambda: _clear(app))
    try:
        yield
    finally:
        await chores.close()


async def _clear(app: FastAPI) -> None:
    """Remove files that were to be kept until now, as long as the server runs."""
    database = app.state.place.database
    while True:
        await asyncio.to_thread(Filing(database=database).forget_expired)
        await asyncio.to_thread(credit_expired, database)
        await asyncio.to_thread(forget_pictures)
        await asyncio.sleep(CLEAR_EVERY_S)
