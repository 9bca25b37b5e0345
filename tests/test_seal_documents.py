"""Sealed documents and data, opened again by readers that share nothing with the writer."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import docx
import numpy as np
import pptx
import pypdf
import pypdfium2
import pytest
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    StreamObject,
)

from wenfang.errors import SealError
from wenfang.seal.credential import Claim, read_credential, sign_detached, sign_embedded
from wenfang.seal.formats.contract import Drawn, Format, Marking
from wenfang.seal.formats.data import CSV, JSON, ZIP
from wenfang.seal.formats.docx import DOCX
from wenfang.seal.formats.markup import BrokenError, scan
from wenfang.seal.formats.opc import Package
from wenfang.seal.formats.pdf import PDF
from wenfang.seal.formats.pdf_credential import with_room
from wenfang.seal.formats.pdf_file import PdfFile, unpredicted
from wenfang.seal.formats.pdf_objects import Dictionary, PdfFault
from wenfang.seal.formats.pptx import PPTX
from wenfang.seal.identity import Identity
from wenfang.seal.label import LabelSettings, label_fault, new_label, sidecar_json

SETTINGS = LabelSettings()
LABEL = new_label(SETTINGS, "ab" * 32)
OTHER = new_label(SETTINGS, "cd" * 32)
WORDS = "AI生成 · AI GENERATED"
DOCUMENTS = (PDF, DOCX, PPTX)


def marking(**settings: Any) -> Marking:
    return Marking(settings=LabelSettings(**settings), pointer="0" * 12)


def seal(one: Format, payload: bytes, **settings: Any) -> Drawn:
    assert one.write is not None
    return one.write(one.draw(payload, marking(**settings)), LABEL)


def stripped(one: Format, data: bytes) -> bytes:
    assert one.strip is not None
    return one.strip(data)


def pdf(*, pages: int = 2, rotate: int = 0, crop: tuple[int, ...] = (), ink: bytes = b"") -> bytes:
    """A4 pages with a line of Helvetica, as pypdf writes them."""
    writer = pypdf.PdfWriter()
    for number in range(pages):
        page = writer.add_blank_page(595, 842)
        stream = StreamObject()
        text = b"BT /F1 12 Tf 72 700 Td (Page %d) Tj ET" % number
        stream.set_data(ink or text)
        page[NameObject("/Contents")] = writer._add_object(stream)
        face = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        named = {NameObject(key): NameObject(value) for key, value in face.items()}
        fonts = DictionaryObject({NameObject("/F1"): DictionaryObject(named)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        if rotate:
            page[NameObject("/Rotate")] = NumberObject(rotate)
        if crop:
            page[NameObject("/CropBox")] = ArrayObject(map(NumberObject, crop))
    writer.add_metadata({"/Title": "Spring (river)", "/Author": "江"})
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def modern_pdf() -> bytes:
    """A PDF whose catalogue and page lie in an object stream, with a cross-reference stream."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
               b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 300]/Resources<<>>>>"]  # fmt: skip
    offsets = [sum(len(one) + 1 for one in objects[:at]) for at in range(3)]
    head = b" ".join(b"%d %d" % (number + 1, at) for number, at in enumerate(offsets)) + b" "
    packed = zlib.compress(head + b" ".join(objects))
    out = b"%PDF-1.5\n"
    stream_at = len(out)
    out += b"4 0 obj\n<</Type/ObjStm/N 3/First %d/Filter/FlateDecode/Length %d>>\nstream\n" % (
        len(head), len(packed))  # fmt: skip
    out += packed + b"\nendstream\nendobj\n"
    table_at = len(out)
    rows = [(0, 0, 255), (2, 4, 0), (2, 4, 1), (2, 4, 2), (1, stream_at, 0), (1, table_at, 0)]
    table = b"".join(bytes([a]) + b.to_bytes(2, "big") + bytes([c]) for a, b, c in rows)
    filtered = b"".join(
        b"\2" + bytes((x - y) & 255 for x, y in zip(row, before, strict=True))
        for row, before in zip(
            (table[at : at + 4] for at in range(0, 24, 4)),
            (bytes(4), *(table[at : at + 4] for at in range(0, 20, 4))),
            strict=True,
        )
    )
    content = zlib.compress(filtered)
    out += (
        b"5 0 obj\n<</Type/XRef/Size 6/Root 1 0 R/W[1 2 1]/Filter/FlateDecode"
        b"/DecodeParms<</Predictor 12/Columns 4>>/Length %d>>\nstream\n" % len(content)
    )
    return out + content + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % table_at


