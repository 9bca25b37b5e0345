"""A word list for safety, in Chinese and English, that sees through common disguises.

Before matching, text is folded: compatibility forms (full width, circled), accents, invisible
characters and case are taken away, and traditional characters become simplified ones. Then
- a Chinese term is found anywhere in a line, its characters repeated or up to three marks apart;
- a Latin term is found between word boundaries, its letters repeated, all of them spaced out, or
  written with look-alike digits and signs; a plural counts as the word.
Not seen through: look-alike letters of other alphabets, homophones, terms broken across lines.

The built-in list (`words.txt`) is small, encoded, and leaves out every term with an innocent
reading in classical verse or everyday prose; `listed` and `allowed` fit it to a house. No message
repeats a term that was found: evidence names lines.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import cast

from wenfang.checks.check import NO_TEXT, Check, Evidence, Material, not_measured
from wenfang.errors import ConfigError, DataError

VERSION = "1"
MAX_LIST_BYTES = 1 << 20
TERMS_ALLOWED = 0

HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
# Letters, marks of a sentence and line ends hold two characters apart; anything else may disguise.
HAN_GAP = re.compile(rf"(?<=[{HAN}])(?:[^\w\n,。!?;:、]|_){{1,3}}(?=[{HAN}])")
LATIN_GAP = r"(?:[^\w\n]|_){1,3}"
LOOK_ALIKES = {"a": "a@4", "e": "e3", "i": "i1!", "o": "o0", "s": "s$5"}
SHORT_LETTERS = 3
# No term has a longer run; cutting it, and bounding one of look-alikes, keeps the search linear.
LONG_RUN = re.compile(r"([^\n])\1{3,}")
LONGEST_RUN = 6
# Letters that draw nothing: fillers of Hangul, the empty Braille cell.
BLANKS = dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0\u2800"))
INVISIBLE = {"Cf", "Mn", "Cc"}
NOTHING = r"(?!)"  # an expression that never matches


@cache
def _simplify() -> Callable[[str], str]:
    from opencc import OpenCC  # 60 ms, so only when a text is checked

    return cast(Callable[[str], str], OpenCC("t2s").convert)


def fold(text: str) -> str:
    """`text` without disguises, line by line: the form in which terms are compared."""
    plain = unicodedata.normalize("NFKD", text.translate(BLANKS)).casefold()
    seen = "".join(
        character
        for character in plain
        if character in "\n\t" or unicodedata.category(character) not in INVISIBLE
    )
    return HAN_GAP.sub("", _simplify()(LONG_RUN.sub(r"\1\1\1", seen)))


@cache
def built_in_terms() -> tuple[str, ...]:
    """The terms that ship, folded; encoded in `words.txt` under its attribution."""
    text = resources.files("wenfang").joinpath("checks", "words.txt").read_text("utf-8")
    body = "".join(line for line in text.splitlines() if not line.startswith("#"))
    try:
        return tuple(base64.b64decode(body, validate=True).decode("utf-8").splitlines())
    except (binascii.Error, UnicodeDecodeError):
        raise DataError("the built-in word list is damaged; install wenfang again") from None


def read_terms(path: Path) -> tuple[str, ...]:
    """Terms of a house's own list: UTF-8, one a line, `#` begins a comment line."""
    try:
        payload = path.read_bytes()
        text = payload.decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            "{path} cannot be read ({reason}); give a text file with one word a line",
            path=path,
            reason=error.strerror,
        ) from None
    except UnicodeDecodeError:
        raise DataError("{path} is not UTF-8 text; give one word a line", path=path) from None
    if len(payload) > MAX_LIST_BYTES or "\0" in text:
        raise DataError("{path} is no word list; give one word a line, 1 MB at most", path=path)
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def words(material: Material) -> Check:
    """No line of the draft holds a listed term; one that does is drawn again.

    The value is the number of terms. The list is what it is: what it leaves out passes.
    """
    held = material.threshold("words", TERMS_ALLOWED)
    if not material.lines:
        return not_measured("words", VERSION, held, NO_TEXT)
    pattern = _pattern(material.listed, material.allowed)
    found = {
        number: len(hits)
        for number, line in enumerate(fold("\n".join(material.lines)).split("\n"), 1)
        if (hits := pattern.findall(line))
    }
    return Check(
        name="words",
        version=VERSION,
        value=float(sum(found.values())),
        threshold=held,
        verdict="repair" if sum(found.values()) > held else "pass",
        evidence=tuple(
            Evidence("line {line} holds {count} listed words", {"line": line, "count": count})
            for line, count in found.items()
        ),
    )


@lru_cache(maxsize=8)
def _pattern(listed: tuple[str, ...], allowed: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for the built-in terms without `allowed`, and `listed`."""
    kept = set(built_in_terms()) - set(_folded(allowed))
    terms = sorted(kept | set(_folded(listed)))
    chinese = [term for term in terms if re.search(f"[{HAN}]", term)]
    latin = [term for term in terms if term not in chinese]
    return re.compile(f"{_chinese(chinese)}|{_latin(latin)}")


def _folded(terms: Iterable[str]) -> list[str]:
    folded = [fold(term).strip() for term in terms]
    if not all(re.search(r"\w", term) for term in folded):
        raise ConfigError("the word list has an entry without a letter; remove it")
    return folded


def _chinese(terms: list[str]) -> str:
    if not terms:
        return NOTHING
    # Looking at the first character alone spares most places the whole list.
    first = "".join(sorted({re.escape(term[0]) for term in terms}))
    return f"(?=[{first}])(?:{'|'.join(_repeated(term, {}) for term in terms)})"


def _latin(terms: list[str]) -> str:
    if not terms:
        return NOTHING
    return f"(?<![a-z0-9])(?:{'|'.join(map(_disguised, terms))})(?![a-z0-9])"


def _disguised(term: str) -> str:
    """Expression of a Latin term; short ones are not looked for behind signs and spaces."""
    alike = LOOK_ALIKES if len(term) > SHORT_LETTERS else {}
    forms = [LATIN_GAP.join(_repeated(word, alike) for word in term.split())]
    if alike and " " not in term:
        forms.append(LATIN_GAP.join(f"{_letter(letter, alike)}{{1,3}}" for letter in term))
    plural = "(?:es)?" if term[-1] in "sxzh" else "s?"
    return f"(?:{'|'.join(forms)}){plural}"


def _repeated(word: str, alike: dict[str, str]) -> str:
    """Each letter as often as in `word`, or a few times more."""
    return "".join(
        f"{_letter(letter, alike)}{{{len(list(run))},{LONGEST_RUN}}}"
        for letter, run in itertools.groupby(word)
    )


def _letter(letter: str, alike: dict[str, str]) -> str:
    return f"[{alike[letter]}]" if letter in alike else re.escape(letter)
