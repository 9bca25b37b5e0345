"""jobs: work that waits in a queue, and the workers that do it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wenfang.cli import show
from wenfang.cli.options import AsJson
from wenfang.cli.progress import Bar
from wenfang.engine.wording import lasting, state_name
from wenfang.language import t

if TYPE_CHECKING:
    from wenfang.engine.queueing import Queued
    from wenfang.jobs import Happening, Job

LOOK_S = 0.5
ID_SHOWN = 12
Name = Annotated[str, typer.Argument(help=t("A job's id, or the beginning of one."))]


def queue(kind: str, request: dict[str, Any], as_json: bool) -> int:
    """Queue a command in place of running it."""
    from wenfang.engine.queueing import submit

    queued = submit(kind, request)
    if as_json:
        show.as_json(queued.record())
    else:
        _show_queued(queued)
    return 0


def whole(name: Path | str | None) -> str:
    """A file's or folder's full path: a worker stands elsewhere. Names of other things stay.

    In BASE+ADAPTER:WEIGHT each part is one.
    """
    if not name or Path(name).exists():
        return str(Path(name).resolve()) if name else ""
    parts = [one.partition(":") for one in str(name).split("+")]
    return "+".join(
        (str(Path(part).resolve()) if Path(part).is_dir() else part) + colon + weight
        for part, colon, weight in parts
    )


def _show_queued(queued: Queued) -> None:
    print(queued.job.id)
    guess = queued.estimate
    if guess:
        print(
            t(
                "about {seconds} ({least} to {most}) and {memory}, by {count} like it",
                seconds=lasting(guess.seconds),
                least=lasting(guess.least_s),
                most=lasting(guess.most_s),
                memory=show.size(guess.peak_bytes),
                count=guess.learnt_from,
            )
        )
    else:
        print(t("nothing like it was done here before, so how long it takes is not known"))
    if not queued.workers:
        print(t("nobody works now; start a worker with wenfang jobs work"))


def jobs_list(
    state: Annotated[
        list[str] | None, typer.Option(help=t("Only jobs in this state; may be given again."))
    ] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=10_000, help=t("How many."))] = 30,
    as_json: AsJson = False,
) -> int:
    """Jobs, newest first."""
    from wenfang.engine.queueing import open_queue
    from wenfang.errors import UsageError
    from wenfang.jobs import STATES

    unknown = [one for one in state or () if one not in STATES]
    if unknown:
        raise UsageError(
            "there is no state {state}; there are: {names}",
            state=unknown[0],
            names=", ".join(STATES),
        )
    found = open_queue().jobs(states=tuple(state or ()), limit=limit)
    if as_json:
        show.as_json([job.record() for job in found])
        return 0
    if not found:
        print(t("there are no jobs; add --job to a command to queue it"))
        return 0
    show.table(
        [(job.id[4 : 4 + ID_SHOWN], *_row(job)) for job in found],
        (t("job"), t("kind"), t("what"), t("state"), t("progress"), t("time")),
    )
    return 0


def _row(job: Job) -> tuple[str, str, str, str, str]:
    share = f"{job.step} {job.done:g}/{job.total:g}" if job.total else ""
    seconds = job.seconds
    if job.state == "running" and job.started_at:
        seconds = max(seconds, time.time() - job.started_at)
    spent = lasting(seconds) if seconds else ""
    return job.kind, job.subject, state_name(job.state), share, spent


def jobs_show(name: Name, as_json: AsJson = False) -> int:
    """One job: what is asked, how far it is, and why it failed."""
    from wenfang.engine.queueing import open_queue, story

    jobs = open_queue()
    job = jobs.job(name)
    if as_json:
        show.as_json({**job.record(), "events": [one.record() for one in story(jobs, job)]})
        return 0
    error = dict(job.error or {})
    rows = [
        (t("job"), job.id),
        (t("kind"), f"{job.kind} {job.subject}"),
        (t("state"), state_name(job.state)),
        (t("progress"), f"{job.step} {job.done:g}/{job.total:g}"),
        (t("attempts"), str(job.attempts)),
        (t("time"), lasting(job.seconds)),
        (t("memory"), show.size(job.peak_bytes)),
    ]
    if error:
        rows.append((t("error"), str(error.get("message"))))
    rows += [(t("file"), path) for path in _files(job)]
    show.table(rows)
    return 0


def _files(job: Job) -> list[str]:
    from wenfang.engine.queueing import files_of

    result: Any = job.result or {}
    folders = [str(result[key]) for key in ("bundle", "folder") if key in result]
    return [*map(str, files_of(job)), *folders]


def jobs_watch(name: Name, as_json: AsJson = False) -> int:
    """Follow a job to its end; exits as the command itself would have."""
    from wenfang.engine.queueing import open_queue, watch

    jobs = open_queue()
    job = jobs.job(name)
    with Bar(quiet=as_json) as bar:
        for one in watch(jobs, job, lambda: time.sleep(LOOK_S)):
            _follow(bar, one)
    job = jobs.job(job.id)
    if as_json:
        show.as_json(job.record())
    else:
        print("\n".join(_files(job)) or state_name(job.state))
    return _exit_code(job)


def _follow(bar: Bar, one: Happening) -> None:
    content = one.content
    if one.kind == "progress":
        bar.update(str(content["step"]), round(content["done"]), round(content["of"]))
    elif one.kind == "state" and "state" in content:
        error = content.get("error")
        line = state_name(str(content["state"]))
        bar.say(f"{line}: {error['message']}" if error else line)


def _exit_code(job: Job) -> int:
    """Of what was done, or of what stopped it."""
    if job.state == "done":
        return int((job.result or {}).get("exit_code") or 0)
    if job.state == "cancelled":
        return 130
    return int((job.error or {}).get("exit_code") or 10)


def _ask(name: str, wish: str, as_json: bool) -> int:
    from wenfang.engine.queueing import open_queue

    job = open_queue().ask(name, wish)
    if as_json:
        show.as_json(job.record())
    elif job.asked:
        print(t("{id} stops at its next safe point", id=job.id))
    else:
        print(f"{job.id}  {state_name(job.state)}")
    return 0


def jobs_cancel(name: Name, as_json: AsJson = False) -> int:
    """End a job; one that runs stops at a safe point."""
    return _ask(name, "cancel", as_json)


def jobs_pause(name: Name, as_json: AsJson = False) -> int:
    """Set a job aside; one that runs stops at a safe point, and what it finished is kept."""
    return _ask(name, "pause", as_json)


def jobs_resume(name: Name, as_json: AsJson = False) -> int:
    """Let a paused job go on."""
    return _ask(name, "resume", as_json)


def jobs_retry(name: Name, as_json: AsJson = False) -> int:
    """Queue a job again that failed, was given up or was cancelled; it goes on where it was."""
    return _ask(name, "retry", as_json)


def jobs_clean(
    days: Annotated[
        float, typer.Option(min=0, help=t("Ended so many days ago; failed ones thrice that."))
    ] = 30,
    as_json: AsJson = False,
) -> int:
    """Forget jobs that ended long ago; what they made stays."""
    from wenfang.engine.queueing import clean, open_queue
    from wenfang.errors import UsageError

    if not math.isfinite(days):
        raise UsageError("--days is a number of days; {days} is none", days=days)
    count = clean(open_queue(), days * 86_400)
    if as_json:
        show.as_json({"forgotten": count})
    else:
        print(t("{count} jobs forgotten", count=count))
    return 0


def jobs_work(
    device: Annotated[
        str, typer.Option(help=t("The device to own, for instance cpu:0 or cuda:1."))
    ] = "",
    short: Annotated[
        bool,
        typer.Option("--short", help=t("Only what takes seconds to minutes: no training.")),
    ] = False,
    drain: Annotated[bool, typer.Option("--drain", help=t("End when no job is left."))] = False,
    follow: Annotated[
        int, typer.Option(help=t("End with this process, by its number."), hidden=True)
    ] = 0,
) -> int:
    """Be a worker: do queued jobs, one at a time, until stopped."""
    from wenfang.engine.queueing import work

    def tell(job: Job) -> None:
        state = state_name(job.state)
        error = f": {job.error['message']}" if job.error and job.state != "running" else ""
        print(f"{job.id}  {job.kind} {job.subject}  {state}{error}", flush=True)

    if not drain and not follow:
        print(t("waiting for jobs; Ctrl-C ends this when the running job is at a safe point"))
    count = work(device=device, short=short, until_empty=drain, follow=follow, on_job=tell)
    if not follow:
        print(t("{count} jobs were begun", count=count))
    return 0


JOB_COMMANDS: dict[str, Callable[..., int]] = {
    "list": jobs_list,
    "show": jobs_show,
    "watch": jobs_watch,
    "cancel": jobs_cancel,
    "pause": jobs_pause,
    "resume": jobs_resume,
    "retry": jobs_retry,
    "clean": jobs_clean,
    "work": jobs_work,
}
