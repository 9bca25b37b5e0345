"""A GPT with its cache, whose single tokens go through one compiled step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import torch
from torch import Tensor

from wenfang.models.decode.kernels import Array, Memory, Team, step
from wenfang.models.decode.packing import Precision, packed
from wenfang.models.gpt import GPT, Cache

# Rows of logits this much longer than the vocabulary do not fall on the same lines of the cache.
PADDING = 16


class CompiledPredict:
    """Logits of the next token; what is longer than one token goes through the plain model.

    Uses as many threads as torch does when it is made. Not for use by two threads at once.
    """

    def __init__(self, model: GPT, batch: int, capacity: int, precision: Precision) -> None:
        self._model = model
        self._packed = packed(model, precision)
        self._cache = model.new_cache(batch, capacity)
        self._threads = torch.get_num_threads()
        self._others = ThreadPoolExecutor(self._threads - 1) if self._threads > 1 else None
        self._memory = self._remember()

    @property
    def cache(self) -> Cache:
        """Keys and values of the tokens seen so far, in the plain model's form."""
        return self._cache

    def select(self, rows: Tensor) -> None:
        """Keep only `rows` of the batch."""
        self._cache.select(rows)
        self._memory = self._remember()

    @torch.no_grad()
    def __call__(self, tokens: Tensor) -> Tensor:
        """Logits after the last of tokens (B, t) -> (B, V)."""
        length = self._cache.length
        if tokens.shape[1] > 1 or not length:
            hidden = self._model.hidden(tokens, self._cache)
            return self._model.logits(hidden[:, -1])
        self._refuse(tokens, length)
        size = self._model.config.vocabulary_size
        logits = torch.empty(len(tokens), size + PADDING)
        self._step(tokens[:, 0].numpy(), logits.numpy(), length)
        self._cache.length += 1
        return logits[:, :size]

    def _step(self, tokens: np.ndarray, logits: np.ndarray, length: int) -> None:
        weights, scales, vectors = self._packed
        self._memory.arrived[0] = 0
        where = length, float(self._model.config.norm_epsilon)
        given = np.ascontiguousarray(tokens), weights, scales, vectors, self._memory, where
        threads = self._threads
        others = [
            self._others.submit(step, *given, Team(rank, threads), logits)
            for rank in range(1, threads)
            if self._others
        ]
        step(*given, Team(0, threads), logits)
        wait(others)

    def _refuse(self, tokens: Tensor, length: int) -> None:
        """Stop what would reach past an array: compiled code does not look."""
        self._model.check_room(length + 1)
        assert length < self._cache.keys.shape[3], "the cache is full"
        assert len(tokens) == self._cache.keys.shape[1], "one token a sample"
        if tokens.min() < 0 or tokens.max() >= self._model.config.vocabulary_size:
            raise IndexError("index out of range in self")

    def _remember(self) -> Memory:
        """The cache's arrays and room for what one part of a step hands to the next."""
        weights, config = self._packed[0], self._model.config
        batch = self._cache.keys.shape[1]

        def room(size: int) -> Array:
            return np.zeros((batch, size), np.float32)

        # Selected rows are views in another order of axes until they are made whole again.
        self._cache.keys = self._cache.keys.contiguous()
        self._cache.values = self._cache.values.contiguous()
        return Memory(
            keys=self._cache.keys.numpy(),
            values=self._cache.values.numpy(),
            mixed=room(weights.mix.shape[1]),
            read=room(weights.output.shape[2]),
            added=room(config.width),
            gates=room(config.hidden_width),
            ups=room(config.hidden_width),
            gated=room(config.hidden_width),
            arrived=np.zeros(1, np.int64),
        )
