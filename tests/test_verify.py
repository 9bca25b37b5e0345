"""Verdicts: each fault of a published file gets its named one, and only whole files are good."""

from __future__ import annotations

import base64
import datetime
import io
import json
import random
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from PIL import Image

from wenfang.atomic import canonical_json, sha256_bytes
from wenfang.errors import NotFoundError
from wenfang.seal import (
    FORMATS,
    Payload,
    Provenance,
    Sealer,
    Verdict,
    emit,
    picture,
    statement,
    verify,
    worst,
)
from wenfang.seal import label as labels
from wenfang.seal.formats.png import AFTER_HEADER, PNG, XMP, chunk
from wenfang.seal.identity import Identity, issue_signer, new_root, pem
from wenfang.seal.layers import Outcome
from wenfang.store.manifest import Manifest

GOOD, TAMPERED, NOT_OURS, CANNOT_TELL = 0, 1, 2, 3
CONTENT: dict[str, tuple[str, str | bytes]] = {
    "a.txt": ("text/plain", "春江潮水連海平\n"),
    "a.md": ("text/markdown", "# 春江\n\n潮水\n"),
    "a.html": ("text/html", "<html><head><title>春</title></head><body><p>江</p></body></html>"),
    "a.png": ("image/png", b""),
}
NAMES = tuple(CONTENT)
DETACHED = ("", ".c2pa", ".wenfang.json")
PARTS = {
    "a.txt": (*DETACHED, ".aigc.json"),
    "a.md": DETACHED,
    "a.html": DETACHED,
    "a.png": ("", ".wenfang.json"),
}


def png(
    size: tuple[int, int] = (320, 240), colour: tuple[int, int, int] = (240, 234, 220)
) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def seal_all(folder: Path, sealer: Sealer, word: str = "") -> Path:
    for name, (media_type, data) in CONTENT.items():
        whole = data + word if isinstance(data, str) else png(colour=(240, 234, 220 + len(word)))
        core = Manifest(kind="asset", name=name, media_type=media_type)
        payload = Payload(media_type=media_type, data=whole)
        emit(payload, folder / name, Provenance(manifest=core), sealer)
    return folder


