"""The C2PA credential: signed offline into a file, or beside it for formats that cannot hold one.

c2pa-python 0.38. Its assertion ASSERTION holds the hash of the manifest's core and what a reader
of the lone file needs: the label and where the visible label is. No time-stamp authority and no
network: remote manifests and OCSP are switched off.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from wenfang.atomic import canonical_json
from wenfang.errors import SealError
from wenfang.seal.identity import ALGORITHM, Identity

ASSERTION = "org.wenfang.seal"
HASH = "c2pa.hash.data"
ROOM_TRIES = 8
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# A detached credential covers plain bytes: naming a text format would let the library guess.
DETACHED = "application/octet-stream"
PARENT = "parent.c2pa"  # resource name of a parent's detached credential
JUMBF = b"jumb"  # the box type that every embedded C2PA manifest begins with
IN_SVG = b":manifest"  # the element that holds it, in Base64, in an SVG
MAX_CREDENTIAL_BYTES = 16 << 20

Room = Callable[[int], tuple[bytes, int]]  # bytes to keep free -> the file with them, their offset
State = Literal["trusted", "expired", "foreign", "revoked", "tampered", "absent"]


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What a credential says and whether it holds.

    state     trusted: signed under one of our roots and unbroken; revoked: so too, but its
              owner has revoked the key
    codes     failure codes of the C2PA validation
    claims    our own assertion, {} if it has none
    made_by   generator and signer as the credential names them
    generated the first action is c2pa.created from a trained model
    serial    decimal serial number of the signer's certificate
    history   generators of the manifests that it was made from, the parent first
    """

    state: State
    codes: tuple[str, ...] = ()
    claims: Mapping[str, Any] | None = None
    made_by: str = ""
    generated: bool = False
    serial: str = ""
    history: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The file that this one was made from, which has a credential in it or beside it."""

    data: bytes
    media_type: str
    detached: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is to be signed: our assertion, the title shown by viewers, the engine's version.

    made_with      name of another maker's program, for content that was not made here
    parent         the same content with its maker's credential, which stays as an ingredient
    timestamp_url  an RFC 3161 authority, asked over the network; None where none is set
    binding        our own `c2pa.hash.data`; None where the library makes it
    """

    title: str
    version: str
    assertion: Mapping[str, object]
    made_with: str | None = None
    parent: Parent | None = None
    timestamp_url: str | None = None
    binding: Mapping[str, object] | None = None


def sign_embedded(data: bytes, media_type: str, claim: Claim, identity: Identity) -> bytes:
    """The file with its credential inside; SealError if the library refuses."""
    signed = io.BytesIO()
    _sign(data, media_type, claim, identity, signed)
    return signed.getvalue()


def sign_in_room(room: Room, claim: Claim, identity: Identity) -> bytes:
    """The file with its credential in the room that it keeps free for one.

    The binding to the file is the hash of all but that room, which the library signs as it
    stands. A first signature tells how many bytes are needed. raises SealError
    """
    size = 0
    for _ in range(ROOM_TRIES):
        data, offset = room(size)
        outside = data[:offset] + data[offset + size :]
        binding = {
            "exclusions": [{"start": offset, "length": size}],
            "name": "jumbf manifest",
            "alg": "sha256",
            "hash": list(hashlib.sha256(outside).digest()),
            "pad": [0] * 8,
        }
        made = sign_detached(b"", replace(claim, binding=binding), identity)
        if len(made) == size:
            return data[:offset] + made + data[offset + size :]
        size = len(made)
    raise SealError(
        "{title}: no room fits the credential; nothing was published", title=claim.title
    )


def sign_detached(data: bytes, claim: Claim, identity: Identity) -> bytes:
    """The credential's own bytes for any file; SealError if the library refuses."""
    return _sign(data, DETACHED, claim, identity, None)


def _sign(
    data: bytes, media_type: str, claim: Claim, identity: Identity, signed: io.BytesIO | None
) -> bytes:
    import c2pa

    url = claim.timestamp_url.encode() if claim.timestamp_url else None
    info = c2pa.C2paSignerInfo(
        ALGORITHM.encode(), identity.signer + identity.root, identity.key_pem, url
    )
    try:
        with (
            _context(()) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(_definition(media_type, claim, context), context) as builder,
        ):
            _describe(builder, claim)
            if signed is None:
                builder.set_no_embed()
            manifest: bytes = builder.sign(signer, media_type, io.BytesIO(data), signed)
    except c2pa.C2paError as error:
        raise SealError(
            "{title}: the credential could not be signed ({reason}); nothing was published",
            title=claim.title,
            reason=" ".join(str(error).split()),
        ) from None
    return manifest


def _describe(builder: Any, claim: Claim) -> None:
    """The first action: made here, made with another program, or another maker's file taken up."""
    import c2pa

    if claim.parent is not None:
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
        parent = claim.parent
        if parent.detached is not None:
            builder.add_resource(PARENT, io.BytesIO(parent.detached))
            return
        ingredient = {"title": claim.title, "relationship": "parentOf"}
        builder.add_ingredient(ingredient, parent.media_type, io.BytesIO(parent.data))
    elif claim.made_with is not None:
        made: dict[str, object] = {
            "action": "c2pa.created",
            "digitalSourceType": GENERATED,
            "softwareAgent": {"name": claim.made_with},
        }
        builder.add_action(made)
    else:
        builder.set_intent(
            c2pa.C2paBuilderIntent.CREATE,
            c2pa.C2paDigitalSourceType.TRAINED_ALGORITHMIC_MEDIA,
        )


