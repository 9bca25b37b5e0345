"""A key of another project than the one that the tests work in."""

from __future__ import annotations

from serving import Served


def other_key(server: Served) -> str:
    """A maker's key in the project `other`, by the admin's routes."""
    http = server.http()
    for path, body in (
        ("projects", {"name": "other"}),
        ("people", {"name": "somebody", "role": "maker", "project": "other"}),
    ):
        answer = http.post(f"/v1/{path}", json=body)
        assert answer.status_code == 200, answer.text
    body = {"name": "test", "person": "somebody", "project": "other"}
    answer = http.post("/v1/keys", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])
