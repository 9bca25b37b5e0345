"""Laws of `wenfang seal`: content made elsewhere is labelled like ours, and its marks are kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from conftest import Call
from wenfang.seal import LabelSettings, Payload, Provenance, Sealer, emit, own_roots, verify
from wenfang.seal.credential import read_credential
from wenfang.seal.formats.png import PNG
from wenfang.store import Manifest, Store

THEIR_NAME = "TheirStudio"
Give = Callable[..., Path]


@pytest.fixture
def give(home: Path) -> Give:
    """Put a file into the folder `given`, as another maker leaves it."""

    def put(name: str, content: bytes | str) -> Path:
        path = Path("given") / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def picture(colour: tuple[int, int, int] = (40, 90, 160)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(buffer, "PNG")
    return buffer.getvalue()


def theirs(folder: Path, name: str, media_type: str, content: bytes | str) -> Path:
    """A file that another maker has sealed with a key of its own."""
    label = LabelSettings(producer_name=THEIR_NAME)
    sealer = Sealer.at(folder / "their-home", label)
    core = Manifest(kind="asset", name=name, media_type=media_type)
    payload = Payload(media_type=media_type, data=content)
    return emit(payload, folder / "theirs" / name, Provenance(manifest=core), sealer).path


def sealed(call: Call, path: Path, *more: str) -> Path:
    done = call("seal", path, "--made-with", "Other Maker 3", "-o", "sealed", *more)
    assert done.code == 0, done.err
    return Path("sealed") / path.name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "Some words.\n"),
        ("a.md", "# Title\n\nSome words.\n"),
        ("a.html", "<p>Some words.</p>\n"),
        ("a.png", picture()),
    ],
)
def test_a_plain_file_gets_the_whole_seal_and_stays_as_it_was(
    call: Call, give: Give, name: str, content: bytes | str
) -> None:
    path = give(name, content)
    before = path.read_bytes()
    done = sealed(call, path)
    assert path.read_bytes() == before
    assert call("verify", done).code == 0
    statement = json.loads(done.with_name(name + ".wenfang.json").read_text("utf-8"))["statement"]
    assert statement["manifest"]["facts"]["made_with"] == "Other Maker 3"
    assert statement["label"]["Label"] == "1"
    with Store.open() as store:
        assert store.manifest(statement["manifest_sha256"]).name == name


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [
        ("a.png", "image/png", picture()),
        ("a.txt", "text/plain", "Their words.\n"),
        ("a.md", "text/markdown", "# Theirs\n\nTheir words.\n"),
        ("a.html", "text/html", "<p>Their words.</p>\n"),
    ],
)
def test_a_label_that_comes_with_it_keeps_its_producer_and_we_propagate(
    call: Call, home: Path, tmp_path: Path, name: str, media_type: str, content: bytes | str
) -> None:
    given = theirs(tmp_path, name, media_type, content)
    before = json.loads((given.parent / (name + ".wenfang.json")).read_text())["statement"]["label"]
    done = sealed(call, given)
    verdict = verify([done], own_roots(home))[0]
    assert verdict.outcome == "good", verdict
    label = verdict.layer("metadata").facts["label"]
    assert isinstance(label, dict)
    assert label["ContentProducer"] == THEIR_NAME
    assert label["ProduceID"] == before["ProduceID"]
    assert label["ContentPropagator"] == "Wenfang"
    assert label["PropagateID"] != before["ProduceID"]


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [("a.png", "image/png", picture()), ("a.txt", "text/plain", "Their words.\n")],
)
def test_a_credential_that_comes_with_it_becomes_an_ingredient(
    call: Call, home: Path, tmp_path: Path, name: str, media_type: str, content: bytes | str
) -> None:
    given = theirs(tmp_path, name, media_type, content)
    done = sealed(call, given)
    verdict = verify([done], own_roots(home))[0]
    assert verdict.outcome == "good", verdict
    assert verdict.layer("credential").facts["history"] == ["Wenfang / Wenfang (self-made)"]


def test_what_another_program_made_names_it_in_the_credential(
    call: Call, give: Give, home: Path
) -> None:
    done = sealed(call, give("a.png", picture()))
    found = read_credential(done.read_bytes(), "image/png", None, own_roots(home))
    assert found.state == "trusted"
    assert found.generated
    assert b"Other Maker 3" in done.read_bytes()


def test_two_labels_or_a_faulty_one_are_replaced_and_said(call: Call, give: Give) -> None:
    text = "---\nAIGC:\n  Label: 1\n---\n\nWords.\n"
    path = give("a.md", text)
    said = call("seal", path, "--made-with", "X", "-o", "sealed")
    assert said.code == 0
    assert "not kept" in said.out
    assert (Path("sealed") / "a.md").read_text("utf-8").count("AIGC:") == 1
    assert call("verify", "sealed/a.md").code == 0


def test_sealing_again_is_refused(call: Call, give: Give) -> None:
    done = sealed(call, give("a.txt", "Words.\n"))
    again = call("seal", done, "--made-with", "X", "-o", "twice")
    assert again.code == 22
    assert "already" in again.error
    assert not Path("twice").exists()


def test_the_given_file_is_never_overwritten(call: Call, give: Give) -> None:
    path = give("a.txt", "Words.\n")
    refused = call("seal", path, "--made-with", "X", "-o", "given")
    assert refused.code == 22
    assert path.read_text() == "Words.\n"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.png", b"not a picture", 22),
        ("a.txt", picture(), 22),
        ("a.md", b"\xff\xfe\x00broken", 22),
        ("a.xyz", b"unknown", 22),
        ("a.txt.wenfang.json", b"{}", 22),
        ("cut.png", picture()[:200], 14),
    ],
)
def test_what_cannot_be_sealed_is_one_clear_line_and_leaves_nothing(
    call: Call, give: Give, name: str, content: bytes, code: int
) -> None:
    refused = call("seal", give(name, content), "--made-with", "X", "-o", "sealed")
    assert refused.code == code
    assert refused.error
    assert not list(Path("sealed").glob("*")) if Path("sealed").exists() else True


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 121])
def test_a_program_must_be_named(call: Call, give: Give, name: str) -> None:
    refused = call("seal", give("a.txt", "W\n"), "--made-with", name, "-o", "sealed")
    assert refused.code == 22


@pytest.mark.parametrize("path", ["missing.txt", "x" * 300 + ".txt", "../../missing.txt"])
def test_a_path_that_is_none_is_one_clear_line(call: Call, path: str) -> None:
    assert call("seal", path, "--made-with", "X").code == 16
    assert call("verify", path).code == 16


def test_of_several_files_the_faulty_one_stops_no_other(call: Call, give: Give) -> None:
    good, bad = give("a.txt", "Words.\n"), give("b.png", b"no")
    done = call("seal", bad, good, "--made-with", "X", "-o", "sealed", "--json")
    assert done.code == 22
    assert [bool(one["error"]) for one in done.json["files"]] == [True, False]
    assert call("verify", "sealed/a.txt").code == 0


def test_a_symbolic_link_is_replaced_and_never_followed(call: Call, give: Give) -> None:
    target = give("precious.txt", "Mine.\n")
    Path("sealed").mkdir()
    Path("sealed/a.txt").symlink_to(target.resolve())
    sealed(call, give("a.txt", "Words.\n"))
    assert target.read_text() == "Mine.\n"
    assert not Path("sealed/a.txt").is_symlink()


def test_a_name_too_long_for_its_sidecars_publishes_nothing(call: Call, give: Give) -> None:
    path = give("n" * 250 + ".txt", "Words.\n")
    refused = call("seal", path, "--made-with", "X", "-o", "sealed")
    assert refused.code == 18
    assert list(Path("sealed").glob("*")) == []


def test_private_keeps_nothing_in_the_store(call: Call, give: Give, home: Path) -> None:
    sealed(call, give("a.txt", "Words.\n"), "--private")
    assert not (home / "store").exists()


def test_only_the_png_layout_of_this_program_is_assumed_nowhere() -> None:
    assert PNG.starts is not None
    assert PNG.starts(picture())
    assert not PNG.starts(b"GIF89a")
