"""/v1/files, /v1/batches and /v1/content_provenance_checks, by OpenAI's client in strict mode."""

from __future__ import annotations

import io
import json
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types import Batch, ContentProvenanceCheck
from PIL import Image

from serving import Served, serving
from wenfang.seal import LabelSettings, Payload, Provenance, Sealer, emit
from wenfang.store import Manifest

POEM = {"model": "verse", "prompt": "春", "seed": 1}
ENDED = ("completed", "failed", "cancelled", "expired")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served


def upload(server: Served, content: bytes, name: str = "in.jsonl", purpose: str = "batch") -> str:
    asked: Any = purpose
    return server.client().files.create(file=(name, content), purpose=asked).id


def line(name: str, body: dict[str, Any] = POEM, **changed: Any) -> str:
    asked = {"custom_id": name, "method": "POST", "url": "/v1/completions", "body": body}
    return json.dumps({**asked, **changed}, ensure_ascii=False)


def batch(server: Served, *lines: str) -> Batch:
    file = upload(server, "\n".join(lines).encode())
    return server.client().batches.create(
        input_file_id=file, endpoint="/v1/completions", completion_window="24h"
    )


def ended(server: Served, name: str) -> Batch:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = server.client().batches.retrieve(name)
        if found.status in ENDED:
            return found
        time.sleep(0.1)
    raise AssertionError("the batch does not end")


def rows(server: Served, name: str | None) -> list[dict[str, Any]]:
    assert name
    text = server.client().files.content(name).text
    return [json.loads(one) for one in text.splitlines()]


def test_a_file_comes_back_as_it_was_and_goes(server: Served) -> None:
    files = server.client().files
    made = files.create(
        file=("notes.txt", b"ink and paper"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (made.filename, made.bytes, made.purpose) == ("notes.txt", 13, "user_data")
    assert made.expires_at == made.created_at + 3600
    assert files.retrieve(made.id) == made
    content = files.with_raw_response.content(made.id)
    assert content.content == b"ink and paper"
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-disposition"].startswith("attachment")
    assert files.delete(made.id).deleted
    for gone in (files.retrieve, files.content, files.delete):
        with pytest.raises(openai.NotFoundError):
            gone(made.id)
    assert not list((server.home / "served" / "files").glob(made.id))


def test_lists_are_paged_and_sorted(server: Served) -> None:
    made = [upload(server, b"x", f"{number}.txt", "vision") for number in range(5)]
    listed = server.client().files.list(purpose="vision", limit=2)
    assert [one.id for one in listed] == made[::-1]  # the client asks for the other pages
    first = server.client().files.list(purpose="vision", limit=2, order="asc", after=made[0])
    assert [one.id for one in first.data] == made[1:3]
    assert first.has_more
    with pytest.raises(openai.BadRequestError) as caught:
        server.client().files.list(after="file-" + "0" * 24)
    assert caught.value.param == "after"


def test_names_are_words_and_never_places(server: Served) -> None:
    before = {path for path in server.home.rglob("*") if path.is_file()}
    for name in ("../../evil.txt", "/etc/passwd", "..\\..\\evil.txt", "..", "a\x00b"):
        found = server.client().files.retrieve(upload(server, b"x", name, "user_data"))
        assert not set(found.filename) & set("/\\\0")
        assert found.filename.strip(".")
    made = {path for path in server.home.rglob("*") if path.is_file()} - before
    assert {path.parent for path in made if path.suffix == ".txt"} == set()
    for path in ("../../wenfang.sqlite", "..%2f..%2fwenfang.sqlite", "file-%00", "file-'--"):
        assert server.http().get(f"/v1/files/{path}/content").status_code in (400, 404)


BOUNDARY = "sep"
HEAD = '--sep\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
PURPOSE = '--sep\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
UNKNOWN = '--sep\r\ncontent-disposition: form-data; name="colour"\r\n\r\nred\r\n'
END = "--sep--\r\n"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (HEAD + "half of a fi", "incomplete_upload", None),
        (PURPOSE + HEAD + "x\r\n", "incomplete_upload", None),
        (PURPOSE + END, "missing_required_parameter", "file"),
        (PURPOSE + HEAD + "\r\n" + END, "empty_file", "file"),
        (HEAD + "x\r\n" + END, "missing_required_parameter", "purpose"),
        (PURPOSE.replace("batch", "fun") + HEAD + "x\r\n" + END, "invalid_value", "purpose"),
        (PURPOSE + UNKNOWN + HEAD + "x\r\n" + END, "unknown_parameter", "colour"),
        (PURPOSE + HEAD + "x\r\n" + HEAD + "y\r\n" + END, "too_many_files", "file"),
        ("nonsense", "invalid_multipart", None),
        ("", "incomplete_upload", None),
    ],
)
def test_broken_uploads_are_refused_in_one_line(
    server: Served, body: str, code: str, param: str | None
) -> None:
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = server.http().post("/v1/files", content=body.encode(), headers=kind)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert not list((server.home / "served" / "given").iterdir())


