"""A file appears complete or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wenfang import atomic
from wenfang.atomic import (
    canonical_json,
    disk_errors,
    exclusive,
    new_file,
    new_folder,
    sha256_bytes,
    sha256_file,
    write_bytes,
    write_json,
    write_text,
)
from wenfang.errors import BusyError, DiskError


def write_half(path: Path) -> None:
    with new_file(path) as stream:
        stream.write(b"half")
        raise RuntimeError("half way")


def fill_half(path: Path) -> None:
    with new_folder(path) as folder:
        write_text(folder / "new", "new")
        raise RuntimeError("half way")


def test_canonical_json_has_one_form() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "文"}) == '{"a":"文","b":[1,2.5]}'.encode()
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    # FIPS 180-2, appendix B.1.
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    write_bytes(tmp_path / "abc", b"abc")
    assert sha256_bytes(b"abc") == sha256_file(tmp_path / "abc") == known


def test_a_file_that_fails_half_way_never_appears(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with pytest.raises(RuntimeError, match="half way"):
        write_half(path)
    assert list(path.parent.iterdir()) == []


def test_a_failed_rewrite_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"):
        write_half(path)
    assert path.read_text("utf-8") == "old"
    write_text(path, "文房")
    assert path.read_text("utf-8") == "文房"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_replaces_the_one_of_its_name_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("old", "new"):
        with new_folder(path) as folder:
            write_json(folder / f"{content}.json", {"is": content})
            (folder / "inner").mkdir()
    assert sorted(child.name for child in path.iterdir()) == ["inner", "new.json"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with new_folder(path) as folder:
        write_text(folder / "old", "old")
    with pytest.raises(RuntimeError, match="half way"):
        fill_half(path)
    assert [child.name for child in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_moved_in_brings_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    with new_folder(path) as folder:
        write_text(folder / "old", "old")
    rename, calls = os.rename, 0

    def second_fails(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, "full")
        rename(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(DiskError, match="no space left"), new_folder(path) as folder:
        write_text(folder / "new", "new")
    assert [child.name for child in path.iterdir()] == ["old"]


def test_every_file_of_a_folder_is_flushed_before_it_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    fsync = os.fsync

    def remember(descriptor: int) -> None:
        flushed.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        assert not (tmp_path / "folder").exists() or flushed[-1] == tmp_path.name
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    with new_folder(tmp_path / "folder") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "weights").write_bytes(b"written by a library")
    assert {"weights", "inner"} <= set(flushed)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EROFS, "read-only or not permitted"),
        (errno.EACCES, "read-only or not permitted"),
        (errno.ENAMETOOLONG, "choose another place"),
    ],
)
def test_a_disks_refusal_names_the_file_and_what_to_do(number: int, says: str) -> None:
    with pytest.raises(DiskError, match=says) as caught, disk_errors(Path("the-file")):
        raise OSError(number, os.strerror(number))
    assert "the-file" in str(caught.value)


def test_what_is_no_refusal_of_the_disk_passes_untranslated() -> None:
    with pytest.raises(FileNotFoundError), disk_errors(Path("the-file")):
        raise FileNotFoundError(errno.ENOENT, "gone")


def test_a_file_where_a_folder_is_needed_is_a_disk_error(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "x")
    with pytest.raises(DiskError, match="choose another place"):
        write_text(tmp_path / "file" / "inner", "y")


def test_a_lock_is_held_by_one_and_free_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        exclusive(lock, "the run"),
        pytest.raises(BusyError, match=r"^the run is in use"),
        exclusive(lock, "the run"),
    ):
        pass
    with pytest.raises(RuntimeError), exclusive(lock, "the run"):
        raise RuntimeError
    with exclusive(lock, "the run"):
        pass


def test_a_temporary_name_is_known_by_its_prefix(tmp_path: Path) -> None:
    with new_file(tmp_path / "file") as stream:
        stream.write(b"x")
        names = [path.name for path in tmp_path.iterdir()]
    assert [name.startswith(atomic.TEMPORARY_PREFIX) for name in names] == [True]
