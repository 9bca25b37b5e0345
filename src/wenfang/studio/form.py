"""A form out of a brief's JSON Schema, and a brief out of a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from wenfang.studio.naming import choice_name, field_help, field_name

# Filled in by the program, or of no use to people who write no code.
HIDDEN = ("scenario", "read", "document", "writer", "engine", "variant", "maximum_tokens")
LONG = ("text",)
# What most people set; everything else waits in a fold.
FIRST = ("subject", "brand", "slogan", "text", "facts", "form", "language", "into", "seconds",
         "mood", "paper", "palette", "seed", "signature", "voice", "call")  # fmt: skip
Kind = Literal["text", "long", "choice", "choices", "whole", "number", "flag", "maybe", "pairs"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """One place of a brief.

    path   its names from the outermost inwards
    first  it stands outside of the fold
    """

    path: tuple[str, ...]
    kind: Kind
    default: Any
    choices: tuple[Any, ...] = ()
    help: str = ""
    required: bool = False

    @property
    def first(self) -> bool:
        """Whether most people want it."""
        return self.required or any(name in FIRST for name in self.path)


def fields_of(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[Field]:
    """Every field that a person may fill, in the schema's order."""
    found: list[Field] = []
    required = schema.get("required", ())
    for name, content in schema.get("properties", {}).items():
        if name in HIDDEN:
            continue
        place = (*path, name)
        if content.get("type") == "object" and "properties" in content:
            found += fields_of(content, place)
            continue
        kind, choices = _kind(name, content)
        found.append(
            Field(
                path=place,
                kind=kind,
                default=content.get("default"),
                choices=choices,
                help=str(content.get("description", "")),
                required=name in required,
            )
        )
    return found


def _kind(name: str, content: Mapping[str, Any]) -> tuple[Kind, tuple[Any, ...]]:
    if "enum" in content:
        return "choice", tuple(content["enum"])
    options = [one.get("type") for one in content.get("anyOf", ())]
    if "boolean" in options:
        return "maybe", ()
    if "object" in options:
        return "pairs", ()
    if content.get("type") == "array":
        return "choices", tuple(content["items"].get("enum", ()))
    kinds: dict[str, Kind] = {"integer": "whole", "number": "number", "boolean": "flag"}
    return kinds.get(str(content.get("type")), "long" if name in LONG else "text"), ()


def component(field: Field, example: Any) -> Any:
    """The control of one field."""
    value = example if example is not None else field.default
    named: dict[str, Any] = {
        "label": field_name(field.path),
        "info": field_help(field),
        "interactive": True,  # Gradio takes a field that has a value for one to be read
    }
    if field.kind == "choice":
        choices = [(choice_name(one), one) for one in field.choices]
        return gr.Dropdown(choices, value=value, **named)
    if field.kind == "choices":
        choices = [(choice_name(one), one) for one in field.choices]
        return gr.CheckboxGroup(choices, value=value or [], **named)
    if field.kind == "maybe":
        choices = [(choice_name(one), str(one)) for one in (None, True, False)]
        return gr.Dropdown(choices, value=str(value), **named)
    if field.kind == "flag":
        return gr.Checkbox(value=bool(value), **named)
    if field.kind in ("whole", "number"):
        precision = 0 if field.kind == "whole" else None
        return gr.Number(value=value, precision=precision, **named)
    if field.kind == "pairs":
        rows = [f"{k} = {v}" for k, v in (value or {}).items()] if isinstance(value, dict) else []
        return gr.Textbox(value="\n".join(rows), lines=3, **named)
    lines = 8 if field.kind == "long" else 1
    return gr.Textbox(value=str(value or ""), lines=lines, **named)


def at(content: Mapping[str, Any], path: Sequence[str]) -> Any:
    """What stands at a place of a brief, or None."""
    found: Any = content
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def brief_of(scenario: str, fields: Sequence[Field], values: Sequence[Any]) -> dict[str, Any]:
    """The brief that a form says; what is as it is by default is left out."""
    brief: dict[str, Any] = {"scenario": scenario}
    for field, value in zip(fields, values, strict=True):
        said = _said(field, value)
        if said is None or (said == field.default and not field.required):
            continue
        place = brief
        for name in field.path[:-1]:
            place = place.setdefault(name, {})
        place[field.path[-1]] = said
    return brief


def _said(field: Field, value: Any) -> Any:
    if field.kind == "maybe":
        return {"True": True, "False": False}.get(str(value))
    if field.kind == "pairs":
        rows = [line.partition("=") for line in str(value or "").splitlines() if "=" in line]
        return {left.strip(): right.strip() for left, _, right in rows} or None
    if field.kind == "whole" and value is not None:
        return int(value)
    if isinstance(value, str):
        return value if field.kind == "long" else value.strip()
    return value
