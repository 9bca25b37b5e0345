"""What should bring no server down: it is refused in OpenAI's shape, with a request id."""

from __future__ import annotations

import io
import json
import resource
import socket
import sqlite3
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from asking import Asker, asking
from serving import Served, serving
from test_hostile import bomb
from wenfang.database import connection
from wenfang.server.paging import fresh_id
from wenfang.server.response_store import Kept, find, keep

HEAD_S = 1.5
POEM = {"model": "verse", "prompt": "春"}
BRIEF = {"scenario": "translate", "text": "We open at nine.", "into": "zh"}
JSON = {"content-type": "application/json"}


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asker]:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path))
    yield from asking(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served")
    with serving(home, "--set", f"head_s={HEAD_S}") as served:
        yield served


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The error of an answer that must be one."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["x-request-id"]
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "\n" not in error["message"]
    assert "Traceback" not in answer.text
    return error


def routes(ask: Asker, kind: str) -> list[tuple[str, str]]:
    """Methods and paths that take a body of that type, their parameters filled in."""
    found = []
    for path, told in ask("GET", "/openapi.json").json()["paths"].items():
        for method, operation in told.items():
            if kind in operation.get("requestBody", {}).get("content", {}):
                found.append((method.upper(), path))
    assert len(found) > 4
    return found


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"7", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":NaN}']
)
def test_bodies_that_are_none_are_refused_on_every_route(ask: Asker, body: bytes) -> None:
    for method, path in routes(ask, "application/json"):
        refused(ask(method, path, content=body, headers=JSON), 400, 403, 404, 422)


def test_unknown_fields_and_wrong_types_are_refused_by_name(ask: Asker) -> None:
    for method, path in routes(ask, "application/json"):
        if "{" in path or path in ("/session", "/v1/pieces"):  # briefs are of their scenarios
            continue
        error = refused(ask(method, path, json={"colour_of_ink": "red"}), 400)
        assert error["code"] in (
            "unknown_parameter", "missing_required_parameter",
        ), path  # fmt: skip
    for body in ({**POEM, "colour": 1}, {**POEM, "n": "many"}, {**POEM, "settings": [1]}):
        assert refused(ask("POST", "/v1/completions", json=body), 400)["param"]


def test_what_is_too_large_is_refused_by_its_head(ask: Asker) -> None:
    most = {"application/json": 9 * 2**20, "multipart/form-data": 3 * 2**30}
    for kind, size in most.items():
        for method, path in routes(ask, kind):
            head = {"content-type": kind, "content-length": str(size)}
            answer = ask(method, path, content=b"{}", headers=head)
            assert refused(answer, 413, 403, 401)["message"]


@contextmanager
def listener() -> Iterator[tuple[str, list[Any]]]:
    """A place that nobody may come to."""
    came: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as one:
        one.settimeout(0.2)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    came.append(one.accept())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        yield f"http://127.0.0.1:{one.getsockname()[1]}/a.png", came
        over.set()
        thread.join()


def test_no_url_of_a_request_is_ever_fetched(server: Served) -> None:
    with listener() as (url, came):
        picture = {"type": "image_url", "image_url": {"url": url}}
        seen = {"type": "input_image", "image_url": url}
        asked: list[tuple[str, Any]] = [
            ("/v1/chat/completions", {"model": "verse", "messages": [
                {"role": "user", "content": [picture]}]}),
            ("/v1/responses", {"model": "verse", "input": [{"role": "user", "content": [seen]}]}),
            ("/v1/moderations", {"input": [picture]}),
            ("/v1/images/generations", {"model": "emblem", "prompt": "ring",
                                        "settings": {"start": url}}),
            ("/v1/videos", {"prompt": "rain", "input_reference": url}),
            ("/v1/videos", {"prompt": "rain", "settings": {"engine": f"openai:{url}#m"}}),
            ("/v1/completions", {**POEM, "model": f"openai:{url}#m"}),
            ("/v1/completions", {**POEM, "settings": {"constraints": {"schema": url}}}),
            ("/v1/audio/speech", {"model": "speech", "input": "x", "voice": url}),
            ("/v1/pieces", {**BRIEF, "document": url, "text": ""}),
            ("/v1/pieces", {**BRIEF, "writer": f"openai:{url}#m"}),
            ("/v1/jobs", {"kind": "generate", "request": {"model": f"openai:{url}#m"}}),
            ("/v1/files", {"file": url, "purpose": "batch"}),
        ]  # fmt: skip
        for path, body in asked:
            refused(server.http().post(path, json=body), 400, 403, 404, 422)
        form = {"model": "emblem", "prompt": "ring", "image": url}
        refused(server.http().post("/v1/images/edits", data=form), 400)
        assert came == []


