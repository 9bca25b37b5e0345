"""One training loop for every family.

A run is a folder: recipe.json, metrics.jsonl, loss.svg, checkpoints/step_N. All randomness is a
function of (seed, step), so a run that is killed and resumed ends with the very same weights.
Several processes (torchrun) each take a slice of the same global batch and average gradients.
A method is an objective; one that alternates (a GAN) is several phases in each step.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from wenfang import optim
from wenfang.atomic import TEMPORARY_PREFIX, exclusive, write_text
from wenfang.checkpoint import (
    load_state,
    optimizer_tensors,
    restore_optimizers,
    save_state,
    states,
)
from wenfang.data.batches import Batches, Share
from wenfang.device import kept_memory, noise
from wenfang.errors import ConfigError, StoppedError, TrainingError
from wenfang.metrics.curve import loss_curve_svg
from wenfang.models.products import fast_products
from wenfang.objectives import Objective
from wenfang.optim import OptimConfig

LENGTHS = ("steps", "batch_size", "accumulation")
INTERVALS = ("evaluate_every", "checkpoint_every", "log_every")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long, how large, how often. batch_size counts examples of one micro-batch."""

    steps: int = 1000
    batch_size: int = 32
    accumulation: int = 1
    clip_norm: float = 1.0
    average_decay: float | None = None
    evaluate_every: int = 250
    checkpoint_every: int = 250
    log_every: int = 10
    keep_checkpoints: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that count nothing."""
        for name in (*LENGTHS, *INTERVALS, "clip_norm", "keep_checkpoints"):
            value = getattr(self, name)
            if value <= 0:
                raise ConfigError(
                    "train.{name} is {value}; it must be above 0", name=name, value=value
                )
        decay = self.average_decay
        if decay is not None and not 0 < decay < 1:
            raise ConfigError(
                "train.average_decay is {value}; it must be between 0 and 1", value=decay
            )


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One objective and the parameters that it moves.

    parameters  a regular expression that their names hold
    every       so many steps apart the phase has its turn
    """

    name: str = "model"
    objective: Objective
    optim: OptimConfig
    parameters: str = ""
    every: int = 1


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that a run needs, built from a recipe.

    watch  what an evaluation's values warn of, as a message; nothing for most
    show   looks at the model as an evaluation measures it, at this step; it draws nothing from
           the run's own randomness
    """

    model: nn.Module
    phases: tuple[Phase, ...]
    batches: Batches
    config: TrainConfig
    evaluate: Callable[[nn.Module], dict[str, float]]
    fingerprint: str
    watch: Callable[[dict[str, float]], str] = lambda values: ""
    show: Callable[[nn.Module, int], None] = lambda model, step: None


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happened: kind is start, step, evaluate, warning (by `text`), checkpoint or done; where
    samples are asked for, samples or compared, `text` being the folder or file that tells them.
    """

    kind: str
    step: int
    steps: int
    values: dict[str, float] = field(default_factory=dict)
    text: str = ""


OnEvent = Callable[[Event], None]


