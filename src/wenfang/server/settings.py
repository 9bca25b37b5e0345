"""How a server is set up."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from wenfang.errors import ConfigError

MEGABYTE = 2**20
PLUGS = ("hub:", "openai:")


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Fields of `wenfang serve --set`.

    workers        that do jobs beside this server, at most one for each device; 0: none
    short_workers  beside those, for what takes seconds to minutes while one of them trains; none
                   where `workers` is 0, or where there is a GPU
    body_bytes     of a request that is no upload
    upload_bytes   of an uploaded file
    plugged        chat models: `hub:FOLDER`, `openai:URL#model`
    waiting_most   calls to models that may wait; further ones are told to come back
    batch_lines    of one project's batches that may wait for their answers
    head_s         within which a client must have sent its head, and between two parts of a body
    auth           "auto": whoever sits at this machine needs no key; "required": everybody does
    """

    host: str = "127.0.0.1"
    port: int = 8420
    workers: int = 1
    short_workers: int = 1
    body_bytes: int = 8 * MEGABYTE
    upload_bytes: int = 2048 * MEGABYTE
    plugged: tuple[str, ...] = ()
    waiting_most: int = 512
    batch_lines: int = 200_000
    head_s: float = 30.0
    auth: Literal["auto", "required"] = "auto"

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 <= self.port < 65_536:
            raise ConfigError("port is {port}; choose one from 0 to 65535", port=self.port)
        for name in ("body_bytes", "upload_bytes", "waiting_most", "batch_lines"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    "{name} is {value}; it must be at least 1", name=name, value=getattr(self, name)
                )
        for name in self.plugged:
            if not name.startswith(PLUGS):
                raise ConfigError(
                    "{name} is no chat model; plug hub:FOLDER or openai:URL#MODEL", name=name
                )

    @property
    def auth_required(self) -> bool:
        """Whether every request needs a key or a session."""
        return self.auth == "required" or not self.on_loopback

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
