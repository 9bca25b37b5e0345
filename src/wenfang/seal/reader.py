"""Is a file ours, unchanged and labelled? One finding a layer, one verdict a file.

Nothing here says that something was made by a person: the absence of a label proves nothing.
A stranger's valid key is "not ours"; only certificates under `trust_roots` are trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wenfang.atomic import sha256_bytes
from wenfang.language import keyed, t
from wenfang.seal import statement as statements
from wenfang.seal.credential import Credential, read_credential
from wenfang.seal.formats import Format, fits, format_of, started_format, without
from wenfang.seal.formats.contract import Trace, visible_layer
from wenfang.seal.inputs import CREDENTIAL, LABEL, STATEMENT, Item, items
from wenfang.seal.label import label_fault, parse_label, sidecar_json
from wenfang.seal.layers import Layer, LayerName, Status, Verdict, judge, undecided
from wenfang.seal.strict import strict_faults
from wenfang.seal.trust import Trust

SURE = 1e-6  # chance at which a mark that nothing recorded is said to be there
ENOUGH = 1e-3  # the same for one that the seal records


def verify(
    paths: Iterable[Path], trust_roots: Sequence[bytes] = (), *, strict: bool = False
) -> list[Verdict]:
    """Examine files, folders and zip archives against root certificates (PEM).

    Give `identity.own_roots(home)` for files made here, and others' roots beside it.
    strict: a publisher's gate; a good file must also have all that `seal.strict` names
    raises NotFoundError for a path that does not exist
    """
    trust = Trust.of(trust_roots)
    found = items(paths)
    return [one if isinstance(one, Verdict) else examine(one, trust, strict) for one in found]


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    """What was read of one item, before it is judged."""

    item: Item
    format: Format | None
    named: Format | None
    manifest: statements.Reading
    credential: Credential

    @property
    def embedded(self) -> bool:
        """A trusted credential inside the file, which holds without any sidecar."""
        inside = self.format is not None and self.format.credential == "embedded"
        return inside and self.credential.state == "trusted"

    @property
    def claims(self) -> Mapping[str, Any]:
        """What the seal says of the file: the signed manifest, else the credential."""
        return self.manifest.statement or self.credential.claims or {}


def examine(item: Item, trust: Trust, strict: bool = False) -> Verdict:
    """The verdict on one file with its sidecars."""
    chosen, named = _format(item)
    if chosen is None and not item.sidecars:
        return undecided(item.name, t("a kind of file that nothing here reads"))
    evidence = _Evidence(
        item=item,
        format=chosen,
        named=named,
        manifest=statements.read(item.sidecars.get(STATEMENT), trust),
        credential=_credential(item, chosen, trust),
    )
    metadata, visible = _metadata(evidence), _visible(evidence)
    layers = (
        visible,
        metadata,
        _credential_layer(evidence),
        _watermark(evidence),
        _hashes(evidence, metadata),
        _manifest(evidence),
    )
    verdict = judge(item.name, layers)
    faults = strict_faults(evidence.manifest.statement) if strict else ()
    if verdict.outcome == "good" and faults:
        return Verdict(
            path=item.name, outcome="cannot tell", summary="; ".join(faults), layers=layers
        )
    return verdict


def _format(item: Item) -> tuple[Format | None, Format | None]:
    """What the content is, and what the name says it is."""
    named = format_of(item.name)
    if named is not None and fits(named, item.data):
        return named, named
    return started_format(item.data) or named, named


def _credential(item: Item, chosen: Format | None, trust: Trust) -> Credential:
    detached = item.sidecars.get(CREDENTIAL)
    if chosen is not None and chosen.credential == "embedded":
        found = read_credential(item.data, chosen.media_type, None, trust.roots)
    elif detached is not None:
        found = read_credential(item.data, "", detached, trust.roots)
    else:
        return Credential(state="absent")
    if found.state == "trusted" and trust.revokes(found.serial):
        return replace(found, state="revoked")
    return found


def _visible(evidence: _Evidence) -> Layer:
    if evidence.format is None:
        return visible_layer("unknown", t("nothing here reads this kind of file"))
    recorded = evidence.claims.get("visible")
    known = recorded if isinstance(recorded, Mapping) else None
    return evidence.format.measure(evidence.item.data, known)


def _layer(name: LayerName, status: Status, finding: str, **facts: object) -> Layer:
    return Layer(name=name, status=status, finding=finding, facts=facts)


def _metadata(evidence: _Evidence) -> Layer:
    """Exactly one label, valid, and the one that was sealed."""
    sidecar = evidence.item.sidecars.get(LABEL)
    labels = evidence.format.labels(evidence.item.data) if evidence.format else []
    if evidence.format is None or evidence.format.write is None:
        if sidecar is None:
            return _layer("metadata", "unknown", t("the label's sidecar is not beside the file"))
        labels = [*labels, parse_label(sidecar.decode("utf-8", "replace"))]
    if not labels:
        return _layer("metadata", "unlabelled", t("no metadata label was found"))
    if len(labels) > 1:
        several = t("{count} metadata labels; exactly one is asked", count=len(labels))
        return _layer("metadata", "unlabelled", several)
    label, expected = labels[0], evidence.claims.get("label")
    if expected is not None and (label != expected or _edited(sidecar, expected)):
        return _layer("metadata", "tampered", t("the metadata label is not the one sealed"))
    if fault := label_fault(label):
        return _layer("metadata", "unlabelled", fault)
    maker = label["ContentProducer"] if isinstance(label, dict) else ""
    finding = t("one metadata label, by {maker}", maker=maker)
    return _layer("metadata", "good", finding, label=label)


def _edited(sidecar: bytes | None, expected: dict[str, str]) -> bool:
    """True if the label's sidecar says the same in other bytes."""
    return sidecar is not None and sidecar != sidecar_json(expected)


