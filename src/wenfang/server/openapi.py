"""The description of the API, true in what it says of answers: `answers` has the table.

FastAPI knows what routes take. What they give stands here, so that no route repeats the statuses
that gate and guard answer for all of them, nor the shape of an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from wenfang.server.answers import ANSWERS, JSON, MAYBE_WORDS, UPLOADS, WORDS, Answers
from wenfang.server.entry import CSRF_HEADER, PUBLIC
from wenfang.server.sessions import COOKIE
from wenfang.server.settings import ServeSettings

METHODS = ("get", "put", "post", "delete", "patch")
FASTAPI_ONLY = ("HTTPValidationError", "ValidationError")  # of which nothing here speaks
WITHOUT_ROWS = ("/healthz", "/metrics")  # which ask no database
ERROR = {
    "type": "object",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "additionalProperties": False,
            "properties": {
                "message": {**WORDS, "description": "one line, for people"},
                "type": {**WORDS, "description": "the kind, as OpenAI's clients know it"},
                "param": {**MAYBE_WORDS, "description": "the field that is wrong"},
                "code": {**MAYBE_WORDS, "description": "a word for programs"},
            },
        }
    },
}
REQUEST_ID = {
    "description": "the request's id; errors of ours stand in the server's log under it",
    "required": True,
    "schema": WORDS,
}
SESSION_SCHEME = {
    "type": "apiKey",
    "in": "cookie",
    "name": COOKIE,
    "description": f"A session of POST /session; what changes something sends {CSRF_HEADER}, too.",
}


def declare(app: FastAPI, settings: ServeSettings) -> None:
    """Let `app` describe itself so, when it is first asked."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = description(app, settings)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def description(app: FastAPI, settings: ServeSettings) -> dict[str, Any]:
    """The whole of it."""
    spec = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        routes=app.routes,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    parts: dict[str, Any] = spec.setdefault("components", {})
    schemas: dict[str, Any] = parts.setdefault("schemas", {})
    for name in FASTAPI_ONLY:
        schemas.pop(name, None)
    schemas["Error"] = ERROR
    parts["headers"] = {"RequestId": REQUEST_ID}
    parts.setdefault("securitySchemes", {})["session"] = SESSION_SCHEME
    for path, method, operation in operations(spec):
        known = ANSWERS.get(f"{method} {path}", Answers())
        operation["responses"] = _responses(path, method, operation, known)
        if operation.get("security"):
            open_to: list[dict[str, Any]] = (
                [] if settings.auth_required else [{}]
            )  # who sits at this machine
            operation["security"] = [*open_to, *operation["security"], {"session": []}]
    return spec


def operations(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method in capitals, and what is said of it."""
    for path, told in spec["paths"].items():
        for method in METHODS:
            if method in told:
                yield path, method.upper(), told[method]


def _responses(
    path: str, method: str, operation: Mapping[str, Any], known: Answers
) -> dict[str, Any]:
    statuses = {*known.errors, *_by_form(path, method, operation)}
    content = {kind: {"schema": dict(schema)} for kind, schema in known.content.items()}
    good = {"description": HTTPStatus(known.status).phrase, **_head()}
    if content:
        good["content"] = content
    return {str(known.status): good, **{str(one): _error(one) for one in sorted(statuses)}}


def _by_form(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[int]:
    """Statuses of errors that follow from what a request has in it, and from who may send it."""
    yield 500
    if not PUBLIC.fullmatch(f"{method} {path}"):
        yield from (401, 403, 429)
    if path not in WITHOUT_ROWS:
        yield 503
    if operation.get("parameters") or "requestBody" in operation:
        yield 400
    if "{" in path:
        yield 404
    if "requestBody" in operation:
        yield from UPLOADS


def _error(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        "description": HTTPStatus(status).phrase,
        **_head(),
        "content": {JSON: {"schema": schema}},
    }


def _head() -> dict[str, Any]:
    return {"headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}}}
