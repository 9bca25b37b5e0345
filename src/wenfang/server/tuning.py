"""/v1/fine_tuning/jobs: a bundle tuned on an uploaded file, by the recipe `tune`, as a job."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import Field

from wenfang.data.instructions import prepare_own
from wenfang.errors import JobError, WenfangError
from wenfang.server.batches import Metadata
from wenfang.server.callers import Asked, Caller
from wenfang.server.faults import Fault
from wenfang.server.filing import Filing, served
from wenfang.server.paging import PAGE, PAGE_MOST, After, Limit, fresh_id
from wenfang.server.place import Here, Place
from wenfang.server.tuning_table import (
    EVENTS_MOST,
    ROWS,
    VALIDATING,
    Tunings,
    checkpoints,
    events,
    record,
    run_of,
)
from wenfang.server.wire import Body, listed

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["fine-tuning"])

FAMILIES = ("gpt", "gpt2", "seq2seq")  # those that write texts
TUNING_BYTES = 64 * 2**20  # of a training file, which is read as a whole
SEED_MOST = 2**31 - 1
WISHES = {
    "n_epochs": "epochs",
    "batch_size": "batch_size",
    "learning_rate_multiplier": "rate_factor",
}
LICENCE = r"^[A-Za-z0-9.+() -]*$"
Auto = Literal["auto"]
Epochs = Annotated[int, Field(ge=1, le=100)]
Batch = Annotated[int, Field(ge=1, le=1024)]
Multiplier = Annotated[float, Field(gt=0, le=100)]


class Hyperparameters(Body):
    """How long, how large, how fast; what is `auto` follows from model and examples.

    n_epochs                  how often each example is read
    batch_size                examples of a step, at most as many as there are
    learning_rate_multiplier  of the rate that the recipe takes for this model
    """

    n_epochs: Auto | Epochs = "auto"
    batch_size: Auto | Batch = "auto"
    learning_rate_multiplier: Auto | Multiplier = "auto"


class Supervised(Body):
    """Prompts with their completions."""

    hyperparameters: Hyperparameters | None = None


class Method(Body):
    """How it learns; preferences and rewards are not learnt from here."""

    type: Literal["supervised"] = "supervised"
    supervised: Supervised | None = None


class TuningBody(Body):
    """What is tuned on what.

    kind     all weights, LoRA, or learned vectors before the input
    licence  SPDX expression of the examples; without one no commercial piece is made by the result
    """

    model: Annotated[str, Field(max_length=200)]
    training_file: Annotated[str, Field(max_length=64)]
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    suffix: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_.-]*$")] | None = None
    seed: Annotated[int, Field(ge=0, le=SEED_MOST)] | None = None
    metadata: Metadata | None = None
    kind: Literal["full", "lora", "prompt"] = "full"
    licence: Annotated[str, Field(max_length=200, pattern=LICENCE)] = ""

    @property
    def numbers(self) -> Hyperparameters:
        """The hyperparameters, wherever they stand."""
        supervised = self.method.supervised if self.method else None
        inner = supervised.hyperparameters if supervised else None
        return inner or self.hyperparameters or Hyperparameters()


class _Refused(Body):
    """Fields of OpenAI's that mean something else than nothing."""

    integrations: list[dict[str, Any]] | None = None
    validation_file: str | None = None


class TuningRequest(TuningBody, _Refused):
    """`TuningBody` with fields that are understood, and refused where they ask for something."""


def _tunings(here: Place) -> Tunings:
    return Tunings(database=here.database, queue=here.queue)


def _refuse(param: str, message: str, status: int = 400, code: str = "invalid_value") -> Fault:
    return Fault(status, message, code, param=param)


