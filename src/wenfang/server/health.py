"""Is it awake, is it ready, what has it counted."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from wenfang.errors import DatabaseError
from wenfang.server.faults import Fault
from wenfang.server.place import Here

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answers as long as the server is awake."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(here: Here) -> dict[str, Any]:
    """Answers 200 once models can be asked and the database answers; 503 before."""
    if not here.inference.ready:
        raise Fault(503, "models are being loaded", "not_ready", headers={"retry-after": "1"})
    try:
        await asyncio.to_thread(here.queue.counts)
    except DatabaseError as error:
        raise Fault.of(error) from None
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(here: Here) -> Response:
    """Counts and times in Prometheus' format."""
    return Response(here.measures.text(), media_type="text/plain; version=0.0.4")
