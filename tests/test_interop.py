"""Folders and bundles: what goes out comes back, and what cannot be read is named."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import Call
from tiny_bundle import MODELS_BY_NAME, write_bundle
from wenfang.checkpoint import file_hashes, read_bundle
from wenfang.engine.exchanging import export_model, import_model
from wenfang.errors import BundleError, ConfigError, UsageError, WenfangError
from wenfang.interop.folder import BYTES_MAX
from wenfang.interop.licences import folder_licence, given_licence
from wenfang.models.load import load

ALL = pytest.mark.parametrize("name", sorted(MODELS_BY_NAME))


def exported(tmp_path: Path, name: str = "llama", **how: Any) -> Path:
    """A folder for transformers, made of a small bundle."""
    write_bundle(tmp_path / "bundle", name, **how)
    return export_model(str(tmp_path / "bundle"), "hf", tmp_path / "folder")


def edit(path: Path, **fields: Any) -> None:
    record = {**json.loads(path.read_text("utf-8")), **fields}
    path.write_text(json.dumps(record), "utf-8")


def reweigh(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.bfloat16])
@ALL
def test_a_bundle_that_goes_out_and_comes_in_is_the_same(
    name: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    folder = exported(tmp_path, name, dtype=dtype)
    import_model(folder, tmp_path / "back", name=name)
    first, back = read_bundle(tmp_path / "bundle"), read_bundle(tmp_path / "back")
    for file in ("model.safetensors", "config.json"):
        assert first.manifest["facts"]["files"][file] == back.manifest["facts"]["files"][file]
    before, after = load(tmp_path / "bundle"), load(tmp_path / "back")
    tokens = torch.arange(3, 20)[None]
    assert before.tokenizer is not None
    assert after.tokenizer is not None
    assert before.tokenizer.encode("the moon") == after.tokenizer.encode("the moon")
    answers = [
        one.model(tokens, None, tokens) if name.startswith("t5") else one.model(tokens)
        for one in (before, after)
    ]
    assert torch.equal(*answers)
    assert before.layout == after.layout


def test_a_folder_that_was_not_imported_says_what_to_do(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    with pytest.raises(BundleError, match=r"is a Hugging Face folder; .* wenfang import"):
        read_bundle(folder)


def test_rights_and_lineage_travel_out_and_in(tmp_path: Path) -> None:
    folder = exported(tmp_path, licence="CC-BY-NC-4.0")
    assert (folder / "NOTICE").read_bytes() == (tmp_path / "bundle/NOTICE").read_bytes()
    card = (folder / "README.md").read_text("utf-8")
    assert "license: cc-by-nc-4.0" in card
    assert "| source | stories | CC-BY-NC-4.0 |" in card
    assert "Tiny." in card
    made = import_model(folder, tmp_path / "back")
    assert made.manifest.licence == "CC-BY-NC-4.0"
    back = load(made.folder)
    kinds = [(one["kind"], one["name"], one["licence"]) for one in back.ancestors]
    assert kinds == [
        ("source", "stories", "CC-BY-NC-4.0"),
        ("bundle", "llama", "CC-BY-NC-4.0"),
        ("source", "folder", "CC-BY-NC-4.0"),
    ]
    (source,) = back.ancestors[-1:]
    assert source["inputs"][0]["id"] == back.ancestors[1]["id"]
    files = {row["name"]: row["sha256"] for row in source["facts"]["files"]}
    assert files["model.safetensors"] == file_hashes(folder)["model.safetensors"]
    assert (back.folder / "ORIGIN.md").read_text("utf-8") == card


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("license: apache-2.0", "Apache-2.0"),
        ("license: MIT", "MIT"),
        ("language: en\nlicense:\n- mit\n- cc-by-sa-4.0\ntags:\n- x", "MIT AND CC-BY-SA-4.0"),
        ("license: [mit, isc]", "MIT AND ISC"),
        ('license: "gpl-3.0-only"', "GPL-3.0-only"),
        ("license: llama3", "LicenseRef-llama3"),
        ("license: other\nlicense_name: Apache-2.0 AND ISC", "Apache-2.0 AND ISC"),
        ("license: other\nlicense_name: my own (free)", "LicenseRef-my-own-free"),
        ("licence: MIT OR ISC", "(MIT OR ISC)"),
        ("license: other", "NOASSERTION"),
        ("license: unknown", "NOASSERTION"),
        ("license:\n  a: b\n", "NOASSERTION"),
        ("tags:\n- license", "NOASSERTION"),
    ],
)
def test_a_licence_is_read_from_the_front_matter(front: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"---\n{front}\n---\n# text\nlicense: wtfpl\n", "utf-8")
    assert folder_licence(tmp_path) == expected


def test_a_licence_that_nobody_says_is_unknown_and_forbids(tmp_path: Path) -> None:
    from wenfang.checks.rights import forbids_commerce

    folder = exported(tmp_path)
    (folder / "README.md").write_text("# no front matter\n", "utf-8")
    unsaid = import_model(folder, tmp_path / "unsaid").manifest
    assert unsaid.licence == "NOASSERTION"
    assert forbids_commerce(unsaid.licence)
    assert "Unknown: nobody said it" in (tmp_path / "unsaid/README.md").read_text("utf-8")
    said = import_model(folder, tmp_path / "said", licence="apache-2.0").manifest
    assert said.licence == "Apache-2.0"
    (folder / "README.md").unlink()
    assert import_model(folder, tmp_path / "third").manifest.licence == "NOASSERTION"
    with pytest.raises(UsageError, match="no SPDX licence expression"):
        given_licence("do what you want!")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders that can be imported, by the name of what they hold; only to be copied."""
    root = tmp_path_factory.mktemp("sound")
    names = ("llama", "qwen2", "qwen3", "gpt2", "bert", "t5")
    return {name: exported(root / name, name) for name in names}


