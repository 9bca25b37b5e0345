"""The only writer of published files: label, sign, read back, and then let the file appear.

Fixed order, since a label written after signing breaks the signature: hash of the unlabelled
payload, visible label, metadata label, credential, signed manifest. All of it is written into a
folder beside the destination and verified from the disk; then the sidecars are renamed into place
and the file last. On any failure nothing appears.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from wenfang.atomic import TEMPORARY_PREFIX, disk_errors, sha256_bytes
from wenfang.config import to_dict
from wenfang.errors import SealError
from wenfang.language import keyed
from wenfang.media.text_marks import SHORTEST_TOKENS
from wenfang.seal import statement as statements
from wenfang.seal.credential import (
    Claim,
    sign_detached,
    sign_embedded,
    sign_in_room,
)
from wenfang.seal.formats import FORMATS, Drawn, Format, Marking
from wenfang.seal.formats.contract import Span
from wenfang.seal.identity import SELF_MADE, Identity
from wenfang.seal.inputs import CREDENTIAL, LABEL, SIDECARS, STATEMENT
from wenfang.seal.label import LabelSettings, new_label, sidecar_json
from wenfang.seal.layers import Verdict
from wenfang.seal.payload import Payload, Provenance
from wenfang.seal.reader import ENOUGH, verify
from wenfang.store.manifest import Manifest
from wenfang.store.place import offline

WORKPLACE = f"{TEMPORARY_PREFIX}seal-"
TOO_SHORT = keyed("the text is too short for a watermark")
POINTER_DIGITS = 12  # of the manifest's id, which an invisible watermark points to


@dataclass(frozen=True, kw_only=True)
class Sealer:
    """Who signs and how files are labelled."""

    identity: Identity
    label: LabelSettings = field(default_factory=LabelSettings)

    @classmethod
    def at(cls, home: Path, label: LabelSettings | None = None) -> Sealer:
        """A sealer with the identity under `home`, made on first use; raises IdentityError."""
        return cls(identity=Identity.open_or_create(home), label=label or LabelSettings())


@dataclass(frozen=True, kw_only=True)
class SealedFile:
    """A published file: its sidecars, both hashes, the completed manifest, and what to report."""

    path: Path
    sidecars: tuple[Path, ...]
    manifest: Manifest
    payload_sha256: str
    file_sha256: str
    label: Mapping[str, str]
    visible: Mapping[str, object]
    watermark: Mapping[str, object]
    notes: tuple[str, ...]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class _Marked:
    """A labelled file with its credential, before it is written."""

    drawn: Drawn
    label: dict[str, str]
    data: bytes
    detached: bytes | None


def emit(payload: Payload, path: Path, provenance: Provenance, sealer: Sealer) -> SealedFile:
    """Publish `payload` at `path`, sealed; SealError if it cannot be, and then nothing appears."""
    chosen = _format(payload, path)
    core = _core(payload, provenance.manifest, path)
    marked = _mark(_Work(payload, chosen, core, provenance, path), sealer)
    statement = _statement(chosen, core, marked, sealer)
    files = {STATEMENT: statements.render(statement, sealer.identity)}
    if marked.detached is not None:
        files[CREDENTIAL] = marked.detached
    if chosen.write is None:
        files[LABEL] = sidecar_json(marked.label)
    verdict = _publish(path, {**files, "": marked.data}, sealer.identity)
    note = sealer.label.report()["note"]
    return SealedFile(
        path=path,
        sidecars=tuple(path.with_name(path.name + suffix) for suffix in files),
        manifest=core,
        payload_sha256=str(core.payload_sha256),
        file_sha256=sha256_bytes(marked.data),
        label=marked.label,
        visible=marked.drawn.visible,
        watermark=marked.drawn.watermark,
        notes=tuple(str(one) for one in (sealer.identity.show()["description"], note) if one),
        verdict=verdict,
    )


def _format(payload: Payload, path: Path) -> Format:
    chosen = FORMATS.get(payload.media_type)
    if chosen is None:
        raise SealError(
            "{name}: {media_type} cannot be sealed; the formats are {formats}",
            name=path.name,
            media_type=payload.media_type,
            formats=", ".join(FORMATS),
        )
    if path.suffix.lower() not in chosen.suffixes:
        raise SealError(
            "{name}: a file of {media_type} must end in {suffixes}",
            name=path.name,
            media_type=payload.media_type,
            suffixes=" or ".join(chosen.suffixes),
        )
    return chosen


def _core(payload: Payload, manifest: Manifest, path: Path) -> Manifest:
    """The manifest with the payload's hash; SealError if it is that of other content."""
    digest = sha256_bytes(payload.content)
    if manifest.payload_sha256 not in (None, digest) or manifest.media_type != payload.media_type:
        raise SealError("{name}: its manifest describes other content", name=path.name)
    return replace(manifest, payload_sha256=digest, payload_bytes=len(payload.content))


class _Work(NamedTuple):
    """What is being sealed."""

    payload: Payload
    chosen: Format
    core: Manifest
    provenance: Provenance
    path: Path


