"""Nothing is published before approval where a project asks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wenfang.database import Database
from wenfang.feedback import Vote, Votes
from wenfang.jobs import Queue
from wenfang.server.approval import require_published
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.inference import Inference
from wenfang.server.measures import Measures
from wenfang.server.place import Place
from wenfang.server.settings import ServeSettings


def test_only_reviewers_open_what_is_not_approved(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'a.sqlite'}")
    here = Place(
        settings=ServeSettings(),
        database=database,
        queue=Queue(database=database),
        inference=Inference(),
        measures=Measures(),
    )
    votes, maker = Votes(database=database), Caller(project="shop", role="maker")
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
    database.close()
