"""Laws of trust: who is believed, from when a stolen key is not, and what a publisher asks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cryptography import x509

from conftest import Call
from wenfang.seal import LabelSettings, Payload, Provenance, Sealer, emit, own_roots, verify
from wenfang.seal.identity import REVOKED, Identity
from wenfang.seal.trust import Trust
from wenfang.store import Manifest

CODE = "0011" + "9144030071526726XG" + "100000"[:5]


def publish(home: Path, path: Path, *, label: LabelSettings | None = None, **facts: object) -> Path:
    media_type = "image/png" if path.suffix == ".png" else "text/plain"
    content: bytes | str = "Words.\n"
    if path.suffix == ".png":
        import io

        from PIL import Image

        buffer = io.BytesIO()
        Image.new("RGB", (200, 160), (90, 90, 90)).save(buffer, "PNG")
        content = buffer.getvalue()
    core = Manifest(kind="asset", name=path.name, media_type=media_type, facts=dict(facts))
    payload = Payload(media_type=media_type, data=content)
    return emit(payload, path, Provenance(manifest=core), Sealer.at(home, label)).path


@pytest.mark.parametrize("name", ["a.txt", "a.png"])
def test_an_exported_root_makes_another_machine_trust_us(
    call: Call, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = publish(home, tmp_path / name)
    assert call("identity", "export", "-o", tmp_path / "root.pem").code == 0
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path / "another"))
    assert call("verify", path).code == 2
    assert call("verify", path, "--trust", tmp_path / "root.pem").code == 0


@pytest.mark.parametrize("name", ["a.txt", "a.png"])
def test_what_a_revoked_key_signed_is_not_trusted_any_more(
    call: Call, home: Path, tmp_path: Path, name: str
) -> None:
    before = publish(home, tmp_path / f"before-{name}")
    assert call("identity", "rotate", "--revoke").code == 0
    after = publish(home, tmp_path / f"after-{name}")
    found = call("verify", before, "--json")
    assert found.code == 2
    assert "revoked" in found.json["files"][0]["summary"]
    assert call("verify", after).code == 0


@pytest.mark.parametrize("name", ["a.txt", "a.png"])
def test_what_a_rotated_key_signed_stays_good(
    call: Call, home: Path, tmp_path: Path, name: str
) -> None:
    before = publish(home, tmp_path / name)
    assert call("identity", "rotate").code == 0
    assert call("verify", before).code == 0


def test_a_lone_picture_of_a_revoked_key_is_not_ours(
    call: Call, home: Path, tmp_path: Path
) -> None:
    path = publish(home, tmp_path / "a.png")
    path.with_name("a.png.wenfang.json").unlink()
    assert call("verify", path).code == 0
    call("identity", "rotate", "--revoke")
    assert call("verify", path).code == 2


def test_the_exported_root_carries_the_revocations(
    call: Call, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = publish(home, tmp_path / "a.txt")
    call("identity", "rotate", "--revoke")
    call("identity", "rotate", "--revoke")
    call("identity", "export", "-o", tmp_path / "root.pem")
    assert len(Trust.of([(tmp_path / "root.pem").read_bytes()]).revoked) == 2
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path / "another"))
    assert call("verify", path, "--trust", tmp_path / "root.pem").code == 2


def test_a_list_that_another_root_signed_revokes_nothing(tmp_path: Path) -> None:
    ours, theirs = (Identity.open_or_create(tmp_path / name) for name in ("ours", "theirs"))
    serial = x509.load_pem_x509_certificate(theirs.signer).serial_number
    theirs.rotate(revoke=True)
    forged = ours.root + (theirs.folder / REVOKED).read_bytes()
    assert Trust.of([forged]).revoked == frozenset()
    assert Trust.of(own_roots(tmp_path / "theirs")).revoked == {serial}


@pytest.mark.parametrize("text", [b"", b"-----BEGIN X509 CRL-----\nAA\n-----END X509 CRL-----\n"])
def test_broken_roots_trust_nobody(text: bytes, tmp_path: Path) -> None:
    path = publish(tmp_path / "home", tmp_path / "a.txt")
    assert Trust.of([text]).revoked == frozenset()
    assert verify([path], [text])[0].outcome == "not ours"


def test_a_publishers_gate_asks_for_more_than_a_good_seal(
    call: Call, home: Path, tmp_path: Path
) -> None:
    plain = publish(home, tmp_path / "plain.txt")
    coded = publish(home, tmp_path / "coded.txt", label=LabelSettings(producer_code=CODE))
    assert call("verify", plain).code == 0
    found = call("verify", plain, "--strict", "--json")
    assert found.code == 3
    assert "provider code" in found.json["files"][0]["summary"]
    assert call("verify", coded, "--strict").code == 0


def test_the_gate_asks_for_the_signed_manifest_and_for_clean_checks(
    call: Call, home: Path, tmp_path: Path
) -> None:
    label = LabelSettings(producer_code=CODE)
    lone = publish(home, tmp_path / "lone.png", label=label)
    lone.with_name("lone.png.wenfang.json").unlink()
    assert call("verify", lone).code == 0
    assert call("verify", lone, "--strict").code == 3
    report = {"checks": [{"name": "personal", "value": 1.0, "verdict": "note"}]}
    warned = publish(home, tmp_path / "warned.txt", label=label, checks=report)
    assert call("verify", warned).code == 0
    found = call("verify", warned, "--strict", "--json")
    assert "personal" in found.json["files"][0]["summary"]
    assert found.code == 3


def test_a_renamed_kind_is_said_and_not_taken_for_tampering(
    call: Call, home: Path, tmp_path: Path
) -> None:
    path = publish(home, tmp_path / "a.png")
    for suffix in ("", ".wenfang.json"):
        shutil.move(f"{path}{suffix}", tmp_path / f"a.txt{suffix}")
    found = call("verify", tmp_path / "a.txt", "--json")
    assert found.code == 3
    assert "the content is png" in found.json["files"][0]["summary"]


def test_what_a_resave_removed_is_named(call: Call, home: Path, tmp_path: Path) -> None:
    from PIL import Image

    path = publish(home, tmp_path / "a.png")
    with Image.open(path) as image:
        copy = image.copy()
    copy.save(path)
    found = call("verify", path, "--json")
    assert found.code == 1
    layers = {layer["name"]: layer for layer in found.json["files"][0]["layers"]}
    assert layers["hashes"]["facts"]["removed"] == ["the credential", "the metadata label"]


def test_the_verdict_follows_its_published_schema(call: Call, home: Path, tmp_path: Path) -> None:
    import jsonschema

    publish(home, tmp_path / "files" / "a.txt")
    publish(home, tmp_path / "files" / "a.png")
    (tmp_path / "files" / "b.xyz").write_bytes(b"?")
    schema = json.loads(Path(__file__).parents[1].joinpath("docs/schemas/verify.json").read_text())
    found = call("verify", tmp_path / "files", "--json").json
    jsonschema.validate(found, schema)
    found["files"][0]["outcome"] = "fine"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema)


def test_a_certificate_of_an_unknown_kind_of_key_is_damage_and_no_crash(
    call: Call, home: Path, tmp_path: Path
) -> None:
    import base64

    path = publish(home, tmp_path / "a.txt")
    beside = path.with_name("a.txt.wenfang.json")
    document = json.loads(beside.read_text("utf-8"))
    pem = document["statement"]["certificate"].splitlines()
    der = base64.b64decode("".join(pem[1:-1]))
    # Ed25519 is 1.3.101.112; no such key is known as 1.3.101.104.
    other = base64.encodebytes(der.replace(b"\x2b\x65\x70", b"\x2b\x65\x68")).decode().strip()
    document["statement"]["certificate"] = "\n".join([pem[0], other, pem[-1], ""])
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)
    beside.write_text(text + "\n", "utf-8")
    assert call("verify", path).code == 1
