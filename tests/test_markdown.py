"""Laws of Markdown: what is not translated stays, byte for byte, and the structure is the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wenfang.media.markdown import (
    Break,
    Kept,
    Words,
    Wrapped,
    escape,
    read_markdown,
    read_plain,
    skeleton,
    splice,
)

DOCUMENT = """---
title: kept
---
# A *b* \\* &amp; c ##

> - hi [x `c`](<u r> 'T') ![a](b) <http://a.b>
>   more  \n>   last <b>x</b>

| a | b \\| c |
|---|---|
| `x` | y *z* |

Set ext
text
===

1. one [ref][r] and [r] and [w][] **bo*l*d** ~~gone~~
2. two\\
   three

```python
code = 1
```

    indented

<div>
raw
</div>

[r]: http://r.x
[w]: /w
"""
MARKUP = st.text(alphabet="ab #*_`[]()!<>|~\\&-+=.1\n\t\"'你。", max_size=80)


def test_a_document_comes_back_byte_for_byte() -> None:
    found = read_markdown(DOCUMENT)
    assert found.unread == ()
    assert found.replaced({}) == DOCUMENT


@pytest.mark.parametrize("ends", ["\r\n", "\r", "\n"])
def test_other_line_ends_are_found_and_kept(ends: str) -> None:
    text = DOCUMENT.replace("\n", ends)
    found = read_markdown(text)
    assert [one.kind for one in found.passages] == [
        one.kind for one in read_markdown(DOCUMENT).passages
    ]
    assert found.replaced({}) == text


def test_passages_are_paragraphs_headings_and_cells_in_their_order() -> None:
    kinds = [(one.kind, one.line) for one in read_markdown(DOCUMENT).passages]
    assert kinds == [
        ("heading", 4), ("paragraph", 6), ("cell", 10), ("cell", 10), ("cell", 12), ("cell", 12),
        ("heading", 14), ("paragraph", 18), ("paragraph", 19),
    ]  # fmt: skip


def test_inside_a_passage_every_mark_keeps_its_source() -> None:
    nodes = read_markdown(DOCUMENT).passages[1].nodes
    assert Wrapped("[", (Words("x "), Kept("`c`")), "](<u r> 'T')") in nodes
    assert Kept("![a](b)") in nodes
    assert Kept("<http://a.b>") in nodes
    assert Break("  \n>   ") in nodes


def test_a_link_by_its_own_name_keeps_its_target_when_its_words_change() -> None:
    (passage,) = read_markdown("[r] and [w][]\n\n[r]: /1\n[w]: /2\n").passages
    links = [node for node in passage.nodes if isinstance(node, Wrapped)]
    assert [one.closing for one in links] == ["][r]", "][w]"]


def test_code_and_definitions_are_in_no_passage() -> None:
    read = " ".join(DOCUMENT[one.start : one.end] for one in read_markdown(DOCUMENT).passages)
    for kept in ("code = 1", "indented", "raw", "http://r.x", "title: kept"):
        assert kept not in read


def test_replacing_words_keeps_the_skeleton() -> None:
    found = read_markdown(DOCUMENT)
    plain = {
        number: "新的字"
        for number, one in enumerate(found.passages)
        if all(isinstance(node, Words) for node in one.nodes) and one.kind != "paragraph"
    }
    text, refused = splice(found, plain)
    assert refused == []
    assert text.count("新的字") == len(plain) > 2
    assert skeleton(text) == skeleton(DOCUMENT)


def test_a_replacement_that_changes_the_structure_is_refused_alone() -> None:
    found = read_markdown("One.\n\nTwo.\n\nThree.\n")
    text, refused = splice(found, {0: "一", 1: "# 二", 2: "三"})
    assert refused == [1]
    assert text == "一\n\nTwo.\n\n三\n"


@pytest.mark.parametrize(
    "text",
    ["# a", "- a", "1. a", "+ a", "> a", "*a*", "`a`", "[a](b)", "<b>", "a_b_", "---", "===", "~~~",
     "~~a~~", "&amp;", "![a](b)", "2) a", "a*b*c", "\\*"],
)  # fmt: skip
def test_escaped_words_are_read_as_words(text: str) -> None:
    safe = escape(text, first=True)
    assert skeleton(safe + "\n") == skeleton("plain\n")
    (passage,) = read_markdown(safe).passages
    assert "".join(node.text for node in passage.nodes if isinstance(node, Words)) == text


@settings(max_examples=300, deadline=None)
@given(MARKUP)
def test_any_text_is_read_and_comes_back(text: str) -> None:
    found = read_markdown(text)
    assert found.replaced({}) == text
    ends = [0, *(place for one in found.passages for place in (one.start, one.end)), len(text)]
    assert ends == sorted(ends)


@settings(max_examples=200, deadline=None)
@given(MARKUP, st.text(alphabet="ab #*_`[]()|-1.", max_size=20))
def test_splicing_anything_keeps_the_skeleton(text: str, words: str) -> None:
    found = read_markdown(text)
    spliced, _ = splice(found, dict.fromkeys(range(len(found.passages)), words))
    assert skeleton(spliced) == skeleton(text)


def test_lines_of_plain_text_are_passages_and_hard_wrapped_ones_are_joined() -> None:
    wide = "This line is wide enough to have been wrapped by hand at the"
    text = f"Title\n\n{wide}\nmargin of a page.\nNext.\n\n  两行。\n三行。\n"
    found = read_plain(text)
    assert [text[one.start : one.end] for one in found.passages] == [
        "Title", f"{wide}\nmargin of a page.", "Next.", "两行。", "三行。",
    ]  # fmt: skip
    assert found.replaced({}) == text
    assert [one.line for one in found.passages] == [1, 3, 5, 7, 8]


def test_deep_nesting_and_long_lines_are_read_in_bounds() -> None:
    for text in (">" * 5000 + " a", "[" * 3000, "*a " * 5000, "- " * 2000 + "x", "`" * 9999):
        assert read_markdown(text).replaced({}) == text


def test_front_matter_stays_out_of_reach() -> None:
    assert re.search("title", DOCUMENT)
    changed = DOCUMENT.replace("title: kept", "title: changed")
    assert skeleton(changed) != skeleton(DOCUMENT)
