"""The queue: who may do what, on both databases."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import job_handlers
from postgres import one_database, server_of_tests, url_of_database  # noqa: F401
from wenfang.database import Database
from wenfang.errors import BusyError, JobError, NotFoundError
from wenfang.jobs import Handler, Job, Queue, Submission, Task, estimate
from wenfang.jobs import queue as queue_module
from wenfang.jobs.job import erased

KINDS = ("small",)
SMALL = Submission(kind="small", request={"text": "春江花月夜\u0000"}, subject="small")
GONE = {"type": "JobError", "message": "gone", "exit_code": 29}
OVER = -1.0  # a lease that is over as soon as it begins


@pytest.fixture
def queue(url: str) -> Iterator[Queue]:
    database = Database.open(url)
    yield Queue(database=database)
    database.close()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fault the job waits no time at all, unless a test says otherwise."""
    monkeypatch.setattr(queue_module, "BACKOFF_S", 0.0)


def claim(queue: Queue, worker: str = "a") -> Job:
    job = queue.claim(worker, KINDS)
    assert job is not None
    return job


def strike(queue: Queue, job: Job) -> Job:
    assert queue.fail(job, GONE, 1.0, transient=True)
    return queue.job(job.id)


def states(queue: Queue, job: Job) -> list[str]:
    return [
        str(one.content.get("state", one.content.get("asked")))
        for one in queue.happenings(job)
        if one.kind == "state"
    ]


def test_a_job_comes_back_as_it_was_asked(queue: Queue) -> None:
    asked = replace(SMALL, priority=7, project="p", person="q", key="k", units=3.5)
    job = queue.submit(asked)
    assert queue.job(job.id) == job
    assert (
        Submission(
            kind=job.kind,
            request=job.request,
            subject=job.subject,
            units=job.units,
            priority=job.priority,
            key=job.key,
            project=job.project,
            person=job.person,
        )
        == asked
    )
    assert (job.state, job.attempts, job.ended) == ("queued", 0, False)


def test_a_job_is_claimed_by_one_only(queue: Queue, url: str) -> None:
    wanted = {queue.submit(SMALL).id for _ in range(40)}
    wanted |= {queue.submit(replace(SMALL, kind="count")).id for _ in range(160)}
    command = [sys.executable, job_handlers.__file__, url, "30"]
    others = [
        subprocess.Popen([*command, f"p{number}", "--claim"], stdout=subprocess.PIPE, text=True)
        for number in range(2)
    ]

    def claim_all(name: str) -> list[str]:
        found = []
        while job := queue.claim(name, ("small", "count")):
            assert job.worker == name
            found.append(job.id)
        return found

    with ThreadPoolExecutor(6) as pool:
        claimed = [one for part in pool.map(claim_all, map(str, range(6))) for one in part]
    for other in others:
        claimed += other.communicate(timeout=60)[0].split()
        assert other.returncode == 0
    assert len(claimed) == 200
    assert set(claimed) == wanted


def test_the_more_urgent_job_is_claimed_first_and_of_equals_the_older(queue: Queue) -> None:
    ids = [queue.submit(replace(SMALL, priority=one)).id for one in (0, 5, 0, -3, 5)]
    claimed = [claim(queue).id for _ in ids]
    assert claimed == [ids[place] for place in (1, 4, 0, 2, 3)]
    assert queue.submit(replace(SMALL, priority=10**9)).priority == queue_module.PRIORITY_MOST


def test_a_worker_claims_only_the_kinds_that_it_knows(queue: Queue) -> None:
    queue.submit(replace(SMALL, kind="other"))
    assert queue.claim("a", KINDS) is None
    assert queue.claim("a", ()) is None


def test_a_key_makes_one_job_of_two(queue: Queue) -> None:
    keyed = replace(SMALL, key="once")
    with ThreadPoolExecutor(4) as pool:
        made = {job.id for job in pool.map(queue.submit, [keyed] * 12)}
    assert len(made) == 1
    assert queue.counts() == {"queued": 1}
    assert queue.submit(replace(SMALL, key="twice")).id not in made
    assert queue.submit(SMALL).id != queue.submit(SMALL).id