def word(paragraphs: int = 3, *, table: bool = False) -> bytes:
    document = docx.Document()
    document.add_heading("春江花月夜", 1)
    for number in range(paragraphs):
        document.add_paragraph(f"Line {number} of the text.")
    if table:
        document.add_table(2, 2).cell(0, 0).text = "cell"
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def slides(count: int = 2) -> bytes:
    show = pptx.Presentation()
    for number in range(count):
        show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = f"Slide {number}"
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def parts(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


PAYLOADS: dict[str, Callable[[], bytes]] = {"pdf": pdf, "docx": word, "pptx": slides}


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.open_or_create(tmp_path_factory.mktemp("home"))


def claim() -> Claim:
    return Claim(title="a", version="1", assertion={"manifest_sha256": "0" * 64})


# All three documents


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_a_sealed_document_has_one_valid_label_and_visible_words(one: Format) -> None:
    payload = PAYLOADS[one.name]()
    assert one.labels(payload) == []
    assert one.measure(payload, {"form": "line"}).status == "unlabelled"
    sealed = seal(one, payload)
    assert one.labels(sealed.data) == [LABEL]
    assert label_fault(one.labels(sealed.data)[0]) is None
    found = one.measure(sealed.data, sealed.visible)
    assert found.status == "good"
    assert found.facts["words"] == WORDS


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_sealing_twice_gives_the_same_bytes(one: Format) -> None:
    payload = PAYLOADS[one.name]()
    assert seal(one, payload).data == seal(one, payload).data


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_a_label_that_was_brought_is_replaced(one: Format) -> None:
    assert one.write is not None
    brought = one.write(Drawn(data=PAYLOADS[one.name](), inserted=None, visible={}), OTHER).data
    assert one.labels(brought) == [OTHER]
    assert one.labels(stripped(one, brought)) == []
    assert one.labels(seal(one, brought).data) == [LABEL]
    clean = PAYLOADS[one.name]()
    assert stripped(one, clean) == clean


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
@pytest.mark.parametrize("language", ["zh", "en", "both"])
@pytest.mark.parametrize("position", ["start", "end"])
def test_each_wording_and_place_is_found_again(one: Format, language: str, position: str) -> None:
    sealed = seal(one, PAYLOADS[one.name](), language=language, position=position)
    found = one.measure(sealed.data, sealed.visible)
    assert (found.status, found.facts["words"]) == ("good", sealed.visible["words"])


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_a_format_knows_its_own_files_only(one: Format) -> None:
    for name, make in PAYLOADS.items():
        assert one.starts is not None
        assert one.starts(make()) == (name == one.name)
        assert ZIP.starts is not None
        assert not ZIP.starts(make())


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
@pytest.mark.parametrize("broken", [b"", b"\0" * 300, b"%PDF-1.4\n", b"PK\3\4" + b"\xff" * 64])
def test_what_is_no_document_is_refused_and_reads_as_nothing(one: Format, broken: bytes) -> None:
    with pytest.raises(SealError, match="damaged"):
        one.draw(broken, marking())
    assert one.labels(broken) == []
    assert one.measure(broken, None).status == "unknown"
    assert stripped(one, broken) == broken


@pytest.mark.parametrize("one", DOCUMENTS, ids=lambda one: one.name)
def test_damaged_files_never_raise(one: Format) -> None:
    sealed = seal(one, PAYLOADS[one.name]()).data
    draw = random.Random(4)
    for number in range(300):
        data = bytearray(sealed[: draw.randrange(len(sealed))] if number % 3 == 0 else sealed)
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(len(data) or 1) : draw.randrange(1, 9)] = draw.randbytes(4)
            data[draw.randrange(len(data))] = draw.randrange(256)
        read_all(one, bytes(data))


def read_all(one: Format, data: bytes) -> None:
    assert isinstance(timed(one.labels, data), list)
    found = timed(lambda data: one.measure(data, {"form": "line"}), data)
    assert found.status in ("good", "unlabelled", "unknown")
    assert isinstance(timed(lambda data: stripped(one, data), data), bytes)
    assert one.starts is not None
    assert timed(one.starts, data) in (True, False)


def timed(read: Callable[[bytes], Any], data: bytes) -> Any:
    start = time.process_time()
    found = read(data)
    assert time.process_time() - start < 2
    return found


# PDF


def text_of(data: bytes, page: int = 0) -> tuple[str, str]:
    """What pypdf and pdfium read on a page."""
    opened = pypdfium2.PdfDocument(data)
    seen = str(opened[page].get_textpage().get_text_range())
    return pypdf.PdfReader(io.BytesIO(data)).pages[page].extract_text(), seen


