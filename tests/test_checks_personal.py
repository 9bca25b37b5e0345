"""Laws of the check for personal data."""

from __future__ import annotations

import pytest

from wenfang.checks import Material
from wenfang.checks.personal import SENTENCES, personal
from wenfang.data.privacy import KINDS


def identity(stem: str) -> str:
    """A Chinese identity number with its right check digit, worked out here by another rule."""
    total = 0
    for digit in stem:  # Horner's form of ISO 7064 MOD 11-2
        total = (total + int(digit)) * 2 % 11
    return stem + "0123456789X"[(12 - total) % 11]


STEM = "11010519491231002"


def test_a_right_identity_number_is_found_and_every_wrong_check_digit_is_not() -> None:
    right = identity(STEM)
    assert right == "11010519491231002X"
    for digit in "0123456789X":
        verdict = personal(Material(text=f"身份证 {STEM}{digit} 号")).verdict
        assert (verdict == "repair") == (STEM + digit == right)


def test_a_right_card_is_found_and_every_wrong_check_digit_is_not() -> None:
    found = [
        digit
        for digit in range(10)
        if personal(Material(text=f"card 411111111111111{digit}")).value
    ]
    assert found == [1]


def test_a_right_account_is_found_and_every_wrong_check_number_is_not() -> None:
    found = [
        check
        for check in range(2, 99)
        if personal(Material(text=f"IBAN GB{check:02}WEST12345698765432")).value
    ]
    assert found == [82]


@pytest.mark.parametrize(
    "text",
    ["１３８１２３４５６７８", "138\u200b1234\u200b5678", "138 1234 5678", "电话：138-1234-5678。"],
    ids=ascii,
)
def test_disguised_digits_are_seen_through(text: str) -> None:
    assert personal(Material(text=text)).verdict == "repair"


def test_evidence_names_kind_and_line_and_never_the_datum() -> None:
    check = personal(Material(text="春江花月夜\n\nli.bai@example.com 13812345678\n明月"))
    assert (check.value, check.threshold) == (2.0, 0.0)
    assert [str(item) for item in check.evidence] == [
        "line 2 holds an e-mail address",
        "line 2 holds a telephone number",
    ]
    assert "138" not in repr(check)
    assert "li.bai" not in repr(check)


def test_every_kind_has_its_sentence() -> None:
    assert set(SENTENCES) == set(KINDS)


def test_a_shop_may_publish_its_own_number_and_no_other() -> None:
    material = Material(text="电话 138 1234 5678 或 13912345678", allowed=("13812345678",))
    assert personal(material).value == 1.0


def test_without_a_text_nothing_is_measured() -> None:
    assert (personal(Material()).verdict, personal(Material()).value) == ("note", None)
