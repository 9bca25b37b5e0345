"""The C2PA credential: signed offline into a file, or beside it for formats that cannot hold one.

c2pa-python 0.38. Its assertion ASSERTION holds the hash of the manifest's core and what a reader
of the lone file needs: the label and where the visible label is. No time-stamp authority and no
network: remote manifests and OCSP are switched off.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wenfang.atomic import canonical_json
from wenfang.errors import SealError
from wenfang.seal.identity import ALGORITHM, Identity

ASSERTION = "org.wenfang.seal"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# A detached credential covers plain bytes: naming a text format would let the library guess.
DETACHED = "application/octet-stream"
JUMBF = b"jumb"  # the box type that every embedded C2PA manifest begins with
MAX_CREDENTIAL_BYTES = 16 << 20

State = Literal["trusted", "expired", "foreign", "tampered", "absent"]


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What a credential says and whether it holds.

    state     trusted: signed under one of our roots and unbroken
    codes     failure codes of the C2PA validation
    claims    our own assertion, {} if it has none
    made_by   generator and signer as the credential names them
    generated the first action is c2pa.created from a trained model
    """

    state: State
    codes: tuple[str, ...] = ()
    claims: Mapping[str, Any] | None = None
    made_by: str = ""
    generated: bool = False


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is to be signed: our assertion, the title shown by viewers, the engine's version."""

    title: str
    version: str
    assertion: Mapping[str, object]


def sign_embedded(data: bytes, media_type: str, claim: Claim, identity: Identity) -> bytes:
    """The file with its credential inside; SealError if the library refuses."""
    signed = io.BytesIO()
    _sign(data, media_type, claim, identity, signed)
    return signed.getvalue()


def sign_detached(data: bytes, claim: Claim, identity: Identity) -> bytes:
    """The credential's own bytes for any file; SealError if the library refuses."""
    return _sign(data, DETACHED, claim, identity, None)


def _sign(
    data: bytes, media_type: str, claim: Claim, identity: Identity, signed: io.BytesIO | None
) -> bytes:
    import c2pa

    info = c2pa.C2paSignerInfo(
        ALGORITHM.encode(), identity.signer + identity.root, identity.key_pem, None
    )
    try:
        with (
            _context(()) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(_definition(media_type, claim), context) as builder,
        ):
            builder.set_intent(
                c2pa.C2paBuilderIntent.CREATE,
                c2pa.C2paDigitalSourceType.TRAINED_ALGORITHMIC_MEDIA,
            )
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


def _definition(media_type: str, claim: Claim) -> dict[str, object]:
    return {
        "claim_generator_info": [{"name": "Wenfang", "version": claim.version}],
        "title": claim.title,
        "format": media_type,
        "assertions": [{"label": ASSERTION, "data": _packed(claim.assertion)}],
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
    if detached is None and JUMBF not in data:
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
    )


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
