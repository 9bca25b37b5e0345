"""Captions of a text: lines that are read at once, on the screen long enough, none over another.

Lines end where the text pauses if they can. Times come from words that were timed, or from how long
each line takes to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wenfang.errors import ConfigError, MediaError
from wenfang.media.draw import is_wide
from wenfang.media.video import LIMIT_DURATION_S, Caption

LONGEST_TEXT = 50_000
SENTENCE, CLAUSE = frozenset("。！？!?…."), frozenset("，；：、,;:—")
CLOSING, OPENING = frozenset("”’\"'」』）)》〉】]"), frozenset("“‘「『（(《〈【[")
LEANING = frozenset("的了们吗呢吧着們嗎著")  # no line of Chinese begins with these
LEFT_OUT = "，。、；："  # at the end of a Chinese line, as Chinese captions have it
# How long things take to say, in Chinese syllables; a pause of its own follows clause and sentence.
LETTER, DIGIT, CLAUSE_PAUSE, SENTENCE_PAUSE = 0.32, 0.8, 0.7, 1.5
# What breaking a text costs: a line, room left in it, a sentence's end within it, and breaks where
# no sentence or nothing at all ends.
LINE, ROOM, SENTENCE_WITHIN, AT_CLAUSE, AT_WORD = 1.0, 0.6, 0.6, 0.3, 1.2
LOOKED_AHEAD = 60  # characters between a timed word and where the text has it


class Heard(Protocol):
    """Something that was said, as a speech backend tells it too."""

    @property
    def text(self) -> str:
        """A word, or a phrase as it is written."""
        ...

    @property
    def start_s(self) -> float:
        """When it begins."""
        ...

    @property
    def end_s(self) -> float:
        """When it ends."""
        ...


class Said(NamedTuple):
    """A word or a phrase, and when it is heard."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Lines:
    """How captions are divided.

    latin, chinese  most characters of a line, of either kind
    most_lines      of one caption; several come together only where one would be gone too soon
    least_s         every caption stays so long
    gap_s           shorter gaps between captions are closed, so that nothing flickers
    pause_s         a line ends where nobody speaks for so long
    stops           whether a comma or a full stop stays at the end of a Chinese line
    """

    latin: int = 42
    chinese: int = 18
    most_lines: int = 2
    least_s: float = 1.0
    gap_s: float = 0.3
    pause_s: float = 1.0
    stops: bool = False

    def __post_init__(self) -> None:
        given = {
            "latin": (self.latin, 8, 200),
            "chinese": (self.chinese, 4, 100),
            "most_lines": (self.most_lines, 1, 2),
            "least_s": (self.least_s, 0, 10),
            "gap_s": (self.gap_s, 0, 10),
            "pause_s": (self.pause_s, 0, 60),
        }
        for name, (value, least, most) in given.items():
            if not isfinite(value) or not least <= value <= most:
                raise ConfigError("{name} of captions is {value}; give {least} to {most}",
                                  name=name, value=value, least=least, most=most)  # fmt: skip


def captions_of(
    text: str | None,
    times: float | Sequence[Heard],
    asked: Lines | None = None,
    start_s: float = 0.0,
) -> tuple[Caption, ...]:
    """A text as captions.

    text     what is said; None: the words that were timed
    times    how many seconds it takes to say, or its words or phrases in their order with their
             times; those that the text writes in another way are passed over
    start_s  is added to all times
    raises MediaError for no text, times that are none, and a text too long for its time
    """
    asked = asked or Lines()
    given = [] if isinstance(times, int | float) else _ordered(times)
    whole = _written(given) if text is None else text
    whole = "\n".join(" ".join(line.split()) for line in whole.splitlines() if line.strip())
    if len(whole) > LONGEST_TEXT or not any(one.isalnum() for one in whole):
        raise MediaError("a text of {count} characters gives no captions; give words, in all at "
                         "most {most} characters",
                         count=len(whole), most=LONGEST_TEXT)  # fmt: skip
    weights = np.concatenate(([0.0], np.cumsum([_weight(one) for one in whole])))
    if isinstance(times, int | float):
        if not isfinite(times) or not 0 < times <= LIMIT_DURATION_S:
            raise MediaError("captions cannot last {seconds} s; give up to {limit} s",
                             seconds=times, limit=LIMIT_DURATION_S)  # fmt: skip
        spans, limit_s = _broken(whole, asked, frozenset()), float(times)
        timed = [
            (float(weights[first] / weights[-1] * limit_s),
             float(weights[after] / weights[-1] * limit_s))
            for first, after in spans
        ]  # fmt: skip
    else:
        found = _found(whole, given)
        pauses = frozenset(
            other.first
            for one, other in pairwise(found)
            if other.start_s - one.end_s >= asked.pause_s
        )
        spans, limit_s = _broken(whole, asked, pauses), LIMIT_DURATION_S - start_s
        timed = _timed(spans, found, weights)
    drafts = [
        _Draft(_line(whole[first:after], asked), begun_s, ended_s)
        for (first, after), (begun_s, ended_s) in zip(spans, timed, strict=True)
    ]
    return tuple(
        Caption(text=one.text, start_s=start_s + one.start_s, end_s=start_s + one.end_s)
        for one in _readable([one for one in drafts if one.text], asked, limit_s)
    )


