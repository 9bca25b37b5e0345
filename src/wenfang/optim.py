"""Optimizers, schedules of the learning rate, and the moving average of weights.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) orthogonalises the update of every
hidden matrix; all other parameters learn by AdamW. torch's own Muon does this in bfloat16, which
is ten times too slow on a CPU without bfloat16 units; here it is float32, with the matrices of
one shape stacked into one batched product.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from wenfang.errors import ConfigError

# Quintic whose iteration drives all singular values towards 1, fast rather than exactly.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
# Names of parameters that look like matrices while each row is a vector of its own.
# Or that take a whole picture's condition, of which a batch has too few to fill their directions.
TABLES = ("embed", "shared", "lm_head", "relative_attention_bias", "told", "time_")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How parameters are updated. lr is AdamW's, matrix_lr Muon's for hidden matrices.

    table_lr  AdamW's for embeddings and heads; 0: as lr
    """

    kind: Literal["adamw", "muon"] = "muon"
    lr: float = 3e-3
    matrix_lr: float = 0.02
    table_lr: float = 0.0
    momentum: float = 0.95
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    schedule: Literal["linear", "cosine", "constant", "stable-decay"] = "linear"
    warmup_steps: int = 50
    final_fraction: float = 0.0
    decay_share: float = 0.3

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 < self.decay_share <= 1:
            raise ConfigError(
                "optim.decay_share is {value}; it must be above 0 and at most 1",
                value=self.decay_share,
            )


def rate(config: OptimConfig, step: int, steps: int) -> float:
    """Factor on the learning rates for update `step` (from 0) of `steps`."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    span = max(1, steps - config.warmup_steps)
    left = (steps - step) / span
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "stable-decay":
        left = min(1.0, left / config.decay_share)
    if config.schedule == "cosine":
        left = 0.5 - 0.5 * math.cos(math.pi * left)
    return config.final_fraction + (1 - config.final_fraction) * left


def orthogonalise(matrices: Tensor) -> Tensor:
    """Nearest semi-orthogonal matrices, roughly: (N, R, C) float32 -> (N, R, C)."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    result: Tensor = x.mT if tall else x
    return result


class Muon(Optimizer):
    """Momentum, then orthogonalised updates, for matrices only; float32 throughout."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for matrices in self._by_shape(group["params"]):
                self._update(matrices, group["lr"], group["momentum"])

    @staticmethod
    def _by_shape(parameters: list[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
        shapes: dict[torch.Size, list[nn.Parameter]] = {}
        for parameter in parameters:
            if parameter.grad is not None:
                shapes.setdefault(parameter.shape, []).append(parameter)
        yield from shapes.values()

    def _update(self, matrices: list[nn.Parameter], lr: float, momentum: float) -> None:
        moving = [self._momentum(matrix) for matrix in matrices]
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        torch._foreach_lerp_(moving, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, moving, momentum)  # Nesterov's look ahead
        rows, columns = matrices[0].shape
        update = orthogonalise(torch.stack(list(ahead))) * max(1, rows / columns) ** 0.5
        weights: list[Tensor] = list(matrices)
        torch._foreach_add_(weights, list(update.unbind()), alpha=-lr)

    def _momentum(self, matrix: nn.Parameter) -> Tensor:
        state = self.state[matrix]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum: Tensor = state["momentum"]
        return momentum


def build(named: Iterable[tuple[str, nn.Parameter]], config: OptimConfig) -> list[Optimizer]:
    """Optimizers that together update every parameter of `named` once."""
    parameters = dict(named)
    matrices = [
        parameter
        for name, parameter in parameters.items()
        if config.kind == "muon" and parameter.ndim == 2 and not _is_table(name)
    ]
    chosen = {id(matrix) for matrix in matrices}
    rest = [parameter for parameter in parameters.values() if id(parameter) not in chosen]
    optimizers: list[Optimizer] = []
    if matrices:
        optimizers.append(Muon(matrices, config.matrix_lr, config.momentum))
    if rest:
        # Gains of normalisation and embeddings must not be pulled towards zero.
        tables = {id(p) for name, p in parameters.items() if _is_table(name)}
        groups: list[dict[str, Any]] = [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        if config.table_lr:
            plain = [p for p in groups[0]["params"] if id(p) not in tables]
            fast = [p for p in groups[0]["params"] if id(p) in tables]
            own = {"weight_decay": config.weight_decay}
            groups[:1] = [
                {"params": plain, **own},
                {"params": fast, **own, "lr": config.table_lr},
            ]
        groups = [group for group in groups if group["params"]]
        # Fused: one pass over memory where the plain one makes ten.
        adamw = AdamW(groups, lr=config.lr, betas=config.betas, eps=1e-10, fused=True)
        optimizers.append(adamw)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def _is_table(name: str) -> bool:
    """Whether a parameter is a table of vectors and not a map."""
    return any(part in name for part in TABLES)


def set_rate(optimizers: Iterable[Optimizer], factor: float) -> None:
    """Set every learning rate to `factor` times its base."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor


class Average:
    """Exponential moving average of weights, warmed up as min(decay, (1 + n) / (10 + n))."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: p.detach().clone() for name, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        current = [p.detach() for _, p in model.named_parameters()]
        torch._foreach_lerp_(list(self.weights.values()), current, 1 - decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the model's weights with the average; a second call undoes it."""
        for name, parameter in model.named_parameters():
            kept = parameter.detach().clone()
            parameter.copy_(self.weights[name])
            self.weights[name].copy_(kept)
