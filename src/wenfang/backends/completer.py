"""A local encoder-decoder asked for one text: the best by beam search, or drawn by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wenfang.backends.copywriter import DRAWN_FOR_ONE, Copywriter
from wenfang.backends.pairwriter import PairWriter
from wenfang.backends.texts import Drawer, OnText, Shape, Written, require_prompt
from wenfang.backends.translator import BundleInterpreter
from wenfang.data.layouts import PairLayout
from wenfang.data.translation import Language, language_of
from wenfang.data.venue import parse_facts
from wenfang.errors import BriefError, CheckError, ConfigError
from wenfang.language import keyed
from wenfang.models.load import Loaded
from wenfang.samplers.beam import Beam
from wenfang.samplers.constraints import Constraints
from wenfang.samplers.tokens import Sampling
from wenfang.tokenizer import Tokenizer

LAYOUTS = ("pairs", "venue", "translation")


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """Settings of `generate` for a model that answers a prompt.

    sampling     a temperature of 0 searches with `beam` instead; then every seed gives the same
    stop         texts that end an answer; they are not part of it
    constraints  what an answer must be
    against      the prompt that sampling.guidance moves away from; empty: none at all
    """

    sampling: Sampling = Sampling(temperature=0.0, maximum_tokens=128)
    beam: Beam = Beam()
    stop: tuple[str, ...] = ()
    constraints: Constraints = Constraints()
    against: str = ""


class Completer:
    """Answers a prompt with one loaded bundle of pairs.

    A bundle of the layout `venue` is asked with facts, `name[Blue Spice], eatType[pub]`, and tells
    each of them; one of `translation` with a sentence, whose script tells the direction.

    raises BundleError for a bundle of another kind
    """

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.pairs = PairWriter(loaded, LAYOUTS)
        self.tokenizer: Tokenizer = self.pairs.tokenizer

    def unmarked(self, options: PairOptions) -> str:
        """Why a text made so carries no watermark, as a message template."""
        if options.sampling.greedy:
            return keyed("a text without chance in it holds no watermark")
        return keyed("the model's tokens are not characters, and only those are marked")

    def complete(
        self,
        prompt: str,
        options: PairOptions,
        streams: Sequence[tuple[int | str, ...]],
        on_text: OnText | None = None,
    ) -> list[Written]:
        """One answer for each counter of `streams`; on_text hears the first.

        raises BriefError for an empty prompt, one that is not what the layout reads, or too long;
               ConfigError for settings that the layout has no use for
        """
        require_prompt(prompt)
        if not prompt.strip():
            raise BriefError("the prompt is empty; write what the model shall answer")
        if self.loaded.layout == "pairs":
            return self._answers(prompt, options, streams, on_text)
        self._require_plain(options)
        if self.loaded.layout == "translation":
            texts = [self._translated(prompt)] * len(streams)
        else:
            texts = self._copies(prompt, options, streams)
        if on_text:
            on_text(texts[0].text)
        return texts

    def _answers(
        self,
        prompt: str,
        options: PairOptions,
        streams: Sequence[tuple[int | str, ...]],
        on_text: OnText | None,
    ) -> list[Written]:
        source, against = (PairLayout().source(one, self.tokenizer)
                           for one in (prompt, options.against))  # fmt: skip
        shape = Shape(sampling=options.sampling, constraints=options.constraints,
                      stop=options.stop, on_text=on_text)  # fmt: skip
        if options.sampling.temperature:
            drawn = self.pairs.draw(source, shape, streams, against)
            return [replace(one, text=one.text.strip()) for one in drawn]
        if options.sampling.guidance != 1:
            raise ConfigError(
                "sampling.guidance changes what is drawn; set sampling.temperature above 0"
            )
        drawer = Drawer(self.tokenizer, shape)
        (best,) = self.pairs.best([source], options.beam, drawer.steps)
        found = drawer.finished(best[0])
        found = replace(found, text=found.text.strip())
        if on_text:
            on_text(found.text)
        return [found] * len(streams)

    def _require_plain(self, options: PairOptions) -> None:
        """ConfigError for settings that only an answer in words of its own can keep."""
        given = {
            "constraints": options.constraints.given,
            "stop": bool(options.stop),
            "against": bool(options.against),
            "sampling.guidance": options.sampling.guidance != 1,
        }
        for name in (one for one in given if given[one]):
            raise ConfigError(
                "{setting} is not for {model}, whose texts are held to what they tell already; "
                "leave it out",
                setting=name,
                model=self.loaded.name,
            )

    def _copies(
        self, prompt: str, options: PairOptions, streams: Sequence[tuple[int | str, ...]]
    ) -> list[Written]:
        """Copy that tells every fact of the prompt, by the constraint of the copywriter."""
        facts = parse_facts(prompt)
        writer = Copywriter(self.loaded)
        if options.sampling.temperature:
            found = [
                next((copy for copy in writer.draw(facts, counters, options.sampling)
                      if not copy.untold), None)
                for counters in ([(*one, number) for number in range(DRAWN_FOR_ONE)]
                                 for one in streams)
            ]  # fmt: skip
        else:
            found = [*writer.best(facts, options.beam), None][:1] * len(streams)
        whole = [one for one in found if one]
        if len(whole) < len(streams):
            raise CheckError(
                "none of {count} drafts tells all of: {facts}; try another seed or fewer facts",
                count=len(streams),
                facts=prompt,
            )
        return [Written(text=one.text, log_probabilities=(), finish="stop") for one in whole]

    def _translated(self, sentence: str) -> Written:
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
        return Written(text=found.text, log_probabilities=(), finish="stop")
