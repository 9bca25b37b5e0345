"""Verse cards by writers that follow instructions: asked, judged, asked again, and told apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import bad_server
from bad_server import Server, good, status
from conftest import BRIEF, Call, Outcome
from wenfang import config
from wenfang.backends import choosing
from wenfang.backends.poet import Poet
from wenfang.backends.verse_writer import (
    SCHEMA,
    Refused,
    VerseOrder,
    VerseWriter,
    instructions,
    request,
)
from wenfang.backends.writer import Ask, Draft, OnText
from wenfang.errors import CheckError, EndpointError, RightsError
from wenfang.knowledge import script, verse
from wenfang.models.load import load
from wenfang.samplers.tokens import Sampling
from wenfang.samplers.verse import VerseRules, VerseSampling
from wenfang.scenarios import read_brief
from wenfang.scenarios.verse_brief import VerseCardBrief
from wenfang.scenarios.verse_drafting import constraints
from wenfang.store import Manifest

# The package has a function of this name, too.
SCENARIO = "wenfang.scenarios.verse_card"
KEY = "sk-very-secret-0123456789"
Answer = str | Exception
Lines = tuple[str, ...]


def as_json(lines: Lines) -> str:
    return json.dumps({f"line{n}": line for n, line in enumerate(lines, 1)}, ensure_ascii=False)


@dataclass
class Scripted:
    """A writer that says what it is told to, the last answer for ever, and notes what it heard."""

    answers: list[Answer]
    name: str = "fake:it"
    asks: list[Ask] = field(default_factory=list)
    finish: Any = "stop"
    made_from: tuple[Manifest, ...] = (
        Manifest(kind="bundle", name="it", media_type="application/x-test", licence="MIT"),
    )

    def write(self, ask: Ask, on_text: OnText = lambda text: None) -> list[Draft]:
        """The next answer."""
        self.asks.append(ask)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [Draft(text=answer, finish=self.finish)]


def is_rare(token: str) -> bool:
    """Whether a character is beyond the 5401 that every font has (the first plane of Big5)."""
    try:
        return token.encode("big5") > b"\xc6\x7e"
    except UnicodeEncodeError:
        return True


@pytest.fixture(scope="session")
def poems(workshop: Path) -> list[Lines]:
    """Quatrains that keep every rule, drawn under them by a model that knows nothing else."""
    poet = Poet(load(workshop / "bundles/verse"))
    rare = "".join(filter(is_rare, poet.tokenizer.tokens()))
    rules = VerseRules(characters=5, rhyme_first=True, forbidden=rare)
    return poet.lines([""] * 3, rules, VerseSampling(), [(seed, "t") for seed in range(3)])


Make = Callable[..., tuple[Outcome, Scripted]]


@pytest.fixture
def make(call: Call, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Create the card of a brief by a writer that gives these answers; its picture is blank."""
    monkeypatch.setenv("WENFANG_OFFLINE", "1")
    blank = Image.new("RGB", (400, 560), "white")
    monkeypatch.setattr(import_module(SCENARIO), "typeset_card", lambda *_: blank)

    def run(*answers: Answer, options: tuple[str, ...] = (), **changes: Any) -> Any:
        writer = Scripted(list(answers))
        monkeypatch.setitem(choosing.OPENERS, "fake", lambda name: writer)
        brief = {**BRIEF, "writer": "fake:it", **changes}
        Path("brief.json").write_text(json.dumps(brief, ensure_ascii=False), "utf-8")
        return call("create", "brief.json", "-o", "out", "--json", *options), writer

    return run


def written(done: Outcome) -> list[str]:
    """The lines of the only piece, bare."""
    assert done.code == 0, done.err
    text = done.json["pieces"][0]["text"]
    return [line.rstrip("，。") for line in text.splitlines()[2:]]


def test_a_quatrain_that_passes_is_taken_and_no_more_is_asked(
    make: Make, poems: list[Lines]
) -> None:
    done, writer = make(as_json(poems[0]))
    assert written(done) == list(poems[0])
    (ask,) = writer.asks
    assert (ask.schema, ask.count) == (SCHEMA, 1)
    assert ask.prompt == "Title: 春江花月夜"
    assert "五言絕句" in ask.system
    assert "exactly 5" in ask.system
    manifest = Path("out/poem.txt.wenfang.json").read_text("utf-8")
    assert '"made_with": "fake:it"' in manifest
    assert "compared_with" in manifest
    report = Path("out/report.html").read_text("utf-8")
    assert "nats" not in report  # of a likelihood that nobody told
    assert "constraints" in report


