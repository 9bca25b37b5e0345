"""/v1/pieces, /v1/scenarios and /v1/jobs: one server with one worker."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from serving import Served, serving
from wenfang.database import Database
from wenfang.server.faults import Fault
from wenfang.server.keys import Keys, Wanted
from wenfang.server.local_names import require_local_names
from wenfang.server.people import People

BRIEF = {"scenario": "translate", "text": "We open at nine.", "into": "zh", "seed": 2}
ENDED = ("done", "failed", "dead", "cancelled")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served"), workers=1) as served:
        yield served


@pytest.fixture(scope="module")
def maker(server: Served) -> httpx.Client:
    """Somebody who may make, and does not manage the server."""
    database = Database.open(f"sqlite:///{server.home}/wenfang.sqlite")
    try:
        People(database=database).add("lin", "maker", "")
        wanted = Wanted(name="test", person="lin", project="")
        return server.http(Keys(database=database).add(wanted)[1])
    finally:
        database.close()


@pytest.fixture(scope="module")
def piece(server: Served) -> dict[str, Any]:
    answer = server.http().post("/v1/pieces?wait=1", json=BRIEF)
    assert answer.status_code == 200, answer.text
    return waited(server, answer.json())


def waited(server: Served, piece: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + 90
    while piece["state"] not in ENDED and time.monotonic() < until:
        time.sleep(0.2)
        piece = server.http().get(f"/v1/pieces/{piece['id']}").json()
    return piece


def test_a_brief_becomes_a_sealed_piece(server: Served, piece: dict[str, Any]) -> None:
    assert piece["state"] == "done", piece["error"]
    assert piece["object"] == "piece"
    assert piece["text"]
    assert piece["brief"] == BRIEF
    names = [one["name"] for one in piece["files"]]
    assert {"translation.md", "report.html", "translation.md.c2pa"} <= set(names)
    for one in piece["files"]:
        answer = server.http().get(one["url"])
        assert answer.status_code == 200
        assert len(answer.content) == one["bytes"]
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert answer.headers["x-aigc-label"]
    report = piece["report"]
    assert report["file"] == "report.html"
    assert report["facts"]["translation"]["sentences"] == 1
    assert {one["outcome"] for one in report["verdicts"]} == {"good"}
    assert str(server.home) not in json.dumps(report)


def test_it_is_verified_and_made_again(server: Served, piece: dict[str, Any]) -> None:
    http, place = server.http(), f"/v1/pieces/{piece['id']}"
    verified = http.post(f"{place}/verify").json()["data"]
    assert {one["path"]: one["outcome"] for one in verified}["report.html"] == "good"
    replayed = http.post(f"{place}/replay").json()["data"]
    assert {one["outcome"] for one in replayed} == {"identical"}
    lineage = http.get(f"{place}/lineage").json()
    assert lineage["asset"] == piece["manifest"]
    assert "translator" in {one["name"] for one in lineage["manifests"]}
    assert lineage["combined_licence"]
    changed = server.home / "served" / "pieces" / piece["id"] / "translation.md"
    before = changed.read_bytes()
    changed.write_bytes(before + b"more")
    verified = http.post(f"{place}/verify").json()["data"]
    assert {one["path"]: one["outcome"] for one in verified}["translation.md"] == "tampered"
    changed.write_bytes(before)


def test_pieces_are_found_by_their_words(server: Served, piece: dict[str, Any]) -> None:
    http = server.http()

    def found(**query: Any) -> list[str]:
        listed = http.get("/v1/pieces", params=query).json()
        return [one["id"] for one in listed["data"]]

    assert piece["id"] in found()
    assert piece["id"] in found(q=piece["text"][:3])
    assert piece["id"] in found(q="TRANSLATE", scenario="translate")
    assert piece["id"] not in found(scenario="jingle")
    assert found(q="100%_nothing") == []


def test_only_the_pieces_own_files_are_given(server: Served, piece: dict[str, Any]) -> None:
    place = f"/v1/pieces/{piece['id']}/files"
    for name in (
        "..%2f..%2f..%2fwenfang.sqlite",
        "%2e%2e",
        ".lock",
        "translation.md%00",
        "x" * 300,
    ):
        assert server.http().get(f"{place}/{name}").status_code in (400, 404)
    (server.home / "served" / "pieces" / piece["id"] / "later.txt").write_text("x")
    assert server.http().get(f"{place}/later.txt").status_code == 404


@pytest.mark.parametrize(
    ("brief", "query", "status"),
    [
        ({"scenario": "nothing"}, "", 404),
        ({"text": "x"}, "", 422),
        ({**BRIEF, "colour": "red"}, "", 422),
        ({**BRIEF, "text": ""}, "", 422),
        ({**BRIEF, "document": "/etc/passwd", "text": ""}, "", 400),
        ({**BRIEF, "glossary": "/etc/hosts.csv"}, "", 400),
        ({**BRIEF, "writer": "/etc"}, "", 400),
        ({**BRIEF, "writer": "hub:/root"}, "", 400),
        ({**BRIEF, "writer": "openai:http://169.254.169.254#m"}, "", 400),
        ({"scenario": "jingle", "brand": "x", "engine": "openai:http://a#b"}, "", 400),
        ({"scenario": "verse_card", "subject": "春", "style": {"picture": "../x"}}, "", 400),
        (BRIEF, "model=../../x", 400),
        (BRIEF, "wait=1e9", 400),
        ([], "", 400),
        ({**BRIEF, "text": "\ud800"}, "", 400),
    ],
)
def test_bad_briefs_are_refused_at_once(
    server: Served, brief: Any, query: str, status: int
) -> None:
    content = json.dumps(brief).encode()
    kind = {"content-type": "application/json"}
    answer = server.http().post(f"/v1/pieces?{query}", content=content, headers=kind)
    assert answer.status_code == status, answer.text
    assert "\n" not in answer.json()["error"]["message"]


def test_words_of_a_glossary_are_no_fields() -> None:
    require_local_names({**BRIEF, "glossary": {"document": "文件", "writer": "作家"}}, ())
    require_local_names({"writer": "openai:http://here#m"}, ("openai:http://here#m",))
    require_local_names({"writer": "copywriter+runs.1:0.5", "engine": "command:aunt"}, ())
    for bad in ({"read": [{"path": "/etc/passwd", "text": "x"}]}, {"a": [{"start": "x.png"}]}):
        with pytest.raises(Fault):
            require_local_names(bad, ())


def test_scenarios_show_how_a_brief_looks(server: Served) -> None:
    listed = server.http().get("/v1/scenarios").json()["data"]
    assert {"verse_card", "jingle", "translate"} <= {one["id"] for one in listed}
    one = server.http().get("/v1/scenarios/jingle").json()
    assert "brand" in one["schema"]["properties"]
    assert one["example"]["scenario"] == "jingle"
    assert server.http().get("/v1/scenarios/nothing").status_code == 404


def test_a_private_piece_leaves_nothing_behind(server: Served) -> None:
    http = server.http()
    answer = http.post("/v1/pieces?private=true", json={**BRIEF, "text": "Mint tea."})
    piece = waited(server, answer.json())
    assert piece["state"] == "done"
    assert piece["brief"] is None
    assert http.get("/v1/pieces", params={"q": "mint"}).json()["data"] == []
    assert http.get(f"/v1/pieces/{piece['id']}/lineage").status_code == 409
    request = http.get(f"/v1/jobs/{piece['job']}").json()["request"]
    assert (request["private"], request["erased"], len(request["sha256"])) == (True, True, 64)
    assert "Mint" not in http.get(f"/v1/jobs/{piece['job']}/events").text
    folder = server.home / "jobs" / piece["job"]
    left = [path for path in folder.rglob("*") if path.is_file() and b"Mint" in path.read_bytes()]
    assert left == []
    database = sqlite3.connect(server.home / "wenfang.sqlite", timeout=20)
    with closing(database):
        assert "Mint" not in "\n".join(database.iterdump())
    [told] = {
        one["finding"] for one in http.post(f"/v1/pieces/{piece['id']}/replay").json()["data"]
    }
    assert told


def test_jobs_are_listed_and_shown(server: Served, piece: dict[str, Any]) -> None:
    http = server.http()
    listed = http.get("/v1/jobs", params={"kind": "create", "state": "done"}).json()
    assert piece["job"] in [one["id"] for one in listed["data"]]
    job = http.get(f"/v1/jobs/{piece['job']}").json()
    assert (job["kind"], job["state"], job["object"]) == ("create", "done", "job")
    one = http.get("/v1/jobs", params={"limit": 1}).json()
    rest = http.get("/v1/jobs", params={"after": one["last_id"]}).json()
    assert one["last_id"] not in [each["id"] for each in rest["data"]]
    for name in ("job-0", "job-" + "0" * 20, "..", "x" * 300, "job-%25"):
        assert http.get(f"/v1/jobs/{name}").status_code == 404
    assert http.get("/v1/jobs", params={"after": "job-0"}).status_code == 400
    assert http.get("/v1/jobs", params={"state": "asleep"}).status_code == 400


def events(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def test_a_job_tells_its_events_and_goes_on_after_the_last(
    server: Served, piece: dict[str, Any]
) -> None:
    place = f"/v1/jobs/{piece['job']}/events"
    whole = events(server.http().get(place).text)
    assert whole[0][1:] == ("state", whole[0][2])
    assert whole[0][2]["state"] == "queued"
    assert whole[-1][2]["state"] == "done"
    assert "progress" in {kind for _, kind, _ in whole}
    seen = whole[1][0]
    again = server.http().get(place, headers={"last-event-id": str(seen)}).text
    assert events(again) == whole[2:]
    assert server.http().get(place, params={"after": whole[-1][0]}).text == ""


def test_events_come_while_it_runs(server: Served) -> None:
    asked = {"kind": "create", "request": {"text": json.dumps({**BRIEF, "text": "Good tea."})}}
    job = server.http().post("/v1/jobs", json=asked).json()
    assert job["state"] in ("queued", "running")
    assert job["estimate"] is None or job["estimate"]["seconds"] > 0
    with server.http().stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = "".join(stream.iter_text())
    told = [one for one in text.split("\n\n") if not one.startswith(":")]
    assert events("\n\n".join(told))[-1][2]["state"] == "done"


def test_jobs_are_paused_resumed_cancelled_and_retried(server: Served) -> None:
    http = server.http()
    asked = {"kind": "create", "request": {"text": json.dumps(BRIEF)}, "priority": -5}
    blocking = http.post("/v1/jobs", json={**asked, "priority": 5}).json()["id"]
    name = http.post("/v1/jobs", json=asked).json()["id"]
    place = f"/v1/jobs/{name}"
    assert http.post(f"{place}/pause").json()["state"] == "paused"
    assert http.post(f"{place}/pause").status_code == 409
    assert http.post(f"{place}/resume").json()["state"] == "queued"
    assert http.post(f"{place}/cancel").json()["state"] == "cancelled"
    assert http.post(f"{place}/retry").json()["state"] == "queued"
    assert http.post(f"{place}/cancel").json()["state"] == "cancelled"
    assert http.post(f"{place}/explode").status_code == 404
    assert http.get(f"/v1/jobs/{blocking}").json()["state"] in ("running", "queued", "done")


def test_the_same_key_is_one_job(server: Served) -> None:
    asked = {"kind": "create", "request": {"text": json.dumps(BRIEF)}, "key": "monday"}
    first, second = (server.http().post("/v1/jobs", json=asked).json() for _ in range(2))
    assert first["id"] == second["id"]
    server.http().post(f"/v1/jobs/{first['id']}/cancel")


@pytest.mark.parametrize(
    ("kind", "request_", "status"),
    [
        ("train", {"recipe": "tune", "data": "/etc"}, 403),
        ("prepare", {"sources": ["/etc/passwd"], "output": "/tmp/x"}, 403),
        ("evaluate", {"bundle": "verse"}, 403),
        ("seal", {"files": ["/etc/passwd"], "made_with": "x"}, 403),
        ("create", {"text": json.dumps(BRIEF), "output": "/tmp/x"}, 403),
        ("create", {"text": json.dumps(BRIEF), "settings": ["writer=hub:/root"]}, 403),
        ("create", {"text": json.dumps(BRIEF), "against": ["/etc"]}, 403),
        ("create", {"text": json.dumps({**BRIEF, "writer": "/etc"})}, 400),
        ("create", {"text": json.dumps({**BRIEF, "writer": "/etc"}), "suffix": ".jsonl"}, 400),
        ("create", {"text": "scenario,document\ntranslate,/etc/x.txt", "suffix": ".csv"}, 400),
        ("create", {"text": json.dumps(BRIEF), "model": "../x"}, 400),
        ("generate", {"model": "/etc"}, 400),
        ("generate", {"model": "upscaler", "settings": {"start": "/etc/x.png"}}, 400),
        ("generate", {"model": "verse", "settings": {}, "output": "/tmp/x"}, 403),
        ("create", {"text": "{"}, 422),
        ("dig", {}, 400),
    ],
)
def test_a_maker_reaches_no_file_of_the_server(
    maker: httpx.Client, kind: str, request_: dict[str, Any], status: int
) -> None:
    answer = maker.post("/v1/jobs", json={"kind": kind, "request": request_})
    assert answer.status_code == status, answer.text
    assert "\n" not in answer.json()["error"]["message"]


def test_a_maker_may_create_and_sees_no_paths(server: Served, maker: httpx.Client) -> None:
    asked = {"kind": "create", "request": {"text": json.dumps(BRIEF)}}
    assert maker.post("/v1/jobs", json={**asked, "priority": 1}).status_code == 403
    job = maker.post("/v1/jobs", json=asked).json()
    told = maker.get(f"/v1/jobs/{job['id']}/events").text
    shown = maker.get(f"/v1/jobs/{job['id']}").json()
    assert shown["state"] == "done"
    assert shown["person"]
    assert str(server.home) not in json.dumps(shown) + told
    assert shown["result"]["pieces"][0]["folder"].startswith("~")


def test_another_projects_things_are_not_there(server: Served) -> None:
    http = server.http()
    made = http.post("/v1/pieces", json=BRIEF).json()
    database = sqlite3.connect(server.home / "wenfang.sqlite", timeout=20)
    with closing(database), database:
        for table, name in (("pieces", made["id"]), ("jobs", made["job"])):
            database.execute(f"UPDATE {table} SET project = 'another' WHERE id = ?", (name,))
    piece, job = f"/v1/pieces/{made['id']}", f"/v1/jobs/{made['job']}"
    asked = [
        http.get(piece),
        http.get(f"{piece}/files/report.html"),
        http.post(f"{piece}/verify"),
        http.post(f"{piece}/replay"),
        http.get(f"{piece}/lineage"),
        http.get(job),
        http.get(f"{job}/events"),
        http.post(f"{job}/cancel"),
    ]
    assert [one.status_code for one in asked] == [404] * len(asked)
    assert made["id"] not in http.get("/v1/pieces").text
    assert made["job"] not in http.get("/v1/jobs").text
