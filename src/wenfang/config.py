"""Frozen dataclasses to dictionaries and back, `--set key=value`, and JSON Schema.

Strict: an unknown field names the nearest valid one, a wrong type names what was expected.
Understood types: bool, int, float, str, None, Literal, X | Y, tuple[X, ...], tuple[X, Y],
dict[str, X], nested dataclasses, and `object` (any JSON value).
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from wenfang.errors import ConfigError, WenfangError
from wenfang.language import t

T = TypeVar("T")
ErrorClass = type[WenfangError]


@cache
def field_types(cls: Any) -> dict[str, Any]:
    """Resolved annotation of every field of a dataclass."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def nearest(name: str, names: Iterable[str]) -> str:
    """The member of `names` closest to `name`, for use in an error message; "" if none is close."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.4)
    return close[0] if close else ""


def to_dict(value: Any) -> Any:
    """A dataclass (or tuple, dict, scalar) as plain JSON values.

    A field whose metadata say `later` is left out where it holds its default: it came after
    records that are found again by their hash.
    """
    if is_dataclass(value) and not isinstance(value, type):
        told = [one for one in fields(value) if not _is_left_out(one, value)]
        return {field.name: to_dict(getattr(value, field.name)) for field in told}
    if isinstance(value, Mapping):
        return {str(key): to_dict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    return value


def _is_left_out(field: dataclasses.Field[Any], value: Any) -> bool:
    return bool(field.metadata.get("later")) and getattr(value, field.name) == field.default


def from_dict(cls: type[T], data: object, *, where: str = "", error: ErrorClass = ConfigError) -> T:
    """Build dataclass `cls` from JSON values; raises `error` that names the field at `where`."""
    if not isinstance(data, Mapping):
        raise error(
            "{where}: expected an object with fields, got {value}",
            where=where or cls.__name__,
            value=_short(data),
        )
    known = field_types(typing.cast(Any, cls))
    for name in data:
        if name not in known:
            _raise_unknown(name, known, where, error)
    for field in fields(cls):  # type: ignore[arg-type]
        required = field.default is MISSING and field.default_factory is MISSING
        if required and field.name not in data:
            raise error("{where}: the field {name} is missing", where=where, name=field.name)
    values = {
        name: convert(known[name], value, where=_join(where, name), error=error)
        for name, value in data.items()
    }
    return cls(**values)


def override(value: T, settings: Iterable[str], *, error: ErrorClass = ConfigError) -> T:
    """A copy of dataclass `value` with each `a.b=text` of `settings` put in, typed.

    All at once, so that values which must fit each other can be set in any order.
    """
    changed: Any = _replace(value, _tree(settings, str, error), "", error)
    return typing.cast(T, changed)


def _tree(
    settings: Iterable[str], read: Callable[[str], object], error: ErrorClass
) -> dict[str, Any]:
    """`a.b=text` settings as {"a": {"b": read(text)}}; of the same key the last counts."""
    content: dict[str, Any] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals:
            raise error("--set {setting}: write it as key=value", setting=setting)
        place = content
        *outer, last = path.strip().split(".")
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise error("{where} has no fields to set", where=path.strip())
        place[last] = read(text.strip())
    return content


def _replace(value: Any, tree: dict[str, Any], where: str, error: ErrorClass) -> Any:
    known = field_types(typing.cast(Any, type(value)))
    new: dict[str, Any] = {}
    for name, inner in tree.items():
        place = _join(where, name)
        if name not in known:
            _raise_unknown(name, known, where, error)
        if not isinstance(inner, dict):
            new[name] = _from_text(known[name], inner, place, error)
        elif is_dataclass(held := getattr(value, name)):
            new[name] = _replace(held, inner, place, error)
        else:
            raise error("{where} has no fields to set", where=_join(place, next(iter(inner))))
    return dataclasses.replace(value, **new)


def _from_text(kind: Any, text: str, where: str, error: ErrorClass) -> Any:
    """A setting's text as `kind`: JSON first, so a field of text may hold 2024 or null too."""
    try:
        return convert(kind, parse(text), where=where, error=error)
    except error as first:
        try:
            return convert(kind, text, where=where, error=error)
        except error:
            raise first from None


def nested(settings: Iterable[str], *, error: ErrorClass = ConfigError) -> dict[str, Any]:
    """`a.b=text` settings as the dictionary {"a": {"b": value}}."""
    return _tree(settings, parse, error)


def parse(text: str) -> object:
    """A command-line value: JSON where it is JSON, otherwise the text itself."""
    try:
        return typing.cast(object, json.loads(text))
    except (ValueError, RecursionError):  # not JSON, or a number or nesting beyond Python's limit
        return text


