"""create, generate, scenarios, models: commands that make content."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wenfang.cli import jobs, show
from wenfang.cli.options import Against, AsJob, AsJson, Output, PolicyFile, Settings, Use
from wenfang.cli.progress import Bar
from wenfang.engine.wording import step_name
from wenfang.language import t

if TYPE_CHECKING:
    from wenfang.engine.asset import Asset
    from wenfang.engine.creating import Made

OUTPUT = Path("out")


def create(
    brief: Annotated[Path, typer.Argument(help=t("A brief: .json, .jsonl or .csv."))],
    output: Output = None,
    settings: Settings = None,
    model: Annotated[str | None, typer.Option(help=t("Another model than the scenario's."))] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help=t("Refuse material that forbids commercial use."))
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help=t("Keep no brief in the store, publish no request."))
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help=t("Make it again, even if the store has it."))
    ] = False,
    policy: PolicyFile = None,
    use: Use = "default",
    against: Against = None,
    job: AsJob = False,
    as_json: AsJson = False,
) -> int:
    """Turn a brief, or a file of many, into finished pieces: labelled, signed and verified."""
    from wenfang.config import to_dict
    from wenfang.engine.creating import CreateRequest, create_job, exit_code, sameness
    from wenfang.engine.creating import create as create_pieces
    from wenfang.errors import CheckError

    started = time.monotonic()
    request = CreateRequest(
        briefs=brief,
        output=output or OUTPUT / brief.stem,
        settings=tuple(settings or ()),
        model=model,
        commercial=commercial,
        private=private,
        fresh=fresh,
        policy=policy,
        use=use,
        against=tuple(against or ()),
    )
    if job:
        return jobs.queue("create", create_job(request), as_json)
    with Bar(quiet=as_json) as bar:
        made = create_pieces(
            request,
            on_event=lambda event: bar.update(step_name(event.step), event.done, event.of),
            on_made=lambda one: None if as_json else _show_made(one, bar),
        )
    seconds = time.monotonic() - started
    alike = sameness(made, request)
    if as_json:
        pieces = [one.record() for one in made]
        same = to_dict(alike) if alike else None
        show.as_json({"pieces": pieces, "sameness": same, "seconds": round(seconds, 2)})
    else:
        if alike and alike.verdict != "pass":
            print(t("the pieces of this batch are much alike: {what}", what=alike.evidence[0]))
        print(t("took {seconds} s", seconds=f"{seconds:.1f}"))
    return CheckError.exit_code if alike and alike.verdict == "block" else exit_code(made)


def _show_made(made: Made, bar: Bar) -> None:
    if made.error:
        bar.say(f"✗ {made.brief}: {made.error}")
    elif made.piece is None:
        print(t("{folder} is finished already; --fresh makes it again", folder=made.folder))
    else:
        print(f"\n{made.piece.text}\n")
        for file in made.piece.files:
            print(f"  {file.path}")
        print()
        show.verdicts(made.verdicts, layers=False)


def generate(
    model: Annotated[str, typer.Argument(help=t("A model's name or a bundle's folder."))],
    prompt: Annotated[str, typer.Argument(help=t("What to write about, or to go on from."))] = "",
    count: Annotated[
        int,
        typer.Option(
            "-n", min=1, max=1000, help=t("How many; pictures share one sheet if -o names a file.")
        ),
    ] = 1,
    seed: Annotated[int, typer.Option(help=t("Seed of the first; the next ones count up."))] = 0,
    settings: Settings = None,
    output: Output = None,
    private: Annotated[
        bool, typer.Option("--private", help=t("Keep nothing, and publish no prompt."))
    ] = False,
    job: AsJob = False,
    as_json: AsJson = False,
) -> int:
    """Draw from one model; with -o the result is published, labelled and signed."""
    from wenfang.config import nested
    from wenfang.engine.drawing import DrawRequest, draw
    from wenfang.engine.generating import Generated

    if job:
        asked = {
            "model": jobs.whole(model),
            "prompt": prompt,
            "seeds": tuple(range(seed, seed + count)),
            "settings": nested(settings or ()),
            "output": str(output.resolve()) if output else "",
            "private": private,
        }
        return jobs.queue("generate", asked, as_json)
    streamed = count == 1 and not as_json and sys.stdout.isatty()
    on_text = partial(print, end="", flush=True) if streamed else None
    request = DrawRequest(
        model=model,
        prompt=prompt,
        seeds=tuple(range(seed, seed + count)),
        settings=nested(settings or ()),
        output=output,
        private=private,
    )
    made = draw(request, on_text)
    _tell_reading(made[0].asset)
    files = [str(one.path) for one in made if one.path]
    if as_json:
        records = [
            {**one.asset.record(), "seed": one.seed, "manifest": one.asset.manifest.id}
            for one in made
        ]
        show.as_json({"label": "AI生成 · AI GENERATED", "generated": records, "files": files})
        return 0
    texts = [one.asset.text for one in made if isinstance(one.asset, Generated)]
    if texts:
        print("" if streamed else "\n\n".join(texts), end="\n\n")
    print("\n".join(files) or "AI生成 · AI GENERATED")
    return 0


def _tell_reading(made: Asset) -> None:
    """A prompt that was not read whole, or as it is said, is told of."""
    facts: Any = made.manifest.facts
    if read := facts.get("prompt_read"):
        told = t("the model read the last {last} of the prompt's {tokens} tokens", **read)
        print(f"wenfang: {told}", file=sys.stderr)
    if (heard := facts.get("heard")) and heard["word"] != facts["said"].partition(" ")[0]:
        told = t("{by} hears {word} in it; another --seed may say it better", **heard)
        print(f"wenfang: {told}", file=sys.stderr)
    if letters := facts.get("unread"):
        told = t("this voice reads Chinese and English; it leaves out {letters}", letters=letters)
        print(f"wenfang: {told}", file=sys.stderr)
    if taken := facts.get("not_understood"):
        told = t("these words name no mood and no key that is known; it is composed as for {mood}",
                 **taken)  # fmt: skip
        print(f"wenfang: {told}", file=sys.stderr)
    if read_as := facts.get("read_as"):
        told = t(
            "{model} did not learn by these words; the nearest that it knows are drawn: {words} "
            "(--set paint.literal=true draws them as they are)",
            model=facts["made_with"],
            words=read_as,
        )
        print(f"wenfang: {told}", file=sys.stderr)


def edit(
    files: Annotated[list[Path], typer.Argument(help=t("Films, or sounds; several are joined."))],
    output: Annotated[
        Path, typer.Option("-o", "--output", help=t("The new file, or a folder for its parts."))
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help=t("What is done, e.g. shape=9:16.")),
    ] = None,
    made_with: Annotated[
        str, typer.Option(help=t("The AI that made them, where they carry no mark of it."))
    ] = "",
    as_json: AsJson = False,
) -> int:
    """Cut, join, clean, caption and reshape films and sounds; AI content stays marked."""
    from wenfang.config import override
    from wenfang.engine.editing import EditRequest, EditSettings
    from wenfang.engine.editing import edit as edit_files

    request = EditRequest(
        files=tuple(files),
        output=output,
        settings=override(EditSettings(), settings or ()),
        made_with=made_with,
    )
    with Bar(quiet=as_json) as bar:
        done = edit_files(request, lambda count, of: bar.update(t("frames"), count, of))
    if as_json:
        show.as_json({"files": [one.record() for one in done]})
        return 0
    for one in done:
        mark = t("sealed") if one.sealed else t("no label: nothing said that AI made it")
        print(f"{one.path}  {one.seconds:.2f} s  {mark}")
        for note in one.notes:
            print(f"  {note}")
    return 0


def scenarios(
    action: Annotated[str, typer.Argument(help=t("show, or nothing for the list."))] = "",
    name: Annotated[str, typer.Argument(help=t("The scenario."))] = "",
    example: Annotated[bool, typer.Option("--example", help=t("Print a brief to start."))] = False,
    as_json: AsJson = False,
) -> int:
    """List what can be made; `scenarios show NAME` prints a brief's schema or an example."""
    from wenfang.errors import UsageError
    from wenfang.scenarios import SCENARIOS, find_scenario

    if not action:
        if as_json:
            show.as_json({one.name: one.summary for one in SCENARIOS.values()})
        else:
            show.table([(one.name, t(one.summary)) for one in SCENARIOS.values()])
        return 0
    if action != "show" or not name:
        raise UsageError("write wenfang scenarios, or wenfang scenarios show NAME")
    scenario = find_scenario(name)
    print(
        json.dumps(scenario.example if example else scenario.schema(), ensure_ascii=False, indent=2)
    )
    return 0