@pytest.mark.parametrize(
    "late",
    [
        lambda queue, job: queue.finish(job, {"by": "a"}, 1.0, 1),
        lambda queue, job: queue.fail(job, GONE, 1.0),
        lambda queue, job: queue.fail(job, GONE, 1.0, transient=True),
        lambda queue, job: queue.stopped(job, 1.0),
        lambda queue, job: queue.progress(job, "step", 1, 2, {}),
        lambda queue, job: queue.tell(job, "word", {}),
        lambda queue, job: queue.renew(job) is not None,
    ],
    ids=["finish", "fail", "strike", "stop", "progress", "tell", "renew"],
)
def test_who_lost_the_lease_can_no_longer_change_the_job(
    queue: Queue, late: Callable[[Queue, Job], bool]
) -> None:
    queue.submit(SMALL)
    first = claim(replace(queue, lease_s=OVER))
    second = claim(queue, "b")
    assert (second.id, second.attempts, second.strikes) == (first.id, 2, 1)
    told = len(queue.happenings(first))
    assert late(queue, first) is False
    assert queue.job(first.id) == second
    assert len(queue.happenings(first)) == told
    assert queue.finish(second, {"by": "b"}, 1.0, 1)
    assert late(queue, first) is False
    assert queue.job(first.id).result == {"by": "b"}


def test_the_same_worker_with_the_job_again_is_not_its_former_self(queue: Queue) -> None:
    queue.submit(SMALL)
    first = claim(replace(queue, lease_s=OVER))
    again = claim(queue)
    assert again.worker == first.worker
    assert not queue.finish(first, {"by": 1}, 1.0, 1)
    assert queue.finish(again, {"by": 2}, 1.0, 1)


def test_a_renewed_lease_stays(queue: Queue) -> None:
    short = replace(queue, lease_s=OVER)
    queue.submit(SMALL)
    job = claim(short)
    assert queue.renew(job) == ""
    assert short.claim("b", KINDS) is None
    assert queue.finish(job, {}, 1.0, 1)


def test_finished_twice_is_said_twice_and_kept_once(queue: Queue) -> None:
    job = queue.submit(SMALL)
    held = claim(queue)
    assert queue.finish(held, {"a": 1}, 2.0, 10)
    assert queue.finish(held, {"a": 1}, 2.0, 10)
    assert not queue.fail(held, GONE, 1.0)
    kept = queue.job(job.id)
    assert (kept.state, kept.result, kept.seconds, kept.peak_bytes) == ("done", {"a": 1}, 2.0, 10)
    assert states(queue, job) == ["queued", "running", "done"]
    assert kept.finished_at is not None
    assert kept.lease_until is None


def test_after_five_faults_a_job_is_given_up_and_can_be_tried_again(queue: Queue) -> None:
    job = queue.submit(SMALL)
    for number in range(1, 5):
        assert strike(queue, claim(queue)).state == "queued"
        assert queue.job(job.id).strikes == number
    dead = strike(queue, claim(queue))
    assert (dead.state, dead.ended, dead.error) == ("dead", True, GONE)
    assert queue.claim("a", KINDS) is None
    again = queue.ask(job.id, "retry")
    assert (again.state, again.strikes, again.error, again.finished_at) == ("queued", 0, None, None)
    assert claim(queue).attempts == 6


def test_silence_is_a_fault_too(queue: Queue) -> None:
    job = queue.submit(SMALL)
    silent = replace(queue, lease_s=OVER)
    for _ in range(5):
        claim(silent)
    assert silent.claim("a", KINDS) is None
    dead = queue.job(job.id)
    assert dead.state == "dead"
    assert dead.error
    assert "fell silent" in dead.error["message"]


def test_pauses_between_attempts_double(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "BACKOFF_S", 100.0)
    job = queue.submit(SMALL)
    waits = []
    for _ in range(4):
        held = claim(queue)
        before = held.lease_until or 0.0
        waits.append(strike(queue, held).available_at - before + queue.lease_s)
        assert queue.claim("a", KINDS) is None
        queue.ask(job.id, "pause")
        with queue.database.writing() as connection:  # it is later now
            connection.exec_driver_sql("UPDATE jobs SET available_at = 0, state = 'queued'")
    assert waits == pytest.approx([100, 200, 400, 600], abs=5)


