"""Seal content that another program made: labelled, signed and checked like our own.

Whatever marks a file brings are kept: its C2PA manifest becomes an ingredient, the producer of its
AIGC label stays named, and we are the propagator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wenfang.atomic import sha256_bytes
from wenfang.checks.judging import Judge
from wenfang.engine.judging import Judged, judge_file, judge_of
from wenfang.engine.keeping import label_settings, verify_files
from wenfang.errors import CheckError, MediaError, NotFoundError, SealError, WenfangError
from wenfang.language import t
from wenfang.seal import FORMATS, Origin, Payload, Provenance, SealedFile, Sealer, emit
from wenfang.seal.formats import Format, fits, format_of, started_format
from wenfang.seal.inputs import CREDENTIAL, LABEL, SIDECARS, owner_of, read_file
from wenfang.seal.label import label_fault, parse_label
from wenfang.store import Link, Manifest, Store, home

OUTPUT = Path("out") / "sealed"
MAX_NAME_CHARACTERS = 120


@dataclass(frozen=True, kw_only=True)
class SealRequest:
    """What `seal` labels and signs.

    files      made by another program, each of a format that can be sealed
    made_with  that program or model, as it shall be named
    output     a folder for the sealed files; the given ones are never touched
    policy     a policy file for the checks, and the use that it is read for
    against    folders of material that must not be copied
    private    the store keeps nothing of it
    made_from  what they were made from, where that is known here
    """

    files: tuple[Path, ...]
    made_with: str
    output: Path = OUTPUT
    made_from: tuple[Link, ...] = ()
    policy: Path | None = None
    use: str = "default"
    against: tuple[Path, ...] = ()
    private: bool = False


def seal_job(request: SealRequest) -> dict[str, Any]:
    """The same as a job's request, with paths that are right from anywhere."""
    return {
        "files": [str(path.resolve()) for path in request.files],
        "made_with": request.made_with,
        "output": str(request.output.resolve()),
        "policy": str(request.policy.resolve()) if request.policy else "",
        "use": request.use,
        "against": [str(path.resolve()) for path in request.against],
        "private": request.private,
    }


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """One file's outcome: sealed with what was noticed on the way, or an error."""

    source: Path
    file: SealedFile | None = None
    notes: tuple[str, ...] = ()
    error: WenfangError | None = None

    def record(self) -> dict[str, Any]:
        """What a program is told of it, as JSON values."""
        return {
            "source": str(self.source),
            "file": str(self.file.path) if self.file else None,
            "sidecars": [str(path) for path in self.file.sidecars] if self.file else [],
            "manifest": self.file.manifest.id if self.file else None,
            "label": dict(self.file.label) if self.file else None,
            "notes": list(self.notes),
            "error": str(self.error) if self.error else None,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """A file from elsewhere as it came, and the marks it brought."""

    path: Path
    data: bytes
    format: Format
    label: Mapping[str, str] | None
    credential: bytes | None
    notes: tuple[str, ...]


def seal(
    request: SealRequest, on_sealed: Callable[[Sealed], None] = lambda one: None
) -> list[Sealed]:
    """Seal every file; with one, its error is raised, of several it is kept and the rest goes on.

    raises CheckError where a check of the policy blocks the content
    """
    _check_name(request.made_with)
    how = judge_of(request.policy, request.use, request.against)
    sealer = Sealer.at(home(), label_settings())
    done: list[Sealed] = []
    for path in request.files:
        try:
            one = _seal(path, request, how, sealer)
        except WenfangError as error:
            if len(request.files) == 1:
                raise
            one = Sealed(source=path, error=error)
        on_sealed(one)
        done.append(one)
    return done


def _check_name(made_with: str) -> None:
    if not made_with.strip() or not made_with.isprintable():
        raise SealError("--made-with is empty or not printable; name the program or model")
    if len(made_with) > MAX_NAME_CHARACTERS:
        raise SealError(
            "--made-with has {count} characters; at most {most} are kept",
            count=len(made_with),
            most=MAX_NAME_CHARACTERS,
        )


def _seal(path: Path, request: SealRequest, how: Judge, sealer: Sealer) -> Sealed:
    target = request.output / path.name
    found = _take(path, target)
    judged = judge_file(found.format, found.data, path.name, how)
    if judged.report is not None and judged.report.verdict.decision != "pass":
        raise CheckError(
            "{path}: not sealed, a check found: {reasons}",
            path=path,
            reasons=judged.report.verdict,
        )
    content = found.format.strip(found.data) if found.format.strip else found.data
    payload = Payload(media_type=found.format.media_type, data=content)
    manifest = _manifest(found, request, judged, payload)
    origin = Origin(
        made_with=request.made_with,
        data=found.data,
        media_type=found.format.media_type,
        label=found.label,
        credential=found.credential,
    )
    file = emit(payload, target, Provenance(manifest=manifest, origin=origin), sealer)
    if not request.private:
        with Store.open() as store:
            store.adopt([file.manifest])
    reason = file.watermark.get("none")
    notes = [*found.notes, *judged.notes, *file.notes]
    if isinstance(reason, str):
        notes.append(t("no watermark: {reason}", reason=t(reason)))
    return Sealed(source=path, file=file, notes=tuple(dict.fromkeys(notes)))


def _manifest(found: _Found, request: SealRequest, judged: Judged, payload: Payload) -> Manifest:
    facts: dict[str, Any] = {"made_with": request.made_with, "made_elsewhere": True}
    if judged.report is not None:
        facts["checks"] = judged.report.to_dict()
    if found.label is not None:
        facts["label_before"] = dict(found.label)
    if payload.content != found.data:
        facts["file_sha256_before"] = sha256_bytes(found.data)
    return Manifest(
        kind="asset",
        name=found.path.name,
        media_type=payload.media_type,
        inputs=request.made_from,
        facts=facts,
    )


def marks_of(path: Path) -> tuple[Mapping[str, str] | None, bool]:
    """The one valid label that a file brings, and whether it brings any mark, valid or not."""
    data = _bytes(path)
    chosen = format_of(path.name) or started_format(data)
    label, notes = _label(chosen, data, path) if chosen else (None, ())
    beside = any(path.with_name(path.name + one).is_file() for one in SIDECARS)
    return label, label is not None or bool(notes) or beside


def _take(path: Path, target: Path) -> _Found:
    """Read a file with its marks; a clear error for what cannot or need not be sealed."""
    if owner_of(path.name) is not None:
        raise SealError("{path} belongs to a sealed file; give the file itself", path=path)
    data = _bytes(path)
    chosen = _format(path, data)
    if target.resolve() == path.resolve():
        raise SealError("{path} would be overwritten; choose another folder with -o", path=path)
    if verify_files([path])[0].outcome == "good":
        raise SealError("{path} is sealed here already; nothing is to be done", path=path)
    label, notes = _label(chosen, data, path)
    beside = path.with_name(path.name + CREDENTIAL)
    credential = _bytes(beside) if beside.is_file() else None
    return _Found(
        path=path, data=data, format=chosen, label=label, credential=credential, notes=notes
    )


def _bytes(path: Path) -> bytes:
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise NotFoundError("{path} is not there; give a file", path=path)
    data = read_file(str(path))
    if isinstance(data, str):
        raise MediaError("{path}: {reason}", path=path, reason=data)
    return data


def _format(path: Path, data: bytes) -> Format:
    named, started = format_of(path.name), started_format(data)
    if named is None:
        raise SealError(
            "{path}: nothing here seals a file of this kind; there are: {suffixes}",
            path=path,
            suffixes=" ".join(one.suffixes[0] for one in FORMATS.values()),
        )
    if not fits(named, data):
        raise SealError(
            "{path}: the name says {named}, the content is {actual}; rename or repair it",
            path=path,
            named=named.name,
            actual=started.name if started else t("something else"),
        )
    return named


def _label(
    chosen: Format, data: bytes, path: Path
) -> tuple[Mapping[str, str] | None, tuple[str, ...]]:
    """The one valid label that the file brings; a note where it brings what cannot be kept."""
    labels: Sequence[object] = chosen.labels(data)
    beside = path.with_name(path.name + LABEL)
    if beside.is_file():
        labels = [*labels, parse_label(_bytes(beside).decode("utf-8", "replace"))]
    if not labels:
        return None, ()
    faults = [label_fault(one) for one in labels]
    first = labels[0]
    if len(labels) == 1 and faults[0] is None and isinstance(first, Mapping):
        return first, ()
    reason = faults[0] or t("{count} metadata labels; exactly one is asked", count=len(labels))
    return None, (t("the label that the file had is not kept: {reason}", reason=reason),)


def without_error(done: Sequence[Sealed]) -> int:
    """Exit code of several files: 0, or the first error's."""
    return next((one.error.exit_code for one in done if one.error), 0)
