"""Write docs/commands.md and docs/schemas/ from the program itself.

python tools/reference.py            write them
python tools/reference.py --check    exit 1 if they are not what would be written
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"


def command_pages() -> Iterator[str]:
    """The command tree as Markdown, one section a command."""
    import typer

    from wenfang.cli.app import app

    yield "# Commands\n"
    yield "Written by `make docs` from the program itself. Every command knows `--help`.\n"
    root = typer.main.get_command(app)
    yield from _command(root, ("wenfang",))


def _command(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    parts = getattr(command, "commands", {})
    if len(path) > 1:
        yield f"{'#' * min(len(path), 4)} {' '.join(path)}\n"
        yield f"{_plain(command.help)}\n"
    if not parts or getattr(command, "invoke_without_command", False):
        yield from _usage(command, path)
    for name, part in parts.items():
        if not part.hidden:
            yield from _command(part, (*path, name))


def _usage(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    options = [one for one in options if "--help" not in one.opts]
    usage = [*path, *(_metavar(one) for one in arguments)]
    yield "```text\n" + " ".join([*usage, *(["[OPTIONS]"] if options else [])]) + "\n```\n"
    rows = [(_metavar(one), _plain(getattr(one, "help", ""))) for one in arguments]
    rows += [(_option(one), _plain(one.help)) for one in options]
    if rows:
        yield "| | |\n|---|---|\n" + "".join(f"| `{a}` | {b} |\n" for a, b in rows)


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name}…" if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    longest = max(option.opts, key=len).strip("-")
    return f"{names} {option.metavar or longest.upper()}"


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def schemas() -> dict[str, tuple[str, type, dict[str, Any]]]:
    """File name -> what it describes, the dataclass, its JSON Schema."""
    from wenfang.checks import Policy
    from wenfang.config import json_schema
    from wenfang.data.request import PrepareRequest
    from wenfang.recipes import Recipe
    from wenfang.scenarios import SCENARIOS
    from wenfang.seal import Answer, LabelSettings

    found: dict[str, tuple[str, type, dict[str, Any]]] = {}
    for name, scenario in SCENARIOS.items():
        title = f"The brief of scenario `{name}`"
        found[f"brief-{name}.json"] = (title, scenario.brief, scenario.schema())
    plain: dict[str, tuple[str, type]] = {
        "recipe.json": ("A recipe: what `wenfang train --set` reaches", Recipe),
        "prepare.json": ("What `wenfang prepare --set` reaches", PrepareRequest),
        "label.json": ("`label.json` in `WENFANG_HOME`: how files are labelled", LabelSettings),
        "policy.json": ("A policy file: what each check means for each use", Policy),
        "verify.json": ("What `wenfang verify --json` prints", Answer),
    }
    for name, (title, kind) in plain.items():
        found[name] = (title, kind, json_schema(kind))
    return found


def schema_page() -> Iterator[str]:
    """Every schema as a table of its fields."""
    yield "# JSON schemas\n"
    yield "Written by `make docs` from the program itself. Unknown fields are refused.\n"
    for name, (title, kind, _) in schemas().items():
        yield f"## {title}\n"
        yield f"[{name}](schemas/{name}) (JSON Schema 2020-12)\n"
        head = "| field | type | default | |\n|---|---|---|---|"
        yield "\n".join([head, *_rows(kind, "", {})]) + "\n"


def _rows(kind: Any, prefix: str, given: dict[str, Any]) -> Iterator[str]:
    """Table rows of a dataclass; `given` holds the defaults that its owner gives it."""
    from wenfang.config import field_types, json_schema, to_dict

    legend = _legend(kind.__doc__ or "")
    properties = json_schema(kind)["properties"]
    for field in dataclasses.fields(kind):
        default: Any = dataclasses.MISSING
        if field.default is not dataclasses.MISSING:
            default = to_dict(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            default = to_dict(field.default_factory())
        default = given.get(field.name, default)
        type_ = field_types(kind)[field.name]
        if dataclasses.is_dataclass(type_):
            inner = default if isinstance(default, dict) else {}
            yield from _rows(type_, f"{prefix}{field.name}.", inner)
            continue
        shown = "required" if default is dataclasses.MISSING else _value(default)
        about = field.metadata.get("doc", legend.get(field.name, ""))
        kinds = _type(properties[field.name])
        yield f"| `{prefix}{field.name}` | {kinds} | {shown} | {_plain(about)} |"


def _legend(docstring: str) -> dict[str, str]:
    """Field -> text of a docstring's lines `name  text` and what is indented below them."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.splitlines()[1:]:
        entry = re.match(r"    (\w+(?:, \w+)*) {2,}(\S.*)", line)
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        elif re.match(r" {8,}\S", line):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            names = []
    return found


def _value(default: object) -> str:
    text = json.dumps(default, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 40 else "…"


def _type(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        each = schema.get("items") or (schema.get("prefixItems") or [{}])[0]
        return f"list of {_type(each)}" if each else "list"
    if "properties" in schema:
        profile = schema["properties"].get("profile", {}).get("default")
        return f"rules `{profile}`" if profile else "object"
    return str(schema.get("type", "any"))


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    content = {
        DOCS / "commands.md": "\n".join(command_pages()),
        DOCS / "schemas.md": "\n".join(schema_page()),
    }
    for name, (_, _, schema) in schemas().items():
        content[DOCS / "schemas" / name] = json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
    return content


def main(arguments: list[str]) -> int:
    """Write or compare; the exit code."""
    os.environ["WENFANG_LANG"] = "en"
    stale = []
    for path, text in pages().items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(path.relative_to(DOCS.parent).as_posix())
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    if "--check" in arguments and stale:
        sys.stderr.write(f"not what the program says: {', '.join(stale)}; run make docs\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