def test_progress_forgives_faults_and_the_same_progress_again_does_not(queue: Queue) -> None:
    job = queue.submit(SMALL)
    for _ in range(3):
        strike(queue, claim(queue))
    held = claim(queue)
    assert queue.progress(held, "training", 50, 100, {"loss": 1.5})
    assert queue.job(job.id).strikes == 0
    strike(queue, held)
    for expected in (2, 3):
        held = claim(queue)
        assert queue.progress(held, "training", 50, 100, {})
        strike(queue, held)
        assert queue.job(job.id).strikes == expected
    told = [one.content for one in queue.happenings(job) if one.kind == "progress"]
    assert told[0] == {"step": "training", "done": 50, "of": 100, "loss": 1.5}


def test_a_fault_of_the_request_ends_the_job_at_once(queue: Queue) -> None:
    job = queue.submit(SMALL)
    held = claim(queue)
    assert queue.fail(held, GONE, 1.5, 7)
    failed = queue.job(job.id)
    assert (failed.state, failed.error, failed.seconds, failed.peak_bytes) == (
        "failed",
        GONE,
        1.5,
        7,
    )
    assert queue.happenings(job)[-1].content == {"state": "failed", "error": GONE}


SECRET = {"text": "a letter to nobody else", "private": True}


def _done(queue: Queue, job: Job) -> None:
    assert queue.finish(claim(queue), {}, 1.0, 1)


def _failed(queue: Queue, job: Job) -> None:
    assert queue.fail(claim(queue), {"message": "x"}, 1.0)


def _dead(queue: Queue, job: Job) -> None:
    for _ in range(5):
        strike(queue, claim(queue))


def _dead_of_silence(queue: Queue, job: Job) -> None:
    silent = replace(queue, lease_s=-1.0)
    for _ in range(5):
        claim(silent)
    assert silent.claim("b", KINDS) is None


def _cancelled(queue: Queue, job: Job) -> None:
    assert not queue.ask(job.id, "cancel").request.get("text")


def _cancelled_while_it_runs(queue: Queue, job: Job) -> None:
    running = claim(queue)
    assert queue.ask(job.id, "cancel").request == SECRET
    assert queue.stopped(running, 1.0)


@pytest.mark.parametrize(
    "end", [_done, _failed, _dead, _dead_of_silence, _cancelled, _cancelled_while_it_runs]
)
def test_what_a_private_job_was_asked_is_erased_when_it_ends(
    queue: Queue, end: Callable[[Queue, Job], None]
) -> None:
    job = queue.submit(Submission(kind="small", request=SECRET))
    open_one = queue.submit(Submission(kind="b", request={"text": "for all"}))
    end(queue, job)
    found = queue.job(job.id)
    assert found.ended
    assert found.request == erased(SECRET)
    assert "letter" not in str(found.record())
    if found.state != "done":
        with pytest.raises(JobError, match="was private"):
            queue.ask(job.id, "retry")
    queue.ask(open_one.id, "cancel")
    assert queue.ask(open_one.id, "retry").request == {"text": "for all"}


def test_a_private_job_keeps_its_request_while_it_may_go_on(queue: Queue) -> None:
    job = queue.submit(Submission(kind="small", request=SECRET))
    strike(queue, claim(queue))
    assert queue.job(job.id).request == SECRET
    assert queue.stopped(claim(queue), 1.0)
    queue.ask(job.id, "pause")
    assert queue.ask(job.id, "resume").request == SECRET
    assert claim(queue).request == SECRET


def test_what_waits_is_cancelled_or_paused_at_once(queue: Queue) -> None:
    first, second = queue.submit(SMALL), queue.submit(SMALL)
    assert queue.ask(first.id, "cancel").state == "cancelled"
    assert queue.ask(second.id, "pause").state == "paused"
    assert queue.claim("a", KINDS) is None
    assert queue.ask(second.id, "resume").state == "queued"
    assert claim(queue).id == second.id
    assert queue.ask(first.id, "retry").state == "queued"


