"""What a client may name: models and writers of this server, no path of it and no other machine.

A brief can name folders, documents and endpoints. On the command line these are the user's own;
here they would be the server's files, and requests that it sends for a stranger.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from wenfang.language import t
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.place import Place

# A bundle, or a sum of them: BASE+ADAPTER:WEIGHT.
NAME = r"\w[\w.-]*(\+\w[\w.-]*(:[\d.]+)?)*"
MODELS = ("writer", "picture", "music", "model")
VOICES = ("engine",)
VOICE = r"(espeak|command:[\w.-]+)?"  # commands are those of the home's voices.json
FILES = ("document", "start", "mask", "policy", "against", "output", "read", "table")
NAME_CHARACTERS = 200


def at_this_machine(here: Place, caller: Caller) -> bool:
    """Whether who asks may name files: an admin of all, where no other machine comes in."""
    return here.settings.on_loopback and caller.manages_all


def require_model_name(name: str, plugged: Collection[str], param: str) -> None:
    """Fault 400 for what is neither a bundle's name nor plugged into this server."""
    known = len(name) <= NAME_CHARACTERS and re.fullmatch(NAME, name)
    if name and name not in plugged and not known:
        message = t(
            "{param} names a place, which a client may not; name a model of /v1/models", param=param
        )
        raise Fault(400, message, "invalid_value", param=param)


def require_local_names(content: Any, plugged: Collection[str], where: str = "") -> None:
    """Fault 400 for a brief, or settings, that name a file or another machine at any depth."""
    try:
        _require_all(content, plugged, where)
    except RecursionError:
        message = t("this is nested too deeply to be read; write it flatter")
        raise Fault(400, message, "invalid_value", param=where or None) from None


def _require_all(content: Any, plugged: Collection[str], where: str) -> None:
    if isinstance(content, list):
        for one in content:
            _require_all(one, plugged, where)
        return
    if not isinstance(content, Mapping):
        return
    for name, value in content.items():
        param = f"{where}.{name}" if where else str(name)
        if isinstance(value, str):
            _require(str(name), value, plugged, param)
        elif name in FILES and value:
            raise _names_file(param)
        elif name != "glossary":  # whose keys are words, not fields
            _require_all(value, plugged, param)


def _require(name: str, value: str, plugged: Collection[str], param: str) -> None:
    if name in MODELS:
        require_model_name(value, plugged, param)
    elif name in VOICES and value not in plugged and not re.fullmatch(VOICE, value):
        message = t("{param} is no voice of this server; leave it out", param=param)
        raise Fault(400, message, "invalid_value", param=param)
    elif value and (name in FILES or name == "glossary"):
        raise _names_file(param)
    elif name == "schema" and value.strip() and not value.lstrip().startswith("{"):
        raise _names_file(param)  # text that is no JSON is taken for a file's name


def _names_file(param: str) -> Fault:
    message = t("{param} names a file, which a client may not; send its content", param=param)
    return Fault(400, message, "invalid_value", param=param)
