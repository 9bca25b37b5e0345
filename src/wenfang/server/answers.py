"""What every route may answer, in one table: its content by type, and the statuses of its errors.

`openapi` makes the description from it; a route that is missing here fails a test, and an answer
that is not declared here fails the fuzzer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wenfang.server.images import TYPES as PICTURE_TYPES

Schema: TypeAlias = Mapping[str, Any]

JSON, EVENTS, ANY = "application/json", "text/event-stream", "*/*"
WORDS: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
TRUTH: Schema = {"type": "boolean"}
LIST: Schema = {"type": "array"}
OBJECT: Schema = {"type": "object"}
BYTES: Schema = {"type": "string", "format": "binary"}
STREAM: Schema = {"description": "server-sent events, each with JSON in its data"}
FILE_BYTES: Schema = {"description": "a file of whatever type"}
MAYBE_WORDS: Schema = {"type": ["string", "null"]}
SOUNDS = ("audio/mpeg", "audio/opus", "audio/flac", "audio/wav", "audio/mp4")
# Statuses of errors besides those that follow from a request's form.
ASKS = (422, 429, 503)  # a queue of calls, a process that may end, and what a model refuses
MAKES = (404, *ASKS, 501, 507)  # a model that must be there, a program that may not, a full disk
TALKS = (*MAKES, 402, 502)  # an endpoint that may be plugged in, and what it may cost
UPLOADS = (408, 413)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Of one route.

    status   where all is well
    content  schemas by media types; none for an empty body
    errors   further statuses
    """

    status: int = 200
    content: Mapping[str, Schema] = field(default_factory=dict)
    errors: Sequence[int] = ()


def shape(required: Mapping[str, Schema]) -> Schema:
    """An object that has these fields, and others perhaps."""
    return {"type": "object", "required": list(required), "properties": dict(required)}


def thing(kind: str, /, **more: Schema) -> Schema:
    """An object of ours or OpenAI's, by the word in its field `object`."""
    return shape({"object": {"const": kind}, **more})


def page(items: Schema) -> Schema:
    """A list, or a page of one."""
    ids = {"first_id": MAYBE_WORDS, "last_id": MAYBE_WORDS}
    return thing("list", data={"type": "array", "items": items}, has_more=TRUTH, **ids)


def told(schema: Schema, *errors: int) -> Answers:
    """JSON."""
    return Answers(content={JSON: schema}, errors=errors)


def streamed(schema: Schema, *errors: int) -> Answers:
    """JSON, or a stream of events where one is asked for."""
    return Answers(content={JSON: schema, EVENTS: STREAM}, errors=errors)


def files(types: Sequence[str], *errors: int) -> Answers:
    """The bytes of a file."""
    return Answers(content=dict.fromkeys(types, BYTES), errors=errors)


def named(kind: str, /, **more: Schema) -> Schema:
    """A thing with an id."""
    return thing(kind, id=WORDS, **more)


DELETED = {"deleted": {"const": True}}
MODEL = named("model", created=NUMBER, owned_by=WORDS, endpoints=LIST)
PICTURES = shape({"created": NUMBER, "data": LIST, "usage": OBJECT, "wenfang": OBJECT})
VIDEO = named("video", model=WORDS, status=WORDS, progress=NUMBER, wenfang=OBJECT)
RESPONSE = named("response", status=WORDS, model=WORDS, output=LIST, wenfang=OBJECT)
SESSION = thing("session", person=WORDS, name=WORDS, project=WORDS, role=WORDS)
PERSON = named("person", name=WORDS)
KEY = named("key", name=WORDS, person=OBJECT, project=WORDS, role=WORDS)
PROJECT = thing("project")
FILE = named("file", bytes=NUMBER, created_at=NUMBER, filename=WORDS, purpose=WORDS)
BATCH = named("batch", endpoint=WORDS, input_file_id=WORDS, status=WORDS, request_counts=OBJECT)
TUNING = named("fine_tuning.job", model=WORDS, status=WORDS, training_file=WORDS, error={})
PIECE = named("piece", state=WORDS, job=WORDS, scenario=WORDS, files=LIST)
VERDICTS = thing("list", data={"type": "array", "items": shape({"path": WORDS})})
SCENARIO = named("scenario", summary=WORDS)
JOB = named("job", kind=WORDS, state=WORDS)
QUEUED = {**JOB, "required": [*JOB["required"], "estimate", "workers"]}
TEXT_ANSWER = shape({"id": WORDS, "created": NUMBER, "model": WORDS, "choices": LIST})

