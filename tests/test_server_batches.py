"""A batch that is broken off goes on where it was, and answers no line twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from wenfang.database import Database
from wenfang.errors import DatabaseError
from wenfang.server import ServeSettings
from wenfang.server.batch_lines import ERRORS, OUTPUT, Kept, read_lines
from wenfang.server.batch_run import INPUT, BatchRun, folder_of
from wenfang.server.batch_table import Ledger, batches, record
from wenfang.server.callers import Limits
from wenfang.server.chores import Chores
from wenfang.server.faults import Fault
from wenfang.server.filing import Filing, files, place_of
from wenfang.server.keys import Keys, Wanted
from wenfang.server.paging import fresh_id
from wenfang.server.people import People
from wenfang.server.spending import spendings
from wenfang.server.storing import kept_bytes

ENDPOINT = "/v1/completions"


class Echo:
    """An application that answers with what it was asked, and counts."""

    def __init__(self, slow_s: float = 0.0, refusals: int = 0) -> None:
        self.asked: Counter[str] = Counter()
        self.callers: set[tuple[str, str, str]] = set()
        self.slow_s, self.refusals = slow_s, refusals

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = json.loads((await receive())["body"])
        await asyncio.sleep(self.slow_s)
        caller = scope["state"]["caller"]
        self.callers.add((caller.person, caller.project, caller.role))
        self.asked[body["prompt"]] += 1
        status = 200
        if self.refusals:
            self.refusals -= 1
            status = 503
        content = json.dumps({**body, "usage": {"prompt_tokens": 2, "completion_tokens": 3}})
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": content.encode()})


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path))
    monkeypatch.delenv("WENFANG_DATABASE_URL", raising=False)
    held = Database.open()
    yield held
    held.close()


def opened(database: Database, lines: list[str], **values: Any) -> str:
    name = fresh_id("batch_")
    folder_of(name).mkdir(parents=True)
    (folder_of(name) / INPUT).write_text("\n".join(lines), "utf-8")
    row: dict[str, Any] = {
        "id": name,
        "project": "studio",
        "person": "lin",
        "role": "maker",
        "key": "",
        "endpoint": ENDPOINT,
        "input_file": "file-0",
        "status": "validating",
        "created_at": time.time(),
        "expires_at": time.time() + 600,
        "output_kept_s": 3600,
        "moments": {},
        "total": 0,
        "completed": 0,
        "failed": 0,
        "usage": {},
    }
    Ledger(database=database).open({**row, **values})
    return name


def lines_of(count: int) -> list[str]:
    return [
        json.dumps({"custom_id": f"c{number}", "method": "POST", "url": ENDPOINT,
                    "body": {"model": "verse", "prompt": f"春{number}"}})
        for number in range(count)
    ]  # fmt: skip


def run_of(database: Database, app: Any, name: str) -> BatchRun:
    place: Any = SimpleNamespace(database=database, settings=ServeSettings())
    return BatchRun(app=app, place=place, chores=Chores(), name=name)


def finish(database: Database, app: Any, name: str) -> Any:
    asyncio.run(run_of(database, app, name).run())
    return Ledger(database=database).row(name)


def contents(name: str | None) -> list[dict[str, Any]]:
    assert name
    return [json.loads(line) for line in place_of(name).read_text("utf-8").splitlines()]


async def broken_off(run: BatchRun, app: Echo, more: int) -> None:
    task = asyncio.create_task(run.run())
    until = sum(app.asked.values()) + more
    while sum(app.asked.values()) < until:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_every_line_is_asked_as_its_maker(database: Database) -> None:
    app = Echo()
    row = finish(database, app, opened(database, lines_of(7)))
    assert (row.status, row.total, row.completed, row.failed) == ("completed", 7, 7, 0)
    assert app.callers == {("lin", "studio", "maker")}
    assert row.usage == {"read": 14, "written": 21}
    assert {one["custom_id"] for one in contents(row.output_file)} == {f"c{n}" for n in range(7)}
    assert row.error_file is None
    kept = Filing(database=database).one("studio", row.output_file)
    assert kept.bytes == place_of(kept.id).stat().st_size
    assert kept.expires_at == pytest.approx(time.time() + 3600, abs=60)
    assert not (folder_of(row.id) / INPUT).exists()


def test_it_goes_on_after_being_broken_off_at_any_time(database: Database) -> None:
    name, app = opened(database, lines_of(60)), Echo(slow_s=0.004)
    for more in (1, 5, 8, 3, 7):
        asyncio.run(broken_off(run_of(database, app, name), app, more))
        path = folder_of(name) / OUTPUT
        if path.exists():  # killed while it wrote: half a line is no line
            path.write_bytes(path.read_bytes() + b'{"id": "half of')
    before = Kept(folder=folder_of(name), batch=name)
    before.recover()
    assert 0 < before.completed < 60
    done = {f"春{number - 1}" for number in before.numbers}
    counted = {prompt: app.asked[prompt] for prompt in done}
    row = finish(database, app, name)
    assert (row.status, row.completed) == ("completed", 60)
    answered = Counter(one["custom_id"] for one in contents(row.output_file))
    assert set(answered.values()) == {1}
    assert len(answered) == 60
    assert {prompt: app.asked[prompt] for prompt in done} == counted


def test_finishing_again_makes_no_second_file(database: Database) -> None:
    name, app = opened(database, lines_of(3)), Echo()
    run = run_of(database, app, name)

    def die(*arguments: Any, **values: Any) -> None:
        raise DatabaseError("the database gives no answer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "end", die)
        with pytest.raises(DatabaseError):
            asyncio.run(run.run())
    row = finish(database, app, name)
    assert row.status == "completed"
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(files)).scalar() == 1
    assert len(list(place_of("x").parent.iterdir())) == 1
    assert sum(app.asked.values()) == 3


def test_one_server_of_a_home_does_it(database: Database) -> None:
    name, app = opened(database, lines_of(10)), Echo(slow_s=0.01)

    async def both() -> None:
        runs = [run_of(database, app, name).run() for _ in range(2)]
        await asyncio.gather(*runs)

    asyncio.run(both())
    assert set(app.asked.values()) == {1}
    assert Ledger(database=database).row(name).completed == 10


def test_too_late_is_told_line_by_line(database: Database) -> None:
    name = opened(database, lines_of(4), expires_at=time.time() - 1)
    row = finish(database, Echo(), name)
    assert (row.status, row.completed, row.failed) == ("expired", 0, 4)
    assert {one["error"]["code"] for one in contents(row.error_file)} == {"batch_expired"}


def test_one_that_expired_and_crashed_at_its_end_ends_as_expired(database: Database) -> None:
    name = opened(database, lines_of(4), expires_at=time.time() - 1)

    def die(*arguments: Any, **values: Any) -> None:
        raise DatabaseError("the database gives no answer")

    for place in ("wenfang.server.batch_run.BatchRun._tell_expired",
                  "wenfang.server.batch_table.Ledger.end"):  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, die)
            with pytest.raises(DatabaseError):
                finish(database, Echo(), name)
        assert Ledger(database=database).row(name).status == "finalizing"
    row = finish(database, Echo(), name)
    assert (row.status, row.completed, row.failed) == ("expired", 0, 4)
    told = record(row)
    assert told["expired_at"]
    assert told["completed_at"] is None
    assert len(contents(row.error_file)) == 4


def test_lines_of_a_batch_count_for_its_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wenfang.server.batch_run.QUOTA_AGAIN_S", 0.05)
    people = People(database=database)
    people.add_project("studio")
    lin = people.add("lin", "maker", "studio")
    limits = Limits(requests_a_day=3)
    key, _ = Keys(database=database).add(
        Wanted(name="k", person="lin", project="studio", limits=limits)
    )
    name = opened(database, lines_of(8), key=key.id, person=lin.id, expires_at=time.time() + 2)
    app = Echo()
    row = finish(database, app, name)
    assert row.status == "expired"  # it waited for midnight
    assert 3 <= row.completed <= 4  # two lines are asked at once
    with database.reading() as connection:
        assert connection.execute(sa.select(spendings.c.requests)).scalar_one() == row.completed
    assert kept_bytes(database, key.id) == sum(
        place_of(one).stat().st_size for one in (row.output_file, row.error_file)
    )


def test_no_project_queues_more_lines_than_it_may(database: Database) -> None:
    values = Ledger(database=database).row(opened(database, lines_of(1), total=6))._mapping
    ledger = Ledger(database=database)
    ledger.count(values["id"], completed=1)
    new = {**values, "total": 5}
    assert ledger.open({**new, "id": "batch_1"}, most_lines=10).total == 5
    with pytest.raises(Fault, match="10 lines of this project") as caught:
        ledger.open({**new, "id": "batch_2", "total": 1}, most_lines=10)
    assert (caught.value.status, caught.value.code) == (429, "too_many_lines")
    assert ledger.open({**new, "id": "batch_3", "project": "other"}, most_lines=10)
    ledger.move("batch_1", ("validating",), "cancelled")
    assert ledger.open({**new, "id": "batch_4"}, most_lines=10)


def test_a_busy_server_is_asked_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wenfang.server.batch_run.PAUSE_S", 0.01)
    app = Echo(refusals=3)
    row = finish(database, app, opened(database, lines_of(4)))
    assert (row.completed, row.failed) == (4, 0)
    assert sum(app.asked.values()) == 7


def test_a_key_that_was_revoked_ends_it(database: Database) -> None:
    name, app = opened(database, lines_of(5), key="key_0"), Echo()
    row = finish(database, app, name)
    assert (row.status, row.completed, sum(app.asked.values())) == ("cancelled", 0, 0)


def test_too_many_lines_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wenfang.server.batch_run.LINES_MOST", 5)
    row = finish(database, Echo(), opened(database, lines_of(6)))
    assert (row.status, row.errors[0]["code"]) == ("failed", "too_many_lines")
    assert not (folder_of(row.id) / INPUT).exists()


def test_a_cancelled_one_stops_between_lines(database: Database) -> None:
    name, app = opened(database, lines_of(500)), Echo(slow_s=0.002)

    async def cancel() -> None:
        task = asyncio.create_task(run_of(database, app, name).run())
        ledger = Ledger(database=database)
        while not sum(app.asked.values()):
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(ledger.move, name, ("in_progress",), "cancelling")
        await task

    asyncio.run(cancel())
    row = Ledger(database=database).row(name)
    assert row.status == "cancelled"
    assert 0 < row.completed < 500
    assert len(contents(row.output_file)) == row.completed


def test_lines_that_are_too_long_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    good = lines_of(2)
    path.write_bytes(f"{good[0]}\n{'x' * 5000}\n{good[1]}\n".encode() + b"\xff\xfe\n" + b"[" * 900)
    found = list(read_lines(path, ENDPOINT, 1000))
    codes = [one.error[0] if one.error else None for one in found]
    assert codes == [None, "line_too_long", None, "invalid_json_line", "invalid_json_line"]
    assert [one.number for one in found] == [1, 2, 3, 4, 5]


def test_errors_and_answers_are_kept_apart(database: Database) -> None:
    name = opened(database, [*lines_of(2), "{", lines_of(1)[0]])
    row = finish(database, Echo(), name)
    assert (row.total, row.completed, row.failed) == (4, 2, 2)
    codes = [one["error"]["code"] for one in contents(row.error_file)]
    assert codes == ["invalid_json_line", "duplicate_custom_id"]
    assert {row.status for row in _all(database)} == {"completed"}
    assert not (folder_of(name) / ERRORS).exists()


def _all(database: Database) -> list[Any]:
    with database.reading() as connection:
        return list(connection.execute(sa.select(batches)))