def test_an_upload_that_is_no_form_is_refused(server: Served) -> None:
    for kind in ("application/json", "multipart/form-data", ""):
        answer = server.http().post("/v1/files", content=b"{}", headers={"content-type": kind})
        assert answer.json()["error"]["code"] == "invalid_multipart"


def test_a_large_upload_leaves_memory_as_it_was(server: Served) -> None:
    status = Path(f"/proc/{server.process.pid}/status")

    def resident_bytes() -> int:
        lines = status.read_text().splitlines()
        return next(int(one.split()[1]) * 1024 for one in lines if one.startswith("VmHWM"))

    before, size = resident_bytes(), 96 * 2**20
    made = upload(server, b"\n" * size, "big.bin", "user_data")
    assert server.client().files.retrieve(made).bytes == size
    assert resident_bytes() - before < size / 3
    server.client().files.delete(made)


def test_a_batch_answers_every_line(server: Served) -> None:
    poems = [line(f"poem {number}", {**POEM, "seed": number}) for number in range(4)]
    wrong = [
        "{",
        "[]",
        line("poem 0"),
        line("elsewhere", url="/v1/embeddings"),
        line("strange", colour="red"),
        line("stream", {**POEM, "stream": True}),
        line("nobody", {**POEM, "model": "nobody"}),
        line("春" * 600),
    ]
    made = batch(server, *poems[:2], "", *wrong, *poems[2:])
    assert made.status == "validating"
    found = ended(server, made.id)
    assert found.status == "completed"
    assert found.request_counts
    assert found.request_counts.model_dump() == {"total": 12, "completed": 4, "failed": 8}
    assert found.model == "verse"
    assert found.in_progress_at
    assert found.finalizing_at
    assert found.completed_at
    output = {one["custom_id"]: one for one in rows(server, found.output_file_id)}
    assert set(output) == {f"poem {number}" for number in range(4)}
    for number in range(4):
        response = output[f"poem {number}"]["response"]
        alone = server.client().completions.create(model="verse", prompt="春", seed=number)
        assert response["status_code"] == 200
        assert response["body"]["choices"][0]["text"] == alone.choices[0].text
        assert response["body"]["wenfang"]["label"]
    written = [one["response"]["body"]["usage"]["completion_tokens"] for one in output.values()]
    assert found.usage
    assert found.usage.output_tokens == found.usage.total_tokens == sum(written)
    errors = rows(server, found.error_file_id)
    codes = [one["error"]["code"] for one in errors if one["error"]]
    assert sorted(codes) == sorted(
        ["invalid_json_line", "invalid_json_line", "duplicate_custom_id", "invalid_url",
         "unknown_parameter", "invalid_body", "invalid_custom_id"]
    )  # fmt: skip
    refused = next(one for one in errors if one["custom_id"] == "nobody")
    assert refused["response"]["status_code"] == 404
    assert refused["response"]["body"]["error"]["code"] == "model_not_found"
    file = server.client().files.retrieve(found.output_file_id or "")
    assert file.purpose == "batch_output"
    assert made.id in {one.id for one in server.client().batches.list(limit=1)}


def test_a_batch_without_lines_fails_and_says_why(server: Served) -> None:
    found = ended(server, batch(server, "", " ").id)
    assert found.status == "failed"
    assert found.errors
    assert found.errors.data
    assert found.errors.data[0].code == "empty_file"


def test_a_cancelled_batch_keeps_what_it_has(server: Served) -> None:
    made = batch(server, *(line(f"{number}") for number in range(100)))
    time.sleep(1)
    stopped = server.client().batches.cancel(made.id)
    assert stopped.status in ("cancelling", "cancelled")
    found = ended(server, made.id)
    assert found.status == "cancelled"
    assert found.request_counts
    done = found.request_counts.completed
    assert done < 100
    assert len(rows(server, found.output_file_id)) == done if done else not found.output_file_id
    with pytest.raises(openai.ConflictError):
        server.client().batches.cancel(ended(server, batch(server, line("one")).id).id)


