"""XML that others wrote: elements found within bounds, and bytes put in or cut out at them.

Expat refuses document types, so there are no entities to expand. Nothing is written anew: what is
not ours stays as its program wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from xml.parsers import expat

MAX_ELEMENTS = 400_000
MAX_DEPTH = 128


class BrokenError(Exception):
    """A package or part that cannot be read; never shown, each caller says what it means."""


@dataclass(frozen=True, kw_only=True)
class Element:
    """Where an element stands in its part: offsets of its start tag, of its content, and its end.

    path  local names from the root, itself last
    """

    path: tuple[str, ...]
    namespace: str
    attributes: Mapping[str, str]
    start: int
    inside: int
    inside_end: int = 0
    end: int = 0
    text: str = ""

    @property
    def name(self) -> str:
        """The local name."""
        return self.path[-1]


def scan(xml: bytes, wanted: Callable[[tuple[str, ...]], bool]) -> list[Element]:
    """Elements whose path is wanted, in the order of their ends, with the text inside them.

    raises BrokenError for what is not UTF-8, declares a document type, nests too deeply, has too
    many elements or is not well formed
    """
    scanner = _Scanner(xml, wanted)
    scanner.parse()
    return scanner.found


class _Scanner:
    """One pass of expat over a part."""

    def __init__(self, xml: bytes, wanted: Callable[[tuple[str, ...]], bool]) -> None:
        self.xml = xml
        self.wanted = wanted
        self.found: list[Element] = []
        self._path: list[str] = []
        self._open: list[tuple[int, Element, list[str]]] = []
        self._elements = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.XmlDeclHandler = self._declaration

    def parse(self) -> None:
        try:
            self.xml.decode("utf-8")
            self._parser.Parse(self.xml, True)
        except (expat.ExpatError, UnicodeDecodeError) as error:
            raise BrokenError from error

    def _refuse(self, *_: object) -> None:
        raise BrokenError

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise BrokenError

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        namespace, _, name = tag.rpartition(" ")
        self._path.append(name)
        if len(self._path) > MAX_DEPTH or self._elements > MAX_ELEMENTS:
            raise BrokenError
        path = tuple(self._path)
        if self.wanted(path):
            start = self._parser.CurrentByteIndex
            element = Element(
                path=path,
                namespace=namespace,
                attributes=_attributes(attributes),
                start=start,
                inside=tag_end(self.xml, start),
            )
            self._open.append((len(path), element, []))

    def _end(self, tag: str) -> None:
        if self._open and self._open[-1][0] == len(self._path):
            _, element, texts = self._open.pop()
            inside_end = max(self._parser.CurrentByteIndex, element.inside)
            empty = self.xml[element.inside - 2 : element.inside] == b"/>"
            end = element.inside if empty else tag_end(self.xml, inside_end)
            self.found.append(
                replace(
                    element,
                    inside_end=element.inside if empty else inside_end,
                    end=end,
                    text="".join(texts),
                )
            )
        self._path.pop()

    def _text(self, data: str) -> None:
        for _, _, texts in self._open[-3:]:
            texts.append(data)


def _attributes(expanded: Mapping[str, str]) -> dict[str, str]:
    """Attributes by expanded name ("namespace local") and, where it is free, by local name."""
    local = {key.rpartition(" ")[2]: value for key, value in expanded.items() if " " in key}
    return {**local, **expanded}


_TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*+>""")


def tag_end(xml: bytes, start: int) -> int:
    """Offset behind the tag that begins at `start`; attribute values may hold `>`."""
    found = _TAG.match(xml, start)
    if found is None:
        raise BrokenError
    return found.end()


def spliced(xml: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """`xml` with each (start, end, content) put in place of what stood there."""
    for start, end, content in sorted(edits, reverse=True):
        xml = xml[:start] + content + xml[end:]
    return xml


def append_to(xml: bytes, element: Element, content: bytes) -> tuple[int, int, bytes]:
    """The edit that puts `content` at the end of an element, an empty tag included."""
    if xml[element.inside - 2 : element.inside] != b"/>":
        return element.inside_end, element.inside_end, content
    tag = xml[element.start : element.inside - 2]
    name = re.split(rb"[\s/>]", tag[1:], maxsplit=1)[0]
    return element.start, element.inside, tag + b">" + content + b"</" + name + b">"
