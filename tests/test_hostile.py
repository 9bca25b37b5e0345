"""Hostile or odd input to the seal: each a clear verdict or error, and nothing is lost."""

from __future__ import annotations

import datetime
import io
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from conftest import Call
from sample_files import media_type, sample
from wenfang.errors import SealError
from wenfang.seal import Payload, Provenance, Sealer, emit, identity, own_roots, verify
from wenfang.store import Manifest


def publish(home: Path, path: Path) -> Path:
    suffix = path.suffix[1:]
    core = Manifest(kind="asset", name=path.name, media_type=media_type(suffix))
    payload = Payload(media_type=media_type(suffix), data=sample(suffix))
    return emit(payload, path, Provenance(manifest=core), Sealer.at(home)).path


@pytest.mark.parametrize("suffix", ["txt", "png", "wav"])
def test_a_clock_before_the_certificate_begins_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    true = identity._now
    monkeypatch.setattr(identity, "_now", lambda: true() + datetime.timedelta(days=2))
    with pytest.raises(SealError, match="not valid at time of signing"):
        publish(tmp_path / "home", tmp_path / "out" / f"a.{suffix}")
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_a_clock_set_back_makes_a_manifest_undecided_and_not_tampered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(tmp_path / "home", tmp_path / "a.txt")

    class Past(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Past:
            return cls(2001, 1, 1, tzinfo=tz)

    monkeypatch.setattr("wenfang.seal.statement.datetime.datetime", Past)
    found = verify([path], own_roots(tmp_path / "home"))[0]
    assert found.outcome == "cannot tell"
    assert found.layer("manifest").status == "unknown"


@pytest.mark.parametrize("suffix", ["png", "zip", "docx", "pdf", "svg"])
def test_a_bomb_is_refused_and_not_unpacked(call: Call, suffix: str) -> None:
    Path("given").mkdir()
    path = Path("given") / f"a.{suffix}"
    path.write_bytes(bomb(suffix))
    refused = call("seal", path, "--made-with", "X", "-o", "sealed")
    assert refused.code in (0, 14, 22) if suffix == "zip" else refused.code in (14, 22)
    assert call("verify", path).code in (2, 3)


def bomb(suffix: str) -> bytes:
    """A small file that claims or holds far more than it should."""
    if suffix == "png":
        small = io.BytesIO()
        Image.new("L", (8, 8)).save(small, "PNG")
        head = bytearray(small.getvalue())
        head[16:24] = (60_000).to_bytes(4, "big") * 2
        return bytes(head)
    if suffix == "svg":
        lots = "".join(f'<!ENTITY e{n} "{"&e" + str(n - 1) + ";" if n else "ha"}{"ha" * 9}">'
                       for n in range(30))  # fmt: skip
        return (
            f'<!DOCTYPE svg [{lots}]><svg xmlns="http://www.w3.org/2000/svg">&e29;</svg>'.encode()
        )
    if suffix == "pdf":
        return b"%PDF-1.7\n" + b"[" * 200_000 + b"\nstartxref\n9\n%%EOF"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("[Content_Types].xml", "<Types/>")
        parts.writestr("word/document.xml", b"\0" * 60_000_000)
    return archive.getvalue()


@pytest.mark.parametrize("name", ["a\0b.txt", "x" * 300 + ".txt", "../" * 40 + "none.txt"])
def test_names_that_no_file_has_are_not_found(call: Call, name: str) -> None:
    assert call("verify", name).code in (16, 64)


def test_a_member_with_a_path_out_of_the_archive_touches_no_disk(
    call: Call, tmp_path: Path
) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as parts:
        parts.writestr("../../evil.txt", "out")
        parts.writestr("/tmp/evil-absolute.txt", "out")
    assert call("verify", archive).code in (2, 3)
    assert not (tmp_path.parent / "evil.txt").exists()
    assert not Path("/tmp/evil-absolute.txt").exists()


def test_a_link_to_nowhere_a_pipe_and_a_folder_are_no_files(call: Call, tmp_path: Path) -> None:
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.txt")
    assert call("verify", tmp_path / "gone.txt").code == 16
    assert call("verify", tmp_path / "pipe.txt").code == 3
    assert call("seal", tmp_path / "pipe.txt", "--made-with", "X").code == 14
    assert call("seal", tmp_path, "--made-with", "X").code in (14, 22)


def test_a_target_that_is_a_file_or_a_folder_in_the_way_loses_nothing(
    call: Call, tmp_path: Path
) -> None:
    Path("given").mkdir()
    Path("given/a.txt").write_text("Words.\n")
    Path("blocked").write_text("a file, no folder")
    assert call("seal", "given/a.txt", "--made-with", "X", "-o", "blocked").code == 18
    assert Path("blocked").read_text() == "a file, no folder"
    Path("out/a.txt").mkdir(parents=True)
    assert call("seal", "given/a.txt", "--made-with", "X", "-o", "out").code == 18
    assert [path.name for path in Path("out").iterdir()] == ["a.txt"]


def test_a_polyglot_loses_what_was_hidden_behind_the_picture(call: Call) -> None:
    Path("given").mkdir()
    Path("given/a.png").write_bytes(sample("png") + sample("zip"))
    done = call("seal", "given/a.png", "--made-with", "X", "-o", "sealed")
    assert done.code == 0
    assert not zipfile.is_zipfile("sealed/a.png")
    assert call("verify", "sealed/a.png").code == 0


def test_a_time_stamp_authority_is_not_asked_where_the_network_is_forbidden(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("given").mkdir()
    Path("given/a.txt").write_text("Words.\n")
    home.joinpath("label.json").write_text('{"timestamp_url": "http://localhost:9/tsa"}')
    monkeypatch.setenv("WENFANG_OFFLINE", "1")
    refused = call("seal", "given/a.txt", "--made-with", "X", "-o", "sealed")
    assert refused.code == 22
    assert "WENFANG_OFFLINE" in refused.error
    monkeypatch.delenv("WENFANG_OFFLINE")
    # An authority that does not answer publishes nothing.
    assert call("seal", "given/a.txt", "--made-with", "X", "-o", "sealed").code == 22
    assert not list(Path("sealed").glob("*"))
