"""What steps and states are called where people read them, at whichever door."""

from __future__ import annotations

from wenfang.language import t


def step_name(step: str) -> str:
    """A step of a creation or of another job; its own word where it has no other."""
    return {
        "write": t("writing"),
        "drawn": t("making"),
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


def _stages() -> dict[str, str]:
    return {
        "data": t("reading the data"),
        "bundle": t("writing the bundle"),
        "comparison": t("comparing it with the older one"),
        "likelihood": t("measuring the likelihood"),
        "baseline": t("counting n-grams for the baseline"),
        "writing": t("writing"),
        "titles": t("ranking titles"),
        "poems": t("drawing poems"),
        "pictures": t("drawing pictures"),
        "music": t("composing"),
    }


def stage_name(stage: str) -> str:
    """A stage of training or evaluation; what is no stage but a word to people stays as it is."""
    return _stages().get(stage, stage)


def is_stage(stage: str) -> bool:
    """Whether it is a stage, and no word to people."""
    return stage in _stages()


def lasting(seconds: float) -> str:
    """A span of time for people."""
    if seconds < 120:
        return t("{seconds} s", seconds=f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}")
    if seconds < 7200:
        return t("{minutes} min", minutes=f"{seconds / 60:.0f}")
    return t("{hours} h", hours=f"{seconds / 3600:.1f}")
