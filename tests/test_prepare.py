"""A data set is clean, whole or absent, the same every time, and says what was left out."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wenfang.atomic import exclusive
from wenfang.data import (
    Dataset,
    Duplicates,
    Event,
    PrepareRequest,
    Reading,
    Source,
    Split,
    prepare,
    request_for,
)
from wenfang.errors import BusyError, ConfigError, DataError

NUMBERS = "一二三四五六七八九十百千萬山水日月風雨花鳥春秋江河雲霜雪松竹梅"


def poem(stream: random.Random) -> list[str]:
    return ["".join(stream.choices(NUMBERS, k=7)) for _ in range(4)]


def write_poems(path: Path, count: int, authors: int = 40) -> list[dict[str, Any]]:
    stream = random.Random(1)
    poems = [
        {"title": f"題{i}", "author": f"人{stream.randrange(authors)}", "lines": poem(stream)}
        for i in range(count)
    ]
    path.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in poems), "utf-8")
    return poems


def poem_request(path: Path, output: Path) -> PrepareRequest:
    request = request_for("verse", (Source(path=str(path), licence="MIT"),), str(output))
    return replace(request, reading=Reading(text_field="lines"), split=Split(key="author"))


def every(dataset: Dataset) -> list[dict[str, Any]]:
    return [r for split in ("train", "valid", "test") for r in dataset.records(split)]


def prose(path: Path, output: Path, *texts: str, **changes: Any) -> PrepareRequest:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    request = request_for("none", (Source(path=str(path)),), str(output))
    return replace(request, split=Split(train=1, valid=0, test=0), **changes)


def rejects(dataset: Dataset) -> list[dict[str, Any]]:
    text = (dataset.folder / "rejects.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_poems_keep_their_fields_and_no_author_is_in_two_parts(tmp_path: Path) -> None:
    poems = write_poems(tmp_path / "p.jsonl", 600)
    dataset = prepare(poem_request(tmp_path / "p.jsonl", tmp_path / "set"))
    kept = every(dataset)
    assert len(kept) == 600 == sum(dataset.count(s) for s in ("train", "valid", "test"))
    by_title = {record["title"]: record for record in kept}
    for original in poems:
        record = by_title[original["title"]]
        assert {k: record[k] for k in original} == original
        assert record["text"] == "\n".join(original["lines"])
    parts = {s: {r["author"] for r in dataset.records(s)} for s in ("train", "valid", "test")}
    assert all(parts.values())
    assert not parts["train"] & parts["valid"]
    assert not parts["train"] & parts["test"]
    assert not parts["valid"] & parts["test"]


def test_splits_hold_the_shares_that_were_asked() -> None:
    counts = {"train": 0, "valid": 0, "test": 0}
    for key in range(20_000):
        counts[Split().part_of(str(key), 0)] += 1
    assert counts["train"] / 20_000 == pytest.approx(0.9, abs=0.01)
    assert counts["valid"] / 20_000 == pytest.approx(0.05, abs=0.006)


def test_another_seed_splits_otherwise() -> None:
    parts = [[Split().part_of(str(key), seed) for key in range(500)] for seed in (0, 1)]
    assert parts[0] != parts[1]


def test_the_same_input_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    sets = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_poems(tmp_path / name / "p.jsonl", 300)
        sets.append(prepare(poem_request(tmp_path / name / "p.jsonl", tmp_path / name / "set")))
    files = [{p.name: p.read_bytes() for p in one.folder.iterdir()} for one in sets]
    assert files[0] == files[1]
    assert sets[0].manifest.id == sets[1].manifest.id


def test_other_content_or_settings_give_another_data_set(tmp_path: Path) -> None:
    write_poems(tmp_path / "p.jsonl", 50)
    request = poem_request(tmp_path / "p.jsonl", tmp_path / "set")
    first = prepare(request)
    other_seed = prepare(replace(request, seed=1))
    write_poems(tmp_path / "p.jsonl", 51)
    other_poems = prepare(request)
    keys = {one.manifest.key for one in (first, other_seed, other_poems)}
    assert len(keys) == 3


def test_the_same_request_is_answered_from_the_disk_unless_fresh(tmp_path: Path) -> None:
    write_poems(tmp_path / "p.jsonl", 50)
    request = poem_request(tmp_path / "p.jsonl", tmp_path / "set")
    steps: list[str] = []
    prepare(request, lambda event: steps.append(event.step))
    assert set(steps) == {"hash", "read", "compare", "write"}
    steps.clear()
    prepare(request, lambda event: steps.append(event.step))
    assert set(steps) == {"hash"}
    prepare(replace(request, fresh=True), lambda event: steps.append(event.step))
    assert "write" in steps


def test_progress_never_goes_back_and_ends_at_the_total(tmp_path: Path) -> None:
    write_poems(tmp_path / "p.jsonl", 3000)
    events: list[Event] = []
    prepare(poem_request(tmp_path / "p.jsonl", tmp_path / "set"), events.append)
    for step in ("hash", "read", "compare", "write"):
        done = [event.done for event in events if event.step == step]
        assert done == sorted(done)
        assert done[-1] == next(event.total for event in events if event.step == step)
    assert events[-1].kept == 3000


def test_the_first_of_equals_is_kept_and_the_others_are_counted(tmp_path: Path) -> None:
    words = [f"word{i}" for i in range(60)]
    near = [*words[:30], "changed", *words[31:]]
    texts = [" ".join(words), "something else entirely", " ".join(words).upper(), " ".join(near)]
    dataset = prepare(prose(tmp_path / "a.jsonl", tmp_path / "set", *texts))
    assert [record["text"] for record in every(dataset)] == texts[:2]
    assert dataset.counts["rejected"] == {"exact_duplicate": 1, "near_duplicate": 1}


def test_duplicates_stay_where_asked(tmp_path: Path) -> None:
    settings = Duplicates(exact=False, near=False, lines=False)
    request = prose(tmp_path / "a.jsonl", tmp_path / "set", "same", "same", duplicates=settings)
    assert prepare(request).count("train") == 2


def test_long_lines_seen_before_are_dropped_and_short_ones_stay(tmp_path: Path) -> None:
    menu = "Home, News, Sport, Weather, Contact and more"
    texts = [
        f"{menu}\nshort\nThe first text has this line of its own.",
        f"{menu}\nshort\nAnd quite another line is in the second.",
    ]
    request = prose(tmp_path / "a.jsonl", tmp_path / "set", *texts, duplicates=Duplicates())
    dataset = prepare(request)
    assert every(dataset)[0]["text"] == texts[0]
    assert every(dataset)[1]["text"] == "short\nAnd quite another line is in the second."
    assert dataset.counts["dropped_lines"] == {"repeated_line": 1}


def test_a_line_of_a_dropped_duplicate_is_not_held_against_later_ones(tmp_path: Path) -> None:
    words = " ".join(f"word{i}" for i in range(60))
    unique = "this line stands only in the duplicate so far"
    texts = [words, f"{words}\n{unique}", f"{unique}\nand here begins something new"]
    dataset = prepare(
        prose(tmp_path / "a.jsonl", tmp_path / "set", *texts, duplicates=Duplicates())
    )
    assert dataset.counts["rejected"] == {"near_duplicate": 1}
    assert every(dataset)[1]["text"] == texts[2]


def test_a_record_of_repeated_lines_only_is_rejected(tmp_path: Path) -> None:
    one, two = "a long line that stands here first", "another long line that stands here"
    texts = [
        f"{one}\n{' '.join(map(str, range(90)))}",
        f"{two}\n{' '.join(map(str, range(200, 290)))}",
        f"{two}\n{one}",
    ]
    settings = Duplicates(near=False)
    dataset = prepare(prose(tmp_path / "a.jsonl", tmp_path / "set", *texts, duplicates=settings))
    assert dataset.counts["rejected"] == {"empty": 1}


def test_personal_data_is_masked_and_counted_in_rejects_too(tmp_path: Path) -> None:
    texts = ["write to me at someone@example.com soon", "write to me at someone@example.com soon"]
    dataset = prepare(prose(tmp_path / "a.jsonl", tmp_path / "set", *texts))
    assert every(dataset)[0]["text"] == "write to me at [email] soon"
    assert dataset.counts["masked"] == {"email": 1}
    for path in dataset.folder.iterdir():
        assert b"someone@" not in path.read_bytes()
    assert "[email]" in rejects(dataset)[0]["text"]


def test_text_of_an_evaluation_set_is_left_out(tmp_path: Path) -> None:
    held = " ".join(f"held{i}" for i in range(20))
    exam = tmp_path / "exam.jsonl"
    exam.write_text(json.dumps({"text": held}) + "\n" + json.dumps({"text": "A short one."}) + "\n")
    texts = [
        "Well, " + held[:100] + " and more",
        "it shares held0 held1 held2 only",
        "a SHORT one",
        "a short one among others",
    ]
    request = prose(tmp_path / "a.jsonl", tmp_path / "set", *texts, evaluation=(str(exam),))
    dataset = prepare(request)
    assert [record["text"] for record in every(dataset)] == [texts[1], texts[3]]
    assert dataset.counts["rejected"] == {"contaminated": 2}


def test_thirteen_shared_words_condemn_and_twelve_do_not(tmp_path: Path) -> None:
    exam = tmp_path / "exam.txt"
    exam.write_text(" ".join(f"w{i}" for i in range(40)))
    texts = ["x " + " ".join(f"w{i}" for i in range(count)) + " y" for count in (13, 12)]
    settings = Duplicates(exact=False, near=False, lines=False)
    request = prose(
        tmp_path / "a.jsonl", tmp_path / "set", *texts, evaluation=(str(exam),), duplicates=settings
    )
    assert [record["text"] for record in every(prepare(request))] == [texts[1]]


def test_text_is_composed_and_cleaned(tmp_path: Path) -> None:
    request = prose(
        tmp_path / "a.jsonl", tmp_path / "set", "\ufeffcafe\u0301 \r\n\u200bone\x07  \n\n\n\ntwo，"
    )
    assert every(prepare(request))[0]["text"] == "café\none\n\ntwo，"


def test_counts_add_up_and_each_rule_leaves_a_bounded_sample(tmp_path: Path) -> None:
    poems = write_poems(tmp_path / "p.jsonl", 200)
    with (tmp_path / "p.jsonl").open("a", encoding="utf-8") as stream:
        for bad in poems[:60]:
            lines = ["□" + bad["lines"][0][1:], *bad["lines"][1:]]
            stream.write(json.dumps({**bad, "lines": lines}) + "\n")
        stream.write(json.dumps({**poems[0], "lines": ["一二三"]}) + "\n")
    dataset = prepare(poem_request(tmp_path / "p.jsonl", tmp_path / "set"))
    counts = dataset.counts
    assert counts["rejected"] == {"characters_not_han": 60, "line_count": 1}
    assert counts["read"] == 261 == counts["kept"] + 61
    samples = rejects(dataset)
    assert len([s for s in samples if s["rule"] == "characters_not_han"]) == 20
    (one,) = [s for s in samples if s["rule"] == "line_count"]
    assert (one["value"], one["threshold"], one["line"]) == (1, 4, 261)


def test_the_manifest_names_sources_licences_rules_and_shards(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"text of {name} alone")
    sources = (
        Source(path=str(tmp_path / "a.txt"), licence="MIT", origin="here", notice="by A"),
        Source(path=str(tmp_path / "b.txt"), licence="CC-BY-4.0"),
    )
    dataset = prepare(request_for("none", sources, str(tmp_path / "set")))
    assert dataset.manifest.licence == "CC-BY-4.0 AND MIT"
    first, second = dataset.source_manifests
    assert (first.licence, first.facts["origin"], first.facts["notice"]) == ("MIT", "here", "by A")
    assert [link.id for link in dataset.manifest.inputs] == [first.id, second.id]
    assert {record["_source"] for record in every(dataset)} == {"a.txt", "b.txt"}
    assert str(tmp_path) not in (dataset.folder / "manifest.json").read_text()


def test_shards_are_bounded_and_read_back_in_order(tmp_path: Path) -> None:
    texts = [f"text number {i} {random.Random(i).random()}" for i in range(100)]
    request = prose(tmp_path / "a.jsonl", tmp_path / "set", *texts, shard_bytes=1000)
    dataset = prepare(replace(request, duplicates=Duplicates(near=False, lines=False)))
    assert len(dataset.shards("train")) > 4
    assert all(shard["bytes"] <= 1000 for shard in dataset.shards())
    assert [record["text"] for record in dataset.records("train")] == texts


def test_a_damaged_or_missing_shard_is_named(tmp_path: Path) -> None:
    request = prose(tmp_path / "a.jsonl", tmp_path / "set", "some text")
    dataset = prepare(request)
    shard = tmp_path / "set" / "train-00000.jsonl.gz"
    payload = bytearray(shard.read_bytes())
    for place in (len(payload) // 2, len(payload) - 6):
        damaged = bytearray(payload)
        damaged[place] ^= 1
        shard.write_bytes(damaged)
        with pytest.raises(DataError, match=r"train-00000\.jsonl\.gz is damaged"):
            list(Dataset.open(tmp_path / "set").records("train"))
    shard.unlink()
    with pytest.raises(DataError, match=r"train-00000\.jsonl\.gz is missing"):
        Dataset.open(tmp_path / "set")
    assert every(prepare(request)) == [{"text": "some text"}]  # prepared again, not given back
    with pytest.raises(DataError, match="is not a part"):
        dataset.count("training")


def test_a_folder_that_is_no_data_set_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("precious")
    request = prose(tmp_path / "a.jsonl", tmp_path / "home", "some text")
    with pytest.raises(DataError, match="is not a data set and would be replaced"):
        prepare(request)
    assert (tmp_path / "home" / "letter.txt").read_text() == "precious"
    with pytest.raises(DataError, match="is not a data set"):
        Dataset.open(tmp_path / "home")


def test_a_source_inside_the_output_is_refused(tmp_path: Path) -> None:
    prepare(prose(tmp_path / "a.jsonl", tmp_path / "set", "some text"))
    with pytest.raises(DataError, match="lies in the output folder"):
        prepare(prose(tmp_path / "set" / "b.jsonl", tmp_path / "set", "other text"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": Split(key="writer")}, "no writer to split by; set split.key"),
        ({"reading": Reading(bad_records="stop", text_field="body")}, "no column body"),
    ],
)
def test_a_wrong_column_is_named_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    request = replace(prose(tmp_path / "a.jsonl", tmp_path / "set", "some text"), **changes)
    with pytest.raises(DataError, match=message):
        prepare(request)
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", ".set.lock"}


def test_nothing_left_to_keep_is_an_error_that_names_the_rules(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("this is far too short")
    request = request_for("english", (Source(path=str(tmp_path / "a.txt")),), str(tmp_path / "set"))
    with pytest.raises(DataError, match=r"no record of 1 was kept \(words 1\)"):
        prepare(request)
    assert not (tmp_path / "set").exists()


def test_a_request_without_sources_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        request_for("none", (), "out")


def test_two_cannot_prepare_one_folder_at_once(tmp_path: Path) -> None:
    request = prose(tmp_path / "a.jsonl", tmp_path / "set", "some text")
    with exclusive(tmp_path / ".set.lock", "set"), pytest.raises(BusyError):
        prepare(request)


RUN = """
import resource, sys
from wenfang.data import Reading, Source, prepare, request_for
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
request = request_for("none", (Source(path=sys.argv[1]),), sys.argv[2])
prepare(request, lambda event: print(event.step, flush=True))
print("KIB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_killed_preparation_leaves_no_half_data_set(tmp_path: Path) -> None:
    write_poems(tmp_path / "p.jsonl", 20_000)
    source = (tmp_path / "p.jsonl").read_text("utf-8").replace('"title"', '"text"')
    (tmp_path / "p.jsonl").write_text(source, "utf-8")
    arguments = [sys.executable, "-c", RUN, str(tmp_path / "p.jsonl"), str(tmp_path / "set")]
    for pause_s in (0.0, 0.3, 0.8):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()  # the work has begun
            time.sleep(pause_s)
            os.kill(process.pid, signal.SIGKILL)
        assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    stream = random.Random(2)
    path = tmp_path / "big.txt"
    words = [f"w{i}" for i in range(5000)]
    with path.open("w") as file:
        for _ in range(4000):
            file.write(" ".join(stream.choices(words, k=1000)) + "\n\n")
    assert path.stat().st_size > 20e6
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(path), str(tmp_path / "set")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.split()[-1]) < 10_000  # KiB: half the size of the file
