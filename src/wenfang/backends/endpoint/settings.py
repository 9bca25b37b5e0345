"""How an endpoint is named, reached and paid for.

The name is `openai:URL#model`. The key is read from the environment alone. Everything else may
stand in `endpoints.json` of the home, by URL or by URL#model:

    {"https://api.example.com/v1": {"input_price": 0.15, "output_price": 0.6, "spend_cap": 2.0}}
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from wenfang import config
from wenfang.errors import ConfigError
from wenfang.store import Manifest

PREFIX = "openai:"
KEY_VARIABLE = "WENFANG_OPENAI_KEY"
SETTINGS_FILE = "endpoints.json"
SETTINGS_BYTES_MAX = 2**20
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Field = Literal["temperature", "seed", "stop", "stream_options", "speed", "response_format"]


@dataclass(frozen=True, kw_only=True)
class Voices:
    """Which of its voices a voice engine calls a woman's, a man's and a child's; "": none."""

    woman: str = ""
    man: str = ""
    child: str = ""


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """Prices, caps and patience for one endpoint, and its voices.

    input_price, output_price  for a million tokens, in `currency`; 0: not known
    character_price  for a million characters read aloud
    spend_cap       most that one program run may cost; 0: no cap in money
    tokens_cap      most tokens of one program run, prompts and answers together
    characters_cap  most characters that one program run has read aloud
    connect_s, read_s, total_s  longest wait for a connection, between two pieces, for one answer
    attempts        how often one answer is asked for
    plain_http      allow http to another machine: prompt and key can be read on the way
    key_variable    the environment variable that holds the key
    tokens_field    how the endpoint calls the limit of an answer's tokens
    left_out        fields of a request that the endpoint refuses
    licence         SPDX expression of what the model writes or says
    speech_format   what sound is asked for; "pcm" is 16 bits at 24 kHz without a header
    voices          its voices by what a brief calls them
    """

    input_price: float = 0.0
    output_price: float = 0.0
    character_price: float = 0.0
    currency: str = "USD"
    spend_cap: float = 0.0
    tokens_cap: int = 200_000
    characters_cap: int = 100_000
    connect_s: float = 10.0
    read_s: float = 60.0
    total_s: float = 300.0
    attempts: int = 4
    plain_http: bool = False
    key_variable: str = KEY_VARIABLE
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    left_out: tuple[Field, ...] = ()
    licence: str = "NOASSERTION"
    speech_format: Literal["wav", "flac", "pcm"] = "wav"
    # Of OpenAI's own; it has no child.
    voices: Voices = Voices(woman="nova", man="onyx")

    def __post_init__(self) -> None:
        """Refuse values without a meaning, and a cap in money that nothing is counted by."""
        for name in (
            "connect_s",
            "read_s",
            "total_s",
            "attempts",
            "tokens_cap",
            "characters_cap",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    "endpoint.{name} is {value}; it must be above 0",
                    name=name,
                    value=getattr(self, name),
                )
        for name in ("input_price", "output_price", "character_price", "spend_cap"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    "endpoint.{name} is {value}; it must be 0 or more",
                    name=name,
                    value=getattr(self, name),
                )
        if not self.character_price:
            self.require_prices("output_price")
        if not VARIABLE.fullmatch(self.key_variable):
            raise ConfigError(
                "endpoint.key_variable is no name of an environment variable; put the key into "
                "the environment, never into {file}",
                file=SETTINGS_FILE,
            )

    def require_prices(self, price: Literal["output_price", "character_price"]) -> None:
        """raises ConfigError for a cap in money without the price that it is counted by."""
        if self.spend_cap and not getattr(self, price):
            raise ConfigError(
                "endpoint.spend_cap needs prices to count by; set input_price and output_price, "
                "or character_price for a voice"
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

    @property
    def of_this_machine(self) -> bool:
        """Whether it listens on this machine, where no proxy leads to."""
        return is_loopback(urlsplit(self.url).hostname or "")


def parse_endpoint(name: str, home: Path) -> tuple[Endpoint, EndpointSettings]:
    """`openai:URL#model` and what endpoints.json of the home says of it.

    raises ConfigError for a name without a URL or model, a URL with a password in it, or plain
    http to another machine
    """
    url, _, model = name.removeprefix(PREFIX).partition("#")
    parts = _split(url, model.strip())
    if parts.username or parts.password or parts.query or "@" in parts.netloc:
        raise ConfigError(
            "the URL of {host} holds a password or a query; put the key into {variable}",
            host=parts.hostname,
            variable=KEY_VARIABLE,
        )
    endpoint = Endpoint(url=url.rstrip("/"), model=model.strip())
    settings = _settings(endpoint, home / SETTINGS_FILE)
    if parts.scheme == "http" and not settings.plain_http and not endpoint.of_this_machine:
        raise ConfigError(
            "{url} is plain http to another machine; use https, or allow it with plain_http in "
            "{file}",
            url=endpoint.url,
            file=SETTINGS_FILE,
        )
    return endpoint, settings


def _split(url: str, model: str) -> SplitResult:
    """The parts of a URL; ConfigError where it is none, or the model has no name."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an address in brackets, a port that is no number
        whole = False
    if not whole or not model or not (url + model).isprintable() or " " in url:
        shown = re.sub("[^ -~]", "?", url).partition("?")[0].rpartition("@")[2]
        raise ConfigError(
            "{name} names no endpoint; write openai:https://HOST/v1#MODEL", name=PREFIX + shown
        )
    return parts


def _settings(endpoint: Endpoint, path: Path) -> EndpointSettings:
    """What the file says: what stands for the model goes before what stands for the URL."""
    if not path.is_file():
        return EndpointSettings()
    found: dict[str, object] = {}
    content = read_settings(path)
    for key in (endpoint.url, f"{endpoint.url}#{endpoint.model}"):
        part = content.get(key, content.get(key.replace(endpoint.url, endpoint.url + "/"), {}))
        if not isinstance(part, Mapping):
            raise ConfigError("{path}: {key} is not a JSON object; correct it", path=path, key=key)
        found |= part
    settings: EndpointSettings = config.from_dict(EndpointSettings, found, where=str(path))
    return settings


def read_settings(path: Path) -> Mapping[str, object]:
    """The JSON object in a file of settings; ConfigError where there is another thing in it."""
    with path.open("rb") as stream:
        payload = stream.read(SETTINGS_BYTES_MAX + 1)
    try:
        content = json.loads(payload) if len(payload) <= SETTINGS_BYTES_MAX else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, Mapping):
        raise ConfigError("{path} is not a JSON object; correct it", path=path)
    return content


def endpoint_manifest(endpoint: Endpoint, settings: EndpointSettings) -> Manifest:
    """The node of the lineage that stands for an endpoint's model."""
    return Manifest(
        kind="bundle",
        name=endpoint.model,
        media_type="application/x-wenfang-endpoint",
        licence=settings.licence,
        facts={"endpoint": endpoint.url, "model": endpoint.model},
    )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address and not by what a name server says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def key_variables(home: Path) -> set[str]:
    """The environment variables that hold keys, by default and by endpoints.json of the home."""
    path = home / SETTINGS_FILE
    parts = read_settings(path).values() if path.is_file() else ()
    named = {part.get("key_variable") for part in parts if isinstance(part, Mapping)}
    return {KEY_VARIABLE, *(one for one in named if isinstance(one, str))}


def key_of_environment(variable: str = KEY_VARIABLE) -> str:
    """The key, or nothing for an endpoint that wants none.

    raises ConfigError where it cannot be put into a header
    """
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigError("{variable} holds characters that no key has; set it again",
                          variable=variable)  # fmt: skip
    return key
