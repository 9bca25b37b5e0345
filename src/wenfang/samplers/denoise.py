"""From noise to data: the solvers of diffusion and of flow matching.

A solver asks `predict(x, t)` what data lies behind the noisy x, and steps from one time to the
next. With y = x / alpha and s = sigma / alpha every path is one whose noise grows (Karras et al.
2022, arXiv:2206.00364), so one line of mathematics serves them all.

B batch; *event the shape of one sample; S steps
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wenfang.errors import ConfigError
from wenfang.noise import Flow, Path

# x (B, *event) noisy, t () -> (B, *event), the data that it holds
Denoiser = Callable[[Tensor, Tensor], Tensor]
Fresh = Callable[[], Tensor]
OnStep = Callable[[int, Tensor], None]

Solver = Literal["ddpm", "ddim", "euler", "heun", "dpm++2m"]


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """How a sample is denoised.

    solver    "ddpm" draws new noise at each step (Ho et al. 2020, arXiv:2006.11239); "ddim" draws
              the share `eta` of that (Song et al. 2021, arXiv:2010.02502); "euler" is DDIM without
              any, which on a straight path is Euler's method for the flow; "heun" corrects each
              step by a second look; "dpm++2m" by the last step's (Lu et al. 2022,
              arXiv:2211.01095)
    """

    solver: Solver = "dpm++2m"
    steps: int = 20
    eta: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if self.steps < 1:
            raise ConfigError("denoising.steps is {value}; it must be at least 1", value=self.steps)
        if not 0 <= self.eta <= 1:
            raise ConfigError("denoising.eta is {value}; it must be in 0..1", value=self.eta)
        if self.eta and self.solver != "ddim":
            raise ConfigError(
                "denoising.eta is for the solver ddim, not {solver}; leave it out",
                solver=self.solver,
            )


@torch.no_grad()
def denoise(
    predict: Denoiser,
    noise: Tensor,
    path: Path,
    asked: Denoising,
    fresh: Fresh | None = None,
    on_step: OnStep = lambda step, data: None,
    *,
    begin: float = 1.0,
    start: Tensor | None = None,
) -> Tensor:
    """Samples, as many as `noise` has rows.

    noise    (B, *event) standard normal
    fresh    more of it, for the solvers that draw at each step
    on_step  hears each step's number, from 1, and what data the model saw in it
    begin    the share of the way that is walked; with `start` (B, *event), data that is made noisy
             so far and denoised again (SDEdit, Meng et al. 2022, arXiv:2108.01073)
    returns  (B, *event); predict is called S times, 2 S - 1 times by "heun"
    raises   ConfigError for a share outside 0..1, or noise that is missing
    """
    if not 0 < begin <= 1:
        raise ConfigError("begin is {value}; it must be above 0 and at most 1", value=begin)
    eta = {"ddpm": 1.0, "ddim": asked.eta}.get(asked.solver, 0.0)
    if eta and fresh is None:
        raise ConfigError("{solver} draws noise at each step; give it", solver=asked.solver)
    times = path.times(asked.steps) * begin
    alpha, sigma = path.levels(times)
    x = sigma[0] * noise + (0 if start is None else alpha[0] * start)
    walk = _Walk(predict, times, alpha, sigma, on_step)
    if asked.solver == "heun":
        return _heun(walk, x, straight=isinstance(path, Flow))
    if asked.solver == "dpm++2m":
        return _dpm_2m(walk, x)
    return _ddim(walk, x, eta, fresh)


@dataclass(frozen=True)
class _Walk:
    """What all solvers share: the denoiser and the levels (S + 1,) of its steps."""

    predict: Denoiser
    times: Tensor
    alpha: Tensor
    sigma: Tensor
    on_step: OnStep

    def __len__(self) -> int:
        return len(self.times) - 1

    def data(self, x: Tensor, step: int) -> Tensor:
        """The data behind x at the beginning of a step."""
        found = self.predict(x, self.times[step])
        self.on_step(step + 1, found)
        return found

    def spread(self, step: int) -> Tensor:
        """sigma / alpha."""
        return self.sigma[step] / self.alpha[step]


def _ddim(walk: _Walk, x: Tensor, eta: float, fresh: Fresh | None) -> Tensor:
    """eta = 1 is the posterior of DDPM."""
    for step in range(len(walk)):
        here, there = walk.spread(step), walk.spread(step + 1)
        drawn = eta * there * (1 - (there / here).square()).clamp_min(0).sqrt()
        kept = (there.square() - drawn.square()).clamp_min(0).sqrt()
        data = walk.data(x, step)
        y = data + kept / here * (x / walk.alpha[step] - data)
        if drawn > 0:
            assert fresh is not None
            y = y + drawn * fresh()
        x = walk.alpha[step + 1] * y
    return x


def _heun(walk: _Walk, x: Tensor, *, straight: bool) -> Tensor:
    """Algorithm 1 of Karras et al. without added noise; the last step, to data, is Euler's.

    straight  the flow's own lines are followed. Other paths are followed in x / alpha, whose first
              step on a flow would be from a spread beyond all bounds
    """
    scale = torch.ones_like(walk.alpha) if straight else walk.alpha
    alpha, sigma = walk.alpha / scale, walk.sigma / scale
    y = x / scale[0]
    for step in range(len(walk)):
        after = step + 1
        data = walk.data(scale[step] * y, step)
        noise = (y - alpha[step] * data) / sigma[step]
        ahead = alpha[after] * data + sigma[after] * noise
        if after < len(walk):
            seen = walk.predict(scale[after] * ahead, walk.times[after])
            data = (data + seen) / 2
            noise = (noise + (ahead - alpha[after] * seen) / sigma[after]) / 2
            change = alpha[after] - alpha[step], sigma[after] - sigma[step]
            ahead = y + change[0] * data + change[1] * noise
        y = ahead
    return scale[-1] * y


def _dpm_2m(walk: _Walk, x: Tensor) -> Tensor:
    """The first step and the last, whose logarithm is infinite, are of first order."""
    before: Tensor | None = None
    depth = -torch.log(walk.sigma / walk.alpha)
    for step in range(len(walk)):
        data = seen = walk.data(x, step)
        if before is not None and step + 1 < len(walk):
            ratio = (depth[step] - depth[step - 1]) / (depth[step + 1] - depth[step])
            seen = data + (data - before) / (2 * ratio)
        # (sigma' / sigma) x + alpha' (1 - s' / s) data, which is DDIM's step with `seen` for data
        share = walk.spread(step + 1) / walk.spread(step)
        x = walk.alpha[step + 1] * (seen + share * (x / walk.alpha[step] - seen))
        before = data
    return x


def guided(conditioned: Denoiser, plain: Denoiser, guidance: float) -> Denoiser:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598); 1 asks the first alone."""
    if guidance == 1:
        return conditioned

    def predict(x: Tensor, t: Tensor) -> Tensor:
        without = plain(x, t)
        return without + guidance * (conditioned(x, t) - without)

    return predict
