"""Mutated files for every reader of the seal: no crash, no hang, bounded memory.

    python benchmarks/fuzz.py [--files 20000] [--seed 0] [--json]

Sealed samples of every format, with their sidecars, are mutated (bits, bytes, numbers, cuts,
splices, repeats, appended bytes, swapped sidecars) and verified; every sixth file is unsealed
material that is read as `wenfang seal` reads it. It runs in child processes of BATCH files that
are watched from outside: a child that dies or does not answer in time is counted with the file
that it was at, which is kept for a closer look.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from sample_files import SAMPLES, media_type, sample
from wenfang.errors import WenfangError
from wenfang.seal import FORMATS, LabelSettings, Payload, Provenance, Sealer, emit, own_roots
from wenfang.seal.formats import Marking, format_of
from wenfang.seal.inputs import SIDECARS, Item
from wenfang.seal.reader import examine
from wenfang.seal.trust import Trust
from wenfang.store import Manifest

BATCH = 250
SLOW_S = 2.0
GIVE_UP_S = 20.0  # a child that is silent for so long hangs
# What sealing encodes takes its time for good reasons, so films are read there and not encoded.
NOT_DRAWN = ("mp4", "webm")
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def sealed_samples(folder: Path) -> list[Item]:
    """Every sample sealed, as `verify` gets it."""
    sealer = Sealer.at(folder, LabelSettings())
    found = []
    for suffix in SAMPLES:
        kind = media_type(suffix)
        core = Manifest(kind="asset", name=f"a.{suffix}", media_type=kind)
        path = folder / "sealed" / f"a.{suffix}"
        emit(Payload(media_type=kind, data=sample(suffix)), path, Provenance(manifest=core), sealer)
        beside = {
            one: path.with_name(path.name + one).read_bytes()
            for one in SIDECARS
            if path.with_name(path.name + one).exists()
        }
        found.append(Item(name=path.name, data=path.read_bytes(), sidecars=beside))
    return found


def mutate(data: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """One to four changes of kinds that break parsers."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        _change(changed, draw, others)
    return bytes(changed)


def _change(data: bytearray, draw: random.Random, others: list[bytes]) -> None:
    place, way = draw.randrange(len(data) + 1), draw.randrange(9)
    # Structure is mostly at the beginning and at the end.
    if draw.random() < 0.5:
        place = min(place, draw.randrange(512)) if draw.random() < 0.7 else max(0, len(data) - 300)
    size = draw.choice((1, 2, 4, 16, 256, 4096))
    if way == 0 and data:
        data[min(place, len(data) - 1)] ^= 1 << draw.randrange(8)
    elif way == 1:
        data[place : place + size] = draw.randbytes(size)
    elif way == 2:
        del data[place:]
    elif way == 3:
        del data[place : place + size]
    elif way == 4:
        data[place:place] = data[place : place + size] * draw.choice((1, 2, 50))
    elif way == 5:
        value = draw.choice(EXTREMES).to_bytes(draw.choice((4, 8)), "big")
        value = value if draw.random() < 0.5 else value[::-1]
        data[place : place + len(value)] = value
    elif way == 6:
        other = draw.choice(others)
        start = draw.randrange(len(other) + 1)
        data[place : place + size] = other[start : start + size]
    elif way == 7:
        data += draw.choice(others)[: draw.choice((1, 100, 10_000))]
    else:
        data[place : place + size] = bytes([draw.choice((0, 0x20, 0x7F, 0xFF))]) * size


def mutated(items: list[Item], number: int, seed: int) -> tuple[Item, bool]:
    """The file of a number, and whether it is to be read as material to seal."""
    draw = random.Random(f"{seed} {number}")
    others = [item.data for item in items]
    item = items[number % len(items)]
    if number % 6 == 5:
        suffix = item.name.rpartition(".")[2]
        return Item(name=item.name, data=mutate(sample(suffix), draw, others), sidecars={}), True
    sidecars = dict(item.sidecars)
    data = item.data
    if draw.random() < 0.3:
        sidecars = {}
    if sidecars and draw.random() < 0.25:
        name = draw.choice(sorted(sidecars))
        sidecars[name] = mutate(sidecars[name], draw, list(sidecars.values()))
    else:
        data = mutate(data, draw, others)
    return Item(name=item.name, data=data, sidecars=sidecars), False