def _ordered(times: Sequence[Heard]) -> list[Heard]:
    """The words that were timed; MediaError where their times are none or go back."""
    latest = 0.0
    for number, one in enumerate(times, 1):
        if not (isfinite(one.end_s) and latest <= one.start_s <= one.end_s):
            raise MediaError("timed word {number} ({word}) runs from {start} to {end} s, which "
                             "does not follow the one before; give words in their order",
                             number=number, word=one.text[:40], start=one.start_s,
                             end=one.end_s)  # fmt: skip
        latest = one.start_s
    return list(times)


def _written(words: Sequence[Heard]) -> str:
    """Words as a text: spaces between Latin ones only."""
    text = ""
    for one in words:
        word = one.text.strip()
        apart = text and word and not (is_wide(text[-1]) or is_wide(word[0]))
        text += (" " if apart else "") + word
    return text


def _weight(character: str) -> float:
    """How long a character takes to say, in Chinese syllables."""
    if character in SENTENCE or character == "\n":
        return SENTENCE_PAUSE
    if character in CLAUSE:
        return CLAUSE_PAUSE
    if character.isdigit():
        return DIGIT
    if not character.isalnum():
        return 0.0
    return 1.0 if is_wide(character) else LETTER


# --- lines


def _tokens(text: str, asked: Lines) -> list[tuple[int, int]]:
    """(first, after) of what is not broken: Latin words, Chinese characters with their marks."""
    starts = [0]
    for place in range(1, len(text)):
        before, character = text[place - 1], text[place]
        if character.isspace():
            continue
        leans = character in CLOSING or character in SENTENCE or character in CLAUSE
        joined = leans or character in LEANING or before in OPENING
        beside_wide = is_wide(before) or is_wide(character) or before in CLOSING
        too_long = _width(text[starts[-1] : place + 1], asked) > 1
        if before.isspace() or too_long or (beside_wide and not joined):
            starts.append(place)
    return list(pairwise([*starts, len(text)]))


def _width(text: str, asked: Lines) -> float:
    """The share of a line that a text fills, the space at its end not counted."""
    wide = sum(map(is_wide, text.rstrip()))
    return wide / asked.chinese + (len(text.rstrip()) - wide) / asked.latin


def _ending(token: str) -> float:
    """What it costs to break after a token."""
    bare = token.rstrip().rstrip("".join(CLOSING))
    if token.endswith("\n") or bare[-1:] in SENTENCE:
        return 0.0
    return AT_CLAUSE if bare[-1:] in CLAUSE else AT_WORD


def _broken(text: str, asked: Lines, pauses: frozenset[int]) -> list[tuple[int, int]]:
    """(first, after) of lines, chosen to cost least together; `pauses` are broken before."""
    tokens = _tokens(text, asked)
    endings = [_ending(text[first:after]) for first, after in tokens]
    forced = [after in pauses or text[first:after].endswith("\n") for first, after in tokens]
    best: list[tuple[float, int]] = [(0.0, 0)]  # cost of all before a token, where its line begins
    for last in range(len(tokens)):
        after = tokens[last][1]
        ending = 0.0 if last == len(tokens) - 1 or forced[last] else endings[last]
        found, within = (float("inf"), last), 0
        for first in range(last, -1, -1):
            if first < last and forced[first]:
                break
            within += first < last and endings[first] == 0
            width = _width(text[tokens[first][0] : after], asked)
            if width > 1 + 1e-9 and first < last:
                break
            cost = LINE + ROOM * (1 - width) ** 2 + SENTENCE_WITHIN * within + ending
            found = min(found, (best[first][0] + cost, first))
        best.append(found)
    lines, at = [], len(tokens)
    while at:
        first = best[at][1]
        lines.append((tokens[first][0], tokens[at - 1][1]))
        at = first
    return lines[::-1]


def _line(text: str, asked: Lines) -> str:
    line = text.strip()
    if not asked.stops and any(map(is_wide, line)):
        line = line.rstrip(LEFT_OUT)
    return line if any(one.isalnum() for one in line) else ""


# --- times


