"""Tournament sampling as a logits step: a watermark that leaves the distribution as it is.

SynthID-Text (Dathathri et al. 2024), the two-candidate tournament in closed form: with g the bits
of one layer, p becomes p * (1 + g - sum p g), layer after layer. Averaged over keys that is p
again. A context that a sample has met before is left alone, else repetition would grow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wenfang.media.text_marks import CONTEXT, KEY, LAYERS, Codes, bits, context_code, token_codes


class TournamentStep:
    """The last logits step of a draw, for one batch of samples.

    texts  (V,) what each token says
    """

    def __init__(self, texts: Sequence[str], key: bytes = KEY) -> None:
        self._codes = token_codes(texts, key)
        self._met: list[set[int]] = []

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """logits (B, V) as they would be drawn from, drawn (B, t) -> logits (B, V)."""
        if drawn.shape[1] == 0:
            self._met = [set() for _ in range(len(drawn))]
        if drawn.shape[1] < CONTEXT:
            return logits
        last = self._codes[drawn[:, -CONTEXT:].numpy()]
        contexts = context_code(last)
        assert len(contexts) == len(self._met), "a step serves one batch"
        marked = logits.clone()
        for row, context in enumerate(contexts.tolist()):
            if context not in self._met[row]:
                self._met[row].add(context)
                marked[row] = self._leaned(logits[row], contexts[row : row + 1])
        return marked

    def _leaned(self, logits: Tensor, context: Codes) -> Tensor:
        probability = logits.double().softmax(-1).numpy()
        possible = np.flatnonzero(probability)
        share = probability[possible]
        leans = bits(context, self._codes[possible])
        for layer in range(LAYERS):
            bit = leans[:, layer]
            share = share * (1 + bit - share @ bit)
        leaned = torch.full_like(logits, -torch.inf)
        left = share > 0  # a token may lose every round
        chosen = torch.from_numpy(possible[left])
        leaned[chosen] = torch.from_numpy(np.log(share[left])).to(logits.dtype)
        return leaned
