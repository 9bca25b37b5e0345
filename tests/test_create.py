"""Briefs become sealed pieces; the product's promises, kept by a model that knows nothing."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from conftest import BRIEF, Call
from wenfang.knowledge import script, verse
from wenfang.store import Store

Write = Callable[..., Path]
# The package has a function of this name, too.
SCENARIO = "wenfang.scenarios.verse_card"
FILES = ["card.png", "card-web.png", "poem.md", "poem.txt", "report.html"]


def test_a_brief_becomes_five_sealed_files_that_verify(
    call: Call, brief: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_OFFLINE", "1")
    connections: list[str] = []

    def listen(event: str, _: Any) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
            connections.append(event)

    sys.addaudithook(listen)
    made = call("create", brief(), "-o", "out", "--json")
    assert (made.code, connections) == (0, [])
    (piece,) = made.json["pieces"]
    assert [Path(path).name for path in piece["files"]] == FILES
    assert {verdict["outcome"] for verdict in piece["verdicts"]} == {"good"}
    assert call("verify", "out").code == 0


@pytest.mark.usefixtures("plain_card")
def test_a_finished_piece_is_left_alone_and_a_changed_one_is_made_again(
    call: Call, brief: Write
) -> None:
    (piece,) = call("create", brief(), "-o", "out", "--json").json["pieces"]
    again = call("create", brief(), "-o", "out", "--json")
    assert again.code == 0
    assert again.json["pieces"][0]["skipped"] is True

    Path("out/poem.txt").write_text("changed")
    healed = call("create", brief(), "-o", "out", "--json")
    assert healed.json["pieces"][0]["skipped"] is False
    assert healed.json["pieces"][0]["text"] == piece["text"]
    assert call("verify", "out").code == 0


@pytest.mark.usefixtures("plain_card")
def test_the_lineage_of_a_published_file_ends_at_source_and_licence(
    call: Call, brief: Write
) -> None:
    call("create", brief(), "-o", "out")
    lineage = call("lineage", "out/card.png")
    assert lineage.code == 0
    assert "poems.jsonl" in lineage.out
    assert "CC0-1.0" in lineage.out
    Path("out/card.png").write_bytes(b"not a card")
    assert call("lineage", "out/card.png").code == 22


def payloads(folder: Path) -> dict[str, str]:
    seals = {path.name: json.loads(path.read_text()) for path in folder.glob("*.wenfang.json")}
    return {name: seal["statement"]["payload_sha256"] for name, seal in seals.items()}


def test_one_brief_gives_the_same_payloads_in_two_homes(
    call: Call, brief: Write, home: Path, monkeypatch: pytest.MonkeyPatch, workshop: Path
) -> None:
    path = brief(form="七言絕句", language="zh-Hans", signature="文房")
    assert call("create", path, "-o", "first").code == 0
    other = home.parent / "other"
    other.mkdir()
    (other / "bundles").symlink_to(workshop / "bundles")
    monkeypatch.setenv("WENFANG_HOME", str(other))
    assert call("create", path, "-o", "second").code == 0
    first, second = payloads(Path("first")), payloads(Path("second"))
    # The report names the files' hashes as published, and signatures are never the same twice.
    del first["report.html.wenfang.json"], second["report.html.wenfang.json"]
    assert first == second
    assert len(first) == 4


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles for which poems were drawn, while nothing is typeset."""
    from wenfang.backends.poet import Poet

    titles: list[str] = []
    draw = Poet.draw

    def counted(self: Poet, title: str, *rest: Any) -> Any:
        titles.append(title)
        return draw(self, title, *rest)

    monkeypatch.setattr(Poet, "draw", counted)
    return titles


@pytest.fixture
def plain_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blank picture in place of the card: typesetting has its own tests."""
    from PIL import Image

    def blank(*_: object) -> Image.Image:
        return Image.new("RGB", (400, 560), "white")

    monkeypatch.setattr(import_module(SCENARIO), "typeset_card", blank)


@pytest.mark.usefixtures("plain_card")
def test_the_store_answers_the_same_request_unless_fresh_is_asked(
    call: Call, brief: Write, drawings: list[str]
) -> None:
    assert call("create", brief(), "-o", "one").code == 0
    assert len(drawings) == 1
    assert call("create", brief(), "-o", "two").code == 0
    assert len(drawings) == 1
    assert call("create", brief(), "-o", "two", "--fresh").code == 0
    assert len(drawings) == 2
    assert call("create", brief(seed=8), "-o", "two").code == 0
    assert len(drawings) == 3
    assert Path("one/poem.txt").read_bytes() != Path("two/poem.txt").read_bytes()


def everything(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.usefixtures("plain_card")
def test_private_leaves_the_store_untouched(call: Call, brief: Write, home: Path) -> None:
    call("store", "du")
    before = everything(home / "store")
    made = call("create", brief(), "-o", "out", "--private")
    assert made.code == 0
    assert everything(home / "store") == before
    assert call("verify", "out").code == 0


@pytest.mark.usefixtures("plain_card")
def test_simplified_briefs_give_simplified_poems(call: Call, brief: Write) -> None:
    path = brief(language="zh-Hans", form="七言絕句")
    piece = call("create", path, "-o", "out", "--json").json["pieces"][0]
    text = Path("out/poem.txt").read_text("utf-8").split("\n", 1)[1]
    assert script.to_simplified(text) == text
    assert script.to_simplified(piece["text"]) == piece["text"]
    traditional = call("create", path, "-o", "o2", "--json", "--set", "language=zh-Hant").json
    first, second = piece["text"], traditional["pieces"][0]["text"]
    assert first != second
    assert script.to_simplified(second) == first


@pytest.mark.usefixtures("plain_card")
def test_characters_to_avoid_appear_in_neither_script(call: Call, brief: Write) -> None:
    made = call("create", brief(form="七言絕句", language="zh-Hans"), "-o", "out", "--json")
    lines = made.json["pieces"][0]["text"].splitlines()[2:]
    avoid = lines[0][:3]
    asked = {**BRIEF["constraints"], "avoid": avoid}
    path = brief(form="七言絕句", language="zh-Hans", constraints=asked)
    changed = call("create", path, "-o", "out", "--json").json["pieces"][0]["text"]
    assert not set(avoid) & set("".join(changed.splitlines()[2:]))


def relicensed(bundle: Path, licence: str) -> None:
    """Give a bundle's source another licence, every id made right again."""
    from wenfang.checkpoint import MANIFEST
    from wenfang.store import from_record, to_record

    record = json.loads((bundle / MANIFEST).read_text())
    del record["id"]
    record["licence"] = licence
    (bundle / MANIFEST).write_text(json.dumps(to_record(from_record(record))))