ANSWERS: Mapping[str, Answers] = {
    "GET /healthz": told(shape({"status": WORDS})),
    "GET /readyz": told(shape({"status": WORDS}), 503),
    "GET /metrics": Answers(content={"text/plain": WORDS}),
    "GET /v1/models": told(page(MODEL), *ASKS),
    "GET /v1/models/{model}": told(MODEL, *ASKS),
    "DELETE /v1/models/{model}": told(named("model", **DELETED), 409),
    "POST /v1/completions": streamed(TEXT_ANSWER, *MAKES),
    "POST /v1/chat/completions": streamed(TEXT_ANSWER, *TALKS),
    "POST /v1/responses": streamed(RESPONSE, *TALKS),
    "GET /v1/responses/{response_id}": told(RESPONSE),
    "DELETE /v1/responses/{response_id}": told(named("response", **DELETED)),
    "POST /v1/embeddings": told(thing("list", data=LIST, model=WORDS, usage=OBJECT), *MAKES),
    "POST /v1/moderations": told(shape({"id": WORDS, "model": WORDS, "results": LIST}), *MAKES),
    "POST /v1/images/generations": streamed(PICTURES, *MAKES),
    "POST /v1/images/edits": streamed(PICTURES, 415, *MAKES),
    "POST /v1/images/variations": told(PICTURES, 415, *MAKES),
    "GET /v1/images/files/{name}": files(tuple(PICTURE_TYPES.values())),
    "POST /v1/audio/speech": files(SOUNDS, 415, *MAKES),
    "POST /v1/audio/transcriptions": told(OBJECT, 404, 507),
    "POST /v1/audio/translations": told(OBJECT, 404, 507),
    "POST /v1/videos": told(VIDEO, *MAKES),
    "GET /v1/videos": told(page(VIDEO), 404),
    "GET /v1/videos/{video_id}": told(VIDEO),
    "DELETE /v1/videos/{video_id}": told(named("video.deleted", **DELETED), 409),
    "GET /v1/videos/{video_id}/content": files(("video/mp4", "image/webp", "image/jpeg"), 409),
    "POST /v1/videos/{video_id}/remix": told(VIDEO),
    "GET /session": told(SESSION),
    "POST /session": told(SESSION, 401, 403, 429),
    "PATCH /session": told(SESSION, 404),
    "DELETE /session": Answers(status=204, errors=(404,)),
    "GET /v1/people": told(page(PERSON)),
    "POST /v1/people": told(PERSON, 404),
    "POST /v1/people/{person}": told(PERSON),
    "DELETE /v1/people/{person}": told(named("person.deleted", **DELETED)),
    "GET /v1/keys": told(page(KEY)),
    "POST /v1/keys": told({**KEY, "required": [*KEY["required"], "key"]}, 404),
    "DELETE /v1/keys/{key}": told(KEY),
    "GET /v1/projects": told(page(PROJECT)),
    "POST /v1/projects": told(PROJECT),
    "DELETE /v1/projects/{project}": told(thing("project.revoked")),
    "GET /v1/audit": told(page(OBJECT)),
    "POST /v1/files": told(FILE, 507),
    "GET /v1/files": told(page(FILE)),
    "GET /v1/files/{name}": told(FILE),
    "DELETE /v1/files/{name}": told(named("file", **DELETED), 507),
    "GET /v1/files/{name}/content": files(("application/octet-stream",)),
    "POST /v1/batches": told(BATCH, 404, 429, 507),
    "GET /v1/batches": told(page(BATCH)),
    "GET /v1/batches/{name}": told(BATCH),
    "POST /v1/batches/{name}/cancel": told(BATCH, 409),
    "POST /v1/fine_tuning/jobs": told(TUNING, *MAKES),
    "GET /v1/fine_tuning/jobs": told(page(TUNING)),
    "GET /v1/fine_tuning/jobs/{name}": told(TUNING),
    "GET /v1/fine_tuning/jobs/{name}/events": told(page(thing("fine_tuning.job.event"))),
    "GET /v1/fine_tuning/jobs/{name}/checkpoints": told(page(thing("fine_tuning.job.checkpoint"))),
    "POST /v1/fine_tuning/jobs/{name}/cancel": told(TUNING, 409),
    "POST /v1/fine_tuning/jobs/{name}/pause": told(TUNING, 409),
    "POST /v1/fine_tuning/jobs/{name}/resume": told(TUNING, 409),
    "POST /v1/content_provenance_checks": told(
        thing("content_provenance_check", created_at=NUMBER, results=LIST), 415, 507, *ASKS
    ),
    "POST /v1/pieces": told(PIECE, *TALKS),
    "GET /v1/pieces": told(page(PIECE)),
    "GET /v1/pieces/{name}": told(PIECE),
    "DELETE /v1/pieces/{name}": told(named("piece", **DELETED), 409),
    "GET /v1/pieces/{name}/files/{file}": Answers(content={ANY: FILE_BYTES}),
    "POST /v1/pieces/{name}/verify": told(VERDICTS, 409, 415, *ASKS),
    "POST /v1/pieces/{name}/replay": told(VERDICTS, 409, 415, *TALKS),
    "GET /v1/pieces/{name}/lineage": told(thing("lineage"), 409, *ASKS),
    "GET /v1/scenarios": told(page(SCENARIO), *ASKS),
    "GET /v1/scenarios/{name}": told(SCENARIO, *ASKS),
    "GET /v1/jobs": told(page(JOB)),
    "POST /v1/jobs": told(QUEUED, 409, 415, *TALKS),
    "GET /v1/jobs/{name}": told(JOB),
    "DELETE /v1/jobs/{name}": told(named("job", **DELETED), 409),
    "POST /v1/jobs/{name}/cancel": told(JOB, 409),
    "POST /v1/jobs/{name}/pause": told(JOB, 409),
    "POST /v1/jobs/{name}/resume": told(JOB, 409),
    "POST /v1/jobs/{name}/retry": told(JOB, 409),
    "GET /v1/jobs/{name}/events": Answers(content={EVENTS: STREAM}),
}
