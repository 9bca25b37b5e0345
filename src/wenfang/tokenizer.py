"""Text to numbers and back: characters, or byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909).

Both are saved as one `tokenizer.json` of the `tokenizers` library, which trains and runs them, so
other programs can read them too. Special tokens are written with angle brackets, as `<eos>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from wenfang.errors import BundleError, ConfigError

UNKNOWN = "<unk>"
PADDING = "<pad>"
END = "<eos>"
BEGIN = "<bos>"
BASE_SPECIALS = (PADDING, UNKNOWN, END)


class Tokenizer:
    """A vocabulary with an encoder and a decoder. Ids are dense from 0; specials come first.

    roles  for a foreign vocabulary: our names of special tokens to those that it has
    """

    def __init__(self, inner: tokenizers.Tokenizer, roles: Mapping[str, str] | None = None) -> None:
        self._inner = inner
        self.roles = dict(roles or {})
        self.size = inner.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; special tokens written in it are plain text, never control."""
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of `text`, and of each the characters that it stands for: [first, end).

        Where a character is several tokens, each of them tells the whole of it.
        """
        found = self._inner.encode(text, add_special_tokens=False)
        return list(found.ids), [(int(first), int(end)) for first, end in found.offsets]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens left out."""
        return str(self._inner.decode(list(ids), skip_special_tokens=True))

    def id(self, token: str) -> int:
        """The id of one token; ConfigError if the vocabulary does not hold it."""
        found = self.find(token)
        if found is None:
            raise ConfigError("the vocabulary has no token {token}", token=token)
        return found

    def find(self, token: str) -> int | None:
        """The id of one token, or None; a token that does what `token` says stands in for it."""
        found = self._inner.token_to_id(token)
        if found is None and token in self.roles:
            found = self._inner.token_to_id(self.roles[token])
        return None if found is None else int(found)

    def token(self, index: int) -> str:
        """The token of one id."""
        return str(self._inner.id_to_token(index))

    def tokens(self) -> list[str]:
        """Every token, by id."""
        return [self.token(index) for index in range(self.size)]

    def to_json(self) -> str:
        """The content of `tokenizer.json`."""
        return str(self._inner.to_str())

    @classmethod
    def from_json(cls, text: str, roles: Mapping[str, str] | None = None) -> Tokenizer:
        """Read the content of a `tokenizer.json`."""
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise BundleError("tokenizer.json cannot be read: {reason}", reason=error) from None
        # Text that a user writes must never turn into a control token.
        inner.encode_special_tokens = True
        return cls(inner, roles)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a `tokenizer.json` file; raises BundleError if it is missing or not one."""
        try:
            text = path.read_text("utf-8")
        except (FileNotFoundError, UnicodeDecodeError) as error:
            raise BundleError("{path} cannot be read: {reason}", path=path, reason=error) from None
        return cls.from_json(text)


def train_characters(
    texts: Iterable[str], *, specials: Sequence[str] = (), least_count: int = 1
) -> Tokenizer:
    """One token a character, ordered by frequency; rarer than `least_count` becomes <unk>."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    names = [*BASE_SPECIALS, *specials]
    ordered = sorted(counts, key=lambda character: (-counts[character], character))
    kept = [c for c in ordered if counts[c] >= least_count and c not in names]
    vocabulary = {token: index for index, token in enumerate([*names, *kept])}
    inner = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    inner.add_special_tokens(names)
    return Tokenizer.from_json(inner.to_str())


def train_bytes(
    texts: Iterable[str], *, vocabulary_size: int, specials: Sequence[str] = ()
) -> Tokenizer:
    """Byte-level BPE with all 256 bytes in the alphabet, so that no text is unknown.

    raises ConfigError if `vocabulary_size` leaves no room for bytes and special tokens
    """
    names = [*BASE_SPECIALS, *specials]
    if vocabulary_size < 256 + len(names):
        raise ConfigError(
            "vocabulary_size {size} is too small; bytes and special tokens need {least}",
            size=vocabulary_size,
            least=256 + len(names),
        )
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=names,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return Tokenizer.from_json(inner.to_str())
