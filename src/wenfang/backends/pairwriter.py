"""A local bundle that writes a completion for a prompt: any encoder-decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from wenfang.backends.texts import Drawer, Shape, Written, within
from wenfang.device import noise
from wenfang.errors import BriefError, BundleError
from wenfang.language import t
from wenfang.models.load import Loaded
from wenfang.models.seq2seq import Seq2Seq
from wenfang.samplers.beam import Beam, Hypothesis, beam_search
from wenfang.samplers.tokens import GuidedPredict, LogitsStep, Predict, Seq2SeqPredict
from wenfang.tokenizer import END, PADDING, Tokenizer

SOURCES_AT_ONCE = 32
OnDone = Callable[[int], None]


class PairWriter:
    """The model and tokenizer of a bundle that reads one sequence and writes another.

    raises BundleError for a bundle of another kind
    """

    def __init__(self, loaded: Loaded, layouts: Sequence[str]) -> None:
        fits = isinstance(loaded.model, Seq2Seq) and loaded.layout in layouts
        if not fits or loaded.tokenizer is None:
            raise BundleError(
                "{name} was trained for the layout {found}, not {layout}; choose another model",
                name=loaded.name,
                found=loaded.layout,
                layout=t(" or ").join(layouts),
            )
        assert isinstance(loaded.model, Seq2Seq)
        self.loaded = loaded
        self.model: Seq2Seq = loaded.model
        self.tokenizer: Tokenizer = loaded.tokenizer
        self.start, self.end = self.tokenizer.id(PADDING), self.tokenizer.id(END)

    def best(
        self,
        sources: Sequence[Sequence[int]],
        beam: Beam,
        steps: Sequence[LogitsStep] = (),
        on_done: OnDone = lambda count: None,
    ) -> list[list[Hypothesis]]:
        """`beam.count` hypotheses for each source, best first; sources of like length go together.

        raises BriefError where a source does not fit the model's context: nothing is cut
        """
        capacity = self._capacity(sources, beam.maximum_tokens)
        order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
        found: dict[int, list[Hypothesis]] = {}
        for first in range(0, len(order), SOURCES_AT_ONCE):
            chosen = order[first : first + SOURCES_AT_ONCE]
            predict = Seq2SeqPredict(self.model, [sources[index] for index in chosen], capacity)
            prompt = torch.full((len(chosen), 1), self.start, dtype=torch.int64)
            limited = Beam(
                beams=beam.beams,
                length_penalty=beam.length_penalty,
                maximum_tokens=capacity - 1,
                count=beam.count,
            )
            stop = frozenset({self.end})
            found |= dict(
                zip(
                    chosen,
                    beam_search(predict, prompt, limited, stop=stop, steps=steps),
                    strict=True,
                )
            )
            on_done(len(found))
        return [found[index] for index in range(len(sources))]

    def draw(
        self,
        source: Sequence[int],
        shape: Shape,
        streams: Sequence[tuple[int | str, ...]],
        against: Sequence[int] = (),
    ) -> list[Written]:
        """One text for each counter of `streams`, the same alone and together.

        against  the source that guidance moves away from
        raises   BriefError where a source does not fit the model's context
        """
        capacity = self._capacity([source, against], shape.sampling.maximum_tokens)
        prompt = torch.full((len(streams), 1), self.start, dtype=torch.int64)
        predict: Predict = Seq2SeqPredict(self.model, [source] * len(streams), capacity)
        if shape.sampling.guidance != 1:
            plain = Seq2SeqPredict(self.model, [against] * len(streams), capacity)
            predict = GuidedPredict(predict, plain, prompt, shape.sampling.guidance)
        drawer = Drawer(self.tokenizer, within(shape, capacity - 1))
        return drawer.draw(predict, prompt, [noise(int(first), *rest) for first, *rest in streams])

    def _capacity(self, sources: Sequence[Sequence[int]], maximum_tokens: int) -> int:
        """Room for a target, the decoder's start counted; BriefError if a source has none."""
        context = self.model.config.context
        longest = max((len(source) for source in sources), default=0)
        if longest > context:
            raise BriefError(
                "the prompt has {count} tokens; {model} reads at most {most}; shorten it",
                count=longest,
                model=self.loaded.name,
                most=context,
            )
        return min(maximum_tokens, context - 1) + 1
