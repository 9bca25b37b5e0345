"""Seal many files in several processes that are killed at random moments; then look at all of it.

    python benchmarks/kill.py [--pieces 1000] [--processes 4] [--seed 0] [--json]

Each process seals its share, one file after another; whoever is killed with SIGKILL is started
again and goes on with what is not published yet. At the end every published file must verify,
every file must be there, and nothing half-written may lie in the folder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from sample_files import SAMPLES, media_type, sample
from wenfang.seal import LabelSettings, Payload, Provenance, Sealer, emit, own_roots, verify
from wenfang.store import Manifest

# Formats whose sealing is quick enough that a run is full of kills, and one of every kind.
KINDS = ("txt", "md", "html", "png", "jpg", "gif", "svg", "json", "csv", "wav", "mid", "pdf", "zip")


def seal_share(home: Path, folder: Path, numbers: list[int]) -> None:
    """Seal the files of these numbers that are not published yet."""
    sealer = Sealer.at(home, LabelSettings())
    for number in numbers:
        path = place(folder, number)
        if path.exists():
            continue
        kind = media_type(path.suffix[1:])
        core = Manifest(kind="asset", name=path.name, media_type=kind, facts={"number": number})
        payload = Payload(media_type=kind, data=sample(path.suffix[1:]))
        emit(payload, path, Provenance(manifest=core), sealer)


def place(folder: Path, number: int) -> Path:
    """Where the file of a number is published."""
    return folder / f"{number:05d}.{KINDS[number % len(KINDS)]}"


def run(folder: Path, pieces: int, processes: int, seed: int) -> dict[str, object]:
    """Seal, kill, start again, verify."""
    home, output = folder / "home", folder / "published"
    output.mkdir()
    Sealer.at(home, LabelSettings())
    draw, kills = random.Random(seed), 0
    shares = [list(range(start, pieces, processes)) for start in range(processes)]
    started = time.monotonic()
    # A fork starts at once, with the samples made; what is killed shall be sealing, not importing.
    context = multiprocessing.get_context("fork")
    for kind in KINDS:
        sample(kind)
    workers = [_start(context, home, output, share) for share in shares]
    while any(worker.is_alive() for worker in workers) or not _finished(output, pieces):
        time.sleep(draw.uniform(0.05, 0.6))
        place_ = draw.randrange(processes)
        worker = workers[place_]
        if worker.is_alive() and worker.pid:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
            kills += 1
        for number, one in enumerate(workers):
            if not one.is_alive() and not all(place(output, n).exists() for n in shares[number]):
                workers[number] = _start(context, home, output, shares[number])
    seconds = time.monotonic() - started
    seal_share(home, output, [pieces])  # the next writer clears away what the killed ones left
    return {**_look(home, output, pieces), "kills": kills, "seconds": round(seconds, 1)}


def _start(context: Any, home: Path, folder: Path, share: list[int]) -> BaseProcess:
    worker: BaseProcess = context.Process(
        target=seal_share, args=(home, folder, share), daemon=True
    )
    worker.start()
    return worker


def _finished(folder: Path, pieces: int) -> bool:
    return all(place(folder, number).exists() for number in range(pieces))


def _look(home: Path, folder: Path, pieces: int) -> dict[str, object]:
    """Verdicts on everything that lies in the folder, and what should not lie there."""
    verdicts = verify([folder], own_roots(home))
    outcomes = Counter(verdict.outcome for verdict in verdicts)
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    bad = [f"{one.path}: {one.summary}" for one in verdicts if one.outcome != "good"]
    return {
        "pieces": pieces,
        "published": sum(place(folder, number).exists() for number in range(pieces)),
        "outcomes": dict(outcomes),
        "not_good": bad[:10],
        "left_over": left[:10],
        "kinds": list(KINDS),
    }


def main() -> int:
    """Run in a temporary folder; exit 1 unless everything is whole."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pieces", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    assert set(KINDS) <= set(SAMPLES)
    with tempfile.TemporaryDirectory(prefix="wenfang-kill-") as folder:
        found = run(Path(folder), asked.pieces, asked.processes, asked.seed)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in found.items()))
    whole = found["published"] == asked.pieces and not found["not_good"] and not found["left_over"]
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
