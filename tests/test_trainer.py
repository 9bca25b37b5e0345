"""One loop for every method: resumed to the bit, stopped cleanly, never moved by a bad loss."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tiny_run
from wenfang.checkpoint import states
from wenfang.data.batches import Share
from wenfang.errors import BusyError, ConfigError, StoppedError, TrainingError
from wenfang.objectives import Loss
from wenfang.objectives.next_token import NextToken
from wenfang.optim import OptimConfig
from wenfang.trainer import Event, Phase, Task, TrainConfig, Trainer

KILLS = 5


def entries(run: Path) -> list[dict[str, Any]]:
    """The log's entries without the speed, which no two runs share."""
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "per_s"} for line in lines]


def assert_equal_bits(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def test_a_run_killed_anywhere_and_resumed_is_bit_identical(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    Trainer(tiny_run.task(), whole).fit()
    draw = random.Random(20)
    for _ in range(KILLS):
        child = tiny_run.start(tiny_run.train_until, broken, draw.randrange(8, 40))
        assert tiny_run.finish(child) == [-signal.SIGKILL]
    assert len(states(broken / "checkpoints")) > 0
    assert not (broken / "checkpoints" / "step_00000012").exists()
    assert tiny_run.finish(tiny_run.start(tiny_run.train_until, broken, 0)) == [0]
    assert_equal_bits(tiny_run.final_state(whole), tiny_run.final_state(broken))
    assert entries(whole) == entries(broken)
    left = [path.name for path in (broken / "checkpoints").iterdir()]
    assert sorted(left) == ["step_00000010", "step_00000012"]


def test_the_log_of_a_resumed_run_has_every_step_once(tmp_path: Path) -> None:
    Trainer(tiny_run.task(), tmp_path).fit()
    newest = states(tmp_path / "checkpoints")[-1]
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 12, "lo')
    Trainer(tiny_run.task(), tmp_path).fit()
    assert [e["step"] for e in entries(tmp_path) if "loss" in e] == list(range(1, 13))
    assert [e["step"] for e in entries(tmp_path) if "val_loss" in e] == [4, 8, 12]


def test_an_interrupt_keeps_a_state_and_says_how_to_go_on(tmp_path: Path) -> None:
    train = replace(tiny_run.TRAIN, checkpoint_every=1000)

    def interrupt(event: Event) -> None:
        if event.kind == "step" and event.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    previous = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError, match=r"after step 7; go on with --resume"):
        Trainer(tiny_run.task(train=train), tmp_path / "a", interrupt).fit()
    assert signal.getsignal(signal.SIGINT) is previous
    assert [path.name for path in states(tmp_path / "a" / "checkpoints")] == ["step_00000007"]
    Trainer(tiny_run.task(train=train), tmp_path / "a").fit()
    Trainer(tiny_run.task(train=train), tmp_path / "b").fit()
    assert_equal_bits(tiny_run.final_state(tmp_path / "a"), tiny_run.final_state(tmp_path / "b"))


def test_two_processes_cannot_train_one_run(tmp_path: Path) -> None:
    started, release = tiny_run.FORKS.Event(), tiny_run.FORKS.Event()
    child = tiny_run.start(tiny_run.train_held, tmp_path, started, release)
    try:
        assert started.wait(60)
        with pytest.raises(BusyError, match="in use by another process"):
            Trainer(tiny_run.task(), tmp_path).fit()
    finally:
        release.set()
    assert tiny_run.finish(child) == [0]


def test_a_run_of_another_recipe_is_not_resumed(tmp_path: Path) -> None:
    Trainer(tiny_run.task(), tmp_path).fit()
    before = tiny_run.final_state(tmp_path)
    other = replace(tiny_run.task(), fingerprint="another")
    with pytest.raises(TrainingError, match="another recipe"):
        Trainer(other, tmp_path).fit()
    assert_equal_bits(before, tiny_run.final_state(tmp_path))


@dataclass
class Spoiled:
    """Next-token prediction that goes wrong at its sixth call."""

    spoil: str
    calls: int = 0

    def __call__(self, model: nn.Module, batch: Mapping[str, Tensor], rng: torch.Generator) -> Loss:
        self.calls += 1
        value = NextToken()(model, batch, rng).value
        if self.calls != 6:
            return Loss(value=value)
        if self.spoil == "loss":
            return Loss(value=value * torch.nan)
        # The root's slope at 0 is infinite: a finite loss with a gradient that is not.
        return Loss(value=value + ((value - value.detach()) ** 2).sqrt())

    def weight(self, batch: Mapping[str, Tensor]) -> float:
        return NextToken().weight(batch)


@pytest.mark.parametrize("spoil", ["loss", "gradient"])
def test_a_loss_or_gradient_that_is_not_finite_moves_no_weight(tmp_path: Path, spoil: str) -> None:
    task = tiny_run.task(objective=Spoiled(spoil))
    seen: list[dict[str, Tensor]] = []

    def remember(event: Event) -> None:
        if event.kind == "step":
            seen.append({n: p.detach().clone() for n, p in task.model.named_parameters()})

    trainer = Trainer(task, tmp_path, remember)
    with pytest.raises(TrainingError, match=rf"the {spoil}.* is (nan|inf) at step 5"):
        trainer.fit()
    assert len(seen) == 5
    assert_equal_bits(seen[-1], dict(task.model.named_parameters()))
    assert states(tmp_path / "checkpoints")[-1].name == "step_00000004"


@dataclass(frozen=True)
class Halves:
    """Batches of twice the size, each given as two micro-batches."""

    double: Any

    def batch(self, index: int, share: Share) -> dict[str, Tensor]:
        both = self.double.batch(index // 2, share)
        half = len(both["tokens"]) // 2
        rows = slice(half) if index % 2 == 0 else slice(half, None)
        return {name: tensor[rows] for name, tensor in both.items()}


@pytest.mark.parametrize("kind", ["even", "ragged"])
def test_accumulating_two_batches_equals_one_of_twice_the_size(tmp_path: Path, kind: str) -> None:
    double = tiny_run.windows(8) if kind == "even" else tiny_run.ragged(8)
    if kind == "ragged":
        parts = [Halves(double).batch(index, Share()) for index in range(2)]
        assert parts[0]["weight"].sum() != parts[1]["weight"].sum()
    weights = []
    for accumulation, batches in ((1, double), (2, Halves(double))):
        train = replace(
            tiny_run.TRAIN, steps=3, batch_size=8 // accumulation, accumulation=accumulation
        )
        network = tiny_run.model().double()  # so that rounding is not what differs
        task = tiny_run.task(train=train, network=network, batches=batches)
        Trainer(task, tmp_path / str(accumulation)).fit()
        weights.append(dict(network.named_parameters()))
    for name, parameter in weights[0].items():
        assert torch.allclose(parameter, weights[1][name], rtol=0, atol=1e-6), name


class Pair(nn.Module):
    """Two sets of weights that pull on each other, as a generator and its judge do."""

    def __init__(self) -> None:
        super().__init__()
        self.maker = nn.Parameter(torch.full((3,), 0.5))
        self.judge = nn.Parameter(torch.full((3,), 0.5))


@dataclass(frozen=True)
class Pull:
    """A slope on both sets of weights: the other's is large and points the other way."""

    maker: float
    judge: float

    def __call__(self, model: nn.Module, batch: Mapping[str, Tensor], rng: torch.Generator) -> Loss:
        assert isinstance(model, Pair)
        value = (self.maker * model.maker).sum() + (self.judge * model.judge).sum()
        return Loss(value=value, parts={"half": float(value.detach()) / 2})

    def weight(self, batch: Mapping[str, Tensor]) -> float:
        return 1.0


def pair_task(maker_lr: float, judge_lr: float) -> Task:
    def optim(lr: float) -> OptimConfig:
        return OptimConfig(kind="adamw", lr=lr, schedule="constant", warmup_steps=0)

    maker = Phase(name="maker", objective=Pull(1, -100), optim=optim(maker_lr), parameters="^maker")
    judge = Phase(name="judge", objective=Pull(-100, 1), optim=optim(judge_lr), parameters="^judge")
    base = tiny_run.task(train=replace(tiny_run.TRAIN, steps=2), network=Pair())
    return replace(base, phases=(maker, judge))


def test_each_phase_moves_only_its_own_parameters_by_its_own_gradient(tmp_path: Path) -> None:
    task = pair_task(0.1, 0.0)
    Trainer(task, tmp_path / "maker").fit()
    # Two steps of AdamW under a constant slope of 1: down by the learning rate each.
    assert torch.allclose(task.model.get_parameter("maker"), torch.full((3,), 0.3), atol=1e-5)
    assert torch.equal(task.model.get_parameter("judge"), torch.full((3,), 0.5))
    task = pair_task(0.0, 0.1)
    Trainer(task, tmp_path / "judge").fit()
    assert torch.equal(task.model.get_parameter("maker"), torch.full((3,), 0.5))
    assert torch.allclose(task.model.get_parameter("judge"), torch.full((3,), 0.3), atol=1e-5)


def test_a_phase_has_its_turn_so_many_steps_apart(tmp_path: Path) -> None:
    task = pair_task(0.1, 0.1)
    maker, judge = task.phases
    later = replace(task, phases=(replace(maker, every=2), judge))
    Trainer(later, tmp_path).fit()  # of two steps
    assert torch.allclose(task.model.get_parameter("maker"), torch.full((3,), 0.4), atol=1e-5)
    assert torch.allclose(task.model.get_parameter("judge"), torch.full((3,), 0.3), atol=1e-5)
    first, second = entries(tmp_path)[:2]
    assert "maker_loss" not in first
    assert "maker_loss" in second


def test_the_log_tells_each_phases_losses_and_parts(tmp_path: Path) -> None:
    Trainer(pair_task(0.1, 0.1), tmp_path).fit()
    first = entries(tmp_path)[0]
    assert first["maker_loss"] == pytest.approx(3 * 0.5 * (1 - 100))
    assert first["maker_half"] == pytest.approx(first["maker_loss"] / 2)
    assert {"judge_loss", "judge_half", "judge_gradient_norm"} <= first.keys()


def test_a_part_of_the_loss_is_averaged_over_micro_batches(tmp_path: Path) -> None:
    train = replace(tiny_run.TRAIN, steps=1, batch_size=2, accumulation=2)
    double = tiny_run.ragged(4)

    class Parted(NextToken):
        def __call__(
            self, model: nn.Module, batch: Mapping[str, Tensor], rng: torch.Generator
        ) -> Loss:
            return Loss(
                value=super().__call__(model, batch, rng).value,
                parts={"tokens": self.weight(batch)},
            )

    Trainer(tiny_run.task(train=train, batches=Halves(double), objective=Parted()), tmp_path).fit()
    counts = [NextToken().weight(Halves(double).batch(index, Share())) for index in range(2)]
    expected = sum(count * count for count in counts) / sum(counts)
    assert entries(tmp_path)[0]["tokens"] == pytest.approx(expected)


def test_the_first_loss_is_that_of_a_uniform_guess(tmp_path: Path) -> None:
    network = tiny_run.model(replace(tiny_run.MODEL, tied_head=False))
    Trainer(tiny_run.task(network=network), tmp_path).fit()
    losses = [e["loss"] for e in entries(tmp_path) if "loss" in e]
    assert losses[0] == pytest.approx(float(torch.tensor(float(tiny_run.VOCABULARY)).log()))
    assert losses[-1] < losses[0] - 0.05


def test_evaluation_sees_the_average_and_training_goes_on_without_it(tmp_path: Path) -> None:
    task = tiny_run.task()
    seen: list[Tensor] = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        assert not model.training
        seen.append(model.get_parameter("model.norm.weight").detach().clone())
        return {"val_loss": 0.0}

    trainer = Trainer(replace(task, evaluate=evaluate), tmp_path)
    trainer.fit()
    assert trainer.average is not None
    own = task.model.get_parameter("model.norm.weight").detach().clone()
    assert torch.equal(seen[-1], trainer.average.weights["model.norm.weight"])
    assert not torch.equal(seen[-1], own)
    trainer.use_average()
    assert torch.equal(task.model.get_parameter("model.norm.weight"), seen[-1])


def test_a_run_draws_its_loss_curve(tmp_path: Path) -> None:
    Trainer(tiny_run.task(), tmp_path).fit()
    svg = (tmp_path / "loss.svg").read_text("utf-8")
    assert svg.count("<circle") == 3 + 1  # three evaluations and the legend's mark


@pytest.mark.parametrize("name", ["steps", "batch_size", "log_every", "checkpoint_every"])
def test_a_training_number_that_counts_nothing_is_refused(name: str) -> None:
    settings: dict[str, Any] = {name: 0}
    with pytest.raises(ConfigError, match=rf"train\.{name} is 0"):
        TrainConfig(**settings)
