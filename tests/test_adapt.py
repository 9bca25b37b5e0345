"""LoRA and learned vectors: what they start from, what they add, what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wenfang.adapt import lora, prompt
from wenfang.adapt.lora import LoraConfig
from wenfang.adapt.prompt import PromptConfig
from wenfang.errors import BundleError, ConfigError
from wenfang.models import bert, gpt, gpt2, seq2seq

Answer = Callable[[], Tensor]
SOURCE = torch.tensor([[5, 9, 3, 4], [7, 3, 0, 0]])
MASK = SOURCE > 0
TOKENS = torch.tensor([[0, 6, 8], [0, 4, 4]])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network(family: str) -> tuple[nn.Module, Answer]:
    """A tiny model of a family, all of its weights drawn, and how to ask it."""
    model: Any
    if family == "seq2seq":
        config = seq2seq.Config(
            vocabulary_size=20, width=16, encoder_layers=1, decoder_layers=1, heads=2,
            head_width=8, hidden_width=24, context=16, zero_init_outputs=False, dropout=0.0,
        )  # fmt: skip
        model = seq2seq.Seq2Seq(config)
        asked = lambda: model(SOURCE, MASK, TOKENS)  # noqa: E731
    elif family == "bert":
        model = bert.Bert(
            bert.Config(
                vocabulary_size=20, width=16, layers=1, heads=2, hidden_width=24, context=16
            )
        )
        asked = lambda: model(SOURCE)  # noqa: E731
    elif family == "gpt2":
        model = gpt2.GPT2(
            gpt2.Config(
                vocabulary_size=20,
                width=16,
                layers=2,
                heads=2,
                hidden_width=24,
                context=16,
                zero_init_outputs=False,
            )
        )
        asked = lambda: model(SOURCE)  # noqa: E731
    else:
        model = gpt.GPT(
            gpt.Config(
                vocabulary_size=20,
                width=16,
                layers=2,
                heads=2,
                kv_heads=1,
                hidden_width=24,
                context=16,
                zero_init_outputs=False,
            )
        )
        asked = lambda: model(SOURCE)  # noqa: E731
    model.initialise(generator())
    model.eval()
    return model, torch.no_grad()(asked)


def matrix(model: nn.Module, name: str) -> Any:
    """A linear map by its name."""
    return model.get_submodule(name)


def tuned(model: nn.Module, family: str, rank: int = 2) -> dict[str, Tensor]:
    """A fresh adapter whose update is not zero; its thin matrices."""
    names = lora.chosen_names(model, family, ())
    lora.inject(model, LoraConfig(rank=rank, alpha=16), names, generator())
    for _, update in lora.updates(model):
        nn.init.normal_(update.up[0], std=0.3, generator=generator())
    return {name: tensor.clone() for name, tensor in lora.adapter_tensors(model).items()}


@pytest.mark.parametrize("family", ["gpt", "gpt2", "bert", "seq2seq"])
def test_tuning_starts_at_the_base_and_moves_the_thin_matrices_alone(family: str) -> None:
    model, answer = network(family)
    before = answer()
    lora.inject(model, LoraConfig(rank=2), lora.chosen_names(model, family, ()), generator())
    assert torch.equal(answer(), before)
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learning
    assert all(".parametrizations." in name for name in learning)


@pytest.mark.parametrize("family", ["gpt", "gpt2", "bert", "seq2seq"])
def test_merged_answers_are_equal_and_unmerging_gives_the_base_back(family: str) -> None:
    model, answer = network(family)
    matrices = {name: w.clone() for name, w in model.state_dict().items()}
    tuned(model, family)
    live = answer()
    merged = lora.merge(model)
    assert torch.equal(answer(), live)
    assert all(type(model.get_submodule(name)) is nn.Linear for name in merged.kept)
    assert set(model.state_dict()) == set(matrices)
    merged.unmerge()
    assert torch.equal(answer(), live)
    for name, update in lora.updates(model):
        original = matrix(model, name).parametrizations["weight"].original
        assert torch.equal(original, matrices[f"{name}.weight"])
        # The head's update is shorter than the others.
        assert update.factors == [pytest.approx(0.4 if name == "lm_head" else 8.0)]
        assert len(update.down[0]) == (3 if name == "lm_head" else 2)


def test_the_update_is_what_the_paper_says() -> None:
    model, _ = network("gpt")
    name = "model.layers.0.self_attn.q_proj"
    weight = matrix(model, name).weight.detach().clone()
    lora.inject(model, LoraConfig(rank=3, alpha=6), [name], generator())
    ((_, update),) = lora.updates(model)
    nn.init.normal_(update.up[0], generator=generator())
    expected = weight.double() + 2.0 * (update.up[0].double() @ update.down[0].double())
    found = matrix(model, name).weight
    assert torch.allclose(found.double(), expected, atol=1e-6)
    assert LoraConfig(rank=4, alpha=6, rank_stabilised=True).scale == 3.0


def test_several_adapters_add_up_with_their_weights() -> None:
    one, other = (tuned(network("gpt")[0], "gpt", rank) for rank in (2, 3))
    model, _ = network("gpt")
    name = "model.layers.1.mlp.up_proj"
    base = matrix(model, name).weight.detach().clone()
    lora.apply(model, one, LoraConfig(rank=2, alpha=2), 0.5)
    lora.apply(model, other, LoraConfig(rank=3, alpha=3), 2.0)
    parts = [
        factor * (a[f"{name}.{lora.UP}"] @ a[f"{name}.{lora.DOWN}"])
        for factor, a in ((0.5, one), (2.0, other))
    ]
    found = matrix(model, name).weight
    assert torch.allclose(found, base + parts[0] + parts[1], atol=1e-6)


def test_an_adapter_for_another_shape_is_refused() -> None:
    adapter = tuned(network("gpt")[0], "gpt")
    other, _ = network("seq2seq")
    with pytest.raises(ConfigError, match="of another base"):
        lora.apply(other, adapter, LoraConfig())
    wrong = {name: tensor[:, :-1] for name, tensor in adapter.items()}
    with pytest.raises(ConfigError, match="of another base"):
        lora.apply(network("gpt")[0], wrong, LoraConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "at least 1"),
        ({"alpha": 0.0}, "above 0"),
        ({"head": 0.0}, "lora.head is 0.0; it must be above 0"),
        ({"head_rank": 0}, "lora.head_rank is 0; it must be at least 1"),
        ({"alpha": float("nan")}, "above 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LoraConfig(**settings)


def test_a_rank_as_large_as_the_matrix_and_a_pattern_that_chooses_nothing_are_refused() -> None:
    model, _ = network("gpt")
    names = lora.chosen_names(model, "gpt", ())
    with pytest.raises(ConfigError, match="so it must be below"):
        lora.inject(model, LoraConfig(rank=16), names, generator())
    with pytest.raises(ConfigError, match=r"model\.layers\.0\.self_attn\.q_proj"):
        lora.chosen_names(model, "gpt", ("model.layers.0.self_attn.q_pro",))


def tuned_by_vectors(family: str, length: int = 2) -> nn.Module:
    """A tiny model with learned vectors before its input."""
    model, _ = network(family)
    prompt.inject(model, PromptConfig(length=length), generator())
    return model


@pytest.mark.parametrize("family", ["gpt", "gpt2"])
def test_learned_vectors_are_read_before_the_text(family: str) -> None:
    plain, _ = network(family)
    model: Any = tuned_by_vectors(family, length=3)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["prompt"]
    nn.init.normal_(model.prompt, generator=generator())
    table = next(one for one in plain.modules() if isinstance(one, nn.Embedding)).weight
    with torch.no_grad():
        # The same as tokens of these vectors before the text.
        table[11:14] = model.prompt
        written = plain(torch.cat((torch.arange(11, 14).expand(2, 3), SOURCE), 1))[:, 3:]
        # Their own head must not know the changed rows.
        other = [index for index in range(20) if index not in (11, 12, 13)]
        assert torch.allclose(model(SOURCE)[..., other], written[..., other], atol=1e-5)


@pytest.mark.parametrize("family", ["gpt", "gpt2"])
def test_a_cache_holds_the_learned_vectors_too(family: str) -> None:
    model: Any = tuned_by_vectors(family, length=3)
    with torch.no_grad():
        whole = model(SOURCE)
        cache = model.new_cache(2, SOURCE.shape[1])
        steps = [model(SOURCE[:, :2], cache), model(SOURCE[:, 2:3], cache)]
        steps.append(model(SOURCE[:, 3:], cache))
    assert cache.length == SOURCE.shape[1] + 3
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-5)


@pytest.mark.parametrize("family", ["gpt", "gpt2"])
def test_learned_vectors_leave_that_much_less_room(family: str) -> None:
    model: Any = tuned_by_vectors(family, length=3)
    assert model.config.context == 13
    assert model(torch.ones(1, 13, dtype=torch.int64)).shape == (1, 13, 20)
    with pytest.raises(ConfigError, match="14 tokens do not fit the model's context of 13"):
        model(torch.ones(1, 14, dtype=torch.int64))


def test_learned_vectors_are_read_before_the_source() -> None:
    model, answer = network("seq2seq")
    before = answer()
    prompt.inject(model, PromptConfig(length=3), generator())
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["prompt"]
    assert not torch.equal(answer(), before)
    # The same as tokens of these vectors before the source.
    assert isinstance(model, seq2seq.Seq2Seq)
    assert model.prompt is not None
    table = model.shared.weight
    with torch.no_grad():
        table[11:14] = model.prompt
    written = answer()
    model.prompt = None
    source = torch.cat((torch.arange(11, 14).expand(2, 3), SOURCE), 1)
    mask = torch.cat((torch.ones(2, 3, dtype=torch.bool), MASK), 1)
    with torch.no_grad():
        assert torch.allclose(model(source, mask, TOKENS), written, atol=1e-6)


def test_decoding_with_a_cache_sees_the_learned_vectors_too() -> None:
    model, answer = network("seq2seq")
    prompt.inject(model, PromptConfig(length=2), generator())
    assert isinstance(model, seq2seq.Seq2Seq)
    with torch.no_grad():
        cache = model.new_cache(model.encode(SOURCE, MASK), MASK, 8)
        steps = [model.logits(model.hidden(TOKENS[:, [i]], cache)) for i in range(3)]
    assert torch.allclose(torch.cat(steps, 1), answer(), atol=1e-5)


def test_vectors_that_do_not_fit_are_refused() -> None:
    model, _ = network("seq2seq")
    with pytest.raises(ConfigError, match="below that"):
        prompt.inject(model, PromptConfig(length=16), generator())
    with pytest.raises(ConfigError, match="at least 1"):
        PromptConfig(length=0)
    with pytest.raises(ConfigError, match=r"tune\.kind=lora"):
        prompt.inject(network("bert")[0], PromptConfig(length=2), generator())
    with pytest.raises(ConfigError, match="two adapters of learned vectors"):
        prompt.apply(tuned_by_vectors("seq2seq"), {"prompt": torch.zeros(2, 16)})
    with pytest.raises(BundleError, match="another base"):
        prompt.apply(model, {"prompt": torch.zeros(16, 16)})
    with pytest.raises(BundleError, match="another base"):
        prompt.apply(model, {"prompt": torch.zeros(2, 7)})
