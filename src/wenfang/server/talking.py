"""What requests for talks have in common: turns, parts of a message, forms of an answer, bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from wenfang.language import t
from wenfang.server.faults import Fault
from wenfang.server.wire import Body

TURNS_MOST, PARTS_MOST, CHARACTERS_MOST = 256, 64, 100_000
TOKENS_MOST, TOKENS_USUAL, SEED_MOST = 8192, 1024, 2**53
SCHEMA_BYTES_MOST, SCHEMA_DEPTH_MOST = 64 * 2**10, 64
STOPS_MOST, STOP_CHARACTERS_MOST = 16, 200
ANY_OBJECT = '{"type": "object"}'
PICTURES = ("image_url", "input_image")
WRITTEN = ("text", "input_text", "output_text")
# developer is what newer models of OpenAI's call the system.
ROLES: Mapping[str, str] = {"developer": "system"}


def _whole(text: str) -> str:
    """JSON can hold half a character, which nothing can send or store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(t("half a character; send UTF-8")) from None
    return text


Words = Annotated[str, AfterValidator(_whole)]
Name = Annotated[Words, Field(max_length=512)]
Content = Annotated[Words, Field(max_length=CHARACTERS_MOST)]
Stop = Annotated[Words, Field(min_length=1, max_length=STOP_CHARACTERS_MOST)]
Stops = Stop | Annotated[list[Stop], Field(max_length=STOPS_MOST)]
Seed = Annotated[int, Field(ge=0, le=SEED_MOST)]
Tokens = Annotated[int, Field(ge=1, le=TOKENS_MOST)]
Temperature = Annotated[float, Field(ge=0, le=2)]
TopP = Annotated[float, Field(gt=0, le=1)]
Metadata = Annotated[
    dict[Annotated[Words, Field(max_length=64)], Annotated[Words, Field(max_length=512)]],
    Field(max_length=16),
]


class Part(Body):
    """A part of a message. Only words are read; what else OpenAI knows is refused by its name."""

    type: Name
    text: Content | None = None
    refusal: Content | None = None
    image_url: Any = None
    detail: Any = None
    file_id: Any = None
    file: Any = None
    input_audio: Any = None
    annotations: Any = None
    logprobs: Any = None


Said = Content | Annotated[list[Part], Field(max_length=PARTS_MOST)]


def words_of(content: str | Sequence[Part] | None, param: str) -> str:
    """The words of a message; Fault 400 for a part that is none."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(_words(part, f"{param}.{number}") for number, part in enumerate(content))


def _words(part: Part, param: str) -> str:
    if part.type in PICTURES:
        message = t("no model here sees pictures; send words")
        raise Fault(400, message, "unsupported_content", param=param)
    if part.type == "refusal":
        return part.refusal or ""
    if part.type not in WRITTEN:
        message = t("a part of the type {kind} is not read here; send words", kind=part.type)
        raise Fault(400, message, "unsupported_content", param=param)
    if part.text is None:
        message = t("a part without its text")
        raise Fault(400, message, "missing_required_parameter", param=f"{param}.text")
    return part.text


def turn(role: str, content: str | Sequence[Part] | None, param: str) -> dict[str, str]:
    """One turn as the engine knows it."""
    return {"role": ROLES.get(role, role), "content": words_of(content, f"{param}.content")}


def require_room(turns: Sequence[Mapping[str, str]], param: str) -> None:
    """Fault 400 for a talk that is longer than is read."""
    count = sum(len(one["content"]) for one in turns)
    if len(turns) > TURNS_MOST or count > CHARACTERS_MOST:
        message = t(
            "the talk has {turns} turns and {count} characters; at most {most_turns} and "
            "{most} are read",
            turns=len(turns),
            count=count,
            most_turns=TURNS_MOST,
            most=CHARACTERS_MOST,
        )
        raise Fault(400, message, "context_length_exceeded", param=param)


class Format(Body):
    """How an answer is to be formed, as /v1/responses says it."""

    type: Literal["text", "json_object", "json_schema"]
    name: Name = ""
    description: Content | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class NamedSchema(Body):
    """A schema as /v1/chat/completions says it."""

    name: Name
    description: Content | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ChatFormat(Body):
    """How an answer is to be formed, as /v1/chat/completions says it."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


def schema_of(kind: str, schema: Mapping[str, Any] | None, param: str) -> str | None:
    """JSON text of the schema that an answer must meet; None for plain text.

    Fault 400 where it is missing, too large, too deep, or holds what JSON does not
    """
    if kind == "text":
        return None
    if kind == "json_object":
        return ANY_OBJECT
    if not schema:
        message = t("a format json_schema needs a schema")
        raise Fault(400, message, "missing_required_parameter", param=param)
    if _depth(schema) > SCHEMA_DEPTH_MOST:
        message = t("the schema is deeper than {most} levels", most=SCHEMA_DEPTH_MOST)
        raise Fault(400, message, "invalid_value", param=param)
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (ValueError, UnicodeEncodeError):
        message = t("the schema holds what JSON in UTF-8 does not")
        raise Fault(400, message, "invalid_value", param=param) from None
    if size > SCHEMA_BYTES_MOST:
        message = t("the schema is larger than {most} bytes", most=SCHEMA_BYTES_MOST)
        raise Fault(400, message, "invalid_value", param=param)
    return text


def _depth(value: object) -> int:
    """Levels of lists and objects, counted no further than one beyond what is allowed."""
    depth, level = 0, [value]
    while level and depth <= SCHEMA_DEPTH_MOST:
        inner = [one for held in level for one in _held(held)]
        depth, level = depth + 1, inner
    return depth


def _held(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def refuse(body: Body, fields: Mapping[str, tuple[Any, ...]]) -> None:
    """Fault 400 for a field that OpenAI knows and nothing here does.

    fields  name -> what it may be, beside not being there
    """
    for name, allowed in fields.items():
        value = getattr(body, name)
        if value is not None and value not in allowed:
            message = t("{name} is not supported here; leave it out", name=name)
            raise Fault(400, message, "unsupported_parameter", param=name)
