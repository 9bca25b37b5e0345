"""`wenfang … --job` and `wenfang jobs …`: what is queued, done, shown, and refused."""

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

import wenfang.jobs.worker
from conftest import BRIEF, Call
from wenfang.engine.queueing import open_queue, submit, work
from wenfang.errors import BriefError, ConfigError, JobError, NotFoundError, UsageError
from wenfang.jobs import Job, Queue
from wenfang.language import speaking

Write = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[1]
TINY = (
    "model.width=16", "model.layers=1", "model.heads=2", "model.kv_heads=2",
    "model.hidden_width=32", "train.steps=300", "train.batch_size=2", "train.checkpoint_every=10",
    "train.evaluate_every=300", "train.log_every=1", "threads=1",
)  # fmt: skip
STEPS = 300
WAIT_S = 300.0
ERROR = {"type": "BriefError", "message": "no", "exit_code": 11}


@pytest.fixture(autouse=True)
def _own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WENFANG_DATABASE_URL", raising=False)
    monkeypatch.setattr(wenfang.jobs.worker, "POLL_S", 0.05)


@pytest.fixture
def queue(home: Path) -> Iterator[Queue]:
    found = open_queue()
    yield found
    found.database.close()


def queued(call: Call, *arguments: object) -> str:
    """The id of the job that a command line makes."""
    outcome = call(*arguments, "--job", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["job"]["state"] == "queued"
    assert outcome.json["workers"] == 0
    return str(outcome.json["job"]["id"])


def sample(name: str = "note.txt") -> Path:
    path = Path(name)
    path.write_text("A quiet evening by the river.\n" * 3)
    return path


@pytest.mark.slow
def test_every_long_verb_becomes_a_job_and_is_done(
    call: Call, brief: Write, workshop: Path, queue: Queue, tmp_path: Path
) -> None:
    run, poems = Path("run"), workshop / "poems.jsonl"
    made = {
        "create": queued(call, "create", brief(), "-o", "card"),
        "generate": queued(call, "generate", "verse", "春", "-n", 2, "-o", "drawn"),
        "train": queued(
            call, "train", "verse", "--data", workshop / "dataset", "-o", run,
            *(word for one in TINY for word in ("--set", one)), "--set", "train.steps=2",
        ),
        "prepare": queued(
            call, "prepare", poems, "-o", "set", "--profile", "verse", "--text-field", "lines",
            "--licence", "CC0-1.0", "--set", "split.key=author",
        ),
        "evaluate": queued(
            call, "evaluate", "verse", "--data", workshop / "dataset",
            "--set", "poems=2", "--set", "ranked_titles=2",
        ),
        "seal": queued(call, "seal", sample(), "--made-with", "Other Maker 3", "-o", "sealed"),
    }  # fmt: skip
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)  # a worker stands where it likes
    assert work(until_empty=True) == len(made)
    here = tmp_path / "here"
    jobs = {kind: queue.job(name) for kind, name in made.items()}
    assert {kind: (job.kind, job.state, job.error) for kind, job in jobs.items()} == {
        kind: (kind, "done", None) for kind in made
    }
    results: dict[str, Any] = {kind: job.result for kind, job in jobs.items()}
    (piece,) = results["create"]["pieces"]
    assert {Path(path).parent for path in piece["files"]} == {here / "card"}
    assert results["create"]["exit_code"] == 0
    assert [Path(one).parent for one in results["generate"]["files"]] == [here / "drawn"] * 2
    assert Path(results["train"]["bundle"]) == here / run / "bundle"
    assert results["prepare"]["folder"] == str(here / "set")
    assert results["evaluate"]["numbers"]
    assert results["seal"]["files"][0]["file"] == str(here / "sealed" / "note.txt")
    for path in ("card", "drawn", "sealed"):
        assert call("verify", here / path).code == 0
    assert all(job.peak_bytes > 10**7 for job in jobs.values())
    assert list(elsewhere.iterdir()) == []

    watched = call("jobs", "watch", made["create"])
    assert (watched.code, watched.out.split()) == (0, piece["files"])
    lines = watched.err.splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("queued", "running", "done")
    shown = call("jobs", "show", made["seal"][4:12], "--json").json
    assert shown["result"] == results["seal"]
    assert [one["kind"] for one in shown["events"]][:2] == ["state", "state"]
    again = call("create", brief(seed=8), "-o", "other", "--job")
    assert "about " in again.out
    assert "by 1 like it" in again.out