def test_commercial_refuses_a_licence_that_forbids_it(call: Call, brief: Write, home: Path) -> None:
    relicensed(home / "bundles/verse", "CC-BY-NC-4.0")
    refused = call("create", brief(), "-o", "out", "--commercial")
    assert refused.code == 25
    assert "CC-BY-NC-4.0" in refused.error
    assert not Path("out").exists()


BATCH = ("春江", "秋山", "梅雪")


def batch(*lines: str) -> Path:
    path = Path.cwd() / "briefs.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def as_line(**changes: object) -> str:
    return json.dumps({**BRIEF, **changes}, ensure_ascii=False)


@pytest.mark.usefixtures("plain_card")
def test_a_batch_makes_the_good_briefs_and_ends_with_the_bad_ones_code(call: Call) -> None:
    path = batch(as_line(subject="春江"), '{"scenario": ', as_line(subjcet="秋山"), as_line(seed=3))
    made = call("create", path, "-o", "out", "--json")
    assert made.code == 11
    errors = [one["error"] for one in made.json["pieces"]]
    assert errors[0] is errors[3] is None
    assert "briefs.jsonl:2" in errors[1]
    assert "briefs.jsonl:3" in errors[2]
    assert "subject" in errors[2]
    made_folders = sorted(path.name for path in Path("out").iterdir())
    assert made_folders == ["00001", "00004"]
    said = call("create", path, "-o", "out")
    assert said.err.count("✗") == 2
    assert said.out.count("finished") == 2


@pytest.mark.usefixtures("plain_card")
def test_a_batch_that_was_stopped_goes_on_where_it_was(
    call: Call, drawings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verse_card = import_module(SCENARIO)
    path = batch(*(as_line(subject=subject) for subject in BATCH))
    publish, published = verse_card.publish, 0

    def deadly(*values: Any) -> Any:
        nonlocal published
        published += 1
        if published == 8:  # in the middle of the second piece
            raise KeyboardInterrupt
        return publish(*values)

    monkeypatch.setattr(verse_card, "publish", deadly)
    stopped = call("create", path, "-o", "out")
    assert stopped.code == 130
    assert "goes on" in stopped.error
    assert not list(Path("out").rglob(".partial-*"))
    assert call("verify", "out").code == 0

    before = everything(Path("out/00001"))
    done = call("create", path, "-o", "out", "--json")
    assert done.code == 0
    assert [one["skipped"] for one in done.json["pieces"]] == [True, False, False]
    assert everything(Path("out/00001")) == before
    # The second poem was drawn before the stop; only its cards are made again.
    assert len(drawings) == 3
    assert call("verify", "out").code == 0


CSV = """scenario,subject,form,seed,constraints.candidates,constraints.rounds,sampling.top_p,date
verse_card,春江,五言絕句,3,2,2,0.9,2026
,,,,,,,

verse_card,秋山,五言絕句,4,2,2,,
"""


@pytest.mark.usefixtures("plain_card")
def test_a_csv_gives_one_piece_a_row_and_skips_empty_rows(call: Call) -> None:
    Path("briefs.csv").write_text(CSV, "utf-8-sig")
    made = call("create", "briefs.csv", "-o", "out", "--json")
    assert made.code == 0, made
    assert [one["brief"] for one in made.json["pieces"]] == ["briefs.csv:2", "briefs.csv:5"]


def test_every_poem_keeps_the_form(call: Call) -> None:
    made = call("generate", "verse", "春江", "-n", "8", "--json", "--set", "characters=5")
    for one in made.json["generated"]:
        lines = [line.rstrip("，。") for line in one["text"].split("\n")]
        assert all(f.passed for f in verse.check(lines, verse.FORMS[5]))


@pytest.mark.usefixtures("plain_card")
def test_what_is_kept_in_the_store_is_whole_and_no_more(call: Call, brief: Write) -> None:
    assert call("create", brief(), "-o", "out").code == 0
    with Store.open() as store:
        kinds = [manifest.kind for manifest in store.list()]
        assert store.check() == []
    assert kinds.count("piece") == 1
    assert kinds.count("asset") == len(FILES) + 1  # and the poem
    assert {"source", "dataset", "recipe", "bundle", "brief"} <= set(kinds)
