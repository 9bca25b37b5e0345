"""What the seal of a published file records of its making: for replay, not for judging it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wenfang.config import from_dict
from wenfang.errors import SealError
from wenfang.seal import statement as statements
from wenfang.seal.credential import read_credential
from wenfang.seal.formats import format_of
from wenfang.seal.inputs import CREDENTIAL, STATEMENT, read_file
from wenfang.seal.label import LabelSettings
from wenfang.seal.trust import Trust
from wenfang.store import Manifest


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a seal tells of a file.

    manifest         the core of its signed manifest; None where only the credential is left
    manifest_sha256  the core's id, by which a store knows it
    payload_sha256   of the content before labels
    label            whose name the labels carry
    """

    manifest: Manifest | None
    manifest_sha256: str
    payload_sha256: str
    label: LabelSettings


def recorded(path: Path) -> Recorded:
    """The record of a published file; SealError where it has none or it was edited."""
    beside = path.with_name(path.name + STATEMENT)
    if beside.is_file():
        content = read_file(str(beside))
        reading = statements.read(content if isinstance(content, bytes) else b"", Trust.of(()))
        if reading.statement is None:
            raise SealError("{path}: {finding}", path=beside, finding=reading.layer.finding)
        statement = reading.statement
        manifest = from_dict(Manifest, statement["manifest"], where=str(beside), error=SealError)
        return Recorded(
            manifest=manifest,
            manifest_sha256=str(statement["manifest_sha256"]),
            payload_sha256=str(statement["payload_sha256"]),
            label=_label(statement.get("producer")),
        )
    return _from_credential(path)


def _label(producer: object) -> LabelSettings:
    known = producer if isinstance(producer, Mapping) else {}
    return LabelSettings(
        producer_name=str(known.get("name") or "Wenfang"),
        producer_code=str(known["code"]) if known.get("code") else None,
    )


def _from_credential(path: Path) -> Recorded:
    chosen, data = format_of(path.name), read_file(str(path))
    beside = read_file(str(path) + CREDENTIAL) if Path(str(path) + CREDENTIAL).is_file() else None
    if isinstance(data, bytes) and (chosen is not None or isinstance(beside, bytes)):
        media_type = chosen.media_type if chosen else ""
        detached = beside if isinstance(beside, bytes) else None
        claims = read_credential(data, media_type, detached, ()).claims or {}
        if claims:
            return Recorded(
                manifest=None,
                manifest_sha256=str(claims.get("manifest_sha256")),
                payload_sha256=str(claims.get("payload_sha256")),
                label=LabelSettings(),
            )
    raise SealError(
        "{path} has no seal of this program in it or beside it, so nothing says how it was made",
        path=path,
    )
