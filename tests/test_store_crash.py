"""Killed, crowded or out of space: a store never holds half an asset."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wenfang.errors import DiskError
from wenfang.store import Link, Manifest, Store

KILLS = 5

WRITER = textwrap.dedent(
    """
    import itertools, sys
    from wenfang.store import Link, Manifest, Store
    root, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    print("ready", flush=True)
    with Store.open(root) as store:
        last = None
        for number in itertools.count() if count == 0 else range(count):
            inputs = (Link(role="before", id=last.id),) if last else ()
            asset = Manifest(kind="bundle", name=f"{name} {number}", media_type="text/plain",
                             key=f"{name} {number}", inputs=inputs)
            last = store.put(f"{name} {number} ".encode() * 5000, asset)
            common = Manifest(kind="source", name=f"common {number}", media_type="text/plain")
            store.put(f"common {number}".encode(), common)
    """
)


def writer(root: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(root), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def expect_whole(root: Path) -> int:
    """Every asset that is listed can be read, and nothing is damaged; how many there are."""
    with Store.open(root) as store:
        assert store.check() == []
        assets = store.list()
        listed = {made.id for made in assets}
        for made in assets:
            assert len(store.read(made.id)) == made.payload_bytes
            assert {link.id for link in made.inputs} <= listed
        assert listed == set(store._shelf.manifests())
    return len(assets)


def kill_repeatedly(root: Path, kills: int) -> None:
    moments = random.Random(7)
    for number in range(kills):
        with writer(root, f"writer {number}", 0) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(moments.uniform(0.0, 0.4))
            process.kill()
        expect_whole(root)


def test_a_writer_killed_at_any_moment_leaves_no_half_asset(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path, KILLS)
    with Store.open(tmp_path) as store:
        store.gc(older_than_s=-1)
        assert list(tmp_path.rglob(".partial-*")) == []
        assert store.du().partial_bytes == 0
    expect_whole(tmp_path)


@pytest.mark.slow
def test_forty_kills_leave_no_half_asset(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path, 40)


def test_many_processes_fill_one_store(tmp_path: Path) -> None:
    writers = [writer(tmp_path, f"writer {number}", 6) for number in range(4)]
    for process in writers:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
    assert expect_whole(tmp_path) == 4 * 6 + 6


def test_collection_beside_writers_takes_nothing_in_use(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        for number in range(8):
            store.put(b"old", Manifest(kind="asset", name=f"old {number}", media_type="text/plain"))
        with writer(tmp_path, "writer", 8) as process:
            while process.poll() is None:
                store.gc(older_than_s=-1)
                assert store.check() == []
            assert process.returncode == 0
    assert expect_whole(tmp_path) == 8 + 8


def test_many_threads_share_one_store(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:

        def work(number: int) -> None:
            for _ in range(4):
                name = f"thread {number}"
                made = store.put(
                    name.encode(), Manifest(kind="asset", name=name, media_type="text/plain")
                )
                assert store.read(made.id) == name.encode()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.list()) == 4


def failing(original: Callable[..., Any], at_call: int, code: int) -> Callable[..., Any]:
    """`original`, but its call number `at_call` fails as the operating system would."""
    calls = 0

    def call(*values: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at_call:
            raise OSError(code, os.strerror(code))
        return original(*values, **named)

    return call


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize(("step", "calls"), [("fsync", 4), ("replace", 2)])
def test_a_disk_that_refuses_at_any_step_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, calls: int, code: int
) -> None:
    asset = Manifest(kind="asset", name="poem", media_type="text/plain")
    for at_call in range(1, calls + 1):
        root = tmp_path / str(at_call)
        with Store.open(root) as store:
            source = store.put(b"source", Manifest(kind="source", name="s", media_type="a/b"))
            with monkeypatch.context() as patched:
                patched.setattr(os, step, failing(getattr(os, step), at_call, code))
                with pytest.raises(DiskError, match=str(root)):
                    store.put(b"poem", asset)
            assert list(root.rglob(".partial-*")) == []
            assert store.check() == []
            assert store.list() == [source]
            assert store.read(store.put(b"poem", asset).id) == b"poem"


def test_a_file_size_limit_is_a_disk_error(tmp_path: Path) -> None:
    code = textwrap.dedent(
        f"""
        import resource, sys
        from wenfang.errors import DiskError
        from wenfang.store import Manifest, Store
        with Store.open({str(tmp_path)!r}) as store:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))
            try:
                store.put(bytes(1_000_000), Manifest(kind="asset", name="n", media_type="a/b"))
            except DiskError as error:
                sys.exit(str(error))
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.rglob(".partial-*")) == []
    assert expect_whole(tmp_path) == 0


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DiskError, match="file"):
        Store.open(tmp_path / "file" / "store")


def test_an_interrupted_put_is_finished_by_putting_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = Manifest(kind="asset", name="poem", media_type="text/plain", key="k")
    with Store.open(tmp_path) as store:
        source = store.put(b"source", Manifest(kind="source", name="s", media_type="a/b"))

        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(store._index, "add", stop)
            with pytest.raises(KeyboardInterrupt):
                store.put(b"poem", asset)
        assert store.find("k") is None
        linked = Manifest(
            kind="asset",
            name="next",
            media_type="text/plain",
            inputs=(Link(role="s", id=source.id),),
        )
        store.put(b"next", linked)
        made = store.put(b"poem", asset)
        assert store.find("k") == made
    assert expect_whole(tmp_path) == 3
