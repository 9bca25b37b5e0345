"""What steps and states are called where people read them, at whichever door."""

from __future__ import annotations

from wenfang.language import t


def step_name(step: str) -> str:
    """A step of a creation or of another job; its own word where it has no other."""
    return {
        "write": t("writing"),
        "drawn": t("drawing"),
        "typeset": t("typesetting"),
        "read": t("reading aloud"),
        "film": t("filming"),
        "seal": t("sealing"),
        "done": t("done"),
        "training": t("training"),
        "pieces": t("pieces"),
    }.get(step, step)


def state_name(state: str) -> str:
    """A state of a job."""
    return {
        "queued": t("queued"),
        "running": t("running"),
        "paused": t("paused"),
        "done": t("done"),
        "failed": t("failed"),
        "dead": t("given up"),
        "cancelled": t("cancelled"),
    }.get(state, state)


def outcome_name(outcome: str) -> str:
    """What a replay came to."""
    return {
        "identical": t("identical"),
        "within tolerance": t("within tolerance"),
        "environment differs": t("environment differs"),
        "different": t("different"),
        "cannot tell": t("cannot tell"),
    }.get(outcome, outcome)
