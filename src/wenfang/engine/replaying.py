"""Replay: make a published file again from its manifest, and compare.

The payload, before labels and signature, is what is compared: a signature is never the same twice.
Everything is made in a folder that is gone afterwards; the store of this home is only read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wenfang import config
from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.backends.choosing import is_remote
from wenfang.checks.judging import Judge
from wenfang.device import DRAWING_THREADS, environment, set_threads
from wenfang.engine.asset import Asset
from wenfang.engine.generating import load_model
from wenfang.engine.painting import PictureModel
from wenfang.errors import NotFoundError, SealError
from wenfang.language import speaking, t
from wenfang.media.image import decode_image
from wenfang.scenarios import Studio, read_brief
from wenfang.scenarios.piece import OnEvent
from wenfang.seal import LabelSettings, Sealer
from wenfang.seal.inputs import owner_of
from wenfang.seal.recorded import recorded
from wenfang.store import Manifest, Store
from wenfang.version import __version__

Outcome = Literal[
    "identical", "within tolerance", "environment differs", "different", "cannot tell"
]
EXIT_CODES: dict[Outcome, int] = {
    "identical": 0,
    "within tolerance": 0,
    "different": 1,
    "environment differs": 3,
    "cannot tell": 3,
}
# Largest difference of a colour level that two environments may show (one level of 255).
PICTURE_TOLERANCE = 1 / 255


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay found for one file.

    largest_difference  of two pictures, 0..1 of the full level; None where none was measured
    differences         what of the environment differs: name -> (then, now)
    """

    path: str
    outcome: Outcome
    finding: str
    payload_sha256: str = ""
    largest_difference: float | None = None
    differences: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 identical or within tolerance, 1 different, 3 where nothing can be said."""
        return EXIT_CODES[self.outcome]

    def to_dict(self) -> dict[str, object]:
        """JSON values for `--json`."""
        values: dict[str, object] = config.to_dict(self)
        return {**values, "exit_code": self.exit_code}


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A file to be made again: its name, and its manifest's core."""

    path: str
    name: str
    manifest: Manifest
    label: LabelSettings


@dataclass(frozen=True, kw_only=True)
class _Remade:
    """One request answered again: each file's payload by its name, and the model's id."""

    payloads: Mapping[str, bytes]
    bundle: str


@dataclass(frozen=True, kw_only=True)
class ReplayRequest:
    """What `replay` makes again.

    target     a published file, a folder of them, or a piece or asset of the store
    reference  one sample at a time on one thread
    model      the folder of the model, where its name alone does not find it
    """

    target: str
    reference: bool = True
    model: str | None = None


def replay(request: ReplayRequest, on_event: OnEvent = lambda event: None) -> list[Replayed]:
    """Make a file, all files of a folder, or a piece of the store again.

    raises NotFoundError or SealError where there is nothing to replay
    """
    set_threads(DRAWING_THREADS)
    with Store.open() as store:
        found: dict[bytes, list[_Target | Replayed]] = {}
        for one in _targets(request.target, store):
            asked = one.manifest.facts.get("request") if isinstance(one, _Target) else None
            found.setdefault(canonical_json(asked), []).append(one)
        replayed: list[Replayed] = []
        for group in found.values():
            replayed += _replay_group(group, store, request, on_event)
    return replayed


def _targets(target: str, store: Store) -> Iterator[_Target | Replayed]:
    path = Path(target)
    if path.is_file():
        yield _of_file(path, store)
    elif path.is_dir():
        for one in sorted(path.iterdir()):
            if one.is_file() and owner_of(one.name) is None:
                yield _of_file(one, store)
    else:
        asset = store.resolve(target)
        links = asset.inputs if asset.kind == "piece" else ()
        for manifest in [store.manifest(link.id) for link in links] or [asset]:
            label = LabelSettings()
            name = manifest.name
            yield _Target(path=name, name=name, manifest=manifest, label=label)


