"""Help pages and usage errors in the reader's language.

Typer says these words itself, in English. A page is laid out anew from what its commands know;
a usage error is recognised by its English template and said again.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

from wenfang.cli.show import width
from wenfang.errors import UsageError
from wenfang.language import t

# What typer and, of values, pydantic say; the narrower template stands before the wider.
SAID = (
    "Missing argument {name}",
    "Missing option {name}",
    "Missing command",
    "No such command {name}. Did you mean {close}?",
    "No such command {name}",
    "No such option: {name} (Possible options: {close})",
    "No such option: {name}",
    "Option {name} requires an argument",
    "Option {name} requires {count} arguments",
    "Option {name} does not take a value",
    "Argument {name} takes {count} values",
    "Got unexpected extra argument(s) ({names})",
    "Invalid value for {name}: {reason}",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    "Input should be greater than or equal to {least}",
    "Input should be less than or equal to {most}",
    "Show this message and exit.",
    "[OPTIONS]",
    "COMMAND [ARGS]...",
)
NAMES_COLUMNS_MAX = 30
INDENT = "  "

# Chinese breaks between any two characters, but no line begins with a stop or ends in an opening.
_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"
_STOPS, _OPENINGS = "，。；：、！？）」》", "（「《"
_PIECES = re.compile(rf"\s+|[{_OPENINGS}]*(?:[^\s{_WIDE}]+|[{_WIDE}])[{_STOPS}]*")


def restated(message: str) -> str:
    """What typer says, in the reader's language; what is not in SAID stays as it is."""
    for template in SAID:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(template))
        if found := re.fullmatch(pattern, message, re.DOTALL):
            values = {name: restated(value) for name, value in found.groupdict().items()}
            return t(template, **values)
    return message


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most `columns` columns; a Chinese character takes two."""
    if text.isascii():
        return textwrap.wrap(text, columns)
    lines = [""]
    for piece in _PIECES.findall(" ".join(text.splitlines())):
        if width(lines[-1] + piece.rstrip()) > columns:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines]


def page(command: Any, context: Any) -> str:
    """The help page of a command or a group of commands."""
    columns = context.make_formatter().width
    records: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            records[parameter.param_type_name].append((record[0], _described(record[1])))
    commands = [
        (name, one.short_help or one.help or "")
        for name, one in getattr(command, "commands", {}).items()
        if not one.hidden
    ]
    about = [INDENT + line for line in wrapped(command.help or "", columns - len(INDENT))]
    blocks = [
        _usage(command, context, columns),
        about,
        _section(t("Arguments:"), records["argument"], columns),
        _section(t("Options:"), records["option"], columns),
        _section(t("Commands:"), commands, columns),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _usage(command: Any, context: Any, columns: int) -> list[str]:
    pieces = " ".join(map(restated, command.collect_usage_pieces(context)))
    head = t("Usage: {command}", command=context.command_path) + " "
    lines = wrapped(pieces, columns - width(head))
    return [head + lines[0], *(" " * width(head) + line for line in lines[1:])]


def _section(title: str, rows: list[tuple[str, str]], columns: int) -> list[str]:
    return [title, *_columns(rows, columns)] if rows else []


def _columns(rows: list[tuple[str, str]], columns: int) -> Iterator[str]:
    """Names at the left, what they mean at the right; a long name has a line of its own."""
    left = min(max(width(name) for name, _ in rows), NAMES_COLUMNS_MAX) + 2
    indent = INDENT + " " * left
    for name, text in rows:
        lines = wrapped(text, columns - len(indent)) or [""]
        if width(name) > left - 2:
            yield INDENT + name
            yield indent + lines[0]
        else:
            yield (INDENT + name + " " * (left - width(name)) + lines[0]).rstrip()
        yield from (indent + line for line in lines[1:])


def _described(text: str) -> str:
    """A parameter's help; typer adds its facts in brackets: [required], [default: 1; 1<=x<=9]."""
    about, bracket, facts = text.rpartition("  [")
    if not bracket or not facts.endswith("]"):
        return restated(text)
    return f"{about}{bracket}{'; '.join(_facts(facts[:-1].split('; ')))}]"


def _facts(facts: Iterable[str]) -> Iterator[str]:
    for fact in facts:
        name, colon, value = fact.partition(": ")
        if colon and name == "default":
            yield t("default: {default}", default=value)
        elif fact == "required":
            yield t("required")
        else:
            yield fact


class Command(TyperCommand):
    """A command whose help page is ours."""

    def get_help(self, ctx: Any) -> str:
        """The help page."""
        return page(self, ctx)


class Group(TyperGroup):
    """A group of commands whose help page is ours; named alone, it shows that page and fails."""

    def get_help(self, ctx: Any) -> str:
        """The help page."""
        return page(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the group's own options off `args`; without any argument, help is the answer."""
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            print(self.get_help(ctx), file=sys.stderr)
            ctx.exit(UsageError.exit_code)
        return super().parse_args(ctx, args)
