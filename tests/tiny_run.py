"""A training run of a few thousand weights, for tests; also what their child processes run."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wenfang.checkpoint import load_state, states
from wenfang.data.batches import Batches, ExampleBatches, Examples, WindowBatches
from wenfang.errors import StoppedError
from wenfang.models import gpt
from wenfang.objectives import Objective
from wenfang.objectives.next_token import NextToken
from wenfang.optim import OptimConfig
from wenfang.trainer import Event, Phase, Task, TrainConfig, Trainer

VOCABULARY = 17
WINDOW = 8
MODEL = replace(gpt.PRESETS["tiny"], vocabulary_size=VOCABULARY, width=16, heads=2, kv_heads=1)
TRAIN = TrainConfig(
    steps=12,
    batch_size=4,
    evaluate_every=4,
    checkpoint_every=2,
    log_every=1,
    average_decay=0.9,
    seed=3,
)
FORKS = get_context("forkserver")
# Children are forked from a process that has imported torch, not from this one and its threads.
FORKS.set_forkserver_preload(["wenfang.trainer", "wenfang.objectives.next_token", "torch._dynamo"])


def model(config: gpt.Config = MODEL, seed: int = 1) -> gpt.GPT:
    """A fresh model with its own initial weights."""
    made = gpt.GPT(config)
    made.initialise(torch.Generator().manual_seed(seed))
    return made


def windows(batch_size: int = 4) -> WindowBatches:
    """A stream with a pattern that can be learnt."""
    tokens = (np.arange(400) * 5 + np.arange(400) // 7) % VOCABULARY
    return WindowBatches(tokens=tokens, window=WINDOW, batch_size=batch_size, seed=5)


def ragged(batch_size: int = 4, count: int = 24) -> ExampleBatches:
    """Examples whose bodies differ in length, so batches differ in weight."""
    draw = np.random.default_rng(0)
    parts = [
        (
            [1],
            draw.integers(3, VOCABULARY, draw.integers(0, 4)).tolist(),
            draw.integers(3, VOCABULARY, draw.integers(1, 12)).tolist(),
        )
        for _ in range(count)
    ]
    examples = Examples.build(parts)
    return ExampleBatches(
        examples=examples, batch_size=batch_size, seed=5, padding=0, drop_condition=0.5
    )


def task(
    *,
    train: TrainConfig = TRAIN,
    network: nn.Module | None = None,
    batches: Batches | None = None,
    objective: Objective | None = None,
    optim: OptimConfig | None = None,
) -> Task:
    """A complete task; whatever is not given is tiny."""
    torch.set_num_threads(1)
    optim = optim or OptimConfig(lr=1e-3, warmup_steps=2)
    return Task(
        model=network or model(),
        phases=(Phase(objective=objective or NextToken(), optim=optim),),
        batches=batches or windows(train.batch_size),
        config=train,
        evaluate=lambda network: {"val_loss": 1.0},
        fingerprint="tiny",
    )


def final_state(run: Path) -> dict[str, Tensor]:
    """Every tensor of a run's newest state."""
    tensors, _ = load_state(states(run / "checkpoints")[-1])
    return tensors


def train_until(run: Path, deadly_tick: int) -> None:
    """Train, and die by SIGKILL at the given event, flush or rename (0: never)."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == deadly_tick:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def run_and_count(*args: Any) -> Any:
            tick()
            return call(*args)

        return run_and_count

    for name in ("fsync", "rename", "replace"):
        setattr(os, name, counted(getattr(os, name)))
    Trainer(task(), run, lambda event: tick()).fit()


def train_held(run: Path, started: Any, release: Any) -> None:
    """Train, but wait at the start, holding the run, until released."""

    def wait(event: Event) -> None:
        if event.kind == "start":
            started.set()
            release.wait(30)

    Trainer(task(), run, wait).fit()


def train_rank(run: Path, rank: int, port: int, stop_at: int) -> None:
    """One of two ranks over loopback; rank 1 is interrupted at `stop_at` (0: never)."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }

    def interrupt(event: Event) -> None:
        if rank == 1 and event.kind == "step" and event.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    trainer = Trainer(task(batches=ragged()), run, interrupt)
    try:
        trainer.fit()
    except StoppedError as error:
        raise SystemExit(100 + int(str(error.values["step"])))
    finally:
        torch.distributed.destroy_process_group()


def start(target: Callable[..., None], *args: Any) -> ForkServerProcess:
    """Start a child process that shares nothing but its arguments."""
    child = FORKS.Process(target=target, args=args, daemon=True)
    child.start()
    return child


def finish(*children: ForkServerProcess) -> list[int | None]:
    """Wait for children; their exit codes."""
    for child in children:
        child.join(60)
    return [child.exitcode for child in children]


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
