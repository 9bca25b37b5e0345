"""What a scenario works with, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.checks.judging import Judge
from wenfang.config import to_dict
from wenfang.language import language
from wenfang.seal import Payload, Provenance, SealedFile, Sealer, emit, sealed_id
from wenfang.store import Link, Manifest, Store
from wenfang.version import __version__

# Part of every step's key: raise it when the same request would be answered differently.
CODE_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Progress of a creation: which step, and how many of how many are done."""

    step: str
    done: int
    of: int


OnEvent = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class Studio:
    """Where a scenario stores, publishes and signs.

    fresh       make every step again, even if the store has its result
    commercial  refuse models whose material forbids commercial use
    private     publish nothing of the brief: manifests and report leave the request out
    reference   compute one sample at a time, as a replay does
    model       name or folder of another bundle than the scenario's own
    judge       the checks as a policy wants them
    """

    store: Store
    sealer: Sealer
    output: Path
    fresh: bool = False
    commercial: bool = False
    private: bool = False
    reference: bool = False
    model: str | None = None
    judge: Judge = field(default_factory=Judge)
    on_event: OnEvent = field(default=lambda event: None)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The files that answer one brief.

    manifest  of the piece in the store: its inputs are the files' assets
    facts     what the scenario wants shown (a poem's lines, its checks)
    """

    name: str
    text: str
    files: tuple[SealedFile, ...]
    manifest: Manifest
    facts: dict[str, Any]


def request_facts(studio: Studio, brief: object) -> dict[str, Any]:
    """What a replay needs to make the piece again; nothing of it where the piece is private."""
    if studio.private:
        return {}
    return {
        "request": {
            "brief": to_dict(brief),
            "model": studio.model,
            "language": language(),
            "watermark": studio.sealer.label.watermark,
            "judge": studio.judge.record(),
        },
    }


def step_key(step: str, *inputs: object) -> str:
    """The key by which a step's result is found again."""
    return sha256_bytes(canonical_json([CODE_VERSION, __version__, step, *inputs]))


def piece_key(studio: Studio, brief: object) -> str:
    """The key of a whole piece."""
    return step_key("piece", to_dict(brief), studio.model, studio.judge.record())


def is_done(studio: Studio, brief: object) -> bool:
    """Whether the output folder already holds the finished piece of this brief."""
    found = studio.store.find(piece_key(studio, brief))
    return found is not None and all(
        sealed_id(studio.output / link.role) == link.id for link in found.inputs
    )


def publish(
    studio: Studio, name: str, payload: Payload, inputs: tuple[Link, ...], facts: dict[str, Any]
) -> SealedFile:
    """Seal one file of a piece into the output folder, and keep its payload in the store."""
    core = Manifest(
        kind="asset", name=name, media_type=payload.media_type, inputs=inputs, facts=facts
    )
    sealed = emit(payload, studio.output / name, Provenance(manifest=core), studio.sealer)
    studio.store.put(payload.content, sealed.manifest)
    return sealed
