"""PDF: the words at the foot or the top of every page, and `/AIGC` in the information dictionary.

All of it is appended as incremental updates: the payload's bytes stay the file's beginning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from wenfang.errors import SealError
from wenfang.language import t
from wenfang.seal.formats.contract import Drawn, Format, Marking, begins, visible_layer
from wenfang.seal.formats.legible import CONTRAST
from wenfang.seal.formats.markup import BrokenError, scan, spliced
from wenfang.seal.formats.pdf_credential import with_room
from wenfang.seal.formats.pdf_file import HEADER, PdfFile
from wenfang.seal.formats.pdf_line import (
    LETTER_POINTS,
    Drawing,
    drawing,
    frame,
    look,
    placing,
    scale_on,
)
from wenfang.seal.formats.pdf_objects import (
    MAX_TOKENS,
    Budget,
    Dictionary,
    Name,
    PdfFault,
    Ref,
    Stream,
    text_of,
)
from wenfang.seal.formats.pdf_update import Update
from wenfang.seal.formats.xmp import MAX_METADATA_BYTES, NAMESPACE, xmp_labels
from wenfang.seal.label import bare_json, is_label_line, parse_label
from wenfang.seal.layers import Layer

MEDIA_TYPE = "application/pdf"
KEY = b"AIGC"
SMALL_BYTES, SMALL_ALLOWANCE = 100_000, 20_000  # bytes that labels may add to a smaller file
GROWTH, REST_BYTES = 0.10, 5_500  # what sealing may add to a larger one; metadata and credential
OWN_TOKENS = 30 * MAX_TOKENS  # what is to be published is read further than what is verified
Layout = tuple[tuple[str, ...], ...]  # lines of words
MAX_UNCLOSED = 28  # saved graphics states that a page may nest (ISO 32000-1, annex C)
_STRINGS = re.compile(rb"\((?:[^()\\]|\\.)*+\)|%[^\r\n]*+", re.DOTALL)
_SAVES = re.compile(rb"(?<![^\s\[\]>)])([qQ])(?![^\s\[<(/])")
_ATTRIBUTE = re.compile(rb"""\s[\w.-]+:AIGC\s*=\s*("[^"]*"|'[^']*')""")


def _open(payload: bytes) -> PdfFile:
    """A PDF that can be sealed; SealError says why one cannot."""
    try:
        file = PdfFile(payload, Budget(OWN_TOKENS))
        encrypted = file.encrypted
    except PdfFault:
        raise _broken() from None
    if encrypted:
        raise SealError("the PDF to publish is encrypted; save it without a password")
    return file


def _broken() -> SealError:
    return SealError("the PDF to publish is damaged, or no PDF; open it and save it again")


def _allowance(payload_bytes: int) -> float:
    """Bytes that labels on all pages may add; above that, the first page alone has one."""
    if payload_bytes < SMALL_BYTES:
        return SMALL_ALLOWANCE
    return payload_bytes * GROWTH - REST_BYTES


def _draw(payload: bytes, marking: Marking) -> Drawn:
    settings = marking.settings
    file = _open(payload)
    try:
        pages = list(file.pages())
        marked = _Pages(file, settings.words, top=settings.position == "start")
        data, count = marked.labelled(pages)
        if len(data) - len(payload) > _allowance(len(payload)):
            marked = _Pages(file, settings.words, top=settings.position == "start")
            data, count = marked.labelled(pages[:1])
        seen = frame(file, pages[0][1])
    except (PdfFault, IndexError):
        raise _broken() from None
    facts: dict[str, object] = {
        "form": "line",
        "words": settings.line,
        "pages": count,
        "letter_points": round(LETTER_POINTS * scale_on(seen) * seen.unit, 2),
    }
    if _measure(data, facts).status != "good":
        raise _broken()
    return Drawn(data=data, inserted=None, visible=facts)


