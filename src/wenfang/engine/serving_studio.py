"""What the studio asks besides: cards, forms, verdicts on what was dropped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wenfang.atomic import new_folder
from wenfang.backends.shelf import find_bundle
from wenfang.checkpoint import CARD
from wenfang.checks import Check, Report
from wenfang.engine.keeping import verify_files
from wenfang.engine.verb import Stopped, Verb
from wenfang.errors import BusyError, NotFoundError
from wenfang.language import t
from wenfang.scenarios import SCENARIOS
from wenfang.seal.statement import sealed_facts
from wenfang.store import home

GRAVITY = ("pass", "note", "warn", "repair", "block")  # of verdicts, the worst last


def _card(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """A model's card, in Markdown."""
    yield (find_bundle(str(content["model"])) / CARD).read_text("utf-8")


def _verify(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """Verdicts on files of this machine."""
    yield [one.to_dict() for one in verify_files([Path(path) for path in content["paths"]])]


def _scenarios(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """What can be made: summary, schema of a brief, and one to start from."""
    yield {
        name: {"summary": one.summary, "schema": one.schema(), "example": dict(one.example)}
        for name, one in SCENARIOS.items()
    }


def _piece(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """The files of a finished piece, and what its checks found: those of its first file that tells.

    files  paths of published files
    """
    paths = [Path(str(one)) for one in content["files"]]
    checks: list[dict[str, Any]] = []
    for path in paths:
        facts = sealed_facts(path)
        if "checks" in facts:
            several = facts["checks"] if isinstance(facts["checks"], list) else [facts["checks"]]
            checks = _worst([one for each in several for one in Report.from_dict(each).checks])
            break
    files = [
        {"number": number, "name": path.name, "bytes": path.stat().st_size}
        for number, path in enumerate(paths)
        if path.is_file()
    ]
    yield {"files": files, "checks": checks}


def _worst(checks: list[Check]) -> list[dict[str, Any]]:
    """Of variants that were checked alike, what the worst of them came to."""
    found: dict[str, Check] = {}
    for one in checks:
        known = found.get(one.name)
        if known is None or GRAVITY.index(one.verdict) > GRAVITY.index(known.verdict):
            found[one.name] = one
    return [_check(one) for one in found.values()]


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "verdict": check.verdict,
        "evidence": [str(one) for one in check.evidence],
    }


def _run(content: Mapping[str, Any]) -> Path:
    """A run of this home, by its folder."""
    folder = Path(str(content["run"]))
    if folder.parent != home() / "runs" or not folder.is_dir():
        raise NotFoundError("there is no run {name}", name=folder.name)
    return folder


def _keep_run(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """A run's bundle among the bundles of this home, under the run's name."""
    folder = _run(content)
    find_bundle(str(folder))
    place = home() / "bundles" / folder.name
    if place.exists():
        raise BusyError("there is a model {name} already; choose another name", name=folder.name)
    with new_folder(place) as new:
        shutil.copytree(folder / "bundle", new, dirs_exist_ok=True)
    yield t("kept as {name}; it can be chosen on the page Make", name=folder.name)


def _discard_run(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    folder = _run(content)
    shutil.rmtree(folder)
    yield t("{name} is gone", name=folder.name)


VERBS: Mapping[str, Verb] = {
    "piece": Verb(run=_piece, line="quick"),
    "scenarios": Verb(run=_scenarios, line="quick"),
    "keep_run": Verb(run=_keep_run, line="quick"),
    "discard_run": Verb(run=_discard_run, line="quick"),
    "card": Verb(run=_card, line="quick"),
    "verify": Verb(run=_verify, line="quick"),
}
