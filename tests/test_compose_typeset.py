"""Cards: the same from the same seed, complete, inside their margins, quiet at the foot."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from wenfang.compose import layout
from wenfang.compose.stamp import Carving, stamp_mask
from wenfang.compose.typeset import (
    LOOKS,
    PAPERS,
    CardStyle,
    CardText,
    StopsName,
    card_size_px,
    quiet_box,
    typeset_card,
)
from wenfang.errors import DependencyError, MediaError
from wenfang.media.draw import Lettering, column_height, line_width, missing_glyphs, runs
from wenfang.media.fonts import PACKAGES


def fonts_are_installed() -> bool:
    try:
        return not missing_glyphs("春江爲AI生成")
    except DependencyError:
        return False


pytestmark = pytest.mark.skipif(
    not fonts_are_installed(), reason=f"needs the fonts of {' '.join(PACKAGES)}"
)

SEVEN = ("春江潮水夜初平，", "獨倚高樓聽雁聲。", "明月不知人已老，", "隔花還照舊時城。")
FIVE = ("空山新雨後", "孤月落寒潭", "不見故人面", "秋聲滿竹庵")
POEM = CardText(title="春江曉望", lines=SEVEN, signature="文房", date="丙午冬月")
QUATRAIN = CardText(
    title="The River in Spring",
    lines=("The tide comes level with the sea,", "and on the sea the moon is born."),
    signature="Wenfang",
    language="en",
)
WEB = CardStyle(width_px=620)
TITLE = "送元二使安西途中遇雨夜宿渭城驛樓聞笛寄長安諸友人並序之作也"


def look_of(paper: str, seed: int = 3, **more: object) -> CardStyle:
    return replace(WEB, paper=paper, seed=seed, **more)  # type: ignore[arg-type]


def difference(text: CardText, other: CardText, style: CardStyle) -> NDArray[np.bool_]:
    """Where two cards on the same sheet differ, (H, W)."""
    one, two = (np.asarray(typeset_card(card, style), np.int16) for card in (text, other))
    return np.asarray(np.abs(one - two).max(axis=2) > 12)


@pytest.mark.parametrize("paper", PAPERS)
def test_the_same_words_style_and_seed_give_the_same_pixels(paper: str) -> None:
    first = typeset_card(POEM, look_of(paper)).tobytes()
    assert typeset_card(POEM, look_of(paper)).tobytes() == first
    assert typeset_card(POEM, look_of(paper, seed=4)).tobytes() != first


def test_a_card_has_the_print_size() -> None:
    assert typeset_card(POEM).size == (1240, 1754)
    assert card_size_px(620) == (620, 877)


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("text", [POEM, replace(POEM, lines=FIVE), QUATRAIN])
def test_the_foot_stays_free_of_ink(text: CardText, paper: str) -> None:
    style = look_of(paper)
    bare = replace(text, lines=(text.lines[0][:1],), title="", signature="", date="", seal="")
    _left, top, _right, bottom = quiet_box(620)
    changed = difference(text, bare, style)
    assert changed[:top].any()
    assert not changed[top:bottom].any()
    # What is left there is paper: light, and without anything as dark as ink or a rule.
    foot = np.asarray(typeset_card(text, style).convert("L"))[top:bottom]
    assert foot.min() > 150


def test_the_quiet_foot_has_room_for_a_label_of_a_twentieth_of_the_short_side() -> None:
    _left, top, right, bottom = quiet_box()
    assert right == 1240
    assert bottom - top >= 62 * 2


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("count", [0, 1, 4, 14, 15, 29, 30])
def test_titles_up_to_the_limit_stay_in_the_frame(count: int, paper: str) -> None:
    title = (TITLE * 2)[:count]
    matter = layout.Matter(title=title, lines=SEVEN, signature="文房", date="", seal="文房")
    frame = LOOKS[paper].frame
    placed = layout.vertical_layout(matter, frame, "none", Lettering(size_px=1))
    for run in placed.runs:
        half = run.lettering.size_px / 2
        assert frame.left <= run.x - half
        assert run.x + half <= frame.right
        assert run.y + column_height(run.text, run.lettering) <= frame.bottom + 1
    assert "".join(run.text for run in placed.runs).startswith(title)


def test_a_title_past_the_limit_is_an_error_that_says_so() -> None:
    with pytest.raises(MediaError, match="31 characters"):
        typeset_card(replace(POEM, title=(TITLE * 2)[:31]), WEB)


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("count", [1, 2, 4, 8, 12])
def test_columns_never_overlap(count: int, paper: str) -> None:
    matter = layout.Matter(
        title=TITLE, lines=(SEVEN * 3)[:count], signature="文房", date="丙午冬月", seal="文房"
    )
    placed = layout.vertical_layout(matter, LOOKS[paper].frame, "small", Lettering(size_px=1))
    spans = sorted((run.x, run.lettering.size_px) for run in placed.runs)
    for (x, size), (next_x, next_size) in pairwise(spans):
        assert next_x == x or next_x - x >= (size + next_size) / 2


def test_stops_are_dropped_marked_or_set_as_the_style_says() -> None:
    matter = layout.Matter(title="", lines=SEVEN, signature="", date="", seal="")
    frame, body = LOOKS["plain"].frame, Lettering(size_px=1)

    def placed(stops: StopsName) -> layout.Layout:
        return layout.vertical_layout(matter, frame, stops, body)

    assert [run.text for run in placed("full").runs] == list(SEVEN)
    assert [run.text for run in placed("none").runs] == [line[:-1] for line in SEVEN]
    assert not placed("none").stops
    assert [stop.hollow for stop in placed("small").stops] == [False, True, False, True]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_text_too_long_for_a_card_is_an_error(language: str) -> None:
    for lines in (("word " * 900,), ("長" * 80,) * 20, ("短",) * 25):
        with pytest.raises(MediaError, match=r"too long|holds"):
            typeset_card(CardText(lines=lines, language=language), WEB)


def test_an_empty_card_and_an_unknown_paper_are_errors() -> None:
    with pytest.raises(MediaError, match="at least one line"):
        typeset_card(CardText(lines=("  ",)), WEB)
    with pytest.raises(MediaError, match="plain, ruled, dusk"):
        typeset_card(POEM, look_of("velvet"))
    with pytest.raises(MediaError, match="px wide"):
        typeset_card(POEM, CardStyle(width_px=9))


def test_a_character_that_cannot_be_drawn_is_named() -> None:
    with pytest.raises(MediaError, match="\U0010fffd"):
        typeset_card(replace(POEM, signature="\U0010fffd"), WEB)


def test_a_poem_with_a_rare_character_is_set_in_one_face_throughout() -> None:
    rare = "爲君一曲滿江南"
    lettering = Lettering(size_px=40, repertoire=rare)
    faces = {face.getname() for part in (rare, "春江花月") for face, _text in runs(part, lettering)}
    assert len(faces) == 1


def test_long_latin_lines_are_wrapped_inside_the_frame() -> None:
    line = "It is a truth that a line may well be longer than the sheet on which it stands"
    matter = layout.Matter(title=line, lines=(line,) * 3, signature="W", date="", seal="文房")
    frame = LOOKS["plain"].frame
    placed = layout.horizontal_layout(matter, frame, Lettering(size_px=1, style="serif"))
    for run in placed.runs:
        width = line_width(run.text, run.lettering)
        assert frame.left <= run.x
        assert run.x + width <= frame.right
        assert abs(run.x + width / 2 - 620) < 1
    assert placed.seal is not None
    assert placed.seal.top + placed.seal.height <= frame.bottom


@pytest.mark.parametrize("carving", ["white", "red"])
@pytest.mark.parametrize("characters", ["印", "文房", "文房印", "文房之印"])
def test_a_seal_is_worn_but_bears_its_characters(characters: str, carving: Carving) -> None:
    mask = stamp_mask(characters, (90, 90), 1, carving)
    other = stamp_mask("王" * len(characters), (90, 90), 1, carving)
    assert mask.shape == (90, 90)
    assert 0 <= mask.min() <= mask.max() <= 1
    assert 0.2 < mask.mean() < 0.9
    assert np.abs(mask - other).mean() > 0.05


def test_a_seal_of_five_characters_is_an_error() -> None:
    with pytest.raises(MediaError, match="1 to 4"):
        typeset_card(replace(POEM, seal="文房四寶齋"), WEB)
