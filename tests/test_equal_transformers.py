"""Folders of transformers taken in, and bundles given out: equal weights, equal logits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import foreign_models as foreign
from wenfang.checkpoint import read_bundle
from wenfang.engine.exchanging import export_model, import_model
from wenfang.models import gpt, gpt2
from wenfang.models.decode import fast_decoder
from wenfang.models.load import load
from wenfang.tokenizer import BEGIN, END, PADDING, Tokenizer

KINDS = pytest.mark.parametrize("kind", sorted(foreign.KINDS))
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By kind: (transformers' model, our bundle, what was exported of it)."""
    root = tmp_path_factory.mktemp("foreign")
    found = {}
    for kind in foreign.KINDS:
        model = foreign.save(kind, root / kind)
        bundle = import_model(root / kind, root / f"{kind}-bundle", name=kind).folder
        found[kind] = model, bundle, export_model(str(bundle), "hf", root / f"{kind}-out")
    return found


def weights_hash(bundle: Path) -> str:
    facts = json.loads((bundle / "manifest.json").read_text("utf-8"))["facts"]
    return str(facts["files"]["model.safetensors"])


@KINDS
def test_an_imported_model_computes_what_transformers_does(kind: str, made: Any) -> None:
    model, bundle, _ = made[kind]
    expected = foreign.theirs(kind, model)
    assert float((expected - foreign.ours(kind, load(bundle).model)).abs().max()) < TOLERANCE
    assert float(expected.std()) > 0.02  # the weights say something


@KINDS
def test_transformers_computes_what_an_exported_model_does(kind: str, made: Any) -> None:
    _, bundle, out = made[kind]
    found = foreign.theirs(kind, foreign.again(kind, out))
    assert float((found - foreign.ours(kind, load(bundle).model)).abs().max()) < TOLERANCE


@KINDS
def test_what_goes_out_and_comes_in_is_the_same(kind: str, made: Any, tmp_path: Path) -> None:
    _, bundle, out = made[kind]
    back = import_model(out, tmp_path / "back").folder
    assert weights_hash(back) == weights_hash(bundle)
    first, second = (read_bundle(one).config for one in (bundle, back))
    assert first["model"] == second["model"]
    assert first["layout"] == second["layout"]


@pytest.mark.parametrize("kind", foreign.CAUSAL_KINDS)
def test_decoding_step_by_step_equals_transformers(kind: str, made: Any) -> None:
    model, bundle, _ = made[kind]
    own, tokens = load(bundle).model, foreign.rows(2, 16)
    cache = own.new_cache(2, 16)  # type: ignore[operator]
    past = None
    for time in range(16):
        with torch.no_grad():
            theirs = model(tokens[:, time : time + 1], past_key_values=past, use_cache=True)
            ours = own(tokens[:, time : time + 1], cache)
        past = theirs.past_key_values
        assert float((theirs.logits - ours).abs().max()) < TOLERANCE, time


@pytest.mark.parametrize("kind", foreign.T5_KINDS)
def test_an_encoder_decoder_decodes_step_by_step_as_transformers(kind: str, made: Any) -> None:
    model, bundle, _ = made[kind]
    own, source, target = load(bundle).model, foreign.rows(), foreign.rows(2, 9, 3)
    with torch.no_grad():
        memory = own.encode(source, None)  # type: ignore[operator]
        cache = own.new_cache(memory, None, 9)  # type: ignore[operator]
        states, past = model.encoder(source), None
        for time in range(9):
            one = target[:, time : time + 1]
            said = model(
                encoder_outputs=states, decoder_input_ids=one, past_key_values=past, use_cache=True
            )
            past = said.past_key_values
            ours = own.logits(own.hidden(one, cache))  # type: ignore[operator]
            assert float((said.logits - ours).abs().max()) < TOLERANCE, time


def test_the_next_sentence_is_told_as_transformers_does(made: Any) -> None:
    model, bundle, _ = made["bert"]
    own, segments = load(bundle).model, (torch.arange(11) > 5).long().expand(2, 11)
    with torch.no_grad():
        said = model(foreign.rows(), token_type_ids=segments)
        hidden = own.hidden(foreign.rows(), segments)  # type: ignore[operator]
        ours = own.next_sentence(hidden)  # type: ignore[operator]
    assert float((said.seq_relationship_logits - ours).abs().max()) < TOLERANCE


