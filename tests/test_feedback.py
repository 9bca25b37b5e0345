"""Votes are kept for good, and decide whether a piece may be published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wenfang.database import Database
from wenfang.errors import ConfigError
from wenfang.feedback import Vote, Votes


@pytest.fixture
def votes(tmp_path: Path) -> Iterator[Votes]:
    database = Database.open(f"sqlite:///{tmp_path / 'votes.sqlite'}")
    yield Votes(database=database)
    database.close()


def test_a_vote_is_kept_with_what_was_shown_and_in_which_order(votes: Votes) -> None:
    said = Vote(kind="choice", piece="b", candidates=("b", "a"), chosen="b", rater="li")
    kept = votes.add(said)
    assert kept.id == 1
    assert kept.at > 0
    assert (kept.candidates, kept.chosen, kept.rater) == (["b", "a"], "b", "li")
    assert votes.of("b", "") == [kept]
    assert votes.of("a", "") == []
    assert votes.all("") == [kept]
    assert votes.all("", after=kept.id) == []


def test_the_newest_decision_holds_and_the_others_stay(votes: Votes) -> None:
    votes.add(Vote(kind="reject", piece="a", reason="a word is wrong"))
    votes.add(Vote(kind="edit", piece="a", text="春江"))
    assert votes.decisions(["a", "b"], "") == {"a": "reject"}
    votes.add(Vote(kind="approve", piece="a"))
    assert votes.decisions(["a"], "") == {"a": "approve"}
    assert [one.kind for one in votes.of("a", "")] == ["reject", "edit", "approve"]


def test_a_project_that_asks_for_approval_publishes_nothing_before(votes: Votes) -> None:
    assert votes.may_publish("a", "shop")
    votes.set_approval("shop", needed=True)
    assert votes.needs_approval("shop")
    assert not votes.may_publish("a", "shop")
    assert votes.may_publish("a", "")  # another project
    votes.add(Vote(kind="approve", piece="a", project="shop"))
    assert votes.may_publish("a", "shop")
    votes.set_approval("shop", needed=False)
    votes.add(Vote(kind="reject", piece="a", project="shop", reason="no"))
    assert not votes.may_publish("a", "shop")  # what was rejected stays in


def test_projects_do_not_see_each_others_votes(votes: Votes) -> None:
    votes.add(Vote(kind="approve", piece="a", project="shop"))
    assert votes.decisions(["a"], "school") == {}
    assert votes.all("school") == []


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"kind": "reject", "piece": "a"}, "say why"),
        ({"kind": "edit", "piece": "a", "text": "  "}, "edited text is empty"),
        ({"kind": "choice", "candidates": ("a",)}, "show two"),
        ({"kind": "choice", "candidates": ("a", "b"), "chosen": "c"}, "c was not among"),
        ({"kind": "approve"}, "name it"),
        ({"kind": "edit", "piece": "a", "text": "x" * 100_001}, "longer than"),
    ],
)
def test_a_vote_that_says_nothing_is_refused(wrong: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        Vote(**wrong)  # type: ignore[arg-type]
