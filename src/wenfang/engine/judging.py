"""What the checks say of a file that another program made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from wenfang.checks import MELODY, PICTURE, TEXT, Material, Report
from wenfang.checks.judging import Judge
from wenfang.language import t
from wenfang.media.image import decode_image
from wenfang.media.midi import notes, read_midi
from wenfang.media.svg import read_svg
from wenfang.media.svg_view import render, view_of
from wenfang.seal.formats import Format
from wenfang.store import home

COMPARISONS = "comparisons"  # indexes of the user's folders, in the home
STILLS = ("image/png", "image/jpeg", "image/webp", "image/gif")
MIDI, SVG = "audio/midi", "image/svg+xml"
JUDGED_PX = 512  # longer side at which a drawing is judged


def judge_of(policy: Path | None, use: str, against: Sequence[Path]) -> Judge:
    """The judge that a request asks for; indexes of folders are kept in the home."""
    return Judge.of(policy, use, against, home() / COMPARISONS)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The checks' report on a file, None where none applies; what was seen or could not be."""

    report: Report | None
    notes: tuple[str, ...] = ()


def judge_file(chosen: Format, data: bytes, name: str, how: Judge) -> Judged:
    """Ask the checks that fit the kind of a file; MediaError where its content is broken."""
    material, names = _material(chosen, data, name)
    if not names:
        return Judged(report=None, notes=(t("no check reads this kind of file"),))
    report = how.ask(material, names)
    notes_ = [
        f"{check.name}: {one}"
        for check in report.checks
        if check.verdict == "warn"
        for one in check.evidence
    ]
    return Judged(report=report, notes=tuple(notes_))


def _material(chosen: Format, data: bytes, name: str) -> tuple[Material, Sequence[str]]:
    if chosen.media_type in STILLS:
        return Material(picture=decode_image(data, name)), PICTURE
    if chosen.media_type == SVG:
        return Material(picture=_drawn(data, name)), PICTURE
    if chosen.media_type == MIDI:
        return Material(melody=notes(read_midi(data, name))), MELODY
    text = chosen.words(data) if chosen.words else ""
    return Material(text=text), TEXT if text.strip() else ()


def _drawn(data: bytes, name: str) -> Image.Image:
    """A drawing as it is seen, upon nothing."""
    drawing = read_svg(data, name)
    view = view_of(drawing)
    scale = JUDGED_PX / max(view.width, view.height)
    return render(drawing, view, (0.0, 0.0, view.width, view.height), scale, fonts=True, seconds=5)