def broken(tmp_path: Path, whole: Path, change: Callable[[Path], Any]) -> str:
    """What the import of a spoilt copy says; nothing may be left of it."""
    folder = shutil.copytree(whole, tmp_path / "folder")
    change(folder)
    with pytest.raises(WenfangError) as told:
        import_model(folder, tmp_path / "made")
    assert told.type in (BundleError, ConfigError)
    assert not (tmp_path / "made").exists()
    assert "\n" not in str(told.value)
    return str(told.value)


CONFIGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown architecture": (
        "llama",
        {"model_type": "mamba", "architectures": ["MambaForCausalLM"]},
        "MambaForCausalLM is not known here; supported: GPT2LMHeadModel, LlamaForCausalLM, Qwen2",
    ),
    "another head": (
        "llama",
        {"architectures": ["LlamaForTokenClassification"]},
        "LlamaForTokenClassification is not known here",
    ),
    "no architecture": ("llama", {"model_type": [], "architectures": None}, "is not known here"),
    "remote code": ("llama", {"auto_map": {"AutoModel": "own.Model"}}, "auto_map.*never run"),
    "rope scaling": (
        "llama",
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        "rope_scaling.rope_type is linear, which is not supported",
    ),
    "llama 3.1": (
        "llama",
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}},
        "rope_parameters.rope_type is llama3",
    ),
    "part of a head turned": (
        "llama",
        {"partial_rotary_factor": 0.5},
        "partial_rotary_factor is 0.5",
    ),
    "sliding window": ("qwen2", {"use_sliding_window": True}, "use_sliding_window is True"),
    "sliding layers": (
        "qwen3",
        {"layer_types": ["sliding_attention"]},
        "layer_types is sliding_attention",
    ),
    "a window of llama": ("llama", {"sliding_window": 8}, "sliding_window is 8"),
    "another activation": ("llama", {"hidden_act": "relu"}, "hidden_act is relu.*supported: silu"),
    "quantised": (
        "llama",
        {"quantization_config": {"bits": 4}},
        "quantization_config is {'bits': 4}",
    ),
    "biases": ("llama", {"attention_bias": True}, "attention_bias is True"),
    "biases of the hidden": ("llama", {"mlp_bias": True}, "mlp_bias is True"),
    "scaled by layer": (
        "gpt2",
        {"scale_attn_by_inverse_layer_idx": True},
        "scale_attn_by_inverse_layer_idx is True",
    ),
    "another gelu": ("gpt2", {"activation_function": "relu"}, "activation_function is relu"),
    "relative positions": (
        "bert",
        {"position_embedding_type": "relative_key"},
        "position_embedding_type is relative_key",
    ),
    "a decoder": ("bert", {"is_decoder": True}, "is_decoder is True"),
    "segments": ("bert", {"type_vocab_size": 1}, "type_vocab_size is 1"),
    "padding elsewhere": ("bert", {"pad_token_id": 3}, "pad_token_id is 3"),
    "gated silu": ("t5", {"feed_forward_proj": "gated-silu"}, "feed_forward_proj is gated-silu"),
    "another start": ("t5", {"decoder_start_token_id": 7}, "decoder_start_token_id is 7"),
    "a billion layers": ("llama", {"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
    "a flag for a number": ("llama", {"hidden_size": True}, "hidden_size is True"),
    "a missing field": ("llama", {"hidden_size": None}, "the field hidden_size is missing"),
    "no number": ("gpt2", {"layer_norm_epsilon": "small"}, "layer_norm_epsilon is small"),
    "base of nothing": (
        "llama",
        {"rope_parameters": {"rope_type": "default", "rope_theta": 0}},
        "rope_theta is 0",
    ),
    "heads that do not fit": ("gpt2", {"n_head": 5}, "must be a multiple of model.heads 5"),
    "more vocabulary": (
        "llama",
        {"vocab_size": 400},
        r"model.embed_tokens.weight has the shape \(290, 24\) instead of \(400, 24\)",
    ),
    "more layers": ("gpt2", {"n_layer": 3}, "transformer.h.2.ln_1.weight is missing.*; and 6 more"),
    "fewer layers": ("gpt2", {"n_layer": 1}, "transformer.h.1.* is unknown"),
    "layout of another family": (
        "llama",
        {"wenfang": {"layout": "venue"}},
        "layout is venue, which is not supported",
    ),
}


@pytest.mark.parametrize("case", sorted(CONFIGS))
def test_a_config_that_cannot_be_computed_is_refused_by_name(
    case: str, sound: dict[str, Path], tmp_path: Path
) -> None:
    name, fields, said = CONFIGS[case]
    told = broken(tmp_path, sound[name], lambda folder: edit(folder / "config.json", **fields))
    assert re.search(said, told), told


def rewrite(name: str, content: str | bytes) -> Callable[[Path], Any]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def as_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def as_index(**table: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "a.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))

    return change


def twice(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors, folder / "b.safetensors")
    as_index(one="a.safetensors", two="b.safetensors")(folder)


FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json cannot be read"),
    "no JSON": (rewrite("config.json", "{"), "config.json is not JSON"),
    "too deep": (rewrite("config.json", "[" * 100_000), "config.json is not JSON"),
    "a list": (rewrite("config.json", "[]"), "config.json is not a JSON object"),
    "no text": (rewrite("config.json", b"\xff\xfe"), "config.json is not UTF-8"),
    "too long": (
        rewrite("config.json", b" " * (BYTES_MAX["config.json"] + 1)),
        "config.json is longer than",
    ),
    "pickles": (as_pickle, "pytorch_model.bin may hold pickled code.*convert.*safetensors"),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "has no model.safetensors",
    ),
    "cut weights": (
        lambda folder: os.truncate(folder / "model.safetensors", 9000),
        "model.safetensors is not a readable safetensors file",
    ),
    "nonsense": (rewrite("model.safetensors", b"\xff" * 64), "not a readable safetensors file"),
    "a shard away": (as_index(one="b.safetensors"), "b.safetensors is missing"),
    "a shard outside": (as_index(one="../a.safetensors"), "no safetensors file of its folder"),
    "a shard of pickles": (as_index(one="a.bin"), "no safetensors file of its folder"),
    "no shards": (as_index(), "has no weight_map"),
    "a tensor twice": (twice, "which another file holds too"),
    "no tokenizer": (
        lambda folder: (folder / "tokenizer.json").unlink(),
        "has no tokenizer.json; save its tokenizer again",
    ),
    "a broken tokenizer": (rewrite("tokenizer.json", "{}"), "tokenizer.json cannot be read"),
    "a tokenizer with code": (
        rewrite("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["own.T", null]}}'),
        "tokenizer_config.json asks for code",
    ),
    "a lineage of nothing": (rewrite("lineage.json", '{"a": 1}'), "is not a list of manifests"),
    "a lineage that lies": (
        rewrite("lineage.json", '[{"kind": "bundle", "name": "x", "media_type": "y", "id": "z"}]'),
        "does not fit its id",
    ),
    "a missing tensor": (
        lambda folder: reweigh(folder, lambda tensors: tensors.pop("model.norm.weight")),
        "do not fit the config: model.norm.weight is missing",
    ),
    "a tensor too many": (
        lambda folder: reweigh(folder, lambda t: t.update({"score.weight": torch.ones(2, 2)})),
        "score.weight is unknown",
    ),
    "a wrong shape": (
        lambda folder: reweigh(folder, lambda t: t.update({"model.norm.weight": torch.ones(7)})),
        r"model.norm.weight has the shape \(7,\) instead of \(24,\)",
    ),
    "whole numbers": (
        lambda folder: reweigh(
            folder, lambda t: t.update({"model.norm.weight": torch.ones(24, dtype=torch.int8)})
        ),
        "model.norm.weight holds numbers of the kind I8",
    ),
}


@pytest.mark.parametrize("case", sorted(FOLDERS))
def test_a_folder_that_cannot_be_read_is_refused_by_name(
    case: str, sound: dict[str, Path], tmp_path: Path
) -> None:
    change, said = FOLDERS[case]
    told = broken(tmp_path, sound["llama"], change)
    assert re.search(said, told), told


def test_a_tokenizer_of_another_model_is_refused(sound: dict[str, Path], tmp_path: Path) -> None:
    from wenfang.tokenizer import train_bytes

    larger = train_bytes(["ab" * 9, "the sea the sea and the moon"] * 9, vocabulary_size=300)
    assert larger.size < 290
    names = larger._inner
    names.add_tokens([f"word{index}" for index in range(40)])
    told = broken(tmp_path, sound["llama"], rewrite("tokenizer.json", names.to_str()))
    assert "tokens, the model only 290; they do not belong together" in told


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="mine is there already"):
        import_model(folder, tmp_path / "mine")
    with pytest.raises(ConfigError, match="mine is there already"):
        export_model(str(tmp_path / "bundle"), "hf", tmp_path / "mine")
    assert (tmp_path / "mine/letter.txt").read_text() == "dear"