def information(data: bytes) -> Any:
    return pypdf.PdfReader(io.BytesIO(data)).metadata


def ink_rows(data: bytes, page: int = 0) -> Any:
    """Rows (from the top, 2 px a point) of a rendered page in which something dark stands."""
    picture = pypdfium2.PdfDocument(data)[page].render(scale=2).to_pil().convert("L")
    return np.flatnonzero((np.asarray(picture) < 160).any(axis=1)), picture.size


@pytest.mark.parametrize("make", [pdf, modern_pdf])
def test_pypdf_and_pdfium_read_the_words_and_the_label(make: Callable[[], bytes]) -> None:
    payload = make()
    sealed = seal(PDF, payload)
    assert sealed.data.startswith(payload)
    assert all(WORDS in text for text in text_of(sealed.data))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader = pypdf.PdfReader(io.BytesIO(sealed.data), strict=True)
        assert len(reader.pages) == len(pypdf.PdfReader(io.BytesIO(payload)).pages)
        assert json.loads(str(information(sealed.data)["/AIGC"])) == LABEL
    assert sealed.data.count(b"/AIGC ") == 1


def test_what_a_pdf_says_stays_and_every_page_is_labelled() -> None:
    sealed = seal(PDF, pdf(pages=3))
    reader = pypdf.PdfReader(io.BytesIO(sealed.data))
    found = information(sealed.data)
    assert (found["/Title"], found["/Author"]) == ("Spring (river)", "江")
    for number, page in enumerate(reader.pages):
        assert f"Page {number}" in page.extract_text()
        assert WORDS in page.extract_text()
    assert sealed.visible["pages"] == 3


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [(), (100, 200, 500, 700)])
def test_the_letters_are_seen_at_the_foot_of_the_page(rotate: int, crop: tuple[int, ...]) -> None:
    payload = pdf(rotate=rotate, crop=crop, ink=b"q Q")
    assert len(ink_rows(payload)[0]) == 0
    rows, (_, height) = ink_rows(seal(PDF, payload).data)
    assert len(rows) >= 2 * 8
    assert rows[-1] - rows[0] < 2 * 12
    assert height - rows[-1] < 2 * 40
    rows, _ = ink_rows(seal(PDF, payload, position="start").data)
    assert rows[0] < 2 * 40


@pytest.mark.parametrize("ink", [b"0 0 0 rg 0 0 595 842 re f", b"q q .1 0 0 .1 0 0 cm q (Q) Tj",
                                 b"Q Q", b"5 0 0 5 900 900 cm"])  # fmt: skip
def test_the_label_is_seen_whatever_state_the_page_leaves(ink: bytes) -> None:
    sealed = seal(PDF, pdf(pages=1, ink=ink)).data
    picture = pypdfium2.PdfDocument(sealed)[0].render(scale=2).to_pil().convert("L")
    foot = np.asarray(picture)[-2 * 32 : -2 * 14, 2 * 225 : 2 * 370]
    assert (foot > 230).mean() > 0.5
    assert 0.05 < (foot < 150).mean() < 0.5


def test_a_narrow_page_has_stacked_words_and_a_tiny_one_is_refused() -> None:
    def sized(width: float, height: float) -> bytes:
        writer, buffer = pypdf.PdfWriter(), io.BytesIO()
        writer.add_blank_page(width, height)
        writer.write(buffer)
        return buffer.getvalue()

    sealed = seal(PDF, sized(100, 200))
    assert PDF.measure(sealed.data, sealed.visible).status == "good"
    large: Any = PDF.measure(seal(PDF, sized(3000, 2000)).data, None).facts["letter_points"]
    assert large > 26
    with pytest.raises(SealError, match="no room"):
        seal(PDF, sized(40, 40))


def test_a_label_removed_from_the_page_is_missed() -> None:
    sealed = seal(PDF, pdf(pages=1))
    reader = pypdf.PdfReader(io.BytesIO(sealed.data))
    writer, buffer = pypdf.PdfWriter(clone_from=reader), io.BytesIO()
    page: Any = writer.pages[0]
    page[NameObject("/Contents")] = ArrayObject(list(page["/Contents"])[:-1])
    writer.write(buffer)
    assert PDF.measure(buffer.getvalue(), sealed.visible).status == "unlabelled"


@pytest.mark.parametrize("change", [(b"re f\n0.341 0.314 0.275 rg", b"re f\n0.941 0.941 0.941 rg"),
                                    (b"Q\nq 1.0000", b"Q\nq 0.5000"),
                                    (b"12.0000 cm", b"-99.000 cm")])  # fmt: skip
