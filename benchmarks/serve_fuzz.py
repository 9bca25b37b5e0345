"""Random requests over the server's OpenAPI: no 5xx, no trace, every answer as it is described.

    python benchmarks/serve_fuzz.py [--cases 20000] [--seed 0] [--only TEXT] [--out FILE]
                                    [--light] [--json]

A server of its own, with a home of its own, is asked by schemathesis through all of its routes:
first the cases at the bounds of each schema, then random ones, half of which break it. What is
generated names what is there (models, files, jobs that a worker has done, pieces) in about half of
the cases, and is made small before it is sent: 4 tokens, one picture of two steps, short texts, no
waiting; `tests/fuzzing.py` and `tests/fuzz_things.py` have all of that. So a model's work is asked
for often, and never much of it. Half of the requests come from the admin at the machine, half from
somebody who may only make.

Cases are drawn in groups (a route, its bounds or so many random cases), each by its own seed. With
`--out`, a finished group is a line of that file, and a run that was broken off goes on after it.
`--light` leaves out the worker, the chat model and the tiny base, and with them 30 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fuzz_things import Maker
from fuzzing import Fuzz, Tally, shown, table, traces, whole
from serving import Served, serving
from talkers import save_talker
from tiny_bundle import write_bundle
from wenfang.device import noise

GROUP = 50  # random cases
# How much of what is left after the bounds a route gets: those that take nothing, those that
# compute, all others.
PLAIN, HEAVY, USUAL = 1, 4, 5
HEAVY_ROUTES = ("/v1/images/", "/v1/audio/speech", "/replay", "/v1/responses", "/v1/completions")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Some cases of one route: those at its bounds, or random ones of the seed `number`."""

    route: str
    count: int = 0
    number: int = 0

    @property
    def name(self) -> str:
        """By which a later run knows it."""
        return f"{self.route} {self.number} {self.count}" if self.count else f"{self.route} bounds"


def main() -> int:
    """Run, print, and return 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="routes whose name holds this")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        served, maker = _server(Path(folder), held, light=asked.light)
        keys = ("", maker.key())
        fuzz = Fuzz(served=served, keys=keys, things=maker.things(finished=not asked.light))
        tallies = run(fuzz, asked)
        logged = traces(served)
    failed = bool(logged or whole(tallies).failures)
    took_s = time.monotonic() - began
    if asked.json:
        print(json.dumps({route: one.record() for route, one in tallies.items()}))
        return int(failed)
    print("\n".join(table(tallies)))
    found = whole(tallies)
    of_server = sum(count for status, count in found.statuses.items() if status >= 500)
    print(f"\n{found.cases} cases in {took_s:.0f} s, seed {asked.seed}: {of_server} answers 5xx, "
          f"{len(logged)} traces in the log, {sum(found.failures.values())} failures")  # fmt: skip
    print(f"statuses: {dict(sorted(found.statuses.items()))}")
    if failed:
        print(shown(tallies), *logged, sep="\n")
    return int(failed)


def _server(folder: Path, held: ExitStack, *, light: bool) -> tuple[Served, Maker]:
    """A server, with a chat model and a base for tuning unless it shall be light."""
    home, options = folder / "home", []
    plugged = ""
    if not light:
        write_bundle(home / "bundles" / "gpt2", "gpt2")
        plugged = f"hub:{save_talker(folder / 'talker')}"
        options = ["--plug", plugged]
    served = held.enter_context(serving(home, *options))
    return served, Maker(served=served, plugged=plugged, tuned=not light)


def run(fuzz: Fuzz, asked: argparse.Namespace) -> Mapping[str, Tally]:
    """Every group that is not done already; what was counted, by route."""
    done = _done(asked.out)
    routes = {name: one for name, one in fuzz.routes().items() if asked.only in name}
    tallies = {name: Tally() for name in routes}

    def count(group: Group) -> Tally:
        if group.name in done:
            tally = Tally.of(done[group.name])
        else:
            tally = _counted(fuzz, routes[group.route], group, asked.seed)
            _keep(asked.out, group, tally)
        tallies[group.route].add(tally)
        return tally

    for number, name in enumerate(routes):
        tally = count(Group(route=name))
        _tell(f"{number + 1}/{len(routes)} {name}: {tally.cases} at the bounds", tally)
    left = asked.cases - whole(tallies).cases
    for group in groups(routes, left):
        _tell(group.name, count(group))
    return tallies


def groups(routes: Mapping[str, Any], count: int) -> Iterator[Group]:
    """Random cases, so many in all, shared out among the routes and divided into groups."""
    weights = {name: _weight(name, one) for name, one in routes.items()}
    every, passed, given = sum(weights.values()), 0, 0
    number = 0
    for name, weight in weights.items():
        passed += weight
        own = max(0, count) * passed // every - given
        given += own
        while own > 0:
            some = min(GROUP, own)
            yield Group(route=name, count=some, number=number)
            own, number = own - some, number + 1


def _weight(name: str, operation: Any) -> int:
    takes = bool(operation.path_parameters or operation.query or operation.body)
    if not takes:
        return PLAIN
    return HEAVY if any(part in name for part in HEAVY_ROUTES) else USUAL


def _counted(fuzz: Fuzz, operation: Any, group: Group, seed: int) -> Tally:
    if not group.count:
        return fuzz.boundary(operation)
    number = int(noise(seed, group.name, 0).random() * 2**31)
    return fuzz.drawn(operation, group.count, number)


def _done(out: Path | None) -> dict[str, Any]:
    if out is None or not out.is_file():
        return {}
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    return {row["group"]: row["tally"] for row in rows}


def _keep(out: Path | None, group: Group, tally: Tally) -> None:
    if out is not None:
        with out.open("a", encoding="utf-8") as stream:
            row = {"group": group.name, "tally": tally.record()}
            stream.write(json.dumps(row, ensure_ascii=True) + "\n")


def _tell(what: str, tally: Tally) -> None:
    print(f"{what} {dict(tally.failures) or ''}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
