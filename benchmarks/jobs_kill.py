"""Kill workers, their hands and the database while jobs run; then look at all that was made.

    python benchmarks/jobs_kill.py [--jobs 200] [--kills 20] [--database postgresql] [--seed 0]
                                   [--light] [--json]

Two workers do a mix of jobs: files are sealed, texts drawn, poems made into cards, data prepared, a
model trained. At random moments one is killed with SIGKILL: a worker, the process that works for
it, both at once, or PostgreSQL; whatever is gone is started again. Each job is asked for twice. At
the end no job may be lost or given up, each ended once, every published file verifies, and the
two of each pair are of one content. `--light` counts to five in place of all that.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import job_handlers
import postgres
from wenfang.database import Database
from wenfang.database.connection import URL_VARIABLE
from wenfang.errors import DatabaseError
from wenfang.jobs import ENDED, Job, Queue, Submission

WORKERS = 2
LIMIT_S = 3600.0
LIGHT_LEASE_S = 5.0
# Kinds by how many of twenty pairs are theirs.
MIX = {"seal": 9, "generate": 5, "create": 3, "prepare": 2, "train": 1}
TINY = (
    "model.width=16", "model.layers=1", "model.heads=2", "model.kv_heads=2",
    "model.hidden_width=32", "train.steps=40", "train.batch_size=2", "train.checkpoint_every=5",
    "train.evaluate_every=40", "threads=1",
)  # fmt: skip


@dataclass(kw_only=True)
class Yard:
    """Where all of it happens."""

    folder: Path
    url: str
    light: bool
    server: postgres.Server | None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    @property
    def home(self) -> Path:
        """WENFANG_HOME of all."""
        return self.folder / "home"

    def start(self, number: int) -> subprocess.Popen[bytes]:
        """A worker upon a place of its own."""
        device = f"cpu:{number}"
        with (self.folder / f"worker-{number}.log").open("ab") as log:
            if self.light:
                command = [job_handlers.__file__, self.url, str(LIGHT_LEASE_S), device]
            else:
                command = ["-m", "wenfang", "jobs", "work", "--device", device]
            return subprocess.Popen(
                [sys.executable, *command],
                env={**job_handlers.environment(self.home), URL_VARIABLE: self.url},
                stdout=log,
                stderr=log,
            )

    def revive(self) -> None:
        """Start every worker that is gone."""
        for number in range(WORKERS):
            if number == len(self.workers):
                self.workers.append(self.start(number))
            elif self.workers[number].poll() is not None:
                self.workers[number] = self.start(number)

    def kill(self, draw: random.Random, queue: Queue) -> bool:
        """End one in the middle of a job, without a word; False where nobody has a job now."""
        running = patiently(lambda: queue.jobs(states=("running",)))
        at_work = {int(job.worker.split(":")[1]) for job in running}
        busy = [one for one in self.workers if one.pid in at_work and children(one.pid)]
        if not busy:
            return False
        victims = ["worker", "hand", "both", *(["database"] if self.server else [])]
        victim = draw.choice(victims)
        if victim == "database" and self.server:
            self.server.kill()
            time.sleep(draw.uniform(0.0, 2.0))
            self.server.start()
        else:
            worker = draw.choice(busy)
            for process in (
                *([] if victim == "hand" else [worker.pid]),
                *([] if victim == "worker" else children(worker.pid)),
            ):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            if victim != "hand":
                worker.wait()
        self.kills[victim] += 1
        return True

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait()


def children(process: int) -> list[int]:
    """Processes that it has started."""
    try:
        found = Path(f"/proc/{process}/task/{process}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(one) for one in found.split()]


def pairs_of(yard: Yard, count: int) -> list[tuple[str, Callable[[Path], Mapping[str, Any]]]]:
    """So many kinds, and how each is asked for with a given place for what it makes."""
    if yard.light:
        return [("count", lambda place: {"steps": 5, "step_s": 0.1})] * count
    from conftest import BRIEF, build_bundle

    material = yard.folder / "material"
    material.mkdir()
    build_bundle(material)  # poems, a data set of them, and a model that knows nothing
    kinds = [kind for kind, share in MIX.items() for _ in range(share)]
    asked: list[tuple[str, Callable[[Path], Mapping[str, Any]]]] = []
    for number in range(count):
        note = material / f"note-{number}.txt"
        note.write_text(f"Evening {number} by the river.\n" * 5)
        brief = json.dumps({**BRIEF, "seed": number}, ensure_ascii=False)
        requests: dict[str, dict[str, Any]] = {
            "seal": {"files": [str(note)], "made_with": "Other Maker 3"},
            "generate": {"model": "verse", "prompt": "春", "seeds": [number], "settings": {}},
            "create": {"text": brief, "fresh": True},
            "prepare": {
                "sources": [str(material / "poems.jsonl")], "profile": "verse",
                "licence": "CC0-1.0", "text_field": "lines",
                "settings": ["split.key=author", f"seed={number}"],
            },
            "train": {
                "recipe": "verse", "data": str(material / "dataset"),
                "settings": [*TINY, f"train.seed={number}"],
            },
        }  # fmt: skip
        kind = kinds[number * 7 % len(kinds)]  # 7 and 20 have no divisor in common: all in turn
        request = requests[kind]
        asked.append((kind, lambda place, request=request: {**request, "output": str(place)}))  # type: ignore[misc]
    return asked


def submit_all(yard: Yard, queue: Queue, count: int) -> list[tuple[Job, Job]]:
    """Every pair of jobs, the first of all before the second of any."""
    asked = pairs_of(yard, count // 2)
    made: list[list[Job]] = []
    for half in ("a", "b"):
        made.append([])
        for number, (kind, request) in enumerate(asked):
            content = request(yard.folder / "made" / f"{number:03d}{half}")
            if yard.light:
                made[-1].append(queue.submit(Submission(kind=kind, request=content)))
            else:
                from wenfang.engine.queueing import submit

                made[-1].append(submit(kind, content, queue).job)
    return list(zip(*made, strict=True))


def patiently(ask: Callable[[], Any]) -> Any:
    """Whatever the database answers once it is there."""
    while True:
        try:
            return ask()
        except DatabaseError:
            time.sleep(0.1)


def run(yard: Yard, queue: Queue, count: int, kills: int, seed: int) -> dict[str, Any]:
    """Ask, kill, wait, look."""
    draw = random.Random(seed)
    pairs = submit_all(yard, queue, count)
    total = 2 * len(pairs)
    # Each kill waits until so many jobs have ended, so that kills fall into all of the work.
    moments = sorted(draw.randrange(total * 9 // 10) for _ in range(kills))
    started = time.monotonic()
    try:
        while True:
            yard.revive()
            counts = patiently(queue.counts)
            ended = sum(counts.get(state, 0) for state in ENDED)
            if ended == total:
                break
            assert time.monotonic() - started < LIMIT_S, counts
            time.sleep(draw.uniform(0.05, 0.6))
            if moments and ended >= moments[0] and yard.kill(draw, queue):
                moments.pop(0)
    finally:
        yard.close()
    seconds = round(time.monotonic() - started, 1)
    return {**look(yard, queue, pairs), "kills": dict(yard.kills), "seconds": seconds}


def look(yard: Yard, queue: Queue, pairs: list[tuple[Job, Job]]) -> dict[str, Any]:
    """What became of the jobs, and what they made."""
    jobs = [queue.job(job.id) for pair in pairs for job in pair]
    ends = Counter(
        job.id
        for job in jobs
        for one in queue.happenings(job)
        if one.kind == "state" and one.content.get("state") in ENDED
    )
    different: list[str] = []
    bad: list[str] = []
    for pair in pairs:
        contents = [content_of(yard, queue.job(job.id), bad) for job in pair]
        if contents[0] != contents[1] or not contents[0]:
            different.append(f"{pair[0].kind} {pair[0].id} {pair[1].id}")
    return {
        "jobs": len(jobs),
        "kinds": dict(Counter(job.kind for job in jobs)),
        "states": dict(Counter(job.state for job in jobs)),
        "attempts": dict(Counter(job.attempts for job in jobs)),
        "ended_more_than_once": [name for name, times in ends.items() if times != 1],
        "different_twins": different,
        "not_good": bad[:10],
    }


def content_of(yard: Yard, job: Job, bad: list[str]) -> dict[str, str]:
    """Hashes of what a job made, by the names of the files; `bad` hears what does not verify."""
    from wenfang.atomic import sha256_file

    if yard.light:
        steps = (yard.home / "jobs" / job.id / "steps").read_text().split()
        return {"steps": str(len(steps))} if len(steps) == (job.result or {})["steps"] else {}
    place = Path(job.request["output"])
    if job.kind == "train":
        return {"model": sha256_file(place / "bundle" / "model.safetensors")}
    if job.kind == "prepare":
        manifest = json.loads((place / "manifest.json").read_text("utf-8"))
        return {"payload": manifest["payload_sha256"]}
    from wenfang.engine.keeping import verify_files
    from wenfang.seal import sealed_id
    from wenfang.store import Store

    verdicts = verify_files([place])
    bad += [f"{one.path}: {one.summary}" for one in verdicts if one.outcome != "good"]
    contents = {}
    with Store.open() as store:
        for verdict in verdicts:
            path, name = Path(verdict.path), sealed_id(Path(verdict.path))
            if name and path.name != "report.html":  # which tells the time of its making
                contents[path.name] = store.manifest(name).payload_sha256 or ""
    return contents


def main() -> int:
    """Run in a temporary folder; exit 1 unless everything is whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--light", action="store_true", help="jobs that count in place of all")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wenfang-jobs-")))
        os.environ["WENFANG_HOME"] = str(folder / "home")
        server = None
        if asked.database == "postgresql":
            server = stack.enter_context(postgres.running())
        url = server.new_database() if server else f"sqlite:///{folder / 'jobs.sqlite'}"
        database = Database.open(url)
        stack.callback(database.close)
        yard = Yard(folder=folder, url=url, light=asked.light, server=server)
        found = run(yard, Queue(database=database), asked.jobs, asked.kills, asked.seed)
    found = {"database": asked.database, "seed": asked.seed, **found}
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in found.items()))
    whole = found["states"] == {"done": found["jobs"]} and not (
        found["ended_more_than_once"] or found["different_twins"] or found["not_good"]
    )
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