class Trainer:
    """The loop over one task in one run's folder."""

    def __init__(self, task: Task, run: Path, on_event: OnEvent = lambda event: None) -> None:
        self.task, self.run, self.on_event = task, run, on_event
        self.share = _share()
        self.optimizers = [
            optim.build(_chosen(task.model, phase), phase.optim) for phase in task.phases
        ]
        decay = task.config.average_decay
        self.average = optim.Average(task.model, decay) if decay else None
        self.step = 0

    def fit(self) -> None:
        """Train from the newest state of the run (or from the beginning) to the last step.

        raises TrainingError on a non-finite loss, StoppedError after SIGINT or SIGTERM, both
        with the last state kept
        """
        with (
            exclusive(self.run / f"rank{self.share.rank}.lock", str(self.run)),
            _stoppable() as stop,
            fast_products(),
            kept_memory(),
        ):
            self._resume()
            self.on_event(Event(kind="start", step=self.step, steps=self.task.config.steps))
            seconds, seen = 0.0, 0.0
            while self.step < self.task.config.steps:
                started = time.monotonic()
                values = self._update()
                seconds += time.monotonic() - started
                seen += values.pop("weight")
                if self.step % self.task.config.log_every == 0:
                    self._log("step", {**values, "per_s": seen / seconds})
                    seconds, seen = 0.0, 0.0
                # The ranks stop at one step, whichever of them the signal reached first.
                stopping = _sum_over_ranks([float(len(stop))], self.share)[0] > 0
                self._keep(stopping=stopping)
                if stopping:
                    raise StoppedError(
                        "stopped after step {step}; go on with --resume", step=self.step
                    )
            self.on_event(Event(kind="done", step=self.step, steps=self.task.config.steps))

    def _update(self) -> dict[str, float]:
        """One update by every phase; advances the step."""
        config = self.task.config
        values: dict[str, float] = {}
        for phase, optimizers in zip(self.task.phases, self.optimizers, strict=True):
            if (self.step + 1) % phase.every:
                continue
            factor = optim.rate(phase.optim, self.step, config.steps)
            optim.set_rate(optimizers, factor)
            values |= self._phase(phase, optimizers)
        if self.average:
            self.average.update(self.task.model)
        self.step += 1
        return values

    def _phase(self, phase: Phase, optimizers: list[Optimizer]) -> dict[str, float]:
        """One update by one phase; nothing moves if the loss or a gradient is not finite."""
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        values = self._gradients(phase)
        parameters = [p for o in optimizers for g in o.param_groups for p in g["params"]]
        _sum_gradients(parameters, self.share)
        norm = nn.utils.clip_grad_norm_(parameters, self.task.config.clip_norm)
        values["gradient_norm"] = float(norm)
        self._refuse_non_finite(phase, values)
        for optimizer in optimizers:
            optimizer.step()
        prefix = "" if len(self.task.phases) == 1 else f"{phase.name}_"
        weight = values.pop("weight")
        return {f"{prefix}{name}": value for name, value in values.items()} | {"weight": weight}

    def _gradients(self, phase: Phase) -> dict[str, float]:
        """Add up the micro-batches' gradients; their mean loss and parts, and their weight."""
        config, model = self.task.config, self.task.model
        model.train()
        first = self.step * config.accumulation
        batches = [
            self.task.batches.batch(first + i, self.share) for i in range(config.accumulation)
        ]
        weights = [phase.objective.weight(batch) for batch in batches]
        total = _sum_over_ranks([sum(weights)], self.share)[0]
        means: dict[str, float] = {"loss": 0.0}
        for index, (batch, weight) in enumerate(zip(batches, weights, strict=True)):
            loss = phase.objective(model, batch, self._generator(phase.name, index))
            # Normalised by the global weight, so that ragged batches are averaged correctly.
            share = weight / total if total else 0.0
            (loss.value * share).backward()  # type: ignore[no-untyped-call]
            for name, value in ({"loss": float(loss.value.detach())} | loss.parts).items():
                means[name] = means.get(name, 0.0) + value * share
        sums = _sum_over_ranks(list(means.values()), self.share)
        return dict(zip(means, sums, strict=True)) | {"weight": total}

    def _refuse_non_finite(self, phase: Phase, values: dict[str, float]) -> None:
        for name in ("loss", "gradient_norm"):
            if not math.isfinite(values[name]):
                raise TrainingError(
                    "the {name} of phase {phase} is {value} at step {step}; lower the learning "
                    "rate (--set optim.lr=…) or look at the data; the weights were not moved",
                    name=name,
                    phase=phase.name,
                    value=values[name],
                    step=self.step,
                )

    def _generator(self, *counters: int | str) -> torch.Generator:
        """Randomness of this step and rank; the global generator too, which dropout draws from."""
        stream = noise(self.task.config.seed, "train", self.step, self.share.rank, *counters)
        seed = int(stream.integers(2**62))
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    def _keep(self, *, stopping: bool) -> None:
        """Evaluate and save where this step asks for it."""
        config = self.task.config
        last = self.step == config.steps
        measured = last or self.step % config.evaluate_every == 0
        if measured:
            values = self._evaluate()
            self._log("evaluate", values)
            self._warn(self.task.watch(values))
        if (measured or stopping) and self.share.rank == 0:
            write_text(self.run / "loss.svg", loss_curve_svg(_read_log(self._log_path)))
        if last or stopping or self.step % config.checkpoint_every == 0:
            self._save()

    def _warn(self, text: str) -> None:
        if text:
            steps = self.task.config.steps
            self.on_event(Event(kind="warning", step=self.step, steps=steps, text=text))

    def _evaluate(self) -> dict[str, float]:
        self.task.model.eval()
        if self.average:
            self.average.swap(self.task.model)
        with torch.no_grad():
            values = self.task.evaluate(self.task.model)
            if not self.share.rank:
                self.task.show(self.task.model, self.step)
        if self.average:
            self.average.swap(self.task.model)
        return values

    @property
    def _log_path(self) -> Path:
        return self.run / "metrics.jsonl"

    def _log(self, kind: str, values: dict[str, float]) -> None:
        if self.share.rank == 0:
            line = json.dumps({"step": self.step, **values})
            with self._log_path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        event = Event(kind=kind, step=self.step, steps=self.task.config.steps, values=values)
        self.on_event(event)

    def _save(self) -> None:
        if self.share.rank:
            return
        tensors = {f"model.{n}": p.detach() for n, p in self.task.model.named_parameters()}
        tensors |= optimizer_tensors([o for phase in self.optimizers for o in phase])
        state: dict[str, Any] = {"fingerprint": self.task.fingerprint}
        if self.average:
            tensors |= {f"average.{n}": t for n, t in self.average.weights.items()}
            state["average_updates"] = self.average.updates
        keep = self.task.config.keep_checkpoints
        save_state(self.run / "checkpoints", self.step, tensors, state, keep=keep)
        self.on_event(Event(kind="checkpoint", step=self.step, steps=self.task.config.steps))

    def _resume(self) -> None:
        """Load the newest state, and drop the log lines that came after it."""
        found = states(self.run / "checkpoints")
        if found:
            tensors, state = load_state(found[-1])
            if state["fingerprint"] != self.task.fingerprint:
                raise TrainingError(
                    "{run} holds a run of another recipe or data set; choose another with -o",
                    run=self.run,
                )
            self._restore(tensors, state)
        if self.share.rank == 0:
            _truncate_log(self._log_path, self.step)
            for left_by_a_crash in (self.run / "checkpoints").glob(f"{TEMPORARY_PREFIX}*"):
                shutil.rmtree(left_by_a_crash)

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        with torch.no_grad():
            for name, parameter in self.task.model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])
        restore_optimizers([o for phase in self.optimizers for o in phase], tensors)
        if self.average:
            self.average.updates = state["average_updates"]
            self.average.weights = {n: tensors[f"average.{n}"] for n in self.average.weights}
        self.step = state["step"]

    def use_average(self) -> None:
        """Give the model its averaged weights, where the run keeps an average."""
        if self.average:
            self.average.swap(self.task.model)


def _chosen(model: nn.Module, phase: Phase) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in model.named_parameters():
        if re.search(phase.parameters, name):
            yield name, parameter


def _truncate_log(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [entry for entry in _read_log(path) if entry["step"] <= step]
    write_text(path, "".join(json.dumps(entry) + "\n" for entry in kept))


def _read_log(path: Path) -> list[dict[str, Any]]:
    """Every whole entry of a log; a line cut short by a crash is left out."""
    entries = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        with suppress(json.JSONDecodeError):
            entries.append(json.loads(line))
    return entries


def _share() -> Share:
    """This process's place under torchrun, or the only one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Share()
    if not dist.is_initialized():
        # Losses are summed on the CPU wherever the model is.
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    return Share(rank=dist.get_rank(), world=world)


def _sum_over_ranks(values: list[float], share: Share) -> list[float]:
    if share.world == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(total)
    sums: list[float] = total.tolist()
    return sums


def _sum_gradients(parameters: list[nn.Parameter], share: Share) -> None:
    """Add the ranks' gradients, in one flat message."""
    if share.world == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM, so that the loop can stop between two steps."""
    received: list[int] = []
    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, lambda n, _: received.append(n))
        except ValueError:  # not the main thread: whoever started the thread stops it
            break
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