def stuffed(count: int) -> bytes:
    """An archive of so many files, each of them of zeros."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            archive.writestr(f"{number}.png", bytes(2**20))
    return stream.getvalue()


def test_bombs_are_neither_unpacked_nor_drawn(server: Served) -> None:
    status = Path(f"/proc/{server.process.pid}/status")
    lines = dict(one.split(":", 1) for one in status.read_text().splitlines())
    before = int(lines["VmHWM"].split()[0])
    names = {suffix: bomb(suffix) for suffix in ("png", "zip", "docx", "pdf", "svg")}
    for suffix, content in {**names, "ZIP": stuffed(2000)}.items():
        began = time.monotonic()
        answer = server.http().post(
            "/v1/content_provenance_checks", files={"file": (f"a.{suffix}", content)}
        )
        assert time.monotonic() - began < 20, suffix
        if answer.status_code != 200:
            refused(answer, 400, 413, 415, 422)
        else:
            assert answer.json()["results"][0]["validation_state"] != "trusted"
        files = {"image": (f"a.{suffix}", content)}
        data = {"model": "emblem", "prompt": "ring"}
        refused(server.http().post("/v1/images/edits", files=files, data=data), 413, 415, 422)
    after = dict(one.split(":", 1) for one in status.read_text().splitlines())
    assert int(after["VmHWM"].split()[0]) - before < 200 * 1024  # kB


def test_names_of_files_lead_nowhere(server: Served) -> None:
    def there() -> set[Path]:
        return {one for one in server.home.rglob("*") if one.is_file()}

    before = there()
    for name in ("../../../evil.png", "/etc/evil.png", "..\\evil.png", "a\x00.png", "." * 300):
        files = {"file": (name, b"nothing")}
        for path, data in (
            ("/v1/content_provenance_checks", {}),
            ("/v1/audio/transcriptions", {"model": "speech"}),
        ):
            answer = server.http().post(path, files=files, data=data)
            assert answer.status_code in (200, 404), answer.text
    assert {one for one in there() - before if "evil" in one.name} == set()
    assert not Path("/etc/evil.png").exists()
    assert not list((server.home / "served" / "given").iterdir())


def heard(served: Served, *parts: bytes, wait_s: float = 6 * HEAD_S) -> tuple[bytes, float]:
    """All that a server says to who sends these parts and then nothing; and after how long."""
    place = urlsplit(served.url)
    began = time.monotonic()
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=wait_s) as one:
        for part in parts:
            one.sendall(part)
        found = b""
        while data := one.recv(65_536):
            found += data
    return found, time.monotonic() - began


def test_slow_heads_and_bodies_are_given_up(server: Served) -> None:
    nothing, after_s = heard(server)
    assert (nothing, after_s < 4 * HEAD_S) == (b"", True)
    head, after_s = heard(server, b"POST /v1/completions HTTP/1.1\r\nhost: ")
    assert HEAD_S * 0.5 < after_s < 4 * HEAD_S
    whole = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n"
    body, after_s = heard(server, whole, b"connection: close\r\n\r\n{")
    assert HEAD_S * 0.5 < after_s < 4 * HEAD_S
    for told in (head, body):
        assert told.startswith(b"HTTP/1.1 408"), told
        assert b"x-request-id: req_" in told
        assert json.loads(told.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"


def test_a_second_head_on_an_open_connection_is_awaited_no_longer(server: Served) -> None:
    whole = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    told, after_s = heard(server, whole, b"GET /hea")
    assert told.count(b"HTTP/1.1 200") == 1
    assert b"HTTP/1.1 408" in told
    assert after_s < 4 * HEAD_S


def test_what_is_no_http_is_refused_in_the_same_shape(server: Served) -> None:
    for sent in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
                 b"NONSENSE\r\n\r\n"):  # fmt: skip
        try:
            told, _ = heard(server, sent)
        except ConnectionResetError:
            continue  # it was still sending when it was refused
        if told:
            assert told.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")), told
            assert json.loads(told.partition(b"\r\n\r\n")[2])["error"]["message"]
    assert server.http().get("/healthz").status_code == 200


def descendants(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


@contextmanager
def small_files(processes: list[int], most: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, which is told as a full disk is."""
    before = {one: resource.prlimit(one, resource.RLIMIT_FSIZE) for one in processes}
    for one, (_, hard) in before.items():
        resource.prlimit(one, resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        for one, limits in before.items():
            resource.prlimit(one, resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_told_and_leaves_nothing_half(server: Served) -> None:
    http, files = server.http(), server.home / "served" / "files"
    kept = http.post("/v1/files", files={"file": ("a", b"x" * 100)}, data={"purpose": "vision"})
    large = {"file": ("b", b"x" * 24 * 2**20)}
    with small_files([server.process.pid], 16 * 2**20):
        error = refused(http.post("/v1/files", files=large, data={"purpose": "vision"}), 507)
        assert error["code"] == "disk"
        assert str(server.home) not in error["message"]
    with small_files(descendants(server.process.pid), 64):
        asked = {"model": "digits-gan", "prompt": "3"}
        refused(http.post("/v1/images/generations", json=asked), 507)
    assert [one.name for one in files.iterdir()] == [kept.json()["id"]]
    assert not list((server.home / "served" / "given").iterdir())
    assert not list((server.home / "served").glob(".partial-*"))
    assert http.get(f"/v1/files/{kept.json()['id']}/content").content == b"x" * 100
    assert http.post("/v1/images/generations", json=asked).status_code == 200
    assert http.post("/v1/files", files=large, data={"purpose": "vision"}).status_code == 200


def test_another_projects_responses_are_not_there(ask: Asker) -> None:
    name = fresh_id("resp_")
    kept = Kept(content={"id": name, "output": ["secret"]}, talk=[])
    keep(ask.database, "other", "", kept)
    for method in ("GET", "DELETE"):
        refused(ask(method, f"/v1/responses/{name}"), 404)
    body = {"model": "verse", "input": "x", "previous_response_id": name}
    assert "secret" not in ask("POST", "/v1/responses", json=body).text
    assert find(ask.database, "other", name).content["output"] == ["secret"]


def test_a_locked_database_is_told_and_nothing_is_lost(
    ask: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "WAIT_S", 0.2)
    ask.database.engine.dispose()
    with ask.database.reading() as held:
        held.exec_driver_sql("PRAGMA busy_timeout = 200")
    upload: dict[str, Any] = {"files": {"file": ("a", b"ink")}, "data": {"purpose": "vision"}}
    kept = ask("POST", "/v1/files", **upload).json()["id"]
    with closing(sqlite3.connect(tmp_path / "wenfang.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        changes: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/v1/files", upload),
            ("DELETE", f"/v1/files/{kept}", {}),
            ("POST", "/v1/people", {"json": {"name": "ann", "role": "maker"}}),
        ]
        for method, path, more in changes:
            assert refused(ask(method, path, **more), 503)["code"] == "database"
        # What needs no row but the audit log's is answered all the same.
        assert ask("POST", "/v1/completions", json=POEM).status_code == 200
        assert ask("GET", f"/v1/files/{kept}/content").content == b"ink"
        assert ask("GET", "/healthz").status_code == 200
        assert time.monotonic() - began < 60
        other.execute("ROLLBACK")
    assert [one.name for one in (tmp_path / "served" / "files").iterdir()] == [kept]
    assert ask("POST", "/v1/files", **upload).status_code == 200
    assert ask("DELETE", f"/v1/files/{kept}").status_code == 200