async def _require_base(here: Place, name: str) -> None:
    """Fault where there is no such bundle, or where it writes no texts."""
    found = {str(one["name"]): one for one in await here.inference.once("models", {})}
    entry = found.get(name)
    if entry is None:
        message = f"there is no model {name!r} that can be tuned"
        raise _refuse("model", message, 404, "model_not_found")
    family = entry["config"].get("family")
    if family not in FAMILIES or not re.fullmatch(r"[\w.-]+", name):
        raise _refuse("model", f"{name} is of the family {family}, which is not tuned by examples")


def _prepared(here: Place, caller: Caller, body: TuningRequest) -> Any:
    """The row of a tuning whose examples can be read; Fault 400 that says which line cannot."""
    try:
        file = Filing(database=here.database).one(caller.project, body.training_file)
    except Fault as fault:
        raise _refuse("training_file", fault.message, 404, "not_found") from None
    if file.purpose != "fine-tune":
        message = f"{file.id} was uploaded for {file.purpose}; upload it for the purpose fine-tune"
        raise _refuse("training_file", message)
    if file.bytes > TUNING_BYTES:
        message = f"a training file has at most {TUNING_BYTES} bytes"
        raise _refuse("training_file", message, code="file_too_large")
    name = fresh_id(ROWS.prefix)
    suffix = f"-{body.suffix}" if body.suffix else ""
    result = f"{body.model}{suffix}-{name[-8:]}"
    copy = served("tuning", name, f"{file.id}.jsonl")
    Filing(database=here.database).copy(file, copy)
    try:
        dataset = prepare_own(copy, run_of(result) / "dataset", body.licence)
    except WenfangError as error:
        shutil.rmtree(run_of(result), ignore_errors=True)
        message = str(error).replace(str(copy), file.filename)
        raise _refuse("training_file", message, code="invalid_training_file") from None
    finally:
        shutil.rmtree(copy.parent, ignore_errors=True)
    return _tunings(here).open(
        {
            "id": name,
            "project": caller.project,
            "person": caller.person,
            "created_at": time.time(),
            "model": body.model,
            "result": result,
            "training_file": file.id,
            "status": VALIDATING,
            "asked": {
                "hyperparameters": body.numbers.model_dump(),
                "seed": body.seed or 0,
                "metadata": body.metadata,
                "kind": body.kind,
                "examples": dataset.count("train"),
            },
        },
        caller.key,
    )


def wish_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that are asked for, as the engine calls them."""
    return {ours: asked[name] for name, ours in WISHES.items() if asked[name] != "auto"}


async def _validate(here: Place, name: str) -> None:
    """Ask whether base and examples fit, and queue the job."""
    held = _tunings(here)
    row = await asyncio.to_thread(held.row, name)
    if row.status != VALIDATING:
        return
    data = str(run_of(row.result) / "dataset")
    chosen = [f"tune.kind={row.asked['kind']}", f"tune.name={row.result}"]
    chosen.append(f"train.seed={row.asked['seed']}")
    try:
        plan = await here.inference.once(
            "tuning_plan",
            {
                "base": row.model,
                "data": data,
                "settings": chosen,
                "wish": wish_of(row.asked["hyperparameters"]),
            },
        )
        request = {
            "recipe": "tune",
            "data": data,
            "base": row.model,
            "settings": [*chosen, *plan["settings"]],
            "output": str(run_of(row.result)),
        }
        queued = await here.inference.once(
            "submit",
            {
                "kind": "train",
                "request": request,
                "key": f"tuning:{name}",
                "project": row.project,
                "person": row.person,
            },
        )
    except Fault as fault:
        if fault.status >= 500:
            raise
        error = {"code": fault.code or "invalid", "message": fault.message}
        error["param"] = "training_file"
        await asyncio.to_thread(held.give_up, row, error)
        return
    job = queued["job"]["id"]
    used = {name: plan[ours] for name, ours in (*WISHES.items(), ("steps", "steps"))}
    kept = await asyncio.to_thread(held.queued, row, job, used)
    if not kept:  # cancelled meanwhile
        with suppress(JobError):  # it has ended already
            await asyncio.to_thread(here.queue.ask, job, "cancel")
        await asyncio.to_thread(held.discard, row)


def _start(app: FastAPI, name: str) -> None:
    app.state.chores.start(name, lambda: _validate(app.state.place, name))


async def take_up_tunings(app: FastAPI) -> None:
    """Look through the files that an earlier server did not come to."""
    for name in await asyncio.to_thread(_tunings(app.state.place).validating):
        _start(app, name)


@router.post("")
async def create_tuning(
    body: TuningRequest, request: Request, here: Here, caller: Asked
) -> dict[str, Any]:
    """Tune a bundle on an uploaded file of prompts with completions, or of talks."""
    if body.integrations:
        raise _refuse("integrations", "integrations are not available; nothing leaves this machine")
    if body.validation_file is not None:
        message = "a tenth of the training file is set aside to measure by; leave it out"
        raise _refuse("validation_file", message)
    await _require_base(here, body.model)
    row = await asyncio.to_thread(_prepared, here, caller, body)
    _start(request.app, row.id)
    return record(row, None)


@router.get("")
def list_tunings(
    here: Here, caller: Asked, after: After = None, limit: Limit = PAGE
) -> dict[str, Any]:
    """The project's tunings, newest first."""
    rows, more = ROWS.page(here.database, caller.project, after=after, limit=limit)
    held = _tunings(here)
    return listed([record(*held.settled(row)) for row in rows], more=more)


