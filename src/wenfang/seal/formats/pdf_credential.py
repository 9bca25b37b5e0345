"""Room for a C2PA credential in a PDF, in an update behind its unchanged bytes.

The library would write the whole file anew, without its object streams: up to a third larger, and
no longer the payload. C2PA 2.2, A.4: an embedded file that the catalogue names as associated.
"""

from __future__ import annotations

from wenfang.seal.formats.pdf_file import PdfFile
from wenfang.seal.formats.pdf_objects import Dictionary, Name, PdfFault, Ref, Stream
from wenfang.seal.formats.pdf_update import Update

_FILE_NAME = b"content_credential.c2pa"
_RELATION, _C2PA = b"AFRelationship", Name(b"C2PA_Manifest")
_TYPE = Name(b"application/c2pa")


def with_room(data: bytes, size: int) -> tuple[bytes, int]:
    """The PDF with `size` zero bytes where its credential belongs, and their offset.

    A credential that it has already is no longer the file's own. raises PdfFault
    """
    file = PdfFile(data)
    update = Update(file)
    link = file.trailer.get(b"Root")
    if not isinstance(link, Ref):
        raise PdfFault("catalogue")
    head = Dictionary([(b"Type", Name(b"EmbeddedFile")), (b"Subtype", _TYPE)])
    content = update.add(Stream(head, bytes(size)))
    described = update.add(
        Dictionary(
            [
                (b"Type", Name(b"Filespec")),
                (b"F", _FILE_NAME),
                (b"UF", _FILE_NAME),
                (_RELATION, _C2PA),
                (b"Subtype", _TYPE),
                (b"EF", Dictionary([(b"F", content)])),
            ]
        )
    )
    update.replace(link.number, _catalogue(file, described, update))
    made = update.appended()
    place = made.index(b"stream\n" + bytes(size) + b"\nendstream", len(data)) + len(b"stream\n")
    return made, place


def _catalogue(file: PdfFile, described: Ref, update: Update) -> Dictionary:
    """The catalogue with the credential as associated file and, if it is alone, attachment."""
    root = file.root
    associated = file.get(root.get(b"AF"))
    kept = associated if isinstance(associated, list) else []
    others = [one for one in kept if file.dictionary(one).get(_RELATION) != _C2PA]
    changed = root.with_value(b"AF", [*others, described])
    names = file.dictionary(root.get(b"Names"))
    if file.get(names.get(b"EmbeddedFiles")) is not None:
        return changed
    tree = update.add(Dictionary([(b"Names", [_FILE_NAME, described])]))
    return changed.with_value(b"Names", names.with_value(b"EmbeddedFiles", tree))
