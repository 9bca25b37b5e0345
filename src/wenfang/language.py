"""Messages in the reader's language.

English templates are written where they are used and serve as keys; `locale/<code>.json` holds
their translations. `WENFANG_LANG` chooses; anything but a known code means English.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from importlib import resources

LANGUAGES = ("en", "zh")


def language() -> str:
    """The code of the chosen language: one of LANGUAGES."""
    code = os.environ.get("WENFANG_LANG", "en").lower().replace("_", "-").split("-")[0]
    return code if code in LANGUAGES else "en"


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
