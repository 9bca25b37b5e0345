"""Office packages (ECMA-376 part 2): read within bounds, parts replaced, the label as a property.

Parts that are not touched are copied in their compressed form; of the others, what is not ours
stays as its program wrote it.
"""

from __future__ import annotations

import io
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from html import escape

from wenfang.errors import SealError
from wenfang.seal.formats.contract import Drawn
from wenfang.seal.formats.markup import BrokenError, Element, append_to, scan, spliced
from wenfang.seal.label import bare_json, parse_label

MAX_PARTS = 10_000
MAX_READ_PARTS = 400  # of which the words are read
_PATTERN = re.compile("Master|Layout")  # parts whose text is a pattern for what people write
MAX_CUSTOM_PARTS = 4  # with properties; programs write one
MAX_PART_BYTES = 32 << 20
CONTENT_TYPES = "[Content_Types].xml"
ROOT_RELATIONS = "_rels/.rels"
CUSTOM = "docProps/custom.xml"
PROPERTY = "AIGC"

_FORMAT_ID = "{D5CDD505-2E9C-101B-9397-08002B2CF9AE}"  # the set of custom properties
_CUSTOM_NS = "http://schemas.openxmlformats.org/officeDocument/2006/custom-properties"
_TYPES_NS = "http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes"
_RELATIONS_NS = "http://schemas.openxmlformats.org/package/2006/relationships"
_CUSTOM_RELATION = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships/custom-properties"
)
_CUSTOM_TYPE = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_OLE = b"\xd0\xcf\x11\xe0"  # the container of encrypted office files and of those before 2007
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_FIRST_DAY = (0, 33)  # 1980-01-01 00:00 as a zip counts
_UTF8 = 0x800
_ENCRYPTED = 0x1


