"""Whom a reader trusts: root certificates, less the signers that those roots have revoked.

A root's PEM text may hold its revocation list (X.509 CRL, RFC 5280) beside the certificate. A list
counts only if the root in the same text signed it. Without an independent time-stamp a revoked
key could date its signatures back, so everything that it signed is not trusted any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----\s*", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Root certificates (PEM, without lists) and serial numbers of revoked signers."""

    roots: tuple[bytes, ...]
    revoked: frozenset[int]

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> Trust:
        """What PEM texts amount to; one that is no certificate trusts nobody."""
        given = tuple(texts)
        roots = tuple(root for text in given if _certificates(root := _LIST.sub(b"", text)))
        return cls(roots=roots, revoked=frozenset(n for text in given for n in _revoked(text)))

    def revokes(self, serial: str) -> bool:
        """Whether a signer's serial number, in decimal digits, is on a list."""
        return serial.isascii() and serial.isdigit() and int(serial[:60]) in self.revoked


def _revoked(text: bytes) -> Iterator[int]:
    """Serial numbers on the lists in `text` that a certificate in `text` has signed."""
    issuers = _certificates(_LIST.sub(b"", text))
    for found in _LIST.findall(text):
        try:
            listed = x509.load_pem_x509_crl(found)
        except ValueError:
            continue
        if any(_signed(listed, issuer) for issuer in issuers):
            yield from (one.serial_number for one in listed)


def _certificates(text: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        return []


def _signed(listed: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        key = issuer.public_key()
        return isinstance(key, Ed25519PublicKey) and listed.is_signature_valid(key)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
