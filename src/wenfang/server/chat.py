"""POST /v1/chat/completions: a talk goes on, by a model that is plugged in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from wenfang.server.callers import Asked
from wenfang.server.completions import StreamOptions as UsageOption
from wenfang.server.models import CHAT, require_model
from wenfang.server.paging import fresh_id
from wenfang.server.place import Here, Place
from wenfang.server.talking import (
    TOKENS_USUAL,
    TURNS_MOST,
    ChatFormat,
    Content,
    Metadata,
    Name,
    Said,
    Seed,
    Stops,
    Temperature,
    Tokens,
    TopP,
    refuse,
    require_room,
    schema_of,
    turn,
)
from wenfang.server.wire import (
    DONE,
    LABEL_HEADERS,
    Body,
    begun,
    event,
    label_field,
    now_s,
)

router = APIRouter(prefix="/v1", tags=["text"])

COUNT_MOST = 16
# What OpenAI knows and nothing here does, and what it may be all the same.
REFUSED: Mapping[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
    "store": (False,),
    "service_tier": ("auto", "default"),
}


class Message(Body):
    """One turn of a talk."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Said | None = None
    name: Name | None = None
    refusal: Content | None = None
    annotations: Any = None
    audio: Any = None
    tool_calls: Any = None
    function_call: Any = None


class StreamOptions(UsageOption):
    """What a stream tells besides its text."""

    include_obfuscation: bool = False


class ChatBody(Body):
    """A request; the same one gives the same answer, as `seed` is 0 unless it is given."""

    model: Name
    messages: Annotated[list[Message], Field(min_length=1, max_length=TURNS_MOST)]
    n: Annotated[int, Field(ge=1, le=COUNT_MOST)] | None = None
    seed: Seed | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stop: Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ChatFormat | None = None
    metadata: Metadata | None = None
    user: Name | None = None
    safety_identifier: Name | None = None
    prompt_cache_key: Name | None = None
    parallel_tool_calls: bool | None = None
    tools: Any = None
    tool_choice: Any = None
    functions: Any = None
    function_call: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    logit_bias: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    modalities: Any = None
    audio: Any = None
    prediction: Any = None
    reasoning_effort: Any = None
    verbosity: Any = None
    web_search_options: Any = None
    store: Any = None
    service_tier: Any = None


def _asked(body: ChatBody) -> dict[str, Any]:
    """What the engine is asked; Fault 400 for what nothing here does."""
    refuse(body, REFUSED)
    for message in body.messages:
        refuse(message, {"tool_calls": ([],), "function_call": (), "audio": ()})
    turns = [
        turn(one.role, one.content or one.refusal, f"messages.{number}")
        for number, one in enumerate(body.messages)
    ]
    require_room(turns, "messages")
    form = body.response_format or ChatFormat(type="text")
    named = form.json_schema.schema_ if form.json_schema else None
    schema = schema_of(form.type, named, "response_format.json_schema.schema")
    stop = [body.stop] if isinstance(body.stop, str) else body.stop
    return {
        "model": body.model,
        "turns": turns,
        "count": body.n or 1,
        "seed": body.seed or 0,
        "maximum_tokens": body.max_completion_tokens or body.max_tokens or TOKENS_USUAL,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "stop": stop or [],
        "schema": schema,
        "stream": bool(body.stream),
    }


def usage_of(written: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Tokens of the talk and of all answers; None where the model does not tell."""
    counts = [one["tokens"] for one in written]
    read = written[0]["prompt_tokens"]
    if read is None or None in counts:
        return None
    return {
        "prompt_tokens": read,
        "completion_tokens": sum(counts),
        "total_tokens": read + sum(counts),
    }


def _count(here: Place, model: str, usage: Mapping[str, Any] | None) -> None:
    if usage:
        here.measures.tokens.labels(model).inc(usage["completion_tokens"])


@router.post("/chat/completions")
async def talk(body: ChatBody, here: Here, caller: Asked) -> Response:
    """The next turn of a talk; as a stream where that is asked."""
    asked = _asked(body)
    await require_model(here, body.model, CHAT)
    head: dict[str, Any] = {"id": fresh_id("chatcmpl-"), "created": now_s(), "model": body.model}
    if body.stream:
        return await begun(_stream(here, body, asked, head))
    written = (await here.inference.once("talk", asked))["written"]
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": one["text"], "refusal": None},
            "finish_reason": one["finish"],
            "logprobs": None,
        }
        for index, one in enumerate(written)
    ]
    usage = usage_of(written)
    _count(here, body.model, usage)
    content = {**head, "object": "chat.completion", "choices": choices, "usage": usage}
    if body.metadata is not None:
        content["metadata"] = body.metadata
    content["wenfang"] = label_field(body.model, [one["manifest"] for one in written])
    return JSONResponse(content, headers=LABEL_HEADERS)


def _choice(index: int, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": dict(delta), "finish_reason": finish, "logprobs": None}


async def _stream(
    here: Place, body: ChatBody, asked: Mapping[str, Any], head: Mapping[str, Any]
) -> AsyncIterator[bytes]:
    """Who speaks, what comes of each answer, how it ended with its label, and the usage."""
    counted = bool(body.stream_options and body.stream_options.include_usage)
    frame = {**head, "object": "chat.completion.chunk", **({"usage": None} if counted else {})}
    opened = False
    async for one in here.inference.ask("talk", asked):
        if not opened:
            for index in range(asked["count"]):
                choice = _choice(index, {"role": "assistant", "content": ""})
                yield event({**frame, "choices": [choice]})
            opened = True
        if "piece" in one:
            choice = _choice(one["index"], {"content": one["piece"]})
            yield event({**frame, "choices": [choice]})
            continue
        for index, text in enumerate(one["written"]):
            label = label_field(body.model, [text["manifest"]])
            choice = _choice(index, {}, text["finish"])
            yield event({**frame, "choices": [choice], "wenfang": label})
        usage = usage_of(one["written"])
        _count(here, body.model, usage)
        if counted:
            yield event({**frame, "choices": [], "usage": usage})
    yield DONE
