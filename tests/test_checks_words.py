"""Laws of the word list. The terms under test are made up, so that none has to be read here."""

from __future__ import annotations

import json
import lzma
import os
import re
from pathlib import Path

import pytest

from wenfang.checks import Material, fold, read_terms, words
from wenfang.checks.words import built_in_terms
from wenfang.errors import ConfigError, DataError

LISTED = ("噩詞龍", "blorp", "quux zorg", "gloss")


def verdict(text: str, **settings: tuple[str, ...]) -> str:
    return words(Material(text=text, **({"listed": LISTED} | settings))).verdict  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "今日噩詞龍來", "今日噩词龙來", "噩 詞 龍", "噩*詞-龍", "噩\u200b詞\u2060龍", "噩噩詞詞龍",
        "噩.詞_龍", "噩\u3000詞\u3000龍",
        "blorp", "a BLORP!", "ｂｌｏｒｐ", "ⓑⓛⓞⓡⓟ", "bl\u00adorp", "b\u200bl\u200bo\u200brp",
        "blooorp", "b l o r p", "b.l.o.r.p", "b_l_o_r_p", "bl0rp", "blörp", "blorps", "我blorp你",
        "_blorp_", "quux zorg", "quux-zorg", "QUUX   ZORG", "glosses", "glo$$",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_listed_term_is_found_in_its_disguises(text: str) -> None:
    assert verdict(text) == "repair"


@pytest.mark.parametrize(
    "text",
    ["blorpfish", "ablorp", "b l o r", "blor p", "quuxzorg", "噩詞", "龍詞噩", "噩詞，龍",
     "噩詞\n龍", "噩詞。龍", "噩詞字龍", "blorpes", "2 b l\no r p"],
    ids=ascii,
)  # fmt: skip
def test_what_only_looks_alike_passes(text: str) -> None:
    assert verdict(text) == "pass"


def test_every_built_in_term_is_found_alone_and_in_full_width() -> None:
    terms = built_in_terms()
    assert len(terms) > 150
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    missed = [
        place
        for place, term in enumerate(terms)
        if verdict(term) == "pass" or verdict(term.upper().translate(wide)) == "pass"
    ]
    assert missed == []


def test_the_built_in_list_does_not_show_its_words() -> None:
    folder = Path(__file__).parents[1] / "src" / "wenfang" / "checks"
    text = (folder / "words.txt").read_text("utf-8")
    body = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]+", line) for line in body)
    assert "Creative Commons Attribution 4.0" in text
    source = "".join(path.read_text("utf-8").lower() for path in folder.glob("*.py"))
    shown = [i for i, term in enumerate(built_in_terms()) if re.search(rf"\b{term}\b", source)]
    assert shown == []


def test_evidence_names_lines_and_never_the_term() -> None:
    check = words(Material(text="\n春江花月夜\n\n噩詞龍，blorp blorp\n明月", listed=LISTED))
    assert (check.value, check.threshold) == (3.0, 0.0)
    assert [str(item) for item in check.evidence] == ["line 2 holds 3 listed words"]
    assert "噩" not in repr(check)


def test_a_house_frees_a_built_in_term_by_any_spelling_of_it() -> None:
    term = built_in_terms()[-1]
    assert verdict(term, allowed=(term.upper(),)) == "pass"


def test_a_house_may_free_everything() -> None:
    everything = Material(text=built_in_terms()[0], allowed=built_in_terms())
    assert words(everything).verdict == "pass"


def test_terms_with_signs_are_taken_literally() -> None:
    assert verdict("c++ and a.b", listed=("a+b",)) == "pass"
    assert verdict("see a+b here", listed=("a+b",)) == "repair"
    assert verdict("噩[詞", listed=("噩[詞",)) == "repair"


@pytest.mark.parametrize("letter", ["s", "o", " ", "噩", ".", "\u0301"], ids=ascii)
def test_a_long_run_of_one_character_does_not_stall_the_search(letter: str) -> None:
    # A search that went back over the run would need 10**10 steps here.
    assert verdict("glo" + letter * 100_000 + "x") == "pass"
    assert len(fold(letter * 100_000)) <= 3


def test_mixed_look_alikes_do_not_stall_the_search_either() -> None:
    assert verdict("s$" * 50_000 + "x", listed=("ssoss", "噩詞龍")) == "pass"


def test_folding_keeps_the_lines() -> None:
    assert fold("Ｄé\u200bjà\n萬馬") == "deja\n万马"


def test_a_list_is_read_with_comments_and_blank_lines_left_out(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeff# ours\n\n噩詞龍\n  blorp \n", "utf-8")
    assert read_terms(path) == ("噩詞龍", "blorp")


def test_what_is_no_word_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    with pytest.raises(DataError, match="cannot be read"):
        read_terms(path)
    for payload in (b"\xff\xfe\x00", b"a\0b", b"x" * (1 << 21)):
        path.write_bytes(payload)
        with pytest.raises(DataError, match=str(path)):
            read_terms(path)
    with pytest.raises(ConfigError, match="without a letter"):
        verdict("x", listed=("，",))


@pytest.mark.data
def test_classical_verse_is_innocent() -> None:
    root = os.environ.get("WENFANG_DATA")
    path = Path(root or "", "chinese_poetry", "jueju_tang_song.jsonl.xz")
    if not root or not path.exists():
        pytest.skip("WENFANG_DATA holds no chinese_poetry")
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        poems = [json.loads(line)["lines"] for _, line in zip(range(10_000), stream, strict=False)]
    hits = sum(words(Material(text="\n".join(lines))).verdict != "pass" for lines in poems)
    assert hits / len(poems) < 0.005
