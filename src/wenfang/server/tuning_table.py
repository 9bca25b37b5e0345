"""Tunings as rows, and as OpenAI shows them: jobs, events, checkpoints."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wenfang.database import Database
from wenfang.errors import NotFoundError
from wenfang.jobs import Happening, Job, Queue
from wenfang.server.filing import metadata
from wenfang.server.paging import Rows
from wenfang.server.storing import credit, enter_job, enter_made
from wenfang.store import home

tunings = sa.Table(
    "tunings",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("job", sa.Text),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
    sa.Column("training_file", sa.Text, nullable=False),
    sa.Column("asked", sa.JSON, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Float),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Index("tunings_of_project", "project", "created_at", "id"),
)
ROWS = Rows(table=tunings, prefix="ftjob-", what="fine-tuning job")
VALIDATING = "validating_files"
ENDED = ("succeeded", "failed", "cancelled")
STATUS = {
    "queued": "queued",
    "running": "running",
    "paused": "paused",
    "done": "succeeded",
    "failed": "failed",
    "dead": "failed",
    "cancelled": "cancelled",
}
WORDS = {
    "queued": "The job waits for a worker.",
    "running": "The job has begun.",
    "paused": "The job is paused.",
    "done": "The job has ended well.",
    "cancelled": "The job was cancelled.",
}
EVENTS_MOST = 5000
LOSSES = ("loss", "train_loss")


@dataclass(frozen=True, kw_only=True)
class Tunings:
    """The tunings of all projects, with the jobs that they became."""

    database: Database
    queue: Queue

    def open(self, values: Mapping[str, Any], key: str) -> Any:
        """Enter a new one, whose run is kept for a key; its row."""
        with self.database.writing() as connection:
            enter_made(connection, key, values["id"], run_of(values["result"]))
            made = sa.insert(tunings).values(values).returning(*tunings.c)
            return connection.execute(made).one()

    def validating(self) -> list[str]:
        """Ids of those whose files are not looked through."""
        asked = sa.select(tunings.c.id).where(tunings.c.status == VALIDATING)
        with self.database.reading() as connection:
            return [row.id for row in connection.execute(asked)]

    def row(self, name: str) -> Any:
        """A tuning by its id."""
        with self.database.reading() as connection:
            return connection.execute(sa.select(tunings).where(tunings.c.id == name)).one()

    def move(self, name: str, before: str, **values: Any) -> bool:
        """Change a row that has one status; False where it has another one by now."""
        changed = sa.update(tunings).where(tunings.c.id == name, tunings.c.status == before)
        with self.database.writing() as connection:
            return connection.execute(changed.values(values)).rowcount == 1

    def queued(self, row: Any, job: str, used: Mapping[str, Any]) -> bool:
        """It has become a job; False where it was cancelled meanwhile.

        used  the hyperparameters that it comes to
        """
        asked = {**row.asked, "used": dict(used)}
        changed = sa.update(tunings).where(tunings.c.id == row.id, tunings.c.status == VALIDATING)
        with self.database.writing() as connection:
            made = connection.execute(changed.values(status="queued", job=job, asked=asked))
            enter_job(connection, row.id, job)
            return made.rowcount == 1

    def give_up(self, row: Any, error: Mapping[str, Any]) -> None:
        """Its examples do not fit: it has failed, and nothing is kept of them."""
        ended = {"status": "failed", "error": dict(error), "finished_at": time.time()}
        if self.move(row.id, VALIDATING, **ended):
            self.discard(row)

    def of_result(self, project: str, result: str) -> Any | None:
        """The tuning of a project that made the model of that name; None: there is none."""
        asked = sa.select(tunings).where(tunings.c.project == project, tunings.c.result == result)
        with self.database.reading() as connection:
            return connection.execute(asked).first()

    def of_job(self, job: str) -> Any | None:
        """The tuning that became a job; None where that is of another kind."""
        with self.database.reading() as connection:
            return connection.execute(sa.select(tunings).where(tunings.c.job == job)).first()

    def discard(self, row: Any) -> bool:
        """Remove the run of a tuning that has ended, its model included; the row stays.

        returns whether there was anything of it
        """
        with self.database.writing() as connection:
            counted = credit(connection, row.id)
        there = run_of(row.result).is_dir()
        shutil.rmtree(run_of(row.result), ignore_errors=True)
        return counted or there

    def job(self, row: Any) -> Job | None:
        """What it became; None before that, and once the queue has forgotten it."""
        if row.job is None:
            return None
        try:
            return self.queue.job(row.job)
        except NotFoundError:
            return None

    def settled(self, row: Any) -> tuple[Any, Job | None]:
        """The row with the state of its job, which is written down once that has ended."""
        job = self.job(row)
        if row.status == "succeeded" or job is None:  # the others may have been tried again
            return row, job
        status = STATUS[job.state]
        if status != row.status:
            values: dict[str, Any] = {"status": status, "error": None}
            values["finished_at"] = job.finished_at if status in ENDED else None
            if status == "failed" and job.error:
                values["error"] = {"code": job.error["type"], "message": job.error["message"],
                                   "param": None}  # fmt: skip
            self.move(row.id, row.status, **values)
            row = self.row(row.id)
        return row, job


def run_of(result: str) -> Path:
    """Where the run is that makes the model of that name."""
    return home() / "runs" / result


def record(row: Any, job: Job | None) -> dict[str, Any]:
    """A tuning in OpenAI's shape, and which job of the queue it is."""
    asked = row.asked
    numbers = asked.get("used") or {}
    hyperparameters = {
        name: numbers.get(name, asked["hyperparameters"].get(name, "auto"))
        for name in ("n_epochs", "batch_size", "learning_rate_multiplier")
    }
    return {
        "id": row.id,
        "object": "fine_tuning.job",
        "created_at": int(row.created_at),
        "error": row.error,
        "fine_tuned_model": row.result if row.status == "succeeded" else None,
        "finished_at": int(row.finished_at) if row.finished_at else None,
        "hyperparameters": hyperparameters,
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "model": row.model,
        "organization_id": row.project or "wenfang",
        "result_files": [],
        "seed": asked["seed"],
        # OpenAI's clients know no pause.
        "status": "queued" if row.status == "paused" else row.status,
        "trained_tokens": None,
        "training_file": row.training_file,
        "validation_file": None,
        "estimated_finish": None,
        "integrations": [],
        "metadata": asked.get("metadata"),
        "wenfang": {
            "job": row.job,
            "state": row.status,
            "model": row.result,
            "asked": (job.asked or None) if job else None,
            "kind": asked["kind"],
            "steps": numbers.get("steps"),
            "examples": asked.get("examples"),
            "numbers": (job.result or {}).get("numbers") if job else None,
        },
    }


