"""Laws of the check of facts: every fact told, with its value, and no other; independently read."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from wenfang.checks import CHECKS, Material, judge
from wenfang.checks.facts import SLOTS, facts, read_facts

FACTS = {
    "name": "Blue Spice",
    "eatType": "coffee shop",
    "food": "Chinese",
    "priceRange": "less than £20",
    "customer rating": "5 out of 5",
    "area": "city centre",
    "familyFriendly": "yes",
    "near": "Burger King",
}
TEXT = (
    "Blue Spice is a family friendly coffee shop near Burger King in the city centre. It serves "
    "Chinese food for less than £20 and is rated 5 out of 5."
)


def outcomes(text: str, given: dict[str, str]) -> dict[str, str]:
    return {one.slot: one.outcome for one in read_facts(text, given) if one.outcome != "realised"}


def test_a_text_with_all_facts_has_no_fault() -> None:
    assert outcomes(TEXT, FACTS) == {}
    assert {one.slot for one in read_facts(TEXT, FACTS)} == set(SLOTS)


@pytest.mark.parametrize("slot", [slot for slot in SLOTS if slot not in ("name", "near")])
def test_a_fact_that_was_not_given_is_invented(slot: str) -> None:
    given = {name: value for name, value in FACTS.items() if name != slot}
    assert outcomes(TEXT, given) == {slot: "invented"}


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        ("eatType", "pub"),
        ("food", "Japanese"),
        ("priceRange", "more than £30"),
        ("customer rating", "1 out of 5"),
        ("customer rating", "low"),
        ("area", "riverside"),
        ("familyFriendly", "no"),
    ],
)
def test_another_value_is_wrong(slot: str, value: str) -> None:
    assert outcomes(TEXT, {**FACTS, slot: value}) == {slot: "wrong"}


@pytest.mark.parametrize("slot", SLOTS)
def test_a_fact_that_is_left_out_is_missing(slot: str) -> None:
    short = {
        "name": ("Blue Spice", "It"),
        "eatType": ("coffee shop", "venue"),
        "food": ("Chinese ", ""),
        "priceRange": ("for less than £20 ", ""),
        "customer rating": ("is rated 5 out of 5", "is nice"),
        "area": ("in the city centre", ""),
        "familyFriendly": ("family friendly ", ""),
        "near": ("near Burger King ", ""),
    }
    assert outcomes(TEXT.replace(*short[slot]), FACTS) == {slot: "missing"}


@pytest.mark.parametrize(
    ("text", "slot", "value"),
    [
        ("It is not family-friendly.", "familyFriendly", "no"),
        ("It isn't a place for kids.", "familyFriendly", "no"),
        ("Children are not welcome.", "familyFriendly", "no"),
        ("An adults only place.", "familyFriendly", "no"),
        ("Kids are welcome.", "familyFriendly", "yes"),
        ("A high price range, with an average customer rating.", "customer rating", "average"),
        ("A high price range, with an average customer rating.", "priceRange", "high"),
        ("The rating is low and prices are moderate.", "customer rating", "low"),
        ("The rating is low and prices are moderate.", "priceRange", "moderate"),
        ("It is moderately priced and highly rated.", "priceRange", "moderate"),
        ("It is moderately priced and highly rated.", "customer rating", "high"),
        ("Rated three out of five.", "customer rating", "3 out of 5"),
        ("Prices are between 20 and 25 pounds.", "priceRange", "£20-25"),
        ("It costs over £30.", "priceRange", "more than £30"),
        ("It is not expensive.", "priceRange", "cheap"),
        ("A restaurant by the river.", "area", "riverside"),
        ("A café.", "eatType", "coffee shop"),
        ("It serves British food.", "food", "English"),
    ],
)
def test_facts_are_read_in_other_words(text: str, slot: str, value: str) -> None:
    found = {one.slot: one.outcome for one in read_facts(text, {slot: value})}
    assert found[slot] == "realised"


def test_a_name_that_sounds_like_a_fact_is_only_a_name() -> None:
    given = {"name": "The Riverside Pub", "near": "Raja Indian Cuisine"}
    assert outcomes("The Riverside Pub is near Raja Indian Cuisine.", given) == {}


def test_a_neighbour_that_was_not_given_is_invented() -> None:
    assert outcomes("Aromi is near the Crown Hotel.", {"name": "Aromi"}) == {"near": "invented"}
    assert outcomes("Aromi is near the River Cam.", {"name": "Aromi", "area": "riverside"}) == {}


def test_words_are_right_for_a_figure_but_a_figure_only_for_itself() -> None:
    assert outcomes("It has a high rating.", {"customer rating": "5 out of 5"}) == {}
    assert outcomes("Rated 5 out of 5.", {"customer rating": "high"}) == {
        "customer rating": "wrong"
    }


def test_the_check_counts_faults_and_asks_for_another_draft() -> None:
    good = facts(Material(text=TEXT, facts=FACTS))
    assert (good.value, good.verdict) == (0.0, "pass")
    bad = facts(Material(text=TEXT, facts={**FACTS, "area": "riverside", "food": "Italian"}))
    assert (bad.value, bad.verdict) == (2.0, "repair")
    assert "city centre" in str(bad.evidence[1])


@pytest.mark.parametrize(
    "material", [Material(text="x"), Material(facts=FACTS), Material(text="餐馆", facts=FACTS)]
)
def test_what_cannot_be_compared_is_a_note(material: Material) -> None:
    assert facts(material).verdict == "note"


def test_it_is_in_the_table() -> None:
    assert CHECKS["facts"] is facts
    assert judge(Material(text=TEXT, facts=FACTS), ("facts",)).verdict


def test_it_shares_no_code_with_what_writes_or_constrains() -> None:
    for name in ("facts", "venue_reading", "venue_words"):
        module = importlib.import_module(f"wenfang.checks.{name}")
        tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
        imported = {
            node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        }
        inside = {name for name in imported if name.startswith("wenfang.")}
        assert inside <= {
            "wenfang.checks.check",
            "wenfang.checks.venue_reading",
            "wenfang.checks.venue_words",
            "wenfang.language",
        }


def test_long_texts_are_read_in_bounds() -> None:
    for text in ("high " * 20000, "5 out of " * 10000, "not family " * 5000, "a" * 100_000):
        read_facts(text, FACTS)


def test_a_value_in_words_of_another_fact_is_only_that_value() -> None:
    for slot, value, text in (
        ("food", "tapas", "Aromi serves tapas."),
        ("food", "Modern British", "Aromi is a Modern British restaurant."),
        ("area", "the River Quarter", "Aromi is in the River Quarter."),
        ("area", "Pub Row", "Aromi is in Pub Row."),
    ):
        assert outcomes(text, {"name": "Aromi", slot: value}) == {}, text
    assert outcomes("It serves tapas and sushi.", {"food": "tapas"}) == {"food": "wrong"}
    assert outcomes("It is in Soho by the river.", {"area": "Soho"}) == {"area": "wrong"}
