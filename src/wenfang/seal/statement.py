"""FILE.wenfang.json: what a sealed file is, signed with the identity's key.

Order without a circle: the manifest's core is hashed, the credential holds that hash, the file
gets its final bytes, and only then does the statement name them. The signature covers the
canonical JSON of `statement`; the file's bytes must also be exactly what `render` gives, so a
change anywhere in it is seen.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wenfang.atomic import canonical_json, sha256_bytes, sha256_file
from wenfang.language import t
from wenfang.seal.identity import Identity
from wenfang.seal.inputs import STATEMENT
from wenfang.seal.layers import Layer, Status
from wenfang.seal.trust import Trust

FORMAT = "wenfang-seal/1"
# What cryptography raises for a certificate or signature that is none, or of an unknown kind.
_BROKEN = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)
MAX_STATEMENT_BYTES = 16 << 20

# A statement's fields, for readers of the file (values are JSON):
#   manifest            the core: kind, name, inputs, licence, facts, version …
#   manifest_sha256     its id, which the credential holds too
#   media_type, payload_sha256 (before labels), file_sha256 (after), file_bytes
#   inserted            [offset, length] of every label in the bytes, with what stood there before
#                       in hexadecimal digits if anything did; null where it is drawn
#   label, visible      the seven fields; words, form and measures of the visible label
#   watermark           {"kind", "pointer"} or {"none": why}
#   credential          {"form": "embedded" | "sidecar", "sha256": of the sidecar or null}
#   producer, identity, sealed_at, certificate


def render(statement: Mapping[str, object], identity: Identity) -> bytes:
    """The signed manifest's bytes."""
    signed = {"format": FORMAT, **statement}
    signature = base64.b64encode(identity.key.sign(canonical_json(signed))).decode()
    return _text({"format": FORMAT, "statement": signed, "signature": signature})


def _text(document: Mapping[str, object]) -> bytes:
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, sort_keys=True)
    return (text + "\n").encode()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A signed manifest read back: its layer, and its statement unless it is damaged."""

    layer: Layer
    statement: Mapping[str, Any] | None = None


def _found(status: Status, finding: str, statement: Mapping[str, Any] | None = None) -> Reading:
    layer = Layer(name="manifest", status=status, finding=finding)
    return Reading(layer=layer, statement=statement)


def read(content: bytes | None, trust: Trust) -> Reading:
    """Check a signed manifest's bytes: whole, signed, consistent, and by a trusted key."""
    if content is None:
        return _found("unknown", t("the signed manifest is not beside the file"))
    try:
        document = _parse(content)
    except (*_BROKEN, RecursionError, KeyError) as error:
        finding = t("the signed manifest is damaged or was edited ({what})", what=_cause(error))
        return _found("tampered", finding)
    if document["format"] != FORMAT:
        return _found("unknown", t("the signed manifest is of an unknown version"))
    statement = document["statement"]
    status, finding = _trust(statement["certificate"].encode(), trust)
    return _found(status, finding, statement)


def _parse(content: bytes) -> dict[str, Any]:
    """The document if every byte, the signature and the core's hash are right; raises otherwise."""
    if len(content) > MAX_STATEMENT_BYTES:
        raise ValueError("size")
    document: dict[str, Any] = json.loads(content)
    if _text(document) != content:
        raise ValueError("form")
    statement = document["statement"]
    if document["format"] != statement["format"]:
        raise ValueError("format")
    if document["format"] != FORMAT:
        return document
    certificate = x509.load_pem_x509_certificate(statement["certificate"].encode())
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("key")
    key.verify(_decode(document["signature"]), canonical_json(statement))
    if sha256_bytes(canonical_json(statement["manifest"])) != statement["manifest_sha256"]:
        raise ValueError("core")
    return document


def _decode(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except binascii.Error:
        raise InvalidSignature from None


def _cause(error: Exception) -> str:
    return "signature" if isinstance(error, InvalidSignature) else type(error).__name__


def _trust(certificate: bytes, trust: Trust) -> tuple[Status, str]:
    """Whether the signer's certificate was issued by a trusted root, stands and is in date."""
    signer = x509.load_pem_x509_certificate(certificate)
    if not any(_issued(signer, root) for root in trust.roots):
        return "foreign", t("the manifest is signed with a key that is not trusted here")
    if signer.serial_number in trust.revoked:
        return "foreign", t("the manifest is signed with a key that its owner has revoked")
    now = datetime.datetime.now(datetime.UTC)
    if not signer.not_valid_before_utc <= now < signer.not_valid_after_utc:
        return "unknown", t("the signer's certificate is out of date")
    return "good", t("the manifest is signed by a trusted key")


def _issued(signer: x509.Certificate, root: bytes) -> bool:
    """True if one of the certificates in the PEM text `root` issued `signer`."""
    for issuer in x509.load_pem_x509_certificates(root):
        try:
            signer.verify_directly_issued_by(issuer)
        except _BROKEN:
            continue
        return signer_usage(signer)
    return False


def signer_usage(certificate: x509.Certificate) -> bool:
    """True for a certificate that may sign content and may not issue certificates."""
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return usage.digital_signature and not basic.ca


def sealed_id(path: Path) -> str | None:
    """The manifest id in the seal of a published file; None where file and seal do not fit."""
    statement = path.with_name(path.name + STATEMENT)
    if not (path.is_file() and statement.is_file()):
        return None
    try:
        sealed = json.loads(statement.read_text("utf-8"))["statement"]
        whole = sealed["file_sha256"] == sha256_file(path)
        return str(sealed["manifest_sha256"]) if whole else None
    except (ValueError, KeyError, TypeError):  # not JSON, or not a seal
        return None


def sealed_facts(path: Path) -> dict[str, Any]:
    """What the manifest beside a published file tells; nothing where there is none to read."""
    try:
        content = json.loads(path.with_name(path.name + STATEMENT).read_text("utf-8"))
        facts = content["statement"]["manifest"]["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return facts if isinstance(facts, dict) else {}
