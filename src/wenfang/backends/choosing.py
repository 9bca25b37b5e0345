"""Who writes, by name: a bundle, a Hugging Face folder (`hub:FOLDER`), an endpoint (`openai:…`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeGuard

from wenfang.backends.loading import is_sum
from wenfang.backends.shelf import find_local
from wenfang.backends.writer import Writer
from wenfang.errors import NotFoundError

if TYPE_CHECKING:
    from wenfang.backends.endpoint.settings import Endpoint, EndpointSettings
    from wenfang.backends.endpoint.spending import Ledger

REMOTE = "openai"
# What this program run has spent, by the endpoint's name: caps are for all its pieces together.
_RUN: dict[str, Ledger] = {}


def known_endpoint(name: str) -> tuple[Endpoint, EndpointSettings, str, Ledger]:
    """`openai:URL#model`: where it is, what the home says of it, its key, and what it has cost."""
    from wenfang.backends.endpoint.settings import key_of_environment, parse_endpoint
    from wenfang.backends.endpoint.spending import Ledger
    from wenfang.store import home

    endpoint, settings = parse_endpoint(name, home())
    run = _RUN.setdefault(endpoint.name, Ledger(settings))
    run.settings = settings
    return endpoint, settings, key_of_environment(settings.key_variable), run


def open_endpoint(name: str) -> Writer:
    """`openai:URL#model`, with its key from the environment and its caps from the home."""
    from wenfang.backends.endpoint.openai import OpenAiWriter

    endpoint, settings, key, run = known_endpoint(name)
    return OpenAiWriter(endpoint, settings, key, run=run)


def open_hub(name: str) -> Writer:
    """`hub:FOLDER`, a folder of this machine."""
    from wenfang.backends.hub import open_folder_writer

    return open_folder_writer(name)


# What may stand before the first colon of a writer's name.
OPENERS: dict[str, Callable[[str], Writer]] = {REMOTE: open_endpoint, "hub": open_hub}


def open_writer(name: str) -> Writer | None:
    """The writer of a name with a kind before its colon; None for that of a bundle.

    raises NotFoundError for another kind, and what the kind's own opening raises
    """
    kind, colon, _ = name.partition(":")
    if not colon or find_local(name):
        return None
    if kind in OPENERS:
        return OPENERS[kind](name)
    if is_sum(name):  # a bundle with adapters, whose weights stand behind colons
        return None
    raise NotFoundError(
        "there is no writer {name}; name a bundle, or one of these kinds: {kinds}",
        name=name,
        kinds=", ".join(f"{kind}:…" for kind in OPENERS),
    )


def is_remote(name: object) -> TypeGuard[str]:
    """Whether a writer's name, such as a record holds it, leads to another machine."""
    return isinstance(name, str) and name.partition(":")[0] == REMOTE and ":" in name


def spent_by(asked: object) -> dict[str, object]:
    """What a writer or a voice has cost, for manifests; nothing for one of this machine."""
    facts = getattr(asked, "facts", None)
    return dict(facts()) if callable(facts) else {}
