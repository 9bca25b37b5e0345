"""Captions: a text divided into lines with times, files of them, and words drawn into a film."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from film_files import film
from wenfang.compose.captioned import CaptionLook, captioned
from wenfang.compose.captions import Lines, Said, captions_of
from wenfang.compose.cut import at_speed, joined, trimmed
from wenfang.compose.subtitles import apart, from_srt, from_vtt, to_srt, to_vtt
from wenfang.errors import ConfigError, MediaError
from wenfang.media.contrast import contrast
from wenfang.media.video import Caption, Film, decode
from wenfang.media.video_encoding import encode

ENGLISH = (
    "Nobody expected the river to rise so quickly that night, but everyone was ready to leave. "
    "They took what they could carry: bread, blankets, and two old books. Dr. Smith stayed behind!"
)
CHINESE = (
    "春江潮水连海平，海上明月共潮生。滟滟随波千万里，何处春江无月明！江流宛转绕芳甸，月照花林皆似霰；"
    "空里流霜不觉飞，汀上白沙看不见。我们在2024年用PyAV处理了第3部影片，“效果很好。”他说。"
)


def widths(text: str) -> tuple[int, int]:
    """(Chinese, other) characters of a line."""
    wide = sum("\u3000" <= one <= "\u9fff" or "\uff00" <= one <= "\uffef" for one in text)
    return wide, len(text) - wide


def bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text)


def words_of(text: str, each_s: float = 0.3, pause_s: float = 0.0) -> list[Said]:
    """English words, or Chinese characters, one after another."""
    pieces = re.findall(r"[A-Za-z0-9']+|[\u4e00-\u9fff]", text)
    return [
        Said(one, place * (each_s + pause_s), place * (each_s + pause_s) + each_s)
        for place, one in enumerate(pieces)
    ]


# --- lines and times


@pytest.mark.parametrize(("text", "seconds"), [(ENGLISH, 14.0), (CHINESE, 25.0)])
def test_the_captions_are_the_text_in_lines_that_are_read_at_once(
    text: str, seconds: float
) -> None:
    found = captions_of(text, seconds)
    assert bare("".join(one.text for one in found)) == bare(text)
    for one in found:
        for line in one.text.splitlines():
            wide, other = widths(line)
            assert wide / 18 + other / 42 <= 1.0001
    assert found[0].start_s == 0
    assert found[-1].end_s == pytest.approx(seconds)
    assert all(one.end_s - one.start_s >= 1 - 1e-9 for one in found)
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in pairwise(found))


def test_lines_end_where_the_text_pauses() -> None:
    found = [one.text for one in captions_of("The moon rose slowly over the hills, and the dogs "
                                             "began to bark. We waited.", 8.0)]  # fmt: skip
    assert found[0] == "The moon rose slowly over the hills,"
    assert [one.text for one in captions_of(CHINESE[:32], 8.0)] == [
        "春江潮水连海平，海上明月共潮生", "滟滟随波千万里，何处春江无月明！",
    ]  # fmt: skip
    kept = captions_of(CHINESE[:32], 8.0, Lines(stops=True, chinese=10))
    assert [one.text for one in kept][:2] == ["春江潮水连海平，", "海上明月共潮生。"]


def test_no_word_is_divided_and_no_line_begins_with_a_mark() -> None:
    for text, asked in ((ENGLISH, Lines(latin=20)), (CHINESE, Lines(chinese=8))):
        lines = [line for one in captions_of(text, 60.0, asked) for line in one.text.splitlines()]
        assert not [line for line in lines if line[0] in "，。！；：、”,.!:;的了们"]
        whole = set(re.findall(r"[A-Za-z]+|\d+", text))
        assert set(re.findall(r"[A-Za-z]+|\d+", " ".join(lines))) == whole


def test_a_word_longer_than_a_line_is_divided() -> None:
    found = captions_of("see " + "a" * 100 + " there", 10.0)
    assert all(len(line) <= 42 for one in found for line in one.text.splitlines())
    assert bare("".join(one.text for one in found)) == "see" + "a" * 100 + "there"


def test_a_line_break_of_the_text_is_kept() -> None:
    assert [one.text for one in captions_of("one\ntwo\n\n three ", 9.0)] == ["one", "two", "three"]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_captions_come_with_the_words_that_were_timed(text: str) -> None:
    words = words_of(text)
    found = captions_of(text, words, start_s=2.0)
    at = 0
    for one in found:
        count = len(words_of(one.text))
        spoken = words[at : at + count]
        assert one.start_s == pytest.approx(2 + spoken[0].start_s, abs=1e-6)
        assert one.end_s >= 2 + spoken[-1].end_s - 1e-6
        at += count
    assert at == len(words)
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in pairwise(found))


def test_the_text_may_be_left_to_the_words() -> None:
    english = captions_of(None, words_of("the moon rises over the sea"))
    assert [one.text for one in english] == ["the moon rises over the sea"]
    mixed = captions_of(None, [Said("我们", 0, 1), Said("用", 1, 1.5), Said("PyAV", 1.5, 2),
                               Said("film", 2, 3)])  # fmt: skip
    assert [one.text for one in mixed] == ["我们用PyAV film"]


def test_phrases_longer_than_a_line_are_divided_in_time() -> None:
    first, second = CHINESE[:16], CHINESE[16:32]
    found = captions_of(first + second, [Said(first + second, 1.0, 9.0)])
    assert len(found) == 2
    assert found[0].start_s == pytest.approx(1.0)
    assert found[1].start_s == pytest.approx(5.0, abs=0.3)
    assert found[1].end_s == pytest.approx(9.0)


def test_words_that_the_text_writes_otherwise_are_passed_over() -> None:
    words = [Said("it", 0, 0.2), Said("cost", 0.2, 0.5), Said("twenty", 0.5, 1.0),
             Said("dollars", 1.0, 1.5), Said("SO", 3.0, 3.2), Said("we", 3.2, 3.4),
             Said("left", 3.4, 4.0)]  # fmt: skip
    found = captions_of("It cost $20. So we left.", words)
    assert [(one.text, one.start_s) for one in found] == [("It cost $20.", 0), ("So we left.", 3.0)]
    with pytest.raises(MediaError, match="none of the timed words"):
        captions_of("something else", [Said("nothing", 0, 1)])


def test_where_nobody_speaks_for_long_a_caption_ends() -> None:
    words = [Said("one", 0, 1.2), Said("two", 1.2, 2.0), Said("three", 9.0, 10.2)]
    found = captions_of("one two three", words)
    assert [(one.text, one.start_s, one.end_s) for one in found] == [
        ("one two", 0, 2.0), ("three", 9.0, 10.2),
    ]  # fmt: skip


def test_short_gaps_are_closed_and_long_ones_stay() -> None:
    words = [Said("One.", 0, 1.5), Said("Two.", 1.6, 3.0), Said("Three.", 6.0, 6.1)]
    found = captions_of("One.\nTwo.\nThree.", words)
    assert [(one.start_s, one.end_s) for one in found] == [(0, 1.6), (1.6, 3.0), (6.0, 7.0)]


def test_quick_captions_share_the_screen_so_that_each_stays_a_second() -> None:
    words = words_of("a b c d e f g h i j", each_s=0.4)
    text = "\n".join("abcdefghij")
    found = captions_of(text, words)
    assert all(one.end_s - one.start_s >= 1 - 1e-9 for one in found)
    assert all(one.end_s <= other.start_s + 1e-9 for one, other in pairwise(found))
    assert all(len(one.text.splitlines()) <= 2 for one in found)
    assert [one.text for one in found] == ["a b\nc", "d e\nf", "g h\ni", "j"]
    assert [one.start_s for one in found] == pytest.approx([0.0, 1.2, 2.4, 3.6])
    alone = captions_of(text, words, Lines(most_lines=1))
    assert [one.text for one in alone] == list("abcdefghij")
    slow = captions_of(text, words_of("a b c d e f g h i j", each_s=0.7))
    assert [one.start_s for one in slow] == pytest.approx([0.0, 1.4, 2.8, 4.2, 5.6])
    with pytest.raises(MediaError, match="do not fit into"):
        captions_of(text, 0.9)


def test_captions_that_share_the_screen_do_not_outgrow_their_lines() -> None:
    lines = [f"line {letter} of some thirty letters" for letter in "abcdef"]
    said_fast = [Said(line, place * 0.4, place * 0.4 + 0.4) for place, line in enumerate(lines)]
    found = captions_of("\n".join(lines), said_fast)
    assert [one.text for one in found] == ["\n".join(lines[at : at + 2]) for at in (0, 2, 4)]
    assert all(one.end_s - one.start_s >= 1 - 1e-9 for one in found)


@pytest.mark.parametrize("times", [0.0, -1.0, float("nan"), float("inf"), 3 * 3600.0])
def test_durations_without_a_meaning_are_refused(times: float) -> None:
    with pytest.raises(MediaError, match="captions cannot last"):
        captions_of("a text", times)


def test_times_that_go_back_and_texts_without_words_are_refused() -> None:
    for words in ([Said("a", 2, 3), Said("b", 1, 4)], [Said("a", 2, 1)],
                  [Said("a", 0, float("nan"))], [Said("a", -1, 1)]):  # fmt: skip
        with pytest.raises(MediaError, match="timed word"):
            captions_of("a b", words)
    for text in ("", "  \n ", "……", "a" * 60_000):
        with pytest.raises(MediaError, match="gives no captions"):
            captions_of(text, 5.0)


@pytest.mark.parametrize(("name", "value"), [
    ("latin", 2), ("chinese", 0), ("most_lines", 3), ("least_s", float("nan")), ("gap_s", -1.0),
])  # fmt: skip
def test_lines_without_a_meaning_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Lines(**{name: value})  # type: ignore[arg-type]


# --- files

SAID = (
    Caption(text="Fish & <chips>\nfor two", start_s=0.5, end_s=2.125),
    Caption(text="春江潮水连海平", start_s=2.125, end_s=4.0),
    Caption(text="a > b", start_s=61.001, end_s=1799.999),
)


def test_captions_come_back_from_both_kinds_of_files() -> None:
    assert from_srt(to_srt(SAID)) == SAID
    assert from_vtt(to_vtt(SAID)) == SAID
    assert to_srt(SAID).startswith(
        "1\n00:00:00,500 --> 00:00:02,125\nFish & <chips>\nfor two\n\n2\n"
    )
    assert to_vtt(SAID).startswith("WEBVTT\n\n00:00:00.500 --> 00:00:02.125\nFish &amp; &lt;chips")
    assert "00:29:59,999" in to_srt(SAID)


def test_an_arrow_or_an_empty_line_in_a_caption_breaks_no_file() -> None:
    odd = (Caption(text="a --> b\n\n\nc", start_s=0, end_s=1), SAID[1])
    assert [one.text for one in from_srt(to_srt(odd))] == ["a -> b\nc", SAID[1].text]
    assert [one.text for one in from_vtt(to_vtt(odd))] == ["a --> b\nc", SAID[1].text]


def test_srt_of_other_programs_is_read() -> None:
    text = (
        "\ufeff1\r\n00:00:01.000 --> 00:00:02,5 X1:10 X2:20\r\n<i>Hi</i> {\\an8}there\r\n"
        "2\r\n0:00:03,000-->0:00:04,000\r\n<font color=\"red\">你好</font>\r\n\r\n\r\n"
        "00:00:05,000 --> 00:00:06,000\r\nno number\r\n\r\n4\r\n00:00:07,000 --> 00:00:08,000\r\n"
    )  # fmt: skip
    found = [(one.text, one.start_s, one.end_s) for one in from_srt(text)]
    assert found == [("Hi there", 1, 2.5), ("你好", 3, 4), ("no number", 5, 6)]


def test_vtt_of_other_programs_is_read() -> None:
    text = (
        "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\nnothing\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start position:10%\n<v Roger>Hi &amp; <b>bye</b>\n\n"
        "01:00.000 --> 01:01.000\n一<00:01:00.500>二\n"
    )
    found = [(one.text, one.start_s, one.end_s) for one in from_vtt(text)]
    assert found == [("Hi & bye", 1, 2), ("一二", 60, 61)]


@pytest.mark.parametrize(("text", "words"), [
    ("", "holds no caption"),
    ("1\n\n2\n", "line 1 of the captions begins no caption"),
    ("1\n00:00:01,000 -> 00:00:02,000\nhi\n", "line 1 of the captions begins no caption"),
    ("1\n00:00:01,000 --> soon\nhi\n", "line 2 of the captions is no time"),
    ("\n\n1\n00:00:05,000 --> 00:00:02,000\nhi\n", "at line 4 of the captions runs from 5.0 to 2"),
    ("1\n00:00:01,000 --> 00:00:01,000\nhi\n", "runs from 1.0 to 1.0"),
    ("1\n02:59:00,000 --> 03:00:00,000\nhi\n", "at most 1800 s"),
    ("just words\nand more\nand more\n", "line 1"),
])  # fmt: skip
def test_what_is_no_srt_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        from_srt(text)


def test_what_is_no_vtt_is_refused() -> None:
    for text in ("", to_srt(SAID), "WEBVTTX\n"):
        with pytest.raises(MediaError, match="no WebVTT"):
            from_vtt(text)
    with pytest.raises(MediaError, match=r"line 3 of a\.vtt is no time"):
        from_vtt("WEBVTT\n\n00:00 --> 00:01\nhi\n", "a.vtt")


def test_captions_are_put_in_order_and_apart() -> None:
    a, b, c = (Caption(text=text, start_s=start, end_s=end)
               for text, start, end in (("a", 0, 5), ("b", 3, 9), ("c", 3, 4)))  # fmt: skip
    found = [(one.text, one.start_s, one.end_s) for one in apart([b, a, c])]
    assert found == [("a", 0, 3), ("b\nc", 3, 9)]


# --- in the picture


def flat(level: int, size: tuple[int, int] = (640, 360), count: int = 25) -> Film:
    frame = np.full((size[1], size[0], 3), level, np.uint8)
    return Film(frames=[frame] * count, fps=Fraction(25))


def changed(made: Film, given: Film) -> NDArray[np.bool_]:
    """(H, W) what differs in the first frame."""
    one, other = next(iter(made.frames)), next(iter(given.frames))
    return np.asarray((one != other).any(axis=2))


def said(text: str, start_s: float = 0.0, end_s: float = 1.0) -> list[Caption]:
    return [Caption(text=text, start_s=start_s, end_s=end_s)]


def test_a_caption_is_seen_in_its_time_and_only_there() -> None:
    given = flat(128)
    made = captioned(given, said("Hello", 0.2, 0.6))
    seen = [bool((one != 128).any()) for one in made.frames]
    assert seen == [False] * 5 + [True] * 10 + [False] * 10
    assert made.captions == tuple(said("Hello", 0.2, 0.6))
    assert all((one == 128).all() for one in given.frames)  # what is given is not written into


@pytest.mark.parametrize("ground", ["outline", "plate"])
@pytest.mark.parametrize("size", [(640, 360), (360, 640), (400, 400)])
@pytest.mark.parametrize("text", [ENGLISH[:80], CHINESE[:32], "Hi\n好"])
def test_a_caption_stays_within_its_margins(ground: str, size: tuple[int, int], text: str) -> None:
    given = flat(128, size)
    for place in ("bottom", "top"):
        look = CaptionLook(ground=ground, place=place, edge=0.1)  # type: ignore[arg-type]
        rows, columns = np.nonzero(changed(captioned(given, said(text), look), given))
        width, height = size
        assert columns.min() >= 0.05 * width - 1
        assert columns.max() <= 0.95 * width + 1
        assert abs(columns.min() + columns.max() - width) < 0.03 * width
        assert rows.min() >= 0.1 * height - 1
        assert rows.max() <= 0.9 * height + 1
        assert rows.mean() > height / 2 if place == "bottom" else rows.mean() < height / 2


@pytest.mark.parametrize("ground", ["outline", "plate"])
@pytest.mark.parametrize("level", [0, 60, 128, 200, 255])
def test_letters_stand_out_from_what_is_beside_them_on_any_ground(ground: str, level: int) -> None:
    """Every pixel of full ink has 4.5:1 against the ring around the letters, also when encoded."""
    look = CaptionLook(ground=ground)  # type: ignore[arg-type]
    made = captioned(flat(level, (1280, 720), 3), said("春江 River"), look)
    black = next(iter(captioned(flat(0, (1280, 720), 1), said("春江 River"), look).frames))
    inked = black.min(axis=2) > 250
    grown = np.asarray(Image.fromarray(inked).convert("L").resize((1280, 720))) > 0
    ring = np.zeros_like(inked)
    for down, right in ((3, 0), (-3, 0), (0, 3), (0, -3)):
        ring |= np.roll(grown, (down, right), (0, 1))
    part = black.min(axis=2) > 8  # letters and their soft edges
    ring &= ~part
    assert inked.sum() > 500
    assert ring.sum() > 500
    for seen in (next(iter(made.frames)), next(iter(decode(encode(made, "mp4")).frames))):
        ink, beside = (np.median(seen[one], axis=0) for one in (inked, ring))
        assert contrast(ink, beside) >= 4.5
        brightest = np.percentile(seen[ring].mean(axis=1), 75)
        assert contrast(ink, [brightest] * 3) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((255, 255, 255), (118, 118, 118)) == pytest.approx(4.54, abs=0.01)
    assert contrast((255, 0, 0), (255, 255, 255)) == pytest.approx(4.0, abs=0.01)


def test_a_caption_too_long_for_its_size_is_set_smaller_and_then_refused() -> None:
    given = flat(128)
    text = ("word " * 40).strip()
    heights = []
    for count in (12, 20, 25):
        rows, _ = np.nonzero(changed(captioned(given, said(text[: 5 * count])), given))
        heights.append(rows.max() - rows.min())
    assert heights[0] >= heights[1] > heights[2]
    with pytest.raises(MediaError, match="does not fit into two lines"):
        captioned(given, said("word " * 80))
    with pytest.raises(MediaError, match="does not fit into two lines"):
        captioned(flat(128, (64, 48)), said("a caption for a stamp"))


def test_lines_of_a_caption_are_kept_where_they_fit() -> None:
    given = flat(128)
    one, two = (changed(captioned(given, said(text)), given) for text in ("Hi you", "Hi\nyou"))
    assert np.ptp(np.nonzero(two)[0]) > 1.7 * np.ptp(np.nonzero(one)[0])


def test_a_character_that_no_font_has_is_refused() -> None:
    with pytest.raises(MediaError, match="no installed font"):
        captioned(flat(128), said("\U0001f9ff\U000103a0"))


def test_a_caption_after_the_end_is_refused_and_one_over_it_is_cut() -> None:
    with pytest.raises(MediaError, match=r"after the film's end at 1\.0 s"):
        captioned(flat(128), said("late", 1.0, 2.0))
    assert captioned(flat(128), said("long", 0.5, 3.0)).captions[0].end_s == 1.0


@pytest.mark.parametrize(("options", "words"), [
    ({"size": 0.5}, "size"), ({"size": float("nan")}, "size"), ({"margin": 0.4}, "margin"),
    ({"edge": -0.1}, "edge"), ({"ground": "glow"}, "outline or a plate"),
    ({"place": "left"}, "neither"), ({"colour": (100, 100, 100)}, "contrast of"),
    ({"ground": "plate", "ground_colour": (120, 120, 120)}, "contrast of"),
])  # fmt: skip
def test_looks_that_cannot_be_read_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CaptionLook(**options)  # type: ignore[arg-type]


def test_dark_letters_on_a_light_plate_can_be_read_too() -> None:
    look = CaptionLook(ground="plate", colour=(20, 20, 20), ground_colour=(255, 255, 255))
    assert look.contrast() >= 4.5


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_the_track_of_captions_goes_along_through_cuts_and_files(kind: str) -> None:
    given = captioned(film(100, size=(320, 180)), said("春江潮水", 1.0, 3.0))
    made = joined([at_speed(trimmed(given, 0.4, 3.4), 2.0), film(25, size=(320, 180))])
    again = decode(encode(made, kind))  # type: ignore[arg-type]
    assert [one.text for one in again.captions] == ["春江潮水"]
    assert again.captions[0].start_s == pytest.approx(0.3, abs=0.002)
    assert again.captions[0].end_s == pytest.approx(1.3, abs=0.002)
