"""GGUF files: read back by the format's own library, and run by llama.cpp where it is at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Regex, pre_tokenizers

from tiny_bundle import BYTES, CHARACTERS, MODELS_BY_NAME, write_bundle
from wenfang.checkpoint import read_bundle
from wenfang.engine.exchanging import export_model
from wenfang.errors import BundleError, ConfigError, DiskError
from wenfang.interop.gguf import write_gguf
from wenfang.interop.gguf_words import PATTERNS, vocabulary
from wenfang.models.load import load
from wenfang.tokenizer import END, Tokenizer, train_bytes

NAMES = ("llama", "tied", "qwen2", "qwen3", "gpt2")
WRITTEN = pytest.mark.parametrize("name", NAMES)


def written(tmp_path: Path, name: str, precision: str = "float32") -> Path:
    write_bundle(tmp_path / "bundle", name, dtype=torch.float32)
    return export_model(
        str(tmp_path / "bundle"), "gguf", tmp_path / "model.gguf", precision=precision
    )


def reader(path: Path) -> Any:
    gguf = pytest.importorskip("gguf")
    return gguf.GGUFReader(path)


def fields(found: Any) -> dict[str, Any]:
    return {name: field.contents() for name, field in found.fields.items()}


@WRITTEN
def test_the_formats_own_library_reads_every_weight(name: str, tmp_path: Path) -> None:
    found = reader(written(tmp_path, name))
    tensors = {one.name: np.array(one.data) for one in found.tensors}
    stored = read_bundle(tmp_path / "bundle").tensors()
    assert len(tensors) == len(stored)
    config = MODELS_BY_NAME[name][1]
    table = "transformer.wte.weight" if name == "gpt2" else "model.embed_tokens.weight"
    assert np.array_equal(tensors["token_embd.weight"], stored[table].numpy())
    assert ("output.weight" in tensors) == (not config.tied_head)
    if name == "gpt2":
        mixed = stored["transformer.h.1.attn.c_attn.weight"].numpy()
        assert np.array_equal(tensors["blk.1.attn_qkv.weight"], mixed)
        assert np.array_equal(
            tensors["position_embd.weight"], stored["transformer.wpe.weight"].numpy()
        )
    else:
        value = stored["model.layers.0.self_attn.v_proj.weight"].numpy()
        assert np.array_equal(tensors["blk.0.attn_v.weight"], value)
        assert ("blk.0.attn_q.bias" in tensors) == (name == "qwen2")
        assert ("blk.0.attn_q_norm.weight" in tensors) == (name == "qwen3")


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_only_llama_has_its_halves_as_neighbours(name: str, tmp_path: Path) -> None:
    found = reader(written(tmp_path, name))
    tensors = {one.name: np.array(one.data) for one in found.tensors}
    stored = read_bundle(tmp_path / "bundle").tensors()
    config = MODELS_BY_NAME[name][1]
    half = config.key_width // 2
    for part, heads in (("q", config.heads), ("k", config.kv_heads)):
        ours = stored[f"model.layers.0.self_attn.{part}_proj.weight"].numpy()
        theirs = tensors[f"blk.0.attn_{part}.weight"]
        for head in range(heads):
            start = head * config.key_width
            for pair in range(half):
                low, high = ours[start + pair], ours[start + half + pair]
                place = start + 2 * pair
                first, second = (place, place + 1) if name == "llama" else (start + pair, None)
                assert np.array_equal(theirs[first], low)
                if second is not None:
                    assert np.array_equal(theirs[second], high)


@WRITTEN
def test_the_head_of_the_file_says_what_the_model_is(name: str, tmp_path: Path) -> None:
    told = fields(reader(written(tmp_path, name)))
    config = MODELS_BY_NAME[name][1]
    kind = {"tied": "llama"}.get(name, name)
    assert told["general.architecture"] == kind
    assert told["general.license"] == "MIT"
    assert told[f"{kind}.block_count"] == config.layers
    assert told[f"{kind}.context_length"] == config.context
    assert told[f"{kind}.attention.head_count"] == config.heads
    if name == "qwen3":
        assert told["qwen3.attention.key_length"] == 10
        assert told["qwen3.attention.head_count_kv"] == 2
    assert told["tokenizer.ggml.model"] == "gpt2"
    assert told["tokenizer.ggml.pre"] == "gpt-2"
    assert told["tokenizer.ggml.tokens"] == BYTES.tokens()
    assert told["tokenizer.ggml.eos_token_id"] == BYTES.id(END)
    assert told["tokenizer.ggml.token_type"][:6] == [3] * 6
    assert set(told["tokenizer.ggml.token_type"][6:]) == {1}
    merges = json.loads(BYTES.to_json())["model"]["merges"]
    assert told["tokenizer.ggml.merges"] == [" ".join(pair) for pair in merges]


@WRITTEN
def test_half_precision_is_for_matrices_alone(name: str, tmp_path: Path) -> None:
    found = reader(written(tmp_path, name, "float16"))
    stored = read_bundle(tmp_path / "bundle").tensors()
    assert fields(found)["general.file_type"] == 1
    for one in found.tensors:
        long = len(one.shape) == 1 or one.name == "position_embd.weight"
        assert one.tensor_type.name == ("F32" if long else "F16"), one.name
    output = next(one for one in found.tensors if one.name == "blk.0.attn_output.weight")
    own = "transformer.h.0.attn.c_proj" if name == "gpt2" else "model.layers.0.self_attn.o_proj"
    assert np.array_equal(output.data, stored[f"{own}.weight"].half().numpy())


def test_a_weight_beyond_half_precision_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from wenfang.checkpoint import BundleFiles

    files = write_bundle(tmp_path / "bundle", "tied", dtype=torch.float32)
    tensors = load_file(tmp_path / "bundle/model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][3, 4] = 1e5
    save_file(tensors, tmp_path / "bundle/model.safetensors")
    assert isinstance(files, BundleFiles)
    with pytest.raises(BundleError, match=r"up_proj.weight is too large for float16"):
        write_gguf(files, tmp_path / "a.gguf", precision="float16")
    assert not (tmp_path / "a.gguf").exists()
    write_gguf(files, tmp_path / "a.gguf")


def cut(*parts: Any, ignore_merges: bool = False, **model: Any) -> str:
    """A tokenizer.json that cuts texts by these parts before the merges."""
    made = Tokenizer.from_json(BYTES.to_json())._inner
    made.pre_tokenizer = pre_tokenizers.Sequence(list(parts)) if len(parts) > 1 else parts[0]
    record = json.loads(made.to_str())
    record["model"] |= {"ignore_merges": ignore_merges, **model}
    return json.dumps(record)


def plain(**how: Any) -> Any:
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **how})


def test_ways_of_cutting_that_llama_cpp_knows_have_its_names() -> None:
    for pattern, (name, whole_words) in PATTERNS.items():
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        text = cut(split, plain(), ignore_merges=whole_words)
        assert vocabulary(text, {}, BYTES.size)["tokenizer.ggml.pre"] == name
        with pytest.raises(BundleError, match=r"llama.cpp cannot cut texts"):
            vocabulary(cut(split, plain(), ignore_merges=not whole_words), {}, BYTES.size)


@pytest.mark.parametrize(
    "text",
    [
        CHARACTERS.to_json(),
        cut(plain()),
        cut(plain(use_regex=True, add_prefix_space=True)),
        cut(pre_tokenizers.Split(Regex(r"\d"), "isolated"), plain()),
        cut(pre_tokenizers.Digits(), plain(use_regex=True)),
        cut(plain(use_regex=True), byte_fallback=True),
    ],
)
def test_other_ways_of_cutting_are_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"llama.cpp cannot cut texts.*--to hf"):
        vocabulary(text, {}, 500)


def test_rows_without_a_token_are_named_and_a_vocabulary_needs_an_end() -> None:
    told = vocabulary(BYTES.to_json(), {}, BYTES.size + 2)
    names, kinds = told["tokenizer.ggml.tokens"], told["tokenizer.ggml.token_type"]
    assert isinstance(names, list)
    assert isinstance(kinds, list)
    assert names[-2:] == [f"[PAD{BYTES.size}]", f"[PAD{BYTES.size + 1}]"]
    assert kinds[-2:] == [5, 5]
    record = json.loads(train_bytes(["ab"], vocabulary_size=259).to_json())
    record["added_tokens"] = [one for one in record["added_tokens"] if one["content"] != END]
    record["model"]["vocab"] = {
        ("<end>" if name == END else name): index
        for name, index in record["model"]["vocab"].items()
    }
    text = json.dumps(record)
    with pytest.raises(BundleError, match="no token that ends a text"):
        vocabulary(text, {}, 259)
    assert vocabulary(text, {END: "<end>"}, 259)["tokenizer.ggml.eos_token_id"] == 2


@pytest.mark.usefixtures("home")
def test_what_llama_cpp_cannot_run_is_refused(tmp_path: Path) -> None:
    for name in ("bert", "t5"):
        write_bundle(tmp_path / name, name)
        with pytest.raises(
            BundleError, match=r"the families gpt, gpt2, not (bert|seq2seq).*--to hf"
        ):
            export_model(str(tmp_path / name), "gguf", tmp_path / "a.gguf")
    with pytest.raises(BundleError, match=r"llama.cpp cannot cut texts"):
        export_model("verse", "gguf", tmp_path / "a.gguf")  # characters
    write_bundle(tmp_path / "tied", "tied")
    with pytest.raises(ConfigError, match="is a folder; name a file"):
        export_model(str(tmp_path / "tied"), "gguf", tmp_path)
    with pytest.raises(DiskError):
        export_model(str(tmp_path / "tied"), "gguf", tmp_path / "tied/NOTICE/a.gguf")
    assert not (tmp_path / "a.gguf").exists()


@pytest.mark.slow
@WRITTEN
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_llama_cpp_says_what_the_model_says(name: str, precision: str, tmp_path: Path) -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    path = written(tmp_path, name, precision)
    loaded = load(tmp_path / "bundle")
    assert loaded.tokenizer is not None
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx, settings.n_parallel, settings.warmup, settings.verbosity = 64, 1, False, -1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(settings)
    tokens = loaded.tokenizer.encode("the moon over 12 boats")
    asked: str | list[int] = "the moon over 12 boats"  # llama.cpp cuts the text itself
    for _ in range(8):
        # Half a character would come without probabilities, so an ASCII one is drawn.
        wish = {"prompt": asked, "n_predict": 1, "n_probs": 5, "grammar": "root ::= [a-z]"}
        answer = server.handle_completions(wish)
        answer = json.loads(answer) if isinstance(answer, str) else answer
        assert answer["usage"]["prompt_tokens"] == len(tokens)
        likeliest = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        with torch.no_grad():
            ours = loaded.model(torch.tensor([tokens]))[0, -1].log_softmax(-1)
        for one in likeliest:
            assert float(ours[one["id"]]) == pytest.approx(one["logprob"], abs=0.02)
        tokens.append(int(ours.argmax()))
        asked = tokens
