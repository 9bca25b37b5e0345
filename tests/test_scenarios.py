"""What can be made: the published schema and the program accept and refuse the same briefs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conftest import Call
from wenfang.errors import BriefError, NotFoundError, WenfangError
from wenfang.scenarios import SCENARIOS, find_scenario, read_brief

EXAMPLE = Path(__file__).resolve().parents[1] / "examples/spring-river.json"
LEAST = {"scenario": "verse_card", "subject": "春江"}
# What the schema can say; lengths and characters are the program's alone.
CASES: tuple[tuple[dict[str, Any], bool], ...] = (
    (LEAST, True),
    ({**LEAST, "seed": 7}, True),
    ({**LEAST, "style": {"paper": "dusk", "stops": "full"}}, True),
    ({**LEAST, "constraints": {"avoid": "愁"}}, True),
    ({**LEAST, "sampling": {"temperature": 1}}, True),
    ({**LEAST, "seed": "7"}, False),
    ({**LEAST, "seed": 7.5}, False),
    ({**LEAST, "seed": True}, False),
    ({**LEAST, "seed": None}, False),
    ({**LEAST, "form": "sonnet"}, False),
    ({**LEAST, "language": "zh"}, False),
    ({**LEAST, "style": "plain"}, False),
    ({**LEAST, "style": {"papper": "plain"}}, False),
    ({**LEAST, "constraints": {"rhyme_first": 1}}, False),
    ({**LEAST, "sampling": {"top_p": "0.9"}}, False),
    ({**LEAST, "colour": "red"}, False),
    ({"scenario": "verse_card"}, False),
)


def schema(call: Call) -> dict[str, Any]:
    shown = call("scenarios", "show", "verse_card")
    assert shown.code == 0
    document: dict[str, Any] = shown.json
    return document


def test_the_schema_is_valid_and_accepts_the_examples(call: Call) -> None:
    document = schema(call)
    jsonschema.Draft202012Validator.check_schema(document)
    example = call("scenarios", "show", "verse_card", "--example").json
    for content in (example, json.loads(EXAMPLE.read_text("utf-8"))):
        jsonschema.validate(content, document)
        read_brief(content, "example")


def test_schema_and_program_accept_and_refuse_the_same(call: Call) -> None:
    validator = jsonschema.Draft202012Validator(schema(call))
    for content, good in CASES:
        assert validator.is_valid(content) is good, content
        assert accepts(content) is good, content


def accepts(content: object) -> bool:
    try:
        read_brief(content, "brief")
    except BriefError:
        return False
    return True


@pytest.mark.parametrize("content", [None, [], "春", 7])
def test_what_is_no_object_is_no_brief(content: object) -> None:
    with pytest.raises(BriefError, match="brief:3"):
        read_brief(content, "brief:3")


def test_an_unknown_scenario_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="verse_card"):
        find_scenario("verse-card")


def test_every_scenario_has_an_example_that_it_accepts() -> None:
    for name, scenario in SCENARIOS.items():
        assert scenario.example["scenario"] == name
        read_brief(scenario.example, name)
        assert scenario.schema()["additionalProperties"] is False


@pytest.mark.parametrize(
    ("field", "value"),
    [("subject", "春" * 21), ("signature", "名" * 13), ("seal", "五個字的印"), ("date", "\x07")],
)
def test_what_no_card_can_hold_is_refused(field: str, value: str) -> None:
    with pytest.raises(WenfangError, match=field):
        read_brief({**LEAST, field: value}, "brief")
