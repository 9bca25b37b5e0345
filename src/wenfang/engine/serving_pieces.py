"""What a server asks of finished pieces: make them again, and what they came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wenfang.engine.keeping import asset_of
from wenfang.engine.replaying import ReplayRequest, replay
from wenfang.engine.verb import Stopped, Verb, require_wanted
from wenfang.store import Store, render_lineage


def _replay(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """folder -> what became of each of its files when it was made again.

    batched  as it was drawn, which is faster than one sample at a time
    """
    reference = not content.get("batched", False)
    asked = ReplayRequest(target=str(content["folder"]), reference=reference)
    found = replay(asked, on_event=lambda event: require_wanted(stopped))
    yield [one.to_dict() for one in found]


def _lineage(content: Mapping[str, Any], stopped: Stopped) -> Iterator[Any]:
    """An asset's id, or the path of a file that was published here -> its graph, and as a text."""
    with Store.open() as held:
        graph = held.lineage(asset_of(str(content["asset"]), held))
    yield {**graph.to_json(), "text": render_lineage(graph)}


VERBS: Mapping[str, Verb] = {
    "replay": Verb(run=_replay, line="slow"),
    "lineage": Verb(run=_lineage, line="quick"),
}
