"""Laws of replay: the same request gives the same payload, and a difference is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Call
from wenfang.device import environment
from wenfang.engine import replaying
from wenfang.engine.replaying import ReplayRequest, replay
from wenfang.language import speaking
from wenfang.store import Store

Write = Callable[..., Path]
NAMES = ["card-web.png", "card.png", "poem.md", "poem.txt", "report.html"]


@pytest.fixture
def piece(call: Call, brief: Write) -> Path:
    assert call("create", brief(), "-o", "out", "--json").code == 0
    return Path("out")


def test_every_file_of_a_piece_is_made_again_bit_for_bit(call: Call, piece: Path) -> None:
    again = call("replay", piece, "--json")
    assert again.code == 0
    found = {Path(one["path"]).name: one["outcome"] for one in again.json["files"]}
    assert found == dict.fromkeys(NAMES, "identical")


@pytest.mark.parametrize("reader", ["zh", "en"])
def test_a_report_is_made_again_in_its_own_language_whoever_asks(piece: Path, reader: str) -> None:
    with speaking(reader):  # as the studio's pages do, which stand beside each other in two
        found = replay(ReplayRequest(target=str(piece)))
    assert {one.outcome for one in found} == {"identical"}


def test_a_piece_is_replayed_by_its_id_and_in_batches(
    call: Call, brief: Write, tmp_path: Path
) -> None:
    made = call("create", brief(), "-o", "out", "--json").json["pieces"][0]["piece"]
    for way in ("--reference", "--batched"):
        again = call("replay", made, way, "--json")
        assert again.code == 0
        assert {one["outcome"] for one in again.json["files"]} == {"identical"}


def test_a_replay_needs_no_store_and_leaves_no_trace(
    call: Call, piece: Path, home: Path, tmp_path: Path
) -> None:
    lone = tmp_path / "lone"
    lone.mkdir()
    for name in ("poem.txt", "poem.txt.wenfang.json"):
        shutil.copy(piece / name, lone / name)
    shutil.rmtree(home / "store")
    before = sorted(path.name for path in lone.iterdir())
    assert call("replay", lone / "poem.txt").code == 0
    assert sorted(path.name for path in lone.iterdir()) == before
    with Store.open() as store:
        assert store.list() == []


def test_a_generated_text_is_replayed(call: Call) -> None:
    assert call("generate", "verse", "春江", "--seed", 5, "-o", "poem.md").code == 0
    again = call("replay", "poem.md", "--json")
    assert again.code == 0
    assert again.json["files"][0]["outcome"] == "identical"


def test_a_private_piece_tells_nothing_of_its_request(call: Call, brief: Write) -> None:
    subject = "江月春夜"
    path = brief(subject=subject, signature="某人")
    assert call("create", path, "-o", "out", "--private").code == 0
    for statement in Path("out").glob("*.wenfang.json"):
        text = statement.read_text("utf-8")
        assert subject not in text
        assert "某人" not in text
        facts = json.loads(text)["statement"]["manifest"]["facts"]
        assert "request" not in facts
        assert "seed" not in facts
    again = call("replay", "out", "--json")
    assert again.code == 3
    assert {one["outcome"] for one in again.json["files"]} == {"cannot tell"}
    assert "--private" in again.json["files"][0]["finding"]


def test_another_thread_count_is_an_environment_that_differs_not_tampering(
    call: Call, piece: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, threads=2)
    monkeypatch.setattr(replaying, "sha256_bytes", lambda payload: "0" * 64)
    monkeypatch.setattr(replaying, "_picture_difference", lambda *_: None)
    again = call("replay", piece / "poem.txt", "--json")
    assert again.code == 3
    (found,) = again.json["files"]
    assert found["outcome"] == "environment differs"
    assert found["differences"] == {"threads": ["1", "2"]}
    assert call("verify", piece / "poem.txt").code == 0


def changed(monkeypatch: pytest.MonkeyPatch, **facts: object) -> None:
    """An environment that reports other facts; a piece made before has the true ones."""
    true = environment
    monkeypatch.setattr(replaying, "environment", lambda: {**true(), **facts})


def test_the_same_payload_is_identical_whatever_the_environment(
    call: Call, piece: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(monkeypatch, threads=64, cpu_capability="other")
    assert call("replay", piece / "poem.txt").code == 0


@pytest.mark.parametrize(("levels", "outcome"), [(1, "within tolerance"), (2, "different")])
def test_a_picture_may_differ_by_one_level(
    call: Call, piece: Path, monkeypatch: pytest.MonkeyPatch, levels: int, outcome: str
) -> None:
    import numpy as np
    from PIL import Image

    from wenfang.media.image import decode_image, encode_png

    true = replaying._remake

    def shifted(*arguments: object) -> object:
        remade = true(*arguments)  # type: ignore[arg-type]
        pixels = np.asarray(decode_image(remade.payloads["card.png"])).astype(np.int16)
        moved = Image.fromarray(np.clip(pixels + levels, 0, 255).astype(np.uint8))
        payloads = {**remade.payloads, "card.png": encode_png(moved)}
        return replaying._Remade(payloads=payloads, bundle=remade.bundle)

    monkeypatch.setattr(replaying, "_remake", shifted)
    again = call("replay", piece / "card.png", "--json")
    (found,) = again.json["files"]
    assert found["outcome"] == outcome
    assert found["largest_difference"] == pytest.approx(levels / 255)
    assert again.code == (0 if levels == 1 else 1)


def test_what_was_made_elsewhere_cannot_be_replayed(call: Call) -> None:
    Path("given").mkdir()
    Path("given/note.txt").write_text("A note.\n")
    assert call("seal", "given/note.txt", "--made-with", "Another 3", "-o", "sealed").code == 0
    again = call("replay", "sealed/note.txt", "--json")
    assert again.code == 3
    assert "Another 3" in again.json["files"][0]["finding"]


def test_a_model_that_is_not_here_is_named_and_can_be_pointed_to(
    call: Call, home: Path, tmp_path: Path
) -> None:
    shutil.copytree(home / "bundles" / "verse", tmp_path / "mine")
    assert call("generate", tmp_path / "mine", "春江", "-o", "poem.txt").code == 0
    shutil.rmtree(home / "bundles")
    statement = json.loads(Path("poem.txt.wenfang.json").read_text("utf-8"))
    assert str(tmp_path) not in json.dumps(statement)
    away = call("replay", "poem.txt", "--model", tmp_path / "nowhere", "--json")
    assert away.code == 3
    assert away.json["files"][0]["outcome"] == "environment differs"
    assert call("replay", "poem.txt", "--model", tmp_path / "mine").code == 0


def test_bad_targets_are_one_clear_line(call: Call, piece: Path) -> None:
    assert call("replay", "nothing-of-that-name").code == 16
    Path("plain.txt").write_text("no seal")
    found = call("replay", "plain.txt")
    assert found.code == 3
    (piece / "poem.txt.wenfang.json").write_text("{}")
    assert call("replay", piece / "poem.txt").code == 3
