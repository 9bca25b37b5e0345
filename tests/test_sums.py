"""Bases with adapters: their lineage, and how they go out as one or alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import wenfang as wf
from conftest import Call
from foreign_models import library, quietly
from test_tune_bases import tune, write_pairs
from tiny_bundle import write_bundle
from wenfang.adapt.lora import LoraConfig
from wenfang.backends.loading import load_folder, load_named
from wenfang.backends.merging import merge_bundle
from wenfang.checkpoint import read_bundle
from wenfang.data.lineage import joined_licences
from wenfang.data.training_index import TrainingIndex
from wenfang.engine.exchanging import export_model, import_model
from wenfang.errors import BundleError, ConfigError, UsageError
from wenfang.models.load import load
from wenfang.store import from_record

FACTS = "name[The Blue Heron], eatType[pub], area[riverside]"
FAMILIES = pytest.mark.parametrize("name", ["tied", "llama", "gpt2", "t5"])


def facts_pairs(path: Path) -> Path:
    """Pairs for the layout venue."""
    rows = [
        {"prompt": f"name[The Heron {n}], eatType[pub]", "completion": f"The Heron {n} is a pub."}
        for n in range(12)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return path


def adapted(tmp_path: Path, name: str, *settings: str, licence: str = "MIT") -> tuple[Path, Path]:
    """A small base and an adapter upon it, whose update is large."""
    base = tmp_path / "base"
    if not base.exists():
        write_bundle(base, name, licence="CC-BY-SA-4.0", tokenizer=tokenizer_of(name))
    make = facts_pairs if name == "t5" else write_pairs
    run = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
    settings = ("tune.kind=lora", "optim.lr=0.05", f"tune.licence={licence}", *settings)
    return base, tune(base, make(tmp_path / "my.jsonl"), run, *settings)


def tokenizer_of(name: str) -> Any:
    """The layout venue wants its own tokens."""
    from tiny_bundle import BYTES, TEXTS
    from wenfang.data.venue import VenueLayout
    from wenfang.tokenizer import train_bytes

    if name != "t5":
        return BYTES
    return train_bytes(TEXTS, vocabulary_size=290, specials=VenueLayout().specials)


@torch.no_grad()
def answers(name: str, model: Any) -> torch.Tensor:
    tokens = torch.arange(3, 14)[None]
    found: torch.Tensor = model(tokens, None, tokens) if name == "t5" else model(tokens)
    return found


def test_what_a_sum_makes_names_the_base_every_adapter_and_all_licences(tmp_path: Path) -> None:
    base, one = adapted(tmp_path, "tied")
    _, other = adapted(tmp_path, "tied", "train.seed=1", "tune.name=dry", licence="CC-BY-NC-4.0")
    loaded = load_named(f"{base}+{one}:0.5+{other}")
    manifest = from_record(loaded.manifest)
    assert manifest.name == "tied+tied-my:0.5+dry"
    assert manifest.licence == "CC-BY-NC-4.0 AND CC-BY-SA-4.0 AND MIT"
    assert [link.role for link in manifest.inputs] == ["base", "adapter", "adapter"]
    assert manifest.facts["weights"] == [0.5, 1.0]
    known = {record["id"]: record for record in loaded.ancestors}
    assert len(known) == len(loaded.ancestors)
    for record in (*loaded.ancestors, loaded.manifest):
        assert {link["id"] for link in record["inputs"]} <= set(known)
    again = load_named(f"{base}+{one}:0.25+{other}").manifest
    assert again["payload_sha256"] != manifest.payload_sha256
    made = wf.load(f"{base}+{one}").generate("the moon", sampling={"maximum_tokens": 3})
    assert made.manifest.facts["made_with"] == "tied+tied-my"


@pytest.mark.parametrize("weight", ["much", "nan", "inf", ""])
def test_a_weight_is_a_finite_number(weight: str, tmp_path: Path) -> None:
    base, adapter = adapted(tmp_path, "tied")
    with pytest.raises(ConfigError, match="the weight of an adapter is a number"):
        load_named(f"{base}+{adapter}:{weight}")


def test_learned_vectors_count_wholly_or_not_at_all_and_once(tmp_path: Path) -> None:
    base, adapter = adapted(tmp_path, "tied", "tune.kind=prompt")
    with pytest.raises(ConfigError, match="count wholly or not at all"):
        load_named(f"{base}+{adapter}:0.5")
    with pytest.raises(ConfigError, match="two adapters of learned vectors"):
        load_named(f"{base}+{adapter}+{adapter}")
    assert load_named(f"{base}+{adapter}").model.prompt is not None


def test_an_adapter_whose_base_is_not_on_the_shelf_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WENFANG_HOME", str(tmp_path / "home"))
    base, adapter = adapted(tmp_path, "tied")
    with pytest.raises(BundleError, match=r"tuned upon tied \(.*which is not here; name it as in"):
        load_folder(adapter)
    base.rename(tmp_path / "other")
    (tmp_path / "home/bundles").mkdir(parents=True)
    (tmp_path / "other").rename(tmp_path / "home/bundles/under-another-name")
    assert load_folder(adapter).folder == adapter


@FAMILIES
def test_a_merged_bundle_answers_as_base_and_adapter_do(name: str, tmp_path: Path) -> None:
    base, adapter = adapted(tmp_path, name)
    merged = export_model(f"{base}+{adapter}:0.5", "bundle", tmp_path / "merged")
    # Stored as shortly as the base is: float16.
    expected = answers(name, load_named(f"{base}+{adapter}:0.5").model)
    assert torch.allclose(answers(name, load(merged).model), expected, atol=0.02)
    assert (answers(name, load(base).model) - expected).abs().max() > 0.2
    files = read_bundle(merged)
    # The head of t5 is tuned, and shared with the table no more.
    before = read_bundle(base).config
    assert files.config == {
        **before,
        "model": {**before["model"], "tied_head": name in ("tied", "gpt2")},
    }
    assert files.manifest["name"] == "merged"
    assert files.manifest["licence"] == "CC-BY-SA-4.0 AND MIT"
    known = {record["id"] for record in files.ancestors()}
    assert {link["id"] for link in files.manifest["inputs"]} <= known
    assert "stories by hand" in (merged / "NOTICE").read_text("utf-8")
    assert "my.jsonl" in (merged / "NOTICE").read_text("utf-8")
    assert "was not measured" in (merged / "README.md").read_text("utf-8")


@FAMILIES
def test_a_sum_goes_out_as_one_model(name: str, tmp_path: Path) -> None:
    base, adapter = adapted(tmp_path, name)
    folder = export_model(f"{base}+{adapter}", "hf", tmp_path / "out")
    back = import_model(folder, tmp_path / "back")
    expected = answers(name, load_named(f"{base}+{adapter}").model)
    assert torch.allclose(answers(name, load(back.folder).model), expected, atol=0.02)
    assert load(back.folder).layout == load(base).layout
    assert back.manifest.licence == "CC-BY-SA-4.0 AND MIT"
    if name != "t5":
        assert export_model(f"{base}+{adapter}", "gguf", tmp_path / "a.gguf").stat().st_size > 1000


@FAMILIES
@pytest.mark.parametrize("stabilised", ["false", "true"])
def test_a_peft_folder_is_the_update_of_the_exported_base(
    name: str, stabilised: str, tmp_path: Path
) -> None:
    base, adapter = adapted(tmp_path, name, f"tune.rank_stabilised={stabilised}")
    folder = export_model(str(adapter), "peft", tmp_path / "peft")
    record = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    assert (record["peft_type"], record["r"], record["lora_alpha"]) == ("LORA", 6, 48.0)
    assert record["rank_pattern"] == ({"lm_head": 3} if name == "t5" else {})
    thin = load_file(folder / "adapter_model.safetensors")
    whole, sums = (
        load_file(export_model(one, "hf", tmp_path / out) / "model.safetensors")
        for one, out in ((str(base), "a"), (f"{base}+{adapter}", "b"))
    )
    assert record["target_modules"]
    for module in record["target_modules"]:
        down, up = (thin[f"base_model.model.{module}.lora_{part}.weight"].float() for part in "AB")
        alpha = record["alpha_pattern"].get(module, record["lora_alpha"])
        plain = LoraConfig(rank=len(down), alpha=alpha, rank_stabilised=record["use_rslora"])
        update = plain.scale * up @ down
        update = update.T if record["fan_in_fan_out"] else update
        if module == "lm_head":  # shared in the base, where the stream is shortened before it
            found = sums["lm_head.weight"].float() * 24**0.5 - whole["shared.weight"].float()
        else:
            found = sums[f"{module}.weight"].float() - whole[f"{module}.weight"].float()
        assert torch.allclose(found, update, atol=4e-3), module
    assert "library_name: peft" in (folder / "README.md").read_text("utf-8")
    assert "license_name: CC-BY-SA-4.0 AND MIT" in (folder / "README.md").read_text("utf-8")


@pytest.mark.slow
@FAMILIES
def test_peft_answers_as_the_adapter_does(name: str, tmp_path: Path) -> None:
    transformers = library()
    peft = quietly(pytest.importorskip, "peft")
    base, adapter = adapted(tmp_path, name)
    folder = export_model(str(base), "hf", tmp_path / "out")
    thin = export_model(str(adapter), "peft", tmp_path / "peft")
    kind = "AutoModelForSeq2SeqLM" if name == "t5" else "AutoModelForCausalLM"
    model = quietly(getattr(transformers, kind).from_pretrained, folder)
    model = quietly(peft.PeftModel.from_pretrained, model, thin).eval()
    tokens = torch.arange(3, 14)[None]
    given = {"decoder_input_ids": tokens} if name == "t5" else {}
    with torch.no_grad():
        theirs = model(input_ids=tokens, **given).logits
    ours = answers(name, load_named(f"{base}+{adapter}").model)
    assert torch.allclose(theirs, ours, atol=1e-4)


def test_what_cannot_go_out_is_told(tmp_path: Path) -> None:
    base, adapter = adapted(tmp_path, "tied")
    vectors = adapted(tmp_path, "tied", "tune.kind=prompt")[1]
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="is a bundle already"):
        export_model(str(base), "bundle", out)
    for to in ("hf", "gguf", "bundle"):
        with pytest.raises(ConfigError, match="learned vectors, which cannot be added"):
            export_model(f"{base}+{vectors}", to, out)
    with pytest.raises(UsageError, match="peft is given LoRA adapters only"):
        export_model(str(vectors), "peft", out)
    with pytest.raises(BundleError, match="holds no adapter"):
        export_model(str(base), "peft", out)
    with pytest.raises(ConfigError, match="is there already"):
        merge_bundle(f"{base}+{adapter}", base)
    assert not out.exists()


@pytest.mark.parametrize(
    ("licences", "whole"),
    [
        (["MIT", "MIT"], "MIT"),
        (["MIT AND ISC", "ISC", None], "ISC AND MIT AND NOASSERTION"),
        (["MIT OR ISC", "CC0-1.0"], "CC0-1.0 AND (MIT OR ISC)"),
        (["CC0-1.0 AND (MIT OR ISC)", "(MIT OR ISC)"], "CC0-1.0 AND (MIT OR ISC)"),
        (["(MIT AND ISC) OR CC0-1.0"], "((MIT AND ISC) OR CC0-1.0)"),
    ],
)
def test_licences_hold_together(licences: list[str | None], whole: str) -> None:
    assert joined_licences(licences) == whole


def test_joined_indexes_know_the_lines_of_both() -> None:
    first = TrainingIndex.build([f"line number {n} of the first" for n in range(3000)])
    other = TrainingIndex.build(["quite another one", "and one more of them"])
    both = first.joined(other)
    assert all(both.contains(f"line number {n} of the first") for n in range(3000))
    assert both.contains("quite another one")
    assert not both.contains("line number 3000 of the first")
    assert both.longest_copy("he said: and one more of them!")[0] == len("andonemoreofthem")
    with pytest.raises(BundleError, match="cannot be joined"):
        first.joined(TrainingIndex.build(["a b c"], unit="word"))


def test_the_command_line_gives_sums_out(call: Call, tmp_path: Path) -> None:
    base, adapter = adapted(tmp_path, "tied")
    made = call("export", f"{base}+{adapter}:0.5", "--to", "bundle", "-o", "merged", "--json")
    assert made.json == {"path": "merged", "format": "bundle"}
    said = call("generate", "merged", "the moon", "--set", "sampling.maximum_tokens=3")
    assert said.code == 0, said.err
    refused = call("export", str(base), "--to", "pdf", "-o", "x")
    assert "there are: hf, gguf, bundle, peft" in refused.error
