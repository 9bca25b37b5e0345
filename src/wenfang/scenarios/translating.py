"""A document translated passage by passage: what stays, what the glossary says, what was cut.

Words become text with marks: one mark for each thing that must not change (code, an image, a
number, a name, a term of the glossary) or that has words of its own (a link, emphasis). The text is
cut into sentences, each is translated with its marks, and the marks are filled again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wenfang.backends.translator import Interpreter, Rendering
from wenfang.data.sentences import clauses, sentences
from wenfang.data.translation import LATIN, MARK, MARK_BASE, MARK_COUNT, NUMBER, Language
from wenfang.errors import BriefError
from wenfang.knowledge.script import to_simplified, to_traditional
from wenfang.language import keyed
from wenfang.media.markdown import (
    Break,
    Document,
    Kept,
    Node,
    Passage,
    Words,
    Wrapped,
    escape,
    splice,
)

LOW_NATS = -1.0  # below this mean log-probability of a token a sentence is called uncertain
PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
ADDRESS = r"(?:https?://|www\.)[^\s<>\u3000-\u9fff，。]+[^\s<>\u3000-\u9fff，。.,;:!?)\"']"
MAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
# In English only what is written as no word is: GitHub, NASA, H100, iPhone.
SPECIAL_NAME = r"(?<![\w])(?:[A-Za-z]*[a-z][A-Z]\w*|[A-Z]{2,}[A-Z0-9]*|[A-Za-z]+[0-9]\w*)(?![\w])"
LATIN_NAME = rf"(?:{LATIN.pattern})(?: (?:[A-Z][A-Za-z0-9'.+-]*[A-Za-z0-9]|[A-Z]))*"
PROPER_NAME = r"(?<=[a-z,;] )[A-Z][a-z]{2,}(?![\w])"
STOPS = '.!?。！？…;；:："”’』」)）'
LETTER = re.compile(r"[^\W\d_]")
EMPHASIS = frozenset("*_~")
EDGES = re.compile(r"^([\s，。！？；：、,.!?;:]*)(.*?)([\s，。！？；：、,.!?;:]*)$", re.S)

UNTRANSLATED = keyed("not translated: it cannot be put into this model")
CUT = keyed("too long for the model: translated in {count} pieces")
UNCERTAIN = keyed("uncertain: {nats} nats a token")


@dataclass(frozen=True, kw_only=True)
class SentenceResult:
    """One sentence and what it became; `pieces` 0: it stands untranslated."""

    source: str
    target: str
    pieces: int = 1
    log_probability_nats: float | None = None

    @property
    def uncertain(self) -> bool:
        """Whether the model itself thinks little of it."""
        nats = self.log_probability_nats
        return nats is not None and nats < LOW_NATS


@dataclass(kw_only=True)
class PassageResult:
    """What became of one passage.

    kept     code, images, numbers, names and addresses that came over as they were
    terms    what the glossary gave, in the order of the text
    unknown  words that the model hardly knows
    refused  True: its translation would have changed the document's structure, so it was left out
    """

    line: int
    kind: str
    source: str = ""
    target: str = ""
    sentences: list[SentenceResult] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    terms: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    refused: bool = False


@dataclass(frozen=True, kw_only=True)
class Translated:
    """A document in the other language; `unread` are lines of blocks left as they were."""

    text: str
    passages: tuple[PassageResult, ...]
    unread: tuple[int, ...]

    def counts(self) -> dict[str, int]:
        """What a manifest tells of it."""
        sentences = [one for passage in self.passages for one in passage.sentences]
        return {
            "passages": len(self.passages),
            "sentences": len(sentences),
            "untranslated": sum(not one.pieces for one in sentences),
            "cut": sum(one.pieces > 1 for one in sentences),
            "uncertain": sum(one.uncertain for one in sentences),
            "terms": sum(len(passage.terms) for passage in self.passages),
            "kept": sum(len(passage.kept) for passage in self.passages),
            "left": sum(passage.refused for passage in self.passages) + len(self.unread),
        }


@dataclass(frozen=True, kw_only=True)
class Direction:
    """From which language into which."""

    source: Language
    into: Language


def translate_document(
    document: Document,
    interpreter: Interpreter,
    direction: Direction,
    terms: Sequence[tuple[str, str]] = (),
    on_passage: Callable[[int, int], None] = lambda done, of: None,
) -> Translated:
    """Every passage of `document` translated; its structure is that of before."""
    if not interpreter.passages:
        wanted = _wanted(document, interpreter, direction, terms)
        interpreter.prepare(wanted, direction.into, on_passage)
    desk = Desk(interpreter, direction, terms, markdown=document.markdown)
    renderings: dict[int, str] = {}
    results: list[PassageResult] = []
    for number, passage in enumerate(document.passages):
        if interpreter.passages:
            on_passage(number, len(document.passages))
        rendering, result = desk.passage(passage, document)
        results.append(result)
        if any(one.pieces for one in result.sentences) or result.terms:
            renderings[number] = rendering
    text, refused = splice(document, renderings)
    for number in refused:
        results[number].refused = True
        results[number].target = results[number].source
    return Translated(text=text, passages=tuple(results), unread=document.unread)


def _wanted(
    document: Document,
    interpreter: Interpreter,
    direction: Direction,
    terms: Sequence[tuple[str, str]],
) -> list[str]:
    """Every sentence that will be asked for, found by asking somebody who only listens."""
    listener = _Listener(interpreter)
    desk = Desk(listener, direction, terms, markdown=document.markdown)
    for passage in document.passages:
        desk.passage(passage, document)
    return listener.texts


class _Listener:
    """Answers every text with itself, and remembers it."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.passages = interpreter.passages
        self.fits = interpreter.fits
        self.unknown = interpreter.unknown
        self.prepare = interpreter.prepare
        self.texts: list[str] = []

    def render(self, text: str, into: Language, meanings: Mapping[str, str]) -> Rendering:
        """`text` as it is."""
        self.texts.append(text)
        return Rendering(text=text)


