"""People, roles, keys and projects: who may ask what, and what is written down of it."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from asking import PASSWORD, PRINTED, Asker, asking
from postgres import one_database, server_of_tests, url_of_database  # noqa: F401
from wenfang.errors import UsageError
from wenfang.server.callers import ROLES, Caller
from wenfang.server.keys import keys
from wenfang.server.people import people, projects
from wenfang.server.sessions import sessions

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/docs"),
    ("GET", "/docs/assets/{name}"),
    ("GET", "/login"),
    ("GET", "/login/page.css"),
    ("GET", "/login/page.js"),
    ("GET", "/openapi.json"),
    ("POST", "/session"),
}
OWN_SESSION = {("PATCH", "/session"), ("DELETE", "/session")}  # a viewer may log out
ADMINS = ("/v1/people", "/v1/keys", "/v1/projects", "/v1/audit")
BODY = {"model": "verse", "prompt": "春"}


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Asker]:
    """A server that others reach, so that everybody needs a key."""
    yield from asking(tmp_path, host="0.0.0.0")


@pytest.fixture
def staff(ask: Asker) -> dict[str, str]:
    """One key for each role."""
    for role in ROLES:
        ask.people.add(f"the-{role}", role, "")
    return {role: ask.new_key(f"the-{role}") for role in ROLES}


def routes_of(app: Any) -> Iterator[tuple[str, str]]:
    """Every method and path, those that the description leaves out included."""
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        inner = getattr(route, "original_router", None)
        if inner is not None:
            waiting += inner.routes
            continue
        for method in route.methods - {"HEAD"}:
            yield method, route.path.replace(":path}", "}")


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "x", path)


def test_every_route_but_the_public_ones_refuses_without_a_key(ask: Asker) -> None:
    found = set(routes_of(ask.app))
    assert found >= PUBLIC
    assert len(found) > 25
    for method, path in found - PUBLIC:
        for headers in ({}, {"authorization": "Bearer sk-somebody-elses"}):
            answer = ask(method, filled(path), headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]["code"] in ("key_required", "invalid_api_key")
            assert answer.headers["www-authenticate"] == "Bearer"
    for method, path in PUBLIC:
        assert ask(method, filled(path)).status_code != 401, (method, path)


def test_a_body_is_not_read_before_its_sender_is_known(ask: Asker) -> None:
    answer = ask("POST", "/v1/completions", content=b"{", headers={"content-type": "text/json"})
    assert answer.status_code == 401
    assert ask("POST", "/nowhere").status_code == 401


def test_viewers_change_nothing_on_any_route(ask: Asker, staff: dict[str, str]) -> None:
    found = set(routes_of(ask.app)) - PUBLIC - OWN_SESSION
    for method, path in found:
        if method == "GET":
            continue
        answer = ask(method, filled(path), key=staff["viewer"])
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied"), (
            method,
            path,
        )


def test_only_admins_manage(ask: Asker, staff: dict[str, str]) -> None:
    found = [one for one in routes_of(ask.app) if one[1].startswith(ADMINS)]
    assert len(found) == 11
    for method, path in found:
        for role in ("viewer", "maker", "reviewer"):
            assert ask(method, filled(path), key=staff[role]).status_code == 403, (method, path)
    for path in ADMINS:
        assert ask("GET", path, key=staff["admin"]).status_code == 200


def test_every_role_may_what_those_before_it_may(ask: Asker, staff: dict[str, str]) -> None:
    for role, key in staff.items():
        assert ask("GET", "/v1/models", key=key).status_code == 200
        answer = ask("POST", "/v1/completions", key=key, json=BODY)
        assert answer.status_code == (403 if role == "viewer" else 200)
    for number, role in enumerate(ROLES):
        assert [Caller(role=role).may(one) for one in ROLES] == [n <= number for n in range(4)]


def test_the_description_names_the_scheme(ask: Asker) -> None:
    spec = ask("GET", "/openapi.json").json()
    assert spec["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert spec["components"]["securitySchemes"]["session"]["in"] == "cookie"
    security = spec["paths"]["/v1/completions"]["post"]["security"]
    assert {name for one in security for name in one} == {"key", "session"}


def test_a_key_is_shown_once_and_kept_as_a_hash(ask: Asker) -> None:
    ask.people.add("ann", "maker", "")
    secret = ask.new_key("ANN")
    assert re.fullmatch(r"wf-[0-9a-f]{16}-[\w-]{43}", secret)
    with ask.database.reading() as connection:
        rows = [dict(row._mapping) for row in connection.execute(sa.select(keys))]
    assert len(rows) == 1
    assert secret not in str(rows)
    assert secret[-43:] not in str(rows)
    listed = ask("GET", "/v1/keys", key=PRINTED)
    assert listed.json()["data"][0]["person"]["name"] == "ann"
    assert "hash" not in listed.text
    assert rows[0]["hash"] not in listed.text
    assert secret[-43:] not in listed.text


def test_secrets_are_compared_in_constant_time(
    ask: Asker, staff: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def seen(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", seen)
    assert ask("GET", "/v1/models", key=staff["viewer"]).status_code == 200
    assert len(compared) == 2  # the printed key, and then the known one
    ask("GET", "/v1/models", key="wf-0123456789abcdef-" + "x" * 43)
    assert len(compared) == 4  # an unknown id is compared too


@pytest.mark.parametrize("given", ["wf-", "wf-x", "wf-0123456789abcdef-" + "x" * 43, "wf-é"])
def test_keys_that_nobody_made_are_refused(ask: Asker, given: str) -> None:
    answer = ask("GET", "/v1/models", headers={"authorization": f"Bearer {given}".encode()})  # type: ignore[dict-item]
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


def test_expired_and_revoked_keys_and_those_of_removed_people_end(ask: Asker) -> None:
    ask.people.add("boss", "admin", "")
    ann = ask.people.add("ann", "maker", "")
    kept, revoked, expired = (ask.new_key("ann") for _ in range(3))
    row = ask("GET", "/v1/keys", key=PRINTED).json()["data"]
    ids = {secret: f"key_{secret[3:19]}" for secret in (revoked, expired)}
    assert set(ids.values()) <= {one["id"] for one in row}
    assert ask("DELETE", f"/v1/keys/{ids[revoked]}", key=PRINTED).json()["revoked_at"]
    with ask.database.writing() as connection:
        late = sa.update(keys).where(keys.c.id == ids[expired])
        connection.execute(late.values(expires_at=time.time() - 1))
    for secret in (revoked, expired):
        assert ask("GET", "/v1/models", key=secret).status_code == 401
    assert ask("GET", "/v1/models", key=kept).status_code == 200
    assert ask("DELETE", f"/v1/people/{ann.id}", key=PRINTED).json()["deleted"]
    assert ask("GET", "/v1/models", key=kept).status_code == 401
    assert ask.people.add("ann", "maker", "").id != ann.id  # the name is free, the id is not


def test_a_key_is_never_worth_more_than_its_person(ask: Asker) -> None:
    ask.people.add("ann", "maker", "")
    body = {"name": "n", "person": "ann", "role": "admin"}
    refused = ask("POST", "/v1/keys", key=PRINTED, json=body)
    assert refused.status_code == 400
    key = ask.new_key("ann")
    assert ask("POST", "/v1/completions", key=key, json=BODY).status_code == 200
    ask.people.give("ann", "", "viewer")
    assert ask("POST", "/v1/completions", key=key, json=BODY).status_code == 403
    ask.people.give("ann", "", None)
    assert ask("GET", "/v1/models", key=key).status_code == 401


def test_projects_are_not_there_for_each_others_admins(ask: Asker) -> None:
    for name in ("east", "west"):
        made = ask("POST", "/v1/projects", key=PRINTED, json={"name": name})
        assert made.json()["id"] == name
        ask.people.add(f"{name}-admin", "admin", name)
    east, west = (ask.new_key(f"{name}-admin", project=name) for name in ("east", "west"))
    [theirs] = ask("GET", "/v1/keys", key=west).json()["data"]
    assert theirs["project"] == "west"
    hidden = ask("DELETE", f"/v1/keys/{theirs['id']}", key=east)
    unknown = ask("DELETE", "/v1/keys/key_0123456789abcdef", key=east)
    assert hidden.status_code == unknown.status_code == 404
    assert ask("GET", "/v1/models", key=west).status_code == 200  # and it is still good
    [own] = ask("GET", "/v1/people", key=east).json()["data"]
    assert own["roles"] == {"east": "admin"}
    body = {"name": "n", "person": "west-admin", "project": "west"}
    assert ask("POST", "/v1/keys", key=east, json=body).status_code == 404
    assert {one["project"] for one in ask("GET", "/v1/audit", key=east).json()["data"]} == {"east"}
    for method, path in (("POST", "/v1/projects"), ("DELETE", "/v1/projects/west")):
        assert ask(method, path, key=east, json={"name": "x"}).status_code == 403
    other = ask("GET", "/v1/models", key=east, headers={"openai-project": "west"})
    assert other.status_code == 403
    assert ask("DELETE", "/v1/projects/west", key=PRINTED).status_code == 200
    assert ask("GET", "/v1/models", key=west).status_code == 401
    assert ask("GET", "/v1/models", key=east).status_code == 200


def test_the_last_admin_stays(ask: Asker) -> None:
    first = ask.people.add("first", "admin", "")
    for method, body in (("DELETE", None), ("POST", {"role": "maker"})):
        answer = ask(method, f"/v1/people/{first.id}", key=PRINTED, json=body)
        assert answer.status_code == 400
        assert "last admin" in answer.json()["error"]["message"]
    ask.people.add("second", "admin", "")
    assert ask("DELETE", f"/v1/people/{first.id}", key=PRINTED).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/people", {"name": "a b", "role": "maker"}),
        ("/v1/people", {"name": "person_0123456789abcdef", "role": "maker"}),
        ("/v1/people", {"name": "ann", "role": "king"}),
        ("/v1/people", {"name": "ann", "role": "maker", "password": "short"}),
        ("/v1/people", {"name": "ann", "role": "maker", "project": "../x"}),
        ("/v1/people", {"name": "boss", "role": "maker"}),
        ("/v1/keys", {"name": "n", "person": "boss", "expires_at": 1}),
        ("/v1/keys", {"name": "n", "person": "boss", "requests_a_minute": 0}),
        ("/v1/keys", {"name": "n\u0000", "person": "boss"}),
        ("/v1/projects", {"name": "default"}),
        ("/v1/projects", {"name": "A B"}),
    ],
)
def test_what_cannot_be_is_refused(ask: Asker, path: str, body: dict[str, Any]) -> None:
    ask.people.add("boss", "admin", "")
    answer = ask("POST", path, key=PRINTED, json=body)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]["message"]
    assert "short" not in answer.text


def test_lists_are_paged(ask: Asker) -> None:
    made = {ask.people.add(f"p{number}", "maker", "").id for number in range(5)}
    found: list[str] = []
    after = ""
    while True:
        page = ask("GET", f"/v1/people?limit=2&after={after}", key=PRINTED).json()
        found += [one["id"] for one in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert found == sorted(made)
    assert ask("GET", "/v1/people?after=%00", key=PRINTED).status_code == 400


def test_what_changes_something_is_written_down(ask: Asker) -> None:
    ask.people.add("ann", "maker", "")
    key = ask.new_key("ann")
    name = f"key_{key[3:19]}"
    done = ask("POST", "/v1/completions", key=key, json=BODY)
    ask("GET", "/v1/models", key=key)  # changes nothing
    ask("POST", "/v1/completions", key=key, json={"model": "verse", "nonsense": 1})
    ask("POST", "/v1/completions", key=f"wf-{'0' * 16}-{'x' * 43}", json=BODY)
    refused, bad, good, made = ask.audit()
    assert (made["route"], made["subject"], made["person"]) == ("/v1/keys", name, "")
    assert (good["method"], good["route"], good["status"]) == ("POST", "/v1/completions", 200)
    assert (good["name"], good["key"], good["project"]) == ("ann", name, "default")
    assert good["request"] == done.headers["x-request-id"]
    assert abs(good["created_at"] - time.time()) < 60
    assert bad["status"] == 400
    assert (refused["event"], refused["status"]) == ("key refused", 401)
    assert refused["subject"] == f"invalid_api_key key_{'0' * 16}"
    page = ask("GET", f"/v1/audit?order=asc&limit=1&after={made['id']}", key=PRINTED).json()
    assert page["data"] == [good]
    assert page["has_more"]


@pytest.mark.parametrize("statement", ["DELETE FROM audit", "UPDATE audit SET person = 'x'"])
def test_the_audit_log_cannot_be_changed(ask: Asker, statement: str) -> None:
    ask("POST", "/v1/projects", key=PRINTED, json={"name": "one"})
    with (
        pytest.raises(sa.exc.IntegrityError, match="append-only"),
        ask.database.writing() as connection,
    ):
        connection.execute(sa.text(statement))
    assert len(ask.audit()) == 1


def test_a_flood_of_bad_keys_fills_no_disk(ask: Asker) -> None:
    for _ in range(70):
        assert ask("GET", "/v1/models", key="wf-guess").status_code == 401
    assert 60 <= len(ask.audit()) < 70  # one more a second


def test_a_database_that_is_gone_is_503(ask: Asker, tmp_path: Path) -> None:
    ask.people.add("ann", "maker", "")
    key = ask.new_key("ann")
    ask.database.close()
    (tmp_path / "wenfang.sqlite").rename(tmp_path / "elsewhere")
    (tmp_path / "wenfang.sqlite").mkdir()
    for given in ({"key": key}, {"headers": {"cookie": "wenfang_session=x"}}):
        answer = ask("POST", "/v1/completions", json=BODY, **given)
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "server_error"
        assert "Traceback" not in answer.text
    login = ask("POST", "/session", json={"name": "ann", "password": PASSWORD})
    assert login.status_code == 503


def test_no_answer_of_admins_holds_a_hash(ask: Asker) -> None:
    ask.people.add("ann", "admin", "", PASSWORD)
    ask.new_key("ann")
    ask.log_in("ann")
    with ask.database.reading() as connection:
        hidden = [
            *connection.execute(sa.select(people.c.password)).scalars(),
            *connection.execute(sa.select(keys.c.hash)).scalars(),
            *connection.execute(sa.select(sessions.c.hash)).scalars(),
        ]
        assert connection.execute(sa.select(projects.c.id)).scalars().all() == [""]
    assert len(hidden) == 3
    assert str(hidden[0]).startswith("$argon2id$")
    told = "".join(ask("GET", path, key=PRINTED).text for path in (*ADMINS, "/session"))
    assert not [one for one in [*hidden, PASSWORD] if str(one) in told]


def test_both_databases_agree(url: str, tmp_path: Path) -> None:
    for ask in asking(tmp_path, url=url, host="0.0.0.0"):
        ask.people.add("ann", "admin", "", PASSWORD)
        ask.people.add_project("east")
        ask.people.give("ann", "east", "maker")
        key = ask.new_key("ann", project="east", seconds_a_day=9, storage_bytes=9)
        ask.inference.cost_s = 3.0
        for _ in range(2):
            assert ask("POST", "/v1/completions", key=key, json=BODY).status_code == 200
        cookie, csrf = ask.log_in("ann")
        right = {**cookie, "x-csrf-token": csrf}
        assert ask("PATCH", "/session", headers=right, json={"project": "east"}).status_code == 200
        nul = ask("POST", "/a%00b", headers={**right, "x-csrf-token": "no"})
        assert nul.status_code == 403
        with pytest.raises(UsageError, match="last admin"):
            ask.people.give("ann", "", None)
        with pytest.raises(UsageError, match="already"):
            ask.people.add("ann", "maker", "")
        with (
            pytest.raises(sa.exc.IntegrityError, match="append-only"),
            ask.database.writing() as connection,
        ):
            connection.execute(sa.text("DELETE FROM audit"))
        assert ask("DELETE", f"/v1/keys/key_{key[3:19]}", key=PRINTED).status_code == 200
        assert ask("GET", "/v1/models", key=key).status_code == 401
        assert len(ask.audit()) == 8


def test_the_walk_over_routes_misses_none(ask: Asker) -> None:
    shown = {(m.upper(), path) for path, told in ask.app.openapi()["paths"].items() for m in told}
    assert shown <= set(routes_of(ask.app))
