"""POST /v1/completions: a model goes on from a prompt, or writes what it names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from wenfang.language import t
from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.local_names import require_local_names
from wenfang.server.models import COMPLETIONS, require_model
from wenfang.server.paging import fresh_id
from wenfang.server.place import Here, Place
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

SEED_MOST = 2**53  # JSON's whole numbers
PROMPTS_MOST, COUNT_MOST, STOPS_MOST = 64, 64, 16
TOKENS_MOST = 8192
Stop = str | Annotated[list[str], Field(max_length=STOPS_MOST)]


class StreamOptions(Body):
    """What a stream tells besides its text."""

    include_usage: bool = False


class CompletionBody(Body):
    """A request; `settings` are those of `wenfang generate --set` for this model."""

    model: str
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=PROMPTS_MOST)] = ""
    n: Annotated[int, Field(ge=1, le=COUNT_MOST)] = 1
    seed: Annotated[int, Field(ge=0, le=SEED_MOST)] = 0
    max_tokens: Annotated[int, Field(ge=1, le=TOKENS_MOST)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: Stop | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool = False
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


def settings_of(body: CompletionBody) -> dict[str, Any]:
    """The model's own settings, with what OpenAI's fields say of them."""
    sampling = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "maximum_tokens": body.max_tokens,
    }
    found = dict(body.settings)
    given = {name: value for name, value in sampling.items() if value is not None}
    own = found.get("sampling", {})
    if not isinstance(own, dict):
        message = t("settings.sampling is no object; give one, or leave it out")
        raise Fault(400, message, "invalid_value", param="settings.sampling")
    if given or own:
        found["sampling"] = {**own, **given}
        _require_end(found["sampling"].get("maximum_tokens"))
    if body.stop is not None:
        found["stop"] = [body.stop] if isinstance(body.stop, str) else body.stop
    return found


def _require_end(count: object) -> None:
    """Fault 400 for more tokens than `max_tokens` may ask for."""
    if isinstance(count, int) and count > TOKENS_MOST:
        message = t("at most {most} tokens are written; ask for fewer", most=TOKENS_MOST)
        raise Fault(400, message, "invalid_value", param="settings.sampling.maximum_tokens")


def _asked(body: CompletionBody, prompt: str) -> dict[str, Any]:
    seeds = [body.seed + number for number in range(body.n)]
    return {
        "model": body.model,
        "prompt": prompt,
        "seeds": seeds,
        "settings": settings_of(body),
    }


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "finish_reason": finish, "logprobs": None}


def usage_of(written: list[Mapping[str, Any]]) -> dict[str, int]:
    """Tokens; those of a prompt are not counted by models of ours."""
    count = sum(int(one.get("tokens", 0)) for one in written)
    return {"prompt_tokens": 0, "completion_tokens": count, "total_tokens": count}


@router.post("/completions")
async def complete(body: CompletionBody, here: Here, caller: Asked) -> Response:
    """Text that goes on from each prompt; as a stream where that is asked."""
    await require_model(here, body.model, COMPLETIONS)
    require_local_names(body.settings, here.settings.plugged, "settings")
    head = {"id": fresh_id("cmpl-"), "object": "text_completion", "created": now_s()}
    head |= {"model": body.model}
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if body.stream:
        return await begun(_stream(here, body, prompts, head))
    choices: list[dict[str, Any]] = []
    written: list[Mapping[str, Any]] = []
    for prompt in prompts:
        found = await here.inference.once("text", _asked(body, prompt))
        for one in found["written"]:
            text = one["text"] if not body.echo else prompt + one["text"]
            choices.append(_choice(len(choices), text, one["finish"]))
            written.append(one)
    usage = usage_of(written)
    here.measures.tokens.labels(body.model).inc(usage["completion_tokens"])
    label = label_field(body.model, [one["manifest"] for one in written])
    content = {**head, "choices": choices, "usage": usage, "wenfang": label}
    return JSONResponse(content, headers=LABEL_HEADERS)


async def _stream(
    here: Place, body: CompletionBody, prompts: list[str], head: Mapping[str, Any]
) -> AsyncIterator[bytes]:
    written: list[Mapping[str, Any]] = []
    for number, prompt in enumerate(prompts):
        first = number * body.n
        if body.echo and prompt:
            for index in range(body.n):
                yield event({**head, "choices": [_choice(first + index, prompt, None)]})
        async for one in here.inference.ask("text", _asked(body, prompt)):
            if "piece" in one:
                choice = _choice(first + one["index"], one["piece"], None)
                yield event({**head, "choices": [choice]})
                continue
            for index, text in enumerate(one["written"]):
                written.append(text)
                label = label_field(body.model, [text["manifest"]])
                choice = _choice(first + index, "", text["finish"])
                yield event({**head, "choices": [choice], "wenfang": label})
    usage = usage_of(written)
    here.measures.tokens.labels(body.model).inc(usage["completion_tokens"])
    if body.stream_options and body.stream_options.include_usage:
        yield event({**head, "choices": [], "usage": usage})
    yield DONE
