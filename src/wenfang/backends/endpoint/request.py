"""What is sent to an endpoint: nothing but what the ask holds, and the schema of its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wenfang.backends.endpoint.settings import EndpointSettings
from wenfang.backends.endpoint.stream import printable
from wenfang.backends.writer import Ask
from wenfang.errors import BriefError, ConfigError, DependencyError
from wenfang.language import t

PROMPT_BYTES_MAX = 4 * 2**20
ANY_OBJECT = {"type": "object"}  # a schema that endpoints have a name of their own for


def required_bytes(ask: Ask) -> int:
    """Bytes of what the model reads; BriefError for more than is sent, or half a character."""
    schema = json.dumps(ask.schema) if ask.schema is not None else ""
    try:
        size = sum(len(one.encode()) for one in (*(turn.content for turn in ask.turns), schema))
    except UnicodeEncodeError:
        raise BriefError("the prompt holds half a character; write it as UTF-8") from None
    if size > PROMPT_BYTES_MAX:
        raise BriefError(
            "the prompt has {count} bytes; at most {most} are sent; divide it",
            count=size,
            most=PROMPT_BYTES_MAX,
        )
    return size


def request_body(ask: Ask, model: str, settings: EndpointSettings) -> dict[str, Any]:
    """One request for one draft, by the ask's own seed."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in ask.turns],
        "temperature": ask.temperature,
        settings.tokens_field: ask.maximum_tokens,
        "seed": ask.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if ask.stop:
        body["stop"] = list(ask.stop)
    if ask.top_p < 1:
        body["top_p"] = ask.top_p
    if ask.schema == ANY_OBJECT:
        body["response_format"] = {"type": "json_object"}
    elif ask.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": dict(ask.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return {name: value for name, value in body.items() if name not in settings.left_out}


class Schema:
    """A JSON Schema that answers are held against; nothing that it refers to is fetched.

    raises ConfigError for a schema that is none, DependencyError without the library
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            import jsonschema
            from jsonschema.validators import validator_for
            from referencing import Registry
        except ImportError:
            raise DependencyError(
                "answers with a schema need jsonschema; install it with "
                "pip install 'wenfang[remote]'"
            ) from None
        kind = validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(dict(schema))
        except jsonschema.SchemaError as error:
            raise ConfigError(
                "the JSON Schema cannot be read ({reason}); change it",
                reason=printable(error.message),
            ) from None
        self._validator = kind(dict(schema), registry=Registry())

    def against(self, text: str) -> str:
        """What stands against an answer; empty where it meets the schema."""
        from referencing.exceptions import Unresolvable

        try:
            fault = next(self._validator.iter_errors(json.loads(text)), None)
        except (ValueError, RecursionError):
            return t("an answer that is not JSON, though a schema was asked for")
        except Unresolvable as error:
            raise ConfigError(
                "the JSON Schema cannot be read ({reason}); change it", reason=printable(str(error))
            ) from None
        if fault is None:
            return ""
        return t("an answer that breaks the schema ({what})", what=printable(fault.message))
