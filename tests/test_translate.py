"""Laws of `translate`: structure and terms are kept, what is not translated is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from conftest import Call
from tiny_translator import build_translator
from wenfang.backends.choosing import OPENERS
from wenfang.backends.shelf import find_bundle
from wenfang.backends.translator import (
    BundleInterpreter,
    Rendering,
    SlotStep,
    WriterInterpreter,
)
from wenfang.backends.writer import Ask, Draft
from wenfang.data.translation import MARK, MARK_BASE, Language
from wenfang.errors import BriefError, BundleError, RightsError, WenfangError
from wenfang.media.markdown import read_markdown, read_plain, skeleton
from wenfang.models.load import load
from wenfang.scenarios import SCENARIOS, read_brief, translate_brief
from wenfang.scenarios.translating import Direction, Translated, translate_document
from wenfang.store import Manifest

GUIDE = """# The *guide* to tea

We open at 10:30 for **really good** tea; see [our coffee shop](http://x.y/a_b "T") or `code`.

> - Tom likes tea.
> - NASA does not. Go to https://a.b/c_d now.

| tea | 5 |
|---|---|
| `x` | My friend \\| I |

```
not me
```
"""
TERMS = (("coffee shop", "咖啡|馆"), ("tea", "茶"))
NAMES = ["bilingual.html", "report.html", "translation.md"]


class Echo:
    """Writes one Han character for each word, and keeps the marks; long texts do not fit."""

    passages = False
    asked: list[str]

    def __init__(self, most: int = 60) -> None:
        self.most = most
        self.asked = []

    def fits(self, text: str, into: Language) -> bool:
        return len(text) <= self.most and len(MARK.findall(text)) <= 8

    def prepare(self, texts: Sequence[str], into: Language, on_done: object) -> None:
        """Nothing."""

    def render(self, text: str, into: Language, meanings: Mapping[str, str]) -> Rendering:
        self.asked.append(text)
        words = "".join(word if MARK.fullmatch(word) else "字" for word in text.split())
        lost = [mark for mark in MARK.findall(text) if mark not in words]
        return Rendering(text=f"{words}{''.join(lost)}。", log_probability_nats=-0.5)

    def unknown(self, text: str) -> list[str]:
        return ["zyx"] if "zyx" in text else []


def echoed(text: str, most: int = 60, terms: tuple[tuple[str, str], ...] = TERMS) -> Translated:
    way = Direction(source="en", into="zh")
    return translate_document(read_markdown(text), Echo(most), way, terms)


def test_the_structure_is_the_same_before_and_after() -> None:
    found = echoed(GUIDE)
    assert skeleton(found.text) == skeleton(GUIDE)
    assert found.counts()["left"] == 0
    for kept in ('(http://x.y/a_b "T")', "`code`", "10:30", "NASA", "https://a.b/c_d", "not me"):
        assert kept in found.text
    assert "字" in found.text


def test_glossary_terms_are_present_and_told() -> None:
    found = echoed(GUIDE)
    assert found.text.count("茶") == 4
    assert "咖啡|馆" in found.text
    assert [pair for passage in found.passages for pair in passage.terms].count(TERMS[1]) == 4


def test_a_term_inside_a_word_is_no_term() -> None:
    assert "茶" not in echoed("The team and the steamer.").text


def test_a_bar_of_a_term_does_not_divide_a_cell() -> None:
    text = "| coffee shop | b |\n|---|---|\n"
    assert skeleton(echoed(text).text) == skeleton(text)


def test_a_long_sentence_is_cut_into_clauses_and_that_is_said() -> None:
    found = echoed("One word after another, and so on, until the sentence is much too long.", 30)
    (sentence,) = found.passages[0].sentences
    assert sentence.pieces > 1
    assert found.counts()["cut"] == 1


def test_what_cannot_be_translated_stays_and_is_said() -> None:
    found = echoed("Unbreakable.\n\nOk.\n", 5)
    assert found.counts()["untranslated"] == 1
    assert found.text == "Unbreakable.\n\n字。\n"


def test_more_marks_than_slots_are_shared_out() -> None:
    text = " and ".join(str(number) for number in range(100, 120)) + " are numbers."
    found = echoed(text, 40)
    assert all(str(number) in found.text for number in range(100, 120))


def test_the_same_sentence_is_translated_once() -> None:
    echo = Echo()
    way = Direction(source="en", into="zh")
    translate_document(read_markdown("I am 5.\n\nI am 6.\n\nI am 7.\n"), echo, way)
    assert len(echo.asked) == 1


def test_private_characters_of_a_text_are_kept() -> None:
    text = f"One \ue000 and {chr(MARK_BASE)} two.\n"
    found = echoed(text)
    assert "\ue000" in found.text
    assert chr(MARK_BASE) in found.text


def test_plain_text_keeps_its_lines() -> None:
    text = "Title\n\nTom likes 5 teas.\nI do.\n"
    way = Direction(source="en", into="zh")
    found = translate_document(read_plain(text), Echo(), way)
    assert [bool(line) for line in found.text.split("\n")] == [True, False, True, True, False]


def test_latin_names_in_chinese_are_copied() -> None:
    way = Direction(source="zh", into="en")
    found = translate_document(read_markdown("我用 GitHub 和 New York 的3台。\n"), Echo(), way)
    for kept in ("GitHub", "New York", "3"):
        assert kept in found.text


# The bundle


@pytest.fixture
def interpreter(home: Path) -> BundleInterpreter:
    return BundleInterpreter(load(find_bundle("translator")))


@pytest.mark.parametrize("seed", range(8))
def test_every_slot_is_written_once_before_the_end_and_in_time(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    steps, wanted, refused = 9, [3, 4, 5], [0, 6]
    step = SlotStep(wanted, 2, refused, steps)
    rows = torch.zeros(5, 0, dtype=torch.int64)
    for _ in range(steps):
        logits = step(torch.randn(5, 12, generator=draw) * 4, rows)
        rows = torch.cat((rows, logits.argmax(1, keepdim=True)), 1)
    for row in rows.tolist():
        before = row[: row.index(2)] if 2 in row else row[:-1]
        assert all(before.count(slot) == 1 for slot in wanted)
        assert not set(before) & set(refused)


def test_marks_come_back_from_the_bundle_or_it_is_said(interpreter: BundleInterpreter) -> None:
    marks = [chr(MARK_BASE + number) for number in range(8)]
    for count in range(9):
        text = "I" + "".join(marks[:count])
        assert interpreter.fits(text, "zh")
        found = interpreter.render(text, "zh", {})
        assert sorted(MARK.findall(found.text)) == (marks[:count] if found.text else [])
        assert found.text or not found.whole


def test_a_sentence_is_the_same_alone_and_among_others(interpreter: BundleInterpreter) -> None:
    texts = ["I like tea.", "Tom reads a book.", f"She came at {chr(MARK_BASE)}.", "The cat."]
    interpreter.prepare(texts, "zh")
    together = [interpreter.render(text, "zh", {}).text for text in texts]
    interpreter.ready.clear()
    assert [interpreter.render(text, "zh", {}).text for text in texts] == together


def test_a_bundle_of_another_layout_is_refused(home: Path) -> None:
    with pytest.raises(BundleError, match="layout verse, not translation"):
        BundleInterpreter(load(find_bundle("verse")))


# Any other writer


class Told:
    """Answers what it is given to answer."""

    name = "openai:http://localhost#m"
    made_from: tuple[Manifest, ...] = (
        Manifest(kind="bundle", name="m", media_type="application/x-endpoint"),
    )

    def __init__(self, *answers: str | Callable[[Ask], str], finish: Any = "stop") -> None:
        self.answers = list(answers)
        self.finish = finish
        self.asks: list[Ask] = []

    def write(self, ask: Ask, on_text: Callable[[str], None] = lambda text: None) -> list[Draft]:
        self.asks.append(ask)
        answer = self.answers.pop(0)
        return [Draft(text=answer if isinstance(answer, str) else answer(ask), finish=self.finish)]


def test_a_writer_is_told_of_marks_and_asked_again_where_it_loses_one() -> None:
    mark = chr(MARK_BASE)
    writer = Told("没有", "去⟦1⟧吧。")
    found = WriterInterpreter(writer).render(f"Go to {mark}.", "zh", {mark: "咖啡馆"})
    assert found.text == f"去{mark}吧。"
    assert writer.asks[0].prompt == "Go to ⟦1⟧."
    assert "⟦1⟧ = 咖啡馆" in writer.asks[0].system


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_writer_that_fails_twice_leaves_the_text_untranslated(finish: str) -> None:
    writer = Told("", "", finish=finish) if finish == "stop" else Told("x", "y", finish=finish)
    assert not WriterInterpreter(writer).render("Go.", "zh", {}).whole


# The scenario


@pytest.fixture
def make(home: Path, call: Call) -> Callable[..., Any]:
    """Create a piece from a brief of these fields."""

    def run(*arguments: str, **fields: object) -> Any:
        brief = {"scenario": "translate", "text": GUIDE, "glossary": dict(TERMS), **fields}
        Path("brief.json").write_text(json.dumps(brief), "utf-8")
        return call("create", "brief.json", "-o", "out", "--json", *arguments)

    return run


def test_a_brief_becomes_three_sealed_files(make: Any, call: Call) -> None:
    assert make().code == 0
    text = Path("out/translation.md").read_text("utf-8")
    assert "咖啡" in text
    assert "http://x.y/a_b" in text
    assert "not me" not in Path("out/bilingual.html").read_text("utf-8")
    report = Path("out/report.html").read_text("utf-8")
    assert "coffee shop" in report
    assert call("verify", "out").code == 0


def test_a_translation_is_replayed_and_made_only_once(make: Any, call: Call) -> None:
    assert make().code == 0
    again = call("replay", "out", "--json")
    found = {Path(one["path"]).name: one["outcome"] for one in again.json["files"]}
    assert found == dict.fromkeys(NAMES, "identical")
    assert make().json["pieces"][0].get("files", []) == []


def test_a_document_is_replayed_without_its_file(make: Any, call: Call) -> None:
    Path("guide.md").write_text(GUIDE, "utf-8")
    Path("terms.csv").write_text("term,translation\ntea,茶\n", "utf-8")
    assert make(text="", document="guide.md", glossary="terms.csv").code == 0
    Path("guide.md").unlink()
    Path("terms.csv").unlink()
    assert call("replay", "out").code == 0


def test_a_changed_document_is_made_again(make: Any, call: Call) -> None:
    Path("guide.txt").write_text("Tom likes tea.\n", "utf-8")
    assert make(text="", document="guide.txt").code == 0
    first = Path("out/translation.txt").read_bytes()
    Path("guide.txt").write_text("Tom likes 10 teas.\n", "utf-8")
    assert make(text="", document="guide.txt").code == 0
    assert Path("out/translation.txt").read_bytes() != first


def test_a_private_translation_publishes_nothing_of_its_source(make: Any) -> None:
    assert make("--private", text="Secretword likes Tom.\n").code == 0
    assert not Path("out/bilingual.html").exists()
    for path in Path("out").iterdir():
        if path.name != "translation.md" and path.suffix in (".html", ".json"):
            assert "likes" not in path.read_text("utf-8")


def test_a_model_of_research_data_is_refused_for_commerce(make: Any, home: Path) -> None:
    other = home / "other"
    other.mkdir()
    folder = build_translator(other, licence="LicenseRef-Multi30k-non-commercial-research")
    said = make("--commercial", writer=str(folder))
    assert said.code == RightsError.exit_code
    assert "Multi30k" in said.error


def test_a_writer_of_another_kind_translates(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Told(*[lambda ask: "".join(c for c in ask.prompt if c in "⟦⟧0123456789") or "好"] * 40)
    monkeypatch.setitem(OPENERS, "told", lambda name: made)
    text = "Tom likes **tea** very much.\n"
    assert make(text=text, writer="told:x", glossary={}).code == 0
    assert "**好**" in Path("out/translation.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": ""}, "give either text or document"),
        ({"document": "a.md"}, "give either text or document"),
        ({"text": "", "document": "none.md"}, "there is no file none.md"),
        ({"text": "", "document": "a.pdf"}, "none of .md"),
        ({"glossary": {"": "x"}}, "empty side"),
        ({"glossary": {"x": " "}}, "empty side"),
        ({"glossary": {"Tea": "茶", "tea": "叶"}}, "to be both"),
        ({"glossary": {"x" * 101: "y"}}, "longer than 100"),
        ({"glossary": "none.csv"}, "there is no file"),
        ({"source": "en", "into": "en"}, "name two languages"),
        ({"text": "今天天气很好。", "into": "zh"}, "is in zh already"),
        ({"text": "x" * 1_000_001}, "larger than"),
        ({"text": "\ud800"}, "half a character"),
        ({"writer": "nowhere:x"}, "there is no writer nowhere:x"),
        ({"writer": "nobody"}, "there is no model nobody"),
        ({"title": "a\nb"}, "title"),
    ],
)
def test_what_cannot_be_done_is_one_line(make: Any, fields: dict[str, Any], said: str) -> None:
    found = make(**fields)
    assert found.code >= 10
    assert said in found.error


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("g.json", "[1]", "not a JSON object"),
        ("g.json", '{"a": "x", "a": "y"}', "to be both"),
        ("g.json", '{"a": {"b": "c"}}', "not a JSON object"),
        ("g.csv", "a,b,c\n", "row 1 has not two cells"),
        ("g.csv", "a,x\na,y\n", "to be both"),
    ],
)
def test_a_glossary_that_is_malformed_is_named(
    home: Path, name: str, content: str, said: str
) -> None:
    Path(name).write_text(content, "utf-8")
    with pytest.raises(WenfangError, match=said):
        read_brief({"scenario": "translate", "text": "Hi.", "glossary": name}, "brief")


def test_schema_and_program_accept_the_same(home: Path) -> None:
    document = SCENARIOS["translate"].schema()
    jsonschema.Draft202012Validator.check_schema(document)
    validator = jsonschema.Draft202012Validator(document)
    least = {"scenario": "translate", "text": "Hi."}
    for content, good in (
        (least, True),
        ({**least, "glossary": {"a": "b"}}, True),
        ({**least, "glossary": {"a": 1}}, False),
        ({**least, "into": "fr"}, False),
        ({**least, "extra": 1}, False),
    ):
        assert validator.is_valid(content) is good
        try:
            read_brief(content, "brief")
            accepted = True
        except BriefError:
            accepted = False
        assert accepted is good


def test_the_largest_text_works() -> None:
    text = ("# Tea\n\nTom likes 10 teas, and *so* do I.\n\n" * 24_000)[: 10**6 - 1]
    brief = read_brief({"scenario": "translate", "text": text}, "brief")[1]
    assert isinstance(brief, translate_brief.TranslateBrief)
    assert len(brief.content) == len(text)


@pytest.mark.slow
def test_a_document_of_a_megabyte_keeps_its_structure() -> None:
    text = "# Tea\n\nTom likes 10 teas, and *so* do I.\n\n" * 24_000
    found = echoed(text)
    assert skeleton(found.text) == skeleton(text)


def test_what_does_not_fit_the_model_is_known_before(interpreter: BundleInterpreter) -> None:
    assert interpreter.fits("I like tea.", "zh")
    assert not interpreter.fits("tea " * 200, "zh")
