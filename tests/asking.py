"""The server's application in this process, without models: for tests of who may ask what."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx

from wenfang.database import Database
from wenfang.server import ServeSettings, build_app
from wenfang.server.inference import Inference
from wenfang.server.people import People
from wenfang.server.spending import note

HOST = "127.0.0.1:8420"
PRINTED = "wf-printed-of-this-test"
PASSWORD = "correct horse battery"
ANSWERS: Mapping[str, Any] = {
    "models": [
        {
            "name": "verse",
            "config": {"layout": "verse"},
            "created": 0,
            "summary": "",
            "licence": "CC0-1.0",
            "parameters": 1,
        }
    ],
    "text": {"written": [{"text": "春", "tokens": 1, "finish": "stop", "manifest": "m"}]},
}


class Quick(Inference):
    """Answers at once, and says that it took `cost_s`."""

    cost_s = 0.0

    @property
    def ready(self) -> bool:
        return True

    async def ask(self, verb: str, content: Mapping[str, Any]) -> AsyncIterator[Any]:
        note(seconds=self.cost_s)
        yield ANSWERS[verb]


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Asks the application, as a client at some address."""

    gate: Any
    database: Database
    inference: Quick

    @property
    def app(self) -> Any:
        """FastAPI's application, inside of the gate and the guard."""
        return self.gate.app.app

    def __call__(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        host: str = HOST,
        **more: Any,
    ) -> httpx.Response:
        bearer = {"authorization": f"Bearer {key}"} if key else {}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.gate, client=("127.0.0.1", 50_000))
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(
                    method, path, headers={**bearer, **(headers or {})}, **more
                )

        return asyncio.run(ask())

    @property
    def people(self) -> People:
        """Who is in the database."""
        return People(database=self.database)

    def new_key(self, person: str, **wanted: Any) -> str:
        """A key, by the admin's route."""
        body = {"name": "test", "person": person, "project": "default", **wanted}
        answer = self("POST", "/v1/keys", key=PRINTED, json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["key"])

    def log_in(self, name: str, **more: Any) -> tuple[dict[str, str], str]:
        """The cookie of a new session, as headers, and its CSRF token."""
        answer = self("POST", "/session", json={"name": name, "password": PASSWORD, **more})
        assert answer.status_code == 200, answer.text
        cookie = answer.headers["set-cookie"].split(";")[0]
        return {"cookie": cookie}, str(answer.json()["csrf_token"])

    def audit(self) -> list[dict[str, Any]]:
        """The audit log, newest first."""
        rows = self("GET", "/v1/audit?limit=100", key=PRINTED).json()["data"]
        return [dict(row) for row in rows]


@cache
def _empty_database() -> Path:
    """A database with its tables, made once for all tests."""
    path = Path(mkdtemp()) / "wenfang.sqlite"
    Database.open(f"sqlite:///{path}").close()
    return path


def asking(folder: Path, *, url: str = "", **settings: Any) -> Iterator[Asker]:
    """A server whose database is in that folder, unless it is an empty one at that URL."""
    if not url:
        path = folder / "wenfang.sqlite"
        shutil.copy(_empty_database(), path)
        url = f"sqlite:///{path}"
    database = Database.open(url)
    inference = Quick()
    chosen = ServeSettings(workers=0, **settings)
    gate = build_app(chosen, database, token=PRINTED, inference=inference)
    yield Asker(gate=gate, database=database, inference=inference)
    database.close()
