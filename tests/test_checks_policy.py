"""Laws of the policy: what is done when a check fails, and how a policy file is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wenfang import config
from wenfang.checks import (
    ACTIONS,
    CHECKS,
    POLICY,
    Action,
    Material,
    Policy,
    Report,
    Rule,
    judge,
    policy_from,
    read_policy,
)
from wenfang.errors import ConfigError, NotFoundError

PHONE = Material(text="春江花月夜\n电话13812345678")


def policy(**uses: Any) -> Policy:
    return policy_from({"uses": uses})


def test_every_check_has_a_built_in_action() -> None:
    assert set(CHECKS) <= set(ACTIONS)


@pytest.mark.parametrize(
    ("action", "verdict", "decision"),
    [
        ("block", "block", "block"),
        ("repair", "repair", "repair"),
        ("warn", "warn", "pass"),
        ("off", "note", "pass"),
    ],
)
def test_a_failing_check_is_what_the_policy_says(
    action: Action, verdict: str, decision: str
) -> None:
    asked = policy(default={"checks": {"personal": {"action": action}}})
    report = judge(PHONE, ["personal"], asked)
    assert (report.checks[0].verdict, report.verdict.decision) == (verdict, decision)
    assert report.checks[0].evidence
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_pass_and_a_note_stay_what_they_are_under_any_policy() -> None:
    asked = policy(default={"checks": {name: {"action": "block"} for name in ACTIONS}})
    report = judge(Material(text="春江花月夜"), CHECKS, asked)
    assert {check.verdict for check in report.checks} == {"pass", "note"}
    assert report.verdict


def test_a_check_that_is_off_is_in_the_report_and_says_so() -> None:
    report = judge(PHONE, ["personal"], policy(default={"checks": {"personal": {"action": "off"}}}))
    assert report.checks[0].value is None
    assert "switched this check off" in report.sentences()[0]


def test_a_use_takes_the_rest_from_the_default_and_that_from_the_built_in() -> None:
    asked = policy(
        default={"checks": {"words": {"action": "block"}, "personal": {"threshold": 2}},
                 "listed": ["blorp"]},
        marketing={"checks": {"personal": {"action": "warn"}}, "listed": ["zorg"]},
    )  # fmt: skip
    use = asked.use("marketing")
    assert use.checks["words"].action == "block"
    assert use.checks["personal"] == Rule(action="warn", threshold=2)
    assert use.checks["rights"].action == "block"
    assert use.listed == ("blorp", "zorg")
    assert judge(Material(text="a zorg"), ["words"], asked, "marketing").verdict.decision == "block"
    assert judge(Material(text="a zorg"), ["words"], asked).verdict


def test_a_threshold_of_the_policy_is_the_one_that_is_recorded() -> None:
    report = judge(PHONE, ["personal"], policy(default={"checks": {"personal": {"threshold": 1}}}))
    assert (report.checks[0].threshold, report.checks[0].verdict) == (1.0, "pass")


def test_words_of_the_policy_add_to_those_of_the_material() -> None:
    asked = policy(default={"allowed": ["138-1234-5678"]})
    assert judge(PHONE, ["personal"], asked).verdict


def test_the_built_in_policy_judges_as_the_checks_do() -> None:
    assert judge(PHONE, ["personal"]).checks[0] == CHECKS["personal"](PHONE)
    assert POLICY.use().thresholds == {}


def test_a_use_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="did you mean marketing"):
        judge(PHONE, ["personal"], policy(marketing={}), "marketting")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"use": {}}, "unknown field use; did you mean uses"),
        ({"uses": {"x": {"cheks": {}}}}, r"uses\.x: unknown field cheks; did you mean checks"),
        ({"uses": {"x": {"checks": {"word": {}}}}}, "no check word; did you mean words"),
        (
            {"uses": {"x": {"checks": {"words": {"action": "forbid"}}}}},
            r"uses\.x\.checks\.words\.action: .forbid. is not one of block, repair, warn, off",
        ),
        ({"uses": {"x": {"checks": {"words": {"treshold": 1}}}}}, "did you mean threshold"),
        ({"uses": {"x": {"checks": {"words": {"threshold": "1"}}}}}, "a number"),
        ({"uses": {"x": {"checks": {"words": "block"}}}}, "expected an object"),
        ({"uses": {"x": {"listed": ["，"]}}}, r"uses\.x: a word without a letter"),
        ([], "expected an object"),
    ],
)
def test_what_is_wrong_in_a_policy_is_named(data: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        policy_from(data)


def test_a_policy_file_is_read_with_folders_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('\ufeff{"uses": {"default": {"folders": ["ours"]}}}', "utf-8")
    assert read_policy(path).use().folders == (str(tmp_path / "ours"),)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b'{"uses": {', r"not JSON \(line 1, column"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"uses": {}, "uses": {}}', "every name once"),
        (b"[" * 100_000, "not"),
        (b" " * (1 << 20) + b"{}", "megabyte"),
    ],
)
def test_a_file_that_is_no_policy_is_one_clear_error(
    tmp_path: Path, payload: bytes, said: str
) -> None:
    path = tmp_path / "policy.json"
    path.write_bytes(payload)
    with pytest.raises(ConfigError, match=said):
        read_policy(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_policy(tmp_path / "nothing.json")


def test_a_policy_has_a_schema_and_comes_back_equal() -> None:
    asked = policy(x={"checks": {"words": {"action": "off"}}})
    assert policy_from(config.to_dict(asked)) == asked
    assert "uses" in config.json_schema(Policy)["properties"]
