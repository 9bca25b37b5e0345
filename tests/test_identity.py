"""The signing identity: private, whole, made once, and never used when in doubt."""

from __future__ import annotations

import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography import x509

from wenfang.errors import IdentityError
from wenfang.seal.identity import FOLDER, ROOT, ROOT_KEY, SIGNER, Identity, own_roots
from wenfang.seal.statement import signer_usage


def _signer_of(home: Path) -> bytes:
    return Identity.open_or_create(home).signer


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    folder = Identity.open_or_create(tmp_path).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_opening_again_gives_the_same_identity(tmp_path: Path) -> None:
    first, second = Identity.open_or_create(tmp_path), Identity.open_or_create(tmp_path)
    assert (first.root, first.signer, first.key_pem) == (second.root, second.signer, second.key_pem)


def test_processes_that_create_at_once_share_one_identity(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        signers = list(pool.map(_signer_of, [tmp_path] * 6))
    assert len(set(signers)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]


def test_a_lost_race_uses_what_the_winner_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    winner = Identity.open_or_create(tmp_path)
    monkeypatch.setattr("os.path.lexists", lambda path: False)
    assert Identity.open_or_create(tmp_path).signer == winner.signer
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]


@pytest.mark.parametrize("name", [ROOT, SIGNER, ROOT_KEY])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, name: str) -> None:
    folder = Identity.open_or_create(tmp_path).folder
    (folder / name).chmod(0o640)
    with pytest.raises(IdentityError, match=name):
        Identity.open_or_create(tmp_path)


def test_an_open_folder_is_refused(tmp_path: Path) -> None:
    Identity.open_or_create(tmp_path).folder.chmod(0o750)
    with pytest.raises(IdentityError, match="chmod"):
        Identity.open_or_create(tmp_path)


@pytest.mark.parametrize("name", [ROOT, SIGNER])
@pytest.mark.parametrize("content", [b"", b"not a certificate", None])
def test_a_damaged_or_missing_file_is_refused_and_not_remade(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    folder = Identity.open_or_create(tmp_path).folder
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    with pytest.raises(IdentityError, match=name):
        Identity.open_or_create(tmp_path)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    one, other = (Identity.open_or_create(tmp_path / name) for name in ("one", "other"))
    (one.folder / SIGNER).write_bytes(one.key_pem + other.signer)
    with pytest.raises(IdentityError, match="damaged"):
        Identity.open(tmp_path / "one")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("")
    with pytest.raises(IdentityError, match="missing"):
        Identity.open_or_create(tmp_path)


def test_rotation_keeps_the_root_and_changes_the_key(tmp_path: Path) -> None:
    before = Identity.open_or_create(tmp_path)
    after = before.rotate()
    assert after.root == before.root
    assert after.key_pem != before.key_pem
    assert Identity.open(tmp_path).key_pem == after.key_pem


def test_rotation_without_the_root_key_changes_nothing(tmp_path: Path) -> None:
    before = Identity.open_or_create(tmp_path)
    (before.folder / ROOT_KEY).unlink()
    with pytest.raises(IdentityError, match=ROOT_KEY):
        before.rotate()
    assert Identity.open(tmp_path).signer == before.signer


def test_show_says_self_made_and_no_secret(tmp_path: Path) -> None:
    identity = Identity.open_or_create(tmp_path)
    shown = identity.show()
    assert shown["description"] == "self-made, not issued by an authority"
    assert "PRIVATE" not in str(shown)


def test_export_writes_the_certificate_alone(tmp_path: Path) -> None:
    identity = Identity.open_or_create(tmp_path)
    identity.export(tmp_path / "root.pem")
    assert ((tmp_path / "root.pem").read_bytes(),) == own_roots(tmp_path)
    assert b"PRIVATE" not in (tmp_path / "root.pem").read_bytes()


def test_there_are_no_own_roots_before_first_use(tmp_path: Path) -> None:
    assert own_roots(tmp_path) == ()


def test_a_root_may_not_sign_content_nor_a_signer_certificates(tmp_path: Path) -> None:
    identity = Identity.open_or_create(tmp_path)
    assert signer_usage(x509.load_pem_x509_certificate(identity.signer))
    assert not signer_usage(x509.load_pem_x509_certificate(identity.root))
