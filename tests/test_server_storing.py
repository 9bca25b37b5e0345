"""What is kept for a key counts once, wherever it came from, and no longer than it is kept."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from asking import PRINTED, Asker, Quick, asking
from postgres import one_database, server_of_tests, url_of_database  # noqa: F401
from wenfang.database import Database, connection
from wenfang.jobs import Queue, Submission
from wenfang.jobs.tables import jobs
from wenfang.server.batch_table import Ledger
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.filing import Filing, enter_file, files, new_row, place_of
from wenfang.server.pictures import Drawing, PictureBody
from wenfang.server.spending import Meter, refuse_beyond, spent
from wenfang.server.storing import credit_expired, folder_bytes, kept_bytes, stored
from wenfang.server.tuning_table import Tunings, run_of
from wenfang.store import home

BODY = {"model": "verse", "prompt": "春"}
BRIEF = {"scenario": "jingle", "brand": "x"}


def queueing(queue: Queue) -> Any:
    """What a models' process answers that queues, and does no more."""

    async def ask(self: Quick, verb: str, content: Mapping[str, Any]) -> AsyncIterator[Any]:
        if verb == "models":
            yield []
            return
        assert verb == "submit"
        about = {name: value for name, value in content.items() if name != "request"}
        job = queue.submit(Submission(request=content["request"], subject="x", **about))
        yield {"job": job.record(), "estimate": None, "workers": 0}

    return ask


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    """A server that others reach, with one maker."""
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path))
    for one in asking(tmp_path, host="0.0.0.0"):
        monkeypatch.setattr(Quick, "ask", queueing(one.app.state.place.queue))
        one.people.add("mei", "maker", "")
        yield one


def keyed(ask: Asker, **limits: Any) -> tuple[str, str]:
    """A key, and its id."""
    key = ask.new_key("mei", **limits)
    return key, f"key_{key[3:19]}"


