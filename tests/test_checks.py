"""Laws of the checks and the gate."""

from __future__ import annotations

import dataclasses
import json

import pytest

from wenfang.checks import (
    CHECKS,
    Check,
    Evidence,
    Material,
    Outcome,
    Report,
    copied_lines,
    form,
    gate,
    judge,
    longest_copy,
)
from wenfang.checks.originality import LONGEST_COPY_ALLOWED_UNITS
from wenfang.data.training_index import TrainingIndex
from wenfang.errors import DataError, NotFoundError
from wenfang.knowledge.verse import FORMS

TRAINING = [
    "白日依山盡\n黃河入海流\n欲窮千里目\n更上一層樓",
    "千山鳥飛絕\n萬徑人蹤滅\n孤舟簑笠翁\n獨釣寒江雪",
]
NEW = "春水連天碧\n秋風入夜寒\n一燈人未睡\n明月滿欄干"


@pytest.fixture(scope="module")
def index() -> TrainingIndex:
    return TrainingIndex.build(TRAINING)


def check(verdict: Outcome, *evidence: str) -> Check:
    return Check(
        name="made",
        version="1",
        value=1.0,
        threshold=0.0,
        verdict=verdict,
        evidence=tuple(map(Evidence, evidence)),
    )


@pytest.mark.parametrize(
    ("verdicts", "decision"),
    [
        (("pass", "pass"), "pass"),
        (("pass", "note"), "pass"),
        (("note", "repair", "pass"), "repair"),
        (("repair", "block", "repair"), "block"),
    ],
)
def test_the_gravest_check_decides(verdicts: tuple[Outcome, ...], decision: str) -> None:
    verdict = gate([check(one) for one in verdicts])
    assert verdict.decision == decision
    assert bool(verdict) == (decision == "pass")


def test_reasons_are_those_of_the_checks_that_stop_the_draft() -> None:
    verdict = gate([check("note", "seen"), check("repair", "first"), check("block", "second")])
    assert str(verdict) == "first; second"


def test_a_draft_that_nothing_looked_at_does_not_pass() -> None:
    with pytest.raises(AssertionError):
        gate([])


def test_a_report_is_json_and_comes_back_equal(index: TrainingIndex) -> None:
    report = judge(Material(text=TRAINING[0], form=FORMS[5], index=index), ["copied_lines"])
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_a_damaged_report_names_the_field() -> None:
    with pytest.raises(DataError, match=r"report\.verdict"):
        Report.from_dict({"checks": [], "verdict": {"decision": "perhaps"}})


def test_a_report_is_the_same_in_any_language_and_its_sentences_are_not_templates(
    index: TrainingIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    material = Material(text=TRAINING[0], index=index)
    english = judge(material)
    monkeypatch.setenv("WENFANG_LANG", "zh")
    assert judge(material).to_dict() == english.to_dict()
    assert all("{" not in sentence for sentence in english.sentences())


def test_a_line_of_the_training_material_is_drawn_again(index: TrainingIndex) -> None:
    copied = copied_lines(Material(text="春水連天碧\n白日依山盡，", index=index))
    assert (copied.value, copied.verdict) == (1.0, "repair")
    assert copied.evidence[0].values == {"line": 2}


def test_a_new_poem_is_original(index: TrainingIndex) -> None:
    material = Material(text=NEW, index=index)
    assert copied_lines(material).verdict == longest_copy(material).verdict == "pass"


def test_a_short_cry_is_nobodys_line() -> None:
    index = TrainingIndex.build(["噫吁嚱\n危乎高哉"])
    assert copied_lines(Material(text="危乎高哉\n噫吁嚱", index=index)).verdict == "pass"


def test_a_copied_run_is_caught_where_lines_are_broken_anew(index: TrainingIndex) -> None:
    copied = longest_copy(Material(text="夜聞白日依山盡黃河\n入海流欲窮千里目", index=index))
    assert copied.value is not None
    assert copied.value >= 15 > LONGEST_COPY_ALLOWED_UNITS
    assert copied.verdict == "repair"
    assert copied_lines(Material(text="夜聞白日依山盡黃河", index=index)).verdict == "pass"


def test_without_an_index_originality_is_a_note_and_never_a_pass() -> None:
    for originality in (copied_lines, longest_copy):
        answer = originality(Material(text=NEW))
        assert (answer.verdict, answer.value) == ("note", None)
        assert answer.evidence


def test_a_quatrain_that_keeps_its_form_passes_with_its_tones_measured() -> None:
    kept = form(
        Material(text="白日依山盡，\n黃河入海流。\n欲窮千里目，\n更上一層樓。\n", form=FORMS[5])
    )
    assert (kept.verdict, kept.value) == ("pass", 0.0)
    assert any(str(item).startswith("tonal_pattern: ") for item in kept.evidence)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("白日依山盡\n黃河入海流\n欲窮千里目", "form"),
        ("白日依山盡\n黃河入海流\n欲窮千里\n更上一層樓", "form"),
        ("白日依山盡\n黃河入海流\n欲窮,里目\n更上一層樓", "han"),
        ("白日依山盡\n黃河入海流\n白日依山盡\n更上一層樓", "distinct_lines"),
        ("白日依山盡\n黃河入海深\n欲窮千里目\n更上一層樓", "rhyme"),
    ],
)
def test_a_broken_rule_is_named_and_drawn_again(text: str, rule: str) -> None:
    broken = form(Material(text=text, form=FORMS[5]))
    assert broken.verdict == "repair"
    assert rule in [item.values["rule"] for item in broken.evidence]


def test_seven_characters_are_no_poem_of_five() -> None:
    assert form(Material(text="千山萬水一孤舟\n" * 4, form=FORMS[5])).verdict == "repair"


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_answers_on_every_material(name: str, index: TrainingIndex) -> None:
    for text in ("", "\n", NEW, "🖋" * 1000, "a" * 10_000):
        for material in (Material(text=text), Material(text=text, index=index, form=FORMS[5])):
            answer = CHECKS[name](material)
            assert answer.name == name
            assert answer.version
            assert answer.verdict == "pass" or answer.evidence, "a verdict has its evidence"


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        check("pass").verdict = "block"  # type: ignore[misc]


def test_an_unknown_check_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="copied_lines"):
        judge(Material(text=NEW), ["copied_line"])
