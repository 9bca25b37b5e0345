"""Markdown and plain text as passages that can be replaced, everything between them kept exactly.

CommonMark with tables and strikethrough, read by markdown-it-py. A passage is a paragraph, a
heading or a cell of a table; code blocks, HTML blocks, link definitions, rules and front matter
are none and so never change. Inside a passage, code, images, HTML and link targets are kept as
they were written; text, emphasis and the words of links are what may be translated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.helpers import parseLinkDestination, parseLinkLabel, parseLinkTitle
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

END_OF_LINE = r"(?:\r\n|\r|\n)"
FRONT_MATTER = re.compile(
    rf"\A---[ \t]*{END_OF_LINE}(?:[^\r\n]*{END_OF_LINE}){{0,500}}?(?:---|\.\.\.)[ \t]*"
    rf"(?:{END_OF_LINE}|\Z)"
)
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
SOFT_BREAK = re.compile(r"[ \t]*\n[ \t]*")
HARD_BREAK = re.compile(r"( {2,}|\\)\n[ \t]*")
HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
# A line of text this wide (Han count double) that ends in no full stop goes on in the next.
WRAPPED_WIDTH = 50
ENDS = ".!?。！？…:：;；\"”'’」』)）"


@dataclass(frozen=True)
class Words:
    """Plain text, escapes undone."""

    text: str


@dataclass(frozen=True)
class Kept:
    """What stays as it is written: code, an image, HTML, an address."""

    raw: str


@dataclass(frozen=True)
class Wrapped:
    """Emphasis, strikethrough or a link around other nodes."""

    opening: str
    inner: tuple[Node, ...]
    closing: str


@dataclass(frozen=True)
class Break:
    """A hard line break, with what begins the next line."""

    raw: str


Node: TypeAlias = Words | Kept | Wrapped | Break


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One run of text: characters `start` to `end` of the document; `line` counts from 1."""

    kind: Literal["paragraph", "heading", "cell"]
    nodes: tuple[Node, ...]
    start: int
    end: int
    line: int


@dataclass(frozen=True, kw_only=True)
class Document:
    """A text and its passages in order; `unread` are first lines of blocks left as they are."""

    text: str
    passages: tuple[Passage, ...]
    markdown: bool = True
    unread: tuple[int, ...] = ()

    def replaced(self, renderings: Mapping[int, str]) -> str:
        """The text with the passages of these numbers replaced; with none, exactly the text."""
        pieces, at = [], 0
        for number in sorted(renderings):
            passage = self.passages[number]
            pieces += [self.text[at : passage.start], renderings[number]]
            at = passage.end
        return "".join([*pieces, self.text[at:]])


class _OddError(Exception):
    """A passage whose tokens cannot be found again in its source."""


@cache
def _parser() -> MarkdownIt:
    # Without text_join, escapes and entities keep their source.
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")


def read_markdown(text: str) -> Document:
    """The passages of a Markdown text."""
    front = FRONT_MATTER.match(text)
    begin = front.end() if front else 0
    lines = [found.span() for found in LINE.finditer(text, begin) if found[0]]
    environment: dict[str, Any] = {}
    passages: list[Passage] = []
    unread: list[int] = []
    first_line = len(re.findall(END_OF_LINE, text[:begin])) + 1
    cursor = (-1, 0)  # in a table: its line, and where its last cell ended
    opened = ""
    for token in _parser().parse(text[begin:], environment):
        if token.nesting == 1:
            opened = token.type
        if token.type != "inline" or not token.map or not token.content:
            continue
        at = token.map[0]
        kind = _kind(opened)
        try:
            if kind == "cell":
                after = cursor[1] if cursor[0] == at else lines[at][0]
                spans = [_cell(text, token.content, after, lines[at][1])]
                cursor = (at, spans[0][1])
            else:
                spans = list(_lines_of(text, token.content, lines[at:]))
            walk = _Walk(token, environment, _prefixes(text, lines[at:], spans))
            nodes = tuple(walk.nodes())
        except _OddError:
            unread.append(first_line + at)
            continue
        passages.append(
            Passage(
                kind=kind,
                nodes=nodes,
                start=spans[0][0],
                end=spans[-1][1],
                line=first_line + at,
            )
        )
    return Document(text=text, passages=tuple(passages), unread=tuple(unread))


def _kind(opened: str) -> Literal["paragraph", "heading", "cell"]:
    if opened in ("th_open", "td_open"):
        return "cell"
    return "heading" if opened == "heading_open" else "paragraph"


def _cell(text: str, content: str, start: int, end: int) -> tuple[int, int]:
    """Where a cell's content stands in its row; a bar inside it is written with a backslash."""
    for written in (content.replace("|", "\\|"), content):
        found = text.find(written, start, end)
        if found >= 0:
            return found, found + len(written)
    raise _OddError