class _Pages:
    """One update of a file that puts the label on its pages."""

    def __init__(self, file: PdfFile, words: tuple[str, ...], *, top: bool) -> None:
        self.file = file
        self.update = Update(file)
        self.top = top
        self._layouts: tuple[Layout, ...] = ((words,), tuple((word,) for word in words))
        self._drawings: dict[Layout, Drawing] = {}
        self._contents: dict[bytes, Ref] = {}
        self._shared: dict[int, Dictionary] = {}

    def labelled(self, pages: list[tuple[Ref, Dictionary]]) -> tuple[bytes, int]:
        """The file with the label on those of its pages that have room, and on how many.

        raises SealError if the first has none
        """
        count = 0
        for place, (link, page) in enumerate(pages):
            done = self._label(link, page)
            if not done and place == 0:
                raise SealError("the PDF's first page has no room for a label that can be read")
            count += done
        return self.update.appended(), count

    def _drawing(self, lines: Layout) -> Drawing:
        if lines not in self._drawings:
            self._drawings[lines] = drawing(self.update, lines)
        return self._drawings[lines]

    def _label(self, link: Ref, page: Dictionary) -> bool:
        """Put the label on one page, on one line or on several."""
        seen = frame(self.file, page)
        for lines in self._layouts:
            words = self._drawing(lines)
            if placing(seen, words, b"x", top=self.top) is None:
                continue
            name, resources = self._resources(page, words)
            content = placing(seen, words, name, top=self.top)
            assert content is not None
            contents = self.file.get(page.get(b"Contents"))
            old = contents if isinstance(contents, list) else [page.get(b"Contents")]
            before = [one for one in old if isinstance(one, Ref)]
            content = b"Q\n" * self._unclosed(before) + content
            around = [self._content(b"q\n"), *before, self._content(content)]
            changed = page.with_value(b"Contents", around)
            self.update.replace(link.number, changed.with_value(b"Resources", resources))
            return True
        return False

    def _content(self, content: bytes) -> Ref:
        """A content stream, shared by the pages that have the same."""
        if content not in self._contents:
            self._contents[content] = self.update.add(Stream(Dictionary(), content))
        return self._contents[content]

    def _resources(self, page: Dictionary, words: Drawing) -> tuple[bytes, object]:
        """The form's name among a page's resources, and the resources with it."""
        link = page.get(b"Resources")
        known = self._shared.get(link.number) if isinstance(link, Ref) else None
        resources = self.file.dictionary(link) if known is None else known
        forms = self.file.dictionary(resources.get(b"XObject"))
        for name in forms:
            if forms[name] == words.form:
                return name, link
        names = (Name(b"AIGC%d" % number) for number in range(1, len(forms) + 2))
        name = next(one for one in names if one not in forms)
        added = resources.with_value(b"XObject", forms.with_value(name, words.form))
        if not isinstance(link, Ref):
            return name, added
        self._shared[link.number] = added
        self.update.replace(link.number, added)
        return name, link

    def _unclosed(self, contents: list[Ref]) -> int:
        """Graphics states that the page saves and never restores; 0 where that cannot be read."""
        depth = 0
        try:
            for link in contents:
                stream = self.file.get(link)
                content = self.file.decoded(stream) if isinstance(stream, Stream) else b""
                for found in _SAVES.findall(_STRINGS.sub(b" ", content)):
                    depth = depth + 1 if found == b"q" else max(0, depth - 1)
        except PdfFault:
            return 0
        return min(depth, MAX_UNCLOSED)


def _information(file: PdfFile) -> tuple[Ref | None, Dictionary]:
    """The information dictionary and where it is."""
    link = file.trailer.get(b"Info")
    return (link if isinstance(link, Ref) else None), file.dictionary(link)


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """One `/AIGC`, in place of any that there was; labels in XMP go too."""
    try:
        file = PdfFile(_strip_xmp(drawn.data))
        update = Update(file)
        link, old = _information(file)
        changed = old.with_value(KEY, bare_json(label).encode())
        if link is None:
            link = update.add(changed)
        else:
            update.replace(link.number, changed)
        return replace(drawn, data=update.appended({b"Info": link}))
    except PdfFault:
        raise _broken() from None