def test_a_label_made_faint_or_small_or_moved_away_is_seen(change: tuple[bytes, bytes]) -> None:
    sealed = seal(PDF, pdf(pages=1))
    data = sealed.data
    for found in list(re.finditer(rb"/Length (\d+)>>\nstream\n", data)):
        raw = data[found.end() : found.end() + int(found[1])]
        content = zlib.decompress(raw) if raw.startswith(b"x") else raw
        if change[0] in content:
            edited = content.replace(*change)
            packed = zlib.compress(edited, 9) if raw.startswith(b"x") else edited
            packed += b"\0" * (len(raw) - len(packed))
            data = data.replace(raw, packed[: len(raw)])
            break
    assert data != sealed.data
    assert PDF.measure(data, sealed.visible).status == "unlabelled"


def test_two_labels_in_one_dictionary_are_seen_as_two() -> None:
    sealed = seal(PDF, pdf()).data
    twice = sealed.replace(b"/Title (", b"/AIGC (1)/Title (", 1)
    assert len(twice) != len(sealed)
    place = sealed.rindex(b"/AIGC (")
    end = sealed.index(b")", place) + 1
    body = sealed[place:end]
    start = sealed.rindex(b" obj\n", 0, place)
    number = int(sealed[:start].split()[-2])
    extra = b"%d 0 obj\n<<" % number + body + body + b">>\nendobj\n"
    data = sealed + extra
    table = b"xref\n%d 1\n%010d 00000 n \n" % (number, len(sealed))
    last = re.findall(rb"startxref\s+(\d+)", sealed)[-1]
    root = re.findall(rb"/Root (\d+ 0 R)", sealed)[-1]
    data += table + b"trailer\n<</Size 99/Root %s/Info %d 0 R/Prev %s>>\n" % (root, number, last)
    data += b"startxref\n%d\n%%%%EOF\n" % (len(sealed) + len(extra))
    assert PDF.labels(data) == [LABEL, LABEL]


def test_a_label_in_xmp_is_found_and_cut_out() -> None:
    packet = (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'rdf:about="" xmlns:T="http://www.tc260.org.cn/ns/AIGC/1.0/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="application/pdf" {attribute}>'
        "{element}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    )
    bare = json.dumps(LABEL).replace('"', "&quot;")
    forms = [packet.format(attribute=f'T:AIGC="{bare}"', element=""),
             packet.format(attribute="", element=f"<T:AIGC>{bare}</T:AIGC>")]  # fmt: skip
    for xmp in forms:
        writer, buffer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf())), io.BytesIO()
        stream = StreamObject()
        stream.set_data(xmp.encode())
        stream[NameObject("/Type")] = NameObject("/Metadata")
        stream[NameObject("/Subtype")] = NameObject("/XML")
        writer.root_object[NameObject("/Metadata")] = writer._add_object(stream)
        writer.write(buffer)
        brought = buffer.getvalue()
        assert PDF.labels(brought) == [LABEL]
        clean = stripped(PDF, brought)
        assert PDF.labels(clean) == []
        kept = pypdf.PdfReader(io.BytesIO(clean)).xmp_metadata
        assert kept is not None
        assert kept.dc_format == "application/pdf"
        assert PDF.labels(seal(PDF, brought).data) == [LABEL]


def test_an_encrypted_pdf_is_refused_and_has_no_label() -> None:
    writer, buffer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf())), io.BytesIO()
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(buffer)
    with pytest.raises(SealError, match="encrypted"):
        PDF.draw(buffer.getvalue(), marking())
    assert PDF.labels(buffer.getvalue()) == []
    assert PDF.measure(buffer.getvalue(), None).status == "unknown"


def built(objects: dict[int, bytes], trailer: bytes) -> bytes:
    """A PDF of these objects."""
    out, table = bytearray(b"%PDF-1.4\n"), b"xref\n0 1\n0000000000 65535 f \n"
    for number, body in objects.items():
        table += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    tail = table + b"trailer\n" + trailer + b"\nstartxref\n%d\n%%%%EOF" % len(out)
    return bytes(out) + tail