def read_as_material(item: Item) -> str:
    """What `wenfang seal` does with a file before anything is signed."""
    chosen = format_of(item.name)
    assert chosen is not None
    chosen.labels(item.data)
    content = chosen.strip(item.data) if chosen.strip else item.data
    if item.name.rpartition(".")[2] in NOT_DRAWN:
        return "read"
    try:
        chosen.draw(content, Marking(settings=LabelSettings(), pointer="0123456789ab"))
    except WenfangError:
        return "refused"
    return "drawn"


def work(
    pipe: multiprocessing.connection.Connection,
    items: list[Item],
    roots: Any,
    job: range,
    seed: int,
) -> None:
    """Read the files of `job`; before each its number goes out, after each what came of it."""
    trust = Trust.of(roots)
    for number in job:
        item, material = mutated(items, number, seed)
        pipe.send(("at", number))
        started = time.perf_counter()
        try:
            came = read_as_material(item) if material else examine(item, trust).outcome
        except Exception as fault:  # noqa: BLE001 - the very thing that is looked for
            came = f"crash: {type(fault).__name__}: {str(fault)[:120]}"
        seconds = time.perf_counter() - started
        pipe.send(("done", (number, item.name, came, seconds)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pipe.send(("end", peak))


def run(files: int, seed: int, keep: Path) -> dict[str, object]:
    """All batches one after another; what happened, the slowest, the largest memory."""
    with tempfile.TemporaryDirectory(prefix="wenfang-fuzz-") as folder:
        items, roots = sealed_samples(Path(folder)), own_roots(Path(folder))
    outcomes: Counter[str] = Counter()
    slow: list[tuple[float, int, str]] = []
    bad: list[str] = []
    peak, start = 0, 0
    while start < files:
        job = range(start, min(files, start + BATCH))
        start, batch_peak = _batch(items, roots, job, seed, (outcomes, slow, bad))
        peak = max(peak, batch_peak)
    for line in bad:
        number = int(line.split()[1])
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{number}-{mutated(items, number, seed)[0].name}").write_bytes(
            mutated(items, number, seed)[0].data
        )
    return {
        "files": files,
        "formats": len(FORMATS),
        "outcomes": dict(outcomes),
        "crashes_and_hangs": bad,
        "over_2_s": sum(seconds > SLOW_S for seconds, *_ in slow),
        "slowest": [f"{seconds:.2f} s {name} {number}" for seconds, number, name in slow[:5]],
        "peak_memory_mb": round(peak / 1e6),
    }


def _batch(
    items: list[Item],
    roots: Any,
    job: range,
    seed: int,
    found: tuple[Counter[str], list[tuple[float, int, str]], list[str]],
) -> tuple[int, int]:
    """Watch one child; where the next batch starts, and the child's largest memory."""
    outcomes, slow, bad = found
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(theirs, items, roots, job, seed), daemon=True)
    child.start()
    theirs.close()
    at, peak = job.start, 0
    kind: str
    value: Any
    while True:
        try:
            silent = not ours.poll(GIVE_UP_S)
            kind, value = ("silent", None) if silent else ours.recv()
        except EOFError:
            kind, value = "died", None
        if kind == "at":
            at = value
        elif kind == "done":
            number, name, came, seconds = value
            outcomes[came.split(":")[0]] += 1
            if came.startswith("crash"):
                bad.append(f"file {number} {name} {came}")
            slow.append((seconds, number, name))
            slow.sort(reverse=True)
            del slow[50:]
        elif kind == "end":
            peak = value
            break
        else:
            child.kill()
            outcomes["died" if kind == "died" else "hung"] += 1
            bad.append(f"file {at} {items[at % len(items)].name} {kind}")
            child.join()
            return at + 1, peak
    child.join()
    return job.stop, peak


def main() -> int:
    """Exit 1 for a crash, a hang over 2 s, or more than 512 MB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = run(asked.files, asked.seed, asked.keep)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(f"{name}: {value}" for name, value in found.items()))
    memory = found["peak_memory_mb"]
    whole = not found["crashes_and_hangs"] and not found["over_2_s"]
    return 0 if whole and isinstance(memory, int) and memory <= 512 else 1


if __name__ == "__main__":
    sys.exit(main())