@pytest.mark.parametrize("kind", ["llama", "gpt2", "t5", "bert"])
def test_transformers_reads_the_exported_tokenizer(kind: str, made: Any) -> None:
    _, bundle, out = made[kind]
    loaded = load(bundle)
    assert loaded.tokenizer is not None
    read = foreign.quietly(
        foreign.library().AutoTokenizer.from_pretrained, out, local_files_only=True
    )
    for text in (*foreign.TEXTS, " two  spaces\n\nand 3 lines"):
        ids = loaded.tokenizer.encode(text)
        assert read(text, add_special_tokens=False)["input_ids"] == ids
        assert read.decode(ids) == text
    marked = {"t5": [2], "bert": [loaded.tokenizer.id("<sep>")]}.get(kind, [])
    assert read("the moon")["input_ids"][-len(marked) :] == (
        marked or read("the moon")["input_ids"]
    )
    assert read.eos_token_id == loaded.tokenizer.id(END)
    assert read.pad_token_id == loaded.tokenizer.id(PADDING)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_generation_by_transformers_equals_greedy_decoding(kind: str, made: Any) -> None:
    _, bundle, out = made[kind]
    own, prompt = load(bundle).model, foreign.rows(1, 5)
    tokens = prompt
    with torch.no_grad():
        for _ in range(8):
            logits = own(tokens)[:, -1:]
            tokens = torch.cat((tokens, logits.argmax(-1)), 1)
    model = foreign.again(kind, out)
    model.generation_config.eos_token_id = None  # a random model ends at random
    with torch.no_grad():
        found = foreign.quietly(
            model.generate,
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=8,
            do_sample=False,
        )
    assert found.tolist() == tokens.tolist()


@pytest.mark.parametrize("kind", ["llama-one-key-head", "qwen2", "qwen3"])
def test_the_compiled_step_equals_these_models_too(
    kind: str, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setattr("wenfang.models.decode.LEAST_WEIGHTS", 0)
    own, tokens = load(made[kind][1]).model, foreign.rows(2, 12)
    assert isinstance(own, gpt.GPT)
    predict = fast_decoder(own, 2, 12)
    assert predict is not None
    predict(tokens[:, :4])
    for time in range(4, 12):
        with torch.no_grad():
            expected = own(tokens[:, : time + 1])[:, -1]
        found = predict(tokens[:, time : time + 1])
        assert float((found - expected).abs().max()) < TOLERANCE, time


def test_sharded_and_half_precise_folders_are_read(made: Any, tmp_path: Path) -> None:
    model = foreign.model("llama").half()
    folder = tmp_path / "sharded"
    foreign.quietly(model.save_pretrained, folder, max_shard_size="30KB")
    (folder / "tokenizer.json").write_text(foreign.tokenizer().to_json(), "utf-8")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    bundle = import_model(folder, tmp_path / "bundle").folder
    stored = read_bundle(bundle).stored_tensors()
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    ours = foreign.ours("llama", load(bundle).model)
    assert float((ours - foreign.theirs("llama", model.float())).abs().max()) < TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_short_t5_loses_nothing_by_the_root_in_its_queries(
    dtype: torch.dtype, tmp_path: Path
) -> None:
    model = foreign.model("t5").to(dtype)
    folder = tmp_path / "t5"
    foreign.quietly(model.save_pretrained, folder)
    (folder / "tokenizer.json").write_text(foreign.tokenizer().to_json(), "utf-8")
    bundle = import_model(folder, tmp_path / "bundle").folder
    ours = foreign.ours("t5", load(bundle).model)
    assert float((ours - foreign.theirs("t5", model.float())).abs().max()) < TOLERANCE
    out = export_model(str(bundle), "hf", tmp_path / "out")
    again = import_model(out, tmp_path / "again").folder
    assert weights_hash(again) == weights_hash(bundle)


def test_old_folders_without_prefix_and_with_buffers_are_read(made: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for kind, prefix in (("gpt2", "transformer."), ("bert-vectors", "")):
        folder = tmp_path / kind
        model = foreign.save(kind, folder)
        tensors = load_file(folder / "model.safetensors")
        renamed = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        renamed = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): tensor
            for name, tensor in renamed.items()
        }
        if kind == "gpt2":
            renamed["h.0.attn.bias"] = torch.ones(1, 1, 40, 40)
        save_file(renamed, folder / "model.safetensors")
        bundle = import_model(folder, tmp_path / f"{kind}-bundle").folder
        found = foreign.ours(kind, load(bundle).model)
        assert float((found - foreign.theirs(kind, model)).abs().max()) < TOLERANCE