def test_scripts_and_stops_are_mended_before_the_checks(make: Make, poems: list[Lines]) -> None:
    plain = tuple(script.to_simplified(line) for line in poems[0])
    done, _ = make(as_json(tuple(f" {line}，" for line in plain)), language="zh-Hans")
    assert [script.to_simplified(line) for line in written(done)] == list(plain)


def test_what_fails_is_told_and_asked_again_until_one_passes(
    make: Make, poems: list[Lines]
) -> None:
    short, unrhymed = (poems[0][0][:4], *poems[0][1:]), (*poems[0][:3], poems[0][2])
    refused = [as_json(short), as_json(unrhymed), "no JSON", CheckError("no schema")]
    done, writer = make(*refused, as_json(poems[1]), constraints={"candidates": 2, "rounds": 3})
    assert written(done) == list(poems[1])
    assert len(writer.asks) == 5
    assert len({ask.seed for ask in writer.asks}) == 5
    prompts = [ask.prompt for ask in writer.asks]
    assert prompts[0] == prompts[1]
    assert "／".join(short) in prompts[2]
    assert "the rule form is broken: 4 5 5 5" in prompts[2]
    assert "the rule rhyme is broken" in prompts[2]
    assert prompts[2] == prompts[3] == prompts[4]
    (piece,) = done.json["pieces"]
    assert "5" in Path("out/report.html").read_text("utf-8")
    assert piece["error"] is None


def test_the_reasons_are_told_in_english_whatever_we_speak(
    make: Make, poems: list[Lines], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_LANG", "zh")
    short = as_json((poems[0][0][:4], *poems[0][1:]))
    _, writer = make(short, as_json(poems[1]), constraints={"candidates": 1, "rounds": 2})
    assert "is broken" in writer.asks[1].prompt


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Sorry, no.", "the answer holds no four lines"),
        ('{"line1": "春", "line2": 2, "line3": "江", "line4": "月"}', "no four lines"),
        ("[" * 5_000, "no four lines"),
        (as_json(("a", "b", "c", "d")), "the rule form is broken: 1 1 1 1"),
        (as_json(("", "", "", "")), "the rule form is broken"),
        (as_json(("春江花月夜\n春", "春", "江", "月")), "the rule form is broken: 5 1 1 1 1"),
        (CheckError("{host} sent prose", host="far"), "far sent prose"),
    ],
)
def test_where_none_passes_the_error_says_why_and_nothing_is_made(
    make: Make, answer: Answer, reason: str
) -> None:
    done, writer = make(answer)
    assert done.code == CheckError.exit_code
    assert "none of 4 quatrains on 春江花月夜 passed" in done.error
    assert reason in done.error
    assert len(writer.asks) == 4
    assert not Path("out").exists()


def test_an_endpoint_that_is_gone_is_not_asked_for_every_candidate(make: Make) -> None:
    done, writer = make(EndpointError("gone"))
    assert done.code == EndpointError.exit_code
    assert len(writer.asks) == 1


def test_a_line_of_the_training_material_is_refused(make: Make, workshop: Path) -> None:
    records = map(json.loads, (workshop / "poems.jsonl").read_text("utf-8").splitlines())
    known = next(tuple(one["lines"]) for one in records if len(one["lines"][0]) == 5)
    done, _ = make(as_json(known), constraints={"candidates": 1, "rounds": 1})
    assert done.code == CheckError.exit_code
    assert "training" in done.error or "copied" in done.error, done.error


def test_an_answer_that_was_cut_is_told(poems: list[Lines]) -> None:
    order = VerseOrder(title="春江", form=verse.FORMS[5])
    writer = Scripted([as_json(poems[0])[:30]], finish="length")
    with pytest.raises(CheckError, match="cut at 24 tokens; raise"):
        VerseWriter(writer, order, Sampling(maximum_tokens=24)).lines((1,))


