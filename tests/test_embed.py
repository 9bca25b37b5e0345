"""Vectors of sentences and words: places, lengths, batches, long texts, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

import wenfang as wf
from conftest import Call
from tiny_encoder import SENTENCES, TRANSLATIONS, build_encoder
from wenfang.backends.embedder import Embedder, batches_by_length
from wenfang.data.masked import MASKED
from wenfang.data.word_spans import fold, words_of
from wenfang.errors import BriefError, BundleError
from wenfang.models import bert
from wenfang.models.load import Loaded, load
from wenfang.models.pooling import mean_of, unit_mean
from wenfang.tokenizer import Tokenizer, train_bytes

Bundle = Path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def embedder(bundle: Bundle) -> Embedder:
    return Embedder(load(bundle))


def close(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one - other).max() < 1e-5)


def test_a_mean_is_that_of_the_chosen_tokens() -> None:
    hidden = torch.arange(24.0).reshape(2, 4, 3)
    chosen = torch.tensor([[False, True, True, False], [False] * 4])
    assert mean_of(hidden, chosen).tolist() == [[4.5, 5.5, 6.5], [0.0, 0.0, 0.0]]
    assert float(unit_mean(hidden, chosen)[0].norm()) == pytest.approx(1)
    assert not bool(unit_mean(hidden, chosen).isnan().any())


def test_a_text_has_one_vector_alone_and_among_others(embedder: Embedder) -> None:
    texts = [*SENTENCES, "Tom", "猫", "Tom likes tea. " * 3]
    together = embedder.embed(texts)
    assert together.vectors.shape == (len(texts), embedder.width)
    assert together.vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(together.vectors, axis=1), 1, atol=1e-5)
    for number, text in enumerate(texts):
        assert close(embedder.embed([text]).vectors[0], together.vectors[number])
    turned = embedder.embed(texts[::-1])
    assert close(turned.vectors[::-1], together.vectors)


def test_a_vector_is_the_mean_of_the_words_between_the_marks(embedder: Embedder) -> None:
    text = "Tom reads a book."
    ids = MASKED.marked(MASKED.words(text, embedder.tokenizer), embedder.tokenizer)
    with torch.no_grad():
        hidden = embedder.model.hidden(torch.tensor([ids]))[0, 1:-1]
    expected = hidden.mean(0) / hidden.mean(0).norm()
    assert close(embedder.embed([text]).vectors[0], expected.numpy())


def test_case_width_and_spaces_do_not_matter(embedder: Embedder) -> None:
    one, other = embedder.embed(["Tom likes tea.", "  ＴＯＭ  likes\ttea. "]).vectors
    assert close(one, other)


def test_a_long_text_is_read_in_pieces_and_none_is_left_out(embedder: Embedder) -> None:
    sentences = [f"The cat reads a book {number}. " for number in range(30)]
    whole = "".join(sentences)
    found = embedder.embed([whole, "猫"])
    assert found.windows.tolist() == [found.windows[0], 1]
    assert found.windows[0] > 3
    for place in (0, 15, 29):
        changed = [*sentences[:place], "Mary lives in Japan. ", *sentences[place + 1 :]]
        other = embedder.embed(["".join(changed)]).vectors[0]
        assert np.abs(other - found.vectors[0]).max() > 1e-6
    # Two pieces that are alike weigh as one.
    room = "ab " * 200
    assert embedder.embed([room]).windows[0] > 1


def test_a_long_text_is_told(bundle: Bundle) -> None:
    with pytest.warns(UserWarning, match=r"1 of 2 texts are longer than the 32 tokens"):
        wf.embed(["Tom likes tea. " * 30, "Tom"], str(bundle))
    with pytest.warns(UserWarning, match="read in pieces"):
        wf.embed(["Tom likes tea. " * 30], str(bundle), words=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wf.embed(["Tom"], str(bundle))


def test_words_stand_where_they_are_said_to_stand(embedder: Embedder) -> None:
    texts = ["Tom's  cat\nＬＩＫＥＳ tea, 茶!", "“我的朋友” reads 10 books…", "?!"]
    found = embedder.words(texts)
    for text, own in zip(texts, found, strict=True):
        assert [text[first:end] for first, end in own.spans] == list(own.words)
        assert own.vectors.shape == (len(own.words), embedder.width)
        assert own.spans.shape == (len(own.words), 2)
    assert found[0].words[:4] == ("Tom's", "cat", "ＬＩＫＥＳ", "tea")
    assert "".join(found[0].words[4:]) == "茶"
    assert "".join(found[1].words[:-3]) == "我的朋友"
    assert found[1].words[-3:] == ("reads", "10", "books")
    assert found[2].words == ()


def test_a_words_vector_is_the_mean_of_its_tokens(embedder: Embedder) -> None:
    text = "Mary lives in Japan"
    ids = MASKED.words(text, embedder.tokenizer)
    with torch.no_grad():
        row = MASKED.marked(ids, embedder.tokenizer)
        hidden = embedder.model.hidden(torch.tensor([row]))[0, 1:-1].numpy()
    _, words = words_of(fold(text), embedder.tokenizer)
    (own,) = embedder.words([text])
    assert [place for word in words for place in word.tokens] == list(range(len(ids)))
    for word, vector in zip(words, own.vectors, strict=True):
        mean = hidden[word.tokens.start : word.tokens.stop].mean(0)
        assert close(vector, mean / np.linalg.norm(mean))


def test_words_of_a_long_text_are_all_there(embedder: Embedder) -> None:
    text = " ".join(f"word{number}" for number in range(60)) + " " + "x7q" * 40
    (own,) = embedder.words([text])
    assert own.words == tuple(text.split())
    assert own.windows > 3
    assert np.allclose(np.linalg.norm(own.vectors, axis=1), 1, atol=1e-5)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_words_of_any_text_lie_in_it_one_after_another(text: str) -> None:
    folded = fold(text)
    assert len(folded.text) == len(folded.places)
    ids, words = words_of(folded, LETTERS)
    assert len(ids) >= sum(len(word.tokens) for word in words)
    end = token = first = 0
    for word in words:
        # A mark that stands for several words, as ㏂ for "a.m.", is the place of each of them.
        assert 0 <= word.first < word.end <= len(text)
        assert word.first >= first
        assert word.end >= end
        assert token <= word.tokens.start < word.tokens.stop <= len(ids)
        first, end, token = word.first, word.end, word.tokens.stop


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="gb2312"), max_size=40))
def test_text_folded_by_pieces_is_text_folded_whole(text: str) -> None:
    assert fold(text).text == MASKED.plain(text)


LETTERS = train_bytes([*SENTENCES, *TRANSLATIONS], vocabulary_size=400)


def test_rows_of_like_length_go_together_and_none_is_lost() -> None:
    lengths = [3, 60, 5, 8000, 1, 60] + [2] * 300
    batches = batches_by_length(lengths)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert max(map(len, batches)) <= 128
    assert all(len(b) * max(lengths[i] for i in b) <= 8192 for b in batches)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", "are a list of texts, not str"),
        (b"bytes", "not bytes"),
        (7, "not int"),
        (["a", None], "text 2 of those to embed is NoneType"),
        (["a", ""], "text 2 of those to embed is empty"),
        ([" \n\u3000"], "text 1 of those to embed is empty"),
    ],
)
@pytest.mark.parametrize("words", [False, True])
def test_what_is_no_list_of_texts_is_refused(
    texts: Any, message: str, words: bool, bundle: Bundle
) -> None:
    with pytest.raises(BriefError, match=message):
        wf.embed(texts, str(bundle), words=words)  # type: ignore[call-overload]


def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]).vectors.shape == (0, embedder.width)
    assert embedder.words([]) == []


def test_a_bundle_of_another_kind_is_refused() -> None:
    with pytest.raises(BundleError, match="verse is no encoder of texts"):
        wf.embed(["a"], "verse")


def loaded_with(tokenizer: Tokenizer, context: int = 32) -> Loaded:
    model = bert.Bert(
        replace(bert.PRESETS["tiny"], vocabulary_size=tokenizer.size, context=context)
    )
    model.initialise(torch.Generator().manual_seed(1))
    made = SimpleNamespace(model=model.eval(), tokenizer=tokenizer, name="made")
    return cast(Loaded, made)


def word_pieces(marks: Sequence[str]) -> Tokenizer:
    """A tokenizer as those of BERT are, which folds case by itself."""
    names = ["[PAD]", "[UNK]", *marks, "tea", "like", "##s", "tom", "茶", ".", "!"]
    inner = tokenizers.Tokenizer(
        models.WordPiece({name: place for place, name in enumerate(names)}, unk_token="[UNK]")
    )
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.add_special_tokens(["[PAD]", "[UNK]", *marks])
    return Tokenizer.from_json(inner.to_str())


def test_an_imported_bert_is_read_by_its_own_marks() -> None:
    embedder = Embedder(loaded_with(word_pieces(["[CLS]", "[SEP]"])))
    assert embedder.embed(["Tom likes tea.", "Tom likes tea!"]).vectors.shape == (2, 32)
    (own,) = embedder.words(["  Tom LIKES\u3000茶!"])
    assert own.words == ("Tom", "LIKES", "茶")
    assert own.spans.tolist() == [[2, 5], [6, 11], [12, 13]]
    assert embedder.embed(["tea " * 100]).windows.tolist() == [4]


def test_a_tokenizer_without_marks_and_a_context_without_room_are_refused() -> None:
    with pytest.raises(BundleError, match="neither <cls> and <sep>"):
        Embedder(loaded_with(word_pieces([])))
    with pytest.raises(BundleError, match="context of 2, no room"):
        Embedder(loaded_with(word_pieces(["[CLS]", "[SEP]"]), context=2))


def test_lines_become_a_file_of_vectors(call: Call, bundle: Bundle) -> None:
    Path("lines.txt").write_text("\ufeffTom likes tea.\n\n猫读书。\nMary\n", "utf-8")
    told = call("embed", "lines.txt", "--model", str(bundle), "-o", "vectors.npy")
    assert told.code == 0, told.err
    found = np.load("vectors.npy")
    assert close(found, wf.embed(["Tom likes tea.", "猫读书。", "Mary"], str(bundle)))
    assert "3 vectors of 32 numbers" in told.out


def test_the_nearest_lines_are_listed_nearest_first(call: Call, bundle: Bundle) -> None:
    Path("lines.txt").write_text("\n".join(SENTENCES), "utf-8")
    asked = ("embed", "lines.txt", "--model", str(bundle), "--nearest", SENTENCES[3])
    assert call(*asked, "-n", "2").out.splitlines()[0] == f"1.000  {SENTENCES[3]}"
    near = call(*asked, "--json").json["nearest"]
    assert near[0]["number"] == 3
    assert [one["likeness"] for one in near] == sorted((o["likeness"] for o in near), reverse=True)
    assert len(near) == 5


def test_vectors_that_are_not_saved_are_told(call: Call, bundle: Bundle) -> None:
    Path("lines.txt").write_text("Tom\n" + "Tom likes tea. " * 30, "utf-8")
    told = call("embed", "lines.txt", "--model", str(bundle), "--json").json
    assert np.array(told["vectors"]).shape == (2, told["dimensions"])
    assert told["read_in_pieces"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lines.txt is empty"),
        (b" \n\n", "lines.txt is empty"),
        (b"tea \xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_file_without_text_is_refused(
    call: Call, bundle: Bundle, content: bytes, message: str
) -> None:
    Path("lines.txt").write_bytes(content)
    told = call("embed", "lines.txt", "--model", str(bundle), "--json")
    assert told.code == 13
    assert message in told.error


def test_what_was_read_in_pieces_is_told_beside_the_answer(call: Call, bundle: Bundle) -> None:
    Path("lines.txt").write_text("Tom\n" + "Tom likes tea. " * 30, "utf-8")
    told = call("embed", "lines.txt", "--model", str(bundle), "-o", "vectors.npy")
    assert told.code == 0
    assert "1 of 2 texts are longer than the 32 tokens" in told.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("lines.txt", "-o", "vectors.txt"), 64, "saved as .npy, not as vectors.txt"),
        (("lines.txt", "--nearest", " "), 64, "the query is empty"),
        ((".", "--json"), 13, "cannot be read (Is a directory)"),
        (("missing.txt", "--json"), 13, "missing.txt cannot be read (No such file"),
    ],
)
def test_what_cannot_be_embedded_is_told_before_anything_is_written(
    call: Call, bundle: Bundle, arguments: tuple[str, ...], code: int, message: str
) -> None:
    Path("lines.txt").write_text("Tom\n", "utf-8")
    told = call("embed", *arguments, "--model", str(bundle))
    assert told.code == code
    assert message in told.error
    assert sorted(path.name for path in Path().iterdir()) == ["lines.txt"]


def test_a_command_that_asks_for_nothing_is_refused(call: Call) -> None:
    assert "--nearest" in call("embed", "lines.txt").error
    told = call("embed", "missing.txt", "--json")
    assert told.code != 0
    assert "missing.txt" in told.error
