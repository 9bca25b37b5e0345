"""A new bundle beside the one that it may take the place of: what each makes, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wenfang import config
from wenfang.atomic import write_json
from wenfang.backends.loading import load_folder
from wenfang.backends.shelf import find_local
from wenfang.data.dataset import Dataset
from wenfang.errors import WenfangError
from wenfang.language import keyed
from wenfang.models.load import Loaded
from wenfang.recipes.build import Run
from wenfang.recipes.samples import FOLDER, OLD, Note, SamplePlan, showing_of, words_of, write_look

COMPARED = "compared.json"
NOTHING_OLDER = keyed("there is no older model to compare with")
CANNOT = keyed("it cannot be compared with the older model: {reason}")
OTHER_THINGS = keyed("{name} makes other things, so no samples are set side by side")
NO_SAMPLES = keyed("{name} makes no samples: {reason}")
BUILT_OTHERWISE = keyed("{name} is built otherwise, so its loss cannot be set beside this one's")
OTHER_MATERIAL = keyed("the numbers on the card of {name} are of other material, and are left out")
# What comes of tensors that do not fit, where two models differ in what nobody thought of.
MISFIT = (RuntimeError, ValueError, TypeError, IndexError, KeyError)
OF_BASE = "_of_base"  # what tuning measures of the base, it names so
SHAPED = ("in_channels", "out_channels", "side_px", "text_width", "classes")  # of any model
# What makes two painters tell the same loss of the same pictures.
PAINTED = ("side_px", "channels", "classes", "latents", "words", "path", "mel")


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that has ended.

    folder  of the run; its bundle lies in `bundle`
    base    that it started from
    values  of its last evaluation
    """

    run: Run
    dataset: Dataset
    folder: Path
    base: Path | None
    values: Mapping[str, float]


def older_of(plan: SamplePlan, base: Path | None, folder: Path, name: str) -> Path | None:
    """The bundle that a run's result may take the place of: that which was asked for, which it
    started from, or which is here under the run's name or the recipe's; None where there is none.
    """
    if plan.against or base:
        return plan.against or base
    own = (folder / "bundle").resolve()
    found = (find_local(one) for one in (folder.name, name))
    return next((one for one in found if one and one.resolve() != own), None)


def compare(ended: Finished, older: Path | None, plan: SamplePlan) -> Path:
    """Write samples/compared.json, and what the older bundle makes of the same words; its path.

    The file tells the older one's name, its `look`, `numbers` as rows of a name, the old value and
    the new one (None where there is none), and `notes` on what could not be compared.
    """
    place = ended.folder / FOLDER / COMPARED
    notes: list[Note] = []
    told: dict[str, Any] = {"old": "", "look": None, "numbers": []}
    new = load_folder(ended.folder / "bundle", ended.base)
    known: dict[str, float] = {}
    if older is None:
        notes.append(Note(template=NOTHING_OLDER))
    else:
        try:
            old = load_folder(older)
            told |= {"old": old.name, "look": _look(ended, old, new, plan, notes)}
            known = _of_old(ended, old, new, notes)
        except WenfangError as error:  # the older one is damaged; the new one is made all the same
            notes.append(Note(template=CANNOT, values={"reason": str(error)}))
    told["numbers"] = _rows(known, _numbers(ended.values, new))
    told["notes"] = [config.to_dict(one) for one in notes]
    write_json(place, told)
    return place


def _of(old: Loaded, template: str, **values: str) -> Note:
    return Note(template=template, values={"name": old.name, **values})


def _look(
    ended: Finished, old: Loaded, new: Loaded, plan: SamplePlan, notes: list[Note]
) -> dict[str, Any] | None:
    """What the old one makes of the same words; None, and a note, where it makes other things."""
    ours = showing_of(new)
    if ours is None:
        return None
    place = ended.folder / FOLDER / OLD
    try:
        theirs = showing_of(old)
        if theirs is None or theirs.kind != ours.kind:
            notes.append(_of(old, OTHER_THINGS))
            return None
        with torch.no_grad():
            shown = theirs.draw(words_of(new, ended.dataset))
        return write_look(shown, place, theirs.kind, old.name, 0, plan.label)
    except WenfangError as error:
        notes.append(_of(old, NO_SAMPLES, reason=str(error)))
        return None


def _of_old(ended: Finished, old: Loaded, new: Loaded, notes: list[Note]) -> dict[str, float]:
    """Numbers of the older bundle that can stand beside the new one's."""
    found: dict[str, float] = {}
    facts = new.manifest["facts"].get("numbers", {})
    for name, value in facts.items():
        if name.endswith(OF_BASE) and _is_number(value):
            found[name.removesuffix(OF_BASE)] = float(value)
    measured = _measured(ended.run, old, new)
    if measured is None:
        notes.append(_of(old, BUILT_OTHERWISE))
    else:
        found |= measured
    if _measured_alike(ended.dataset, old):
        found = _plain(old.manifest["facts"].get("numbers", {})) | found
    elif old.manifest["facts"].get("numbers"):
        notes.append(_of(old, OTHER_MATERIAL))
    return found


def _measured(run: Run, old: Loaded, new: Loaded) -> Mapping[str, float] | None:
    """The run's evaluation of the older model; None where that reads something else."""
    if not _reads_alike(run, old, new):
        return None
    try:
        with torch.no_grad():
            return run.task.evaluate(old.model)
    except MISFIT:
        return None  # a run of hours does not end in a fault of its epilogue


def _reads_alike(run: Run, old: Loaded, new: Loaded) -> bool:
    """Whether the run's evaluation can measure the older model."""
    if type(old.model) is not type(new.model) or old.layout != new.layout:
        return False
    own, other = (one.to_json() if one else "" for one in (run.tokenizer, old.tokenizer))
    known: Any = old.model.config
    asked: Any = new.model.config
    if any(getattr(known, one, None) != getattr(asked, one, None) for one in SHAPED):
        return False
    if own != other or getattr(known, "context", 0) < getattr(asked, "context", 0):
        return False
    if old.words != new.words:
        return False
    if old.painting is None or new.painting is None:
        return old.painting is new.painting
    return all(getattr(new.painting, one) == getattr(old.painting, one) for one in PAINTED)


def _measured_alike(dataset: Dataset, old: Loaded) -> bool:
    """Whether the card's numbers were taken from this very data set."""
    return any(
        one["kind"] == "dataset" and one["payload_sha256"] == dataset.manifest.payload_sha256
        for one in old.ancestors
    )


def _numbers(values: Mapping[str, float], new: Loaded) -> dict[str, float]:
    own = _plain(new.manifest["facts"].get("numbers", {}))
    return {**values, **{n: v for n, v in own.items() if not n.endswith(OF_BASE)}}


def _plain(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in numbers.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rows(
    old: Mapping[str, float], new: Mapping[str, float]
) -> list[tuple[str, float | None, float | None]]:
    """Those that both have come first."""
    names = [*new, *(name for name in old if name not in new)]
    names.sort(key=lambda name: name not in old or name not in new)
    return [(name, old.get(name), new.get(name)) for name in names]
