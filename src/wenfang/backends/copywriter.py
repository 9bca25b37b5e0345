"""Copy for a venue by the bundle `copywriter`, held to its facts: all of them, and no others.

A constraint on the tokens (`FactStep`) refuses phrases of facts that were not given, and the end
of the text while one is untold. Several drafts are made, the likeliest one and random ones; they
are ranked by what they tell, how likely the model finds them, and how much they differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from wenfang.backends.pairwriter import PairWriter
from wenfang.backends.venue_lexicon import Lexicon, lexicon
from wenfang.data.venue import SLOTS, VenueLayout, copied_slots, slot_token, write_facts
from wenfang.device import noise
from wenfang.errors import CheckError, ConfigError
from wenfang.models.load import Loaded
from wenfang.samplers.beam import Beam, beam_search
from wenfang.samplers.tokens import Sampling, Seq2SeqPredict, sample
from wenfang.tokenizer import END, Tokenizer

LAYOUT = "venue"
BEAM = Beam(beams=5, length_penalty=1.0, maximum_tokens=100)
SAMPLING = Sampling(temperature=0.85, top_p=0.95, maximum_tokens=100)
DRAWN_FOR_ONE = 4  # random drafts drawn for each that is wanted
ALIKE = 0.6  # share of common word pairs above which two drafts are one
BEHIND_NATS = 0.4  # a draft this much less likely than the best, a token, is rarely sound
VARIETY_NATS = 0.5  # what being wholly unlike the chosen drafts is worth, in nats a token

CANDIDATES = 16  # tokens that are looked at for each row; the rest is refused unread
FLOOR_NATS = 7.0  # below the best allowed token, tokens are refused unread, too
TAIL_CHARACTERS = 64  # no banned phrase is longer
# A sentence that begins without the last one having ended: "Chinese food It is"; a capital that
# is none of a name; a word twice.
UNENDED = re.compile(
    r"[a-z0-9>,] (?:It|It'?s|There|They|Their|This|That|You|We|With|Near|In|At|For|The|A|An|Located"
    r"|And|Prices?|Customers?|On|By|If|Here|Is|Has) |[A-Za-z0-9>,] (?:Fast|Riverside|City)"
    r"|[.!?] [a-z]|[.,;!?] ?[.,;!?]|[.!?][A-Za-z]|\b(\w+) \1 "
)

OnDone = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A draft.

    log_probability_nats  of the model, mean of a token
    untold                slots that it does not tell, as far as the writer's own lexicon knows
    drawn                 False for the likeliest one that beam search found
    """

    text: str
    log_probability_nats: float
    untold: tuple[str, ...] = ()
    drawn: bool = True


class FactStep:
    """A constraint: no phrase of a fact that was not given, no end before all are told.

    All rows write for the same facts. A row that has no way to go on is all -inf, or, where it
    `may_give_up`, ends.
    """

    def __init__(
        self,
        words: Lexicon,
        tokenizer: Tokenizer,
        copied: Sequence[str],
        *,
        may_give_up: bool = False,
    ) -> None:
        self.words = words
        self.tokenizer = tokenizer
        self.end = tokenizer.id(END)
        self.may_give_up = may_give_up
        self.slots = {tokenizer.id(slot_token(slot)): slot_token(slot) for slot in copied}
        others = [slot_token(slot) for slot in SLOTS if slot not in copied]
        self.forbidden = [tokenizer.id(token) for token in others] + [0, 1]  # padding, unknown
        self.pieces = [tokenizer.decode([index]) for index in range(tokenizer.size)]
        self.known: dict[tuple[str, int, tuple[str, ...]], bool] = {}

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """(B, V) logits after (B, t) tokens, what is refused at -inf."""
        logits = logits.clone()
        logits[:, self.forbidden] = -torch.inf
        kept = torch.full_like(logits, -torch.inf)
        values, ids = logits.topk(min(CANDIDATES, logits.shape[1]), dim=1)
        for row, tokens in enumerate(drawn.tolist()):
            allowed = self._allowed(tokens, values[row].tolist(), ids[row].tolist())
            if not allowed and self.may_give_up:
                allowed = {self.end: 0.0}
            for token, value in allowed.items():
                kept[row, token] = value
        return kept

    def _allowed(self, tokens: list[int], values: list[float], ids: list[int]) -> dict[int, float]:
        """Those of the likeliest tokens that may follow, and their logits."""
        text = self.text(tokens)
        whole = text.endswith((".", "!", "?")) and not self.words.untold(text.lower())
        finished = self.words.finished(text.lower())
        found: dict[int, float] = {}
        for value, token in zip(values, ids, strict=True):
            if found and value < max(found.values()) - FLOOR_NATS:
                break
            if whole if token == self.end else self.allows(text, token, finished):
                found[token] = value
        return found

    def allows(self, text: str, token: int, finished: tuple[str, ...] = ()) -> bool:
        """Whether `token` may follow `text`, in which nothing is amiss so far."""
        tail = text[text.rfind(" ", 0, max(0, len(text) - TAIL_CHARACTERS)) + 1 :]
        found = self.known.get((tail, token, finished))
        if found is None:
            after = tail + (self.slots.get(token) or self.pieces[token])
            begun = bool(text) or after[:1].isupper() or after[:1] == "<"
            ended = all(one.end() <= len(tail) for one in UNENDED.finditer(after))
            low = after.lower()
            found = begun and ended and self.words.clean(low, len(tail))
            found = found and not self.words.repeats(low, len(tail), finished)
            self.known[tail, token, finished] = found
        return found

    def text(self, ids: Sequence[int]) -> str:
        """What `ids` write, slots by their names."""
        out, run = "", list[int]()
        for index in ids:
            if index in self.slots:
                out += self.tokenizer.decode(run) + self.slots[index]
                run = []
            else:
                run.append(index)
        return out + self.tokenizer.decode(run)


