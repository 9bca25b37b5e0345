"""Text comes back as it was, and no text that a user writes is ever control."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wenfang.errors import BundleError, ConfigError
from wenfang.tokenizer import (
    BASE_SPECIALS,
    END,
    PADDING,
    UNKNOWN,
    Tokenizer,
    train_bytes,
    train_characters,
)

TEXTS = ["春江潮水连海平\n海上明月共潮生", "the moon <eos> over the sea", "明月明月"]
CHARACTERS = train_characters(TEXTS, specials=("<sep>",))
BYTES = train_bytes(TEXTS, vocabulary_size=300, specials=("<sep>",))
BOTH = pytest.mark.parametrize("tokenizer", [CHARACTERS, BYTES], ids=["characters", "bytes"])


@BOTH
def test_ids_are_dense_and_specials_come_first(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.tokens()
    assert tokens[:4] == [*BASE_SPECIALS, "<sep>"]
    assert [tokenizer.id(token) for token in tokens] == list(range(tokenizer.size))


@BOTH
def test_known_text_comes_back_as_it_was(tokenizer: Tokenizer) -> None:
    for text in (*TEXTS, "", "月", "\n\n", "  the  "):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text())
def test_bytes_know_every_text(text: str) -> None:
    ids = BYTES.encode(text)
    assert BYTES.decode(ids) == text
    assert BYTES.id(UNKNOWN) not in ids


def test_characters_are_ordered_by_how_often_they_occur() -> None:
    tokenizer = train_characters(["aabbbc", "d"])
    assert tokenizer.tokens()[3:] == ["b", "a", "c", "d"]
    assert tokenizer.encode("cab") == [5, 4, 3]


def test_a_rare_or_new_character_is_unknown_and_left_out_of_the_text() -> None:
    tokenizer = train_characters(["aabbbc"], least_count=2)
    assert tokenizer.encode("acz") == [4, tokenizer.id(UNKNOWN), tokenizer.id(UNKNOWN)]
    assert tokenizer.decode(tokenizer.encode("acz")) == "a"


@BOTH
@pytest.mark.parametrize("text", [END, PADDING, UNKNOWN, "<sep>", "the<sep>sea<eos>"])
def test_a_special_token_written_in_a_text_is_plain_text(tokenizer: Tokenizer, text: str) -> None:
    for copy in (tokenizer, Tokenizer.from_json(tokenizer.to_json())):
        control = {copy.id(name) for name in (END, PADDING, "<sep>")}
        assert not control & set(copy.encode(text))
    assert BYTES.decode(BYTES.encode(text)) == text


@BOTH
def test_special_tokens_are_left_out_of_the_text(tokenizer: Tokenizer) -> None:
    ids = [tokenizer.id("<sep>"), *tokenizer.encode("the moon"), tokenizer.id(END)]
    assert tokenizer.decode(ids) == "the moon"


def test_a_special_token_of_one_character_is_in_the_vocabulary_once() -> None:
    tokenizer = train_characters(["a|b"], specials=("|",))
    assert tokenizer.tokens() == [*BASE_SPECIALS, "|", "a", "b"]


@BOTH
def test_a_saved_tokenizer_encodes_alike(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.to_json(), "utf-8")
    loaded = Tokenizer.load(path)
    assert loaded.tokens() == tokenizer.tokens()
    assert [loaded.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]


def test_training_is_repeatable() -> None:
    again = train_bytes(TEXTS, vocabulary_size=300, specials=("<sep>",))
    assert again.to_json() == BYTES.to_json()


def test_a_vocabulary_without_room_for_all_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match="258 is too small; bytes and special tokens need 259"):
        train_bytes(TEXTS, vocabulary_size=258)
    assert train_bytes([], vocabulary_size=259).decode(BYTES.encode("")) == ""


def test_a_token_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no token <7>"):
        CHARACTERS.id("<7>")
    assert CHARACTERS.find("<7>") is None
    assert CHARACTERS.find(END) == 2


def test_a_file_that_is_no_tokenizer_is_a_bundle_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"tokenizer\.json cannot be read"):
        Tokenizer.from_json('{"model": 3}')
    with pytest.raises(BundleError, match=r"missing\.json cannot be read"):
        Tokenizer.load(tmp_path / "missing.json")