HOSTILE = {
    "pages in a ring": built({1: b"<</Pages 2 0 R>>", 2: b"<</Kids[2 0 R]>>"}, b"<</Root 1 0 R>>"),
    "a reference to itself": built({1: b"1 0 R"}, b"<</Root 1 0 R/Info 1 0 R>>"),
    "lists in lists": built({1: b"[" * 100_000}, b"<</Root 1 0 R/Info 1 0 R>>"),
    "strings in strings": built({1: b"(" * 1_000_000}, b"<</Root 1 0 R/Info 1 0 R>>"),
    "a long dictionary": built({1: b"<<" + b"/A 1" * 60_000 + b">>"}, b"<</Root 1 0 R>>"),
    "a huge table": b"%PDF-1.4\nxref\n0 9999999999\n0000000000 65535 f \ntrailer\n<</Root 1 0 R>>\n"
    b"startxref\n9\n%%EOF",
    "a table that leads to itself": b"%PDF-1.4\nxref\n0 0\ntrailer\n<</Root 1 0 R/Prev 9>>\n"
    b"startxref\n9\n%%EOF",
    "a bomb": built(
        {
            1: b"<</Metadata 2 0 R/Pages 3 0 R>>",
            2: b"<</Filter/FlateDecode/Length %d>>\nstream\n" % len(zlib.compress(bytes(1 << 26)))
            + zlib.compress(bytes(1 << 26))
            + b"\nendstream",
        },
        b"<</Root 1 0 R>>",
    ),
    "objects behind one comment": b"%PDF-1.4\n"
    + b"%" * 2_000_000
    + b"\n1 0 obj\n<</Pages[%s]>>\nendobj\n" % b" ".join(b"%d 0 R" % n for n in range(2, 5000))
    + b"xref\n1 5000\n"
    + b"0000000009 00000 n \n" * 5000
    + b"trailer\n<</Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (9 + 2_000_000 + 1 + 54_000),
    "a comment without end": b"%PDF-1.4\n" + b"%" * 3_000_000 + b"\nstartxref\n9\n%%EOF",
    "spaces without end": b"%PDF-1.4\n" + b" " * 3_000_000 + b"\nstartxref\n9\n%%EOF",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pdf_is_nothing_within_two_seconds(name: str) -> None:
    read_all(PDF, HOSTILE[name])
    assert PDF.labels(HOSTILE[name]) == []
    with pytest.raises(SealError):
        PDF.draw(HOSTILE[name], marking())


def test_row_filters_are_undone() -> None:
    rows = b"\0\1\2\3\2\1\1\1\1\1\1\1\2\1\0\0"
    parameters = Dictionary([(b"Predictor", 15), (b"Columns", 3)])
    assert unpredicted(rows, parameters) == bytes([1, 2, 3, 2, 3, 4, 1, 2, 3, 2, 2, 3])
    with pytest.raises(PdfFault):
        unpredicted(b"\4" + bytes(3), parameters)


def test_the_library_embeds_a_credential_and_one_label_stays(identity: Identity) -> None:
    sealed = seal(PDF, pdf())
    signed = sign_embedded(sealed.data, PDF.media_type, claim(), identity)
    found = read_credential(signed, PDF.media_type, None, (identity.root,))
    assert found.state == "trusted"
    assert PDF.labels(signed) == [LABEL]
    assert PDF.measure(signed, sealed.visible).status == "good"
    assert all(WORDS in text for text in text_of(signed))


@pytest.mark.parametrize("make", [pdf, modern_pdf])
def test_a_credential_fits_behind_the_unchanged_bytes(
    make: Callable[[], bytes], identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = seal(PDF, make())
    signed = signed_in_room(sealed.data, identity, monkeypatch)
    assert signed.startswith(sealed.data)
    assert read_credential(signed, PDF.media_type, None, (identity.root,)).state == "trusted"
    assert PDF.labels(signed) == [LABEL]
    assert PDF.measure(signed, sealed.visible).status == "good"
    assert all(WORDS in text for text in text_of(signed))
    draw = random.Random(2)
    for place in draw.sample(range(len(sealed.data)), 60):
        flipped = signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :]
        found = read_credential(flipped, PDF.media_type, None, (identity.root,))
        assert found.state != "trusted", place


def signed_in_room(data: bytes, identity: Identity, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Sign with our own binding: the hash of all but the room that the credential takes."""
    from wenfang.seal import credential

    plain, size = credential._definition, 0
    for _ in range(4):
        made, place = with_room(data, size)
        assert made[place : place + size] == bytes(size)
        binding = {
            "exclusions": [{"start": place, "length": size}],
            "name": "jumbf manifest",
            "alg": "sha256",
            "hash": list(hashlib.sha256(made[:place] + made[place + size :]).digest()),
            "pad": [0] * 8,
        }

        def bound(*given: Any, binding: dict[str, Any] = binding) -> dict[str, object]:
            found: Any = plain(*given)
            found["assertions"].append({"label": "c2pa.hash.data", "data": binding})
            return dict(found)

        with monkeypatch.context() as patched:
            patched.setattr(credential, "_definition", bound)
            manifest = sign_detached(b"", claim(), identity)
        if len(manifest) == size:
            return made[:place] + manifest + made[place + size :]
        size = len(manifest)
    raise AssertionError("the size of the credential never settles")


def test_an_attachment_survives_the_room_for_a_credential() -> None:
    writer, buffer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf())), io.BytesIO()
    writer.add_attachment("facts.txt", b"river")
    writer.write(buffer)
    made, _ = with_room(buffer.getvalue(), 500)
    assert pypdf.PdfReader(io.BytesIO(made)).attachments["facts.txt"] == [b"river"]
    assert len(PdfFile(made).root[b"AF"]) == 1  # type: ignore[arg-type]


def test_sealing_a_larger_pdf_adds_under_a_tenth(identity: Identity) -> None:
    noise = np.random.default_rng(0).bytes(4_000).hex().encode()
    payload = pdf(pages=60, ink=b"% " + noise + b"\n")
    assert len(payload) > 100_000
    sealed = seal(PDF, payload)
    assert len(sealed.data) < 1.1 * len(payload)


# Word


def test_python_docx_reads_the_words_last_and_the_property() -> None:
    payload = word(table=True)
    sealed = seal(DOCX, payload).data
    document = docx.Document(io.BytesIO(sealed))
    assert document.paragraphs[-1].text == WORDS
    assert document.paragraphs[-1].runs[0].font.size.pt == 10
    before = [one.text for one in docx.Document(io.BytesIO(payload)).paragraphs]
    assert [one.text for one in document.paragraphs[:-1]] == before
    assert document.tables[0].cell(0, 0).text == "cell"
    relation = next(one for one in document.part.package.rels.values() if "custom-p" in one.reltype)
    found = re.findall(r'name="AIGC"><vt:lpwstr>(.*?)</vt', relation.target_part.blob.decode())
    assert [json.loads(one.replace("&quot;", '"')) for one in found] == [LABEL]
    first = docx.Document(io.BytesIO(seal(DOCX, payload, position="start").data))
    assert first.paragraphs[0].text == WORDS


@pytest.mark.parametrize(("one", "touched"), [(DOCX, r"word/document\.xml"),
                                              (PPTX, r"ppt/slides/slide\d\.xml")])  # fmt: skip
def test_parts_that_hold_no_label_stay_as_they_are(one: Format, touched: str) -> None:
    before, after = parts(PAYLOADS[one.name]()), parts(seal(one, PAYLOADS[one.name]()).data)
    assert set(after) - set(before) == {"docProps/custom.xml"}
    changed = {name for name in before if before[name] != after[name]}
    label_parts = {"[Content_Types].xml", "_rels/.rels"}
    assert all(re.fullmatch(touched, name) for name in changed - label_parts)
    assert label_parts < changed
    for name in changed:
        assert len(after[name]) - len(before[name]) < 2_000


def test_properties_of_others_stay() -> None:
    others = (
        '<?xml version="1.0"?><Properties xmlns="http://schemas.openxmlformats.org/officeDocument/'
        '2006/custom-properties" xmlns:v="http://schemas.openxmlformats.org/officeDocument/2006/'
        'docPropsVTypes"><property fmtid="{D5CDD505-2E9C-101B-9397-08002B2CF9AE}" pid="7" '
        'name="Reviewer"><v:lpwstr>王</v:lpwstr></property></Properties>'
    )
    sealed = parts(seal(DOCX, word()).data)
    data = archive({**sealed, "docProps/custom.xml": others.encode()})
    assert DOCX.labels(data) == []
    again = seal(DOCX, data).data
    assert DOCX.labels(again) == [LABEL]
    custom = parts(again)["docProps/custom.xml"].decode()
    assert "王" in custom
    assert re.findall(r'pid="(\d+)"', custom) == ["7", "8"]
    two = custom.replace("</Properties>", custom[custom.rindex("<property") :])
    assert DOCX.labels(archive({**sealed, "docProps/custom.xml": two.encode()})) == [LABEL, LABEL]
    assert parts(stripped(DOCX, again))["docProps/custom.xml"] == others.encode()


@pytest.mark.parametrize("change", [("<w:vanish w:val=\"0\"/>", "<w:vanish/>"),
                                    ('<w:sz w:val="20"/>', '<w:sz w:val="4"/>'),
                                    ('<w:color w:val="575046"/>', '<w:color w:val="FFFFFF"/>'),
                                    ("AI生成", "生成"), ("GENERATED", "RATED")])  # fmt: skip
def test_words_hidden_shrunk_or_changed_are_missed(change: tuple[str, str]) -> None:
    sealed = parts(seal(DOCX, word(), language="both").data)
    text = sealed["word/document.xml"].decode()
    assert change[0] in text
    text = text.replace("AI GENERATED", "") if change[0] == "AI生成" else text
    text = text.replace("AI生成", "") if change[0] == "GENERATED" else text
    data = archive({**sealed, "word/document.xml": text.replace(*change).encode()})
    assert DOCX.measure(data, None).status == "unlabelled"


def test_macros_signatures_and_passwords_are_refused() -> None:
    plain = parts(word())
    cases = {
        "macros": archive({**plain, "word/vbaProject.bin": b"x"}),
        "signature": archive({**plain, "_xmlsignatures/sig1.xml": b"x"}),
        "encrypted": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    }
    for reason, data in cases.items():
        with pytest.raises(SealError, match=reason):
            DOCX.draw(data, marking())
    with pytest.raises(SealError, match="damaged"):
        DOCX.draw(slides(), marking())
    with pytest.raises(SealError, match="damaged"):
        PPTX.draw(word(), marking())


@pytest.mark.slow
def test_entities_depth_and_bombs_in_a_part_are_refused() -> None:
    plain = parts(word())
    entity = b'<!DOCTYPE a [<!ENTITY b "AI">]><w:document xmlns:w="x"><w:body/></w:document>'
    cases = {
        "entity": entity,
        "deep": b"<a>" * 100_000,
        "many": b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
        "bomb": bytes(40 << 20),
        "not UTF-8": "<a>é</a>".encode("utf-16"),
        "cut": plain["word/document.xml"][:-20],
        "a tag of quotes": b"<a b='" + b'"' * 1_000_000,
    }
    for content in cases.values():
        data = archive({**plain, "word/document.xml": content, "docProps/custom.xml": content})
        read_all(DOCX, data)
        with pytest.raises(SealError):
            DOCX.draw(data, marking())
    with pytest.raises(BrokenError):
        scan(entity, lambda path: True)


def test_offsets_of_elements_are_right_whatever_attributes_hold() -> None:
    xml = "<!-- <b> --><a x='>'><b y=\"/>\"/><b>春<c/></b><![CDATA[<b>]]></a>".encode()
    found = scan(xml, lambda path: path[-1] == "b")
    assert [xml[one.start : one.end].decode() for one in found] == ['<b y="/>"/>', "<b>春<c/></b>"]
    assert [xml[one.inside : one.inside_end].decode() for one in found] == ["", "春<c/>"]


def test_an_entry_that_lies_about_its_size_is_broken() -> None:
    data = bytearray(word())
    place = data.rindex(b"PK\1\2")
    data[place + 20 : place + 24] = (1 << 31).to_bytes(4, "little")
    package = Package.of(bytes(data))
    with pytest.raises(BrokenError):
        package.read(package.entries[-1].filename)
    read_all(DOCX, bytes(data))


# PowerPoint


def test_python_pptx_reads_a_text_box_on_every_slide() -> None:
    sealed = seal(PPTX, slides(3)).data
    show = pptx.Presentation(io.BytesIO(sealed))
    for slide in show.slides:
        box = slide.shapes[len(slide.shapes) - 1]
        assert box.text_frame.text == WORDS
        run = box.text_frame.paragraphs[0].runs[0]
        assert run.font.size >= 0.05 * min(show.slide_width, show.slide_height)
        assert 0 <= box.left <= box.left + box.width <= show.slide_width
        assert 0 <= box.top <= box.top + box.height <= show.slide_height
        numbers = [shape.shape_id for shape in slide.shapes]
        assert len(set(numbers)) == len(numbers)


def test_the_text_box_takes_the_freest_corner() -> None:
    show = pptx.Presentation(io.BytesIO(slides(1)))
    width, height = show.slide_width, show.slide_height
    show.slides[0].shapes.add_textbox(width // 3, height // 2, width * 2 // 3, height // 2)
    show.slides[0].shapes.add_textbox(0, 0, width, height // 4)
    buffer = io.BytesIO()
    show.save(buffer)
    box = pptx.Presentation(io.BytesIO(seal(PPTX, buffer.getvalue()).data)).slides[0].shapes[-1]
    assert box.text_frame.text == WORDS
    assert (box.left < width // 4, box.top > height // 2) == (True, True)


@pytest.mark.parametrize("change", [('name="AI label"', 'name="AI label" hidden="1"'),
                                    ('sz="2700"', 'sz="900"'), ('x="', 'x="-9'),
                                    ('val="575046"', 'val="FAF7F0"')])  # fmt: skip
def test_a_text_box_hidden_shrunk_or_moved_is_missed(change: tuple[str, str]) -> None:
    sealed = parts(seal(PPTX, slides(1)).data)
    text = sealed["ppt/slides/slide1.xml"].decode()
    place = text.index("<p:sp xmlns:p=")
    assert change[0] in text[place:]
    edited = text[:place] + text[place:].replace(*change)
    data = archive({**sealed, "ppt/slides/slide1.xml": edited.encode()})
    assert PPTX.measure(data, None).status == "unlabelled"


def test_a_show_without_slides_is_refused() -> None:
    with pytest.raises(SealError, match="no slide"):
        PPTX.draw(slides(0), marking())


@pytest.mark.parametrize("one", [DOCX, PPTX], ids=lambda one: one.name)
def test_a_detached_credential_holds_for_an_office_file(one: Format, identity: Identity) -> None:
    sealed = seal(one, PAYLOADS[one.name]()).data
    detached = sign_detached(sealed, claim(), identity)
    assert read_credential(sealed, "", detached, (identity.root,)).state == "trusted"
    flipped = sealed[:99] + bytes([sealed[99] ^ 1]) + sealed[100:]
    assert read_credential(flipped, "", detached, (identity.root,)).state == "tampered"
    assert one.credential == "sidecar"


# JSON, CSV, ZIP


@pytest.mark.parametrize(("one", "payload"), [
    (JSON, b'\xef\xbb\xbf{"a": [1, 2.5e300, "\\u6625"], "a": null}'),
    (JSON, b"[]"),
    (CSV, "名,数\r\n春,1\r\n".encode("gb18030")),
    (CSV, "a;b\n1;2\n".encode("utf-16")),
    (CSV, b""),
    (ZIP, archive({"a.txt": b"a", "b/c.bin": bytes(9)})),
    (ZIP, archive({})),
])  # fmt: skip
def test_data_stays_as_it_is_and_says_where_its_label_is(one: Format, payload: bytes) -> None:
    drawn = one.draw(payload, marking())
    assert (drawn.data, drawn.inserted, one.write, one.credential) == (payload, (), None, "sidecar")
    assert one.labels(payload) == []
    found = one.measure(payload, drawn.visible)
    assert found.status == "good"
    assert "aigc.json" in found.finding


@pytest.mark.parametrize(("one", "payload", "reason"), [
    (JSON, b"", "line 1"),
    (JSON, b'{"a": 1,\n}', "line 2"),
    (JSON, b"\xff\xfe", "UTF-8"),
    (JSON, b"[NaN]", "NaN"),
    (JSON, b"[" * 200_000, "nested"),
    (CSV, b"a,b\n\0\1,2\n", "not text"),
    (CSV, b"\x81", "not text"),
    (CSV, b"\xff\xfea", "not text"),
    (ZIP, b"", "damaged"),
    (ZIP, archive({"a": b"b"})[:-30], "damaged"),
    (ZIP, b"PK\5\6" + b"\xff" * 18, "damaged"),
    (ZIP, b"PK\1\2" * 100_001, "more than"),
])  # fmt: skip
def test_bytes_of_another_kind_are_refused(one: Format, payload: bytes, reason: str) -> None:
    with pytest.raises(SealError, match=reason):
        one.draw(payload, marking())


def test_another_makers_label_in_json_is_found_as_often_as_it_stands() -> None:
    inside = json.dumps(LABEL)
    assert JSON.labels(sidecar_json(LABEL)) == [LABEL]
    assert JSON.labels(f'{{"AIGC": {inside}, "a": 1, "AIGC": {inside}}}'.encode()) == [LABEL] * 2
    assert JSON.labels(json.dumps({"AIGC": inside}).encode()) == [LABEL]
    assert JSON.labels(f'{{"a": {{"AIGC": {inside}}}}}'.encode()) == []
    for hostile in (b"[" * 200_000, b'{"AIGC":' * 90_000, b"", b"\xff", b"1" * 5_000_000):
        assert JSON.labels(hostile) == []


def test_a_zip_is_told_from_office_files_and_books() -> None:
    assert ZIP.starts is not None
    assert ZIP.starts(archive({"a.txt": b"a"}))
    assert ZIP.starts(archive({"inner.docx": word()}))
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as book:
        book.writestr("mimetype", "application/epub+zip")
    assert not ZIP.starts(stored.getvalue())
    assert not ZIP.starts(b"plain text")