def _definition(media_type: str, claim: Claim, context: Any) -> dict[str, object]:
    parent = claim.parent
    beside = parent is not None and parent.detached is not None
    return {
        "claim_generator_info": [{"name": "Wenfang", "version": claim.version}],
        "title": claim.title,
        "format": media_type,
        "assertions": [
            {"label": ASSERTION, "data": _packed(claim.assertion)},
            *([{"label": HASH, "data": claim.binding}] if claim.binding else []),
        ],
        "ingredients": [_ingredient(parent, claim.title, context)] if beside and parent else [],
    }


def _ingredient(parent: Parent, title: str, context: Any) -> dict[str, object]:
    """A parent whose credential lies beside it, with how that validates, as C2PA asks."""
    import c2pa

    with c2pa.Reader(DETACHED, io.BytesIO(parent.data), parent.detached, context=context) as reader:
        report = json.loads(reader.json())
    return {
        "title": title,
        "format": parent.media_type,
        "instance_id": "parent",
        "relationship": "parentOf",
        "active_manifest": report["active_manifest"],
        "validation_results": report["validation_results"],
        "manifest_data": {"format": "application/c2pa", "identifier": PARENT},
    }


def _packed(assertion: Mapping[str, object]) -> dict[str, object]:
    """The assertion as text: the library turns a list of numbers under 256 into bytes."""
    text = canonical_json(assertion).decode()
    return {"manifest_sha256": assertion["manifest_sha256"], "seal": text}


def _unpacked(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `_packed` packed; {} for another maker's data of the same label."""
    try:
        claims = json.loads(data["seal"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _context(roots: Iterable[bytes]) -> Any:
    """Settings for signing or reading: offline, and only `roots` are trusted."""
    import c2pa

    settings: dict[str, object] = {
        "version": 1,
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
        "builder": {"thumbnail": {"enabled": False}},
    }
    anchors = b"".join(roots).decode("ascii", "replace")
    if anchors:
        settings["trust"] = {"user_anchors": anchors}
    return c2pa.Context.from_dict(settings)


def read_credential(
    data: bytes, media_type: str, detached: bytes | None, roots: Iterable[bytes]
) -> Credential:
    """The credential in `data`, or `detached` checked against it; never raises on bad input."""
    import c2pa

    if detached is not None and not 0 < len(detached) <= MAX_CREDENTIAL_BYTES:
        return Credential(state="tampered", codes=("size",))
    if detached is None and JUMBF not in data and IN_SVG not in data:
        return Credential(state="absent")
    kind = media_type if detached is None else DETACHED
    try:
        with (
            _context(roots) as context,
            c2pa.Reader(kind, io.BytesIO(data), detached, context=context) as reader,
        ):
            report = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return Credential(state="absent")
    except (c2pa.C2paError, ValueError) as error:
        return Credential(state="tampered", codes=(" ".join(str(error).split())[:80],))
    return _reading(report)


def _reading(report: Mapping[str, Any]) -> Credential:
    """The validation report in our words; anything but a trusted or foreign key is tampering."""
    results = report.get("validation_results", {}).get("activeManifest", {})
    codes = tuple(one["code"] for one in results.get("failure", ()))
    manifest = report["manifests"].get(report.get("active_manifest"), {})
    assertions = {one["label"]: one["data"] for one in manifest.get("assertions", ())}
    generator = (manifest.get("claim_generator_info") or [{}])[0]
    signer = manifest.get("signature_info", {})
    return Credential(
        state=_state(str(report.get("validation_state")), set(codes)),
        codes=codes,
        claims=_unpacked(assertions.get(ASSERTION, {})),
        made_by=f"{generator.get('name', '?')} / {signer.get('issuer', '?')}",
        generated=_first_action(assertions) == ("c2pa.created", GENERATED),
        serial=str(signer.get("cert_serial_number", "")),
        history=tuple(_history(report, manifest)),
    )


def _history(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> Iterator[str]:
    """Who made what `manifest` was made from, as their credentials say."""
    manifests = report["manifests"]
    for ingredient in manifest.get("ingredients", ()):
        before = manifests.get(ingredient.get("active_manifest"), {})
        generator = (before.get("claim_generator_info") or [{}])[0]
        signer = before.get("signature_info", {})
        yield f"{generator.get('name', '?')} / {signer.get('issuer', '?')}"


def _state(validation: str, codes: set[str]) -> State:
    if validation == "Trusted":
        return "trusted"
    broken = codes - {"signingCredential.untrusted", "signingCredential.expired"}
    if broken or not codes:
        return "tampered"
    # An expired certificate is reported as untrusted too, whoever issued it.
    return "expired" if "signingCredential.expired" in codes else "foreign"


def _first_action(assertions: Mapping[str, Any]) -> tuple[object, object]:
    actions = assertions.get("c2pa.actions.v2", {}).get("actions") or [{}]
    return actions[0].get("action"), actions[0].get("digitalSourceType")