def events(row: Any, happenings: Sequence[Happening]) -> list[dict[str, Any]]:
    """What was told of it, newest first."""
    told = [_event(0, row.created_at, "info", "The training file is being looked through.")]
    if row.job is None and row.error:
        at = row.finished_at or row.created_at
        told.append(_event(1, at, "error", row.error["message"]))
    told += [one for each in happenings if (one := _of_happening(each))]
    return told[::-1]


def _of_happening(one: Happening) -> dict[str, Any] | None:
    content = one.content
    if one.kind == "state":
        state = content.get("state")
        if error := content.get("error"):
            return _event(one.id, one.at, "error", str(error["message"]))
        message = WORDS.get(str(state), f"The job was asked to {content.get('asked')}.")
        return _event(one.id, one.at, "info", message)
    if one.kind == "progress":
        step, of = int(content["done"]), int(content["of"])
        loss = next((content[name] for name in LOSSES if name in content), None)
        data = {name: value for name, value in content.items() if name not in ("done", "of")}
        data |= {"step": step, "total_steps": of, "train_loss": loss}
        message = f"Step {step}/{of}" + ("" if loss is None else f": training loss={loss:.4f}")
        return _event(one.id, one.at, "info", message, data)
    if one.kind == "numbers":
        values = {name: value for name, value in content.items() if name != "step"}
        shown = ", ".join(f"{name}={value:.4f}" for name, value in values.items())
        data = {**content, "valid_loss": content.get("val_loss")}
        return _event(one.id, one.at, "info", f"Step {content['step']}: {shown}", data)
    level = "warn" if one.kind == "warning" else "info"
    return _event(one.id, one.at, level, str(content.get("text", one.kind)))


def _event(
    number: int, at: float, level: str, message: str, data: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "object": "fine_tuning.job.event",
        "id": f"ftevent-{number}",
        "created_at": int(at),
        "level": level,
        "message": message.replace(str(home()), "~"),
        "type": "metrics" if data is not None else "message",
        "data": data,
    }


def checkpoints(row: Any, happenings: Sequence[Happening]) -> list[dict[str, Any]]:
    """Models that can be asked: of a run here only its last, once it has ended well."""
    if row.status != "succeeded":
        return []
    measured = [one.content for one in happenings if one.kind == "numbers"]
    last: Mapping[str, Any] = measured[-1] if measured else {}
    step = int(last.get("step", (row.asked.get("used") or {}).get("steps", 0)))
    metrics: dict[str, Any] = {"step": step}
    if "val_loss" in last:
        metrics["valid_loss"] = float(last["val_loss"])
    return [
        {
            "object": "fine_tuning.job.checkpoint",
            "id": f"ftckpt-{row.id.removeprefix(ROWS.prefix)}",
            "created_at": int(row.finished_at or row.created_at),
            "fine_tuned_model_checkpoint": row.result,
            "fine_tuning_job_id": row.id,
            "metrics": metrics,
            "step_number": step,
        }
    ]
