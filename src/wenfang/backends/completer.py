"""A local encoder-decoder asked for one text: the best by beam search, or drawn by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wenfang.backends.pairwriter import PairWriter
from wenfang.backends.translator import BundleInterpreter
from wenfang.data.layouts import PairLayout
from wenfang.data.translation import Language, language_of
from wenfang.data.venue import VenueLayout, parse_facts, write_facts
from wenfang.errors import BriefError
from wenfang.language import keyed
from wenfang.models.load import Loaded
from wenfang.samplers.beam import Beam
from wenfang.samplers.tokens import Sampling
from wenfang.tokenizer import Tokenizer

LAYOUTS = ("pairs", "venue", "translation")


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """Settings of `generate` for a model that answers a prompt.

    sampling  a temperature of 0 searches with `beam` instead; then every seed gives the same
    """

    sampling: Sampling = Sampling(temperature=0.0, maximum_tokens=128)
    beam: Beam = Beam()


class Completer:
    """Answers a prompt with one loaded bundle of pairs.

    A bundle of the layout `venue` is asked with facts, `name[Blue Spice], eatType[pub]`; one of
    `translation` with a sentence, whose script tells the direction.

    raises BundleError for a bundle of another kind
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.pairs = PairWriter(loaded, LAYOUTS)
        self.tokenizer: Tokenizer = self.pairs.tokenizer

    def unmarked(self, options: PairOptions) -> str:
        """Why a text made so carries no watermark, as a message template."""
        if options.sampling.temperature == 0:
            return keyed("a text without chance in it holds no watermark")
        return keyed("the model's tokens are not characters, and only those are marked")

    def complete(
        self, prompt: str, options: PairOptions, streams: Sequence[tuple[int | str, ...]]
    ) -> list[str]:
        """One answer for each counter of `streams`.

        raises BriefError for an empty prompt, one that is not what the layout reads, or too long
        """
        if not prompt.strip():
            raise BriefError("the prompt is empty; write what the model shall answer")
        if self.loaded.layout == "translation":
            return [self._translated(prompt)] * len(streams)
        source = self._source(prompt)
        if options.sampling.temperature == 0:
            (best,) = self.pairs.best([source], options.beam)
            return [self._text(best[0].tokens, prompt)] * len(streams)
        drawn = self.pairs.draw(source, options.sampling, streams)
        return [self._text(one.tokens, prompt) for one in drawn]

    def _source(self, prompt: str) -> list[int]:
        if self.loaded.layout == "venue":
            return VenueLayout().source(write_facts(parse_facts(prompt)), self.tokenizer)
        return PairLayout().source(prompt, self.tokenizer)

    def _text(self, tokens: Sequence[int], prompt: str) -> str:
        if self.loaded.layout == "venue":
            return VenueLayout().text(tokens, self.tokenizer, parse_facts(prompt))
        return self.tokenizer.decode(list(tokens)).strip()

    def _translated(self, sentence: str) -> str:
        interpreter = BundleInterpreter(self.loaded)
        into: Language = "en" if language_of(sentence) == "zh" else "zh"
        if not interpreter.fits(sentence, into):
            raise BriefError(
                "the sentence is too long for {model}; give one sentence, or a document to the "
                "scenario translate",
                model=self.loaded.name,
            )
        found = interpreter.render(sentence, into, {})
        if not found.whole:
            raise BriefError(
                "{model} found no whole translation of the sentence; say it more simply",
                model=self.loaded.name,
            )
        return found.text