def _lines_of(
    text: str, content: str, lines: Sequence[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Where each line of a block's content stands; markers before and after are left out."""
    wanted = content.split("\n")
    if len(wanted) > len(lines):
        raise _OddError
    for piece, (start, end) in zip(wanted, lines, strict=False):
        row, bare = text[start:end].rstrip(), piece.rstrip()
        place = len(row) - len(bare)
        if place < 0 or row[place:] != bare:
            place = row.rfind(bare)  # a heading's closing marks
            if place < 0 or row[place + len(bare) :].strip(" \t#"):
                raise _OddError
        yield start + place, start + place + len(bare)


def _prefixes(
    text: str, lines: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]
) -> list[str]:
    """What stands before the content of each line, such as the mark of a quotation."""
    return [text[line[0] : span[0]] for line, span in zip(lines, spans, strict=False)]


class _Walk:
    """The tokens of one passage, found again in its source one after another."""

    def __init__(self, token: Token, environment: dict[str, Any], prefixes: Sequence[str]) -> None:
        self.source = token.content
        self.environment = environment
        self.prefixes = prefixes
        self.tokens = iter(token.children or [])
        self.at = 0

    def nodes(self, until: str = "") -> Iterator[Node]:
        """Nodes up to the token of type `until`, or to the end."""
        for token in self.tokens:
            if token.type == until:
                return
            yield from self._node(token)
        if until or self.source[self.at :].strip():
            raise _OddError

    def _node(self, token: Token) -> Iterator[Node]:
        kind = token.type
        if kind in ("text", "text_special"):
            self._take(token.markup if kind == "text_special" else token.content)
            if token.content:
                yield Words(token.content)
        elif kind == "softbreak":
            self._match(SOFT_BREAK)
            yield Words("\n")
        elif kind == "hardbreak":
            mark = self._match(HARD_BREAK)[1]
            row = self.source.count("\n", 0, self.at)
            # A list's mark is not repeated in its next line, a quotation's is.
            prefix = self.prefixes[row] if row < len(self.prefixes) else ""
            yield Break(f"{mark}\n{prefix}")
        elif kind == "code_inline":
            yield Kept(self._code(token.markup))
        elif kind == "html_inline":
            yield Kept(self._take(token.content))
        elif kind == "image":
            yield Kept(self._image())
        elif kind == "link_open":
            yield self._address() if token.markup == "autolink" else self._link()
        elif kind in ("em_open", "strong_open", "s_open"):
            opening = self._take(token.markup)
            inner = tuple(self.nodes(kind.replace("_open", "_close")))
            yield Wrapped(opening, inner, self._take(token.markup))
        else:
            raise _OddError

    def _take(self, raw: str) -> str:
        if not self.source.startswith(raw, self.at):
            raise _OddError
        self.at += len(raw)
        return raw

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self.source, self.at)
        if not found:
            raise _OddError
        self.at = found.end()
        return found

    def _code(self, run: str) -> str:
        start = self.at
        self._take(run)
        closing = re.compile(rf"(?<!`){re.escape(run)}(?!`)").search(self.source, self.at)
        if not closing:
            raise _OddError
        self.at = closing.end()
        return self.source[start : self.at]

    def _label_end(self, opening: int) -> int:
        state = StateInline(self.source, _parser(), self.environment, [])
        end = parseLinkLabel(state, opening, False)
        if end < 0:
            raise _OddError
        return end

    def _image(self) -> str:
        start = self.at
        self._take("![")
        end = self._label_end(start + 1)
        self.at = end + 1 + len(self._tail(end + 1))
        return self.source[start : self.at]

    def _link(self) -> Wrapped:
        opening = self._take("[")
        inner = tuple(self.nodes("link_close"))
        self._take("]")
        tail = self._tail(self.at)
        self.at += len(tail)
        if not tail:
            # [name] alone is its own target: other words would lose it.
            name = self.source[: self.at].rpartition("[")[2].removesuffix("]")
            tail = f"[{name}]"
        elif tail == "[]":
            tail = f"[{self.source[: self.at - 3].rpartition('[')[2]}]"
        return Wrapped(opening, inner, f"]{tail}")

    def _address(self) -> Kept:
        start = self.at
        end = self.source.find(">", start)
        if self.source[start : start + 1] != "<" or end < 0:
            raise _OddError
        self.at = end + 1
        list(zip(range(2), self.tokens, strict=False))  # its text and its end
        return Kept(self.source[start : self.at])

    def _tail(self, at: int) -> str:
        """What follows a link's words: (target "title"), [name], [] or nothing."""
        if self.source[at : at + 1] == "(" and (end := self._target_end(at + 1)):
            return self.source[at:end]
        if self.source[at : at + 1] == "[":
            end = self._label_end(at)
            name = self.source[at + 1 : end]
            if not name or normalizeReference(name) in self.environment.get("references", {}):
                return self.source[at : end + 1]
        return ""

    def _target_end(self, at: int) -> int:
        at = self._space_end(at)
        target = parseLinkDestination(self.source, at, len(self.source))
        if target.ok:
            at = self._space_end(target.pos)
            title = parseLinkTitle(self.source, at, len(self.source))
            if title.ok:
                at = self._space_end(title.pos)
        return at + 1 if self.source[at : at + 1] == ")" else 0

    def _space_end(self, at: int) -> int:
        found = re.compile(r"[ \t\n]*").match(self.source, at)
        return found.end() if found else at