def _metadata(file: PdfFile) -> tuple[Ref | None, bytes]:
    """The XMP packet of the document and where it is."""
    link = file.root.get(b"Metadata")
    stream = file.get(link)
    if not isinstance(stream, Stream) or not isinstance(link, Ref):
        return None, b""
    content = file.decoded(stream)
    return link, content if len(content) <= MAX_METADATA_BYTES else b""


def _labels(data: bytes) -> list[object]:
    """Every `/AIGC` of the information dictionary, and those in the document's XMP."""
    try:
        file = PdfFile(data)
        if file.encrypted:
            return []
        _, information = _information(file)
        values = [value for key, value in information.repeated if key == KEY]
        values += [information[KEY]] if KEY in information else []
        found = [parse_label(text_of(file.get(value))) for value in values]
    except PdfFault:
        return []
    try:
        return found + [parse_label(text) for text in xmp_labels(_metadata(file)[1])]
    except PdfFault:
        return found


def _strip(data: bytes) -> bytes:
    """The file without labels, by an update; itself where it has none or cannot be read."""
    try:
        data = _strip_xmp(data)
        file = PdfFile(data)
        link, old = _information(file)
        if KEY not in old or link is None or file.encrypted:
            return data
        update = Update(file)
        update.replace(link.number, Dictionary([(k, v) for k, v in old.items() if k != KEY]))
        return update.appended()
    except PdfFault:
        return data


def _strip_xmp(data: bytes) -> bytes:
    """The file with an XMP packet from which labels are cut out; itself where it has none."""
    file = PdfFile(data)
    try:
        link, packet = _metadata(file)
        cleaned = _without_labels(packet)
    except (PdfFault, BrokenError):
        return data
    if file.encrypted or link is None or cleaned == packet:
        return data
    update = Update(file)
    head: list[tuple[bytes, object]] = [(b"Type", Name(b"Metadata")), (b"Subtype", Name(b"XML"))]
    update.replace(link.number, Stream(Dictionary(head), cleaned))
    return update.appended()


def _without_labels(packet: bytes) -> bytes:
    if not xmp_labels(packet):
        return packet
    name = f"{NAMESPACE} AIGC"
    edits: list[tuple[int, int, bytes]] = []
    for one in scan(packet.strip(b"\0 \r\n"), lambda path: True):
        if (one.namespace, one.name) == (NAMESPACE, "AIGC"):
            edits.append((one.start, one.end, b""))
        elif name in one.attributes:
            tag = packet[one.start : one.inside]
            edits.append((one.start, one.inside, _ATTRIBUTE.sub(b"", tag)))
    return spliced(packet.strip(b"\0 \r\n"), edits)


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    """The label that is drawn on the first page, by what its content draws."""
    try:
        file = PdfFile(data)
        seen = None if file.encrypted else look(file, next(file.pages())[1])
    except (PdfFault, StopIteration):
        return visible_layer("unknown", t("the {name} cannot be read", name="PDF"))
    if seen is None or not is_label_line(seen.words):
        if not recorded:
            return visible_layer("unknown", t("nothing says where the visible label is"))
        return visible_layer("unlabelled", t("no visible label was found on the first page"))
    facts = {
        "words": seen.words,
        "letter_points": seen.letter_points,
        "contrast": round(seen.contrast, 2),
    }
    if seen.letter_points < LETTER_POINTS or seen.contrast < CONTRAST or not seen.inside:
        finding = t("the visible label is hidden, too small or too faint to read")
        return visible_layer("unlabelled", finding, facts)
    return visible_layer("good", t("visible label: {words}", words=seen.words), facts)


def _room(data: bytes, size: int) -> tuple[bytes, int]:
    try:
        return with_room(data, size)
    except PdfFault as fault:
        raise SealError("the PDF has no place for a credential ({fault})", fault=fault) from None


PDF = Format(
    name="pdf",
    media_type=MEDIA_TYPE,
    suffixes=(".pdf",),
    credential="embedded",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    room=_room,
    starts=begins(HEADER),
    strip=_strip,
)
