"""Who writes: what a scenario asks of any writer, and what it gets back.

A writer is a bundle on this machine, a Hugging Face folder, or an OpenAI-compatible endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from wenfang.store import Manifest

OnText = Callable[[str], None]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one side of a talk said; the system says how to answer."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request for `count` drafts.

    system  how to write, for writers that follow instructions
    talk    a whole talk that waits for its next turn, in place of prompt and system
    stop    texts that end a draft; they are not part of it
    schema  JSON Schema that every draft must meet, None for plain text
    """

    prompt: str
    system: str = ""
    count: int = 1
    seed: int = 0
    temperature: float = 0.8
    maximum_tokens: int = 256
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    talk: tuple[Turn, ...] = ()
    top_p: float = 1.0

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The talk, or what the prompt and the system say as one."""
        if self.talk:
            return self.talk
        begin = (Turn(role="system", content=self.system),) if self.system else ()
        return (*begin, Turn(role="user", content=self.prompt))


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One answer.

    log_probability_nats  of its tokens, None where the writer does not tell
    finish                "stop": it ended by itself; "length": it was cut at maximum_tokens
    prompt_tokens         what was read for it, None where the writer does not tell; no part of
                          what two drafts are compared by
    """

    text: str
    tokens: int | None = None
    log_probability_nats: float | None = None
    finish: Literal["stop", "length"] = "stop"
    prompt_tokens: int | None = field(default=None, compare=False)


class Writer(Protocol):
    """Anything that answers an Ask.

    name       as it is named in `--set writer=…` and in manifests; never holds a key
    made_from  manifests of what it is, sources first: a bundle's lineage, or one manifest of
               kind "bundle" that names the endpoint and its model
    """

    name: str
    made_from: tuple[Manifest, ...]

    def write(self, ask: Ask, on_text: OnText = lambda text: None) -> list[Draft]:
        """`ask.count` drafts; on_text is told each piece of the first one as it comes."""
        ...
