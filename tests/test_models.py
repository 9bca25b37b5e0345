"""One contract over every family of the model table; language models keep to more."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from wenfang.checkpoint import fill_bundle, load_weights, weights_to_store
from wenfang.config import from_dict, to_dict
from wenfang.models import MODELS

VOCABULARY = 23
FAMILIES = pytest.mark.parametrize("family", sorted(MODELS))
CLASSIFIERS = {"text-classifier"}
ENCODERS = {"picture-encoder", "text-image"}
BOTH_WAYS = {"bert"}
PAIRED = {"seq2seq"}  # they read a source and a target; here both are the same tokens
PICTURES = {"dit", "gan", "unet", "upscaler", "vae"}  # they make pictures
PICTURE_CLASSIFIERS = {"picture-classifier"}
LANGUAGE_MODELS = pytest.mark.parametrize(
    "family",
    sorted(set(MODELS) - CLASSIFIERS - PICTURE_CLASSIFIERS - ENCODERS - BOTH_WAYS - PICTURES),
)
SHAPES = {
    "gan": (6,),
    "unet": (3, 8, 8),
    "dit": (3, 8, 8),
    "vae": (1, 8, 8),
    "upscaler": (4, 6, 6),
    "picture-classifier": (1, 8, 8),
    "picture-encoder": (3, 16, 16),
    "text-image": (3, 16, 16),
}


def tiny(family: str, **changes: Any) -> Any:
    """The family's smallest preset, over a small vocabulary."""
    presets = sys.modules[MODELS[family].__module__].PRESETS
    if family not in ENCODERS | PICTURES | PICTURE_CLASSIFIERS:
        changes = {"vocabulary_size": VOCABULARY, **changes}
    return replace(presets["tiny"], **changes)


def awake(family: str, **changes: Any) -> Any:
    """A model none of whose weights is zero, so that nothing is hidden behind a zero."""
    model = MODELS[family](tiny(family, **changes))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0 if parameter.ndim > 1 else 1.0, 0.3, generator=generator)
    return model.eval()


def tokens(batch: int = 3, time: int = 11) -> Tensor:
    return torch.randint(VOCABULARY, (batch, time), generator=torch.Generator().manual_seed(2))


def inputs(family: str, batch: int = 3, time: int = 11) -> Tensor:
    """What a model of the family reads: pictures, latents, or tokens."""
    if family in SHAPES:
        return torch.randn(batch, *SHAPES[family], generator=torch.Generator().manual_seed(2))
    return tokens(batch, time)


def answer(family: str, model: Any, data: Tensor) -> Tensor:
    """What a model of the family makes of `inputs`."""
    if family in PICTURES:
        pictures: Tensor = picture_answer(family, model, data)
        return pictures
    if family == "text-image":  # a sum of both sides' vectors, of length 1 as well
        words = data.flatten(1)[:, :24].reshape(-1, 4, 6)
        both: tuple[Tensor, Tensor] = model(data, words, words[:, :, 0] > -0.5)
        return functional.normalize((both[0] + both[1]) / model.temperature, dim=1)
    found: Tensor = model(data, None, data) if family in PAIRED else model(data)
    if family in BOTH_WAYS:  # its other head, whose answer counts for the whole row
        found = found + model.next_sentence(model.hidden(data)).diff()[:, :, None]
    return found


def picture_answer(family: str, model: Any, data: Tensor) -> Any:
    """What all parts of a maker of pictures have to say: (B, C, S, S)."""
    classes = (10 * data.flatten(1).sum(1).abs()).long() % 3  # the same alone and together
    if family == "unet":
        return model(data, torch.zeros(len(data)), classes)
    if family == "dit":
        words = data.flatten(1)[:, :24].reshape(-1, 4, 6)
        return model(data, torch.zeros(len(data)), classes, words, words[:, :, 0] > -0.5)
    if family == "upscaler":
        return model(data) / 30  # of such weights, so that rounding counts as for the others
    if family == "vae":
        posterior = model.encoder(data)
        return model.decoder(posterior.sample(torch.ones_like(posterior.mean)))
    made = model(data, classes)
    return made + model.discriminators[0](made, classes)[:, None, None, None]


def loss_of(family: str, logits: Tensor, data: Tensor) -> Tensor:
    """A loss that has something to teach: the next token, a class or an axis for each row."""
    if family in PICTURES:
        wanted = torch.linspace(-0.5, 0.5, logits[0].numel()).view_as(logits[0])
        return (logits - wanted).square().mean()
    if family in ENCODERS:
        return functional.cross_entropy(20 * logits, torch.arange(len(data)))
    if family in CLASSIFIERS | PICTURE_CLASSIFIERS:
        return functional.cross_entropy(logits, torch.arange(len(data)) % 2)
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), data[:, 1:].flatten())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@LANGUAGE_MODELS
def test_logits_have_the_shape_of_tokens_and_vocabulary(family: str) -> None:
    logits = answer(family, awake(family), tokens())
    assert logits.shape == (3, 11, VOCABULARY)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("family", sorted(CLASSIFIERS))