def test_the_store_answers_the_same_request_and_nothing_is_spent(
    make: Make, poems: list[Lines]
) -> None:
    first, _ = make(as_json(poems[0]))
    Path("out/poem.txt").unlink()
    second, writer = make(as_json(poems[1]))
    assert written(second) == written(first)
    assert not writer.asks
    third, writer = make(as_json(poems[1]), options=("--fresh",))
    assert written(third) == list(poems[1])
    assert len(writer.asks) == 1


def test_private_keeps_the_request_out_and_the_writer_in(make: Make, poems: list[Lines]) -> None:
    done, _ = make(as_json(poems[0]), options=("--private",))
    assert written(done) == list(poems[0])
    manifest = Path("out/poem.txt.wenfang.json").read_text("utf-8")
    assert '"request"' not in manifest
    assert "fake:it" in manifest


def brief_of(**changes: Any) -> VerseCardBrief:
    brief: VerseCardBrief = read_brief({**BRIEF, **changes}, "brief")[1]
    return brief


def test_what_a_bundle_is_held_to_a_writer_is_checked_for(poems: list[Lines]) -> None:
    lines = poems[0]
    assert constraints(lines, brief_of(constraints={"rhyme_first": True})).verdict == "pass"
    other = next(c for c in "春江花月夜" if not verse.rhymes(c, lines[1][-1]))
    unrhymed = (lines[0][:-1] + other, *lines[1:])
    found = constraints(unrhymed, brief_of(constraints={"rhyme_first": True}))
    assert str(found.evidence[0]).startswith("the first line does not rhyme")
    avoided = script.to_simplified(lines[2][0])
    found = constraints(lines, brief_of(constraints={"avoid": avoided}))
    assert str(found.evidence[0]) == f"it holds {lines[2][0]}, which the brief avoids"
    turned = (lines[0], lines[1], lines[1], lines[3])
    found = constraints(turned, brief_of())
    assert found.verdict == ("repair" if verse.tonal_pattern(turned) < 1 else "pass")
    free = brief_of(constraints={"regular_tones": False})
    assert constraints(turned, free).verdict == "pass"


def test_a_quatrain_that_breaks_only_the_briefs_own_wish_is_not_taken(
    make: Make, poems: list[Lines]
) -> None:
    other = next(c for c in "春江花月夜" if not verse.rhymes(c, poems[0][1][-1]))
    unrhymed = as_json((poems[0][0][:-1] + other, *poems[0][1:]))
    asked = {"candidates": 1, "rounds": 2}
    done, writer = make(unrhymed, as_json(poems[1]), constraints={**asked, "rhyme_first": True})
    assert written(done) == list(poems[1])
    assert "the first line does not rhyme" in writer.asks[1].prompt
    done, _ = make(unrhymed, constraints=asked)
    assert written(done)[1:] == list(poems[0][1:])


def test_the_fault_of_a_tone_is_told_by_line_and_place() -> None:
    level, oblique = "東", "月"
    assert (verse.tone(level), verse.tone(oblique)) == ("level", "oblique")
    first, other = oblique + level + oblique * 3, oblique + oblique + oblique + level + oblique
    good_tones = [first, other, other, first]
    assert verse.tonal_faults(good_tones, verse.FORMS[5]) == []
    broken = [first, other, other, other]
    assert verse.tonal_faults(broken, verse.FORMS[5]) == [(3, 1, "level"), (3, 3, "oblique")]
    (first_fault, _) = constraints(broken, brief_of()).evidence
    assert "line 4, character 2: 月 is 仄, the pattern wants 平" in str(first_fault)


@pytest.mark.parametrize("size", [5, 7])
def test_a_pattern_without_faults_is_one_and_the_other_way_round(workshop: Path, size: int) -> None:
    for line in (workshop / "poems.jsonl").read_text("utf-8").splitlines():
        lines = json.loads(line)["lines"]
        if len(lines[0]) == size:
            faults = verse.tonal_faults(lines, verse.FORMS[size])
            assert bool(faults) == (verse.tonal_pattern(lines) < 1)


def test_a_poem_of_any_shape_has_its_tones_judged() -> None:
    for lines in ([], [""], ["春"] * 9, ["春江花月夜山雪秋水"] * 2):
        verse.tonal_faults(lines, verse.FORMS[7])
        constraints(lines, brief_of(constraints={"rhyme_first": True, "avoid": "春"}))