def _of_file(path: Path, store: Store) -> _Target | Replayed:
    try:
        record = recorded(path)
        manifest = record.manifest or store.manifest(record.manifest_sha256)
    except NotFoundError:
        why = t("its signed manifest is not beside it, and this store does not know it")
        return Replayed(path=str(path), outcome="cannot tell", finding=why)
    except SealError as error:
        return Replayed(path=str(path), outcome="cannot tell", finding=str(error))
    return _Target(path=str(path), name=manifest.name, manifest=manifest, label=record.label)


def _replay_group(
    group: list[_Target | Replayed], store: Store, request: ReplayRequest, on_event: OnEvent
) -> list[Replayed]:
    """Replays of all files that one request made."""
    done = [one for one in group if isinstance(one, Replayed)]
    targets = [one for one in group if isinstance(one, _Target)]
    if not targets:
        return done
    asked = targets[0].manifest.facts.get("request")
    if not isinstance(asked, Mapping):
        return [*done, *(_untold(one) for one in targets)]
    if not request.model and (writer := _remote_writer(asked)):
        return [*done, *(_unasked(one, writer) for one in targets)]
    if voice := next(filter(is_remote, _engines(asked)), ""):
        return [*done, *(_unheard(one, voice) for one in targets)]
    try:
        remade = _remake(asked, targets[0], request, on_event)
    except NotFoundError as error:
        why = t("{error}; or name the model's folder with --model", error=error)
        lost: Outcome = "environment differs"
        return [*done, *(Replayed(path=one.path, outcome=lost, finding=why) for one in targets)]
    return [*done, *(_compare(one, remade, store) for one in targets)]


def _untold(target: _Target) -> Replayed:
    facts = target.manifest.facts
    if facts.get("made_elsewhere"):
        finding = t("made with {name}, not here", name=facts.get("made_with"))
    else:
        finding = t("its request was left out when it was made (--private)")
    return Replayed(path=target.path, outcome="cannot tell", finding=finding)


def _remote_writer(asked: Mapping[str, Any]) -> str:
    """The endpoint that a request names as its writer, or nothing."""
    brief = asked.get("brief")
    named = asked.get("model") or (brief.get("writer") if isinstance(brief, Mapping) else None)
    return "".join(filter(str.isprintable, named)) if is_remote(named) else ""


def _unasked(target: _Target, writer: str) -> Replayed:
    """The file may be a stranger's: nothing is sent where it says, least of all a key."""
    finding = t(
        "{name} wrote it, and an endpoint is asked only where you name it yourself: --model {name}",
        name=writer,
    )
    return Replayed(path=target.path, outcome="cannot tell", finding=finding)


def _engines(asked: object) -> Iterator[object]:
    """What a request names as its voice engine, in settings or brief."""
    if isinstance(asked, Mapping):
        for name, value in asked.items():
            if str(name).endswith("engine"):
                yield value
            yield from _engines(value)
    elif isinstance(asked, list | tuple):
        for value in asked:
            yield from _engines(value)


def _unheard(target: _Target, voice: str) -> Replayed:
    """No voice of another machine is asked because a file says so."""
    name = "".join(filter(str.isprintable, voice))
    finding = t("{name} read it aloud, and a replay asks no endpoint for a voice", name=name)
    return Replayed(path=target.path, outcome="cannot tell", finding=finding)


def _remake(
    asked: Mapping[str, Any], target: _Target, request: ReplayRequest, on_event: OnEvent
) -> _Remade:
    with tempfile.TemporaryDirectory(prefix="wenfang-") as folder, _speaking(asked.get("language")):
        if "brief" in asked:
            how = request if request.model else replace(request, model=asked.get("model"))
            return _remake_piece(asked, target, Path(folder), how, on_event)
        model = load_model(request.model or str(asked["model"]), reference=request.reference)
        made: Asset
        if "seeds" in asked and isinstance(model, PictureModel):
            seeds = tuple(map(int, asked["seeds"]))
            made = model.sheet(str(asked["prompt"]), seeds, asked["settings"])
        else:
            made = model.draw(str(asked["prompt"]), (int(asked["seed"]),), asked["settings"])[0]
        payload = made.payload(target.manifest.media_type)
        bundle = model.bundle_id
        return _Remade(payloads={target.name: payload.content}, bundle=bundle)