def test_fewer_positions_are_the_first_ones(made: Any, tmp_path: Path) -> None:
    for kind in ("gpt2", "llama", "bert-words"):
        model, bundle, _ = made[kind]
        source = bundle.parent / kind
        short = load(import_model(source, tmp_path / kind, context=12).folder).model
        assert short.config.context == 12  # type: ignore[union-attr]
        found = foreign.ours(kind, short)
        assert float((found - foreign.theirs(kind, model)).abs().max()) < TOLERANCE


def test_a_token_that_begins_every_text_is_known(made: Any, tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    folder = tmp_path / "llama"
    foreign.save("llama", folder)
    inner = foreign.tokenizer()._inner
    inner.post_processor = TemplateProcessing(
        single="<cls> $A", pair="<cls> $A $B", special_tokens=[("<cls>", 3)]
    )
    (folder / "tokenizer.json").write_text(inner.to_str(), "utf-8")
    described = {"bos_token": {"content": "<cls>"}, "eos_token": "<sep>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")
    tokenizer = load(import_model(folder, tmp_path / "bundle").folder).tokenizer
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.roles[BEGIN] == "<cls>"
    assert tokenizer.id(BEGIN) == 3
    assert "<cls>" not in foreign.TEXTS[0]
    assert tokenizer.encode("the moon") == foreign.tokenizer().encode("the moon")


def test_attention_of_gpt2_equals_its_formula_in_float64() -> None:
    config = gpt2.Config(vocabulary_size=29, width=32, layers=1, heads=4, context=16)
    layer = gpt2.Attention(config)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    x = torch.randn(2, 9, 32, generator=generator)
    found = layer(x, None, 0).detach().double().numpy()
    weight = {name: p.detach().double().numpy() for name, p in layer.named_parameters()}
    for row in range(2):
        mixed = x[row].double().numpy() @ weight["c_attn.weight"].T + weight["c_attn.bias"]
        query, key, value = (part.reshape(9, 4, 8) for part in np.split(mixed, 3, axis=1))
        out = np.zeros((9, 4, 8))
        for now in range(9):
            for head in range(4):
                scores = key[: now + 1, head] @ query[now, head] / math.sqrt(8)
                share = np.exp(scores - scores.max())
                out[now, head] = share / share.sum() @ value[: now + 1, head]
        expected = out.reshape(9, 32) @ weight["c_proj.weight"].T + weight["c_proj.bias"]
        assert np.abs(expected - found[row]).max() < 1e-5


@pytest.mark.parametrize("changes", [{"attention_bias": True}, {"query_key_norm": True}])
def test_attention_of_qwen_equals_its_formula_in_float64(changes: dict[str, bool]) -> None:
    config = gpt.Config(
        vocabulary_size=29, width=32, layers=1, heads=4, kv_heads=2, head_width=12, **changes
    )
    network = gpt.GPT(config)
    layer = network.model.layers[0].self_attn
    assert isinstance(layer, gpt.Attention)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    x = torch.randn(1, 7, 32, generator=generator)
    found = layer(x, network.model.rotary, None, 0)[0].detach().double().numpy()
    weight = {name: p.detach().double().numpy() for name, p in layer.named_parameters()}
    parts = {}
    for name, heads in (("q", 4), ("k", 2), ("v", 2)):
        part = x[0].double().numpy() @ weight[f"{name}_proj.weight"].T
        part = (part + weight.get(f"{name}_proj.bias", 0)).reshape(7, heads, 12)
        if f"{name}_norm.weight" in weight:
            size = np.sqrt((part**2).mean(-1, keepdims=True) + config.norm_epsilon)
            part = part / size * weight[f"{name}_norm.weight"]
        if name != "v":
            angle = np.arange(7)[:, None] * config.rotary_base ** (-2.0 * np.arange(6) / 12)
            turned = (part[..., :6] + 1j * part[..., 6:]) * np.exp(1j * angle)[:, None]
            part = np.concatenate((turned.real, turned.imag), -1)
        parts[name] = part
    out = np.zeros((7, 4, 12))
    for now in range(7):
        for head in range(4):
            scores = parts["k"][: now + 1, head // 2] @ parts["q"][now, head] / math.sqrt(12)
            share = np.exp(scores - scores.max())
            out[now, head] = share / share.sum() @ parts["v"][: now + 1, head // 2]
    expected = out.reshape(7, 48) @ weight["o_proj.weight"].T
    assert np.abs(expected - found).max() < 1e-5
