"""LoRA: a matrix is tuned by the product of two thin ones (Hu et al. 2022, arXiv:2106.09685).

W' = W + weight * scale * up @ down, with down (r, in) and up (out, r). `down` starts at random and
`up` at zero, so that tuning starts at the base. The update is a parametrization of the linear
map's weight (torch.nn.utils.parametrize): whatever reads the weight reads the tuned one, the base
is kept untouched beside it, and several adapters add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from wenfang.config import nearest
from wenfang.errors import ConfigError

# By family of models: the matrices of attention, which is what the paper tunes, and those of the
# feed-forward, without which small models reach less. Of an encoder-decoder what writes, not what
# reads: that and the head gain the most by each weight (docs/log.md, "LoRA beside full tuning").
TARGETS: dict[str, tuple[str, ...]] = {
    "gpt": ("*.self_attn.*_proj", "*.mlp.*_proj"),
    "gpt2": ("*.attn.c_*", "*.mlp.c_*"),
    "bert": ("*.attention.*", "*.intermediate.dense", "*.output.dense"),
    "seq2seq": ("decoder.*SelfAttention.[vo]", "decoder.*DenseReluDense.w*", "lm_head"),
}
HEADS = ("lm_head", "cls.predictions.decoder")
WEIGHT = "weight"
DOWN, UP = "lora_A.weight", "lora_B.weight"  # the names that peft gives them


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Which matrices are tuned, and how thinly.

    targets    patterns (`*`, `?`, `[...]`) of names of linear maps; empty: those of the family
    alpha      updates are scaled by alpha / rank, or by alpha / sqrt(rank) where they are
               rank_stabilised (Kalajdzievski 2023, arXiv:2312.03732)
    head_rank  of the update of the head, which has a row for each token
    head       what that update counts beside the others: the optimizer moves the rows of all
               tokens at every step, those of rare ones by noise
    """

    rank: int = 6
    alpha: float = 48.0
    targets: tuple[str, ...] = ()
    rank_stabilised: bool = False
    head_rank: int = 3
    head: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for name in ("rank", "head_rank"):
            value = getattr(self, name)
            if value < 1:
                raise ConfigError(
                    "lora.{name} is {value}; it must be at least 1", name=name, value=value
                )
        for name in ("alpha", "head"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(
                    "lora.{name} is {value}; it must be above 0", name=name, value=value
                )

    @property
    def scale(self) -> float:
        """What the product of the thin matrices is multiplied by."""
        return self.alpha / (math.sqrt(self.rank) if self.rank_stabilised else self.rank)

    def rank_of(self, name: str) -> int:
        """The rank of the update of the map `name`."""
        return self.head_rank if name in HEADS else self.rank

    def factor(self, name: str) -> float:
        """What the product of the thin matrices of the map `name` is multiplied by."""
        return self.scale * (self.head if name in HEADS else 1.0)


class LowRank(nn.Module):
    """Updates of one matrix: for each adapter a pair of thin matrices and what it counts.

    down (r, in), up (out, r); factors: scale times weight of each
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ParameterList()
        self.up = nn.ParameterList()
        self.factors: list[float] = []

    def add(self, down: Tensor, up: Tensor, factor: float) -> None:
        """One more adapter."""
        self.down.append(nn.Parameter(down))
        self.up.append(nn.Parameter(up))
        self.factors.append(factor)

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in) -> (out, in)."""
        for down, up, factor in zip(self.down, self.up, self.factors, strict=True):
            weight = torch.addmm(weight, up, down, alpha=factor)
        return weight


def linear_names(model: nn.Module) -> list[str]:
    """Names of all linear maps of a model."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def chosen_names(model: nn.Module, family: str, patterns: Sequence[str]) -> list[str]:
    """Names of the linear maps that the patterns (or the family's own, where none) choose.

    raises ConfigError for a pattern that chooses nothing, with the nearest name
    """
    names = linear_names(model)
    found: set[str] = set()
    for pattern in patterns or TARGETS.get(family, ("*",)):
        matching = {name for name in names if fnmatchcase(name, pattern)}
        if not matching and patterns:
            raise ConfigError(
                "lora.targets {pattern} chooses no matrix; one is called {name}",
                pattern=pattern,
                name=nearest(pattern, names) or names[0],
            )
        found |= matching
    return [name for name in names if name in found]


def inject(
    model: nn.Module, config: LoraConfig, names: Sequence[str], generator: torch.Generator
) -> None:
    """A fresh adapter on the named linear maps; everything else stops learning.

    raises ConfigError where the rank is not below both sides of a matrix
    """
    model.requires_grad_(False)
    for name in names:
        matrix = model.get_submodule(name)
        assert isinstance(matrix, nn.Linear)
        wide, high, rank = matrix.in_features, matrix.out_features, config.rank_of(name)
        if rank >= min(wide, high):
            raise ConfigError(
                "lora.rank is {rank}; {name} is {high} by {wide}, so it must be below {least}",
                rank=rank,
                name=name,
                high=high,
                wide=wide,
                least=min(wide, high),
            )
        down = torch.empty(rank, wide)
        nn.init.uniform_(down, -1 / math.sqrt(wide), 1 / math.sqrt(wide), generator=generator)
        low_rank_of(matrix).add(down, torch.zeros(high, rank), config.factor(name))


def low_rank_of(matrix: nn.Module) -> LowRank:
    """The updates of a linear map, made if it has none yet."""
    if not parametrize.is_parametrized(matrix, WEIGHT):
        assert isinstance(matrix, nn.Linear)
        # A head may share its weight with the table of tokens, which must not move with it.
        own = matrix.weight.detach().clone()
        matrix.weight = nn.Parameter(own, requires_grad=matrix.weight.requires_grad)
        parametrize.register_parametrization(matrix, WEIGHT, LowRank(), unsafe=True)
    found = matrix.parametrizations[WEIGHT][0]  # type: ignore[index]
    assert isinstance(found, LowRank)
    return found


def updates(model: nn.Module) -> Iterator[tuple[str, LowRank]]:
    """Every linear map that has updates, with its name."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and parametrize.is_parametrized(module, WEIGHT):
            yield name, low_rank_of(module)


def adapter_tensors(model: nn.Module, number: int = 0) -> dict[str, Tensor]:
    """The thin matrices of one adapter of a model, by names as peft has them."""
    found: dict[str, Tensor] = {}
    for name, update in updates(model):
        found[f"{name}.{DOWN}"] = update.down[number].detach()
        found[f"{name}.{UP}"] = update.up[number].detach()
    return found


def apply(
    model: nn.Module, tensors: Mapping[str, Tensor], config: LoraConfig, weight: float = 1.0
) -> None:
    """Put a trained adapter on a model, so much of it as `weight` says.

    raises ConfigError where it names a matrix that is not there or of another shape
    """
    names = sorted({name.removesuffix(f".{part}") for name in tensors for part in (DOWN, UP)
                    if name.endswith(part)})  # fmt: skip
    for name in names:
        matrix = _matrix(model, name)
        down, up = tensors.get(f"{name}.{DOWN}"), tensors.get(f"{name}.{UP}")
        if down is None or up is None or not _fits(matrix, down, up):
            raise ConfigError(
                "the adapter's part for {name} does not fit this model; it is of another base",
                name=name,
            )
        low_rank_of(matrix).add(down.float(), up.float(), weight * config.factor(name))


def _matrix(model: nn.Module, name: str) -> nn.Linear:
    found = dict(model.named_modules()).get(name)
    if not isinstance(found, nn.Linear):
        raise ConfigError(
            "the adapter's part for {name} does not fit this model; it is of another base",
            name=name,
        )
    return found


def _fits(matrix: nn.Linear, down: Tensor, up: Tensor) -> bool:
    return (
        down.ndim == up.ndim == 2
        and down.shape[1] == matrix.in_features
        and up.shape[0] == matrix.out_features
        and down.shape[0] == up.shape[1]
    )


@dataclass(frozen=True)
class Merged:
    """What `merge` put aside, bit for bit: the base's matrices and the updates."""

    model: nn.Module
    kept: Mapping[str, tuple[Tensor, LowRank]]

    def unmerge(self) -> None:
        """The base's matrices and the updates as they were before."""
        for name, (weight, update) in self.kept.items():
            matrix = self.model.get_submodule(name)
            matrix.weight = nn.Parameter(weight, requires_grad=False)
            parametrize.register_parametrization(matrix, WEIGHT, update, unsafe=True)


@torch.no_grad()
def merge(model: nn.Module) -> Merged:
    """Add every update into its matrix, so that the model is as quick as its base.

    The sums are those that the updates gave before: logits stay equal bit for bit.
    """
    kept: dict[str, tuple[Tensor, LowRank]] = {}
    for name, update in list(updates(model)):
        matrix = model.get_submodule(name)
        original: Tensor = matrix.parametrizations[WEIGHT].original  # type: ignore[index,union-attr]
        kept[name] = original.detach().clone(), update
        parametrize.remove_parametrizations(matrix, WEIGHT, leave_parametrized=True)
    return Merged(model, kept)
