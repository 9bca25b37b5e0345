"""SVG read within bounds: where its parts lie in the bytes, how large it is shown, what it hides.

Nothing here trusts the file: entities are refused, depth and size are bounded, and what is rendered
is a copy without scripts and without references to other files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from wenfang.errors import MediaError
from wenfang.language import keyed

SVG_NAMESPACE = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
LIMIT_BYTES = 16 << 20
MAX_DEPTH, MAX_ELEMENTS = 256, 200_000
# Elements that run or load something, and those that may look different when they are shown.
ACTIVE = frozenset({"script", "iframe", "object", "embed", "handler", "listener"})
CHANGING = frozenset(
    {"animate", "animateColor", "animateMotion", "animateTransform", "set", "discard"}
    | {"foreignObject", "text", "video", "audio", "canvas"}
)
_PICTURE = re.compile(r"\s*data:image/(png|jpe?g|gif|webp)[;,]", re.IGNORECASE)
_LOADED = re.compile(r"@import|image-set\(|url\((?![\s'\"]*(?:#|data:))", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{1,6})\s?|\\(.)")
_ATTRIBUTE = re.compile(rb"\s+([^\s=/>]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_TAG_NAME = re.compile(rb"<([^\s/>]+)")


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A start tag in the bytes: from `<` to behind `>`; values are spans within the quotes."""

    start: int
    end: int
    empty: bool
    values: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """An SVG as read.

    prefix      what stands before the names of its elements, "" or such as "svg:"
    root        the outermost element's start tag, and its attributes
    closing     offset of its end tag; that of the start tag where it is empty
    metadata    the first metadata element that is the root's child
    refused     what it would run or load, in words; "" for nothing
    changing    whether it may look different from one reader or moment to another
    opening     definitions of namespaces of the root, for the inert copy
    inert       its content without anything that runs or loads, as text
    """

    prefix: str
    root: Tag
    attributes: Mapping[str, str]
    closing: int
    metadata: Tag | None
    refused: str
    changing: bool
    opening: str
    inert: str


class _Stop(Exception):  # noqa: N818 - a signal inside the parser, never shown
    def __init__(self, fault: str) -> None:
        self.fault = fault


