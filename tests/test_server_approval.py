"""Nothing is published before approval where a project asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.responses import FileResponse

from wenfang.database import Database
from wenfang.feedback import Vote, Votes
from wenfang.jobs import Queue, Submission
from wenfang.server.approval import require_published
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.inference import Inference
from wenfang.server.measures import Measures
from wenfang.server.place import Place
from wenfang.server.settings import ServeSettings
from wenfang.server.videos import FILES, Variant, show_content
from wenfang.store import home
from wenfang.studio.files import file_of

VARIANTS: tuple[Variant, ...] = ("video", "thumbnail", "spritesheet")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path / "home"))
    database = Database.open(f"sqlite:///{tmp_path / 'a.sqlite'}")
    yield Place(
        settings=ServeSettings(),
        database=database,
        queue=Queue(database=database),
        inference=Inference(),
        measures=Measures(),
    )
    database.close()


def test_a_film_is_held_to_approval_as_pieces_are(here: Place) -> None:
    """At its own door and at the studio's, in all of its forms."""
    votes, maker = Votes(database=here.database), Caller(project="shop", role="maker")
    asked = {"prompt": "rain", "size": "720x1280", "seconds": 4, "seed": 0, "settings": {}}
    here.queue.submit(
        Submission(kind="film", request=asked, subject="720x1280", units=4.0, project="shop")
    )
    job = here.queue.claim("hand", ["film"])
    assert job
    folder = home() / "jobs" / job.id
    folder.mkdir(parents=True)
    files = {variant: folder / name for variant, (name, _) in FILES.items()}
    for path in files.values():
        path.write_bytes(b"made")
    result = {"files": {variant: str(path) for variant, path in files.items()}}
    assert here.queue.finish(job, result, 1.0, 0)
    name = f"video_{job.id.removeprefix('job-')}"

    def opened(caller: Caller) -> None:
        for variant in VARIANTS:
            assert isinstance(show_content(name, here, caller, variant), FileResponse)
        for number, path in enumerate(files.values()):
            found = asyncio.run(file_of(job.id, number, path.name, here, caller))
            assert isinstance(found, FileResponse)

    opened(maker)  # nobody asked for approval
    votes.set_approval("shop", needed=True)
    for variant in VARIANTS:
        with pytest.raises(Fault, match="not approved") as caught:
            show_content(name, here, maker, variant)
        assert (caught.value.status, caught.value.code) == (403, "not_approved")
    with pytest.raises(Fault, match="not approved"):
        asyncio.run(file_of(job.id, 0, "film.mp4", here, maker))
    opened(replace(maker, role="reviewer"))
    votes.add(Vote(kind="approve", piece=job.id, project="shop"))
    opened(maker)
    votes.add(Vote(kind="reject", piece=job.id, project="shop", reason="too dark"))
    with pytest.raises(Fault, match="not approved"):
        show_content(name, here, maker, "video")


def test_only_reviewers_open_what_is_not_approved(here: Place) -> None:
    votes, maker = Votes(database=here.database), Caller(project="shop", role="maker")
    require_published(here, maker, "job-1", "shop")  # nobody asked for approval
    votes.set_approval("shop", needed=True)
    for role in ("viewer", "maker"):
        with pytest.raises(Fault, match="not approved") as caught:
            require_published(here, replace(maker, role=role), "job-1", "shop")
        assert (caught.value.status, caught.value.code) == (403, "not_approved")
    require_published(here, replace(maker, role="reviewer"), "job-1", "shop")
    votes.add(Vote(kind="approve", piece="job-1", project="shop"))
    require_published(here, maker, "job-1", "shop")
    votes.add(Vote(kind="reject", piece="job-1", project="shop", reason="a word"))
    with pytest.raises(Fault, match="not approved"):
        require_published(here, maker, "job-1", "shop")