@dataclass(frozen=True, kw_only=True)
class Package:
    """The parts of an office file."""

    data: bytes
    entries: tuple[zipfile.ZipInfo, ...]
    names: Mapping[str, zipfile.ZipInfo] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes) -> Package:
        """The package in `data`; BrokenError if there is none within bounds."""
        if not data.startswith(b"PK\3\4") or data.count(b"PK\1\2") > MAX_PARTS:
            raise BrokenError
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = tuple(archive.infolist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
            raise BrokenError from None
        names = {one.filename: one for one in entries}
        if len(names) != len(entries):
            raise BrokenError
        return cls(data=data, entries=entries, names=names)

    def raw(self, entry: zipfile.ZipInfo) -> bytes:
        """An entry's bytes as they lie in the file, compressed."""
        head = self.data[entry.header_offset : entry.header_offset + _LOCAL.size]
        if len(head) < _LOCAL.size or not head.startswith(b"PK\3\4"):
            raise BrokenError
        *_, name_bytes, extra_bytes = _LOCAL.unpack(head)
        start = entry.header_offset + _LOCAL.size + name_bytes + extra_bytes
        content = self.data[start : start + entry.compress_size]
        if len(content) != entry.compress_size:
            raise BrokenError
        return content

    def read(self, name: str) -> bytes:
        """A part's content; BrokenError if it is absent, encrypted, damaged or over 32 MB."""
        entry = self.names.get(name)
        if entry is None or entry.flag_bits & _ENCRYPTED:
            raise BrokenError
        content = self.raw(entry)
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            try:
                content = zlib.decompressobj(-15).decompress(content, MAX_PART_BYTES + 1)
            except zlib.error:
                raise BrokenError from None
        elif entry.compress_type != zipfile.ZIP_STORED:
            raise BrokenError
        if len(content) > MAX_PART_BYTES or zlib.crc32(content) != entry.CRC:
            raise BrokenError
        return content

    def relations(self, name: str) -> list[Element]:
        """The relationships in a part of them, [] if there is no such part."""
        if name not in self.names:
            return []
        return scan(self.read(name), lambda path: path == ("Relationships", "Relationship"))

    def related(self, source: str, kind: str) -> list[str]:
        """Names of the parts that `source` ("" for the package) relates to as `kind`.

        kind: the last word of the relationship's type, hyphens aside, as strict files lack them
        """
        folder, name = posixpath.split(source)
        return [
            self.resolve(source, one.attributes.get("Target", ""))
            for one in self.relations(posixpath.join(folder, "_rels", f"{name}.rels"))
            if _kind(one) == kind and one.attributes.get("TargetMode") != "External"
        ]

    def main_part(self) -> str:
        """The name of the part that the file is about; BrokenError unless there is one."""
        found = self.related("", "officedocument")
        if len(found) != 1 or found[0] not in self.names:
            raise BrokenError
        return found[0]

    @staticmethod
    def resolve(source: str, target: str) -> str:
        """The part that a relationship of `source` points to."""
        base = posixpath.dirname(source)
        return posixpath.normpath(posixpath.join("/", base, target)).lstrip("/")

    def with_parts(self, parts: Mapping[str, bytes]) -> bytes:
        """The file with `parts` put in place of those of the same name, or behind all others."""
        files: list[tuple[zipfile.ZipInfo, bytes]] = []
        for entry in self.entries:
            if entry.filename in parts:
                files.append(_packed(entry.filename, parts[entry.filename]))
            else:
                files.append((entry, self.raw(entry)))
        files += [_packed(name, parts[name]) for name in parts if name not in self.names]
        return _archive(files)


def _kind(relation: Element) -> str:
    return relation.attributes.get("Type", "").rpartition("/")[2].replace("-", "").lower()


def _packed(name: str, content: bytes) -> tuple[zipfile.ZipInfo, bytes]:
    """A compressed entry without a clock in it."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type, entry.CRC, entry.file_size = (
        zipfile.ZIP_DEFLATED,
        zlib.crc32(content),
        len(content),
    )
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return entry, packer.compress(content) + packer.flush()


def _archive(files: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """A zip of compressed entries; sizes are in the headers, so no descriptor follows a part."""
    out, directory = io.BytesIO(), io.BytesIO()
    for entry, content in files:
        name, flags = _name(entry)
        clock, calendar = _clock(entry)
        shared = (flags, entry.compress_type, clock, calendar, entry.CRC)
        sizes = (len(content), entry.file_size, len(name), 0)
        offset = out.tell()
        out.write(_LOCAL.pack(b"PK\3\4", 20, *shared, *sizes) + name + content)
        directory.write(_CENTRAL.pack(b"PK\1\2", 20, 20, *shared, *sizes, 0, 0, 0, 0, offset))
        directory.write(name)
    start, listing, count = out.tell(), directory.getvalue(), len(files)
    out.write(listing + _END.pack(b"PK\5\6", 0, 0, count, count, len(listing), start, 0))
    return out.getvalue()


def _clock(entry: zipfile.ZipInfo) -> tuple[int, int]:
    """An entry's time and date as a zip counts them."""
    year, month, day, hour, minute, second = entry.date_time
    if not 1980 <= year <= 2107:
        return _FIRST_DAY
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def _name(entry: zipfile.ZipInfo) -> tuple[bytes, int]:
    """The name's bytes and the flag that tells how they are encoded."""
    if entry.filename.isascii():
        return entry.filename.encode("ascii"), 0
    if entry.flag_bits & _UTF8:
        return entry.filename.encode("utf-8"), _UTF8
    return entry.filename.encode("cp437"), 0


def open_package(payload: bytes, name: str) -> Package:
    """The package of an office file that can be sealed; SealError says why one cannot."""
    if payload.startswith(_OLE):
        raise SealError(
            "the {name} to publish is encrypted or of a format before 2007; save it as {name} "
            "without a password",
            name=name,
        )
    try:
        package = Package.of(payload)
        types = package.read(CONTENT_TYPES)
    except BrokenError:
        raise broken(name) from None
    if b"macroEnabled" in types or any(one.endswith("vbaProject.bin") for one in package.names):
        raise SealError("the {name} to publish holds macros; save it without them", name=name)
    if any(one.startswith("_xmlsignatures/") for one in package.names):
        raise SealError(
            "the {name} to publish has a digital signature, which the label would break; "
            "seal it first and sign it then",
            name=name,
        )
    return package


def broken(name: str) -> SealError:
    """The error for a file that is not what its name says."""
    return SealError(
        "the {name} to publish is damaged, or no {name}; open it and save it again", name=name
    )


def is_package_with(data: bytes, folder: str) -> bool:
    """Whether `data` is an office file with parts in `folder`; "" for any office file."""
    try:
        names = Package.of(data).names
    except BrokenError:
        return False
    return CONTENT_TYPES in names and any(one.startswith(folder) for one in names)


def package_words(data: bytes) -> str:
    """The text of all parts about the main one: paragraphs on lines of their own."""
    try:
        package = Package.of(data)
        folder = posixpath.dirname(package.main_part()) + "/"
        parts = [
            one
            for one in package.names
            if one.startswith(folder) and one.endswith(".xml") and not _PATTERN.search(one)
        ]
        return "\n".join(
            filter(None, (_words(package.read(one)) for one in parts[:MAX_READ_PARTS]))
        )
    except BrokenError:
        return ""


def _words(xml: bytes) -> str:
    """Texts (`t`) of a part, a line for each paragraph (`p`)."""
    lines, line = list[str](), list[str]()
    for one in scan(xml, lambda path: path[-1] in ("t", "p")):
        if one.name == "t":
            line.append(one.text)
        else:
            lines.append("".join(line).strip())
            line = []
    return "\n".join(filter(None, lines))


def _custom_names(package: Package) -> list[str]:
    """The parts with custom properties: those related, and one of the usual name."""
    related = package.related("", "customproperties")
    usual = [CUSTOM] if CUSTOM in package.names else []
    names = [one for one in dict.fromkeys([*usual, *related]) if one in package.names]
    return names[:MAX_CUSTOM_PARTS]


def _properties(xml: bytes) -> list[Element]:
    return scan(xml, lambda path: path == ("Properties", "property"))


def property_labels(data: bytes) -> list[object]:
    """The label in every custom property that is called AIGC."""
    try:
        package = Package.of(data)
        return [
            parse_label(one.text.strip())
            for name in _custom_names(package)
            for one in _properties(package.read(name))
            if one.attributes.get("name") == PROPERTY
        ]
    except BrokenError:
        return []


def _without_property(xml: bytes) -> bytes:
    ours = [one for one in _properties(xml) if one.attributes.get("name") == PROPERTY]
    return spliced(xml, [(one.start, one.end, b"") for one in ours])


def strip_property(data: bytes) -> bytes:
    """The file without its AIGC properties; itself where it has none or cannot be read."""
    try:
        package = Package.of(data)
        parts = {name: package.read(name) for name in _custom_names(package)}
        cleaned = {name: _without_property(xml) for name, xml in parts.items()}
        changed = {name: xml for name, xml in cleaned.items() if xml != parts[name]}
        return package.with_parts(changed) if changed else data
    except BrokenError:
        return data


def write_property(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """The labelled file with one custom property AIGC, in place of any that it had."""
    package = Package.of(strip_property(drawn.data))
    try:
        names = _custom_names(package)
        parts = dict(_new_part(package)) if not names else {}
        name = names[0] if names else CUSTOM
        xml = parts[name] if not names else package.read(name)
        parts[name] = _with_property(xml, bare_json(label))
    except BrokenError:
        raise broken("file") from None
    return replace(drawn, data=package.with_parts(parts))


def _with_property(xml: bytes, text: str) -> bytes:
    numbers = [one.attributes.get("pid", "") for one in _properties(xml)]
    free = max([1, *(int(one) for one in numbers if one.isdecimal() and len(one) < 9)]) + 1
    element = (
        f'<property xmlns="{_CUSTOM_NS}" xmlns:vt="{_TYPES_NS}" fmtid="{_FORMAT_ID}" '
        f'pid="{free}" name="{PROPERTY}"><vt:lpwstr>{escape(text, quote=False)}</vt:lpwstr>'
        "</property>"
    )
    (root,) = scan(xml, lambda path: len(path) == 1)
    return spliced(xml, [append_to(xml, root, element.encode())])


def _new_part(package: Package) -> Iterator[tuple[str, bytes]]:
    """An empty part for custom properties, with its type and the relationship to it."""
    yield CUSTOM, _DECLARATION + f'<Properties xmlns="{_CUSTOM_NS}"></Properties>'.encode()
    override = f'<Override PartName="/{CUSTOM}" ContentType="{_CUSTOM_TYPE}"/>'
    yield CONTENT_TYPES, _appended(package.read(CONTENT_TYPES), override)
    taken = {one.attributes.get("Id") for one in package.relations(ROOT_RELATIONS)}
    number = next(number for number in range(1, MAX_PARTS) if f"rId{number}" not in taken)
    relation = f'<Relationship Id="rId{number}" Type="{_CUSTOM_RELATION}" Target="{CUSTOM}"/>'
    yield ROOT_RELATIONS, _appended(package.read(ROOT_RELATIONS), relation)


def _appended(xml: bytes, empty_tag: str) -> bytes:
    """`xml` with one more child at the end of its root, in the root's namespace."""
    (root,) = scan(xml, lambda path: len(path) == 1)
    child = empty_tag.replace(" ", f' xmlns="{root.namespace}" ', 1)
    return spliced(xml, [append_to(xml, root, child.encode())])
