"""HTML: `<meta name="AIGC">` in the head, and a paragraph at the end or the start of the body."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from wenfang.seal.formats.contract import Drawn, Format, Insertion, Marking, Trace, insert
from wenfang.seal.formats.text import decode, draw_where_seen, measure_lines, trace_text
from wenfang.seal.label import bare_json, parse_label
from wenfang.seal.layers import Layer

# Elements without an end tag; those of a head; those whose text is not shown; those inside a line.
_VOID = re.compile(r"area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr")
_HEAD = re.compile(r"base|head|html|link|meta|noscript|script|style|template|title")
_UNSEEN = re.compile(
    r"head|iframe|noembed|noframes|noscript|object|plaintext|script|select|style|template|"
    r"textarea|title|xmp"
)
_INLINE = re.compile(r"a|abbr|b|bdi|cite|code|em|i|mark|q|s|small|span|strong|sub|sup|u")
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*0"
)
# Both colours are set, so the contrast (7.3:1) does not depend on the page under it.
_STYLE = (
    "display:block!important;visibility:visible!important;margin:2em auto 1em;padding:.3em .8em;"
    "width:fit-content;font:13px/1.5 sans-serif;letter-spacing:.06em;color:#575046;"
    "background:#faf7f0;border-radius:3px"
)


class _Page(HTMLParser):
    """One pass over a page: visible lines, AIGC labels, and the offsets where labels may go."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = text
        self.lines: list[str] = []
        self.labels: list[object] = []
        self.label_tags: list[tuple[int, int]] = []
        self.charset = False
        self.offsets: dict[str, int] = {}
        self._open: list[tuple[str, bool]] = []
        self._paragraph: list[str] = []
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.feed(text[: _unclosed_comment(text)])
        self.close()
        self._end_line()

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column

    def _after_tag(self) -> int:
        return self._offset() + len(self.get_starttag_text() or "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in reversed(attrs)}
        if tag == "meta":
            self._meta(values)
        if tag in ("html", "head", "body") and not self._unseen():
            self.offsets.setdefault(f"<{tag}>", self._after_tag())
        if not _INLINE.fullmatch(tag):
            self._end_line()
        if not _HEAD.fullmatch(tag):
            self._leave_head()
        if not _VOID.fullmatch(tag):
            hidden = bool(_UNSEEN.fullmatch(tag)) or "hidden" in values
            hidden = hidden or bool(_HIDDEN_STYLE.search(values.get("style", "").lower()))
            self._open.append((tag, hidden))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # `<p/>` opens a paragraph in HTML: the slash means nothing outside foreign elements.
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("body", "html") and not self._unseen():
            self.offsets[f"</{tag}>"] = self._offset()
        if not _INLINE.fullmatch(tag):
            self._end_line()
        names = [name for name, _ in self._open]
        if tag in names:
            del self._open[len(names) - 1 - names[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._leave_head()
        if not any(hidden for _, hidden in self._open):
            if data.strip():
                self.offsets.setdefault("text", self._offset())
            self._paragraph.append(data)

    def _unseen(self) -> bool:
        """Inside an element, the head apart, in which tags mean nothing or nothing is shown."""
        return any(hidden for name, hidden in self._open if name != "head")

    def _leave_head(self) -> None:
        """A head without an end tag ends at the first thing that does not belong in it."""
        if self._open and self._open[-1][0] == "head":
            self._open.pop()

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """`<![…` is a comment up to the next `>` in HTML; the base class would stop at it."""
        return self.parse_bogus_comment(i, bool(report))

    def handle_decl(self, decl: str) -> None:
        self._prologue()

    def handle_pi(self, data: str) -> None:
        self._prologue()

    def _prologue(self) -> None:
        """Remember the end of `<!doctype>` or `<?xml?>`, before which nothing may stand."""
        if not self.offsets.keys() - {"prologue"}:
            end = self.text.find(">", self._offset())
            self.offsets["prologue"] = len(self.text) if end < 0 else end + 1

    def _meta(self, values: dict[str, str]) -> None:
        kind = values.get("http-equiv", "").lower()
        self.charset = self.charset or "charset" in values or kind == "content-type"
        if values.get("name", "").strip().lower() == "aigc":
            self.labels.append(parse_label(values.get("content", "")))
            self.label_tags.append((self._offset(), self._after_tag()))

    def _end_line(self) -> None:
        text = " ".join("".join(self._paragraph).split())
        self._paragraph.clear()
        if text:
            self.lines.append(text)


def _unclosed_comment(text: str) -> int:
    """Where a comment begins that hides the rest of the page; the text's length if none does."""
    start = text.rfind("<!--")
    return start if start >= 0 and text.find("-->", start) < 0 else len(text)


def visible_lines(text: str) -> list[str]:
    """Paragraphs that a browser shows, without what scripts and style sheets might do."""
    return _Page(text).lines


def _bytes_before(text: str, characters: int) -> int:
    return len(text[:characters].encode())


def _top(page: _Page) -> int:
    """As early as the page allows."""
    return page.offsets.get("prologue", 1 if page.text.startswith("\ufeff") else 0)


def _head_offset(page: _Page) -> int:
    """Where a `<meta>` belongs: in the head, else as early as the page allows."""
    return page.offsets.get("<head>", page.offsets.get("<html>", _top(page)))


def _draw(payload: bytes, marking: Marking) -> Drawn:
    settings = marking.settings
    text = decode(payload)
    page = _Page(text)
    paragraph = f'<p class="ai-label" style="{_STYLE}">{html.escape(settings.line)}</p>\n'.encode()
    last = page.offsets.get("</body>", page.offsets.get("</html>", len(text)))
    first = page.offsets.get("<body>", page.offsets.get("text", _head_offset(page)))
    end, start = (
        Insertion(offset=_bytes_before(text, offset), content=b"\n" + paragraph)
        for offset in (last, first)
    )
    top = Insertion(offset=_bytes_before(text, _top(page)), content=b"\n" + paragraph)
    choices = [start, end, top] if settings.position == "start" else [end, start, top]
    facts: dict[str, object] = {"form": "line", "words": settings.line}
    return draw_where_seen(payload, choices, visible_lines, facts)


def _write(drawn: Drawn, label: dict[str, str]) -> Drawn:
    """The label's `<meta>`; with it the encoding, where the page names none."""
    page = _Page(drawn.data.decode("utf-8"))
    content = html.escape(bare_json(label), quote=True)
    charset = "" if page.charset else '<meta charset="utf-8">'
    tag = f'{charset}<meta name="AIGC" content="{content}">'
    offset = _bytes_before(page.text, _head_offset(page))
    return insert(drawn, Insertion(offset=offset, content=tag.encode()))


def _strip(data: bytes) -> bytes:
    """The page without its `<meta name="AIGC">` tags."""
    page = _Page(data.decode("utf-8", "replace"))
    text = page.text
    for start, end in reversed(page.label_tags):
        text = text[:start] + text[end:]
    return text.encode() if page.label_tags else data


def _labels(data: bytes) -> list[object]:
    return _Page(data.decode("utf-8", "replace")).labels


def _words(data: bytes) -> str:
    return "\n".join(visible_lines(data.decode("utf-8", "replace")))


def _trace(data: bytes, search: bool) -> Trace:
    return trace_text(_words(data))


def _measure(data: bytes, recorded: Mapping[str, Any] | None) -> Layer:
    return measure_lines(data, visible_lines)


HTML = Format(
    name="html",
    media_type="text/html",
    suffixes=(".html", ".htm"),
    credential="sidecar",
    draw=_draw,
    write=_write,
    labels=_labels,
    measure=_measure,
    trace=_trace,
    words=_words,
    strip=_strip,
)
