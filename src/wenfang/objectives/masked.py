"""Masked-language modelling and next-sentence prediction (Devlin et al. 2019, arXiv:1810.04805)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wenfang.models.bert import Bert
from wenfang.objectives import Batch, Loss
from wenfang.objectives.cross_entropy import cross_entropy

REPLACED, KEPT = 0.8, 0.1  # of the hidden words; the rest become words drawn at random
NOT_ASKED = -1


@dataclass(frozen=True, kw_only=True)
class Masked:
    """Mean negative log-likelihood in nats of words hidden anew each time that a text is seen.

    batch["tokens"]    (B, T) int64, filled up with 0
    batch["segments"]  (B, T) int64, optional
    batch["next"]      (B,) int64, optional: 0 where the second segment follows the first, 1 where
                       it does not, -1 where it is not asked; its loss in nats is added
    mask          the id that hides a word
    first_word    ids below it are padding and marks, which are never hidden nor drawn
    hidden_share  share of the words that are hidden
    gist_weight   how much it counts that the first token alone tells which words the text has
                  (Ma et al. 2024, arXiv:2401.11248), so that its vector stands for the whole
    """

    mask: int
    first_word: int
    vocabulary_size: int
    hidden_share: float = 0.15
    gist_weight: float = 0.0

    def __call__(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """The loss of an encoder on one batch."""
        assert isinstance(model, Bert)
        shown, hidden_words = self.hide(batch["tokens"], rng)
        hidden = model.hidden(shown, batch.get("segments"))
        logits = model.words(hidden[hidden_words])
        wanted = batch["tokens"][hidden_words]
        nll, _ = cross_entropy(logits, wanted)
        value = nll.sum() / max(len(wanted), 1)
        parts = {"words_nats": float(value.detach())}
        asked = batch.get("next")
        if asked is not None and bool((asked != NOT_ASKED).any()):
            answers = model.next_sentence(hidden)
            loss = functional.cross_entropy(answers, asked, ignore_index=NOT_ASKED)
            parts["next_nats"] = float(loss.detach())
            value = value + loss
        if self.gist_weight:
            gist = self.gist(model, hidden, batch["tokens"])
            parts["gist_nats"] = float(gist.detach())
            value = value + self.gist_weight * gist
        return Loss(value=value, parts=parts)

    def gist(self, model: Bert, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Mean nats of a word of a text, told from the text's first vector: hidden (B, T, D)."""
        chances = model.words(hidden[:, 0]).log_softmax(1).gather(1, tokens)
        words = tokens >= self.first_word
        return -chances[words].sum() / max(int(words.sum()), 1)

    def hide(self, tokens: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """What the model is shown of `tokens` (B, T), and (B, T) bool, which words it must tell.

        Of the hidden words 80 % are replaced by the mask, 10 % by a word drawn at random, and
        10 % stay, so that the model cannot trust the others.
        """
        words = tokens >= self.first_word
        hidden = words & (torch.rand(tokens.shape, generator=rng) < self.hidden_share)
        if not bool(hidden.any()) and bool(words.any()):
            hidden[tuple(words.nonzero()[0].tolist())] = True
        fate = torch.rand(tokens.shape, generator=rng)
        drawn = torch.randint(self.first_word, self.vocabulary_size, tokens.shape, generator=rng)
        other = torch.where(fate < REPLACED, torch.full_like(tokens, self.mask), drawn)
        shown = torch.where(hidden & (fate < 1 - KEPT), other, tokens)
        return shown, hidden

    def weight(self, batch: Batch) -> float:
        """Number of words, of which a share is hidden."""
        return float((batch["tokens"] >= self.first_word).sum())
