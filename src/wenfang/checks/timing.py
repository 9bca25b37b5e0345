"""Is speech as fast as speech is, and are sound and picture of a film equally long?"""

from __future__ import annotations

import re
from itertools import pairwise

from wenfang.checks.check import Check, Evidence, Material, measured, not_measured

VERSION = "1"
HAN = re.compile(r"[\u3400-\u9fff]")
LATIN = re.compile(r"[A-Za-zÀ-ɏ]+")
VOWELS = re.compile(r"[aeiouyà-ü]+", re.IGNORECASE)
DIGIT = re.compile(r"\d")
SLOWEST, FASTEST = 0.8, 9.0  # syllables a second that are still understood as speech
MOST_ODD_SHARE = 0.0
MOST_APART_S = 0.04


def speech_timing(material: Material) -> Check:
    """The value is the share of phrases that are spoken too fast, too slowly or over each other."""
    most = material.threshold("speech_timing", MOST_ODD_SHARE)
    if not material.said:
        return not_measured("speech_timing", VERSION, most, "nothing is said in it")
    odd = [
        text
        for text, start_s, end_s in material.said
        if not SLOWEST <= syllables(text) / max(end_s - start_s, 1e-6) <= FASTEST
    ]
    for before, after in pairwise(material.said):
        if after[1] < before[2] - 1e-3 and after[0] not in odd:
            odd.append(after[0])
    share = len(odd) / len(material.said)
    evidence = Evidence("{text} is not spoken at a speed of speech", {"text": "; ".join(odd[:3])})
    return measured("speech_timing", VERSION, share, most, evidence)


def syllables(text: str) -> float:
    """About how many syllables a text has: characters, groups of vowels, digits."""
    words = LATIN.findall(text)
    spoken = sum(max(1, len(VOWELS.findall(word))) for word in words)
    return max(1.0, float(len(HAN.findall(text)) + spoken + len(DIGIT.findall(text))))


def film_timing(material: Material) -> Check:
    """The value is by how many seconds sound and picture of a film end apart."""
    most = material.threshold("film_timing", MOST_APART_S)
    if material.film_s is None or material.sound is None:
        return not_measured("film_timing", VERSION, most, "there is no film with sound to judge")
    apart = round(abs(material.film_s - material.sound.duration_s), 4)
    evidence = Evidence("sound and picture end {seconds} s apart", {"seconds": f"{apart:.3f}"})
    return measured("film_timing", VERSION, apart, most, evidence)