@dataclass(frozen=True)
class _Filling:
    """What a mark stands for: as Markdown, as it is read, and as it was read before."""

    raw: str
    plain: str
    read: str = ""


class Desk:
    """Translates the passages of one document; equal sentences are translated once."""

    def __init__(
        self,
        interpreter: Interpreter,
        direction: Direction,
        terms: Sequence[tuple[str, str]],
        *,
        markdown: bool,
    ) -> None:
        self.interpreter = interpreter
        self.direction = direction
        self.markdown = markdown
        self.terms = {_folded(term): (term, translation) for term, translation in terms}
        self.guarded = _guards([term for term, _ in terms], direction.source)
        self.known: dict[str, tuple[str, int, float | None]] = {}
        self.fillings: dict[str, _Filling] = {}
        self.result = PassageResult(line=0, kind="")

    def passage(self, passage: Passage, document: Document) -> tuple[str, PassageResult]:
        """The passage's translation as Markdown, and what there is to tell of it."""
        self.fillings = {}
        self.result = PassageResult(line=passage.line, kind=passage.kind)
        source, target = self._nodes(passage.nodes, first=True)
        raw = target.raw.strip()
        if self.markdown and passage.kind == "cell":
            raw = raw.replace("|", "\\|")
        self.result.source, self.result.target = source.strip(), target.plain.strip()
        return raw or document.text[passage.start : passage.end], self.result

    def _nodes(self, nodes: Sequence[Node], *, first: bool = False) -> tuple[str, _Filling]:
        """Nodes in the other language; also how they read before."""
        read = raw = plain = ""
        for segment in _segments(nodes):
            if isinstance(segment, Break):
                read, raw, plain = f"{read}\n", raw + segment.raw, f"{plain}\n"
                continue
            text = "".join(self._marked(node) for node in segment)
            done = self._text(self._guarded(text))
            read += self._shown(text, read=True)
            raw += self._filled(done, first=first and not raw)
            plain += self._shown(done)
        return read, _Filling(raw, plain)

    def _mark(self, raw: str, plain: str, read: str = "") -> str:
        if len(self.fillings) >= MARK_COUNT:
            raise BriefError(
                "the paragraph in line {line} holds more than {most} numbers, names and marks; "
                "divide it",
                line=self.result.line,
                most=MARK_COUNT,
            )
        mark = chr(MARK_BASE + len(self.fillings))
        self.fillings[mark] = _Filling(raw, plain, read or plain)
        return mark

    def _keep(self, text: str) -> str:
        self.result.kept.append(text)
        return self._mark(escape(text) if self.markdown else text, text)

    def _marked(self, node: Node) -> str:
        """A node as text with marks; what it wraps is translated by itself."""
        if isinstance(node, Words):
            joined = node.text.replace("\n", " " if self.direction.source == "en" else "")
            return PRIVATE.sub(lambda found: self._keep(found[0]), joined)
        if isinstance(node, Kept):
            self.result.kept.append(node.raw)
            return self._mark(node.raw, node.raw)
        assert isinstance(node, Wrapped)
        read, inner = self._nodes(node.inner)
        before, core, after = "", inner.raw, ""
        if node.opening[0] in EMPHASIS and (edges := EDGES.match(inner.raw)) and edges[2]:
            # Beside a letter, emphasis must neither begin nor end with a space or a stop.
            before, core, after = edges[1], edges[2], edges[3]
        opening, closing = node.opening, node.closing
        if opening[0] == "_":  # which is none beside a Chinese character
            opening, closing = opening.replace("_", "*"), closing.replace("_", "*")
        return self._mark(f"{before}{opening}{core}{closing}{after}", inner.plain, read)

    def _guarded(self, text: str) -> str:
        """Numbers, names, addresses and terms of the glossary as marks."""

        def mark(found: re.Match[str]) -> str:
            word = found[0]
            if found.lastgroup == "term":
                term, translation = self.terms[_folded(found["bare"])]
                self.result.terms.append((term, translation))
                raw = escape(translation) if self.markdown else translation
                return self._mark(raw, translation, word)
            if found.lastgroup == "name" and not self._foreign(word):
                return word
            return self._keep(word)

        return self.guarded.sub(mark, text)

    def _foreign(self, word: str) -> bool:
        return bool(self.interpreter.unknown(word))

    def _text(self, text: str) -> str:
        """Text with marks in the other language, its sentences joined as that language does."""
        if not LETTER.search(MARK.sub("", text)):
            return text
        whole = self.interpreter.passages
        pieces = [text] if whole else sentences(text, self.direction.source)
        done = [self._sentence(piece) for piece in pieces]
        gap = " " if self.direction.into == "en" else ""
        lead = text[: len(text) - len(text.lstrip())]
        tail = text[len(text.rstrip()) :]
        return f"{lead and gap}{gap.join(one.strip() for one in done)}{tail and gap}"

    def _sentence(self, text: str) -> str:
        core = text.strip()
        if not LETTER.search(MARK.sub("", core)):
            return core
        # The same sentence with other marks is the same to the translator.
        marks = MARK.findall(core)
        key = core.translate({ord(mark): MARK_BASE + n for n, mark in enumerate(marks)})
        if key not in self.known:
            self.known[key] = self._render(key, [self.fillings[mark].plain for mark in marks])
        target, pieces, nats = self.known[key]
        back = {MARK_BASE + number: mark for number, mark in enumerate(marks)}
        done = _ended_alike(core, target.translate(back)) if pieces else core
        self.result.unknown += [w for w in self.interpreter.unknown(MARK.sub(" ", core))
                                if w not in self.result.unknown]  # fmt: skip
        self.result.sentences.append(
            SentenceResult(
                source=self._shown(core, read=True),
                target=self._shown(done),
                pieces=pieces,
                log_probability_nats=nats,
            )
        )
        return done

    def _render(self, text: str, meanings: Sequence[str]) -> tuple[str, int, float | None]:
        """(translation, pieces, mean log-probability); 0 pieces where it stays as it is."""
        into = self.direction.into
        told = {chr(MARK_BASE + number): plain for number, plain in enumerate(meanings)}
        if self.interpreter.fits(text, into):
            found = self.interpreter.render(text, into, told)
            if found.whole and found.text:
                return found.text, 1, found.log_probability_nats
        parts = clauses(text, self.direction.source, lambda part: self._small(part, text))
        if len(parts) == 1:
            return "", 0, None
        rendered, nats = [], list[float]()
        for part in parts:
            if not LETTER.search(MARK.sub("", part)):
                rendered.append(part.strip())
                continue
            if not self.interpreter.fits(part, into):
                return "", 0, None
            found = self.interpreter.render(part.strip(), into, told)
            if not found.whole or not found.text:
                return "", 0, None
            rendered.append(found.text)
            nats += [] if found.log_probability_nats is None else [found.log_probability_nats]
        gap = " " if into == "en" else ""
        return gap.join(rendered), len(parts), min(nats, default=None)

    def _small(self, part: str, whole: str) -> bool:
        """Whether a clause fits; what was refused whole must become smaller."""
        return len(part) <= len(whole) * 2 // 3 and self.interpreter.fits(part, self.direction.into)

    def _filled(self, text: str, *, first: bool) -> str:
        """Text with marks as Markdown."""
        pieces = re.split(f"({MARK.pattern})", self._spaced(text))
        out = ""
        for piece in pieces:
            if piece in self.fillings:
                out += self.fillings[piece].raw
            elif self.markdown:
                out += escape(piece, first=first and not out)
            else:
                out += piece
        return out

    def _shown(self, text: str, *, read: bool = False) -> str:
        """Text with marks as people read it; `read`: as it was read before."""

        def fill(found: re.Match[str]) -> str:
            filling = self.fillings[found[0]]
            return filling.read if read else filling.plain

        return MARK.sub(fill, text if read else self._spaced(text))

    def _spaced(self, text: str) -> str:
        """In English a space between a word and what a mark stands for."""
        if self.direction.into != "en":
            return text

        def starts(mark: str) -> bool:
            return self.fillings[mark].plain[:1].isalnum()

        def ends(mark: str) -> bool:
            return self.fillings[mark].plain[-1:].isalnum()

        out = ""
        for character in text:
            last = out[-1:]
            before = ends(last) if last in self.fillings else last.isalnum()
            after = starts(character) if character in self.fillings else character.isalnum()
            if before and after and (last in self.fillings or character in self.fillings):
                out += " "
            out += character
        return out


