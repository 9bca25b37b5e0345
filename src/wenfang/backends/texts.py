"""Texts drawn from a local model as they are asked for: held to constraints, cut, and told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from wenfang.device import NoiseStream
from wenfang.errors import BriefError, CheckError
from wenfang.samplers.beam import Hypothesis
from wenfang.samplers.constraints import Constraints, Watch, cut_at, require_stops
from wenfang.samplers.tokens import Drawn, LogitsStep, Predict, Sampling, sample
from wenfang.tokenizer import END, Tokenizer

if TYPE_CHECKING:
    from wenfang.samplers.grammar import ConstraintStep

PROMPT_CHARACTERS_MAX = 100_000
OnText = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How texts are drawn.

    stop     texts that end a text; they are not part of it
    on_text  is told each piece of the first text as it comes
    ends     tokens that end a text, beside the tokenizer's own
    """

    sampling: Sampling
    constraints: Constraints = Constraints()
    stop: tuple[str, ...] = ()
    on_text: OnText | None = None
    ends: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """ConfigError for stops that nothing could end at."""
        require_stops(self.stop)


@dataclass(frozen=True, kw_only=True)
class Written:
    """One text.

    log_probabilities  of its tokens in nats, the model's own; those of a stop text may be among
                       them
    finish             "length": it was cut at sampling.maximum_tokens
    """

    text: str
    log_probabilities: tuple[float, ...]
    finish: Literal["stop", "length"]


class Drawer:
    """Draws texts of one tokenizer in one shape.

    raises ConfigError for constraints that cannot be met
    """

    def __init__(self, tokenizer: Tokenizer, shape: Shape) -> None:
        self._tokenizer, self._shape = tokenizer, shape
        self._constraint: ConstraintStep | None = None
        if shape.constraints.given:
            from wenfang.samplers.grammar import ConstraintStep

            self._constraint = ConstraintStep(
                shape.constraints, tokenizer, shape.sampling.maximum_tokens
            )

    @property
    def steps(self) -> list[LogitsStep]:
        """The constraints, for a search of another kind."""
        return [self._constraint] if self._constraint else []

    def draw(
        self,
        predict: Predict,
        prompt: Tensor,
        streams: Sequence[NoiseStream],
        watermark: LogitsStep | None = None,
    ) -> list[Written]:
        """One text for each row of `prompt` (B, P); CheckError where a constraint is not met."""
        shape = self._shape
        watch = Watch(self._tokenizer.decode, shape.stop, shape.on_text)
        drawn = sample(
            predict,
            prompt,
            streams,
            shape.sampling,
            steps=self.steps,
            watermark=watermark,
            stop=shape.ends | {self._tokenizer.id(END)},
            watch=watch if shape.stop or shape.on_text else None,
        )
        texts = [self.finished(one) for one in drawn]
        watch.close(texts[0].text if texts else "")
        return texts

    def finished(self, drawn: Drawn | Hypothesis) -> Written:
        """The text of some tokens, up to its stop; CheckError where a constraint is not met."""
        # A text that is cut may end within a character.
        whole = self._tokenizer.decode(drawn.tokens).rstrip("\ufffd")
        text, cut = cut_at(whole, self._shape.stop)
        if not cut:
            self._require_met(text, len(drawn.tokens))
        return Written(
            text=text,
            log_probabilities=tuple(drawn.log_probabilities[: len(drawn.tokens)]),
            finish="stop" if drawn.stopped or cut else "length",
        )

    def _require_met(self, text: str, count: int) -> None:
        if self._constraint and not self._constraint.met(text):
            raise CheckError(
                "after {count} tokens the text did not meet its constraints; raise "
                "sampling.maximum_tokens, bound what may be long, or try another seed",
                count=count,
            )


def require_prompt(prompt: str) -> None:
    """BriefError for a prompt longer than anything here can read."""
    if len(prompt) > PROMPT_CHARACTERS_MAX:
        raise BriefError(
            "the prompt has {count} characters; at most {most} are read; shorten it",
            count=len(prompt),
            most=PROMPT_CHARACTERS_MAX,
        )


def within(shape: Shape, room: int) -> Shape:
    """The same with no more tokens than there is room for."""
    most = min(shape.sampling.maximum_tokens, room)
    return replace(shape, sampling=replace(shape.sampling, maximum_tokens=most))
