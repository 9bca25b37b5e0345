"""The key that signs: a local root certificate, and under it a signer's certificate and key.

Self-made: nobody but the owner vouches for it, and every report says so. It lives in
HOME/identity (0700), each file 0600. The folder appears complete by one rename, so of two
processes that create it at once one wins and the other uses what the winner made. Key and
certificate of the signer share one file, so a rotation is one rename too.
"""

from __future__ import annotations

import datetime
import os
import shutil
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wenfang.atomic import TEMPORARY_PREFIX, disk_errors, write_bytes
from wenfang.errors import IdentityError
from wenfang.language import t

FOLDER = "identity"
ROOT, ROOT_KEY, SIGNER, RETIRED = "root.pem", "root-key.pem", "signer.pem", "retired.pem"
REVOKED = "revoked.pem"
ALGORITHM = "ed25519"
SELF_MADE = "self-made, not issued by an authority"
# Without a time-stamp authority a credential ends with its signer's certificate: hence 20 years.
SIGNER_YEARS, ROOT_YEARS = 20, 30
MAX_IDENTITY_BYTES = 1 << 20


def self_made() -> str:
    """How every report describes an identity made here."""
    return t(SELF_MADE)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A loaded signing identity.

    root    certificate that others trust to accept our files (PEM)
    signer  certificate of the signing key, issued by root (PEM)
    key     the signer's private key; never written anywhere but HOME/identity
    """

    folder: Path
    root: bytes
    signer: bytes
    key: Ed25519PrivateKey

    @classmethod
    def open_or_create(cls, home: Path) -> Identity:
        """The identity under `home`, made on first use; IdentityError if it is damaged or open."""
        folder = home / FOLDER
        if not os.path.lexists(folder):
            _create(folder)
        return cls.open(home)

    @classmethod
    def open(cls, home: Path) -> Identity:
        """The identity under `home`; IdentityError if missing, damaged or readable by others."""
        folder = home / FOLDER
        if not folder.is_dir():
            raise IdentityError(
                "{folder} is missing; run `wenfang identity init` to make a signing identity",
                folder=folder,
            )
        _check_private(folder)
        root, signer = _read(folder / ROOT), _read(folder / SIGNER)
        issuer = _certificate_in(root, folder / ROOT)
        certificate = _certificate_in(signer, folder / SIGNER)
        try:
            key = serialization.load_pem_private_key(signer, password=None)
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise _damaged(folder / SIGNER) from None
        if not isinstance(key, Ed25519PrivateKey) or certificate.public_key() != key.public_key():
            raise _damaged(folder / SIGNER)
        if certificate.not_valid_after_utc <= _now():
            raise IdentityError(
                "the certificate in {path} has expired; run `wenfang identity rotate`",
                path=folder / SIGNER,
            )
        return cls(folder=folder, root=root, signer=pem(certificate), key=key)

    @property
    def key_pem(self) -> bytes:
        """The private key for the credential library; keep it in memory."""
        return _key_pem(self.key)

    def show(self) -> dict[str, object]:
        """Facts for `wenfang identity show` and for reports; holds no secret."""
        signer = x509.load_pem_x509_certificate(self.signer)
        return {
            "description": self_made(),
            "algorithm": ALGORITHM,
            "folder": str(self.folder),
            "root_sha256": fingerprint(self.root),
            "signer_sha256": fingerprint(self.signer),
            "valid_until": signer.not_valid_after_utc.date().isoformat(),
        }

    def rotate(self, *, revoke: bool = False) -> Identity:
        """A new signing key under the same root, in one rename; files sealed before stay good.

        revoke  the old key was stolen or may have been: its signatures are not trusted any more
        """
        root_key_pem = _read(self.folder / ROOT_KEY)
        try:
            root_key = serialization.load_pem_private_key(root_key_pem, password=None)
            root = x509.load_pem_x509_certificate(self.root)
        except (ValueError, TypeError):
            raise _damaged(self.folder / ROOT_KEY) from None
        if not isinstance(root_key, Ed25519PrivateKey):
            raise _damaged(self.folder / ROOT_KEY)
        if root.public_key() != root_key.public_key():
            raise _damaged(self.folder / ROOT_KEY)
        if revoke:
            listed = self.folder / REVOKED
            before = _read(listed) if listed.exists() else None
            _replace_private(listed, _revocation_list(root_key, root, self.signer, before))
        key, certificate = issue_signer(root_key, root)
        retired = self.folder / RETIRED
        _replace_private(retired, (_read(retired) if retired.exists() else b"") + self.signer)
        _replace_private(self.folder / SIGNER, _key_pem(key) + pem(certificate))
        return Identity(folder=self.folder, root=self.root, signer=pem(certificate), key=key)

    def export(self, path: Path) -> None:
        """Write the root certificate, which others give to `wenfang verify --trust`.

        With it goes the list of keys that were revoked: give it to them again after a revocation.
        """
        listed = self.folder / REVOKED
        write_bytes(path, self.root + (_read(listed) if listed.exists() else b""))


def own_roots(home: Path) -> tuple[bytes, ...]:
    """Our root certificate, with its revocation list, for `verify`; empty without an identity."""
    path, listed = home / FOLDER / ROOT, home / FOLDER / REVOKED
    if not os.path.exists(path):
        return ()
    return (_read(path) + (_read(listed) if os.path.exists(listed) else b""),)


def _revocation_list(
    root_key: Ed25519PrivateKey, root: x509.Certificate, signer: bytes, before: bytes | None
) -> bytes:
    """The root's list (RFC 5280) with one more signer on it, PEM."""
    now = _now()
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.subject)
    # A list without a date to look again would be refused; nobody here fetches a newer one.
    builder = builder.last_update(now).next_update(root.not_valid_after_utc)
    for one in x509.load_pem_x509_crl(before) if before else ():
        builder = builder.add_revoked_certificate(one)
    serial = x509.load_pem_x509_certificate(signer).serial_number
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
    entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
    listed = builder.add_revoked_certificate(entry.build()).sign(root_key, None)
    return listed.public_bytes(serialization.Encoding.PEM)


