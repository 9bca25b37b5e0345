"""Who reads aloud, by name: espeak-ng, an endpoint (`openai:…`), a program (`command:NAME`)."""

from __future__ import annotations

from collections.abc import Callable

from wenfang.backends.choosing import REMOTE, known_endpoint
from wenfang.backends.speech.espeak import Espeak
from wenfang.backends.speech.speaker import Speaker
from wenfang.errors import NotFoundError


def _open_endpoint(name: str) -> Speaker:
    """`openai:URL#model`, with its key from the environment and its caps from the home."""
    from wenfang.backends.speech.endpoint import OpenAiSpeaker

    endpoint, settings, key, run = known_endpoint(name)
    return OpenAiSpeaker(endpoint, settings, key, run=run)


def _open_command(name: str) -> Speaker:
    """`command:NAME`, a program that voices.json of the home names so."""
    from wenfang.backends.speech.command import CommandSpeaker
    from wenfang.store import home

    return CommandSpeaker(name.partition(":")[2], home())


# What may stand before the first colon of a voice engine's name.
OPENERS: dict[str, Callable[[str], Speaker]] = {REMOTE: _open_endpoint, "command": _open_command}


def open_speaker(name: str = "") -> Speaker:
    """The voice of a name; "" and "espeak" are the one of this machine.

    raises NotFoundError for another name, and what the kind's own opening raises
    """
    if name in ("", Espeak.name):
        return Espeak()
    kind, colon, _ = name.partition(":")
    if colon and kind in OPENERS:
        return OPENERS[kind](name)
    raise NotFoundError(
        "there is no voice engine {name}; name espeak, or one of these kinds: {kinds}",
        name="".join(filter(str.isprintable, name))[:200],
        kinds=", ".join(f"{kind}:…" for kind in OPENERS),
    )