class Copywriter:
    """Drafts for facts by one loaded bundle of the layout `venue`.

    constrained  False: what the model writes by itself, for comparison
    raises BundleError for a bundle of another layout
    """

    def __init__(self, loaded: Loaded, *, constrained: bool = True) -> None:
        self.pairs = PairWriter(loaded, (LAYOUT,))
        self.tokenizer = self.pairs.tokenizer
        self.layout = VenueLayout()
        self.constrained = constrained

    def best(self, facts: Mapping[str, str], beam: Beam = BEAM) -> list[Copy]:
        """The likeliest drafts, best first; none where the constraint leaves no way."""
        words = lexicon(facts, copied_slots(facts))
        steps = [FactStep(words, self.tokenizer, copied_slots(facts))] if self.constrained else []
        predict = Seq2SeqPredict(self.pairs.model, [self._source(facts)], beam.maximum_tokens + 1)
        start = torch.full((1, 1), self.pairs.start, dtype=torch.int64)
        stop = frozenset({self.pairs.end})
        try:
            # Not renormalised: a text that is forced on past its end is no likely one.
            (found,) = beam_search(predict, start, beam, stop=stop, steps=steps, renormalise=False)
        except ConfigError:  # every hypothesis ran into what is forbidden
            return []
        return [
            self._copy(facts, words, one.tokens, one.log_probabilities, drawn=False)
            for one in found
            if one.stopped
        ]

    def draw(
        self,
        facts: Mapping[str, str],
        counters: Sequence[tuple[int | str, ...]],
        sampling: Sampling = SAMPLING,
    ) -> list[Copy]:
        """One random draft for each counter of a noise stream, those that came to an end."""
        words = lexicon(facts, copied_slots(facts))
        step = FactStep(words, self.tokenizer, copied_slots(facts), may_give_up=True)
        rows = len(counters)
        capacity = sampling.maximum_tokens + 1
        predict = Seq2SeqPredict(self.pairs.model, [self._source(facts)] * rows, capacity)
        drawn = sample(
            predict,
            torch.full((rows, 1), self.pairs.start, dtype=torch.int64),
            [noise(int(first), *rest) for first, *rest in counters],
            sampling,
            steps=[step] if self.constrained else [],
            stop=frozenset({self.pairs.end}),
        )
        return [
            self._copy(facts, words, one.tokens, one.log_probabilities, drawn=True)
            for one in drawn
            if one.stopped and one.tokens
        ]

    def write(self, facts: Mapping[str, str], count: int, seed: int) -> list[Copy]:
        """Up to `count` different drafts that tell every fact, best first.

        raises CheckError if none does
        """
        counters = [(seed, "copy", number) for number in range(DRAWN_FOR_ONE * count)]
        drafts = [*self.best(facts), *self.draw(facts, counters)]
        whole = [draft for draft in drafts if not draft.untold]
        if not whole:
            raise CheckError(
                "none of {count} drafts tells all of: {facts}; try another seed or fewer facts",
                count=len(drafts),
                facts=write_facts(facts),
            )
        return varied(whole, count)

    def _source(self, facts: Mapping[str, str]) -> list[int]:
        return self.layout.source(write_facts(facts), self.tokenizer)

    def _copy(
        self,
        facts: Mapping[str, str],
        words: Lexicon,
        tokens: list[int],
        log_probabilities: list[float],
        *,
        drawn: bool,
    ) -> Copy:
        slots = {self.tokenizer.id(slot_token(slot)): slot_token(slot) for slot in SLOTS}
        bare = "".join(slots.get(id) or self.tokenizer.decode([id]) for id in tokens)
        return Copy(
            text=self.layout.text(tokens, self.tokenizer, facts),
            log_probability_nats=sum(log_probabilities) / max(1, len(log_probabilities)),
            untold=tuple(words.untold(bare.lower())),
            drawn=drawn,
        )


def varied(drafts: Sequence[Copy], count: int) -> list[Copy]:
    """The best draft, then those that are both good and unlike the chosen ones; none twice.

    Maximal marginal relevance (Carbonell & Goldstein 1998) with likelihood as relevance.
    """
    left = sorted(drafts, key=lambda draft: -draft.log_probability_nats)
    chosen = left[:1]
    least = chosen[0].log_probability_nats - BEHIND_NATS
    left = [draft for draft in left if draft.log_probability_nats >= least]
    while len(chosen) < count:
        likeness = {
            draft.text: max(alike(draft.text, one.text) for one in chosen) for draft in left
        }
        left = [draft for draft in left if likeness[draft.text] <= ALIKE]
        if not left:
            break
        chosen.append(
            max(left, key=lambda one: one.log_probability_nats - VARIETY_NATS * likeness[one.text])
        )
    return chosen


def alike(one: str, other: str) -> float:
    """The share of word pairs that two texts have in common (Jaccard), 0..1."""
    pairs = [set(pairwise(words)) for words in (_words(one), _words(other))]
    return len(pairs[0] & pairs[1]) / max(1, len(pairs[0] | pairs[1]))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w£-]+", text.lower())