def _remake_piece(
    asked: Mapping[str, Any], target: _Target, folder: Path, how: ReplayRequest, on_event: OnEvent
) -> _Remade:
    scenario, brief = read_brief(asked["brief"], "request")
    # A report tells of its files' watermarks, so they are made again too.
    label = replace(target.label, watermark=bool(asked.get("watermark", True)))
    with Store.open(folder / "store") as store:
        studio = Studio(
            store=store,
            sealer=Sealer.at(folder / "home", label),
            output=folder / "piece",
            fresh=True,
            reference=how.reference,
            model=how.model,
            judge=Judge.recalled(asked.get("judge")),
            on_event=on_event,
        )
        piece = scenario.run(brief, studio)
        payloads = {one.path.name: store.read(one.manifest.id) for one in piece.files}
    links = [link for one in piece.files for link in one.manifest.inputs if link.role == "bundle"]
    return _Remade(payloads=payloads, bundle=links[0].id if links else "")


@contextmanager
def _speaking(language: object) -> Iterator[None]:
    """The language of messages in which the request was answered: a report is written in it."""
    if not language:
        yield
        return
    with speaking(str(language)):
        yield


def _compare(target: _Target, remade: _Remade, store: Store) -> Replayed:
    payload = remade.payloads.get(target.name)
    if payload is None:
        finding = t("the request does not make a file of this name any more")
        return Replayed(path=target.path, outcome="different", finding=finding)
    digest = sha256_bytes(payload)
    if digest == target.manifest.payload_sha256:
        finding = t("made again, bit for bit the same payload")
        return Replayed(
            path=target.path, outcome="identical", finding=finding, payload_sha256=digest
        )
    differences = _differences(target.manifest, remade.bundle)
    measure = _picture_difference(target.manifest, payload, store)
    if measure is not None and measure <= PICTURE_TOLERANCE:
        outcome: Outcome = "within tolerance"
        finding = t("no colour level differs by more than {levels} of 255", levels=measure * 255)
    elif differences:
        outcome = "environment differs"
        changes = (f"{name} {then} → {now}" for name, (then, now) in differences.items())
        finding = t("the environment differs: {what}", what=", ".join(changes))
    else:
        outcome, finding = "different", t("the same request makes another payload here")
    return Replayed(
        path=target.path,
        outcome=outcome,
        finding=finding,
        payload_sha256=digest,
        largest_difference=measure,
        differences=differences,
    )


def _differences(manifest: Manifest, bundle: str) -> dict[str, tuple[str, str]]:
    """What of the recorded environment is otherwise now."""
    recorded_facts = manifest.facts.get("environment")
    then = dict(recorded_facts) if isinstance(recorded_facts, Mapping) else {}
    now: dict[str, object] = dict(environment())
    then["wenfang"], now["wenfang"] = manifest.version, __version__
    asked = manifest.facts.get("request")
    judged = asked.get("judge") if isinstance(asked, Mapping) else None
    if isinstance(judged, Mapping) and judged.get("compared"):
        then["folders"], now["folders"] = "compared", "not compared"
    models = [link.id for link in manifest.inputs if link.role == "bundle"]
    if models and bundle:
        then["model"], now["model"] = models[0][:12], bundle[:12]
    return {
        name: (str(then.get(name, "-")), str(now.get(name, "-")))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    }


def _picture_difference(manifest: Manifest, payload: bytes, store: Store) -> float | None:
    """Largest difference of two pictures' levels, 0..1; None where the first is not at hand."""
    if not manifest.media_type.startswith("image/"):
        return None
    try:
        before = np.asarray(decode_image(store.read(manifest.id)), np.int16)
    except NotFoundError:
        return None
    after = np.asarray(decode_image(payload), np.int16)
    if before.shape != after.shape:
        return None
    return float(np.abs(before - after).max()) / 255