def _credential_layer(evidence: _Evidence) -> Layer:
    credential, statement = evidence.credential, evidence.manifest.statement
    texts: dict[str, tuple[Status, str]] = {
        "trusted": ("good", t("the credential is signed by a trusted key")),
        "expired": ("unknown", t("the credential's certificate is out of date")),
        "foreign": (
            "foreign",
            t(
                "the credential is signed with a key that is not trusted here ({maker})",
                maker=credential.made_by,
            ),
        ),
        "revoked": ("foreign", t("the credential's key was revoked by its owner")),
        "tampered": ("tampered", t("the credential does not fit the file or is damaged")),
        "absent": ("unknown", t("no credential is in the file or beside it")),
    }
    status, finding = texts[credential.state]
    if statement is not None and credential.state != "absent" and status != "tampered":
        claimed = (credential.claims or {}).get("manifest_sha256")
        sealed = (statement.get("credential") or {}).get("sha256")
        sidecar = evidence.item.sidecars.get(CREDENTIAL)
        if claimed != statement["manifest_sha256"]:
            status, finding = "tampered", t("the credential is that of another manifest")
        elif sealed is not None and sidecar is not None and sha256_bytes(sidecar) != sealed:
            status, finding = "tampered", t("the credential's sidecar was changed")
    return _layer(
        "credential",
        status,
        finding,
        generated=credential.generated,
        made_by=credential.made_by,
        history=list(credential.history),
        codes=list(credential.codes),
    )


def _watermark(evidence: _Evidence) -> Layer:
    """The watermark against the one recorded; where nothing is recorded, it is searched for."""
    recorded = evidence.claims.get("watermark")
    known = recorded if isinstance(recorded, Mapping) else {}
    reason, pointer = known.get("none"), known.get("pointer")
    if isinstance(reason, str):
        return _layer("watermark", "none", t("no watermark: {reason}", reason=t(reason)))
    kind = known.get("kind")
    if evidence.format is None or evidence.format.trace is None or (evidence.claims and not kind):
        return _layer("watermark", "none", t("this kind of file holds no watermark"))
    # An unchanged file needs no search for sizes, angles and cuts.
    search = evidence.credential.state not in ("trusted", "foreign", "revoked")
    trace = evidence.format.trace(evidence.item.data, search)
    wordless = pointer is None and trace.pointer is None
    return _presence(trace, kind) if wordless else _traced(trace, pointer)