class _Reader:
    """One pass over the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.depth, self.elements, self.skipping = 0, 0, 0
        self.root: Tag | None = None
        self.metadata: Tag | None = None
        self.attributes: dict[str, str] = {}
        self.opening: list[str] = []
        self.closing = 0
        self.refused, self.changing = "", False
        self.inert: list[str] = []
        self.in_style = 0
        self.prefix = ""
        parser = self.parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = self.doctype
        parser.XmlDeclHandler = self.declaration
        parser.ProcessingInstructionHandler = self.instruction
        parser.buffer_text = True
        self.space: list[dict[str, str]] = [{}]

    def read(self) -> None:
        self.parser.Parse(self.data, True)

    def declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "utf8", "us-ascii"):
            raise _Stop("encoding")

    def doctype(self, name: str, system: str | None, public: str | None, subset: bool) -> None:
        if subset:
            raise _Stop("entities")

    def instruction(self, target: str, data: str) -> None:
        if target == "xml-stylesheet":
            self.refuse("xml-stylesheet")

    def refuse(self, what: str) -> None:
        self.refused = self.refused or what

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise _Stop("depth")
        self._enter(attributes)
        local = name.rpartition(":")[2]
        namespace = self._namespace(name)
        if self.root is None:
            if local != "svg" or namespace != SVG_NAMESPACE:
                raise _Stop("root")
            self.root = _tag(self.data, self.parser.CurrentByteIndex)
            self.attributes = dict(attributes)
            self.prefix = name[: -len("svg")]
            self._judge(local, attributes)
            return
        if self.depth == 2 and local == "metadata" and namespace == SVG_NAMESPACE:
            self.metadata = self.metadata or _tag(self.data, self.parser.CurrentByteIndex)
        self._judge(local, attributes)
        foreign = namespace != SVG_NAMESPACE
        if self.skipping or foreign or local in ACTIVE or local in ("metadata", "foreignObject"):
            self.skipping += 1
            return
        self.in_style += local == "style"
        self.inert.append(f"<{name}{_attributes(attributes, self._loads)}>")

    def end(self, name: str) -> None:
        self.depth -= 1
        self.space.pop()
        if self.depth == 0:
            self.closing = self.parser.CurrentByteIndex
        elif self.skipping:
            self.skipping -= 1
        else:
            self.in_style -= name.rpartition(":")[2] == "style"
            self.inert.append(f"</{name}>")

    def text(self, data: str) -> None:
        if self.skipping or self.depth == 0:
            return
        if self.in_style:
            self.changing = self.changing or "@" in data or "animation" in data
            if _loading(data):
                self.refuse("url()")
        self.inert.append(escape(data))

    def _enter(self, attributes: Mapping[str, str]) -> None:
        known = self.space[-1]
        declared = {key: value for key, value in attributes.items() if key.startswith("xmlns")}
        self.space.append({**known, **declared} if declared else known)

    def _namespace(self, name: str) -> str:
        prefix, colon, _ = name.rpartition(":")
        return self.space[-1].get(f"xmlns:{prefix}" if colon else "xmlns", "")

    def _judge(self, local: str, attributes: Mapping[str, str]) -> None:
        """Remember what the element would run or load."""
        self.changing = self.changing or local in CHANGING
        if local in ACTIVE:
            self.refuse(local)
        for key, value in attributes.items():
            short = key.rpartition(":")[2].lower()
            address = short in ("href", "src") and self._reaches_out(local, value)
            if address or short.startswith("on"):
                self.refuse(key)
            elif key == "attributeName" and value.rpartition(":")[2].lower() == "href":
                self.refuse(f"{local} href")
            elif not key.startswith("xmlns") and _loading(value):
                self.refuse("url()")

    def _reaches_out(self, local: str, value: str) -> bool:
        address = re.sub(r"\s", "", value).lower()
        if local == "a":
            return address.startswith(("javascript:", "data:", "vbscript:"))
        return bool(address) and not address.startswith(("#", "data:image/"))

    def _loads(self, key: str, value: str) -> bool:
        """Whether the inert copy leaves an attribute out."""
        short = key.rpartition(":")[2].lower()
        if short in ("href", "src"):
            return not (value.strip().startswith("#") or _PICTURE.match(value))
        return short.startswith("on") or _loading(value)


def _loading(style: str) -> bool:
    """Whether a style or an attribute asks for another file, its escapes undone."""
    if "(" not in style and "@" not in style:
        return False
    return bool(_LOADED.search(_ESCAPE.sub(_unescaped, style)))


def _unescaped(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else 0
    return chr(code) if 0 < code < 0x110000 else found[2] or ""


def _tag(data: bytes, start: int) -> Tag:
    """The start tag at an offset where the parser found one."""
    name = _TAG_NAME.match(data, start)
    position = name.end() if name else start
    values = {}
    while found := _ATTRIBUTE.match(data, position):
        key = found[1].decode("utf-8", "replace")
        values[key] = (found.start(2) + 1, found.end(2) - 1)
        position = found.end()
    end = data.find(b">", position) + 1
    return Tag(start=start, end=end, empty=data[end - 2 : end] == b"/>", values=values)


def _attributes(attributes: Mapping[str, str], leave_out: object = None) -> str:
    kept = (
        (key, value)
        for key, value in attributes.items()
        if not (callable(leave_out) and leave_out(key, value))
    )
    return "".join(f" {key}={quoteattr(value)}" for key, value in kept)


def read_svg(data: bytes, name: str = "the SVG") -> Drawing:
    """The parts of an SVG in UTF-8.

    raises MediaError if it is none, is broken, too large or deep, or declares entities
    """
    faults = {
        "encoding": keyed("{name} is not written in UTF-8; save it as UTF-8"),
        "entities": keyed("{name} declares entities of its own; save it without a document type"),
        "depth": keyed("{name} is too deep or has too many elements; make it simpler"),
        "root": keyed("{name} is not an SVG; export it again"),
    }
    if len(data) > LIMIT_BYTES:
        raise MediaError(
            "{name} has {size} bytes, the limit is {limit}; make it smaller",
            name=name, size=len(data), limit=LIMIT_BYTES,
        )  # fmt: skip
    reader = _Reader(data)
    try:
        reader.read()
    except _Stop as stop:
        raise MediaError(faults[stop.fault], name=name) from None
    except (expat.ExpatError, UnicodeDecodeError, ValueError) as fault:
        raise MediaError("{name} is not well-formed XML; export it again", name=name) from fault
    assert reader.root is not None, "a well-formed document has a root"
    spaces = {key: one for key, one in reader.attributes.items() if key.startswith("xmlns")}
    inherited = {
        key: one
        for key, one in reader.attributes.items()
        if key not in ("x", "y", "width", "height", "viewBox", "preserveAspectRatio")
        and not key.startswith("xmlns")
    }
    return Drawing(
        prefix=reader.prefix,
        root=reader.root,
        attributes=reader.attributes,
        closing=reader.closing,
        metadata=reader.metadata,
        refused=reader.refused,
        changing=reader.changing,
        opening=_attributes(spaces) + _attributes(inherited, reader._loads),
        inert="".join(reader.inert),
    )


def elements_of(data: bytes, namespace: str, local: str) -> list[tuple[int, int]]:
    """Spans of the outermost elements, and of the attributes elsewhere, of this expanded name.

    [] from where the document breaks, nests too deeply or declares entities.
    """
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    spans: list[tuple[int, int]] = []
    wanted, depth, inside = f"{namespace} {local}", 0, 0
    suffix = re.compile(rb"\s+[^\s=:/>]+:" + local.encode() + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, inside
        depth += 1
        if depth > MAX_DEPTH:
            raise _Stop("depth")
        offset = parser.CurrentByteIndex
        if name == wanted:
            if not inside:
                spans.append((offset, offset))
            inside += 1
        elif wanted in attributes and not inside:
            end = _tag(data, offset).end
            spans.extend(found.span() for found in suffix.finditer(data, offset, end))

    def end(name: str) -> None:
        nonlocal depth, inside
        depth -= 1
        if name == wanted:
            inside -= 1
            if not inside:
                behind = data.find(b">", parser.CurrentByteIndex) + 1
                spans[-1] = (spans[-1][0], behind)

    def doctype(_name: str, _system: object, _public: object, declares: bool) -> None:
        if declares:
            raise _Stop("entities")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, UnicodeDecodeError, ValueError, _Stop):
        return []
    return spans
