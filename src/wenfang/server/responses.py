"""POST /v1/responses: a plugged model goes on with a talk, or a model of ours writes what is named.

A plugged model reads the whole talk: instructions, turns, and those before `previous_response_id`.
A model of /v1/completions reads one text alone; more is refused, not dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from wenfang.errors import WenfangError
from wenfang.language import t
from wenfang.server.callers import Asked, Caller
from wenfang.server.faults import Fault
from wenfang.server.models import CHAT, RESPONSES, Known, require_model
from wenfang.server.paging import fresh_id
from wenfang.server.place import Here, Place
from wenfang.server.response_store import PREFIX, Kept, find, forget, keep
from wenfang.server.talking import (
    TOKENS_USUAL,
    TURNS_MOST,
    Content,
    Format,
    Metadata,
    Name,
    Said,
    Seed,
    Temperature,
    Tokens,
    TopP,
    refuse,
    require_room,
    schema_of,
    turn,
)
from wenfang.server.wire import (
    LABEL_HEADERS,
    Body,
    begun,
    event,
    label_field,
    now_s,
)

router = APIRouter(prefix="/v1", tags=["text"])

# What OpenAI knows and nothing here does, and what it may be all the same.
REFUSED: Mapping[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "include": ([],),
    "background": (False,),
    "truncation": ("disabled",),
    "top_logprobs": (0,),
    "max_tool_calls": (),
    "reasoning": ({},),
    "conversation": (),
    "prompt": (),
    "service_tier": ("auto", "default"),
}


class Item(Body):
    """One turn of the input; an output item of an earlier answer fits as it is."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Said
    id: Name | None = None
    status: Name | None = None
    phase: Name | None = None


class TextConfig(Body):
    """How the answer is to be formed."""

    format: Format | None = None
    verbosity: Literal["medium"] | None = None


class StreamOptions(Body):
    """What a stream tells besides its text."""

    include_obfuscation: bool = False