def _ended_alike(source: str, target: str) -> str:
    """`target` without the full stop that a model puts after a title or a few words."""
    return target if source[-1:] in STOPS else target.rstrip("。.")


def _segments(nodes: Sequence[Node]) -> Iterator[Break | list[Node]]:
    """Nodes between hard breaks, and the breaks."""
    run: list[Node] = []
    for node in nodes:
        if isinstance(node, Break):
            if run:
                yield run
            yield node
            run = []
        else:
            run.append(node)
    if run:
        yield run


def _folded(term: str) -> str:
    return to_simplified(term).casefold()


def _guards(terms: Sequence[str], source: Language) -> re.Pattern[str]:
    """What is found in a text of language `source` and kept; the glossary goes first."""
    kinds = []
    if terms:
        # A Chinese term may stand in the text in either script.
        forms = dict.fromkeys(
            form for term in terms for form in (term, to_simplified(term), to_traditional(term))
        )
        either = "|".join(re.escape(form) for form in forms)
        if source == "en":
            kinds.append(rf"(?P<term>(?<![\w])(?P<bare>(?i:{either}))(?:'s|s)?(?![\w]))")
        else:
            kinds.append(rf"(?P<term>(?P<bare>(?i:{either})))")
    kinds += [f"(?P<address>{ADDRESS})", f"(?P<mail>{MAIL})", f"(?P<number>{NUMBER.pattern})"]
    if source == "zh":
        kinds.append(f"(?P<latin>{LATIN_NAME})")
    else:
        kinds += [f"(?P<special>{SPECIAL_NAME})", f"(?P<name>{PROPER_NAME})"]
    return re.compile("|".join(kinds))
