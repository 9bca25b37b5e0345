"""POST /v1/audio/speech, and what says that nothing here listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from wenfang.server.callers import Asked
from wenfang.server.faults import Fault
from wenfang.server.forms import Wanted, form_schema, received
from wenfang.server.local_names import require_local_names
from wenfang.server.models import SPEECH, require_model
from wenfang.server.pictures import SEED_MOST, Name, Settings
from wenfang.server.place import Here
from wenfang.server.wire import LABEL_HEADERS, Body

router = APIRouter(prefix="/v1/audio", tags=["sound"])

INPUT_CHARACTERS = 4096
SPEED_LEAST, SPEED_MOST = 0.4, 3.0  # of the voices here
READER = "speech"
VOICES = ("woman", "man", "child")
DEFAULT_VOICE = "default"  # of a model of log-mels: whichever it draws
SUFFIXES = {"mp3": ".mp3", "opus": ".opus", "flac": ".flac", "wav": ".wav", "aac": ".m4a"}
HEARD = Wanted(counts={"file": 1}, most_bytes=25 * 2**20)
MANIFEST_HEADER = "x-wenfang-manifest"


class VoiceId(Body):
    """A voice by its id, which is its name here."""

    id: Name


class SpeechBody(Body):
    """A text and who reads it; `settings` are those of `wenfang generate --set` for the model."""

    model: Name
    input: Annotated[str, Field(min_length=1, max_length=INPUT_CHARACTERS)]
    voice: Name | VoiceId
    instructions: Annotated[str, Field(max_length=INPUT_CHARACTERS)] | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    seed: Annotated[int, Field(ge=0, le=SEED_MOST)] = 0
    settings: Settings = Field(default_factory=dict)

    @property
    def voice_name(self) -> str:
        """However it was given."""
        return self.voice if isinstance(self.voice, str) else self.voice.id


class TranscriptionBody(Body):
    """What OpenAI's clients say beside a recording."""

    model: Name
    language: Annotated[str, Field(max_length=16)] | None = None
    prompt: Annotated[str, Field(max_length=32_000)] | None = None
    response_format: (
        Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] | None
    ) = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    timestamp_granularities: list[Literal["word", "segment"]] = Field([], max_length=2)
    include: list[Literal["logprobs"]] = Field([], max_length=1)
    stream: bool | None = None


class TranslationBody(Body):
    """What OpenAI's clients say beside a recording that shall be heard in English."""

    model: Name
    prompt: Annotated[str, Field(max_length=32_000)] | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None


@router.post("/speech", response_class=Response)
async def speak(body: SpeechBody, here: Here, caller: Asked) -> Response:
    """The text as a sound, with the label in it, signed."""
    await require_model(here, body.model, SPEECH)
    require_local_names(body.settings, here.settings.plugged, "settings")
    _require_fitting(body)
    text, settings = body.input, dict(body.settings)
    if body.model == READER:
        settings |= _reading(body)
    else:
        facts = await here.inference.once("describe", {"model": body.model})
        text = _utterance(body, facts)
    asked = {
        "model": body.model,
        "text": text,
        "settings": settings,
        "seed": body.seed,
        "suffix": SUFFIXES[body.response_format],
    }
    made = (await here.inference.once("speech", asked))["made"]
    headers = {**LABEL_HEADERS, MANIFEST_HEADER: made["manifest"]}
    return Response(made["data"], media_type=made["media_type"], headers=headers)


@router.post("/transcriptions", openapi_extra=form_schema(TranscriptionBody, {"file": True}))
async def transcribe(request: Request, here: Here, caller: Asked) -> Response:
    """404 after the request is read: no model here listens."""
    async with received(request, HEARD) as form:
        raise _deaf(form.read(TranscriptionBody).model, bool(form.file("file")))


@router.post("/translations", openapi_extra=form_schema(TranslationBody, {"file": True}))
async def translate(request: Request, here: Here, caller: Asked) -> Response:
    """404 after the request is read: no model here listens."""
    async with received(request, HEARD) as form:
        raise _deaf(form.read(TranslationBody).model, bool(form.file("file")))


def _deaf(model: str, given: bool) -> Fault:
    assert given  # a request without a recording was refused before
    message = f"no such model {model!r}: none that listens to speech is installed here"
    return Fault(404, message, "model_not_found", param="model")


def _require_fitting(body: SpeechBody) -> None:
    """Refuse what no voice here does."""
    if body.instructions:
        message = "voices here follow no instructions; choose voice, speed and settings"
        raise Fault(400, message, "unsupported_parameter", param="instructions")
    if body.stream_format == "sse":
        message = "a sound is labelled as a whole and comes as one; ask for stream_format audio"
        raise Fault(400, message, "unsupported_parameter", param="stream_format")
    if body.response_format not in SUFFIXES:
        message = f"{body.response_format} has no room for a label; ask for {', '.join(SUFFIXES)}"
        raise Fault(400, message, "unsupported_parameter", param="response_format")


def _reading(body: SpeechBody) -> dict[str, Any]:
    """The settings that voice and speed are."""
    if body.voice_name not in VOICES:
        message = f"there is no voice {body.voice_name[:80]!r}; there are: {', '.join(VOICES)}"
        raise Fault(400, message, "invalid_value", param="voice")
    if not SPEED_LEAST <= body.speed <= SPEED_MOST:
        message = f"voices here read at {SPEED_LEAST} to {SPEED_MOST} of their calm speed"
        raise Fault(400, message, "invalid_value", param="speed")
    for name in ("voice", "speed"):
        if name in body.settings:
            message = f"settings.{name} and {name} say the same; give one"
            raise Fault(400, message, "invalid_value", param=f"settings.{name}")
    return {"voice": body.voice_name, "speed": body.speed}


def _utterance(body: SpeechBody, facts: Mapping[str, Any]) -> str:
    """What a model of log-mels is asked for: a word, and whose voice of those it knows."""
    voices = sorted({name.partition(" ")[2] for name in facts["classes"]} - {""})
    if body.voice_name != DEFAULT_VOICE and body.voice_name not in voices:
        known = ", ".join((DEFAULT_VOICE, *voices))
        message = f"{body.model} has no voice {body.voice_name[:80]!r}; there are: {known}"
        raise Fault(400, message, "invalid_value", param="voice")
    if body.speed != 1.0:
        message = f"{body.model} says words at its own speed"
        raise Fault(400, message, "unsupported_parameter", param="speed")
    return body.input if body.voice_name == DEFAULT_VOICE else f"{body.input} {body.voice_name}"
