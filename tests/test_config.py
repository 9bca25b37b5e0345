"""Settings are typed, and a mistake names the field and what would be right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenfang.config import from_dict, json_schema, nearest, override, parse, to_dict
from wenfang.errors import BundleError, ConfigError
from wenfang.models import gpt
from wenfang.optim import OptimConfig


@dataclass(frozen=True, kw_only=True)
class Inner:
    size_px: int = 3
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    title: str = field(metadata={"doc": "What it is called."})
    rate: float = 0.5
    on: bool = False
    kind: Literal["a", "b", "7"] = "a"
    limit: int | None = None
    name_or_number: int | str = 0
    pair: tuple[float, float] = (0.1, 0.2)
    inner: Inner = Inner()
    extra: Mapping[str, Inner] = field(default_factory=dict)
    anything: object = None


FULL = Outer(
    title="文",
    rate=1.0,
    on=True,
    kind="b",
    limit=4,
    name_or_number="x",
    pair=(1.0, 2.0),
    inner=Inner(size_px=9, names=("a", "b")),
    extra={"one": Inner()},
    anything=[1, {"b": None}],
)


@pytest.mark.parametrize("value", [Outer(title="x"), FULL])
def test_a_value_survives_the_way_to_json_and_back(value: Outer) -> None:
    assert from_dict(Outer, json.loads(json.dumps(to_dict(value)))) == value


@given(
    st.builds(
        Outer,
        title=st.text(),
        rate=st.floats(allow_nan=False, allow_infinity=False),
        limit=st.none() | st.integers(),
        name_or_number=st.integers() | st.text(),
        inner=st.builds(Inner, names=st.lists(st.text()).map(tuple)),
    )
)
def test_every_value_survives_the_way_to_json_and_back(value: Outer) -> None:
    assert from_dict(Outer, json.loads(json.dumps(to_dict(value)))) == value


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            {"title": "x", "inner": {"size_pxs": 1}},
            "brief.inner: unknown field size_pxs; did you mean size_px?",
        ),
        ({"title": "x", "zzzzzz": 1}, "unknown field zzzzzz; the fields are title, rate"),
        ({}, "brief: the field title is missing"),
        ({"title": 3}, "brief.title: expected text, got 3"),
        ({"title": "x", "on": 1}, "brief.on: expected true or false, got 1"),
        ({"title": "x", "limit": True}, "brief.limit: expected a whole number, got true"),
        ({"title": "x", "limit": 1.5}, "brief.limit: expected a whole number, got 1.5"),
        ({"title": "x", "rate": "fast"}, 'brief.rate: expected a number, got "fast"'),
        ({"title": "x", "rate": True}, "brief.rate: expected a number, got true"),
        ({"title": "x", "rate": math.nan}, "brief.rate: expected a finite number, got NaN"),
        ({"title": "x", "rate": 10**400}, "brief.rate: expected a finite number"),
        ({"title": "x", "kind": "c"}, 'brief.kind: "c" is not one of a, b'),
        ({"title": "x", "pair": [1]}, "brief.pair: expected a list of 2"),
        ({"title": "x", "pair": [1, "b"]}, r"brief.pair\[1\]: expected a number"),
        ({"title": "x", "inner": {"names": [1]}}, r"brief.inner.names\[0\]: expected text"),
        (
            {"title": "x", "extra": {"k": {"size_px": "9"}}},
            "brief.extra.k.size_px: expected a whole",
        ),
        ({"title": "x", "inner": 4}, "brief.inner: expected an object with fields, got 4"),
        ([1], r"brief: expected an object with fields, got \[1\]"),
    ],
)
def test_a_mistake_names_its_place_and_what_was_expected(data: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        from_dict(Outer, data, where="brief")


def test_the_error_class_is_the_callers() -> None:
    with pytest.raises(BundleError, match="unknown field"):
        from_dict(Inner, {"sizes": 1}, error=BundleError)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("rate=3e-4", Outer(title="x", rate=3e-4)),
        ("rate=2", Outer(title="x", rate=2.0)),
        ("on=true", Outer(title="x", on=True)),
        ("limit=null", Outer(title="x")),
        ("inner.size_px=12", Outer(title="x", inner=Inner(size_px=12))),
        ('inner.names=["a"]', Outer(title="x", inner=Inner(names=("a",)))),
        ("title=a=b", Outer(title="a=b")),
        ("title=2024", Outer(title="2024")),
        ("title=null", Outer(title="null")),
        ("kind=7", Outer(title="x", kind="7")),
        (" inner.size_px = 12 ", Outer(title="x", inner=Inner(size_px=12))),
    ],
)
def test_a_setting_reaches_any_field_with_its_type(setting: str, expected: Outer) -> None:
    assert override(Outer(title="x"), [setting]) == expected


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("inner.size=1", "inner: unknown field size; did you mean size_px?"),
        ("ratee=1", "--set: unknown field ratee; did you mean rate?"),
        ("rate.x=1", "rate.x has no fields to set"),
        ("rate", "--set rate: write it as key=value"),
        ("limit=many", 'limit: expected a whole number, got "many"'),
        ("rate=Infinity", "rate: expected a finite number"),
    ],
)
def test_a_wrong_setting_is_refused(setting: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        override(Outer(title="x"), [setting])


def test_a_refused_setting_changes_nothing_and_a_value_is_never_changed() -> None:
    before = Outer(title="x")
    override(before, ["rate=9", "inner.size_px=1"])
    assert before == Outer(title="x")


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, "[1", ""])
def test_what_json_cannot_hold_is_text(text: str) -> None:
    assert parse(text) == text


def test_the_nearest_name_is_close_or_absent() -> None:
    assert nearest("learning_rat", ["rate", "learning_rate"]) == "learning_rate"
    assert nearest("zzz", ["rate"]) == ""


def test_the_schema_says_what_from_dict_takes() -> None:
    schema = json_schema(Outer)
    assert schema["required"] == ["title"]
    assert schema["additionalProperties"] is False
    properties: dict[str, Any] = schema["properties"]
    assert properties["title"] == {"type": "string", "description": "What it is called."}
    assert properties["kind"] == {"enum": ["a", "b", "7"], "default": "a"}
    assert properties["limit"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert properties["inner"]["properties"]["names"]["items"] == {"type": "string"}
    assert properties["pair"]["prefixItems"] == [{"type": "number"}] * 2
    assert (properties["pair"]["minItems"], properties["pair"]["maxItems"]) == (2, 2)
    assert properties["anything"] == {"default": None}
    json.dumps(schema)


@pytest.mark.parametrize("name", ["width", "heads", "kv_heads", "context"])
def test_a_model_without_any_width_is_refused(name: str) -> None:
    settings: dict[str, Any] = {name: 0}
    with pytest.raises(ConfigError, match=rf"model\.{name} is 0"):
        gpt.Config(**settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"width": 30, "heads": 4}, "model.width 30"),
        ({"heads": 4, "kv_heads": 3}, "model.kv_heads 3"),
    ],
)
def test_heads_that_do_not_divide_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        gpt.Config(**settings)


def test_a_decay_without_length_is_refused() -> None:
    with pytest.raises(ConfigError, match="decay_share is 0"):
        OptimConfig(decay_share=0)