def new_root(years: float = ROOT_YEARS) -> tuple[Ed25519PrivateKey, x509.Certificate]:
    """A key and a self-signed certificate that may only sign certificates."""
    key = Ed25519PrivateKey.generate()
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(f"Wenfang local root {identifier.digest.hex()[:12]}")
    builder = _certificate(name, name, years, key)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(certificates=True), critical=True)
    return key, builder.add_extension(identifier, critical=False).sign(key, None)


def issue_signer(
    root_key: Ed25519PrivateKey, root: x509.Certificate, years: float = SIGNER_YEARS
) -> tuple[Ed25519PrivateKey, x509.Certificate]:
    """A key and its certificate under `root`, with the usages that C2PA asks of a signer."""
    key = Ed25519PrivateKey.generate()
    authority = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    builder = _certificate(_name("Wenfang signer"), root.subject, years, key)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(certificates=False), True),
        (mail, False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return key, builder.sign(root_key, None)


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate in PEM form."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a PEM certificate's DER form in hexadecimal digits."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def _certificate(
    subject: x509.Name, issuer: x509.Name, years: float, key: Ed25519PrivateKey
) -> x509.CertificateBuilder:
    """A certificate valid from yesterday, so that a clock slightly behind accepts it."""
    start = _now() - datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365.25 * years))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    """Either for signing certificates or for signing content, nothing else."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Wenfang (self-made)")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common), organisation])


def _create(folder: Path) -> None:
    """Fill a private folder beside `folder` and rename it; whoever renames first has made it."""
    root_key, root = new_root()
    key, signer = issue_signer(root_key, root)
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = folder.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        temporary.mkdir(mode=0o700)
        try:
            _write_private(temporary / ROOT, pem(root))
            _write_private(temporary / ROOT_KEY, _key_pem(root_key))
            _write_private(temporary / SIGNER, _key_pem(key) + pem(signer))
            os.rename(temporary, folder)
        except OSError:
            if not folder.is_dir():
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_private(path: Path, content: bytes) -> None:
    """Create `path` readable by its owner alone from its first byte on, flushed to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _replace_private(path: Path, content: bytes) -> None:
    with disk_errors(path):
        temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            _write_private(temporary, content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _check_private(folder: Path) -> None:
    """IdentityError if the folder or a file in it grants anything to others than its owner."""
    for path in (folder, *sorted(folder.iterdir())):
        if path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) or path.is_symlink():
            raise IdentityError(
                "{path} can be read by others, so its key is not trusted any more; "
                "make it private (chmod go-rwx) if nobody else had access, else make a new one",
                path=path,
            )


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise IdentityError(
            "{path} cannot be read ({reason}); restore it from a copy, or move the folder away "
            "and run `wenfang identity init`",
            path=path,
            reason=error.strerror,
        ) from None
    if not content or len(content) > MAX_IDENTITY_BYTES:
        raise _damaged(path)
    return content


def _certificate_in(content: bytes, path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError:
        raise _damaged(path) from None


def _damaged(path: Path) -> IdentityError:
    return IdentityError(
        "{path} is damaged; restore it from a copy, or move the folder away and run "
        "`wenfang identity init`",
        path=path,
    )


def _key_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