@pytest.fixture(scope="module")
def sealer(tmp_path_factory: pytest.TempPathFactory) -> Sealer:
    return Sealer.at(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Sealer:
    return Sealer.at(tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory, sealer: Sealer) -> Path:
    return seal_all(tmp_path_factory.mktemp("sealed"), sealer)


@pytest.fixture
def folder(tmp_path: Path, originals: Path) -> Path:
    return Path(shutil.copytree(originals, tmp_path / "copy"))


def examine(path: Path, *sealers: Sealer) -> Verdict:
    verdicts = verify([path], tuple(one.identity.root for one in sealers))
    assert len(verdicts) == 1
    return verdicts[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_sealed_file_is_good_in_every_layer(folder: Path, sealer: Sealer, name: str) -> None:
    verdict = examine(folder / name, sealer)
    assert {layer.name: layer.status for layer in verdict.layers if layer.status != "good"} in (
        {},
        {"watermark": "none"},
    )
    assert verdict.exit_code == GOOD


def test_a_renamed_file_with_its_sidecars_stays_good(folder: Path, sealer: Sealer) -> None:
    for suffix in ("", ".c2pa", ".wenfang.json", ".aigc.json"):
        (folder / f"a.txt{suffix}").rename(folder / f"poem.txt{suffix}")
    assert examine(folder / "poem.txt", sealer).exit_code == GOOD


# Changes.


@pytest.mark.parametrize("name", NAMES)
def test_one_flipped_bit_anywhere_is_tampering(folder: Path, sealer: Sealer, name: str) -> None:
    chance = random.Random(7)
    for path in sorted(folder.glob(f"{name}*")):
        whole = path.read_bytes()
        for _ in range(25):
            flipped, position = bytearray(whole), chance.randrange(len(whole))
            flipped[position] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            verdict = examine(folder / name, sealer)
            assert verdict.exit_code == TAMPERED, (path.name, position, verdict)
        path.write_bytes(whole)


@pytest.mark.parametrize("extra", [b"x", b" ", b"\n"])
@pytest.mark.parametrize(
    ("name", "suffix"), [*((name, suffix) for name in NAMES for suffix in PARTS[name])]
)
def test_appended_bytes_are_tampering(
    folder: Path, sealer: Sealer, name: str, suffix: str, extra: bytes
) -> None:
    path = folder / (name + suffix)
    path.write_bytes(path.read_bytes() + extra)
    assert examine(folder / name, sealer).exit_code == TAMPERED


def test_an_embedded_credential_alone_shows_tampering(folder: Path, sealer: Sealer) -> None:
    (folder / "a.png.wenfang.json").unlink()
    path = folder / "a.png"
    path.write_bytes(path.read_bytes() + b"x")
    assert examine(path, sealer).layer("credential").status == "tampered"
    assert examine(path, sealer).exit_code == TAMPERED


def test_a_picture_saved_again_is_tampering(folder: Path, sealer: Sealer) -> None:
    with Image.open(folder / "a.png") as image:
        image.load()
    image.save(folder / "a.png")
    verdict = examine(folder / "a.png", sealer)
    assert verdict.exit_code == TAMPERED
    assert verdict.layer("metadata").status == "unlabelled"
    assert verdict.layer("visible").status == "good"


def test_a_picture_saved_again_without_sidecar_is_not_labelled(
    folder: Path, sealer: Sealer
) -> None:
    with Image.open(folder / "a.png") as image:
        image.load()
    image.save(folder / "a.png")
    (folder / "a.png.wenfang.json").unlink()
    assert examine(folder / "a.png", sealer).exit_code == NOT_OURS


def _second_label(value: object) -> bytes:
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:T="http://www.tc260.org.cn/ns/AIGC/1.0/">'
        f"<T:AIGC>{json.dumps(value)}</T:AIGC></x:xmpmeta>"
    )
    return chunk(b"iTXt", XMP + b"\0\0\0\0\0" + packet.encode())


def test_a_label_written_after_signing_is_tampering(folder: Path, sealer: Sealer) -> None:
    path = folder / "a.png"
    data = path.read_bytes()
    label = labels.new_label(labels.LabelSettings(), "0" * 64)
    path.write_bytes(data[:AFTER_HEADER] + _second_label(label) + data[AFTER_HEADER:])
    assert "2 metadata labels" in examine(path, sealer).layer("metadata").finding
    assert examine(path, sealer).exit_code == TAMPERED


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.png"])
def test_sidecars_of_another_file_are_tampering(
    tmp_path: Path, folder: Path, sealer: Sealer, name: str
) -> None:
    other = seal_all(tmp_path / "other", sealer, word="!")
    for path in other.glob(f"{name}.*"):
        shutil.copy(path, folder / path.name)
    assert examine(folder / name, sealer).exit_code == TAMPERED


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_the_credential_of_another_file_is_tampering(
    tmp_path: Path, folder: Path, sealer: Sealer, name: str
) -> None:
    other = seal_all(tmp_path / "other", sealer, word="!")
    shutil.copy(other / f"{name}.c2pa", folder / f"{name}.c2pa")
    assert examine(folder / name, sealer).layer("credential").status == "tampered"
    assert examine(folder / name, sealer).exit_code == TAMPERED


def _edit(path: Path, change: Callable[[dict[str, Any]], None], signer: Sealer | None) -> None:
    """Change a signed manifest, hash it anew, and sign it with a stranger's key if one is given."""
    document = json.loads(path.read_text("utf-8"))
    content = document["statement"]
    change(content)
    content["manifest_sha256"] = sha256_bytes(canonical_json(content["manifest"]))
    if signer is not None:
        content["certificate"] = signer.identity.signer.decode()
        signature = signer.identity.key.sign(canonical_json(content))
        document["signature"] = base64.b64encode(signature).decode()
    path.write_bytes(statement._text(document))


def _rename(content: dict[str, Any]) -> None:
    content["manifest"]["name"] = "forged"


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_edited_and_hashed_again_is_tampering(
    folder: Path, sealer: Sealer, name: str
) -> None:
    _edit(folder / f"{name}.wenfang.json", _rename, None)
    verdict = examine(folder / name, sealer)
    assert verdict.layer("manifest").status == "tampered"
    assert verdict.exit_code == TAMPERED


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_edited_and_signed_by_a_stranger_is_tampering(
    folder: Path, sealer: Sealer, stranger: Sealer, name: str
) -> None:
    _edit(folder / f"{name}.wenfang.json", _rename, stranger)
    verdict = examine(folder / name, sealer)
    assert verdict.layer("manifest").status == "foreign"
    assert verdict.layer("credential").status == "tampered"
    assert verdict.exit_code == TAMPERED


def test_a_manifest_of_a_later_version_cannot_be_told(folder: Path, sealer: Sealer) -> None:
    path = folder / "a.txt.wenfang.json"
    path.write_text(path.read_text("utf-8").replace("wenfang-seal/1", "wenfang-seal/2"), "utf-8")
    assert examine(folder / "a.txt", sealer).exit_code == CANNOT_TELL


# Keys.


@pytest.mark.parametrize("name", NAMES)
def test_a_strangers_valid_key_is_not_ours(
    tmp_path: Path, sealer: Sealer, stranger: Sealer, name: str
) -> None:
    other = seal_all(tmp_path / "other", stranger)
    verdict = examine(other / name, sealer)
    assert verdict.layer("credential").status == "foreign"
    assert verdict.exit_code == NOT_OURS
    assert examine(other / name, sealer, stranger).exit_code == GOOD


@pytest.mark.parametrize("name", NAMES)
def test_without_a_root_nothing_is_ours(folder: Path, name: str) -> None:
    assert examine(folder / name).exit_code == NOT_OURS


def test_files_sealed_before_a_rotation_stay_good(tmp_path: Path) -> None:
    sealer = Sealer.at(tmp_path / "home")
    seal_all(tmp_path / "old", sealer)
    rotated = replace(sealer, identity=sealer.identity.rotate())
    seal_all(tmp_path / "new", rotated)
    assert worst(verify([tmp_path / "old", tmp_path / "new"], (rotated.identity.root,))) == GOOD


def test_an_expired_certificate_cannot_be_told(tmp_path: Path) -> None:
    root_key, root = new_root()
    lifetime_s = 24 * 3600 + 2.5  # certificates begin a day ago
    key, signer = issue_signer(root_key, root, years=lifetime_s / (365.25 * 24 * 3600))
    identity = Identity(folder=tmp_path, root=pem(root), signer=pem(signer), key=key)
    sealed = seal_all(tmp_path / "out", Sealer(identity=identity))
    remaining = signer.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    time.sleep(max(0.0, remaining.total_seconds()) + 1.1)
    for name in NAMES:
        verdict = verify([sealed / name], (pem(root),))[0]
        assert verdict.exit_code == CANNOT_TELL, verdict
        assert "out of date" in verdict.summary


def test_a_signer_that_is_its_own_root_is_not_trusted(folder: Path, sealer: Sealer) -> None:
    verdict = verify([folder / "a.txt"], (sealer.identity.signer,))[0]
    assert verdict.exit_code == NOT_OURS


# Parts that are missing.


@pytest.mark.parametrize(
    ("name", "suffix"),
    [(name, suffix) for name in NAMES[:3] for suffix in PARTS[name][1:]],
)
def test_a_text_without_one_of_its_sidecars_cannot_be_told(
    folder: Path, sealer: Sealer, name: str, suffix: str
) -> None:
    (folder / (name + suffix)).unlink()
    assert examine(folder / name, sealer).exit_code == CANNOT_TELL


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_a_text_without_all_its_sidecars_cannot_be_told(
    folder: Path, sealer: Sealer, name: str
) -> None:
    for path in folder.glob(f"{name}.*"):
        path.unlink()
    assert examine(folder / name, sealer).exit_code == CANNOT_TELL


def test_a_picture_without_its_manifest_is_decided_by_what_is_embedded(
    folder: Path, sealer: Sealer, stranger: Sealer
) -> None:
    (folder / "a.png.wenfang.json").unlink()
    assert examine(folder / "a.png", sealer).exit_code == GOOD
    assert examine(folder / "a.png", stranger).exit_code == NOT_OURS


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.txt", b"x"), ("a.md", b"# x"), ("a.html", b"<p>x"), ("a.png", png()), ("b.png", b"x")],
)
def test_an_unlabelled_file_is_not_ours_and_nobody_is_said_to_have_made_it(
    tmp_path: Path, sealer: Sealer, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    verdict = examine(tmp_path / name, sealer)
    assert verdict.exit_code == NOT_OURS
    assert "human" not in str(verdict.to_dict()).lower()


@pytest.mark.parametrize(
    "label",
    [
        {**labels.new_label(labels.LabelSettings(), "0" * 64), "Label": 1},
        {**labels.new_label(labels.LabelSettings(), "0" * 64), "ContentProducer": "文房"},
        "text",
        [],
    ],
)
def test_a_foreign_picture_with_an_invalid_label_is_not_labelled(
    tmp_path: Path, sealer: Sealer, label: object
) -> None:
    data = png()
    (tmp_path / "a.png").write_bytes(
        data[:AFTER_HEADER] + _second_label(label) + data[AFTER_HEADER:]
    )
    verdict = examine(tmp_path / "a.png", sealer)
    assert verdict.layer("metadata").status == "unlabelled"
    assert verdict.exit_code == NOT_OURS


def test_a_foreign_picture_with_a_valid_label_alone_cannot_be_told(
    tmp_path: Path, sealer: Sealer
) -> None:
    data, label = png(), labels.new_label(labels.LabelSettings(producer_name="Other"), "0" * 64)
    (tmp_path / "a.png").write_bytes(
        data[:AFTER_HEADER] + _second_label(label) + data[AFTER_HEADER:]
    )
    verdict = examine(tmp_path / "a.png", sealer)
    assert "Other" in verdict.layer("metadata").finding
    assert verdict.exit_code == CANNOT_TELL


@pytest.mark.parametrize(
    ("front", "status"),
    [
        ("AIGC:\n  Label: 1\n", "unlabelled"),
        ("AIGC: text\n", "unlabelled"),
        ("AIGC:\n  Label: '1'\nAIGC:\n  Label: '1'\n", "unlabelled"),
        (f"AIGC: {json.dumps(labels.new_label(labels.LabelSettings(), '0' * 64))}\n", "good"),
    ],
)
def test_other_makers_front_matter_is_read(
    tmp_path: Path, sealer: Sealer, front: str, status: str
) -> None:
    (tmp_path / "a.md").write_text(f"---\n{front}---\nAI生成\n", "utf-8")
    assert examine(tmp_path / "a.md", sealer).layer("metadata").status == status


# Files that a faulty writer signed: the seal is whole, the label is not.


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A writer that does not read back."""
    ignored = Verdict(path="", outcome="good", summary="")
    monkeypatch.setattr("wenfang.seal.writer._read_back", lambda *_: ignored)
    return monkeypatch


def test_signed_glyphs_of_4_9_percent_are_not_labelled(
    tmp_path: Path, sealer: Sealer, careless: pytest.MonkeyPatch
) -> None:
    low = partial(picture.label_picture, glyph_share=0.049)
    careless.setattr(picture, "label_picture", low)
    core = Manifest(kind="asset", name="a", media_type="image/png")
    payload = Payload(media_type="image/png", data=png((1000, 1000)))
    emit(payload, tmp_path / "a.png", Provenance(manifest=core), sealer)
    verdict = examine(tmp_path / "a.png", sealer)
    assert verdict.layer("hashes").status == "good"
    assert verdict.layer("visible").facts["glyph_height_px"] == 49
    assert verdict.exit_code == NOT_OURS


def test_a_signed_file_without_its_label_is_not_labelled(
    tmp_path: Path, sealer: Sealer, careless: pytest.MonkeyPatch
) -> None:
    careless.setitem(FORMATS, "image/png", replace(PNG, write=lambda drawn, _: drawn))
    core = Manifest(kind="asset", name="a", media_type="image/png")
    payload = Payload(media_type="image/png", data=png())
    emit(payload, tmp_path / "a.png", Provenance(manifest=core), sealer)
    verdict = examine(tmp_path / "a.png", sealer)
    assert "no metadata label" in verdict.summary
    assert verdict.exit_code == NOT_OURS


# Folders, archives, lone sidecars.


def test_a_folder_is_examined_file_by_file(folder: Path, sealer: Sealer) -> None:
    (folder / ".partial-x").mkdir()
    (folder / ".partial-x" / "a.txt").write_text("unfinished")
    verdicts = verify([folder], (sealer.identity.root,))
    assert sorted(Path(one.path).name for one in verdicts) == sorted(NAMES)
    assert worst(verdicts) == GOOD


def test_files_named_with_their_sidecars_are_examined_once(folder: Path, sealer: Sealer) -> None:
    verdicts = verify(sorted(folder.iterdir()), (sealer.identity.root,))
    assert [one.exit_code for one in verdicts] == [GOOD] * len(NAMES)


def test_a_lone_sidecar_is_reported(folder: Path, sealer: Sealer) -> None:
    (folder / "a.txt").unlink()
    verdict = examine(folder / "a.txt.c2pa", sealer)
    assert "a.txt" in verdict.summary
    assert verdict.exit_code == CANNOT_TELL


def test_a_zip_is_examined_in_memory(folder: Path, tmp_path: Path, sealer: Sealer) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "all"), "zip", folder))
    verdicts = verify([archive], (sealer.identity.root,))
    assert sorted(one.path for one in verdicts) == [f"{archive}!{name}" for name in sorted(NAMES)]
    assert worst(verdicts) == GOOD


def test_a_damaged_zip_cannot_be_told(tmp_path: Path, sealer: Sealer) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 not a zip")
    assert examine(tmp_path / "a.zip", sealer).exit_code == CANNOT_TELL


def test_two_members_of_one_name_cannot_be_told(tmp_path: Path, sealer: Sealer) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.txt", "two")
    assert examine(tmp_path / "a.zip", sealer).exit_code == CANNOT_TELL


def test_a_file_too_large_is_not_read(
    folder: Path, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wenfang.seal.inputs.MAX_FILE_BYTES", 10)
    assert examine(folder / "a.txt", sealer).exit_code == CANNOT_TELL
    archive = Path(shutil.make_archive(str(folder.parent / "all"), "zip", folder))
    assert {one.exit_code for one in verify([archive])} == {CANNOT_TELL}


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="not there"):
        verify([tmp_path / "nothing.txt"])


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], CANNOT_TELL),
        ([GOOD, NOT_OURS], NOT_OURS),
        ([NOT_OURS, CANNOT_TELL], CANNOT_TELL),
        ([CANNOT_TELL, TAMPERED, GOOD], TAMPERED),
    ],
)
def test_of_several_files_the_worst_counts(codes: list[int], expected: int) -> None:
    outcomes: tuple[Outcome, ...] = ("good", "tampered", "not ours", "cannot tell")
    verdicts = [Verdict(path="", outcome=outcomes[code], summary="") for code in codes]
    assert worst(verdicts) == expected


def test_a_verdict_is_json(folder: Path, sealer: Sealer) -> None:
    found = json.loads(json.dumps(examine(folder / "a.png", sealer).to_dict()))
    assert found["exit_code"] == GOOD
    assert [layer["name"] for layer in found["layers"]] == [
        "visible",
        "metadata",
        "credential",
        "watermark",
        "hashes",
        "manifest",
    ]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"[" * 100_000, b'{"statement":1}', b"\xff"]
)
def test_a_broken_manifest_is_tampering(folder: Path, sealer: Sealer, content: bytes) -> None:
    (folder / "a.png.wenfang.json").write_bytes(content)
    assert examine(folder / "a.png", sealer).exit_code == TAMPERED


def test_the_signer_holds_a_certificate_for_content_only(sealer: Sealer) -> None:
    certificate = x509.load_pem_x509_certificate(sealer.identity.signer)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [one.dotted_string for one in usage] == ["1.3.6.1.5.5.7.3.4"]
