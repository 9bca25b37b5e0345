"""Facts about venues: the notation, what is refused, slots, and the E2E set."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenfang.data.e2e import e2e_rows, plain, sentence, training_pairs
from wenfang.data.named import prepare_named
from wenfang.data.venue import (
    SLOTS,
    VALUES,
    VenueLayout,
    copied_slots,
    delexicalise,
    lexicalise,
    parse_facts,
    require_facts,
    write_facts,
)
from wenfang.errors import BriefError, DataError
from wenfang.tokenizer import Tokenizer, train_bytes

FACTS = {
    "name": "The Café Royal",
    "eatType": "pub",
    "food": "Italian",
    "priceRange": "£20-25",
    "customer rating": "5 out of 5",
    "area": "riverside",
    "familyFriendly": "no",
    "near": "Café Royal",
}
LAYOUT = VenueLayout()
TEXT = "The Cafe Royal is an italian pub near café royal, on the riverside. It is £20-25."


def tokenizer() -> Tokenizer:
    return train_bytes([TEXT], vocabulary_size=300, specials=LAYOUT.specials)


def test_the_notation_comes_back_in_the_order_of_the_slots() -> None:
    written = write_facts(FACTS)
    assert written.startswith("name[The Café Royal], eatType[pub], food[Italian]")
    assert parse_facts(written) == FACTS
    assert parse_facts("area[riverside],name[ Blue   Spice ]") == {
        "name": "Blue Spice",
        "area": "riverside",
    }
    assert list(parse_facts("area[riverside], name[Blue Spice]")) == ["name", "area"]


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("", "the facts lack a name"),
        ("area[riverside]", "the facts lack a name"),
        ("name[]", "the fact name is empty"),
        ("name[Blue Spice", "is not a list of facts"),
        ("a nice pub", "is not a list of facts"),
        ("name[A], name[B]", "the fact name is given twice"),
        ("name[A], foood[French]", "there is no fact foood; did you mean food?"),
        ("name[A], eatType[castle]", "eatType is castle; the model knows restaurant, pub"),
        ("name[<b>A</b>]", "the fact name holds a bracket"),
        ("name[A\u0007]", "the fact name holds a bracket or a control character"),
        ("name[" + "A" * 61 + "]", "name has 61 characters; at most 60 fit"),
        ("name[" + "A" * 1_000_000 + "]", "name has 1000000 characters"),
        ("name[A], near[A]", "near is the venue itself"),
    ],
)
def test_facts_that_cannot_be_told_are_refused_in_one_line(notation: str, message: str) -> None:
    with pytest.raises(BriefError, match=message[:60].replace("?", r"\?")) as caught:
        parse_facts(notation)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(BriefError, match="the fact name is empty"):
        require_facts({"name": 7})  # type: ignore[dict-item]


def test_slots_stand_for_values_whatever_case_accent_and_place() -> None:
    pieces = delexicalise(TEXT, FACTS, ("name", "near", "food"))
    assert pieces == [
        "<name>",
        " is an ",
        "<food>",
        " pub near ",
        "<near>",
        ", on the riverside. It is £20-25.",
    ]
    other = {**FACTS, "name": "Über Eck", "near": "the Old Mill", "food": "Thai"}
    assert lexicalise(pieces, other) == (
        "Über Eck is a Thai pub near the Old Mill, on the riverside. It is £20-25."
    )
    assert lexicalise(["A ", "<food>", " place"], FACTS) == "An Italian place"


def test_a_value_within_a_word_is_no_slot() -> None:
    facts = {"name": "Inn", "near": "All"}
    assert delexicalise("Inner walls, all of it: Inn", facts, ("name", "near")) == [
        "Inner walls, ",
        "<near>",
        " of it: ",
        "<name>",
    ]


@given(st.text(st.characters(categories=("L", "N", "P", "Zs"), exclude_characters="<>[]")))
def test_slots_put_back_give_the_text_but_for_case(text: str) -> None:
    facts = {"name": "Aromi", "near": "Crowne Plaza"}
    whole = f"{text} Aromi {text} crowne plaza"
    pieces = delexicalise(whole, facts, ("name", "near"))
    assert "".join(pieces).count("<name>") >= 1
    found = "".join(facts.get(piece.strip("<>"), piece) for piece in pieces)
    assert found.lower() == whole.lower()


def test_what_the_model_never_saw_is_copied() -> None:
    assert copied_slots(FACTS) == ("name", "near")
    unseen = {**FACTS, "food": "Thai", "area": "Old Town"}
    assert copied_slots(unseen) == ("name", "food", "area", "near")


def test_the_layout_reads_facts_and_writes_slots() -> None:
    tokens = tokenizer()
    source = LAYOUT.source(write_facts({**FACTS, "food": "Thai"}), tokens)
    names = [tokens.token(index) for index in source]
    assert names[0] == "<name>"
    assert names[1] == "<eatType>"
    assert names[names.index("<food>") + 1] == "<priceRange>"  # Thai is not shown
    assert names[-2:] == ["<near>", "<eos>"]
    target = LAYOUT.target(TEXT, tokens, FACTS, ("name", "near"))
    assert tokens.token(target[0]) == "<name>"
    assert LAYOUT.text(target, tokens, FACTS) == TEXT.replace("Cafe", "Café").replace(
        "café royal", "Café Royal"
    )


def test_specials_in_a_text_are_plain_text() -> None:
    tokens = tokenizer()
    ids = LAYOUT.target("see <near> it", tokens, FACTS, ("name",))
    assert tokens.id("<near>") not in ids


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("It is family - friendly , at £ 20 - 25 .", "It is family-friendly, at £20-25."),
        ("there 's a pub ; it isn 't cheap", "There's a pub; it isn't cheap."),
        ("nice . cheap , too !", "Nice. Cheap, too!"),
        ("rated 5 out of 5 .. it is good .", "Rated 5 out of 5. It is good."),
    ],
)
def test_tokens_become_plain_english(tokens: str, expected: str) -> None:
    assert sentence(tokens) == expected
    assert plain(tokens) in (expected, expected[0].lower() + expected[1:], plain(tokens))


def archive(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def test_the_archive_gives_pairs_and_a_broken_one_is_named(tmp_path: Path) -> None:
    source = (
        "__start_name__ Aromi __end_name__ __start_customerrating__ 5 out of 5 "
        "__end_customerrating__ __start_priceRange__ more than £ 30 __end_priceRange__\n"
    )
    files = {
        "e2e_aligned/src_train.txt": source,
        "e2e_aligned/train.txt": "Aromi is good . <eos>|||0,1,0\n",
    }
    pairs = list(training_pairs(archive(tmp_path / "a.tar.gz", files)))
    wanted = "name[Aromi], priceRange[more than £30], customer rating[5 out of 5]"
    assert pairs == [(wanted, "Aromi is good.")]
    lacking = archive(tmp_path / "b.tar.gz", {"other": ""})
    with pytest.raises(DataError, match=r"b\.tar\.gz is damaged"):
        list(training_pairs(lacking))
    (tmp_path / "c.tar.gz").write_bytes(b"\x1f\x8b nonsense")
    with pytest.raises(DataError, match=r"c\.tar\.gz is damaged"):
        list(training_pairs(tmp_path / "c.tar.gz"))
    uneven = archive(tmp_path / "d.tar.gz", {**files, "e2e_aligned/train.txt": ""})
    with pytest.raises(DataError, match=r"d\.tar\.gz is damaged \(lines\)"):
        list(training_pairs(uneven))


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("WENFANG_DATA"), reason="WENFANG_DATA is not set")
def test_the_set_keeps_its_parts_and_no_facts_are_in_two(tmp_path: Path) -> None:
    dataset = prepare_named("e2e_nlg", None, tmp_path / "set")
    counts = {part: value["records"] for part, value in dataset.counts["splits"].items()}
    assert counts == {"train": 42061, "valid": 4672, "test": 4693}
    prompts = {
        part: {record["prompt"] for record in dataset.records(part)}
        for part in ("train", "valid", "test")
    }
    assert not prompts["train"] & (prompts["valid"] | prompts["test"])
    assert len(prompts["test"]) == 630
    for prompt in prompts["test"]:
        assert set(parse_facts(prompt)) <= set(SLOTS)


@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("WENFANG_DATA"), reason="WENFANG_DATA is not set")
def test_every_value_of_the_set_is_known() -> None:
    folder = Path(os.environ["WENFANG_DATA"]) / "e2e_nlg"
    seen: dict[str, set[str]] = {slot: set() for slot in VALUES}
    for _, record in e2e_rows(folder):
        for slot, value in parse_facts(record["prompt"]).items():
            seen.setdefault(slot, set()).add(value)
    assert {slot: seen[slot] for slot in VALUES} == {s: set(v) for s, v in VALUES.items()}
