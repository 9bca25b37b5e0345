"""verify, seal, replay: commands that prove what a file is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wenfang.cli import jobs, show
from wenfang.cli.options import Against, AsJob, AsJson, Output, PolicyFile, Use
from wenfang.cli.progress import Bar
from wenfang.engine.wording import outcome_name, step_name
from wenfang.language import t

if TYPE_CHECKING:
    from wenfang.engine.sealing import Sealed


def verify(
    paths: Annotated[list[Path], typer.Argument(help=t("Files, folders or zip archives."))],
    trust: Annotated[
        list[Path] | None, typer.Option(help=t("Root certificate (PEM) to trust besides ours."))
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help=t("A publisher's gate: manifest beside, provider code, checks all passed."),
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Say of each file whether it is ours, unchanged and labelled: exit 0, 1, 2 or 3."""
    from wenfang.config import to_dict
    from wenfang.engine.keeping import verify_files
    from wenfang.seal import Answer, worst

    found = verify_files(paths, trust or (), strict=strict)
    if as_json:
        show.as_json(to_dict(Answer(files=tuple(found), exit_code=worst(found))))
    else:
        show.verdicts(found, layers=True)
    return worst(found)


def seal(
    files: Annotated[list[Path], typer.Argument(help=t("Files that another program made."))],
    made_with: Annotated[str, typer.Option(help=t("The program or model that made them."))],
    output: Output = None,
    policy: PolicyFile = None,
    use: Use = "default",
    against: Against = None,
    private: Annotated[
        bool, typer.Option("--private", help=t("Keep nothing of it in the store."))
    ] = False,
    job: AsJob = False,
    as_json: AsJson = False,
) -> int:
    """Label, sign and check AI content made elsewhere, keeping the marks that it brings."""
    from wenfang.engine import sealing

    request = sealing.SealRequest(
        files=tuple(files),
        made_with=made_with,
        output=output or sealing.OUTPUT,
        policy=policy,
        use=use,
        against=tuple(against or ()),
        private=private,
    )
    if job:
        return jobs.queue("seal", sealing.seal_job(request), as_json)
    done = sealing.seal(request, on_sealed=lambda one: None if as_json else _show_sealed(one))
    if as_json:
        show.as_json({"files": [one.record() for one in done]})
    return sealing.without_error(done)


def _show_sealed(one: Sealed) -> None:
    if one.file is None:
        print(f"✗ {one.source}: {one.error}")
        return
    print(one.file.path)
    for path in one.file.sidecars:
        print(f"  {path.name}")
    for note in one.notes:
        print(f"  {note}")


def replay(
    target: Annotated[
        str, typer.Argument(help=t("A published file, a folder of them, or a piece's id or name."))
    ],
    reference: Annotated[
        bool,
        typer.Option(
            "--reference/--batched",
            help=t("One sample at a time on one thread, or in batches as create draws."),
        ),
    ] = True,
    model: Annotated[
        str | None, typer.Option(help=t("The model's folder, where its name is not known here."))
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make a file again from its manifest and compare: exit 0 the same, 1 different, 3 unknown."""
    from wenfang.engine.replaying import ReplayRequest
    from wenfang.engine.replaying import replay as replay_pieces

    with Bar(quiet=as_json) as bar:
        found = replay_pieces(
            ReplayRequest(target=target, reference=reference, model=model),
            on_event=lambda event: bar.update(step_name(event.step), event.done, event.of),
        )
    code = max((one.exit_code for one in found), key=(0, 3, 1).index, default=3)
    if as_json:
        show.as_json({"files": [one.to_dict() for one in found], "exit_code": code})
        return code
    for one in found:
        sign = "✓" if one.exit_code == 0 else "✗"
        print(f"{sign} {one.path}: {outcome_name(one.outcome)}; {one.finding}")
    if not found:
        print(t("there is nothing to replay in {target}", target=target))
    return code


COMMANDS: dict[str, Callable[..., int]] = {
    "verify": verify,
    "seal": seal,
    "replay": replay,
}
