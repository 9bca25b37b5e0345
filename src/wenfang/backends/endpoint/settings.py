"""How an endpoint is named, reached and paid for.

The name is `openai:URL#model`. The key is read from the environment alone. Everything else may
stand in `endpoints.json` of the home, by URL or by URL#model:

    {"https://api.example.com/v1": {"input_price": 0.15, "output_price": 0.6, "spend_cap": 2.0}}
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from wenfang import config
from wenfang.errors import ConfigError

PREFIX = "openai:"
KEY_VARIABLE = "WENFANG_OPENAI_KEY"
SETTINGS_FILE = "endpoints.json"
SETTINGS_BYTES_MAX = 2**20


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Prices, caps and patience for one endpoint.

    input_price, output_price  for a million tokens, in `currency`; 0: not known
    spend_cap       most that one program run may cost; 0: no cap in money
    tokens_cap      most tokens of one program run, prompts and answers together
    connect_s, read_s, total_s  longest wait for a connection, between two pieces, for one answer
    attempts        how often one answer is asked for
    plain_http      allow http to another machine: prompt and key can be read on the way
    licence         SPDX expression of what the model writes
    """

    input_price: float = 0.0
    output_price: float = 0.0
    currency: str = "USD"
    spend_cap: float = 0.0
    tokens_cap: int = 200_000
    connect_s: float = 10.0
    read_s: float = 60.0
    total_s: float = 300.0
    attempts: int = 4
    plain_http: bool = False
    licence: str = "NOASSERTION"

    def __post_init__(self) -> None:
        """Refuse values without a meaning, and a cap in money that nothing is counted by."""
        for name in ("connect_s", "read_s", "total_s", "attempts", "tokens_cap"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    "endpoint.{name} is {value}; it must be above 0",
                    name=name,
                    value=getattr(self, name),
                )
        for name in ("input_price", "output_price", "spend_cap"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    "endpoint.{name} is {value}; it must be 0 or more",
                    name=name,
                    value=getattr(self, name),
                )
        if self.spend_cap and not self.output_price:
            raise ConfigError(
                "endpoint.spend_cap needs prices to count by; set input_price and output_price"
            )


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a model is asked: base URL without a trailing slash, and the model's name there."""

    url: str
    model: str

    @property
    def host(self) -> str:
        """The host, for people."""
        return urlsplit(self.url).netloc

    @property
    def name(self) -> str:
        """As it is chosen."""
        return f"{PREFIX}{self.url}#{self.model}"


def parse_endpoint(name: str, home: Path) -> tuple[Endpoint, EndpointSettings]:
    """`openai:URL#model` and what endpoints.json of the home says of it.

    raises ConfigError for a name without a URL or model, a URL with a password in it, or plain
    http to another machine
    """
    url, mark, model = name.removeprefix(PREFIX).partition("#")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not mark or not model.strip():
        raise ConfigError(
            "{name} names no endpoint; write openai:https://HOST/v1#MODEL", name=PREFIX + url
        )
    if parts.username or parts.password or parts.query:
        raise ConfigError(
            "the URL of {host} holds a password or a query; put the key into {variable}",
            host=parts.hostname,
            variable=KEY_VARIABLE,
        )
    endpoint = Endpoint(url=url.rstrip("/"), model=model.strip())
    settings = _settings(endpoint, home / SETTINGS_FILE)
    if parts.scheme == "http" and not settings.plain_http and not _loopback(parts.hostname):
        raise ConfigError(
            "{url} is plain http to another machine; use https, or allow it with plain_http in "
            "{file}",
            url=endpoint.url,
            file=SETTINGS_FILE,
        )
    return endpoint, settings


def _settings(endpoint: Endpoint, path: Path) -> EndpointSettings:
    """What the file says: what stands for the model goes before what stands for the URL."""
    if not path.is_file():
        return EndpointSettings()
    try:
        content = json.loads(path.read_text("utf-8")[:SETTINGS_BYTES_MAX])
    except (UnicodeDecodeError, json.JSONDecodeError):
        content = None
    if not isinstance(content, Mapping):
        raise ConfigError("{path} is not a JSON object; correct it", path=path)
    found: dict[str, object] = {}
    for key in (endpoint.url, f"{endpoint.url}#{endpoint.model}"):
        part = content.get(key, content.get(key.replace(endpoint.url, endpoint.url + "/"), {}))
        if not isinstance(part, Mapping):
            raise ConfigError("{path}: {key} is not a JSON object; correct it", path=path, key=key)
        found |= part
    settings: EndpointSettings = config.from_dict(EndpointSettings, found, where=str(path))
    return settings


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def key_of_environment() -> str:
    """The key, or nothing for an endpoint that wants none.

    raises ConfigError where it cannot be put into a header
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigError(
            "{variable} holds characters that no key has; set it again", variable=KEY_VARIABLE
        )
    return key
