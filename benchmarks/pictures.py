"""Pictures beside diffusers: sampling and training of one U-Net with equal weights, as ratios.

    python benchmarks/pictures.py [--parts sample train] [--json]

The U-Net has 32 x 32 pixels of 3 channels and attention at 16 and 8. Before anything is timed, both
sample the same pictures from the same noise (largest difference printed, at most 1e-3) and find the
same loss of the same noisy batch. Five interleaved rounds, medians and spreads of the rounds'
ratios; a ratio whose spread exceeds its margin says nothing. The peer is diffusers' DDIM pipeline,
or a plain training loop around its UNet2DModel and torch's AdamW, both as its documentation shows.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rounds import Rate, race, ratio, spread
from wenfang import device, optim
from wenfang.device import kept_memory
from wenfang.models import unet
from wenfang.models.denoiser import Told
from wenfang.models.products import fast_products
from wenfang.noise import Path
from wenfang.objectives.denoising import Denoising as Objective
from wenfang.samplers.denoise import Denoising, denoise
from wenfang.samplers.pictures import denoiser

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import diffusers

SIDE_PX, STEPS, ROUNDS = 32, 20, 5
BATCHES = (1, 16)
TRAIN_BATCH, TRAIN_STEPS = 32, 3
LARGEST_DIFFERENCE = 1e-3
CONFIG = unet.Config(
    channels=(64, 128, 256), attention=(False, True, True), groups=32, scale_shift=False,
    time_scale=1.0,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ThousandSteps(Path):
    """DDPM's thousand steps of linear variances, and diffusers' choice among them."""

    def _kept(self, t: Tensor) -> Tensor:
        kept = (1 - torch.linspace(1e-4, 0.02, 1000)).cumprod(0)
        return kept[(t * 1000).round().long()]

    def alpha(self, t: Tensor) -> Tensor:
        """Root of what is kept."""
        return self._kept(t).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        """Root of the rest."""
        return (1 - self._kept(t)).sqrt()

    def clue(self, t: Tensor) -> Tensor:
        """The step's number."""
        return (t * 1000).round()

    def times(self, steps: int) -> Tensor:
        """Evenly from the largest multiple of 1000 / steps to 0."""
        numbers = torch.arange(steps - 1, -1, -1) * (1000 // steps)
        return torch.cat((numbers / 1000, torch.zeros(1)))


# A net of random weights that is asked for the noise would make pictures of size 100.
PATH = ThousandSteps(prediction="velocity")
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "prediction_type": "v_prediction",
    "clip_sample": False,
}


def build() -> tuple[unet.UNet, Any]:
    """Two nets of equal weights, none of them zero."""
    model = unet.UNet(CONFIG)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            spread_of = 1 / math.sqrt(weight[0].numel()) if weight.ndim > 1 else 0.02
            middle = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weight.normal_(middle, spread_of, generator=draw)
    other = diffusers.UNet2DModel(
        sample_size=SIDE_PX,
        block_out_channels=CONFIG.channels,
        layers_per_block=CONFIG.blocks,
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=CONFIG.head_width,
        norm_num_groups=CONFIG.groups,
        attn_norm_num_groups=CONFIG.groups,
    )
    other.load_state_dict(model.state_dict())
    return model.eval(), other.eval()


def start(batch: int) -> Tensor:
    """The noise that both begin with."""
    shape = (batch, 3, SIDE_PX, SIDE_PX)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def ours(model: unet.UNet, batch: int) -> Tensor:
    """Pictures of -1..1."""
    with torch.inference_mode(), fast_products(at_rest=True):
        return denoise(
            denoiser(model, PATH), start(batch), PATH, Denoising(solver="ddim", steps=STEPS)
        )


def theirs(pipeline: Any, batch: int) -> Tensor:
    """The same by the pipeline, without its way to whole numbers of 0..255."""
    made = pipeline(
        batch_size=batch,
        generator=torch.Generator().manual_seed(1),
        num_inference_steps=STEPS,
        output_type="np",
    ).images
    return torch.from_numpy(made).permute(0, 3, 1, 2) * 2 - 1


def pipeline_of(other: Any) -> Any:
    """DDIM without clipping, which ours does not do, and without a progress bar."""
    pipeline = diffusers.DDIMPipeline(unet=other, scheduler=diffusers.DDIMScheduler(**SCHEDULE))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def samplers(model: unet.UNet, other: Any) -> tuple[dict[str, dict[str, Rate]], float]:
    """Who samples, pictures a second by batch; and how far apart their pictures are."""
    pipeline = pipeline_of(other)
    apart = float((ours(model, 2).clamp(-1, 1) - theirs(pipeline, 2)).abs().max())
    assert apart <= LARGEST_DIFFERENCE, apart
    rows: dict[str, dict[str, Rate]] = {
        f"sampling, batch {batch}": {
            "ours": partial(_rate, ours, model, batch),
            "diffusers": partial(_rate, theirs, pipeline, batch),
        }
        for batch in BATCHES
    }
    return rows, apart