def models(
    action: Annotated[str, typer.Argument(help=t("show, or nothing for the list."))] = "",
    name: Annotated[str, typer.Argument(help=t("The model."))] = "",
    as_json: AsJson = False,
) -> int:
    """List the models at hand; `models show NAME` prints a model's card."""
    from wenfang.backends.shelf import find_bundle, list_bundles
    from wenfang.checkpoint import CARD, MANIFEST
    from wenfang.errors import UsageError

    if action == "show" and name:
        folder = find_bundle(name)
        if as_json:
            show.as_json(json.loads((folder / MANIFEST).read_text("utf-8")))
        else:
            print((folder / CARD).read_text("utf-8"))
        return 0
    if action:
        raise UsageError("write wenfang models, or wenfang models show NAME")
    found = list_bundles()
    if as_json:
        show.as_json(found)
        return 0
    show.table(
        [
            (
                str(one["name"]),
                f"{(one['parameters'] or 0) / 1e6:.1f} M",
                show.size(one["bytes"]),
                str(one["licence"]),
                t(str(one["summary"])),
            )
            for one in found
        ],
        (t("name"), t("parameters"), t("size"), t("licence"), t("what it does")),
    )
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "create": create,
    "scenarios": scenarios,
    "generate": generate,
    "edit": edit,
    "models": models,
}