@pytest.mark.parametrize(("wish", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_what_runs_hears_the_wish_and_stops(queue: Queue, wish: str, state: str) -> None:
    job = queue.submit(SMALL)
    held = claim(queue)
    assert queue.renew(held) == ""
    asked = queue.ask(job.id, wish)
    assert (asked.state, asked.asked) == ("running", wish)
    assert queue.renew(held) == wish
    assert queue.stopped(held, 1.0, 5)
    ended = queue.job(job.id)
    assert (ended.state, ended.asked, ended.strikes) == (state, "", 0)
    assert (ended.finished_at is not None) == (state == "cancelled")
    assert states(queue, job)[-2:] == [wish, state]


@pytest.mark.parametrize(("wish", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_wish_outlives_the_worker(queue: Queue, wish: str, state: str) -> None:
    job = queue.submit(SMALL)
    held = claim(queue)
    queue.ask(job.id, wish)
    stopped = strike(queue, held)
    assert (stopped.state, stopped.asked) == (state, "")
    assert queue.claim("b", KINDS) is None


def test_a_wish_about_a_worker_that_is_gone_is_granted_at_once(queue: Queue) -> None:
    job = queue.submit(SMALL)
    claim(replace(queue, lease_s=OVER))
    assert queue.ask(job.id, "cancel").state == "cancelled"


def test_what_stops_without_a_wish_goes_on_at_once_and_without_a_fault(queue: Queue) -> None:
    job = queue.submit(SMALL)
    assert queue.stopped(claim(queue), 2.0)
    waiting = queue.job(job.id)
    assert (waiting.state, waiting.strikes, waiting.seconds) == ("queued", 0, 2.0)
    assert claim(queue, "b").attempts == 2


def test_what_finished_before_it_heard_the_wish_is_done(queue: Queue) -> None:
    job = queue.submit(SMALL)
    held = claim(queue)
    queue.ask(job.id, "cancel")
    assert queue.finish(held, {}, 1.0, 1)
    assert (queue.job(job.id).state, queue.job(job.id).asked) == ("done", "")


def test_a_wish_that_cannot_be_is_refused_with_the_state(queue: Queue) -> None:
    job = queue.submit(SMALL)
    for wish in ("resume", "retry"):
        with pytest.raises(JobError, match=f"{job.id} is queued; it cannot be asked to {wish}"):
            queue.ask(job.id, wish)
    queue.finish(claim(queue), {}, 1.0, 1)
    for wish in ("cancel", "pause", "resume", "retry"):
        with pytest.raises(JobError, match="is done"):
            queue.ask(job.id, wish)


def test_a_job_answers_to_the_beginning_of_its_id(queue: Queue) -> None:
    job = queue.submit(SMALL)
    for name in (job.id, job.id[4:], job.id[:12], job.id[4:9]):
        assert queue.job(name).id == job.id
    for name in ("", "job-", "%", "j", "job-xyz", job.id + "0", "\u0000", "'"):
        with pytest.raises(NotFoundError, match="there is no job"):
            queue.job(name)
    for _ in range(17):
        queue.submit(SMALL)
    ids = [one.id for one in queue.jobs()]
    shared = next(letter for letter, n in Counter(one[4] for one in ids).items() if n > 1)
    with pytest.raises(NotFoundError, match="or more than one"):
        queue.job(shared)


def test_jobs_are_listed_newest_first_in_pages_and_by_what_they_are(queue: Queue) -> None:
    made = [
        queue.submit(replace(SMALL, kind=f"k{number % 2}", project="ab"[number % 2]))
        for number in range(7)
    ]
    newest = [job.id for job in reversed(made)]
    page, before = [], None
    while found := queue.jobs(limit=3, before=before):
        page += [job.id for job in found]
        before = found[-1]
    assert page == newest
    assert [job.id for job in queue.jobs(kinds=("k1",))] == newest[1::2]
    assert [job.id for job in queue.jobs(project="a")] == newest[::2]
    queue.ask(made[0].id, "cancel")
    assert [job.id for job in queue.jobs(states=("cancelled",))] == [made[0].id]
    assert queue.counts() == {"queued": 6, "cancelled": 1}


def test_events_come_in_the_order_in_which_they_were_told(queue: Queue) -> None:
    job, other = queue.submit(SMALL), queue.submit(SMALL)
    held = claim(queue)

    def tell(number: int) -> bool:
        return queue.tell(held, "word", {"number": number})

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(tell, range(40)))
    queue.finish(held, {}, 1.0, 1)
    told = queue.happenings(job)
    ids = [one.id for one in told]
    assert ids == sorted(set(ids))
    assert [one.kind for one in told] == ["state", "state", *["word"] * 40, "state"]
    assert sorted(one.content["number"] for one in told[2:-1]) == list(range(40))
    assert queue.happenings(job, after=ids[10], limit=5) == told[11:16]
    assert len(queue.happenings(other)) == 1


def test_an_estimate_is_what_like_jobs_took_by_their_units(queue: Queue) -> None:
    asked = replace(SMALL, units=10.0)
    assert estimate(queue, asked) is None
    for seconds, units, peak in ((2.0, 1.0, 100), (12.0, 4.0, 300), (4.0, 1.0, 200)):
        queue.submit(replace(SMALL, units=units))
        assert queue.finish(claim(queue), {}, seconds, peak)
    found = estimate(queue, asked)
    assert found
    assert (found.seconds, found.least_s, found.most_s) == (30.0, 20.0, 40.0)
    assert (found.peak_bytes, found.learnt_from) == (300, 3)
    assert estimate(queue, replace(asked, subject="other")) is None
    queue.submit(SMALL)
    queue.fail(claim(queue), GONE, 1000.0)
    assert estimate(queue, asked) == found


def test_an_estimate_learns_from_retried_jobs_only_where_there_are_no_others(queue: Queue) -> None:
    queue.submit(SMALL)
    strike(queue, claim(queue))
    queue.finish(claim(queue), {}, 8.0, 1)
    found = estimate(queue, SMALL)
    assert found
    assert found.seconds == 9.0  # one of them in vain
    queue.submit(SMALL)
    queue.finish(claim(queue), {}, 8.0, 1)
    found = estimate(queue, SMALL)
    assert found
    assert (found.seconds, found.learnt_from) == (8.0, 1)


def test_ended_jobs_are_forgotten_with_what_they_told(queue: Queue) -> None:
    done, failed, waiting = (queue.submit(SMALL) for _ in range(3))
    queue.finish(claim(queue), {}, 1.0, 1)
    queue.fail(claim(queue), GONE, 1.0)
    assert queue.clean(("done", "failed"), older_s=60.0) == 0
    assert queue.clean(("done", "queued"), older_s=OVER) == 1
    assert {job.id for job in queue.jobs()} == {failed.id, waiting.id}
    with queue.database.reading() as connection:
        left = connection.exec_driver_sql("SELECT DISTINCT job FROM job_events").scalars().all()
    assert set(left) == {failed.id, waiting.id}
    with pytest.raises(NotFoundError):
        queue.job(done.id)


def test_a_device_has_one_owner(queue: Queue) -> None:
    with ThreadPoolExecutor(8) as pool:
        owned = list(pool.map(lambda name: queue.own("m/cuda:0", name), "abcdefgh"))
    assert owned.count(True) == 1
    owner = "abcdefgh"[owned.index(True)]
    assert queue.owners() == {"m/cuda:0": owner}
    assert queue.own("m/cuda:0", owner)
    assert queue.own("m/cuda:1", "other")
    queue.disown("m/cuda:0", "nobody")
    assert not queue.own("m/cuda:0", "other")
    queue.disown("m/cuda:0", owner)
    assert queue.own("m/cuda:0", "other")


def test_the_device_of_a_silent_owner_is_free(queue: Queue) -> None:
    assert replace(queue, lease_s=OVER).own("m/cpu:0", "gone")
    assert queue.owners() == {}
    assert queue.own("m/cpu:0", "next")
    assert not queue.own("m/cpu:0", "gone")


def test_reports_are_thinned_and_a_lost_lease_ends_the_attempt(
    queue: Queue, tmp_path: Path
) -> None:
    queue.submit(SMALL)
    held = claim(queue)
    task = Task(job=held, queue=queue, folder=tmp_path)
    for number in range(100):
        task.report("one", number, 100)
    task.report("two", 1, 2)
    task.report("two", 2, 2)
    told = [one.content["step"] for one in queue.happenings(held) if one.kind == "progress"]
    assert told == ["one", "two", "two"]
    queue.stopped(held, 1.0)
    with pytest.raises(KeyboardInterrupt):
        task.report("two", 2, 2)
    with pytest.raises(KeyboardInterrupt):
        task.tell("word")


def test_a_handler_refuses_what_is_no_request() -> None:
    handler: Handler = job_handlers.HANDLERS["count"]
    asked: Any = handler.read({"steps": 3}, "job")
    assert asked.steps == 3
    from wenfang.errors import ConfigError

    with pytest.raises(ConfigError, match="did you mean steps"):
        handler.read({"step": 3}, "job")


def test_errors_that_pass_are_those_that_a_person_mends_without_the_job() -> None:
    from wenfang.jobs.handler import TRANSIENT

    assert BusyError in TRANSIENT
    assert NotFoundError not in TRANSIENT