def _rate(sample: Any, model: Any, batch: int) -> float:
    """Pictures a second; of one picture the middle of three."""
    times = []
    for _ in range(3 if batch == 1 else 1):
        began = time.perf_counter()
        sample(model, batch)
        times.append(time.perf_counter() - began)
    return batch / sorted(times)[len(times) // 2]


class OurTraining:
    """Noise, loss, gradient and update, as the trainer does them."""

    def __init__(self, model: unet.UNet, pictures: Tensor) -> None:
        self.model, self.pictures = model, pictures
        self.objective = Objective(path=PATH)
        config = optim.OptimConfig(kind="adamw", lr=1e-6)
        self.optimizers = optim.build(model.named_parameters(), config)
        self.rng = torch.Generator().manual_seed(0)

    def __call__(self) -> float:
        """Pictures a second."""
        self.model.train()
        with fast_products(), kept_memory():
            return len(self.pictures) / seconds_a_step(self._step)

    def _step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss = self.objective(self.model, {"pictures": self.pictures}, self.rng).value
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self.optimizers:
            optimizer.step()


class TheirTraining:
    """The loop of diffusers' own training example, on one device."""

    def __init__(self, model: Any, pictures: Tensor) -> None:
        self.model, self.pictures = model, pictures
        self.scheduler = diffusers.DDPMScheduler(**SCHEDULE)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.0)

    def __call__(self) -> float:
        """Pictures a second."""
        self.model.train()
        return len(self.pictures) / seconds_a_step(self._step)

    def _step(self) -> None:
        noise = torch.randn(self.pictures.shape)
        steps = torch.randint(0, 1000, (len(self.pictures),))
        noisy = self.scheduler.add_noise(self.pictures, noise, steps)
        wanted = self.scheduler.get_velocity(self.pictures, noise, steps)
        loss = functional.mse_loss(self.model(noisy, steps, return_dict=False)[0], wanted)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()


def seconds_a_step(step: Any) -> float:
    """Mean of TRAIN_STEPS, after one that is not counted: the first fetches its memory."""
    step()
    began = time.perf_counter()
    for _ in range(TRAIN_STEPS):
        step()
    return (time.perf_counter() - began) / TRAIN_STEPS


def trainers(model: unet.UNet, other: Any) -> tuple[dict[str, dict[str, Rate]], float]:
    """Who trains, pictures a second; and how far apart their losses of one batch are."""
    draw = torch.Generator().manual_seed(2)
    pictures = torch.rand(TRAIN_BATCH, 3, SIDE_PX, SIDE_PX, generator=draw) * 2 - 1
    noise = torch.randn(pictures.shape, generator=draw)
    steps = torch.randint(0, 1000, (TRAIN_BATCH,), generator=draw)
    with torch.no_grad():
        own = Objective(path=PATH).errors(model, pictures, noise, steps / 1000, Told()).mean()
        scheduler = diffusers.DDPMScheduler(**SCHEDULE)
        said = other(scheduler.add_noise(pictures, noise, steps), steps).sample
        wanted = scheduler.get_velocity(pictures, noise, steps)
    apart = abs(float(own / functional.mse_loss(said, wanted)) - 1)
    assert apart < 1e-4, apart
    row: dict[str, Rate] = {
        "ours": OurTraining(model, pictures),
        "diffusers": TheirTraining(other, pictures),
    }
    return {f"training, batch {TRAIN_BATCH}": row}, apart


def run(parts: list[str], threads: int, rounds: int) -> dict[str, Any]:
    """All that is asked for."""
    device.set_threads(threads)
    model, other = build()
    result: dict[str, Any] = {
        "config": asdict(CONFIG),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "environment": device.environment(),
        "diffusers": diffusers.__version__,
    }
    runners: dict[str, dict[str, Rate]] = {}
    if "sample" in parts:
        found, result["pictures_differ_by"] = samplers(model, other)
        runners |= found
    if "train" in parts:
        found, result["losses_differ_by_share"] = trainers(model, other)
        runners |= found
    rates: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds):
        for name, row in runners.items():
            race(row, rates.setdefault(name, {}), turn)
    result["pictures_per_s"] = rates
    result["ratios"] = {name: ratio(row, "ours", "diffusers") for name, row in rates.items()}
    return result


def main() -> None:
    """Print the ratios, or everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", default=["sample", "train"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = run(given.parts, given.threads, given.rounds)
    if given.json:
        print(json.dumps(result, indent=2))
        return
    size, how = result["parameters"], f"{given.threads} threads, {given.rounds} rounds"
    print(f"{size:,} parameters, float32, {how}")
    for name in ("pictures_differ_by", "losses_differ_by_share"):
        if name in result:
            print(f"{name}: {result[name]:.1e}")
    for name, row in result["pictures_per_s"].items():
        rates = ", ".join(
            f"{who} {sorted(v)[len(v) // 2]:.2f} ±{spread(v) / 2:.0%}" for who, v in row.items()
        )
        print(f"{name}, pictures/s: {rates}")
    for name, value in result["ratios"].items():
        print(f"{name}: ours / diffusers  {value['median']:.2f} ±{value['spread'] / 2:.0%}")


if __name__ == "__main__":
    main()
