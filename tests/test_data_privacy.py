"""Personal data is found by pattern and check digit, and masked by its kind."""

from __future__ import annotations

import pytest

from wenfang.data.privacy import KINDS, find, is_card, is_identity, mask

CASES = [
    ("email", "write to li.bai+poem@mail.example.com today", "li.bai+poem@mail.example.com"),
    ("email", "请发邮件到wang_wei@example.cn，谢谢", "wang_wei@example.cn"),
    ("chinese_identity", "身份证号11010519491231002X。", "11010519491231002X"),
    ("card", "card 4111 1111 1111 1111, please", "4111 1111 1111 1111"),
    ("card", "卡号4111111111111111", "4111111111111111"),
    ("iban", "pay to DE89 3704 0044 0532 0130 00, please", "DE89 3704 0044 0532 0130 00"),
    ("iban", "账号GB82WEST12345698765432。", "GB82WEST12345698765432"),
    ("social_security", "SSN: 078-05-1120.", "078-05-1120"),
    ("social_security", "his social security number is 078051120", "078051120"),
    ("passport", "护照号码：E12345678，", "E12345678"),
    ("passport", "Passport no. 123456789", "123456789"),
    ("number_plate", "车牌京A12345的车", "京A12345"),
    ("number_plate", "粤B·D12345 充电", "粤B·D12345"),
    ("phone", "电话13812345678联系", "13812345678"),
    ("phone", "138-1234-5678", "138-1234-5678"),
    ("phone", "座机010-62345678", "010-62345678"),
    ("phone", "call +44 20 7946 0958 now", "+44 20 7946 0958"),
    ("phone", "call +86 138 1234 5678 now", "+86 138 1234 5678"),
    ("phone", "(415) 555-2671", "(415) 555-2671"),
    ("ip_address", "from 8.8.8.8.", "8.8.8.8"),
    ("ip_address", "from 2001:4860:4860::8888 it came", "2001:4860:4860::8888"),
]
INNOCENT = [
    "11010519491231002Y 110105194912310021",  # wrong check digits
    "4111 1111 1111 1112",
    "0000000000000000",
    "in 1999 there were 1234567 of them",
    "version 1.2.3, section 10.0.0.1 and 127.0.0.1",
    "at 12:30:45 on 2024-01-31",
    "ISBN 978-3-16-148410-0",
    "@everyone a@b",
    "白日依山盡，黃河入海流",
    "3.14159265358979",
    "DE88370400440532013000, GB82WEST12345698765433",  # wrong check digits
    "SSN 000-12-3456, SSN 666-12-3456, part 078-05-1120",
    "the passport of 1234, E12345678 without the word",
    "京ABCDEF, 新A股, 川菜A套餐 88888",
]


@pytest.mark.parametrize(("kind", "text", "value"), CASES)
def test_each_kind_is_found_whole(kind: str, text: str, value: str) -> None:
    assert [(m.kind, text[m.start : m.end]) for m in find(text)] == [(kind, value)]


def test_every_kind_has_a_case() -> None:
    assert {kind for kind, _, _ in CASES} == set(KINDS)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert mask(text) == (text, {})


def test_masking_replaces_each_match_and_counts_by_kind() -> None:
    text, counts = mask("a@example.com, b@example.com 13812345678")
    assert text == "[email], [email] [phone]"
    assert counts == {"email": 2, "phone": 1}
    assert mask(text)[0] == text


def test_one_wrong_digit_is_refused_by_the_checksums() -> None:
    identity, card = "11010519491231002X", "4111111111111111"
    assert is_identity(identity)
    assert is_card(card)
    for place in range(6, 17):
        wrong = identity[:place] + str((int(identity[place]) + 1) % 10) + identity[place + 1 :]
        assert not is_identity(wrong)
    for place in range(1, 16):
        wrong = card[:place] + str((int(card[place]) + 1) % 10) + card[place + 1 :]
        assert not is_card(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "SSN" * 60_000 + "1",
        "护照" * 90_000 + "1",
        "DE12" + "A 1" * 60_000,
        "京A1" * 60_000,
        "a" * 200_000 + "@",
        "1-" * 100_000,
        ":" * 100_000,
        "1." * 90_000,
    ],
)
def test_hostile_text_is_searched_in_linear_time(text: str) -> None:
    find(text)
