"""What a check is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from wenfang.knowledge.verse import Form
from wenfang.language import t
from wenfang.metrics.text import CopyIndex

# "note" says that something was seen or could not be measured; it stops nothing.
Outcome = Literal["pass", "repair", "block", "note"]


@dataclass(frozen=True, kw_only=True)
class Material:
    """A draft and what it is judged against; a check that lacks what it needs answers "note".

    text     the draft, lines apart by line ends, without title and signature; verse in
             traditional characters, as its rules and its training material are
    form     a verse form, such as `verse.FORMS[5]`; None where the draft is no verse
    index    of the training material, None where there is none
    listed   terms that this house forbids beside the built-in ones; `allowed` frees built-in ones
    """

    text: str
    form: Form | None = None
    index: CopyIndex | None = None
    listed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Lines of the draft that hold anything but spaces."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]


@dataclass(frozen=True)
class Evidence:
    """One observation, kept as template and values so that a report is the same in any language."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return t(self.template, **self.values)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A named, versioned judgement. `value` is None where nothing could be measured."""

    name: str
    version: str
    value: float | None
    threshold: float | None
    verdict: Outcome
    evidence: tuple[Evidence, ...] = ()


def not_measured(name: str, version: str, threshold: float | None, why: str) -> Check:
    """The answer of a check that lacks what it needs; `why` is a message template."""
    return Check(
        name=name,
        version=version,
        value=None,
        threshold=threshold,
        verdict="note",
        evidence=(Evidence(why),),
    )
