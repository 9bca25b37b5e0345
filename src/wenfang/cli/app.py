"""The table of commands. Each imports what it needs when it runs, so that --help is instant."""

from __future__ import annotations

from collections.abc import Callable

import typer

from wenfang.cli import embed, exchange, jobs, keep, learn, make, people, prove, serve
from wenfang.cli.help import Command, Group
from wenfang.language import t
from wenfang.version import __version__

app = typer.Typer(
    cls=Group,
    help=t("The scholar's studio for AI-generated content: train, generate, check, label, prove."),
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"wenfang {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help=t("Show the version.")
    ),
) -> None:
    pass


GROUPS = {
    "store": (
        t("What is kept on this machine: measure, collect, export, import, delete, check."),
        keep.STORE_COMMANDS,
    ),
    "jobs": (t("Work that waits in a queue, and the workers that do it."), jobs.JOB_COMMANDS),
    "people": (t("Who may ask the server, and their roles."), people.PEOPLE_COMMANDS),
    "keys": (t("API keys, with which programs ask the server."), people.KEY_COMMANDS),
    "projects": (t("Projects, which keep assets apart."), people.PROJECT_COMMANDS),
    "identity": (t("The key that signs what is published here."), keep.IDENTITY_COMMANDS),
}


def _add(to: typer.Typer, commands: dict[str, Callable[..., int]]) -> None:
    """Register functions; a function's docstring is its help."""
    for name, function in commands.items():
        text = t(function.__doc__ or "")
        to.command(name, cls=Command, help=text, short_help=text)(function)


_add(
    app,
    {
        **make.COMMANDS,
        **embed.COMMANDS,
        **prove.COMMANDS,
        **learn.COMMANDS,
        **exchange.COMMANDS,
        **keep.COMMANDS,
        **serve.COMMANDS,
    },
)
for _name, (_help, _commands) in GROUPS.items():
    _group = typer.Typer(cls=Group, help=_help, no_args_is_help=True, rich_markup_mode=None)
    _add(_group, _commands)
    app.add_typer(_group, name=_name)
