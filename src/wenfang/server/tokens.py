"""Secrets that this server hands out: long, random, and kept only as hashes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

KEY_PREFIX = "wf-"
KEY = re.compile(r"wf-([0-9a-f]{16})-[A-Za-z0-9_-]{43}")
_RANDOM_BYTES = 32  # of a secret: nobody guesses it, so a fast hash is enough


def new_token() -> str:
    """A secret of 256 bits, in 43 characters."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def new_printed_key() -> str:
    """What `wenfang serve` prints: good as an admin's key until it stops."""
    return f"{KEY_PREFIX}printed-{new_token()}"


def new_key() -> tuple[str, str]:
    """The id of a new API key, and the key itself, which says that id."""
    name = secrets.token_hex(8)
    return f"key_{name}", f"{KEY_PREFIX}{name}-{new_token()}"


def key_id(key: str) -> str:
    """The id that a key says; "" where it is no key of ours."""
    found = KEY.fullmatch(key)
    return f"key_{found[1]}" if found else ""


def digest(secret: str) -> str:
    """SHA-256: what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_of(session: str) -> str:
    """The token that a page sends beside its session's cookie; it does not betray the session."""
    return hmac.new(session.encode(), b"csrf", hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two secrets, or their hashes, are equal; as fast wherever they differ."""
    return hmac.compare_digest(one.encode(), other.encode())