@pytest.mark.parametrize(
    ("arguments", "said", "error"),
    [
        (("create", "nothing.json", "-o", "x"), "there is no brief at nothing.json", BriefError),
        (("create", "{brief}", "-o", "x", "--set", "sed=1"), "did you mean seed", BriefError),
        (("create", "{brief}", "-o", "x", "--use", "war"), "war", None),
        (("create", "{brief}", "-o", "x", "--policy", "no.json"), "no.json", None),
        (("create", "{brief}", "-o", "x", "--against", "no"), "is not there", NotFoundError),
        (("generate", "nobody"), "there is no model nobody", NotFoundError),
        (("generate", "verse", "--set", "x=NaN"), "is not JSON", ConfigError),
        (("train", "nothing"), "there is no recipe nothing", NotFoundError),
        (("train", "verse", "--set", "train.stepz=1"), "did you mean steps", ConfigError),
        (("train", "verse", "--from", "nobody"), "there is no model nobody", NotFoundError),
        (("train", "verse", "--data", "nowhere"), "is not there", NotFoundError),
        (("evaluate", "nobody"), "there is no model nobody", NotFoundError),
        (("evaluate", "verse", "--set", "poem=1"), "did you mean poems", ConfigError),
        (("prepare", "nowhere", "-o", "x"), "is not there", NotFoundError),
        (("prepare", "{brief}", "-o", "x", "--profile", "old"), "no profile old", UsageError),
        (("seal", "no.txt", "--made-with", "M", "-o", "x"), "is not there", NotFoundError),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_work_is_refused_before_it_is_queued(
    call: Call, brief: Write, arguments: tuple[str, ...], said: str, error: Any
) -> None:
    words = [str(brief()) if word == "{brief}" else word for word in arguments]
    outcome = call(*words, "--job")
    assert said in outcome.error
    assert outcome.code == error.exit_code if error else outcome.code >= 10
    assert call("jobs", "list", "--json").json == []


def test_a_request_that_is_none_is_refused(queue: Queue) -> None:
    with pytest.raises(NotFoundError, match="no kind of job dance"):
        submit("dance", {}, queue)
    with pytest.raises(ConfigError, match="did you mean text"):
        submit("create", {"txt": json.dumps(BRIEF)}, queue)
    with pytest.raises(ConfigError, match="no seed is given"):
        submit("generate", {"model": "verse", "seeds": [], "settings": {}}, queue)
    assert queue.counts() == {}


def test_a_job_speaks_the_language_of_who_asked_for_it(queue: Queue) -> None:
    path = sample()
    with speaking("zh"):
        job = submit("seal", {"files": [str(path)], "made_with": "Other Maker 3"}, queue).job
    path.unlink()
    assert work(until_empty=True) == 1
    told = queue.job(job.id)
    assert told.state == "failed"
    assert told.error
    assert "不存在" in told.error["message"]


def test_a_worker_for_short_work_leaves_training_to_others(queue: Queue) -> None:
    training = submit("train", {"recipe": "verse"}, queue).job
    request = {"model": "effects", "prompt": "bell", "settings": {}}
    short = submit("generate", {**request, "suffixes": [".mp3", ".wav"]}, queue).job
    seen = []

    def tell(job: Job) -> None:
        seen.append((job.id, job.state))
        if job.state == "done":
            queue.ask(training.id, "cancel")  # now nothing is left

    assert work(short=True, until_empty=True, on_job=tell) == 1
    assert seen == [(short.id, "running"), (short.id, "done")]
    result = queue.job(short.id).result
    assert result
    assert [Path(one).suffix for one in result["files"]] == [".mp3", ".wav"]
    assert all(Path(one).is_file() for one in result["files"])


@pytest.mark.parametrize("suffix", ["mp3", "/../../x.mp3", ".mp3\n", ""])
def test_what_is_no_suffix_is_refused(queue: Queue, suffix: str) -> None:
    asked = {"model": "effects", "prompt": "bell", "settings": {}, "suffixes": [suffix]}
    with pytest.raises(ConfigError, match="is no suffix"):
        submit("generate", asked, queue)


def test_nothing_queued_nothing_done(call: Call) -> None:
    assert "there are no jobs" in call("jobs", "list").out
    assert call("jobs", "list", "--json").json == []
    assert call("jobs", "work", "--drain").out.splitlines()[-1] == "0 jobs were begun"
    assert "Ctrl-C" not in call("jobs", "work", "--drain").out


@pytest.fixture
def waiting(call: Call) -> Job:
    """A job that waits."""
    name = queued(call, "seal", sample(), "--made-with", "Other Maker 3", "-o", "sealed")
    found = open_queue()
    job = found.job(name)
    found.database.close()
    return job


def test_a_waiting_job_is_listed_paused_resumed_cancelled_and_tried_again(
    call: Call, waiting: Job, queue: Queue
) -> None:
    short = waiting.id[4:16]
    listed = call("jobs", "list").out.splitlines()
    assert listed[0].split() == ["job", "kind", "what", "state", "progress", "time"]
    assert listed[1].split() == [short, "seal", "seal", "queued"]
    for wish, state in (
        ("pause", "paused"),
        ("resume", "queued"),
        ("cancel", "cancelled"),
        ("retry", "queued"),
    ):
        assert call("jobs", wish, short).out.split() == [waiting.id, state]
        assert queue.job(waiting.id).state == state
        assert call("jobs", "list", "--state", state, "--json").json[0]["id"] == waiting.id
        assert call("jobs", "list", "--state", "done", "--json").json == []
    assert call("jobs", "pause", short, "--json").json["state"] == "paused"
    refused = call("jobs", "retry", short)
    assert refused.code == JobError.exit_code
    assert f"{waiting.id} is paused; it cannot be asked to retry" in refused.error


def test_a_running_job_is_told_to_stop_and_shown_with_its_progress(
    call: Call, waiting: Job, queue: Queue
) -> None:
    held = queue.claim("somebody", ("seal",))
    assert held
    queue.progress(held, "seal", 1, 4, {})
    assert "seal 1/4" in call("jobs", "list").out
    assert "stops at its next safe point" in call("jobs", "cancel", waiting.id).out
    shown = call("jobs", "show", waiting.id).out
    assert "seal 1/4" in shown
    assert "running" in shown


@pytest.mark.parametrize("command", ["show", "watch", "cancel", "pause", "resume", "retry"])
def test_a_name_that_no_job_has_is_told(call: Call, command: str) -> None:
    for name in ("job-0123", "nonsense", ""):
        outcome = call("jobs", command, name, "--json")
        assert outcome.code == NotFoundError.exit_code
        assert f"there is no job {name}" in outcome.error
        assert outcome.json["error"]["type"] == "NotFoundError"


def test_a_state_that_is_none_is_told(call: Call) -> None:
    outcome = call("jobs", "list", "--state", "asleep")
    assert outcome.code == UsageError.exit_code
    assert "there is no state asleep; there are: queued, running" in outcome.error


def test_watching_exits_as_the_command_would_have(call: Call, waiting: Job, queue: Queue) -> None:
    def claimed() -> Job:
        job = queue.claim("somebody", ("seal",))
        assert job
        return job

    queue.fail(claimed(), ERROR, 1.0)
    failed = call("jobs", "watch", waiting.id)
    assert (failed.code, failed.err.splitlines()[-1]) == (11, "failed: no")
    queue.ask(waiting.id, "retry")
    queue.ask(waiting.id, "cancel")
    assert call("jobs", "watch", waiting.id).code == 130
    queue.ask(waiting.id, "retry")
    files = [{"file": "a"}, {"file": None}]
    queue.finish(claimed(), {"exit_code": 13, "files": files}, 1.0, 1)
    done = call("jobs", "watch", waiting.id)
    assert (done.code, done.out.split()) == (13, ["a"])
    assert call("jobs", "watch", waiting.id, "--json").json["state"] == "done"
    assert call("jobs", "watch", waiting.id, "--json").err == ""


def test_old_jobs_are_forgotten_failed_ones_later(
    call: Call, waiting: Job, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("jobs", "clean", "--days", 0, "--json").json == {"forgotten": 0}
    job = queue.claim("somebody", ("seal",))
    assert job
    queue.fail(job, ERROR, 1.0)
    with queue.database.writing() as held:
        held.exec_driver_sql("UPDATE jobs SET finished_at = finished_at - 2 * 86400")
    assert call("jobs", "clean", "--days", 1, "--json").json == {"forgotten": 0}
    assert call("jobs", "clean", "--days", 0.5).out.strip() == "1 jobs forgotten"
    assert call("jobs", "clean", "--days", -1).code == UsageError.exit_code
    assert call("jobs", "clean", "--days", "nan").code == UsageError.exit_code


def test_a_device_that_is_not_here_is_told(call: Call) -> None:
    for name in ("banana", "cuda:99", "cpu", "cpu:x"):
        outcome = call("jobs", "work", "--drain", "--device", name)
        assert outcome.code == ConfigError.exit_code
        assert f"there is no device {name} here; there are: " in outcome.error
    assert call("jobs", "work", "--drain", "--device", "cpu:7").code == 0


def test_everything_of_jobs_is_said_in_chinese(
    call: Call, waiting: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_LANG", "zh")
    assert "排队" in call("jobs", "list").out
    assert "没有任务" in call("jobs", "show", "beef").error


@pytest.mark.slow
def test_creation_goes_on_from_what_is_finished(
    call: Call, home: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps({**BRIEF, "seed": seed}, ensure_ascii=False) for seed in (1, 2)]
    Path("two.jsonl").write_text("\n".join(lines), "utf-8")
    first = queued(call, "create", "two.jsonl", "-o", "out", "--fresh")
    assert work(until_empty=True) == 1
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.txt")}
    with queue.database.writing() as held:  # as if the worker had died before it wrote the end
        held.exec_driver_sql("UPDATE jobs SET state = 'queued', result = NULL")
    assert work(until_empty=True) == 1
    job = queue.job(first)
    assert (job.state, job.attempts) == ("done", 2)
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.txt")} == before
    pieces = (job.result or {})["pieces"]
    assert [one["skipped"] for one in pieces] == [True, True]
    assert all(len(one["files"]) == 5 for one in pieces)
    second = queued(call, "create", "two.jsonl", "-o", "out", "--fresh")
    assert work(until_empty=True) == 1
    again = (queue.job(second).result or {})["pieces"]
    assert [one["skipped"] for one in again] == [False, False]


@pytest.mark.slow
def test_training_goes_on_from_its_checkpoint_after_a_kill(
    call: Call, home: Path, workshop: Path, queue: Queue
) -> None:
    settings = [word for one in TINY for word in ("--set", one)]
    name = queued(call, "train", "verse", "--data", workshop / "dataset", "-o", "run", *settings)
    command = [sys.executable, "-m", "wenfang", "jobs", "work", "--drain"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + WAIT_S
        while not list(Path("run/checkpoints").glob("step_*")):
            assert time.monotonic() < end
            time.sleep(0.02)
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        assert worker.wait(WAIT_S) == 0
    finally:
        worker.kill()
        worker.wait()
    job = queue.job(name)
    assert (job.state, job.attempts) == ("done", 2)
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if "loss" in line]
    assert steps == sorted(set(steps))
    told = queue.happenings(job)
    again = next(place for place, one in enumerate(told) if one.content.get("attempt") == 2)
    resumed = next(one.content["done"] for one in told[again:] if one.kind == "progress")
    assert 0 < resumed < STEPS