def test_what_has_no_counterpart_is_not_exported(tmp_path: Path, home: Path) -> None:
    with pytest.raises(
        BundleError, match=r"text-classifier has no counterpart.*gpt2, gpt, bert, seq2seq"
    ):
        export_model("safety-zh", "hf", tmp_path / "out")
    with pytest.raises(UsageError, match="there is no format onnx; there are: hf, gguf"):
        export_model("verse", "onnx", tmp_path / "out")
    with pytest.raises(UsageError, match="there is no precision int4"):
        export_model("verse", "gguf", tmp_path / "out", precision="int4")
    assert not (tmp_path / "out").exists()


def test_a_context_beyond_the_models_is_refused(tmp_path: Path) -> None:
    folder = exported(tmp_path)
    for context in (0, 33):
        with pytest.raises(ConfigError, match="it must be from 1 to the model's 32"):
            import_model(folder, tmp_path / "made", context=context)


def test_a_table_of_positions_beyond_all_memory_is_refused(
    sound: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(sound["qwen3"], tmp_path / "folder")
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():  # heads of 4096 in a file of a megabyte
        for part, heads in (("q", 4), ("k", 2), ("v", 2)):
            if f"{part}_proj.weight" in name:
                tensors[name] = torch.zeros(heads * 4096, 24, dtype=torch.float16)
        if "o_proj" in name:
            tensors[name] = torch.zeros(24, 4 * 4096, dtype=torch.float16)
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            tensors[name] = torch.ones(4096)
        assert tensor.ndim
    save_file(tensors, folder / "model.safetensors")
    edit(folder / "config.json", head_dim=4096, max_position_embeddings=2**20)
    with pytest.raises(BundleError, match=r"import it with a smaller --context"):
        import_model(folder, tmp_path / "made")
    assert import_model(folder, tmp_path / "made", context=64).manifest.name == "made"


def test_a_foreign_model_writes_with_its_own_marks(call: Call, home: Path, tmp_path: Path) -> None:
    folder = exported(tmp_path, "gpt2")
    text = (folder / "tokenizer.json").read_text("utf-8").replace('"<eos>"', '"<|endoftext|>"')
    (folder / "tokenizer.json").write_text(text, "utf-8")
    edit(folder / "tokenizer_config.json", eos_token=None)
    edit(folder / "config.json", wenfang=None, eos_token_id=[2, 7])
    assert call("import", folder, "--name", "writer").code == 0
    loaded = load(home / "bundles" / "writer")
    assert loaded.layout == "stream"
    assert loaded.tokenizer is not None
    assert loaded.tokenizer.find("<eos>") == 2
    assert loaded.tokenizer.find("<sep>") is not None
    assert loaded.tokenizer.find("<bos>") is None
    said = call("generate", "writer", "the moon", "--set", "sampling.maximum_tokens=9", "--seed", 4)
    assert said.code == 0
    assert said.out.startswith("the moon")


@pytest.mark.slow
def test_spoilt_folders_give_an_error_or_a_model_and_nothing_else(tmp_path: Path) -> None:
    """Bytes of config, tokenizer and weights changed at random."""
    folder = exported(tmp_path, "tied")
    draw = np.random.default_rng(0)
    names = ("config.json", "tokenizer.json", "model.safetensors", "README.md", "lineage.json")
    kept = {name: (folder / name).read_bytes() for name in names}
    made = refused = 0
    for number in range(150):
        name = names[number % len(names)]
        spoilt = bytearray(kept[name])
        head = 3000 if name == "model.safetensors" else len(spoilt)
        for place in draw.integers(0, min(head, len(spoilt)), int(draw.integers(1, 6))):
            spoilt[place] = draw.integers(256)
        (folder / name).write_bytes(spoilt)
        try:
            import_model(folder, tmp_path / f"made{number}")
            made += 1
        except WenfangError:
            refused += 1
        (folder / name).write_bytes(kept[name])
    assert made
    assert refused


def test_the_commands_say_what_they_made(call: Call, home: Path) -> None:
    done = call("export", "verse", "--to", "hf", "-o", "verse-hf", "--json")
    assert done.json == {"path": "verse-hf", "format": "hf"}
    made = call("import", "verse-hf", "--name", "poet", "--json").json
    assert made["name"] == "poet"
    assert made["licence"] == "CC0-1.0"
    assert Path(made["folder"]) == home / "bundles" / "poet"
    assert "poet" in call("models").out
    poems = [
        call("generate", name, "春江", "--seed", 5, "--set", "characters=5").out
        for name in ("poet", "verse")
    ]
    assert poems[0] == poems[1]
    said = call("import", "verse-hf", "-o", "other", "--licence", "MIT")
    assert said.out.splitlines() == ["other, licence MIT", "other"]
    again = call("import", "verse-hf", "-o", "other")
    assert (again.code, again.out) == (12, "")
    assert "other is there already" in again.error
    assert call("import", "nowhere").code == 15
    assert call("import", "verse-hf", "--name", "../up").code == 64
    assert call("export", "verse", "--to", "pdf", "-o", "x").code == 64


def test_an_imported_translator_translates_as_the_one_that_went_out(call: Call, home: Path) -> None:
    call("export", "translator", "--to", "hf", "-o", "out")
    call("import", "out", "--name", "again")
    first, again = load(home / "bundles/translator"), load(home / "bundles/again")
    assert again.layout == first.layout == "translation"
    source, start = torch.tensor([[9, 8, 7, 2]]), torch.tensor([[0]])
    assert torch.equal(first.model(source, None, start), again.model(source, None, start))
