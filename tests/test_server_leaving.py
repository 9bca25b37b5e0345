"""A client that leaves stops its work, whatever it asked; what is kept for it is not lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from leaving import measured, reaches, sent
from serving import Served, serving

WAITING = "wenfang_calls_waiting"
STOPS_S = 5.0  # from the leaving to the next safe point, on a busy machine
# Each takes far longer than that.
LONG: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": "verse", "prompt": ["春"] * 64, "n": 64},
    "/v1/embeddings": {"model": "encoder", "input": ["a river under the bridge " * 3] * 2000},
    "/v1/images/generations": {"model": "emblem", "prompt": "ring", "n": 10,
                               "settings": {"paint": {"denoising": {"steps": 250}}}},
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


def left(route: str) -> str:
    return f'wenfang_clients_left_total{{route="{route}"}}'


@pytest.mark.parametrize("route", LONG)
def test_work_ends_when_its_client_leaves(server: Served, route: str) -> None:
    one = sent(server, route, LONG[route])
    assert reaches(server, WAITING, 1, 30)
    time.sleep(0.5)
    assert measured(server, WAITING) == 1
    one.close()
    assert reaches(server, WAITING, 0, STOPS_S)
    assert reaches(server, left(route), 1, STOPS_S)
    status = f'wenfang_requests_total{{method="POST",route="{route}",status="499"}}'
    assert measured(server, status) == 1
    # Its slots and its line are free: the next one does not wait for what nobody waits for.
    began = time.monotonic()
    made = server.client().completions.create(model="verse", prompt="秋")
    assert made.choices[0].text
    assert time.monotonic() - began < STOPS_S


def test_a_form_is_cleared_away_when_its_client_leaves(server: Served) -> None:
    boundary = "content-type: multipart/form-data; boundary=x"
    half = b'--x\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\nabc'
    one = sent(server, "/v1/images/edits", half, boundary)
    one.close()
    given = server.home / "served" / "given"
    until = time.monotonic() + STOPS_S
    while (given.is_dir() and list(given.iterdir())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not given.is_dir() or not list(given.iterdir())


def test_a_stream_that_is_left_is_counted_and_stops(server: Served) -> None:
    route = "/v1/completions"
    before = measured(server, left(route))
    one = sent(server, route, {**LONG[route], "stream": True})
    assert one.recv(100).startswith(b"HTTP/1.1 200")
    one.close()
    assert reaches(server, WAITING, 0, STOPS_S)
    assert reaches(server, left(route), before + 1, STOPS_S)


def test_who_waits_to_the_end_is_not_counted(server: Served) -> None:
    before = measured(server, left("/v1/completions"))
    server.client().completions.create(model="verse", prompt="冬")
    assert measured(server, left("/v1/completions")) == before


def test_what_is_queued_stays_when_its_client_leaves(server: Served) -> None:
    brief = {"scenario": "translate", "text": "We open at ten.", "into": "zh"}
    one = sent(server, "/v1/pieces?wait=60", brief)
    until = time.monotonic() + 30
    while not (found := server.http().get("/v1/pieces").json()["data"]):
        assert time.monotonic() < until
        time.sleep(0.1)
    one.close()
    assert reaches(server, left("/v1/pieces"), 1, STOPS_S)
    [piece] = found
    assert server.http().get(f"/v1/pieces/{piece['id']}").json()["state"] == "queued"