def _presence(trace: Trace, kind: object) -> Layer:
    """A mark without a message, as texts carry it."""
    facts = {**trace.facts, "pointer": None, "p_value": trace.p_value}
    if trace.p_value > (ENOUGH if kind else SURE):
        if kind:
            lost = t("the watermark is not found any more")
            return _layer("watermark", "unknown", lost, **facts)
        return _layer("watermark", "none", t("no watermark was found"), **facts)
    finding = t(
        "a watermark of this program is found (p = {chance})", chance=f"{trace.p_value:.1e}"
    )
    return _layer("watermark", "good" if kind else "unknown", finding, **facts)


def _traced(trace: Trace, recorded: object) -> Layer:
    facts = {**trace.facts, "pointer": trace.pointer, "p_value": trace.p_value}
    if trace.pointer is None:
        return _layer("watermark", "unknown", t("the watermark is not found any more"), **facts)
    finding = t("a watermark points to manifest {pointer}", pointer=trace.pointer)
    if recorded is None:
        return _layer("watermark", "unknown", finding, **facts)
    others = trace.facts.get("others")
    # A picture that was sealed before may show its earlier, stronger mark first.
    if trace.pointer != recorded and not (isinstance(others, list | tuple) and recorded in others):
        finding = t("the watermark points to another manifest, {pointer}", pointer=trace.pointer)
        return _layer("watermark", "tampered", finding, **facts)
    return _layer("watermark", "good", finding, **facts)


def _hashes(evidence: _Evidence, metadata: Layer) -> Layer:
    """The file's bytes against the statement, and the payload's without the labels put in."""
    statement, named = evidence.manifest.statement, evidence.named
    if named is not None and evidence.format is not named:
        actual = evidence.format.name if evidence.format else "?"
        finding = t(
            "the name says {named}, the content is {actual}", named=named.name, actual=actual
        )
        return _layer("hashes", "unknown", finding)
    if statement is None and evidence.credential.state == "trusted":
        return _layer("hashes", "good", t("the credential covers the file's bytes"))
    if statement is None:
        return _layer("hashes", "unknown", t("nothing that is trusted tells the file's hash"))
    actual = sha256_bytes(evidence.item.data)
    if actual != statement.get("file_sha256"):
        gone = _removed(evidence, metadata)
        finding = t("the file is not the one that was sealed, or was changed since")
        if gone:
            finding = t(
                "the file was saved again: {marks} were removed", marks=", ".join(map(t, gone))
            )
        return _layer("hashes", "tampered", finding, file_sha256=actual, removed=list(gone))
    spans = statement.get("inserted")
    if spans is None:
        finding = t("the file is the one sealed (its label is drawn: no payload to compare)")
        return _layer("hashes", "good", finding, file_sha256=actual)
    try:
        payload = sha256_bytes(without(evidence.item.data, spans))
    except (ValueError, TypeError):
        payload = ""
    if payload != statement.get("payload_sha256"):
        finding = t("the text without its labels is not the payload that was sealed")
        return _layer("hashes", "tampered", finding, payload_sha256=payload)
    finding = t("file and payload are the ones sealed")
    return _layer("hashes", "good", finding, file_sha256=actual, payload_sha256=payload)


def _removed(evidence: _Evidence, metadata: Layer) -> tuple[str, ...]:
    """Marks that the sealed file had and this one lacks, as a re-save or a remux leaves it."""
    chosen = evidence.format
    if chosen is None:
        return ()
    inside = chosen.credential == "embedded" and evidence.credential.state == "absent"
    lost = chosen.write is not None and metadata.status == "unlabelled"
    found = (
        (keyed("the credential"), inside),
        (keyed("the metadata label"), lost and not metadata.facts),
    )
    return tuple(name for name, gone in found if gone)


def _manifest(evidence: _Evidence) -> Layer:
    if evidence.item.sidecars.get(STATEMENT) is None and evidence.embedded:
        finding = t("not beside the file; the credential inside stands in for it")
        return _layer("manifest", "good", finding)
    return evidence.manifest.layer
