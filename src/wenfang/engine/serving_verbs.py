"""What a server may ask of models, besides texts: each verb yields its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wenfang.backends.shelf import list_bundles
from wenfang.checkpoint import CONFIG
from wenfang.engine import (
    serving_drawing,
    serving_pieces,
    serving_studio,
    serving_tuning,
    serving_words,
)
from wenfang.engine.queueing import submit
from wenfang.engine.serving_texts import write_alone
from wenfang.engine.verb import Stopped, Verb


def _models(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """Every bundle here, with what its config says of it."""
    found = []
    for entry in list_bundles():
        path = Path(str(entry["folder"])) / CONFIG
        there = path.is_file()
        config = json.loads(path.read_text("utf-8")) if there else {}
        created = path.stat().st_mtime if there else 0
        found.append({**entry, "config": config, "created": created})
    yield found


def _submit(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """Queue a verb's request; refused where it cannot work."""
    about = {name: content[name] for name in ("priority", "key", "project", "person")
             if name in content}  # fmt: skip
    yield submit(str(content["kind"]), content["request"], **about).record()


_OWN: Mapping[str, Verb] = {
    "text": Verb(run=write_alone, line="slow"),
    "models": Verb(run=_models, line="quick"),
    "submit": Verb(run=_submit, line="quick"),
}
_TABLES = (
    _OWN,
    serving_drawing.VERBS,
    serving_studio.VERBS,
    serving_pieces.VERBS,
    serving_tuning.VERBS,
    serving_words.VERBS,
)
VERBS: Mapping[str, Verb] = {name: verb for table in _TABLES for name, verb in table.items()}
assert len(VERBS) == sum(map(len, _TABLES)), "two verbs have one name"
