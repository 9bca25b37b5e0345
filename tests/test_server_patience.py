"""Who sends half a head and falls silent is let go; who goes on is answered."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from wenfang.server.patience import patient

HEAD_S = 0.6
LONG_S = 30.0
WHOLE = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Two letters, later than a head may take."""
    if scope["path"] == "/late":
        await asyncio.sleep(2 * HEAD_S)
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(
        answer, port=0, http=patient(HEAD_S), lifespan="off", log_level="error",
        timeout_keep_alive=int(LONG_S),
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture
def talk(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=LONG_S) as one:
        yield one


def answered(talk: socket.socket) -> bool:
    """Whether the whole answer comes."""
    told = b""
    while not told.endswith(b"\r\n\r\nok") and (part := talk.recv(1000)):
        told += part
    return told.startswith(b"HTTP/1.1 200")


def refused(talk: socket.socket) -> bool:
    """Whether what comes is the word that it took too long, and then the end."""
    told = b""
    while part := talk.recv(1000):
        told += part
    return b"HTTP/1.1 408" in told and b'"request_timeout"' in told


def test_half_a_head_is_waited_for_so_long(talk: socket.socket) -> None:
    talk.sendall(WHOLE[:9])
    assert refused(talk)


def test_nothing_at_all_is_waited_for_so_long(talk: socket.socket) -> None:
    assert talk.recv(100) == b""


def test_so_is_half_the_head_of_a_further_request(talk: socket.socket) -> None:
    talk.sendall(WHOLE)
    assert answered(talk)
    talk.sendall(WHOLE[:9])
    assert refused(talk)


def test_a_head_in_pieces_is_read(talk: socket.socket) -> None:
    for place in range(0, len(WHOLE), 8):
        talk.sendall(WHOLE[place : place + 8])
        time.sleep(HEAD_S / 20)
    assert answered(talk)


def test_an_answer_may_take_longer_and_a_rest_between_two(talk: socket.socket) -> None:
    for path in (b"/late", b"/"):
        talk.sendall(WHOLE.replace(b"/", path, 1))
        assert answered(talk)
        time.sleep(2 * HEAD_S)
