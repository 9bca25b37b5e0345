"""Messages in the reader's language.

English templates are written where they are used and serve as keys; `locale/<code>.json` holds
their translations. `WENFANG_LANG` chooses; anything but a known code means English. Where
many readers are served at once, `speaking` chooses for one of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import resources

LANGUAGES = ("en", "zh")
_CHOSEN: ContextVar[str] = ContextVar("wenfang_language", default="")


def language() -> str:
    """The code of the chosen language: one of LANGUAGES."""
    if _CHOSEN.get():
        return _CHOSEN.get()
    code = os.environ.get("WENFANG_LANG", "en").lower().replace("_", "-").split("-")[0]
    return code if code in LANGUAGES else "en"


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Messages in this language until the block ends, in this thread or task alone."""
    token = _CHOSEN.set(code if code in LANGUAGES else "")
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def set_language(code: str) -> None:
    """Messages in this language from here on, in this thread's context alone."""
    _CHOSEN.set(code if code in LANGUAGES else "")


@lru_cache
def catalogue(code: str) -> dict[str, str]:
    """English template -> template in language `code`; empty for English."""
    if code == "en":
        return {}
    text = resources.files("wenfang").joinpath("locale", f"{code}.json").read_text("utf-8")
    table: dict[str, str] = json.loads(text)
    return table


def t(template: str, /, **values: object) -> str:
    """`template` in the chosen language with its {fields} filled from `values`."""
    chosen = catalogue(language()).get(template, template)
    return chosen.format(**values) if values else chosen


def keyed(template: str, /) -> str:
    """`template` itself: a message that is kept as data and shown through `t` when it is read."""
    return template
