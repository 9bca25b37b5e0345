"""Clients that leave: a request on a bare socket, and what a server's metrics say afterwards."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

from serving import Served

LOOK_S = 0.05


def sent(served: Served, path: str, body: Any, headers: str = "") -> socket.socket:
    """A POST that is sent whole and not answered yet."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    place = urlsplit(served.url)
    one = socket.create_connection((place.hostname or "", place.port or 0))
    kind = headers or "content-type: application/json"
    head = f"POST {path} HTTP/1.1\r\nhost: {place.netloc}\r\n{kind}\r\n"
    one.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    return one


def measured(served: Served, name: str) -> float:
    """A number of /metrics by its name with its labels; 0 where it was never counted."""
    text = served.http().get("/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def reaches(served: Served, name: str, number: float, within_s: float) -> bool:
    """Whether a number of /metrics gets there in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if measured(served, name) == number:
            return True
        time.sleep(LOOK_S)
    return False
