"""One batch from beginning to end, and on from where the last server left it.

Its lines go to the server's own routes as its maker's requests, two at a time of all batches.
Each answer is on the disk before the next line is begun.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wenfang.atomic import exclusive, sha256_bytes
from wenfang.database import Database, now
from wenfang.errors import BusyError
from wenfang.server.batch_lines import ERRORS, LINES_MOST, OUTPUT, Kept, Line, read_lines
from wenfang.server.batch_table import EXPIRED, Ledger
from wenfang.server.callers import Caller, Limits
from wenfang.server.chores import LINES_AT_ONCE, Chores
from wenfang.server.faults import Fault
from wenfang.server.filing import ROWS as FILES
from wenfang.server.filing import adopt, new_row, place_of, served
from wenfang.server.keys import keys
from wenfang.server.paging import ID_BYTES, fresh_id
from wenfang.server.place import Place
from wenfang.server.spending import METER, Meter, refuse_beyond, spent
from wenfang.server.within import ask_within

INPUT = "input.jsonl"
TOLD_EVERY_S = 1.0  # how often the database is told how far it is
# What passes by itself: too many requests, a process that is starting again, a silent database.
TRANSIENT = (429, 503)
TRIES, PAUSE_S = 6, 1.0  # each pause is twice the one before
QUOTA_AGAIN_S = 60.0


def folder_of(name: str) -> Path:
    """Where a batch has its input, and what is answered of it."""
    return served("batches", name)


@dataclass
class BatchRun:
    """A batch that is being done.

    app  the application without its gate
    """

    app: Any
    place: Place
    chores: Chores
    name: str
    _told_at: float = field(default=0.0, init=False)

    async def run(self) -> None:
        """Do what is left of it; nothing, where another server of this home is at it."""
        folder = folder_of(self.name)
        if not folder.is_dir():
            return  # it is another machine's, which shares our database
        try:
            with exclusive(folder / ".lock", self.name):
                await self._run(folder)
        except BusyError:
            return

    async def _run(self, folder: Path) -> None:
        self._ledger = Ledger(database=self.place.database)
        self._kept = Kept(folder=folder, batch=self.name)
        row = await asyncio.to_thread(self._ledger.row, self.name)
        if row.status == "validating":
            await asyncio.to_thread(self._begin, row)
            row = await asyncio.to_thread(self._ledger.row, self.name)
        if row.status not in ("in_progress", "finalizing", "cancelling"):
            (folder / INPUT).unlink(missing_ok=True)
            return
        self._expires_at = row.expires_at
        self._endpoint = row.endpoint
        await asyncio.to_thread(self._kept.recover)
        lines = read_lines(folder / INPUT, row.endpoint, self.place.settings.body_bytes)
        taking = asyncio.Lock()
        if row.status == "in_progress":
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(LINES_AT_ONCE):
                        group.create_task(self._work(lines, taking))
            except ExceptionGroup as several:
                raise several.exceptions[0] from None
        await asyncio.to_thread(self._finish, folder)

    def _begin(self, row: Any) -> None:
        """Count the lines, and refuse what holds none or too many."""
        path = folder_of(self.name) / INPUT
        total, model = 0, None
        for line in read_lines(path, row.endpoint, self.place.settings.body_bytes):
            total += 1
            model = model or line.model
            if total > LINES_MOST:
                break
        if 0 < total <= LINES_MOST:
            self._ledger.move(
                self.name, ("validating",), "in_progress", total=total, model=model
            )  # fmt: skip
            return
        code, message = ("too_many_lines", f"the file has more than {LINES_MOST} lines")
        if not total:
            code, message = ("empty_file", "the file has no lines")
        error = {"code": code, "message": message, "param": "input_file_id", "line": None}
        self._ledger.move(self.name, ("validating",), "failed", errors=[error])

    async def _work(self, lines: Iterator[Line], taking: asyncio.Lock) -> None:
        while True:
            async with taking:
                line = await self._next(lines)
            if line is None:
                return
            if line.error is not None:
                record = _failure(*line.error)
                await asyncio.to_thread(self._kept.keep, line, record, good=False)
            else:
                async with self.chores.lines:
                    await self._metered(line)
            await self._tell()

    async def _next(self, lines: Iterator[Line]) -> Line | None:
        """The next line that is not done; None once there is none, or none is wished for.

        Where the key's quota of today is used up, it is waited for.
        """
        while time.time() < self._expires_at:
            caller = await asyncio.to_thread(self._caller)
            if caller is None:
                return None
            if await asyncio.to_thread(self._has_quota, caller):
                return await asyncio.to_thread(self._undone, lines)
            await asyncio.sleep(QUOTA_AGAIN_S)
        return None

    def _undone(self, lines: Iterator[Line]) -> Line | None:
        return next((one for one in lines if one.number not in self._kept.numbers), None)

    def _caller(self) -> Caller | None:
        """Who asked for it; None once it was cancelled, as it is where their key was revoked."""
        row = self._ledger.row(self.name)
        if row.status != "in_progress":
            return None
        caller = caller_later(self.place.database, row)
        if caller is None:
            self._ledger.move(self.name, ("in_progress",), "cancelling")
        return caller

    def _has_quota(self, caller: Caller) -> bool:
        self._asker = caller
        try:
            refuse_beyond(self.place.database, caller)
        except Fault:
            return False
        return True

    async def _metered(self, line: Line) -> None:
        meter = Meter(requests=1)  # as if it were asked by itself
        METER.set(meter)
        await self._answer(line)
        await asyncio.to_thread(self._spend, self._asker, meter)

    def _spend(self, caller: Caller, meter: Meter) -> None:
        with self.place.database.writing() as connection:
            spent(connection, caller, meter)

    async def _answer(self, line: Line) -> None:
        request_id = fresh_id("req_")
        for number in range(TRIES):
            found = await ask_within(self.app, self._endpoint, line.body, self._asker, request_id)
            if found.status not in TRANSIENT or number == TRIES - 1:
                break
            await asyncio.sleep(PAUSE_S * 2**number)
        try:
            body = json.loads(found.body)
        except ValueError:
            body = {}
        answer = {"status_code": found.status, "request_id": request_id, "body": body}
        record = {"response": answer, "error": None}
        good = found.status < 400
        await asyncio.to_thread(self._kept.keep, line, record, good=good)

    async def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            await asyncio.to_thread(self._ledger.count, self.name, **self._counts())

    def _counts(self) -> dict[str, Any]:
        kept = self._kept
        return {"completed": kept.completed, "failed": kept.failed, "usage": dict(kept.usage)}

    def _finish(self, folder: Path) -> None:
        """Turn what is kept into files, and end as it was wished."""
        if time.time() >= self._expires_at:
            # Written down first: who finishes it after us must end it as we would have.
            self._ledger.move(self.name, ("in_progress",), "finalizing", EXPIRED)
        else:
            self._ledger.move(self.name, ("in_progress",), "finalizing")
        row = self._ledger.row(self.name)
        cancelled, expired = row.status == "cancelling", EXPIRED in row.moments
        if expired:
            self._tell_expired(folder, row)
        made, named = [], {}
        for content, column in ((OUTPUT, "output_file"), (ERRORS, "error_file")):
            if made_row := self._file_of(folder / content, row, content):
                made.append(made_row)
                named[column] = made_row["id"]
        after = "cancelled" if cancelled else "expired" if expired else "completed"
        self._ledger.end(self.name, after, made, **named, **self._counts())
        for content in (OUTPUT, ERRORS, INPUT):
            (folder / content).unlink(missing_ok=True)

    def _tell_expired(self, folder: Path, row: Any) -> None:
        message = "it was not answered within the completion window"
        for line in read_lines(folder / INPUT, row.endpoint, self.place.settings.body_bytes):
            if line.number not in self._kept.numbers:
                self._kept.keep(line, _failure("batch_expired", message), good=False)

    def _file_of(self, path: Path, row: Any, content: str) -> dict[str, Any] | None:
        """A file's row, its bytes at their place; they stay here too until the batch has ended."""
        if not path.is_file() or not path.stat().st_size:
            return None
        made = new_row(
            row.project,
            row.person,
            purpose="batch_output",
            filename=f"{self.name}_{content}",
            size=path.stat().st_size,
            kept_s=row.output_kept_s,
        )
        # Always the same, so that one who finishes it again leaves no second copy behind.
        digest = sha256_bytes(f"{self.name} {content}".encode())
        made["id"] = f"{FILES.prefix}{digest[: 2 * ID_BYTES]}"
        second = path.with_suffix(".made")
        second.unlink(missing_ok=True)
        second.hardlink_to(path)
        adopt(second, place_of(made["id"]))
        return made


def caller_later(database: Database, row: Any) -> Caller | None:
    """Who asked for a batch, as they may ask now; None once their key is good no more."""
    who = Caller(person=row.person, project=row.project, role=row.role, key=row.key)
    if not row.key:
        return who
    good = sa.select(keys).where(
        keys.c.id == row.key,
        keys.c.revoked_at.is_(None),
        sa.or_(keys.c.expires_at.is_(None), keys.c.expires_at > now()),
    )
    with database.reading() as connection:
        key = connection.execute(good).first()
    if key is None:
        return None
    limits = Limits(
        requests_a_day=key.requests_a_day,
        seconds_a_day=key.seconds_a_day,
        storage_bytes=key.storage_bytes,
    )
    return replace(who, limits=limits)


def _failure(code: str, message: str) -> dict[str, Any]:
    return {"response": None, "error": {"code": code, "message": message}}