@router.get("/{name}")
def show_tuning(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """How far a tuning is."""
    row = ROWS.one(here.database, caller.project, name)
    return record(*_tunings(here).settled(row))


@router.get("/{name}/events")
def list_events(
    name: str,
    here: Here,
    caller: Asked,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
) -> dict[str, Any]:
    """What was told of it, newest first: states, losses, warnings."""
    row, job = _tunings(here).settled(ROWS.one(here.database, caller.project, name))
    told = events(row, here.queue.happenings(job, limit=EVENTS_MOST) if job else [])
    return _slice(told, after, limit)


@router.get("/{name}/checkpoints")
def list_checkpoints(
    name: str,
    here: Here,
    caller: Asked,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST)] = PAGE,
) -> dict[str, Any]:
    """Its models: the last one, once it has ended well."""
    row, job = _tunings(here).settled(ROWS.one(here.database, caller.project, name))
    told = here.queue.happenings(job, limit=EVENTS_MOST) if job else []
    return _slice(checkpoints(row, told), after, limit)


def _slice(records: list[dict[str, Any]], after: str | None, limit: int) -> dict[str, Any]:
    first = 0
    if after is not None:
        places = [place for place, one in enumerate(records) if one["id"] == after]
        if not places:
            raise _refuse("after", "after names nothing here")
        first = places[0] + 1
    page = records[first : first + limit]
    return listed(page, more=first + limit < len(records))


def _ask(here: Place, caller: Caller, name: str, wish: str) -> dict[str, Any]:
    held = _tunings(here)
    row, job = held.settled(ROWS.one(here.database, caller.project, name))
    if job is None:
        ended = {"status": "cancelled", "finished_at": time.time()}
        if wish != "cancel" or not held.move(row.id, VALIDATING, **ended):
            raise Fault(409, f"the job is {row.status}; it cannot be asked to {wish}", "conflict")
        held.discard(row)
        return record(held.row(row.id), None)
    here.queue.ask(job.id, wish)
    return record(*held.settled(held.row(row.id)))


@router.post("/{name}/cancel")
def cancel_tuning(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Stop it for good, at a safe point."""
    return _ask(here, caller, name, "cancel")


@router.post("/{name}/pause")
def pause_tuning(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Stop it at a safe point, to go on later."""
    return _ask(here, caller, name, "pause")


@router.post("/{name}/resume")
def resume_tuning(name: str, here: Here, caller: Asked) -> dict[str, Any]:
    """Go on with one that was paused."""
    return _ask(here, caller, name, "resume")