def read_plain(text: str) -> Document:
    """The passages of plain text: its lines, hard-wrapped ones joined."""
    passages: list[Passage] = []
    rows: list[tuple[int, int, int]] = []
    for number, found in enumerate(LINE.finditer(text), start=1):
        bare = found[0].strip()
        if bare:
            start = found.start() + found[0].index(bare)
            rows.append((start, start + len(bare), number))
        if rows and not (bare and _goes_on(bare)):
            passages.append(_plain_passage(text, rows))
            rows = []
    if rows:
        passages.append(_plain_passage(text, rows))
    return Document(text=text, passages=tuple(passages), markdown=False)


def _goes_on(line: str) -> bool:
    width = len(line) + len(HAN.findall(line))
    return width >= WRAPPED_WIDTH and line[-1] not in ENDS


def _plain_passage(text: str, rows: Sequence[tuple[int, int, int]]) -> Passage:
    words = "\n".join(text[start:end] for start, end, _ in rows)
    return Passage(
        kind="paragraph",
        nodes=(Words(words),),
        start=rows[0][0],
        end=rows[-1][1],
        line=rows[0][2],
    )


def skeleton(text: str) -> list[Any]:
    """What must stay the same: kinds of blocks, code, and each passage's marks, in any order."""
    front = FRONT_MATTER.match(text)
    found: list[Any] = [front[0] if front else ""]
    for token in _parser().parse(text[front.end() if front else 0 :]):
        if token.type == "inline":
            marks = [_mark(child) for child in token.children or [] if _mark(child)]
            found.append(sorted(marks))
        else:
            start = str(token.attrs.get("start", ""))
            found.append((token.type, token.tag, token.info, token.content, start))
    return found


def _mark(token: Token) -> str:
    if token.type in ("text", "text_special", "softbreak"):
        return ""
    target = token.attrs.get("href") or token.attrs.get("src") or ""
    title = token.attrs.get("title") or ""
    return f"{token.type}\0{target}\0{title}\0{'' if token.type == 'image' else token.content}"


# An underscore inside a word marks nothing.
ESCAPED = re.compile(r"([\\`*\[\]<]|(?<![^\W_])_|_(?![^\W_]))|(~(?=~))|(&(?=#?\w+;))|(!(?=\[))")
AT_START = re.compile(r"^(#{1,6}(?=\s|$)|>|[-+](?=\s|$)|=+\s*$|-{2,}|~{3,}|:?-+:?\s*$)")
NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")


def escape(text: str, *, first: bool = False) -> str:
    """`text` so that Markdown reads it as plain words; `first`: it begins a block."""
    safe = ESCAPED.sub(lambda found: f"\\{found[0]}", " ".join(text.split("\n")))
    if first:
        safe = AT_START.sub(lambda found: f"\\{found[0]}", safe.lstrip(" \t"))
        safe = NUMBERED.sub(r"\1\\\2", safe)
    return safe


def splice(document: Document, renderings: Mapping[int, str]) -> tuple[str, list[int]]:
    """The document with its passages replaced, and the numbers of those that were not.

    A rendering that would change the skeleton of the document is refused.
    """
    if not document.markdown:
        return document.replaced(renderings), []
    wanted = skeleton(document.text)
    refused: list[int] = []
    taken = _sound(document, renderings, lambda text: skeleton(text) == wanted, refused)
    return document.replaced(taken), sorted(refused)


def _sound(
    document: Document,
    renderings: Mapping[int, str],
    keeps: Callable[[str], bool],
    refused: list[int],
) -> dict[int, str]:
    """Those of `renderings` that keep the skeleton; found by halving, so few cost few readings."""
    taken: dict[int, str] = {}
    waiting = [sorted(renderings)]
    while waiting:
        group = waiting.pop()
        tried = {**taken, **{number: renderings[number] for number in group}}
        if keeps(document.replaced(tried)):
            taken = tried
        elif len(group) == 1:
            refused += group
        else:
            middle = len(group) // 2
            waiting += [group[middle:], group[:middle]]
    return taken
