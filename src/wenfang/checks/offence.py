"""Does a Chinese text offend? A small classifier of our own reads it passage by passage.

It learnt from comments of up to two hundred characters, so a longer draft is judged in passages,
and the worst one counts. Only Chinese is judged; of anything else the check says so and gives no
number. Verse is judged too, in simplified characters: its false alarms are few. Old novels, rich
in abuse and blood, raise many. What else it cannot do is told by the card of the bundle
`safety-zh`; no message repeats what was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from wenfang.checks.check import Check, Evidence, Material
from wenfang.knowledge.script import to_simplified

VERSION = "1"
# Of validation comments hidden among harmless lines, 60 finds 72 %, 120 finds 59 %, 40 finds 78 %;
# the shorter, the more of a long story is taken amiss (a third of 1000-character stretches at 60).
PASSAGE_CHARACTERS = 60
# Below either, there is too little Chinese to judge: a name, a line of English with a word in it.
MINIMUM_HAN = 4
MINIMUM_HAN_SHARE = 0.5

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
SENTENCE = re.compile(r"[^。！？!?；;]*[。！？!?；;]*")


class Passage(NamedTuple):
    """Some lines of a draft, or part of a long one; `line` is where it begins, from 1."""

    line: int
    text: str


def offence(material: Material) -> Check:
    """No passage of the draft reads as offensive; one that does is drawn again."""
    every = list(passages(to_simplified("\n".join(material.lines))))
    judged = [passage for passage in every if _is_chinese(passage.text)]
    if not judged:
        why = "not judged: this is no Chinese text, and offence is only judged in Chinese"
        return _answer(None, None, (Evidence(why),))
    from wenfang.checks.detector import shipped  # reads a bundle, so only when a text is checked

    detector = shipped()
    found = [(detector.probability(passage.text), passage.line) for passage in judged]
    evidence = [
        Evidence("what begins in line {line} reads as offensive: {value:.2f}", values)
        for value, line in found
        if value > detector.threshold
        for values in [{"line": line, "value": value}]
    ]
    if len(judged) < len(every):
        values = {"count": len(every) - len(judged), "total": len(every)}
        evidence.append(Evidence("{count} of {total} passages are not Chinese: not judged", values))
    return _answer(max(found)[0], detector.threshold, tuple(evidence))


def _answer(value: float | None, threshold: float | None, evidence: tuple[Evidence, ...]) -> Check:
    offends = value is not None and threshold is not None and value > threshold
    return Check(
        name="offence",
        version=VERSION,
        value=value,
        threshold=threshold,
        verdict="note" if value is None else "repair" if offends else "pass",
        evidence=evidence,
    )


def passages(text: str) -> Iterator[Passage]:
    """`text` in passages of whole lines; a longer line is cut between sentences, or anywhere."""
    line, gathered = 1, ""
    for number, one in enumerate(text.split("\n"), 1):
        for piece in _pieces(one):
            if gathered and len(gathered) + len(piece) >= PASSAGE_CHARACTERS:
                yield Passage(line, gathered)
                gathered = ""
            line = line if gathered else number
            gathered = f"{gathered}\n{piece}" if gathered else piece
    if gathered:
        yield Passage(line, gathered)


def _pieces(line: str) -> Iterator[str]:
    if len(line) <= PASSAGE_CHARACTERS:
        yield line
        return
    for sentence in SENTENCE.findall(line):
        for start in range(0, len(sentence), PASSAGE_CHARACTERS):
            yield sentence[start : start + PASSAGE_CHARACTERS]


def _is_chinese(text: str) -> bool:
    han = len(HAN.findall(text))
    letters = sum(character.isalpha() for character in text)
    return han >= MINIMUM_HAN and han >= MINIMUM_HAN_SHARE * letters
