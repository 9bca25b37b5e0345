"""What a check is given, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from wenfang.knowledge.verse import Form
from wenfang.language import keyed, t
from wenfang.metrics.text import CopyIndex

if TYPE_CHECKING:
    from PIL import Image

    from wenfang.data.comparison import Comparison
    from wenfang.data.melody_index import MelodyIndex
    from wenfang.data.picture_index import PictureEncoder, PictureIndex, VectorIndex
    from wenfang.media.audio import Sound
    from wenfang.media.midi import Note

# "note" says that something was seen or could not be measured, "warn" that a check failed which
# the policy does not hold a draft for; neither stops anything.
Outcome = Literal["pass", "repair", "block", "warn", "note"]


@runtime_checkable
class ShareIndex(CopyIndex, Protocol):
    """An index that can also tell near copies (`data.training_index` can)."""

    def known_share(self, text: str, window: int) -> float:
        """The largest share, in `window` consecutive n-grams of `text`, that is known; 0..1."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """A draft and what it is judged against; a check that lacks what it needs answers "note".

    The draft:
    text      lines apart by line ends, without title and signature; verse in traditional
              characters, as its rules and its training material are
    form      a verse form, such as `verse.FORMS[5]`; None where the draft is no verse
    facts     what it must tell, by slot (`checks.facts.SLOTS`); empty where it tells none
    picture   its pixels
    melody    its notes, such as `media.midi.notes` gives
    sound     its samples
    said      what is spoken in it: text, from when, until when in seconds
    film_s    how long its pictures last
    siblings  the other texts of its batch; `earlier` texts of pieces made before

    What its model brings along:
    index       of the training texts; `pictures`, `melodies`, `vectors` of the other material
    encoder     what made `vectors`
    licences    licence expression -> names of what bears it, as `Lineage.licences` gives

    What its user asks:
    compared    indexes of the user's own folders (`data.comparison.read_comparison`)
    listed      terms that this house forbids beside the built-in ones; `allowed` frees built-in
                ones, and personal data that may be published (a shop's own telephone)
    thresholds  name of a check -> another threshold than its own; `judge` fills it from a policy
    commercial  whether the draft is for commercial use
    """

    text: str = ""
    form: Form | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    picture: Image.Image | None = None
    melody: tuple[Note, ...] | None = None
    sound: Sound | None = None
    said: tuple[tuple[str, float, float], ...] = ()
    film_s: float | None = None
    siblings: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    index: CopyIndex | None = None
    pictures: PictureIndex | None = None
    melodies: MelodyIndex | None = None
    vectors: VectorIndex | None = None
    encoder: PictureEncoder | None = None
    licences: Mapping[str, tuple[str, ...]] | None = None
    compared: Comparison | None = None
    listed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    commercial: bool = False

    @property
    def lines(self) -> list[str]:
        """Lines of the draft that hold anything but spaces."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    def threshold(self, name: str, own: float) -> float:
        """The threshold that holds for check `name`, whose own one is `own`."""
        return float(self.thresholds.get(name, own))


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


def measured(name: str, version: str, value: float, most: float, evidence: Evidence) -> Check:
    """The answer of a check whose value must not be above `most`; the evidence if it is."""
    failed = value > most
    return Check(
        name=name,
        version=version,
        value=value,
        threshold=most,
        verdict="repair" if failed else "pass",
        evidence=(evidence,) if failed else (),
    )


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


def unread(compared: Comparison | None, endings: tuple[str, ...]) -> tuple[Evidence, ...]:
    """Says how many files of the user's folders could not be compared with."""
    names = compared.unread_of(endings) if compared else ()
    said = "{count} files of the folders could not be read, {name} first; they were not compared"
    return (Evidence(said, {"count": len(names), "name": names[0]}),) if names else ()


NO_TEXT = keyed("there is no text to judge")
