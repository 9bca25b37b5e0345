"""What a request may ask of a sampler, at its extremes, and what a fault there costs others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch

from wenfang.engine.serving import serve
from wenfang.engine.serving_texts import TextDesk
from wenfang.errors import ConfigError
from wenfang.samplers.tokens import Sampling, shape_steps

ANSWERED_S = 60
ASKED = {"model": "verse", "prompt": "春", "seeds": [1], "settings": {}}
LOGITS = torch.tensor([[1.0, 30.0, 2.0, -30.0], [0.0, 0.0, -torch.inf, 0.0]])


@pytest.mark.parametrize(
    "extreme",
    [
        {"top_p": 5e-324},
        {"temperature": 5e-324},
        {"temperature": 1e-7, "top_p": 5e-324},
        {"temperature": 100},
        {"top_k": 10**30},
        {"min_p": 1 - 1e-16},
        {"repetition_penalty": 0.01, "temperature": 1e-6},
    ],
)
def test_at_the_extremes_something_is_left_to_draw(extreme: Any) -> None:
    logits = LOGITS.clone()
    for step in shape_steps(Sampling(**extreme)):
        logits = step(logits, torch.tensor([[1], [0]]))
    share = logits.double().softmax(-1)
    assert share.isfinite().all()
    assert share.sum(-1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_next_to_nothing_is_greedy(name: str) -> None:
    logits = LOGITS.clone()
    for step in shape_steps(Sampling(**{name: 1e-320})):  # type: ignore[arg-type]
        logits = step(logits, torch.zeros(2, 0, dtype=torch.int64))
    assert logits.isfinite().sum(-1).tolist() == [1, 1]
    assert logits.argmax(-1).tolist() == [1, 0]


@pytest.mark.parametrize(
    "beyond",
    [
        {"temperature": 1e300},
        {"guidance": 1e30},
        {"guidance": float("nan")},
        {"repetition_penalty": 1e-300},
    ],
)
def test_what_leaves_nothing_to_draw_is_refused(beyond: Any) -> None:
    with pytest.raises(ConfigError, match="it must be from"):
        Sampling(**beyond)


@pytest.fixture
def models() -> Iterator[Connection]:
    """The other end of what the models' process does, in a thread."""
    ours, theirs = Pipe()
    thread = threading.Thread(target=serve, args=(theirs,))
    thread.start()
    assert received(ours) == {"ready": True}
    yield ours
    ours.close()
    thread.join()


def received(connection: Connection) -> Any:
    assert connection.poll(ANSWERED_S)
    return connection.recv()


def test_a_fault_in_a_shared_step_ends_its_calls_alone(
    models: Connection, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, broken = TextDesk.step, threading.Event()

    def step(desk: TextDesk) -> Iterator[tuple[int, Any, bool]]:
        if desk.busy and not broken.is_set():
            broken.set()
            raise IndexError("nobody thought of this")
        yield from whole(desk)

    monkeypatch.setattr(TextDesk, "step", step)
    for number in (1, 2):
        models.send({"call": number, "verb": "text", "content": ASKED})
    told = [received(models), received(models)]
    if len({one["call"] for one in told}) == 2:  # both had joined before the step
        assert {one["error"]["status"] for one in told if one["error"]} == {500}
    first = next(one for one in told if one["call"] == 1)
    assert first["last"]
    assert first["error"]["status"] == 500
    assert "nobody thought of this" in capfd.readouterr().err
    models.send({"call": 3, "verb": "text", "content": ASKED})
    while (answer := received(models))["call"] != 3 or not answer["last"]:
        assert answer["call"] in (2, 3)
    assert answer["content"]["written"][0]["text"]
