"""A server of its own for the tests of the doors, as a user starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
from openai import OpenAI

READY_S = 90.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Served:
    """A server that runs: where, whose home, and what it has logged."""

    url: str
    home: Path
    log: Path
    process: subprocess.Popen[bytes]
    clients: ExitStack

    @cache  # noqa: B019 - one server lives as long as its tests
    def client(self, key: str = "none", *, strict: bool = True) -> OpenAI:
        """OpenAI's client, refusing every answer that is not in its shape unless told not to."""
        return self.clients.enter_context(
            OpenAI(
                base_url=f"{self.url}/v1",
                api_key=key,
                max_retries=0,
                timeout=120,
                _strict_response_validation=strict,
            )
        )

    @cache  # noqa: B019
    def http(self, key: str = "none") -> httpx.Client:
        """A plain client."""
        headers = {"authorization": f"Bearer {key}"}
        return self.clients.enter_context(
            httpx.Client(base_url=self.url, headers=headers, timeout=120)
        )


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serving(
    home: Path, *options: str, workers: int = 0, offline: bool = True, door: str = "serve"
) -> Iterator[Served]:
    """`wenfang serve` with a home of its own, until the block ends.

    offline  no endpoint may be asked
    door     "studio" for the command of that name
    """
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    command = [sys.executable, "-m", "wenfang", door, "--port", str(port)]
    command += ["--set", f"workers={workers}", *options]
    environment = {**os.environ, "WENFANG_HOME": str(home), "WENFANG_OFFLINE": str(int(offline))}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        with ExitStack() as clients:
            served = Served(url=url, home=home, log=log, process=process, clients=clients)
            _await_ready(served)
            yield served
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(served: Served) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if served.process.poll() is not None:
            raise AssertionError(f"the server ended: {served.log.read_text()}")
        try:
            if httpx.get(f"{served.url}/readyz", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the server is not ready: {served.log.read_text()}")
