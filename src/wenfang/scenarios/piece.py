"""What a scenario works with, and what it gives back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.checks.judging import Judge
from wenfang.config import to_dict
from wenfang.errors import BriefError
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


class Brief(Protocol):
    """What every brief has, whatever is made of it."""

    @property
    def scenario(self) -> str:
        """Which scenario it is for."""
        ...

    @property
    def subject(self) -> str:
        """What it is about, as the store calls it."""
        ...


def require_known(name: str, value: str, known: Iterable[str]) -> None:
    """BriefError for a field of a brief that names none of what there is; "" leaves it open."""
    names = [*known]
    if value and value not in names:
        raise BriefError(
            "{name} is {value}; choose one of {known}",
            name=name,
            value=value,
            known=", ".join(names),
        )


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


def keep_brief(brief: Brief, studio: Studio) -> Manifest:
    """The brief in the store."""
    payload = json.dumps(to_dict(brief), ensure_ascii=False, sort_keys=True).encode()
    manifest = Manifest(kind="brief", name=brief.subject, media_type="application/json")
    return studio.store.put(payload, manifest)


def keep_piece(brief: Brief, studio: Studio, files: list[SealedFile]) -> Manifest:
    """The piece in the store, by the key of its brief."""
    manifest = Manifest(
        kind="piece",
        name=brief.subject,
        media_type="application/x-wenfang-piece",
        inputs=tuple(Link(role=file.path.name, id=file.manifest.id) for file in files),
        key=piece_key(studio, brief),
        facts={"scenario": brief.scenario},
    )
    return studio.store.put(None, manifest)
