"""The fields of BERT and T5, read into and written from our configs."""

from __future__ import annotations

import math
from typing import Any

from wenfang.interop.causal import ACTIVATION_NAMES, ACTIVATIONS, HEAD, TIED, asked_to_tie
from wenfang.interop.names import Names
from wenfang.interop.settings import Settings
from wenfang.models import bert, seq2seq

WORDS = "bert.embeddings.word_embeddings.weight"
WORD_HEAD, WORD_BIAS = "cls.predictions.decoder.weight", "cls.predictions.bias"
SHARED = "shared.weight"
CONTEXT = 512  # tokens of a T5 whose config does not say how many; its positions know no end


def read_bert(settings: Settings, names: Names) -> bert.Config:
    """BERT with whichever of its heads the folder has."""
    settings.only("position_embedding_type", "absolute")
    settings.only("is_decoder", False)
    settings.only("add_cross_attention", False)
    settings.only("type_vocab_size", bert.SEGMENTS)
    settings.only("pad_token_id", bert.PADDING_ID)
    settings.only("problem_type", None, "single_label_classification")
    names.drop_copy(WORD_HEAD, of=WORDS)
    names.drop_copy("cls.predictions.decoder.bias", of=WORD_BIAS)
    dropout = settings.real("hidden_dropout_prob", 0.1, most=0.99)
    classes = names.rows("classifier.weight") if names.has("classifier.weight") else 0
    activation = settings.only("hidden_act", "gelu", *ACTIVATIONS)
    return bert.Config(
        vocabulary_size=settings.whole("vocab_size", "vocabulary_size"),
        width=settings.whole("hidden_size", "width"),
        layers=settings.whole("num_hidden_layers", "layers"),
        heads=settings.whole("num_attention_heads", "heads"),
        hidden_width=settings.whole("intermediate_size", "hidden_width"),
        context=settings.whole("max_position_embeddings", "context"),
        classes=classes,
        dropout=dropout,
        norm_epsilon=settings.real("layer_norm_eps", 1e-12, most=1),
        activation=ACTIVATIONS[activation],  # type: ignore[arg-type]
        pooled=names.has("bert.pooler.dense.weight"),
        word_head=bool(classes) or names.has("cls.predictions.transform.dense.weight"),
        sentence_head=bool(classes) or names.has("cls.seq_relationship.weight"),
    )


def _bert_kind(config: bert.Config) -> str:
    if config.classes:
        return "BertForSequenceClassification"
    if config.word_head:
        return "BertForPreTraining" if config.sentence_head else "BertForMaskedLM"
    return "BertForNextSentencePrediction" if config.sentence_head else "BertModel"


def write_bert(config: bert.Config) -> dict[str, Any]:
    """The fields of BERT."""
    names = {str(index): f"LABEL_{index}" for index in range(config.classes)}
    labels = {"id2label": names, "label2id": {v: int(k) for k, v in names.items()}}
    return {
        "architectures": [_bert_kind(config)],
        "model_type": "bert",
        "vocab_size": config.vocabulary_size,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.hidden_width,
        "max_position_embeddings": config.context,
        "type_vocab_size": bert.SEGMENTS,
        "hidden_act": ACTIVATION_NAMES[config.activation],
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": config.norm_epsilon,
        "pad_token_id": bert.PADDING_ID,
        TIED: True,
        **(labels if config.classes else {}),
    }


def read_seq2seq(settings: Settings, names: Names) -> seq2seq.Config:
    """T5 1.0 and 1.1."""
    settings.only("is_encoder_decoder", True)
    settings.only("pad_token_id", 0)
    settings.only("decoder_start_token_id", 0)
    for stack in ("encoder", "decoder"):
        names.drop_copy(f"{stack}.embed_tokens.weight", of=SHARED)
    layers = settings.whole("num_layers", "layers")
    width, head_width = settings.whole("d_model", "width"), settings.whole("d_kv", "head_width")
    config = seq2seq.Config(
        vocabulary_size=settings.whole("vocab_size", "vocabulary_size"),
        width=width,
        encoder_layers=layers,
        decoder_layers=settings.whole("num_decoder_layers", "layers", layers),
        heads=settings.whole("num_heads", "heads"),
        head_width=head_width,
        hidden_width=settings.whole("d_ff", "hidden_width"),
        feed_forward=settings.only("feed_forward_proj", "relu", "gated-gelu"),
        position_buckets=settings.whole("relative_attention_num_buckets", "context", 32),
        position_distance=settings.whole("relative_attention_max_distance", "context", 128),
        context=settings.whole("n_positions", "context", CONTEXT),
        norm_epsilon=settings.real("layer_norm_epsilon", 1e-6, most=1),
        tied_head=_t5_head(settings, names, width),
        dropout=settings.real("dropout_rate", 0.1, most=0.99),
    )
    for name in names.theirs:
        if name.endswith("Attention.q.weight"):
            names.factors[name] = query_factor(config)
    return config


def query_factor(config: seq2seq.Config) -> float:
    """Our queries over T5's, which has the division by this root in its weights."""
    return math.sqrt(config.head_width)


def _t5_head(settings: Settings, names: Names, width: int) -> bool:
    """Whether the head is the table, and shortened as ours is then.

    T5 shortens the stream before the head where the config does not say that the head is untied;
    which weights the head has is another question in transformers 5. What we have not is folded
    into a head of its own.
    """
    said = settings.record.get("scale_decoder_outputs")
    shortens = said if isinstance(said, bool) else asked_to_tie(settings) is not False
    tied = names.tie(HEAD, SHARED, True)
    if shortens == tied:
        return tied
    if tied:  # and not shortened
        names.theirs[HEAD] = names.theirs.get(SHARED, SHARED)
    else:
        names.factors[HEAD] = width**-0.5
    return False


def write_seq2seq(config: seq2seq.Config) -> dict[str, Any]:
    """The fields of T5."""
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "is_encoder_decoder": True,
        "vocab_size": config.vocabulary_size,
        "d_model": config.width,
        "d_kv": config.head_width,
        "d_ff": config.hidden_width,
        "num_layers": config.encoder_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.heads,
        "feed_forward_proj": config.feed_forward,
        "relative_attention_num_buckets": config.position_buckets,
        "relative_attention_max_distance": config.position_distance,
        "n_positions": config.context,
        "layer_norm_epsilon": config.norm_epsilon,
        "dropout_rate": config.dropout,
        "pad_token_id": 0,
        "decoder_start_token_id": 0,
        TIED: config.tied_head,
    }