def _mark(work: _Work, sealer: Sealer) -> _Marked:
    """Visible label, metadata label, credential, in this order."""
    chosen, core, origin = work.chosen, work.core, work.provenance.origin
    marking = Marking(settings=sealer.label, pointer=core.id[:POINTER_DIGITS])
    drawn = chosen.draw(work.payload.drawable, marking)
    made = work.provenance.watermark
    if made is None and chosen.name in ("text", "markdown") and len(drawn.data) < SHORTEST_TOKENS:
        made = {"none": TOO_SHORT}
    if made is not None and drawn.inserted is not None:
        drawn = replace(drawn, watermark=_text_mark(made, chosen, drawn))
    label = new_label(sealer.label, core.id, origin.label if origin else None)
    if chosen.write is not None:
        drawn = chosen.write(drawn, label)
    claim = Claim(
        title=work.path.name,
        version=core.version,
        assertion={
            "manifest_sha256": core.id,
            "payload_sha256": core.payload_sha256,
            "label": label,
            "visible": drawn.visible,
            "watermark": drawn.watermark,
        },
        made_with=origin.made_with if origin else None,
        parent=origin.parent if origin else None,
        timestamp_url=_timestamp_url(sealer.label),
    )
    if chosen.room is not None:
        data = sign_in_room(partial(chosen.room, drawn.data), claim, sealer.identity)
        drawn = replace(drawn, inserted=_behind(work.payload, data))
        return _Marked(drawn=drawn, label=label, data=data, detached=None)
    if chosen.credential == "embedded":
        data = sign_embedded(drawn.data, chosen.media_type, claim, sealer.identity)
        return _Marked(drawn=replace(drawn, inserted=None), label=label, data=data, detached=None)
    detached = sign_detached(drawn.data, claim, sealer.identity)
    return _Marked(drawn=drawn, label=label, data=drawn.data, detached=detached)


def _text_mark(made: Mapping[str, object], chosen: Format, drawn: Drawn) -> Mapping[str, object]:
    """The mark that a text was drawn with, if its words left enough choice to show it."""
    if "kind" not in made or chosen.trace is None:
        return made
    if chosen.trace(drawn.data, False).p_value > ENOUGH:
        return {"none": keyed("the text left too little choice to hold a watermark")}
    return made


def _behind(payload: Payload, data: bytes) -> tuple[Span, ...] | None:
    """What stands behind a payload that is still the file's beginning."""
    if not isinstance(payload.data, bytes) or not data.startswith(payload.data):
        return None
    start = len(payload.data)
    return (Span(offset=start, length=len(data) - start),)


def _timestamp_url(settings: LabelSettings) -> str | None:
    """The authority to ask; SealError where the user forbade the network."""
    if settings.timestamp_url and offline():
        raise SealError(
            "timestamp_url {url} needs the network, and WENFANG_OFFLINE=1 forbids it; "
            "take it out of label.json or unset WENFANG_OFFLINE",
            url=settings.timestamp_url,
        )
    return settings.timestamp_url


def _statement(
    chosen: Format, core: Manifest, marked: _Marked, sealer: Sealer
) -> dict[str, object]:
    """The fields of the signed manifest; see `statement.py`."""
    detached = None if marked.detached is None else sha256_bytes(marked.detached)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    fields: dict[str, object] = {
        "manifest": core,
        "manifest_sha256": core.id,
        "media_type": chosen.media_type,
        "payload_sha256": core.payload_sha256,
        "file_sha256": sha256_bytes(marked.data),
        "file_bytes": len(marked.data),
        "inserted": _spans(marked.drawn),
        "label": marked.label,
        "visible": marked.drawn.visible,
        "watermark": marked.drawn.watermark,
        "credential": {"form": chosen.credential, "sha256": detached},
        "producer": {"name": sealer.label.producer_name, "code": sealer.label.producer_code},
        "generator": {"name": "Wenfang", "version": core.version},
        "identity": SELF_MADE,
        "sealed_at": now.isoformat(),
        "certificate": sealer.identity.signer.decode("ascii"),
    }
    return {name: to_dict(value) for name, value in fields.items()}


def _spans(drawn: Drawn) -> list[list[object]] | None:
    return None if drawn.inserted is None else [span.to_json() for span in drawn.inserted]


def _publish(path: Path, files: Mapping[str, bytes], identity: Identity) -> Verdict:
    """Write all files beside `path`, read them back, and rename them into place."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _workplace(path.parent) as folder:
            for suffix, content in files.items():
                _write(folder / (path.name + suffix), content)
            verdict = _read_back(folder / path.name, identity)
            _place(folder, path, files)
    return replace(verdict, path=str(path))


@contextmanager
def _workplace(parent: Path) -> Iterator[Path]:
    """A folder beside the destination, locked while its owner lives.

    What a killed writer left is known by its lock being free, and is cleared away.
    """
    with _only_writer(parent):
        for left in parent.glob(f"{WORKPLACE}*"):
            _clear_abandoned(left)
        folder = Path(tempfile.mkdtemp(prefix=WORKPLACE, dir=parent))
        owned = os.open(folder, os.O_RDONLY)
        fcntl.flock(owned, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owned)


def _clear_abandoned(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # gone in this moment, or not a folder of ours
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _read_back(path: Path, identity: Identity) -> Verdict:
    """The verdict of `verify` on what lies on the disk now; SealError unless all is good."""
    verdict = verify([path], (identity.root,))[0]
    if verdict.outcome != "good":
        raise SealError(
            "{name}: what was written does not read back as sealed ({finding}); "
            "nothing was published",
            name=path.name,
            finding=verdict.summary,
        )
    return verdict


def _place(folder: Path, path: Path, files: Mapping[str, bytes]) -> None:
    """Rename the sidecars and then the file; a file of that name goes first, with its sidecars.

    Killed in between, sidecars may lie without their file, but never a file without its seal.
    """
    placed: list[Path] = []
    with _only_writer(path.parent):
        for suffix in ("", *SIDECARS):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        try:
            for suffix in (*(one for one in files if one), ""):
                name = path.name + suffix
                os.replace(folder / name, path.parent / name)
                placed.append(path.parent / name)
        finally:
            if len(placed) < len(files):
                for one in placed:
                    one.unlink(missing_ok=True)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder while files are renamed into it, then flush it to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