def upload(ask: Asker, key: str, size: int, **fields: str) -> str:
    given = {"file": ("a.bin", b"x" * size)}
    answer = ask("POST", "/v1/files", key=key, files=given, data={"purpose": "vision", **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def written(place: Path, size: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"x" * size)


def ended(ask: Asker, job: str, state: str) -> None:
    with ask.database.writing() as held:
        change = sa.update(jobs).where(jobs.c.id == job)
        held.execute(change.values(state=state, finished_at=time.time(), result={}))


def test_uploads_fill_a_key_and_their_end_empties_it(ask: Asker) -> None:
    key, name = keyed(ask, storage_bytes=1000)
    other, _ = keyed(ask)
    first = upload(ask, key, 600)
    upload(ask, other, 5000)  # another key of the same person
    upload(ask, key, 400)
    assert kept_bytes(ask.database, name) == 1000
    full = ask("POST", "/v1/completions", key=key, json=BODY)
    assert (full.status_code, full.json()["error"]["code"]) == (429, "insufficient_quota")
    # Whoever deletes it, it is the key's that it came by.
    assert ask("DELETE", f"/v1/files/{first}", key=other).status_code == 200
    assert kept_bytes(ask.database, name) == 400
    assert ask("GET", "/v1/files", key=key).status_code == 200


def test_of_two_that_delete_at_once_one_does(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    key, name = keyed(ask)
    file = upload(ask, key, 600)
    upload(ask, key, 50)
    both, seen = threading.Barrier(2), Filing.one

    def one(self: Filing, project: str, name: str) -> Any:
        row = seen(self, project, name)
        both.wait(10)  # both have found it, and neither has deleted it
        return row

    monkeypatch.setattr(Filing, "one", one)
    outcomes: list[int] = []

    def delete() -> None:
        try:
            Filing(database=ask.database).delete("", file)
            outcomes.append(200)
        except Fault as fault:
            outcomes.append(fault.status)

    threads = [threading.Thread(target=delete) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [200, 404]
    assert kept_bytes(ask.database, name) == 50


def test_what_expires_does_not_count_from_then_on(ask: Asker) -> None:
    key, name = keyed(ask)
    anchor = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    file = upload(ask, key, 600, **anchor)
    upload(ask, key, 30)
    assert kept_bytes(ask.database, name) == 630
    with ask.database.writing() as held:
        for table in (files, stored):
            over = sa.update(table).where(table.c.id == file)
            held.execute(over.values(expires_at=time.time() - 1))
    assert kept_bytes(ask.database, name) == 30  # though nobody has cleared it away
    assert place_of(file).is_file()
    Filing(database=ask.database).forget_expired()
    assert not place_of(file).is_file()
    credit_expired(ask.database)
    with ask.database.reading() as held:
        assert held.execute(sa.select(sa.func.count()).select_from(stored)).scalar_one() == 1


def test_a_file_that_cannot_be_entered_leaves_no_bytes(
    ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, name = keyed(ask)
    monkeypatch.setattr("wenfang.server.filing.enter_file", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        upload(ask, key, 10)
    assert not list((home() / "served" / "files").iterdir())
    assert not list((home() / "served" / "given").iterdir())
    assert kept_bytes(ask.database, name) == 0


def test_the_files_of_a_batch_count_once_and_with_its_end(ask: Asker) -> None:
    _, name = keyed(ask)
    row = {
        "id": "batch_0", "project": "", "person": "mei", "role": "maker", "key": name,
        "endpoint": "/v1/completions", "input_file": "file-0", "status": "finalizing",
        "created_at": 0.0, "expires_at": 0.0, "output_kept_s": 3600, "moments": {}, "total": 1,
        "completed": 1, "failed": 0, "usage": {},
    }  # fmt: skip
    ledger = Ledger(database=ask.database)
    ledger.open(row)
    made = new_row("", "mei", purpose="batch_output", filename="a", size=70, kept_s=3600)
    ledger.end("batch_0", "completed", [made])
    again = new_row("", "mei", purpose="batch_output", filename="a", size=70, kept_s=3600)
    for one in (made, again):  # of another server that had it too
        ledger.end("batch_0", "failed", [one])
    assert ledger.row("batch_0").status == "completed"
    assert kept_bytes(ask.database, name) == 70


@pytest.mark.parametrize("state", ["done", "failed"])
def test_what_jobs_make_is_measured_and_goes_with_them(ask: Asker, state: str) -> None:
    key, name = keyed(ask)
    piece = ask("POST", "/v1/pieces", key=key, json=BRIEF).json()
    job = ask("POST", "/v1/jobs", key=key,
              json={"kind": "create", "request": {"text": "{}"}}).json()  # fmt: skip
    film = ask("POST", "/v1/videos", key=key, json={"prompt": "rain"}).json()
    assert film["status"] == "queued"
    assert kept_bytes(ask.database, name) == 0
    places = {
        f"/v1/pieces/{piece['id']}": (home() / "served" / "pieces" / piece["id"], piece["job"]),
        f"/v1/jobs/{job['id']}": (home() / "jobs" / job["id"], job["id"]),
        f"/v1/videos/{film['id']}": (home() / "jobs" / film["wenfang"]["job"],
                                     film["wenfang"]["job"]),
    }  # fmt: skip
    for number, (place, _) in enumerate(places.values()):
        written(place / "within" / "a.bin", 10**number)
    assert kept_bytes(ask.database, name) == 111  # while they are being made
    for place, made in places.values():
        ended(ask, made, state)
        written(place / "b.bin", 1)
    assert kept_bytes(ask.database, name) == 114
    left = 114
    for number, (path, (place, _)) in enumerate(places.items()):
        assert ask("DELETE", path, key=key).json()["deleted"]
        left -= 10**number + 1
        assert kept_bytes(ask.database, name) == left
        assert not place.exists()
        assert ask("DELETE", path, key=key).status_code == 404
        assert ask("GET", path, key=key).status_code == 404


def test_what_is_being_made_is_not_deleted_and_a_piece_keeps_its_job(ask: Asker) -> None:
    key, _ = keyed(ask)
    piece = ask("POST", "/v1/pieces", key=key, json=BRIEF).json()
    refused = ask("DELETE", f"/v1/jobs/{piece['job']}", key=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    with ask.database.writing() as held:
        held.execute(sa.update(jobs).values(state="running", lease_until=time.time() + 60))
    running = ask("DELETE", f"/v1/pieces/{piece['id']}", key=key)
    assert (running.status_code, running.json()["error"]["code"]) == (409, "in_progress")
    assert ask("GET", f"/v1/pieces/{piece['id']}", key=key).status_code == 200


def test_what_the_queue_has_forgotten_is_nobodys(ask: Asker) -> None:
    key, name = keyed(ask)
    film = ask("POST", "/v1/videos", key=key, json={"prompt": "rain"}).json()["wenfang"]["job"]
    piece = ask("POST", "/v1/pieces", key=key, json=BRIEF).json()
    written(home() / "jobs" / film / "film.mp4", 100)
    written(home() / "served" / "pieces" / piece["id"] / "a.txt", 10)
    for job in (film, piece["job"]):
        ended(ask, job, "done")
    assert kept_bytes(ask.database, name) == 110
    assert ask.app.state.place.queue.clean(("done",), -1.0) == 2
    assert kept_bytes(ask.database, name) == 10  # a piece has a row of its own
    assert ask("DELETE", f"/v1/pieces/{piece['id']}", key=key).status_code == 200
    assert kept_bytes(ask.database, name) == 0


def test_pictures_behind_urls_count_for_their_day(ask: Asker) -> None:
    _, name = keyed(ask)
    body = PictureBody(model="emblem")
    drawing = Drawing(here=ask.app.state.place, caller=Caller(key=name), body=body, prompt="")
    drawing._kept({"data": b"x" * 500})
    assert kept_bytes(ask.database, name) == 500
    with ask.database.reading() as held:
        until = held.execute(sa.select(stored.c.expires_at)).scalar_one()
    assert until == pytest.approx(time.time() + 86_400, abs=60)


def test_a_tuned_model_counts_until_it_is_deleted(ask: Asker) -> None:
    key, name = keyed(ask)
    held = Tunings(database=ask.database, queue=ask.app.state.place.queue)
    row = held.open(
        {"id": "ftjob-" + "0" * 24, "project": "", "person": "mei", "created_at": 0.0,
         "model": "gpt2", "result": "gpt2-mine", "training_file": "file-0", "status": "succeeded",
         "asked": {"hyperparameters": {}, "seed": 0, "kind": "full"}},
        name,
    )  # fmt: skip
    written(run_of(row.result) / "bundle" / "weights", 300)
    assert kept_bytes(ask.database, name) == 300
    stranger = ask.new_key(ask.people.add("li", "admin", "").name)
    for path in ("/v1/models/verse", "/v1/models/..%2F..%2Fetc", "/v1/models/%00"):
        assert ask("DELETE", path, key=stranger).status_code == 404
    gone = ask("DELETE", "/v1/models/gpt2-mine", key=key).json()
    assert gone == {"id": "gpt2-mine", "object": "model", "deleted": True}
    assert kept_bytes(ask.database, name) == 0
    assert not run_of(row.result).exists()
    assert ask("DELETE", "/v1/models/gpt2-mine", key=key).status_code == 404


def test_a_tuning_whose_job_is_forgotten_can_be_deleted(ask: Asker) -> None:
    key, name = keyed(ask)
    held = Tunings(database=ask.database, queue=ask.app.state.place.queue)
    row = held.open(
        {"id": "ftjob-" + "1" * 24, "project": "", "person": "mei", "created_at": 0.0,
         "model": "gpt2", "result": "gpt2-lost", "training_file": "file-0",
         "status": "validating_files",
         "asked": {"hyperparameters": {}, "seed": 0, "kind": "full"}},
        name,
    )  # fmt: skip
    assert ask("DELETE", "/v1/models/gpt2-lost", key=key).status_code == 409
    job = ask.app.state.place.queue.submit(Submission(kind="train", request={}))
    assert held.queued(row, job.id, {})
    assert ask("DELETE", "/v1/models/gpt2-lost", key=key).status_code == 409
    written(run_of(row.result) / "bundle" / "weights", 300)
    ended(ask, job.id, "done")
    ask.app.state.place.queue.clean(("done",), -1.0)
    assert kept_bytes(ask.database, name) == 300
    found = held.of_job(job.id)  # by which the studio credits what it discards
    assert found is not None
    assert found.id == row.id
    assert ask("DELETE", "/v1/models/gpt2-lost", key=key).status_code == 200
    assert kept_bytes(ask.database, name) == 0


def test_what_vanishes_while_it_is_measured_is_passed_over(tmp_path: Path) -> None:
    written(tmp_path / "kept" / "a", 10)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(20):
                written(tmp_path / f"step_{number}" / "b" / "c", 1)
            for number in range(20):
                shutil.rmtree(tmp_path / f"step_{number}")

    other = threading.Thread(target=churn)
    other.start()
    try:
        sizes = [folder_bytes(tmp_path) for _ in range(2000)]
    finally:
        stop.set()
        other.join()
    assert min(sizes) >= 10
    assert folder_bytes(tmp_path) == 10


def test_requests_of_a_day_end(ask: Asker) -> None:
    key, name = keyed(ask, requests_a_day=3)
    for _ in range(2):
        upload(ask, key, 1)
    assert ask("GET", "/v1/files", key=key).status_code == 200  # looking does not count
    caller = Caller(key=name, person="mei")
    with ask.database.writing() as held:
        spent(held, caller, Meter(requests=1))  # as a line of a batch does
    answer = ask("POST", "/v1/completions", key=key, json=BODY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    [told] = ask("GET", "/v1/keys", key=PRINTED).json()["data"]
    assert told["requests_a_day"] == 3


def test_both_databases_count_alike(url: str, tmp_path: Path) -> None:
    for ask in asking(tmp_path, url=url):
        ask.people.add("mei", "maker", "")
        _, name = keyed(ask, storage_bytes=9, requests_a_day=9)
        row = new_row("", "mei", purpose="vision", filename="a", size=5, kept_s=None)
        with ask.database.writing() as held:
            enter_file(held, row, name)
            spent(held, Caller(key=name), Meter(requests=1, seconds=2.0))
            spent(held, Caller(key=name), Meter(requests=1, seconds=2.0))
        assert kept_bytes(ask.database, name) == 5
        Filing(database=ask.database).delete("", row["id"])
        assert kept_bytes(ask.database, name) == 0
        refuse_beyond(ask.database, Caller(key=name))


def test_files_of_before_are_laid_to_their_persons_oldest_key(url: str) -> None:
    from alembic import command
    from alembic.config import Config

    database = Database.open(url)
    config = Config()
    config.set_main_option("script_location", str(Path(connection.__file__).parent / "migrations"))
    with database.writing() as held:
        config.attributes["connection"] = held
        command.downgrade(config, "feedback_1")
        held.exec_driver_sql("INSERT INTO people (id, name, created_at) VALUES ('p', 'mei', 0)")
        for number, name in enumerate(("older", "newer")):
            held.exec_driver_sql(
                "INSERT INTO keys (id, hash, name, person, project, role, created_at) "
                f"VALUES ('{name}', '', '', 'p', '', 'maker', {number})"
            )
        held.exec_driver_sql("INSERT INTO spendings VALUES ('newer', 1, 2.5, 70)")
        for name, person in (("file-1", "p"), ("file-2", "somebody")):
            held.exec_driver_sql(
                "INSERT INTO files (id, project, person, purpose, filename, bytes, created_at) "
                f"VALUES ('{name}', '', '{person}', 'vision', 'a', 70, 0)"
            )
        held.execute(sa.text(
            "INSERT INTO jobs (id, kind, subject, units, request, project, person, state, asked, "
            "priority, attempts, strikes, created_at, available_at, worker, step, done, total, "
            "furthest, seconds, peak_bytes) VALUES ('job-1', 'create', '', 1, :request, '', '', "
            "'done', '', 0, 1, 0, 0, 0, '', '', 0, 0, 0, 0, 0)"
        ), {"request": '{"private": true, "text": "secret"}'})  # fmt: skip
        command.upgrade(config, "heads")
        assert held.exec_driver_sql("SELECT id, key, bytes FROM stored").all() == [
            ("file-1", "older", 70)
        ]
        assert held.exec_driver_sql("SELECT seconds, requests FROM spendings").all() == [(2.5, 0)]
        assert "secret" not in str(held.execute(sa.select(jobs.c.request)).scalar_one())
    database.close()


def test_a_clearing_goes_on_as_long_as_the_server(ask: Asker) -> None:
    from wenfang.server import unfinished

    cleared = 0

    def forget(self: Filing) -> None:
        nonlocal cleared
        cleared += 1

    async def both() -> None:
        clearing = asyncio.create_task(unfinished._clear(ask.app))
        while cleared < 3:
            await asyncio.sleep(0.01)
        clearing.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Filing, "forget_expired", forget)
        patch.setattr(unfinished, "CLEAR_EVERY_S", 0.01)
        asyncio.run(asyncio.wait_for(both(), 10))