def convert(kind: Any, value: object, *, where: str, error: ErrorClass = ConfigError) -> Any:
    """`value` as type `kind`, or `error` naming `where`."""
    origin = get_origin(kind)
    if kind in (Any, object):
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(get_args(kind), value, where, error)
    if origin is Literal:
        return _convert_literal(get_args(kind), value, where, error)
    if origin is tuple:
        return _convert_tuple(get_args(kind), value, where, error)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            _raise_type(t("an object"), value, where, error)
        inner = get_args(kind)[1]
        return {
            key: convert(inner, item, where=_join(where, key), error=error)
            for key, item in value.items()
        }
    if is_dataclass(kind):
        if isinstance(value, typing.cast(type, kind)):
            return value
        return from_dict(typing.cast(type, kind), value, where=where, error=error)
    return _convert_scalar(kind, value, where, error)


def _convert_union(kinds: tuple[Any, ...], value: object, where: str, error: ErrorClass) -> Any:
    if value is None and type(None) in kinds:
        return None
    choices = [kind for kind in kinds if kind is not type(None)]
    if all(get_origin(kind) is Literal for kind in choices):  # told of as one
        allowed = tuple(one for kind in choices for one in get_args(kind))
        return _convert_literal(allowed, value, where, error)
    for kind in choices[:-1]:
        try:
            return convert(kind, value, where=where, error=error)
        except error:
            continue
    return convert(choices[-1], value, where=where, error=error)


def _convert_literal(
    allowed: tuple[Any, ...], value: object, where: str, error: ErrorClass
) -> object:
    for choice in allowed:
        if value == choice and type(value) is type(choice):
            return choice
    names = ", ".join(str(choice) for choice in allowed if choice != "")
    raise error(
        "{where}: {value} is not one of {names}", where=where, value=_short(value), names=names
    )


def _convert_tuple(
    kinds: tuple[Any, ...], value: object, where: str, error: ErrorClass
) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        _raise_type(t("a list"), value, where, error)
    items: list[object] = list(value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    if len(kinds) != len(items):
        _raise_type(t("a list of {count}", count=len(kinds)), value, where, error)
    return tuple(
        convert(kind, item, where=f"{where}[{index}]", error=error)
        for index, (kind, item) in enumerate(zip(kinds, items, strict=True))
    )


def _convert_scalar(kind: Any, value: object, where: str, error: ErrorClass) -> object:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        # JSON and canonical hashes know no NaN and no infinity.
        if not abs(value) <= sys.float_info.max:
            _raise_type(t("a finite number"), value, where, error)
        return float(value)
    if kind is int and isinstance(value, bool):
        _raise_type(t("a whole number"), value, where, error)
    if isinstance(value, kind):
        return value
    names = {
        int: t("a whole number"),
        float: t("a number"),
        str: t("text"),
        bool: t("true or false"),
    }
    _raise_type(names.get(kind, getattr(kind, "__name__", str(kind))), value, where, error)


def _raise_type(expected: str, value: object, where: str, error: ErrorClass) -> typing.NoReturn:
    raise error(
        "{where}: expected {expected}, got {value}",
        where=where,
        expected=expected,
        value=_short(value),
    )


def _raise_unknown(
    name: str, known: Iterable[str], where: str, error: ErrorClass
) -> typing.NoReturn:
    close = nearest(name, known)
    if close:
        raise error(
            "{where}: unknown field {name}; did you mean {close}?",
            where=where or "--set",
            name=name,
            close=close,
        )
    raise error(
        "{where}: unknown field {name}; the fields are {names}",
        where=where or "--set",
        name=name,
        names=", ".join(known),
    )


def _join(where: str, name: object) -> str:
    return f"{where}.{name}" if where else str(name)


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def json_schema(cls: type) -> dict[str, Any]:
    """JSON Schema (2020-12) of a dataclass; field metadata `doc` becomes its description."""
    known = field_types(cls)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in fields(cls):
        schema = _type_schema(known[field.name])
        if "doc" in field.metadata:
            schema["description"] = field.metadata["doc"]
        if field.default is not MISSING:
            schema["default"] = to_dict(field.default)
        elif field.default_factory is MISSING:
            required.append(field.name)
        properties[field.name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _type_schema(kind: Any) -> dict[str, Any]:
    scalars = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    origin, inner = get_origin(kind), get_args(kind)
    if kind in scalars:
        return {"type": scalars[kind]}
    if kind in (Any, object):
        return {}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type_schema(one) for one in inner]}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _type_schema(inner[0])}
    if origin is tuple:
        items = [_type_schema(one) for one in inner]
        count = len(items)
        return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
    if is_dataclass(kind):
        return json_schema(typing.cast(type, kind))
    return {"type": "object", "additionalProperties": _type_schema(inner[1])}
