"""Captions as files: SubRip (.srt) and WebVTT (.vtt), written and read."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from wenfang.errors import MediaError
from wenfang.media.video import LIMIT_CAPTIONS, LIMIT_DURATION_S, Caption

TIME = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
ARROW = re.compile(rf"\s*{TIME.pattern}\s*-->\s*{TIME.pattern}(?:\s.*)?$")
SRT_TAG = re.compile(r"</?(?:i|b|u|s|font)\b[^>]*>|\{\\[^}]*\}", re.IGNORECASE)
VTT_TAG = re.compile(r"<[^>]*>")
SKIPPED = ("NOTE", "STYLE", "REGION")


def to_srt(captions: Sequence[Caption]) -> str:
    """SubRip text."""
    blocks = [
        f"{number}\n{_clock(one.start_s, ',')} --> {_clock(one.end_s, ',')}\n"
        + _body(one.text).replace("-->", "->")
        for number, one in enumerate(captions, 1)
    ]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def to_vtt(captions: Sequence[Caption]) -> str:
    """WebVTT text (W3C)."""
    blocks = [
        f"{_clock(one.start_s, '.')} --> {_clock(one.end_s, '.')}\n"
        + _body(one.text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        for one in captions
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def _clock(time_s: float, mark: str) -> str:
    milliseconds = round(time_s * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def _body(text: str) -> str:
    """Without empty lines, which would end a caption."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def from_srt(text: str, name: str = "the captions") -> tuple[Caption, ...]:
    """Captions of SubRip text in order; where two overlap, the first ends as the next begins.

    raises MediaError with the line where it is no SubRip
    """
    return _read(text.removeprefix("\ufeff").splitlines(), 0, name, _srt_words)


def from_vtt(text: str, name: str = "the captions") -> tuple[Caption, ...]:
    """Captions of WebVTT text; places, styles and notes are left out. As `from_srt` else."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        raise MediaError("{name} is no WebVTT, which begins with the line WEBVTT; add it or read "
                         "it as SRT", name=name)  # fmt: skip
    return _read(lines, 1, name, _vtt_words)


def _srt_words(text: str) -> str:
    return SRT_TAG.sub("", text)


def _vtt_words(text: str) -> str:
    return html.unescape(VTT_TAG.sub("", text))


def _read(
    lines: Sequence[str], first: int, name: str, words: Callable[[str], str]
) -> tuple[Caption, ...]:
    """The captions in blocks that empty lines divide."""
    found: list[Caption] = []
    place, skipped = first, SKIPPED if first else ()
    while place < len(lines):
        ended = place
        while ended < len(lines) and lines[ended].strip():
            ended += 1
        block = lines[place:ended]
        timed = any("-->" in one for one in block[:2])
        if block and (timed or not first or place > first) and block[0].split()[0] not in skipped:
            found += _block(block, place + 1, name, words)
        if len(found) > LIMIT_CAPTIONS:
            raise MediaError("{name} holds more than {limit} captions; take a part of them",
                             name=name, limit=LIMIT_CAPTIONS)  # fmt: skip
        place = ended + 1
    if not found:
        raise MediaError("{name} holds no caption; give one with its times", name=name)
    return apart(found)


def _block(
    block: Sequence[str], line: int, name: str, words: Callable[[str], str]
) -> Iterator[Caption]:
    """The captions of a block: a number or a name, times, and words; `line` counts its first."""
    times = [place for place, one in enumerate(block) if "-->" in one]
    if not times or times[0] > 1:
        raise MediaError("line {line} of {name} begins no caption; its time stands before the "
                         "words, as 00:00:01,000 --> 00:00:02,500",
                         line=line, name=name)  # fmt: skip
    for place, after in pairwise([*times, len(block) + 1]):
        match = ARROW.match(block[place])
        if match is None:
            raise MediaError("line {line} of {name} is no time; write it as "
                             "00:00:01,000 --> 00:00:02,500",
                             line=line + place, name=name)  # fmt: skip
        begun, ended = (_seconds(match.groups()[at : at + 4]) for at in (0, 4))
        if not begun < ended <= LIMIT_DURATION_S:
            raise MediaError("the caption at line {line} of {name} runs from {start} to {end} s; "
                             "give a later end, at most {limit} s",
                             line=line + place, name=name, start=begun, end=ended,
                             limit=LIMIT_DURATION_S)  # fmt: skip
        # Where no empty line divides two captions, the number of the next stands before its time.
        last = after - 1 if after <= len(block) and block[after - 1].strip().isdigit() else after
        text = _body(words("\n".join(block[place + 1 : last])))
        if text:
            yield Caption(text=text, start_s=begun, end_s=ended)


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (one or "0" for one in groups)
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return round(whole + int(fraction.ljust(3, "0")) / 1000, 3)


def apart(captions: Iterable[Caption]) -> tuple[Caption, ...]:
    """In order and one at a time: each ends as the next begins; those of one moment are one."""
    found: list[Caption] = []
    for one in sorted(captions, key=lambda caption: caption.start_s):
        if found and one.start_s - found[-1].start_s < 1e-3:
            both, end_s = f"{found[-1].text}\n{one.text}", max(found[-1].end_s, one.end_s)
            found[-1] = replace(found[-1], text=both, end_s=end_s)
            continue
        if found and found[-1].end_s > one.start_s:
            found[-1] = replace(found[-1], end_s=one.start_s)
        found.append(one)
    return tuple(found)