def test_the_instructions_tell_what_the_brief_asks_and_no_more() -> None:
    order = VerseOrder(title="春", form=verse.FORMS[7], rhyme_first=True, avoid="愁")
    told = instructions(order)
    assert "中平中仄中平中／中仄中平中仄中／中仄中平中仄中／中平中仄中平中 or 中仄" in told
    assert "Lines 1, 2 and 4" in told
    assert "愁" in told
    bare = instructions(VerseOrder(title="春", form=verse.FORMS[5], regular_tones=False))
    assert "tones follow" not in bare
    assert "Lines 2 and 4" in bare
    assert "None of these" not in bare
    many = [Refused(lines=("一", "二"), reasons=f"reason {n}") for n in range(9)]
    assert request("春", many).count("Because:") == 3


def test_a_brief_without_a_writer_is_recorded_as_before() -> None:
    assert "writer" not in config.to_dict(brief_of())
    assert config.to_dict(brief_of(writer="hub:x"))["writer"] == "hub:x"
    assert brief_of(writer="verse") == brief_of()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("WENFANG_OPENAI_KEY", KEY)
    with bad_server.serving() as one:
        yield one


def create(call: Call, server: Server, *options: str) -> Outcome:
    Path("brief.json").write_text(json.dumps(BRIEF, ensure_ascii=False), "utf-8")
    named = ("--set", f"writer={server.name}")
    return call("create", "brief.json", "-o", "out", "--json", *named, *options)


def test_a_card_by_an_endpoint_names_it_and_its_cost_and_nowhere_the_key(
    server: Server, call: Call, home: Path, poems: list[Lines]
) -> None:
    asked = {"input_price": 1.0, "output_price": 2.0, "licence": "CC0-1.0"}
    (home / "endpoints.json").write_text(json.dumps({f"{server.url}/v1": asked}))
    server.replies = [status(500), good("Not JSON."), good(as_json(poems[0]))]
    done = create(call, server, "--commercial")
    assert written(done) == list(poems[0])
    assert {one["outcome"] for one in done.json["pieces"][0]["verdicts"]} == {"good"}
    assert {one["authorization"] for one in server.headers} == {f"Bearer {KEY}"}
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == SCHEMA

    facts = json.loads(Path("out/card.png.wenfang.json").read_text("utf-8"))
    told = json.dumps(facts, ensure_ascii=False)
    assert server.name in told
    spent = facts["statement"]["manifest"]["facts"]["spent"]
    assert (spent["answers"], spent["input_tokens"], spent["output_tokens"]) == (2, 14, 6)
    assert spent["cost"] == pytest.approx(26e-6)
    lineage = call("lineage", "out/card.png", "--json").out
    assert f"{server.url}/v1" in lineage
    assert "CC0-1.0" in lineage
    assert f"{server.url}/v1" in Path("out/report.html").read_text("utf-8")

    files = [path for root in (home, Path("out")) for path in root.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in done.out + done.err + lineage


def test_commerce_needs_a_licence_that_somebody_said(
    server: Server, call: Call, home: Path, poems: list[Lines]
) -> None:
    server.replies = [good(as_json(poems[0]))]
    done = create(call, server, "--commercial")
    assert done.code == RightsError.exit_code
    assert not server.bodies


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (status(401, f"wrong key {KEY}"), EndpointError.exit_code),
        (good("Not JSON."), CheckError.exit_code),
        (good(f'{{"line1": "{KEY}"}}'), EndpointError.exit_code),
    ],
)
def test_what_goes_wrong_leaves_no_piece_and_no_key(
    server: Server, call: Call, home: Path, reply: Any, code: int
) -> None:
    server.replies = [reply]
    done = create(call, server)
    assert done.code == code
    assert not Path("out").exists()
    assert KEY not in done.out + done.err
    files = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_replay_asks_an_endpoint_only_where_it_is_named_by_hand(
    server: Server, call: Call, poems: list[Lines]
) -> None:
    server.replies = [good(as_json(poems[0]))]
    assert create(call, server).code == 0
    assert len(server.bodies) == 1
    untold = call("replay", "out/poem.txt")
    assert untold.code == 3
    assert f"--model {server.name}" in untold.out
    assert len(server.bodies) == 1
    again = call("replay", "out/poem.txt", "--model", server.name)
    assert again.code == 0, again
    assert len(server.bodies) == 2
