"""Half a minute of music for four voices: from a wish or tokens to a WAV, and beside real time.

    python benchmarks/music.py [--rounds 5] [--json]

The piece has 12 bars of 4/4 at 96 beats a minute, 30.0 s, of the most notes that can be asked for
("flowing"), sung by the arrangement "choir" in a church. Four fresh processes a round, the start of
Python included, after a round that is thrown away since it reads files that are not in memory:

command        `wenfang generate chorale … -o FILE.wav`: drawn, played, labelled, signed, written
wish to WAV    drawn, played and written as a plain WAV of 16 bits, without a label
tokens to WAV  the tokens are there: they are made a score, played and written
import torch   how much of each is torch's own start

Seconds, those of the processors that were used, and the ratio to `import torch` of the same round,
which other work on the machine moves least. Then in one process, with as many threads as the
program draws with: seconds of music in a second of drawing, for 1 and for 16 pieces at once, and in
a second of playing. The processes have a home of their own, so nothing is left in yours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rounds import ratio, spread
from wenfang import device
from wenfang.backends.composer import Composer, PartSampling
from wenfang.backends.shelf import find_bundle
from wenfang.compose.perform import ARRANGEMENTS, perform
from wenfang.data.part_tokens import Asked, piece_from, piece_tokens
from wenfang.media.audio import encode_sound
from wenfang.media.four_parts import BEAT, FourParts
from wenfang.media.score import Key
from wenfang.models.load import load

BUNDLE, ARRANGEMENT, BPM = "chorale", "choir", 96.0
ASKED = Asked(key=Key.parse("G major"), beats=4, upbeat=0, bars=12, density="flowing")
SECONDS = ASKED.bars * ASKED.beats * 60 / BPM
BATCHES, AHEAD = (1, 16), 100
SETTINGS = {
    "key": "G major", "bars": ASKED.bars, "density": ASKED.density, "tempo_bpm": BPM,
    "arrangement": ARRANGEMENT,
}  # fmt: skip


def played(tokens: Sequence[str], path: Path) -> None:
    """A piece's tokens as a WAV of 16 bits."""
    score = piece_from(tokens, ASKED).articulated().score(BPM)
    path.write_bytes(encode_sound(perform(score, ARRANGEMENTS[ARRANGEMENT]), "audio/wav"))


def drawn(composer: Composer, first: int, count: int) -> list[FourParts]:
    """Pieces of the seeds from `first` on."""
    streams = [(seed, "generate") for seed in range(first, first + count)]
    return composer.compose([ASKED] * count, streams, PartSampling())


def as_process(name: str, given: Path) -> None:
    """What a fresh process does (`--process`); `given` holds a piece's tokens."""
    tokens = json.loads(given.read_text("utf-8"))
    if name == "wish to WAV":
        device.set_threads(device.DRAWING_THREADS)
        tokens = piece_tokens(drawn(Composer(load(find_bundle(BUNDLE))), 1, 1)[0])
    played(tokens, given.with_suffix(".wav"))


def commands(folder: Path, tokens: Path) -> dict[str, list[str]]:
    """What is started, by its name."""
    settings = [word for item in SETTINGS.items() for word in ("--set", "{}={}".format(*item))]
    generate = ["-m", "wenfang", "generate", BUNDLE, "", "--seed", "1", *settings]
    own = [str(Path(__file__)), "--given", str(tokens), "--process"]
    found = {
        "command": [*generate, "-o", str(folder / "piece.wav")],
        "wish to WAV": [*own, "wish to WAV"],
        "tokens to WAV": [*own, "tokens to WAV"],
        "import torch": ["-c", "import torch"],
    }
    return {name: [sys.executable, *words] for name, words in found.items()}


def cold(rounds: int, tokens: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Of each process, round by round: seconds from its start to its end, and of processors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = folder / "tokens.json"
        given.write_text(json.dumps(list(tokens)), "utf-8")
        asked = commands(folder, given)
        surroundings = os.environ | {"WENFANG_HOME": str(folder / "home")}
        found: dict[str, dict[str, list[float]]] = {
            what: {one: [] for one in asked} for what in ("seconds", "processor_seconds")
        }
        for turn in range(rounds + 1):
            for one, words in asked.items():
                started, before = time.perf_counter(), os.times()
                subprocess.run(words, check=True, capture_output=True, env=surroundings)
                took, after = time.perf_counter() - started, os.times()
                if turn:
                    found["seconds"][one].append(took)
                    found["processor_seconds"][one].append(
                        after.children_user + after.children_system
                        - before.children_user - before.children_system
                    )  # fmt: skip
        return found


def beside_real_time(rounds: int, composer: Composer) -> dict[str, list[float]]:
    """Seconds of music in a second, by what is done; and tokens a second."""
    found: dict[str, list[float]] = {}
    for turn in range(rounds):
        for count in BATCHES:
            started = time.perf_counter()
            pieces = drawn(composer, AHEAD * turn, count)
            took = time.perf_counter() - started
            tokens = sum(len(piece_tokens(piece)) for piece in pieces)
            music = sum(len(piece) / BEAT * 60 / BPM for piece in pieces)
            found.setdefault(f"drawing {count}", []).append(music / took)
            found.setdefault(f"tokens a second of {count}", []).append(tokens / took)
        score = pieces[0].articulated().score(BPM)
        started = time.perf_counter()
        perform(score, ARRANGEMENTS[ARRANGEMENT])
        found.setdefault("playing", []).append(SECONDS / (time.perf_counter() - started))
    return found


def run(rounds: int) -> dict[str, Any]:
    """All that is measured."""
    device.set_threads(device.DRAWING_THREADS)
    composer = Composer(load(find_bundle(BUNDLE)))
    piece = drawn(composer, 1, 1)[0]  # the first of a process is slower
    perform(piece.score(BPM), ARRANGEMENTS[ARRANGEMENT])
    tokens = piece_tokens(piece)
    return {
        "environment": device.environment(),
        "load_average": os.getloadavg()[0],
        "seconds_of_music": SECONDS,
        "tokens": len(tokens),
        "beside_real_time": beside_real_time(rounds, composer),
        "with_start": cold(rounds, tokens),
    }


def report(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    lines = [
        f"{result['seconds_of_music']:.1f} s of music in {result['tokens']} tokens; load of the "
        f"machine before: {result['load_average']:.1f}"
    ]
    taken, used = (result["with_start"][what] for what in ("seconds", "processor_seconds"))
    for name, rows in taken.items():
        beside = ratio(taken, name, "import torch")
        lines.append(
            f"{name:<24} {statistics.median(rows):7.2f} s ±{spread(rows) / 2:.0%}, of processors "
            f"{statistics.median(used[name]):.2f} s; {beside['median']:.2f} "
            f"±{beside['spread'] / 2:.0%} times import torch"
        )
    for name, rows in result["beside_real_time"].items():
        unit = "" if name.startswith("tokens") else " times real time"
        lines.append(f"{name:<24} {statistics.median(rows):7.1f}{unit} ±{spread(rows) / 2:.0%}")
    return "\n".join(lines)


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--process", help=argparse.SUPPRESS)
    parser.add_argument("--given", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.process:
        as_process(asked.process, asked.given)
        return
    result = run(asked.rounds)
    print(json.dumps(result, indent=2) if asked.json else report(result))


if __name__ == "__main__":
    main()