@pytest.mark.parametrize(
    ("changed", "status", "param"),
    [
        ({"input_file_id": "file-" + "0" * 24}, 404, "input_file_id"),
        ({"input_file_id": "../../etc/passwd"}, 404, "input_file_id"),
        ({"endpoint": "/v1/files"}, 400, "endpoint"),
        ({"completion_window": "1h"}, 400, "completion_window"),
        ({"colour": "red"}, 400, "colour"),
        ({"metadata": {"x" * 65: "y"}}, 400, None),
        ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"),
    ],
)
def test_batches_that_cannot_be_are_refused(
    server: Served, changed: dict[str, Any], status: int, param: str | None
) -> None:
    file = upload(server, line("one").encode())
    body = {"input_file_id": file, "endpoint": "/v1/completions", "completion_window": "24h"}
    answer = server.http().post("/v1/batches", json={**body, **changed})
    assert answer.status_code == status
    assert param is None or answer.json()["error"]["param"] == param


def test_a_file_for_something_else_is_no_batch(server: Served) -> None:
    file = upload(server, line("one").encode(), purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="purpose batch"):
        server.client().batches.create(
            input_file_id=file, endpoint="/v1/completions", completion_window="24h"
        )


def test_another_projects_things_are_not_there(server: Served) -> None:
    file = upload(server, line("one").encode())
    name = ended(server, batch(server, line("one")).id).id
    database = sqlite3.connect(server.home / "wenfang.sqlite")
    with closing(database), database:
        for table, one in (("files", file), ("batches", name)):
            database.execute(f"UPDATE {table} SET project = 'another' WHERE id = ?", (one,))
    http = server.http()
    asked = [
        http.get(f"/v1/files/{file}"),
        http.get(f"/v1/files/{file}/content"),
        http.delete(f"/v1/files/{file}"),
        http.get(f"/v1/batches/{name}"),
        http.post(f"/v1/batches/{name}/cancel"),
    ]
    assert [one.status_code for one in asked] == [404] * 5
    assert file not in http.get("/v1/files").text
    assert name not in http.get("/v1/batches").text


def test_what_a_file_says_of_itself(server: Served, tmp_path: Path) -> None:
    checks = server.client().content_provenance_checks
    plain = checks.create(file=("../a.txt", b"nothing is said here"))
    assert c2pa(plain) == ("not_detected", "not_present")
    sealed = sealed_picture(tmp_path / "sealed.png", server.home)
    found = checks.create(file=("picture.png", sealed))
    assert c2pa(found) == ("detected", "trusted")
    (told,) = (found.model_extra or {})["wenfang"]["files"]
    assert told["path"] == "picture.png"
    layers = {one["name"]: one["status"] for one in told["layers"]}
    assert layers["credential"] == layers["visible"] == layers["metadata"] == "good"
    at = sealed.rindex(b"IDAT") + 20
    broken = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
    assert c2pa(checks.create(file=("picture.png", broken))) == ("detected", "invalid")
    strange = sealed_picture(tmp_path / "foreign.png", tmp_path / "home")
    assert c2pa(checks.create(file=("noname", strange))) == ("detected", "valid")
    assert not list((server.home / "served" / "given").iterdir())


def c2pa(check: ContentProvenanceCheck) -> tuple[str, str]:
    (result,) = check.results
    assert result.type == "c2pa"
    return result.outcome, result.validation_state


def sealed_picture(path: Path, home: Path) -> bytes:
    core = Manifest(kind="asset", name=path.name, media_type="image/png")
    picture = Image.new("RGB", (256, 256), "white")
    payload = Payload(media_type="image/png", data=picture)
    emit(payload, path, Provenance(manifest=core), Sealer.at(home, LabelSettings()))
    return path.read_bytes()


def test_archives_are_looked_into_and_nonsense_is_not_fatal(server: Served, tmp_path: Path) -> None:
    sealed_picture(tmp_path / "sealed.png", server.home)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in tmp_path.iterdir():
            archive.write(path, path.name)
    checks = server.client().content_provenance_checks
    found = checks.create(file=("all.zip", stream.getvalue()))
    assert c2pa(found) == ("detected", "trusted")
    stream = io.BytesIO()
    zipfile.ZipFile(stream, "w").close()
    for content in (stream.getvalue(), b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\xff" * 9):
        for name in ("a.zip", "a.png", "a", ".c2pa", "a.wenfang.json"):
            assert c2pa(checks.create(file=(name, content)))[1] != "trusted"


def test_health_answers_while_a_batch_runs(server: Served) -> None:
    made = batch(server, *(line(f"{number}") for number in range(20)))
    with httpx.Client() as client:
        for _ in range(10):
            started = time.monotonic()
            assert client.get(f"{server.url}/healthz").status_code == 200
            assert time.monotonic() - started < 1
    server.client().batches.cancel(made.id)
    ended(server, made.id)
