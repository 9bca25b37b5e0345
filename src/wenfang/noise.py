"""How data becomes noise, and back: x_t = alpha(t) x + sigma(t) e, with e standard normal.

A Path is one choice of alpha and sigma and of what a network is asked for. The objective and the
sampler are handed the same one, so that training and sampling cannot disagree. Time runs from 0,
which is (almost) data, to 1, which is (almost) noise; a sampler's even steps in t are thus the
path's own schedule.

B batch; *event the shape of one sample; t (B,) float32 in 0..1
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from wenfang import config
from wenfang.errors import ConfigError

Prediction = Literal["noise", "data", "velocity", "flow"]


@dataclass(frozen=True, kw_only=True)
class Path(ABC):
    """What all paths share; a subclass says what alpha and sigma are.

    prediction  what the network is asked for, with x the data and e the noise:
                "noise"     e (Ho et al. 2020, arXiv:2006.11239)
                "data"      x
                "velocity"  alpha s e - sigma x / s over the root of alpha^2 s^2 + sigma^2, with s
                            the data's standard deviation: v of Salimans & Ho (2022,
                            arXiv:2202.00512) where alpha^2 + sigma^2 = 1, and, but for its sign,
                            what the preconditioned network of Karras et al. (2022,
                            arXiv:2206.00364) computes where alpha = 1
                "flow"      e - x (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023)
    data_std    standard deviation of the data, over all values
    """

    prediction: Prediction = "velocity"
    data_std: float = 1.0

    first: ClassVar[float] = 0.0  # the least time that a network is asked about
    last: ClassVar[float] = 1.0  # where sampling begins

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        if not 0 < self.data_std < math.inf:
            raise ConfigError("path.data_std is {value}; it must be above 0", value=self.data_std)

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """What the data is multiplied by at t."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at t, in units of the data."""

    def times(self, steps: int) -> Tensor:
        """(steps + 1,) strictly falling from `last` to 0, where samples are data."""
        if steps < 1:
            raise ConfigError("steps is {value}; it must be at least 1", value=steps)
        asked = torch.linspace(self.last, self.first, steps + 1)[:-1]
        return torch.cat((asked, torch.zeros(1)))

    def levels(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma of a sampler's times; the last of them is data without any noise."""
        alpha, sigma = self.alpha(times), self.sigma(times)
        alpha[-1], sigma[-1] = 1.0, 0.0
        return alpha, sigma

    def add_noise(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x, noise (B, *event), t (B,) -> (B, *event)."""
        return _like(self.alpha(t), x) * x + _like(self.sigma(t), x) * noise

    def scaled(self, x: Tensor, t: Tensor) -> Tensor:
        """What a network reads in place of the noisy x: the same, of standard deviation 1."""
        return x / _like(self._spread(self.alpha(t), self.sigma(t)), x)

    def clue(self, t: Tensor) -> Tensor:
        """What a network is told of the time: a quarter of log(sigma / alpha), (B,)."""
        return (self.sigma(t).log() - self.alpha(t).log()) / 4

    def target(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network ought to say: (B, *event)."""
        of_data, of_noise = self._parts(self.alpha(t), self.sigma(t))
        return _like(of_data, x) * x + _like(of_noise, x) * noise

    def denoised(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The data that the network's output means, given the noisy x: (B, *event)."""
        alpha, sigma = self.alpha(t), self.sigma(t)
        of_data, of_noise = self._parts(alpha, sigma)
        # Two equations, x = alpha data + sigma e and output = of_data data + of_noise e.
        turn = sigma * of_data - alpha * of_noise
        return _like(sigma / turn, x) * output - _like(of_noise / turn, x) * x

    def data_weight(self, t: Tensor) -> Tensor:
        """(B,): by this an output's squared error is that of the data it means."""
        alpha, sigma = self.alpha(t), self.sigma(t)
        of_data, of_noise = self._parts(alpha, sigma)
        return (sigma / (sigma * of_data - alpha * of_noise)).square()

    def snr(self, t: Tensor) -> Tensor:
        """Signal-to-noise ratio, of variances: (B,)."""
        return (self.data_std * self.alpha(t) / self.sigma(t)).square()

    def _spread(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        return ((alpha * self.data_std).square() + sigma.square()).sqrt()

    def _parts(self, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Of what the prediction is made: so much of the data, so much of the noise."""
        one, nought = torch.ones_like(alpha), torch.zeros_like(alpha)
        if self.prediction == "noise":
            return nought, one
        if self.prediction == "data":
            return one, nought
        if self.prediction == "flow":
            return -one, one
        spread = self._spread(alpha, sigma)
        return -sigma / (self.data_std * spread), alpha * self.data_std / spread


@dataclass(frozen=True, kw_only=True)
class VariancePreserving(Path):
    """alpha^2 + sigma^2 = 1 (Ho et al. 2020).

    schedule  "cosine" (Nichol & Dhariwal 2021, arXiv:2102.09672), or "linear": variances that grow
              evenly, as those of DDPM's thousand steps, in continuous time (Song et al. 2021,
              arXiv:2011.13456)
    """

    schedule: Literal["cosine", "linear"] = "cosine"

    # At the very ends one of alpha and sigma vanishes, and with it what the network is asked for.
    first: ClassVar[float] = 0.004
    last: ClassVar[float] = 0.996

    def alpha(self, t: Tensor) -> Tensor:
        """cos(pi t / 2), or exp of minus half the variance added so far."""
        if self.schedule == "cosine":
            return (t * (math.pi / 2)).cos()
        return self._minus_log_alpha(t).neg().exp()

    def sigma(self, t: Tensor) -> Tensor:
        """The rest to 1."""
        if self.schedule == "cosine":
            return (t * (math.pi / 2)).sin()
        return (-(self._minus_log_alpha(t) * -2).expm1()).sqrt()

    @staticmethod
    def _minus_log_alpha(t: Tensor) -> Tensor:
        least, most = 0.1, 20.0
        return t.square() * ((most - least) / 4) + t * (least / 2)


@dataclass(frozen=True, kw_only=True)
class VarianceExploding(Path):
    """alpha = 1, the noise grows: EDM (Karras et al. 2022, arXiv:2206.00364).

    t is even in sigma ** (1 / rho), so that its even steps are those of the paper's table 1.
    """

    data_std: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        super().__post_init__()
        if not 0 < self.sigma_min < self.sigma_max < math.inf:
            raise ConfigError(
                "path.sigma_min is {least} and path.sigma_max {most}; they must rise from above 0",
                least=self.sigma_min,
                most=self.sigma_max,
            )
        if self.rho <= 0:
            raise ConfigError("path.rho is {value}; it must be above 0", value=self.rho)

    def alpha(self, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """From sigma_min to sigma_max."""
        least, most = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        sigma: Tensor = (least + t * (most - least)) ** self.rho
        return sigma


@dataclass(frozen=True, kw_only=True)
class Flow(Path):
    """A straight line from data to noise (Lipman et al. 2023; Liu et al. 2023).

    shift  above 1 spends more of the steps near the noise (Esser et al. 2024, arXiv:2403.03206)
    """

    prediction: Prediction = "flow"
    shift: float = 1.0

    first: ClassVar[float] = 0.001
    last: ClassVar[float] = 0.999

    def __post_init__(self) -> None:
        """Refuse values without a meaning."""
        super().__post_init__()
        if not 0 < self.shift < math.inf:
            raise ConfigError("path.shift is {value}; it must be above 0", value=self.shift)

    def alpha(self, t: Tensor) -> Tensor:
        """What is left of the line."""
        return 1 - self.sigma(t)

    def sigma(self, t: Tensor) -> Tensor:
        """How far along the line."""
        return self.shift * t / (1 + (self.shift - 1) * t)


PATHS: dict[str, type[Path]] = {
    "variance_preserving": VariancePreserving,
    "edm": VarianceExploding,
    "flow": Flow,
}
PathKind = Literal["variance_preserving", "edm", "flow"]


def path_record(kind: PathKind, path: Path) -> dict[str, object]:
    """A path as JSON values, for the bundle of the model that was asked along it."""
    return {"kind": kind, **config.to_dict(path)}


def path_of(record: object, where: str, error: config.ErrorClass = ConfigError) -> Path:
    """The path that `path_record` told of; raises `error` with `where` for anything else."""
    content = dict(record) if isinstance(record, Mapping) else {}
    kind = content.pop("kind", None)
    if kind not in PATHS:
        raise error(
            "{where}: path.kind is {kind}; the paths are {names}",
            where=where,
            kind=kind,
            names=", ".join(PATHS),
        )
    return config.from_dict(PATHS[kind], content, where=where, error=error)


def _like(values: Tensor, x: Tensor) -> Tensor:
    """(B,) -> (B, 1, …), to be multiplied with x."""
    return values.reshape(-1, *[1] * (x.ndim - 1))
