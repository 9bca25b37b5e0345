"""Sessions, this machine's own person, limits of keys, and the pages that need no key."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa

from asking import HOST, PASSWORD, PRINTED, Asker, asking
from serving import Served, serving
from wenfang.cli import main
from wenfang.jobs import Submission
from wenfang.jobs.tables import jobs
from wenfang.server.limits import Buckets
from wenfang.server.sessions import sessions
from wenfang.server.spending import spendings

BODY = {"model": "verse", "prompt": "春"}


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    """A server on this machine, as it is by default."""
    yield from asking(tmp_path)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Asker]:
    """A server that others reach, with one admin who has a password."""
    for one in asking(tmp_path, host="0.0.0.0"):
        one.people.add("ann", "admin", "", PASSWORD)
        yield one


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        (HOST, {}, (200, "")),
        ("localhost:9", {"origin": "http://localhost:9"}, (200, "")),
        ("[::1]:8420", {}, (200, "")),
        (HOST, {"authorization": "Bearer none"}, (200, "")),
        (HOST, {"authorization": f"Bearer {PRINTED}"}, (200, "")),
        (HOST, {"authorization": "Bearer wf-wrong"}, (401, "invalid_api_key")),
        ("evil.example:8420", {}, (401, "key_required")),
        ("evil.example", {"authorization": f"Bearer {PRINTED}"}, (200, "")),
        ("127.0.0.1.evil.example", {}, (401, "key_required")),
        ("localhost.evil.example", {}, (401, "key_required")),
        (HOST, {"origin": "https://evil.example"}, (403, "foreign_origin")),
        (HOST, {"origin": "http://127.0.0.1:3000"}, (403, "foreign_origin")),
        (HOST, {"origin": "null"}, (403, "foreign_origin")),
        (HOST, {"sec-fetch-site": "cross-site"}, (403, "foreign_origin")),
        (HOST, {"sec-fetch-site": "same-origin"}, (200, "")),
        (HOST, {"x-forwarded-for": "203.0.113.9"}, (401, "key_required")),
        ("evil.example", {"origin": "http://evil.example"}, (401, "key_required")),
    ],
)
def test_only_this_machine_needs_no_key(
    ask: Asker, host: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    answer = ask("POST", "/v1/completions", host=host, headers=headers, json=BODY)
    if expected[0] == 200:
        assert answer.status_code == 200
    else:
        assert refused(answer) == expected


def test_this_machine_is_the_admin_of_the_default_project(ask: Asker) -> None:
    told = ask("GET", "/session").json()
    assert (told["person"], told["project"], told["role"]) == ("", "default", "admin")
    assert told["csrf_token"] is None
    assert ask("GET", "/metrics").status_code == 200
    assert ask("GET", "/metrics", host="evil.example").status_code == 401
    assert ask("DELETE", "/session").status_code == 404


def test_a_link_from_elsewhere_may_be_followed(ask: Asker) -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert ask("GET", "/v1/models", headers=followed).status_code == 200
    assert ask("POST", "/v1/completions", headers=followed, json=BODY).status_code == 403


def test_a_key_counts_on_this_machine_too(ask: Asker) -> None:
    ask.people.add("ann", "viewer", "")
    key = ask.new_key("ann")
    assert ask("POST", "/v1/completions", key=key, json=BODY).status_code == 403
    assert ask("GET", "/session", key=key).json()["name"] == "ann"


def test_a_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(strict: Asker) -> None:
    answer = strict("POST", "/session", json={"name": "Ann", "password": PASSWORD})
    attributes = set(answer.headers["set-cookie"].split("; ")[1:])
    assert attributes == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict", "Secure"}
    assert answer.headers["cache-control"] == "no-store"
    token = answer.headers["set-cookie"].split(";")[0].partition("=")[2]
    assert len(token) == 43
    assert token not in answer.text
    with strict.database.reading() as connection:
        assert token not in str(connection.execute(sa.select(sessions)).all())


def test_on_this_machine_the_cookie_needs_no_tls(ask: Asker) -> None:
    ask.people.add("ann", "maker", "", PASSWORD)
    answer = ask("POST", "/session", json={"name": "ann", "password": PASSWORD})
    assert "Secure" not in answer.headers["set-cookie"]


def test_changes_by_cookie_need_the_csrf_token(strict: Asker) -> None:
    cookie, csrf = strict.log_in("ann")
    _, other = strict.log_in("ann")
    assert strict("GET", "/v1/models", headers=cookie).status_code == 200
    for given in ({}, {"x-csrf-token": ""}, {"x-csrf-token": other}, {"x-csrf-token": csrf + "0"}):
        answer = strict("POST", "/v1/completions", headers={**cookie, **given}, json=BODY)
        assert refused(answer) == (403, "csrf")
    right = {**cookie, "x-csrf-token": csrf}
    assert strict("POST", "/v1/completions", headers=right, json=BODY).status_code == 200
    assert strict("GET", "/session", headers=cookie).json()["csrf_token"] == csrf


def test_an_ended_session_cannot_be_replayed(strict: Asker) -> None:
    cookie, csrf = strict.log_in("ann")
    right = {**cookie, "x-csrf-token": csrf}
    assert strict("DELETE", "/session", headers=cookie).status_code == 403
    gone = strict("DELETE", "/session", headers=right)
    assert gone.status_code == 204
    assert "Max-Age=0" in gone.headers["set-cookie"]
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions"), ("GET", "/session")):
        answer = strict(method, path, headers=right)
        assert refused(answer) == (401, "session_ended")
        assert "Max-Age=0" in answer.headers["set-cookie"]


def test_an_expired_session_is_refused(strict: Asker) -> None:
    cookie, _ = strict.log_in("ann")
    with strict.database.writing() as connection:
        connection.execute(sa.update(sessions).values(expires_at=time.time() - 1))
    assert refused(strict("GET", "/session", headers=cookie)) == (401, "session_ended")


def test_a_login_never_takes_over_a_session_that_was_there(strict: Asker) -> None:
    planted = {"cookie": "wenfang_session=planted-by-somebody"}
    body = {"name": "ann", "password": PASSWORD}
    first = strict("POST", "/session", headers=planted, json=body).headers["set-cookie"]
    assert "planted" not in first
    assert refused(strict("GET", "/session", headers=planted)) == (401, "session_ended")
    cookie = {"cookie": first.split(";")[0]}
    assert strict("GET", "/session", headers=cookie).status_code == 200
    second = strict("POST", "/session", headers=cookie, json=body).headers["set-cookie"]
    assert second.split(";")[0] != cookie["cookie"]
    assert strict("GET", "/session", headers=cookie).status_code == 401


def test_a_new_password_ends_all_sessions(strict: Asker) -> None:
    cookie, _ = strict.log_in("ann")
    name = strict.people.person("ann").id
    body = {"password": "another one, and long"}
    assert strict("POST", f"/v1/people/{name}", key=PRINTED, json=body).status_code == 200
    assert strict("GET", "/session", headers=cookie).status_code == 401
    answer = strict("POST", "/session", json={"name": "ann", "password": PASSWORD})
    assert refused(answer) == (401, "invalid_login")


def test_a_session_moves_only_to_projects_of_its_person(strict: Asker) -> None:
    for name in ("east", "west"):
        strict.people.add_project(name)
    strict.people.give("ann", "east", "viewer")
    cookie, csrf = strict.log_in("ann")
    right = {**cookie, "x-csrf-token": csrf}
    moved = strict("PATCH", "/session", headers=right, json={"project": "east"}).json()
    assert (moved["project"], moved["role"]) == ("east", "viewer")
    assert strict("POST", "/v1/completions", headers=right, json=BODY).status_code == 403
    assert strict("PATCH", "/session", headers=right, json={"project": "west"}).status_code == 403
    assert strict("GET", "/session", headers=cookie).json()["project"] == "east"
    begun, _ = strict.log_in("ann", project="east")
    assert strict("GET", "/session", headers=begun).json()["role"] == "viewer"


def test_unknown_names_and_wrong_passwords_look_alike_and_tries_are_few(strict: Asker) -> None:
    strict.people.add("keys-only", "maker", "")
    answers = [
        strict("POST", "/session", json={"name": name, "password": "x"})
        for name in ("ann", "nobody", "keys-only")
    ]
    assert {refused(one) for one in answers} == {(401, "invalid_login")}
    assert len({one.text for one in answers}) == 1
    strict.app.state.place.logins.take("name ann", 1)  # it fills up by the minute
    for _ in range(30):
        strict.app.state.place.logins.take("name ann", 10)
    late = strict("POST", "/session", json={"name": "Ann", "password": PASSWORD})
    assert refused(late) == (429, "rate_limit_exceeded")
    assert int(late.headers["retry-after"]) >= 1


def test_a_foreign_page_logs_nobody_in(strict: Asker) -> None:
    body = {"name": "ann", "password": PASSWORD}
    origin = {"origin": "https://evil.example"}
    assert refused(strict("POST", "/session", headers=origin, json=body)) == (
        403,
        "foreign_origin",
    )
    form = strict("POST", "/session", data=body)
    assert form.status_code == 400


def test_passwords_are_in_no_log_and_no_answer(
    strict: Asker, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "unspeakable-secret"
    texts = []
    for body in (
        {"name": "ann", "password": secret},
        {"name": "ann", "password": [secret]},
        {"name": secret, "password": 1},
        {"name": "ann", "password": secret * 30},
        {"name": "ann", "password": secret, "more": secret},
    ):
        texts.append(strict("POST", "/session", json=body).text)
    person = {"name": "bo", "role": "king", "password": secret}
    texts.append(strict("POST", "/v1/people", key=PRINTED, json=person).text)
    texts += [str(strict.audit()), caplog.text, *capsys.readouterr()]
    assert not [one for one in texts if secret in one]


def test_logins_are_written_down(strict: Asker) -> None:
    strict.log_in("ann")
    strict("POST", "/session", json={"name": "ann", "password": "wrong"})
    wrong, right = strict.audit()[:2]
    assert (wrong["event"], wrong["status"], wrong["person"]) == ("login refused", 401, "")
    assert (right["event"], right["status"], right["name"]) == ("login", 200, "ann")


def test_the_studio_sends_readers_to_log_in(strict: Asker) -> None:
    reads = {"accept": "text/html,*/*"}
    answer = strict("GET", "/studio", headers=reads)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert strict("GET", "/studio/en/", headers=reads).status_code == 303
    assert strict("GET", "/v1/models", headers=reads).status_code == 401
    assert strict("GET", "/studio").status_code == 401
    cookie, _ = strict.log_in("ann")
    own = {**cookie, "origin": f"http://{HOST}"}
    assert strict("POST", "/studio/en/x", headers=own).status_code == 404  # it is let in
    for origin in ({}, {"origin": "https://evil.example"}):
        answer = strict("POST", "/studio/en/x", headers={**cookie, **origin})
        assert refused(answer) == (403, "csrf")
    assert "登录" in strict("GET", "/login", headers={"accept-language": "zh-CN"}).text


def test_buckets_fill_up_steadily_and_forget_no_more_than_they_must() -> None:
    at = 0.0
    buckets = Buckets(clock_s=lambda: at)
    found = [buckets.take("one", 3) for _ in range(4)]
    assert [one.granted for one in found] == [True, True, True, False]
    assert [one.remaining for one in found] == [2, 1, 0, 0]
    assert found[3].headers()["retry-after"] == "20"
    at = 20.0
    assert buckets.take("one", 3).granted
    assert not buckets.take("one", 3).granted
    at = 1e6
    assert buckets.take("one", 3).remaining == 2  # never more than a minute's worth
    for number in range(20_000):
        buckets.take(str(number), 3)
    assert len(buckets._held) == 10_000


def test_a_key_is_told_what_is_left_and_when_to_come_back(strict: Asker) -> None:
    key = strict.new_key("ann", requests_a_minute=2)
    other = strict.new_key("ann")
    first, second, third = (strict("GET", "/v1/models", key=key) for _ in range(3))
    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert second.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused(third) == (429, "rate_limit_exceeded")
    assert third.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(third.headers["retry-after"]) <= 30
    assert third.headers["x-ratelimit-remaining-requests"] == "0"
    free = strict("GET", "/v1/models", key=other)
    assert "x-ratelimit-limit-requests" not in free.headers


def test_seconds_of_computing_end_for_the_day(strict: Asker) -> None:
    key = strict.new_key("ann", seconds_a_day=10)
    strict.inference.cost_s = 4.0  # twice for the first request, which asks for the models too
    for _ in range(2):
        assert strict("POST", "/v1/completions", key=key, json=BODY).status_code == 200
    answer = strict("POST", "/v1/completions", key=key, json=BODY)
    assert refused(answer) == (429, "insufficient_quota")
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert strict("GET", "/v1/models", key=key).status_code == 200  # looking is free
    with strict.database.writing() as connection:
        connection.execute(sa.update(spendings).values(day=spendings.c.day - 1))
    assert strict("POST", "/v1/completions", key=key, json=BODY).status_code == 200


def test_jobs_count_for_the_keys_of_who_asked_for_them(strict: Asker) -> None:
    key = strict.new_key("ann", seconds_a_day=60)
    ann = strict.people.person("ann")
    queue = strict.app.state.place.queue
    asked = {"kind": "create", "subject": "x", "units": 1.0, "request": {}}
    job = queue.submit(Submission(**asked, project="", person=ann.id))  # type: ignore[arg-type]
    assert strict("POST", "/v1/completions", key=key, json=BODY).status_code == 200
    with strict.database.writing() as connection:
        done = sa.update(jobs).where(jobs.c.id == job.id)
        values = {"state": "done", "seconds": 61.0, "started_at": time.time()}
        connection.execute(done.values(values))
    answer = strict("POST", "/v1/completions", key=key, json=BODY)
    assert refused(answer) == (429, "insufficient_quota")


@pytest.mark.parametrize("path", ["/docs", "/login"])
def test_pages_name_no_other_host(strict: Asker, path: str) -> None:
    page = strict("GET", path)
    assert page.status_code == 200
    assert not re.findall(r"(?:https?:)?//[^\s/]", page.text)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 2
    for one in assets:
        found = strict("GET", one)
        assert found.status_code == 200
        assert "url(http" not in found.text
    assert strict("GET", "/docs/assets/..%2f__init__.py").status_code != 200
    assert strict("GET", "/docs/assets/index.html").status_code == 404


@contextmanager
def leaving(code: int) -> Iterator[None]:
    with pytest.raises(SystemExit) as left:
        yield
    assert left.value.code == code


def test_others_are_let_in_only_where_somebody_is_admin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path))
    with leaving(12):
        main(["serve", "--host", "0.0.0.0", "--port", "0"])
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert "wenfang people add NAME --role admin" in told


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served"), "--set", "auth=required") as served:
        yield served


def test_a_real_server_prints_a_key_and_counts_what_others_spend(server: Served) -> None:
    [printed] = re.findall(r"wf-printed-[\w-]{43}", server.log.read_text())
    with pytest.raises(openai.AuthenticationError) as caught:
        server.client().models.list()
    assert caught.value.code == "invalid_api_key"
    http = server.http(printed)
    person: dict[str, Any] = {"name": "ann", "role": "maker"}
    assert http.post("/v1/people", json=person).status_code == 200
    wanted = {"name": "n", "person": "ann", "seconds_a_day": 0.0001, "requests_a_minute": 100}
    key = http.post("/v1/keys", json=wanted).json()["key"]
    raw = server.client(key).completions.with_raw_response.create(**BODY)  # type: ignore[call-overload]
    assert raw.parse().choices[0].text
    assert raw.headers["x-ratelimit-remaining-requests"] == "99"
    with pytest.raises(openai.RateLimitError) as full:
        server.client(key).completions.create(**BODY)  # type: ignore[call-overload]
    assert full.value.code == "insufficient_quota"
    assert printed not in http.get("/v1/audit").text
