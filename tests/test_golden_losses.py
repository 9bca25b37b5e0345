"""The first losses of a small run of every family: a change of the arithmetic shows at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tiny_run import windows
from wenfang.data.batches import Batches
from wenfang.data.pair_batches import PairBatches, Pairs
from wenfang.data.pixels import PixelBatches, Pixels
from wenfang.models import bert, gan, gpt, picture_classifier, seq2seq, unet, vae
from wenfang.noise import Flow
from wenfang.objectives import Objective
from wenfang.objectives.adversarial import Discriminate
from wenfang.objectives.classification import Classification
from wenfang.objectives.denoising import Denoising
from wenfang.objectives.masked import Masked
from wenfang.objectives.next_token import NextToken
from wenfang.objectives.reconstruction import Elbo
from wenfang.objectives.span import SpanCorruption
from wenfang.objectives.teacher_forcing import TeacherForcing
from wenfang.optim import OptimConfig
from wenfang.trainer import Event, Phase, Task, TrainConfig, Trainer

Built = tuple[nn.Module, Objective, Batches]
VOCABULARY = 17


def next_token() -> Built:
    return gpt.GPT(replace(gpt.PRESETS["tiny"], vocabulary_size=VOCABULARY)), NextToken(), windows()


def paired() -> seq2seq.Seq2Seq:
    return seq2seq.Seq2Seq(
        replace(seq2seq.PRESETS["tiny"], vocabulary_size=VOCABULARY, dropout=0.1)
    )


def teacher_forcing() -> Built:
    draw = np.random.default_rng(1)
    sources = [draw.integers(3, VOCABULARY, draw.integers(3, 9)).tolist() for _ in range(32)]
    pairs = Pairs.build([([*row, 2], [*row[::-1], 2]) for row in sources])  # to be turned round
    batches = PairBatches(pairs=pairs, batch_size=8, seed=2, padding=0)
    return paired(), TeacherForcing(label_smoothing=0.1), batches


def spans() -> Built:
    return paired(), SpanCorruption(sentinels=(3, 4, 5), end=2), windows()


def masked() -> Built:
    model = bert.Bert(replace(bert.PRESETS["tiny"], vocabulary_size=VOCABULARY))
    return model, Masked(mask=5, first_word=6, vocabulary_size=VOCABULARY), windows()


def shapes(least: float) -> PixelBatches:
    """Bright squares at places of two classes."""
    draw = np.random.default_rng(2)
    values = draw.integers(0, 60, (32, 1, 8, 8)).astype(np.uint8)
    classes = np.arange(32) % 3
    for number, kind in enumerate(classes):
        values[number, 0, kind : kind + 3, kind + 2 : kind + 5] = 230
    pixels = Pixels(values=values, classes=classes, names=("a", "b", "c"))
    return PixelBatches(pixels=pixels, batch_size=8, seed=1, least=least)


def elbo() -> Built:
    return vae.VAE(vae.PRESETS["tiny"]), Elbo(binary=True), shapes(0.0)


def denoising() -> Built:
    model = unet.UNet(replace(unet.PRESETS["tiny"], in_channels=1, out_channels=1, classes=3))
    return model, Denoising(path=Flow(), no_class=3, drop_condition=0.2), shapes(-1.0)


def discriminate() -> Built:
    return gan.GAN(gan.PRESETS["tiny"]), Discriminate(game="hinge", r1=1.0), shapes(-1.0)


def picture_classes() -> Built:
    model = picture_classifier.PictureClassifier(picture_classifier.PRESETS["tiny"])
    return model, Classification(inputs="pictures", label="classes"), shapes(-1.0)


GOLDEN: dict[str, tuple[Callable[[], Built], list[float]]] = {
    "next_token": (next_token, [2.55576, 2.38622, 2.22556]),
    "masked": (masked, [2.75393, 2.9058, 2.77437]),
    "teacher_forcing": (teacher_forcing, [2.82668, 2.5912, 2.59531]),
    "span_corruption": (spans, [2.31451, 2.31027, 2.28136]),
    "elbo": (elbo, [40.47285, 37.13573, 34.86309]),
    "denoising": (denoising, [1.50589, 1.26319, 1.40722]),
    "discriminate": (discriminate, [2.23069, 1.50665, 1.48021]),
    "picture_classes": (picture_classes, [0.78878, 0.44525, 0.36207]),
}


def losses_of(built: Built, run: Path) -> list[float]:
    model, objective, batches = built
    model.initialise(torch.Generator().manual_seed(7))  # type: ignore[operator]
    found: list[float] = []

    def on_event(event: Event) -> None:
        if event.kind == "step":
            found.append(event.values["loss"])

    task = Task(
        model=model,
        phases=(Phase(objective=objective, optim=OptimConfig(warmup_steps=1)),),
        batches=batches,
        config=TrainConfig(steps=12, batch_size=4, log_every=4, evaluate_every=12, seed=3),
        evaluate=lambda model: {},
        fingerprint="golden",
    )
    Trainer(task, run, on_event).fit()
    return found


@pytest.mark.parametrize("name", GOLDEN)
def test_the_first_losses_are_golden(name: str, tmp_path: Path) -> None:
    build, golden = GOLDEN[name]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert losses_of(build(), tmp_path) == pytest.approx(golden, abs=2e-3)
    finally:
        torch.set_num_threads(before)
