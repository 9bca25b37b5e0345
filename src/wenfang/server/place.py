"""What the routes of one server share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Request

from wenfang.database import Database
from wenfang.jobs import Queue
from wenfang.server.inference import Inference
from wenfang.server.limits import Buckets
from wenfang.server.measures import Measures
from wenfang.server.settings import ServeSettings


@dataclass(frozen=True, kw_only=True)
class Place:
    """One server: its settings, its database, its models' process.

    logins     tries to log in, by address and by name
    passwords  that may be hashed at once
    remembered  what was asked for a moment ago, by name
    """

    settings: ServeSettings
    database: Database
    queue: Queue
    inference: Inference
    measures: Measures
    logins: Buckets = field(default_factory=Buckets)
    passwords: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    remembered: dict[str, Any] = field(default_factory=dict)


def _place(request: Request) -> Place:
    place: Place = request.app.state.place
    return place


Here = Annotated[Place, Depends(_place)]
