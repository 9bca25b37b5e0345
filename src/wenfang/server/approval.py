"""What a project publishes: nothing rejected, and nothing unseen where it asks for approval."""

from __future__ import annotations

from wenfang.feedback import Votes
from wenfang.language import t
from wenfang.server.callers import Caller
from wenfang.server.faults import Fault
from wenfang.server.place import Place


def require_published(here: Place, caller: Caller, job: str, project: str) -> None:
    """Fault 403 for files of a piece that only reviewers may open; it asks the database.

    job  that made it, whichever door it came in by: a piece, an asset, or a film
    """
    if caller.may("reviewer"):
        return
    if not Votes(database=here.database).may_publish(job, project):
        raise Fault(403, t("this piece is not approved yet"), "not_approved")
