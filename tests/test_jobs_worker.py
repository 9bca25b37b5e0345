"""Workers and their hands: what comes of jobs, and of those who are killed while they do them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import job_handlers
from postgres import Server, one_database, server_of_tests, url_of_database  # noqa: F401
from wenfang.database import Database
from wenfang.engine.queueing import watch
from wenfang.errors import BusyError, DatabaseError
from wenfang.jobs import Job, Queue, Submission, Worker
from wenfang.jobs.hand import visible_gpus
from wenfang.jobs.handler import GIVEN
from wenfang.store import home

LEASE_S = 30.0
SHORT_S = 2.0  # a lease that a test waits for the end of
WAIT_S = 120.0
ONLY_SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


@pytest.fixture
def queue(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    monkeypatch.setenv("PYTHONPATH", job_handlers.FOLDER)
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path / "home"))
    database = Database.open(url)
    yield Queue(database=database, lease_s=LEASE_S)
    database.close()


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a worker as a program of its own; it is gone after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def run(
        *words: object, device: str = "cpu:0", lease_s: float = LEASE_S
    ) -> subprocess.Popen[bytes]:
        started.append(job_handlers.start(url, tmp_path / "home", lease_s, device, *words))
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.wait()


def submit(queue: Queue, kind: str = "count", **asked: Any) -> Job:
    return queue.submit(Submission(kind=kind, request=asked, subject="small", units=1.0))


def drain(queue: Queue, **about: Any) -> int:
    """Work in this process until nothing is left."""
    kinds = job_handlers.KINDS
    worker = Worker(queue=queue, handlers=job_handlers.TABLE, kinds=kinds, grace_s=1.0, **about)
    return worker.run(until_empty=True)


def until(what: Callable[[], Any]) -> Any:
    """The first answer that is true."""
    end = time.monotonic() + WAIT_S
    while not (answer := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.03)
    return answer


def steps_of(tmp_path: Path, job: Job) -> list[int]:
    """By which attempt each step was done."""
    path = tmp_path / "home" / "jobs" / job.id / "steps"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def is_quiet(tmp_path: Path, job: Job) -> bool:
    """Whether nobody does a step of it for a while."""
    before = steps_of(tmp_path, job)
    time.sleep(0.5)
    return steps_of(tmp_path, job) == before


def hand_of(worker: subprocess.Popen[bytes]) -> int:
    """The process that does the work of a worker."""
    found = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    assert len(found) == 1
    return int(found[0])


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_every_way_in_which_a_job_ends(queue: Queue, tmp_path: Path) -> None:
    kinds = ("count", "refuse", "meet", "stumble", "object", "nan", "look", "leave")
    made = {kind: submit(queue, kind) for kind in kinds}
    large, small = submit(queue, "remember", steps=300), submit(queue, "remember", steps=1)
    malformed = submit(queue, "count", step=1)
    heard: list[tuple[str, str]] = []
    drain(queue, on_job=lambda job: heard.append((job.kind, job.state)))
    jobs = {kind: queue.job(job.id) for kind, job in made.items()}

    assert {kind: job.state for kind, job in jobs.items()} == {
        "count": "done",
        "refuse": "failed",
        "meet": "dead",
        "stumble": "failed",
        "object": "failed",
        "nan": "failed",
        "leave": "done",
        "look": "done",
    }
    assert jobs["count"].result == {"steps": 1}
    assert jobs["refuse"].error == {
        "type": "BriefError",
        "message": "this cannot be made",
        "exit_code": 11,
    }
    assert (jobs["meet"].attempts, jobs["refuse"].attempts) == (5, 1)
    told = {kind: str((job.error or {}).get("message")) for kind, job in jobs.items()}
    assert told["meet"] == "it is in use"
    assert told["stumble"].startswith("ValueError: a bug on two lines (job_handlers.py:")
    assert "TypeError: Object of type object is not JSON serializable (" in told["object"]
    assert "ValueError: Out of range float values are not JSON compliant (" in told["nan"]
    assert "exit code 7" in queue.happenings(made["leave"])[2].content["error"]["message"]
    refused = queue.job(malformed.id).error or {}
    assert (refused["type"], "did you mean steps" in refused["message"]) == ("ConfigError", True)
    looked = dict(jobs["look"].result or {})
    assert looked["gpus"] == ""
    assert looked["folder"] == job_handlers.FOLDER  # never the folder that the worker stands in
    assert heard[:2] == [("count", "running"), ("count", "done")]
    assert queue.owners() == {}
    first, second = queue.job(large.id), queue.job(small.id)
    assert (first.result or {})["process"] == (second.result or {})["process"]
    assert first.peak_bytes > second.peak_bytes + 200 * 2**20
    assert first.seconds > 0


def test_a_hand_that_is_killed_is_replaced_and_the_job_goes_on(
    queue: Queue, tmp_path: Path
) -> None:
    job = submit(queue, steps=4, deadly=[1])
    other = submit(queue)
    drain(queue)
    done = queue.job(job.id)
    assert (done.state, done.attempts, done.result) == ("done", 2, {"steps": 4})
    assert steps_of(tmp_path, job) == [1, 2, 2, 2]
    assert queue.job(other.id).state == "done"
    errors = [one.content["error"]["message"] for one in queue.happenings(job)
              if "error" in one.content]  # fmt: skip
    assert len(errors) == 1
    assert "signal 9" in errors[0]


def test_a_worker_that_is_killed_takes_its_hand_along_and_another_goes_on(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    job = submit(queue, steps=60, step_s=0.05)
    first = start()
    until(lambda: len(steps_of(tmp_path, job)) >= 3)
    hand = hand_of(first)
    first.kill()
    first.wait()
    second = start("--drain", device="cpu:1")
    until(lambda: not alive(hand))
    done = until(lambda: (found := queue.job(job.id)).ended and found)
    assert second.wait(WAIT_S) == 0
    assert (done.state, done.attempts, done.result) == ("done", 2, {"steps": 60})
    by = steps_of(tmp_path, job)
    assert by == sorted(by)  # never two at once
    assert set(by) == {1, 2}


@ONLY_SQLITE
def test_a_hand_that_hears_nothing_is_gone_before_its_lease_is_over(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    job = submit(queue, "deaf")
    first = start(lease_s=2 * SHORT_S)
    until(lambda: queue.job(job.id).step == "deaf")
    hand = hand_of(first)
    first.kill()
    first.wait()
    claimed = until(lambda: queue.claim("next", job_handlers.KINDS))
    assert not alive(hand)
    assert claimed.strikes == 1


@ONLY_SQLITE
def test_sigterm_stops_the_job_at_a_safe_point_without_a_fault(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    job = submit(queue, steps=1000, step_s=0.02)
    worker = start()
    until(lambda: len(steps_of(tmp_path, job)) >= 3)
    worker.terminate()
    assert worker.wait(WAIT_S) == 0
    waiting = queue.job(job.id)
    assert (waiting.state, waiting.strikes, waiting.attempts) == ("queued", 0, 1)
    assert queue.owners() == {}
    assert queue.claim("next", job_handlers.KINDS) is not None


@ONLY_SQLITE
def test_sigterm_before_the_job_has_begun_is_no_fault(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    job = submit(queue, steps=1000, step_s=0.02)
    worker = start()
    until(lambda: queue.job(job.id).state == "running")
    worker.terminate()
    assert worker.wait(WAIT_S) == 0
    waiting = queue.job(job.id)
    assert (waiting.state, waiting.strikes) == ("queued", 0)


@ONLY_SQLITE
def test_running_jobs_stop_as_is_wished_and_the_worker_goes_on(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    first = submit(queue, steps=1000, step_s=0.02)
    broken, deaf, last = (submit(queue, kind) for kind in ("break_import", "deaf", "look"))
    worker = start("--drain")
    until(lambda: len(steps_of(tmp_path, first)) >= 2)
    queue.ask(first.id, "pause")
    # What looks like a fault is none, and half an import stays in no hand that goes on.
    until(lambda: queue.job(broken.id).step == "importing")
    queue.ask(broken.id, "cancel")
    # What hears nothing is cut off after a while.
    until(lambda: queue.job(deaf.id).step == "deaf")
    queue.ask(deaf.id, "cancel")
    assert worker.wait(WAIT_S) == 0
    ended = [queue.job(job.id) for job in (first, broken, deaf, last)]
    assert [job.state for job in ended] == ["paused", "cancelled", "cancelled", "done"]
    assert [(job.strikes, job.attempts, job.error) for job in ended] == [(0, 1, None)] * 4


@ONLY_SQLITE
def test_a_stalled_worker_loses_the_job_and_its_hand_stops(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    job = submit(queue, steps=1000, step_s=0.02)
    worker = start(lease_s=SHORT_S)
    until(lambda: len(steps_of(tmp_path, job)) >= 2)
    worker.send_signal(signal.SIGSTOP)
    taken = until(lambda: queue.claim("next", job_handlers.KINDS))
    until(lambda: is_quiet(tmp_path, job))
    worker.send_signal(signal.SIGCONT)
    worker.terminate()
    assert worker.wait(WAIT_S) == 0
    held = queue.job(job.id)
    assert (held.state, held.worker) == ("running", "next")
    assert queue.finish(taken, {"by": "next"}, 1.0, 1)


@ONLY_SQLITE
def test_a_worker_that_follows_ends_with_its_parent(queue: Queue, url: str, tmp_path: Path) -> None:
    code = (
        "import os, sys, time, job_handlers; from pathlib import Path; "
        "worker = job_handlers.start(sys.argv[1], Path(sys.argv[2]), 2, 'cpu:0', "
        "'--follow', os.getpid()); print(worker.pid, flush=True); time.sleep(60)"
    )
    home = tmp_path / "home"
    parent = subprocess.Popen(
        [sys.executable, "-c", code, url, str(home)],
        env=job_handlers.environment(home),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    worker = int(parent.stdout.readline())
    until(lambda: queue.owners())
    parent.kill()
    parent.communicate()
    until(lambda: not alive(worker))
    assert queue.owners() == {}


@ONLY_SQLITE
def test_a_device_has_one_worker(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    first = start(lease_s=SHORT_S)
    until(lambda: queue.owners())
    with pytest.raises(BusyError, match="a worker owns cpu:0 already"):
        drain(queue, device="cpu:0")
    assert drain(queue, devices=("cpu:0", "cpu:1")) == 0
    first.kill()
    first.wait()
    assert drain(queue, device="cpu:0") == 0  # it waits until the lease is over


def test_a_gpus_owner_sees_that_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [visible_gpus(name) for name in ("cpu:3", "cuda:0", "cuda:1")] == ["", "0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert [visible_gpus(name) for name in ("cpu:0", "cuda:0", "cuda:1")] == ["", "4", "6"]


@ONLY_SQLITE
def test_watching_tells_everything_in_order_and_ends_with_the_job(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    job = submit(queue, steps=20, step_s=0.02)
    start("--drain")
    told = list(watch(queue, job, lambda: time.sleep(0.02)))
    assert told == queue.happenings(job)
    assert [one.content["number"] for one in told if one.kind == "step"] == list(range(1, 21))
    assert [one.content.get("state") for one in told if one.kind == "state"] == [
        "queued",
        "running",
        "done",
    ]


@ONLY_SQLITE
def test_watching_outlives_a_database_that_is_away(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit(queue)
    away = 0

    def happenings(self: Queue, *arguments: Any, **named: Any) -> Any:
        nonlocal away
        away += 1
        if away in (2, 3):
            raise DatabaseError("away")
        return real(self, *arguments, **named)

    real = Queue.happenings
    monkeypatch.setattr(Queue, "happenings", happenings)
    held = queue.claim("a", job_handlers.KINDS)
    assert held
    pauses = 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 4:
            queue.finish(held, {}, 1.0, 1)

    told = [one.content["state"] for one in watch(queue, job, pause)]
    assert told == ["queued", "running", "done"]
    monkeypatch.setattr("wenfang.engine.queueing.PATIENCE_S", -1.0)
    away = 1
    with pytest.raises(DatabaseError):
        list(watch(queue, job, lambda: None))


def test_worker_and_hand_outlive_a_database_that_is_killed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, home = server.new_database(), tmp_path / "home"
    monkeypatch.setenv("WENFANG_HOME", str(home))
    database = Database.open(url)
    queue = Queue(database=database)
    running, last = submit(queue, steps=60, step_s=0.02), submit(queue)
    worker = job_handlers.start(url, home, 30, "cpu:0", "--drain")
    until(lambda: len(steps_of(tmp_path, running)) >= 2)
    server.kill()
    until(lambda: len(steps_of(tmp_path, running)) == 60)
    time.sleep(0.5)  # the hand has finished, and asks in vain
    server.start()
    assert worker.wait(WAIT_S) == 0
    for job in (running, last):
        done = queue.job(job.id)
        assert (done.state, done.attempts, done.strikes) == ("done", 1, 0)
    assert steps_of(tmp_path, running) == [1] * 60
    database.close()


@ONLY_SQLITE
def test_two_workers_share_the_work(
    queue: Queue, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    jobs = [submit(queue, steps=1, step_s=0.2) for _ in range(24)]
    workers = [start("--drain", device=f"cpu:{number}") for number in range(2)]
    assert [worker.wait(WAIT_S) for worker in workers] == [0, 0]
    done = [queue.job(job.id) for job in jobs]
    assert {(job.state, job.attempts) for job in done} == {("done", 1)}
    assert len({job.worker for job in done}) == 2
    assert os.environ.get("CUDA_VISIBLE_DEVICES") is None


@pytest.mark.slow
def test_a_tenth_of_the_benchmark_of_kills_loses_nothing() -> None:
    script = Path(__file__).resolve().parents[1] / "benchmarks" / "jobs_kill.py"
    words = ["--jobs", "20", "--kills", "2", "--seed", "2", "--light", "--json"]
    done = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["states"] == {"done": 20}
    assert sum(found["kills"].values()) == 2
    assert found["attempts"].keys() - {"1"}  # some were really interrupted


@ONLY_SQLITE
def test_what_told_of_private_jobs_goes_when_a_worker_starts(queue: Queue) -> None:
    private = submit(queue, private=True)
    queue.ask(private.id, "cancel")
    waiting = submit(queue, private=True)
    queue.ask(waiting.id, "pause")
    places = [home() / "jobs" / one.id / GIVEN for one in (private, waiting)]
    for place in places:
        place.mkdir(parents=True)
        (place / "brief.json").write_text("{}", "utf-8")
    assert drain(queue) == 0
    assert [place.exists() for place in places] == [False, True]