class ResponseBody(Body):
    """A request; the same one gives the same answer, as `seed` (ours) is 0 unless it is given."""

    model: Name
    input: Content | Annotated[list[Item], Field(min_length=1, max_length=TURNS_MOST)]
    instructions: Content | None = None
    previous_response_id: Name | None = None
    max_output_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed = 0
    text: TextConfig | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    metadata: Metadata | None = None
    user: Name | None = None
    safety_identifier: Name | None = None
    prompt_cache_key: Name | None = None
    parallel_tool_calls: bool | None = None
    tools: Any = None
    tool_choice: Any = None
    include: Any = None
    background: Any = None
    truncation: Any = None
    top_logprobs: Any = None
    max_tool_calls: Any = None
    reasoning: Any = None
    conversation: Any = None
    prompt: Any = None
    service_tier: Any = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request that can be asked.

    verb, asked  of the engine
    talk         every turn but the instructions
    """

    body: ResponseBody
    verb: str
    asked: Mapping[str, Any]
    talk: Sequence[Mapping[str, str]]
    id: str = field(default_factory=lambda: fresh_id(PREFIX))
    message: str = field(default_factory=lambda: fresh_id("msg_"))
    created: int = field(default_factory=now_s)

    def record(self, status: str, **more: Any) -> dict[str, Any]:
        """The response in OpenAI's shape."""
        body = self.body
        form = body.text.format if body.text and body.text.format else Format(type="text")
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "model": body.model,
            "output": [],
            "error": None,
            "incomplete_details": None,
            "instructions": body.instructions,
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "parallel_tool_calls": bool(body.parallel_tool_calls),
            "previous_response_id": body.previous_response_id,
            "store": body.store is not False,
            "temperature": body.temperature,
            "text": {"format": form.model_dump(by_alias=True, exclude_none=True)
                     if form.type == "json_schema" else {"type": form.type}},
            "tool_choice": "none",
            "tools": [],
            "top_p": body.top_p,
            "truncation": "disabled",
            "usage": None,
            "user": body.user,
            **more,
        }  # fmt: skip

    def item(self, text: str | None, status: str) -> dict[str, Any]:
        """The one thing that is put out; without content as long as there is none."""
        return {
            "id": self.message,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [] if text is None else [_part(text)],
        }

    def ended(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """The whole response."""
        cut = written["finish"] == "length"
        status = "incomplete" if cut else "completed"
        return self.record(
            status,
            output=[self.item(written["text"], status)],
            incomplete_details={"reason": "max_output_tokens"} if cut else None,
            completed_at=now_s(),
            usage=usage_of(written),
            wenfang=label_field(self.body.model, [written["manifest"]]),
        )

    def kept(self, content: Mapping[str, Any], text: str) -> Kept:
        """What is stored of it."""
        return Kept(content=content, talk=[*self.talk, {"role": "assistant", "content": text}])


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def usage_of(written: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tokens; those of a prompt are not counted by models of ours, and None is told of no count."""
    read, count = written.get("prompt_tokens", 0), written.get("tokens", 0)
    if read is None or count is None:
        return None
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": count,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + count,
    }


async def _question(here: Place, caller: Caller, body: ResponseBody) -> Question:
    """What is asked of which verb; Fault 400 or 404 for what cannot be."""
    refuse(body, REFUSED)
    form = body.text.format if body.text and body.text.format else Format(type="text")
    schema = schema_of(form.type, form.schema_, "text.format.schema")
    known = await require_model(here, body.model, RESPONSES)
    if isinstance(body.input, str):
        turns = [turn("user", body.input, "input")]
    else:
        turns = [
            turn(one.role, one.content, f"input.{number}") for number, one in enumerate(body.input)
        ]
    if body.previous_response_id:
        earlier = await asyncio.to_thread(_earlier, here, caller.project, body.previous_response_id)
        turns = [*earlier, *turns]
    begin = [turn("system", body.instructions, "instructions")] if body.instructions else []
    require_room([*begin, *turns], "input")
    if CHAT in known.endpoints:
        asked = _talk(body, [*begin, *turns], schema)
        return Question(body=body, verb="talk", asked=asked, talk=turns)
    _require_one(known, [*begin, *turns])
    asked = _text(body, turns[0]["content"], schema)
    return Question(body=body, verb="text", asked=asked, talk=turns)


def _earlier(here: Place, project: str, name: str) -> list[dict[str, str]]:
    try:
        return [dict(one) for one in find(here.database, project, name).talk]
    except Fault as fault:
        message = fault.message
        raise Fault(404, message, "not_found", param="previous_response_id") from None


def _require_one(known: Known, turns: Sequence[Mapping[str, str]]) -> None:
    if [one["role"] for one in turns] == ["user"]:
        return
    message = t(
        "{model} reads one text and no talk; send one message of the user, without "
        "instructions and previous_response_id",
        model=known.id,
    )
    raise Fault(400, message, "unsupported_content", param="input")


def _talk(
    body: ResponseBody, turns: Sequence[Mapping[str, str]], schema: str | None
) -> dict[str, Any]:
    return {
        "model": body.model,
        "turns": list(turns),
        "count": 1,
        "seed": body.seed,
        "maximum_tokens": body.max_output_tokens or TOKENS_USUAL,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "stop": [],
        "schema": schema,
        "stream": bool(body.stream),
    }


def _text(body: ResponseBody, prompt: str, schema: str | None) -> dict[str, Any]:
    sampling = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "maximum_tokens": body.max_output_tokens,
    }
    given = {name: value for name, value in sampling.items() if value is not None}
    settings: dict[str, Any] = {"sampling": given} if given else {}
    if schema:
        settings["constraints"] = {"schema": schema}
    return {"model": body.model, "prompt": prompt, "seeds": [body.seed], "settings": settings}


@router.post("/responses")
async def respond(body: ResponseBody, here: Here, caller: Asked) -> Response:
    """The next turn of a talk; as a stream of events where that is asked."""
    question = await _question(here, caller, body)
    if body.stream:
        return await begun(_stream(here, caller, question))
    written = (await here.inference.once(question.verb, question.asked))["written"][0]
    content = await _finish(here, caller, question, written)
    return JSONResponse(content, headers=LABEL_HEADERS)


async def _finish(
    here: Place, caller: Caller, question: Question, written: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole response, counted, and kept unless that is not wanted."""
    content = question.ended(written)
    if content["usage"]:
        count = content["usage"]["output_tokens"]
        here.measures.tokens.labels(question.body.model).inc(count)
    if content["store"]:
        kept = question.kept(content, written["text"])
        await asyncio.to_thread(keep, here.database, caller.project, caller.person, kept)
    return content


@dataclass
class _Told:
    """Events in their order."""

    number: int = 0

    def event(self, kind: str, **content: Any) -> bytes:
        """The next event."""
        told = {"type": f"response.{kind}", "sequence_number": self.number, **content}
        self.number += 1
        return event(told, told["type"])


async def _stream(here: Place, caller: Caller, question: Question) -> AsyncIterator[bytes]:
    """created, in progress, the item and its part, the text in pieces, and everything whole.

    Nothing is told before the model gives its first answer: a request that it refuses keeps its
    own status. What fails later ends in response.failed.
    """
    told = _Told()
    opened = False
    try:
        async for one in here.inference.ask(question.verb, question.asked):
            if not opened:
                for line in _opening(told, question):
                    yield line
                opened = True
            if "piece" in one:
                where = {"item_id": question.message, "output_index": 0, "content_index": 0}
                yield told.event("output_text.delta", **where, delta=one["piece"], logprobs=[])
                continue
            content = await _finish(here, caller, question, one["written"][0])
            for line in _closing(told, question, content):
                yield line
    except (Fault, WenfangError) as error:
        if not opened:
            raise
        reason = {"code": "server_error", "message": str(error)}
        yield told.event("failed", response=question.record("failed", error=reason))


def _opening(told: _Told, question: Question) -> list[bytes]:
    record = question.record("in_progress")
    where = {"item_id": question.message, "output_index": 0, "content_index": 0}
    return [
        told.event("created", response=record),
        told.event("in_progress", response=record),
        told.event("output_item.added", output_index=0, item=question.item(None, "in_progress")),
        told.event("content_part.added", **where, part=_part("")),
    ]


def _closing(told: _Told, question: Question, content: Mapping[str, Any]) -> list[bytes]:
    item = content["output"][0]
    text = item["content"][0]["text"]
    where = {"item_id": question.message, "output_index": 0, "content_index": 0}
    return [
        told.event("output_text.done", **where, text=text, logprobs=[]),
        told.event("content_part.done", **where, part=_part(text)),
        told.event("output_item.done", output_index=0, item=item),
        told.event(content["status"], response=content),
    ]


@router.get("/responses/{response_id}")
def show_response(
    response_id: Name, here: Here, caller: Asked, stream: bool = False
) -> JSONResponse:
    """A response that was kept; as a stream it is not told again."""
    if stream:
        message = t("a kept response is told whole; leave stream out")
        raise Fault(400, message, "unsupported_parameter", param="stream")
    found = find(here.database, caller.project, response_id)
    return JSONResponse(dict(found.content), headers=LABEL_HEADERS)


@router.delete("/responses/{response_id}")
def delete_response(response_id: Name, here: Here, caller: Asked) -> dict[str, Any]:
    """Forget a response."""
    forget(here.database, caller.project, response_id)
    return {"id": response_id, "object": "response", "deleted": True}
