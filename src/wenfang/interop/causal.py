"""The fields of GPT-2, Llama, Qwen2 and Qwen3, read into and written from our configs."""

from __future__ import annotations

from typing import Any

from wenfang.errors import BundleError
from wenfang.interop.names import Names
from wenfang.interop.settings import Settings
from wenfang.models import gpt, gpt2

TIED = "tie_word_embeddings"
HEAD, TABLE, GPT2_TABLE = "lm_head.weight", "model.embed_tokens.weight", "transformer.wte.weight"
ACTIVATIONS = {"gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "gelu": "gelu"}
ACTIVATION_NAMES = {"gelu-tanh": "gelu_new", "gelu": "gelu"}
QWEN3_HEAD_WIDTH = 128  # what transformers takes where the config says nothing


def read_gpt(settings: Settings, names: Names) -> gpt.Config:
    """Llama, Qwen2 or Qwen3."""
    kind = settings.record["model_type"]
    _refuse_gpt(settings, kind)
    width, heads = settings.whole("hidden_size", "width"), _heads(settings)
    usual = QWEN3_HEAD_WIDTH if kind == "qwen3" else max(1, width // heads)
    head_width = settings.whole("head_dim", "head_width", usual)
    return gpt.Config(
        vocabulary_size=settings.whole("vocab_size", "vocabulary_size"),
        width=width,
        layers=settings.whole("num_hidden_layers", "layers"),
        heads=heads,
        kv_heads=settings.whole("num_key_value_heads", "heads", heads),
        hidden_width=settings.whole("intermediate_size", "hidden_width"),
        context=settings.whole("max_position_embeddings", "context"),
        rotary_base=settings.rotary_base(),
        norm_epsilon=settings.real("rms_norm_eps", 1e-6, most=1),
        tied_head=names.tie(HEAD, TABLE, asked_to_tie(settings)),
        head_width=0 if head_width * heads == width else head_width,
        attention_bias=kind == "qwen2",
        query_key_norm=kind == "qwen3",
    )


def _refuse_gpt(settings: Settings, kind: str) -> None:
    settings.only("hidden_act", "silu")
    settings.only("mlp_bias", False)
    settings.only("pretraining_tp", 1)
    if kind == "llama":
        settings.only("sliding_window", None)
    if kind != "qwen2":  # there it would mean another bias, that of the output
        settings.only("attention_bias", False)
    settings.only("use_sliding_window", False)
    layers = settings.record.get("layer_types") or []
    kinds = layers if isinstance(layers, list) else [layers]
    for one in kinds:
        if one != "full_attention":
            raise BundleError(
                "{path}: {name} is {value}, which is not supported; supported: {allowed}",
                path=settings.path,
                name="layer_types",
                value=str(one)[:40],
                allowed="full_attention",
            )


def _heads(settings: Settings) -> int:
    return settings.whole("num_attention_heads", "heads")


def asked_to_tie(settings: Settings) -> bool | None:
    """What the config says of the head and the table of embeddings; None where it is silent."""
    if settings.record.get(TIED) is None:
        return None
    return bool(settings.only(TIED, True, False))


def gpt_kind(config: gpt.Config) -> str:
    """The `model_type` that computes what `config` does; BundleError where none does."""
    if config.attention_bias and config.query_key_norm:
        raise BundleError(
            "a model with both attention_bias and query_key_norm has no counterpart elsewhere; "
            "it cannot be exported"
        )
    if config.width % config.heads:
        raise BundleError(
            "a model whose width {width} is no multiple of its {heads} heads has no counterpart "
            "elsewhere; it cannot be exported",
            width=config.width,
            heads=config.heads,
        )
    if config.attention_bias:
        return "qwen2"
    return "qwen3" if config.query_key_norm else "llama"


def write_gpt(config: gpt.Config) -> dict[str, Any]:
    """The fields of Llama, Qwen2 or Qwen3."""
    kind = gpt_kind(config)
    name = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[kind]
    return {
        "architectures": [f"{name}ForCausalLM"],
        "model_type": kind,
        "vocab_size": config.vocabulary_size,
        "hidden_size": config.width,
        "intermediate_size": config.hidden_width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.key_width,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_epsilon,
        "rope_theta": config.rotary_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rotary_base},
        "attention_dropout": 0.0,
        TIED: config.tied_head,
        **({"attention_bias": False} if kind != "qwen2" else {}),
        **({"mlp_bias": False} if kind == "llama" else {"use_sliding_window": False}),
    }


def read_gpt2(settings: Settings, names: Names) -> gpt2.Config:
    """GPT-2."""
    settings.only("scale_attn_weights", True)
    settings.only("scale_attn_by_inverse_layer_idx", False)
    settings.only("add_cross_attention", False)
    width = settings.whole("n_embd", "width")
    return gpt2.Config(
        vocabulary_size=settings.whole("vocab_size", "vocabulary_size"),
        width=width,
        layers=settings.whole("n_layer", "layers"),
        heads=settings.whole("n_head", "heads"),
        hidden_width=settings.whole("n_inner", "hidden_width", 4 * width),
        context=settings.whole("n_positions", "context"),
        activation=ACTIVATIONS[settings.only("activation_function", *ACTIVATIONS)],  # type: ignore[arg-type]
        norm_epsilon=settings.real("layer_norm_epsilon", 1e-5, most=1),
        tied_head=names.tie(HEAD, GPT2_TABLE, asked_to_tie(settings)),
    )


def write_gpt2(config: gpt2.Config) -> dict[str, Any]:
    """The fields of GPT-2."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocabulary_size,
        "n_embd": config.width,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": config.hidden_width,
        "n_positions": config.context,
        "activation_function": ACTIVATION_NAMES[config.activation],
        "layer_norm_epsilon": config.norm_epsilon,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        TIED: config.tied_head,
    }