def test_a_classifier_answers_once_for_each_row_and_ignores_padding(family: str) -> None:
    model, rows = awake(family), tokens()
    padded = torch.cat((rows, torch.zeros(3, 5, dtype=torch.int64)), 1)
    assert model(rows).shape == (3, 2)
    assert torch.allclose(model(padded), model(rows), atol=1e-6)
    assert model(torch.zeros(1, 4, dtype=torch.int64)).isfinite().all()


@pytest.mark.parametrize("family", sorted(ENCODERS))
def test_an_encoder_gives_vectors_of_length_one(family: str) -> None:
    vectors = answer(family, awake(family), inputs(family))
    assert vectors.shape == (3, tiny(family).dimensions)
    assert vectors.norm(dim=1).tolist() == pytest.approx([1] * 3)
    assert answer(family, awake(family), torch.zeros(1, 3, 16, 16)).isfinite().all()


@FAMILIES
def test_the_gradient_reaches_every_parameter(family: str) -> None:
    model = awake(family)
    loss = loss_of(family, answer(family, model, inputs(family)), inputs(family))
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


@FAMILIES
def test_a_saved_model_computes_the_same(family: str, tmp_path: Path) -> None:
    model = awake(family)
    fill_bundle(tmp_path, to_dict(model.config), weights_to_store(model, torch.float32), None)
    loaded = MODELS[family](from_dict(MODELS[family].config_class, to_dict(model.config))).eval()
    load_weights(loaded, load_file(tmp_path / "model.safetensors"), tmp_path)
    data = inputs(family)
    assert torch.equal(answer(family, loaded, data), answer(family, model, data))


@FAMILIES
def test_a_row_does_not_see_its_neighbours(family: str) -> None:
    model = awake(family)
    together = answer(family, model, inputs(family))
    alone = torch.cat([answer(family, model, row[None]) for row in inputs(family)])
    assert torch.allclose(together, alone, atol=1e-5)


@LANGUAGE_MODELS
def test_no_position_sees_a_later_one(family: str) -> None:
    model = awake(family)
    other = tokens().clone()
    other[:, 6:] = (other[:, 6:] + 1) % VOCABULARY
    source = tokens() if family in PAIRED else None
    before, after = (
        model(source, None, rows) if family in PAIRED else model(rows) for rows in (tokens(), other)
    )
    assert torch.equal(before[:, :6], after[:, :6])
    assert (before[:, 6:] - after[:, 6:]).abs().amax(-1).min() > 1e-4


@LANGUAGE_MODELS
def test_the_first_loss_of_an_untied_head_is_that_of_a_uniform_guess(family: str) -> None:
    model = MODELS[family](tiny(family, tied_head=False))
    model.initialise(torch.Generator().manual_seed(0))
    logits = answer(family, model, tokens())
    loss = functional.cross_entropy(logits.flatten(0, 1), tokens().flatten())
    assert loss.item() == pytest.approx(math.log(VOCABULARY), abs=1e-6)


@FAMILIES
def test_initial_weights_are_a_function_of_the_seed(family: str) -> None:
    def initial(seed: int) -> dict[str, Tensor]:
        model: nn.Module = MODELS[family](tiny(family))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(torch.nan)  # what initialise leaves out shows
        model.initialise(torch.Generator().manual_seed(seed))  # type: ignore[operator]
        return dict(model.named_parameters())

    first, again, other = initial(0), initial(0), initial(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(bool(weight.isfinite().all()) for weight in first.values())
    assert any(not torch.equal(first[name], other[name]) for name in first)


@FAMILIES
def test_a_model_learns_two_sequences_by_heart(family: str) -> None:
    model = MODELS[family](tiny(family))
    model.initialise(torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    data = inputs(family, 2, 9)
    for _ in range(60):
        loss = loss_of(family, answer(family, model, data), data)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 0.3


@pytest.mark.parametrize("family", sorted(PICTURES - {"upscaler"}))
def test_pictures_read_in_squares_have_the_same_shape(family: str) -> None:
    changes = {} if family in ("dit", "unet") else {"side_px": 16}
    model = awake(family, patch=2, **changes)
    shape = SHAPES[family]
    side = 8 if family in ("dit", "unet") else 16
    data = inputs(family) if family == "gan" else torch.randn(3, shape[0], side, side)
    made = answer(family, model, data)
    assert made.shape[-2:] == (side, side)
    plain = awake(family, **changes)
    channels = model.config.in_channels
    assert made.shape[1] == answer(family, plain, data).shape[1] == channels
