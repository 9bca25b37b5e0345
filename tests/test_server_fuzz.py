"""The OpenAPI tells the truth: random requests to every cheap route, and what it declares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asking import Asker, asking
from fuzz_things import Maker
from fuzzing import Fuzz, Tally, shown, traces, whole
from serving import serving
from wenfang.server.answers import ANSWERS
from wenfang.server.openapi import operations

SEED = 7
AT_BOUNDS, DRAWN = 2, 3  # cases a route
CASES_LEAST = 200
# What takes long, or is asked with a password that is hashed.
DEAR = ("/v1/images/", "/v1/audio/speech", "/replay", "/session", "/v1/people")


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        maker = Maker(served=served, spare=1)
        keys = ("", maker.key())
        yield Fuzz(served=served, keys=keys, things=maker.things(finished=False))


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[dict[str, Any]]:
    for ask in asking(tmp_path):
        yield described(ask)


def described(ask: Asker) -> dict[str, Any]:
    found: dict[str, Any] = ask("GET", "/openapi.json").json()
    return found


def test_random_requests_are_answered_as_the_openapi_says(fuzz: Fuzz) -> None:
    tallies: dict[str, Tally] = {}
    for name, operation in fuzz.routes().items():
        if not any(part in name for part in DEAR):
            tallies[name] = fuzz.boundary(operation, AT_BOUNDS)
            tallies[name].add(fuzz.drawn(operation, DRAWN, SEED))
    found = whole(tallies)
    assert found.cases >= CASES_LEAST
    assert not found.failures, shown(tallies)
    assert max(found.statuses) < 500
    assert {200, 400, 404} <= set(found.statuses)
    assert not traces(fuzz.served)


def test_an_answer_that_is_not_declared_is_a_failure(fuzz: Fuzz) -> None:
    lying = Fuzz(served=fuzz.served)
    raw = lying.schema.raw_schema["paths"]["/v1/files/{name}"]["get"]["responses"]
    del raw["404"]
    tally = lying.drawn(lying.routes()["GET /v1/files/{name}"], 1, SEED)
    assert tally.statuses == {404: 1}
    assert tally.failures == {"Undocumented status code": 1}


def test_each_route_stands_in_the_table_of_answers(spec: dict[str, Any]) -> None:
    assert {f"{method} {path}" for path, method, _ in operations(spec)} == set(ANSWERS)


def test_errors_are_declared_in_one_shape(spec: dict[str, Any]) -> None:
    ours = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, method, operation in operations(spec):
        for status, told in operation["responses"].items():
            if int(status) >= 400:
                assert told["content"] == ours, (method, path, status)
            assert "x-request-id" in told["headers"]
    assert "HTTPValidationError" not in spec["components"]["schemas"]


@pytest.mark.parametrize(
    ("route", "statuses", "types"),
    [
        ("GET /healthz", {"200", "500"}, {"application/json"}),
        ("POST /v1/completions", {"400", "401", "404", "408", "413", "422", "429", "503"},
         {"application/json", "text/event-stream"}),
        ("POST /v1/audio/speech", {"415", "507"},
         {"audio/mpeg", "audio/opus", "audio/flac", "audio/wav", "audio/mp4"}),
        ("GET /v1/videos/{video_id}/content", {"404", "409"},
         {"video/mp4", "image/webp", "image/jpeg"}),
        ("GET /v1/jobs/{name}/events", {"401", "404"}, {"text/event-stream"}),
        ("GET /metrics", {"401"}, {"text/plain"}),
    ],
)  # fmt: skip
def test_statuses_and_types_are_those_of_the_route(
    spec: dict[str, Any], route: str, statuses: set[str], types: set[str]
) -> None:
    method, path = route.split(" ")
    told = spec["paths"][path][method.lower()]["responses"]
    assert statuses <= set(told)
    assert set(told["200"]["content"]) == types


@pytest.mark.parametrize(("auth", "open_"), [("auto", True), ("required", False)])
def test_a_key_is_asked_for_only_where_it_is_needed(tmp_path: Path, auth: Any, open_: bool) -> None:
    for ask in asking(tmp_path, auth=auth):
        told = described(ask)["paths"]["/v1/models"]["get"]["security"]
        assert ({} in told) is open_
        assert {"key": []} in told


@pytest.mark.parametrize("value", ["2", 2.0, True])
def test_a_number_of_another_type_is_refused(tmp_path: Path, value: Any) -> None:
    for ask in asking(tmp_path):
        answer = ask("POST", "/v1/completions", json={"model": "verse", "n": value})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "n"


def test_methods_that_clients_make_up_are_one_number(tmp_path: Path) -> None:
    for ask in asking(tmp_path):
        for number in range(3):
            ask(f"BREW{number}", "/healthz")
        text = ask("GET", "/metrics").text
        assert "BREW" not in text
        assert 'wenfang_requests_total{method="other"' in text
