"""Who writes, by name: a bundle, a Hugging Face folder (`hub:FOLDER`), an endpoint (`openai:…`)."""

from __future__ import annotations

from collections.abc import Callable

from wenfang.backends.writer import Writer


def open_endpoint(name: str) -> Writer:
    """`openai:URL#model`, with its key from the environment and its caps from the home."""
    from wenfang.backends.endpoint.openai import OpenAiWriter
    from wenfang.backends.endpoint.settings import key_of_environment, parse_endpoint
    from wenfang.store import home

    endpoint, settings = parse_endpoint(name, home())
    return OpenAiWriter(endpoint, settings, key_of_environment())


def open_hub(name: str) -> Writer:
    """`hub:FOLDER`, a folder of this machine."""
    from wenfang.backends.hub import open_folder_writer

    return open_folder_writer(name)


# What may stand before the first colon of a writer's name.
OPENERS: dict[str, Callable[[str], Writer]] = {"openai": open_endpoint, "hub": open_hub}


def spent_by(writer: object) -> dict[str, object]:
    """What a writer has cost, for manifests; nothing for one of this machine."""
    facts = getattr(writer, "facts", None)
    return dict(facts()) if callable(facts) else {}