class _Place(NamedTuple):
    """Where in the text a timed word stands."""

    first: int
    after: int
    start_s: float
    end_s: float


def _found(text: str, words: Sequence[Heard]) -> list[_Place]:
    """The places of timed words, whatever their case and the marks around them."""
    places = [place for place, one in enumerate(text) if one.isalnum()]
    folded = "".join(text[place].lower()[:1] for place in places)
    found, at = [], 0
    for one in words:
        word = "".join(letter.lower()[:1] for letter in one.text if letter.isalnum())
        first = folded.find(word, at, at + len(word) + LOOKED_AHEAD) if word else -1
        if first < 0:
            continue
        at = first + len(word)
        found.append(_Place(places[first], places[at - 1] + 1, one.start_s, one.end_s))
    if not found:
        raise MediaError("none of the timed words stands in the text; give the text that was said")
    return found


def _timed(
    spans: Sequence[tuple[int, int]], found: Sequence[_Place], weights: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """When each line is said: by its words, or between its neighbours where none was timed."""
    known: list[tuple[float, float] | None] = []
    for first, after in spans:
        inside = [one for one in found if one.first < after and one.after > first]
        known.append(
            (_moment(inside[0], first, weights), _moment(inside[-1], after, weights))
            if inside else None
        )  # fmt: skip
    places = [weights[edge] for span, time in zip(spans, known, strict=True) if time
              for edge in span]  # fmt: skip
    times = [edge for time in known if time for edge in time]
    return [
        time or (float(np.interp(weights[first], places, times)),
                 float(np.interp(weights[after], places, times)))
        for (first, after), time in zip(spans, known, strict=True)
    ]  # fmt: skip


def _moment(word: _Place, place: int, weights: NDArray[np.float64]) -> float:
    """When a place in the text is said, which lies in a word or beside it."""
    inside = min(max(place, word.first), word.after)
    whole = weights[word.after] - weights[word.first]
    share = (weights[inside] - weights[word.first]) / whole if whole else 0.0
    return float(word.start_s + share * (word.end_s - word.start_s))


class _Draft(NamedTuple):
    """A caption whose times may still be too short."""

    text: str
    start_s: float
    end_s: float


def _readable(drafts: list[_Draft], asked: Lines, limit_s: float) -> list[_Draft]:
    """Captions that stay long enough, one after the other, none after `limit_s`."""
    drafts = _paired(drafts, asked, limit_s)
    starts = [one.start_s for one in drafts]
    for place in range(1, len(starts)):
        starts[place] = max(starts[place], starts[place - 1] + asked.least_s)
    latest = limit_s
    for place in range(len(starts) - 1, -1, -1):
        starts[place] = latest = min(starts[place], latest - asked.least_s)
    if starts and starts[0] < -1e-9:
        raise MediaError("{count} captions do not fit into {seconds} s; shorten the text",
                         count=len(starts), seconds=round(limit_s, 2))  # fmt: skip
    found = []
    for one, start_s, after_s in zip(drafts, starts, [*starts[1:], limit_s], strict=True):
        end_s = min(after_s, max(one.end_s, start_s + asked.least_s))
        end_s = after_s if after_s - end_s < asked.gap_s else end_s
        found.append(_Draft(one.text, max(0.0, start_s), end_s))
    return found


def _paired(drafts: list[_Draft], asked: Lines, limit_s: float) -> list[_Draft]:
    """Captions that would be gone too soon, put together with a neighbour while there is room."""
    found = list(drafts)
    place = 0
    while place < len(found) and asked.most_lines > 1:
        after_s = found[place + 1].start_s if place + 1 < len(found) else limit_s
        beside = {
            first: text
            for first in (place, place - 1)
            if 0 <= first < len(found) - 1
            and (text := _together(found[first].text, found[first + 1].text, asked))
        }
        if after_s - found[place].start_s >= asked.least_s or not beside:
            place += 1
            continue
        first = min(beside, key=lambda one: round(found[one + 1].start_s - found[one].end_s, 3))
        one, other = found[first : first + 2]
        found[first : first + 2] = [_Draft(beside[first], one.start_s, other.end_s)]
        place = first
    return found


def _together(one: str, other: str, asked: Lines) -> str:
    """Two captions as one of no more lines than asked; "" where there is no room."""
    lines = [*one.splitlines(), *other.splitlines()]
    while len(lines) > asked.most_lines:
        pairs = [f"{first} {second}" for first, second in pairwise(lines)]
        shortest = min(range(len(pairs)), key=lambda place: _width(pairs[place], asked))
        if _width(pairs[shortest], asked) > 1:
            return ""
        lines[shortest : shortest + 2] = [pairs[shortest]]
    return "\n".join(lines)
