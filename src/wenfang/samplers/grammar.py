"""Constraints as a logits step: which tokens may follow, told by an automaton over their bytes.

The library llguidance compiles a schema or a pattern and finds the mask of a state (derivatives of
regular expressions over a trie of the vocabulary; an Earley parser for schemas). Terms join a
pattern as intersections and complements, so that a contradiction is found before anything is
drawn. A required term is forced where the model would end without it, or where room gets short.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import llguidance
import numpy as np
import torch
from torch import Tensor

from wenfang.errors import CheckError, ConfigError
from wenfang.samplers.constraints import Constraints
from wenfang.tokenizer import END, UNKNOWN, Tokenizer

KEPT_HISTORIES = 4096
NOTHING_FOLLOWS = "NoExtensionBias"
# Bounds of the automaton: the library's own are too small for several terms with a bounded pattern.
LEXER_FUEL = 20_000_000
SPARE_TOKENS = 4  # room beside the missing terms, for the end and what joins them
WORD = "[A-Za-z0-9_]"
OTHER = r"[^A-Za-z0-9_]"
# Compact JSON: a small model could fill its room with blanks.
JSON_STYLE: Any = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}


class ConstraintStep:
    """Logits (B, V) and the tokens drawn so far (B, t) -> logits of what may follow.

    Stateless for its caller: a state is found again by the tokens that led to it, so rows may
    be reordered, as a beam search does.

    tokenizer       of the model
    maximum_tokens  room for the text; terms that are missing near its end are forced

    raises ConfigError where the constraints cannot be read, contradict each other, or need what
           the model's vocabulary does not hold; CheckError where no token may follow
    """

    def __init__(self, constraints: Constraints, tokenizer: Tokenizer, maximum_tokens: int) -> None:
        self._tokenizer, self._room = tokenizer, maximum_tokens
        self._terms = constraints.required
        self._spare = SPARE_TOKENS + len(self._terms)
        self._end = tokenizer.id(END)
        self._never = {self._end, tokenizer.find(UNKNOWN)}
        for term in self._terms:
            _require_writable(term, tokenizer)
        first = llguidance.LLMatcher(
            vocabulary(tokenizer),
            grammar(constraints),
            log_level=0,
            limits=llguidance.LLParserLimits(
                initial_lexer_fuel=LEXER_FUEL, step_lexer_fuel=LEXER_FUEL
            ),
        )
        _require_sound(first, constraints)
        self._states: dict[tuple[int, ...], Any] = {(): first}
        self._forced: dict[tuple[int, ...], tuple[int, ...]] = {}
        if not self._allowed(first) and not first.is_accepting():
            raise ConfigError(
                "the constraints contradict each other, or need characters that the model cannot "
                "write; change them"
            )

    def __call__(self, logits: Tensor, drawn: Tensor) -> Tensor:
        """Every token that may not follow gets minus infinity."""
        kept = torch.full_like(logits, -torch.inf)
        for row, tokens in enumerate(drawn.tolist()):
            history = tuple(tokens)
            if self._end in history:  # the row is done
                kept[row, self._end] = 0.0
                continue
            allowed = self._follow(history, int(logits[row].argmax()))
            kept[row, allowed] = logits[row, allowed]
        return kept

    def met(self, text: str) -> bool:
        """Whether a whole text meets every constraint."""
        state = self._states[()].deep_copy()
        return bool(state.consume_tokens(self._tokenizer.encode(text)) and state.is_accepting())

    def _follow(self, history: tuple[int, ...], wanted: int) -> list[int]:
        queue = self._forced.pop(history, ()) or self._due(history, wanted)
        if queue:
            self._remember(self._forced, (*history, queue[0]), queue[1:])
            return [queue[0]]
        state = self._state(history)
        ends = [self._end] if state.is_accepting() else []
        short = bool(self._terms) and len(history) + self._spare >= self._room
        allowed = [] if ends and short else self._allowed(state)
        if not allowed and not ends:
            raise CheckError(
                "the constraints leave no way to go on after {text!r}; loosen them",
                text=self._tokenizer.decode(history)[-40:],
            )
        return [*allowed, *ends]

    def _due(self, history: tuple[int, ...], wanted: int) -> tuple[int, ...]:
        """Tokens of a missing term that must come now; none where there is time."""
        if not self._terms:
            return ()
        text = self._tokenizer.decode(history)
        missing = [one for one in self._terms if not stands_in(one, text)]
        written = [self._written(one, text) for one in missing]
        needed = sum(map(len, written)) + self._spare
        if not missing or (wanted != self._end and len(history) + needed < self._room):
            return ()
        fitting = [one for one in written if self._fits(history, one)]
        return fitting[0] if fitting else self._finishing(history, text)

    def _fits(self, history: tuple[int, ...], tokens: Sequence[int]) -> bool:
        return bool(self._state(history).validate_tokens(list(tokens)) == len(tokens))

    def _finishing(self, history: tuple[int, ...], text: str) -> tuple[int, ...]:
        """The one token that ends a character whose bytes are not all there; else none."""
        if not text.endswith("\ufffd"):
            return ()
        allowed = self._allowed(self._state(history))
        ended = (one for one in allowed if not self._ends_within((*history, one)))
        return tuple(list(ended)[:1] or allowed[:1])

    def _ends_within(self, history: tuple[int, ...]) -> bool:
        return self._tokenizer.decode(history).endswith("\ufffd")

    def _written(self, term: str, text: str) -> tuple[int, ...]:
        glued = bool(text) and re.match(WORD, term) and not text[-1:].isspace()
        return tuple(self._tokenizer.encode(f" {term}" if glued else term))

    def _allowed(self, state: Any) -> list[int]:
        bias = np.frombuffer(state.compute_logit_bias(), dtype=np.uint8)
        if state.is_error() and not str(state.get_error()).startswith(NOTHING_FOLLOWS):
            raise CheckError(
                "the constraints are too large to be kept ({reason}); ask for fewer at once",
                reason=str(state.get_error()).splitlines()[0],
            )
        found: list[int] = np.flatnonzero(bias).tolist()
        return [one for one in found if one not in self._never]

    def _state(self, history: tuple[int, ...]) -> Any:
        if history not in self._states:
            state = self._state(history[:-1]).deep_copy()
            state.consume_token(history[-1])
            self._remember(self._states, history, state)
        return self._states[history]

    @staticmethod
    def _remember(table: dict[tuple[int, ...], Any], key: tuple[int, ...], value: Any) -> None:
        if len(table) >= KEPT_HISTORIES:  # the oldest, but not the beginning of all
            del table[next(one for one in table if one)]
        table[key] = value


def grammar(constraints: Constraints) -> str:
    """What llguidance reads."""
    if constraints.schema:
        schema = constraints.parsed_schema
        return llguidance.LLMatcher.grammar_from_json_schema(schema, overrides=JSON_STYLE)
    parts = [f"/{_slashed(constraints.pattern)}/"] if constraints.pattern else ["/(?s:.*)/"]
    parts += [f"/{_holding(one, any_case=False)}/" for one in constraints.required]
    parts += [f"~/{_holding(one, any_case=True)}/" for one in constraints.forbidden]
    return llguidance.LLMatcher.grammar_from_lark(f"start: TEXT\nTEXT: {' & '.join(parts)}")


def stands_in(term: str, text: str) -> bool:
    """Whether a required term stands in a text, as a whole word where it is of ASCII letters."""
    return re.fullmatch(_holding(term, any_case=False), text) is not None


def _holding(term: str, *, any_case: bool) -> str:
    """A pattern of texts that hold a term; its ends are borders of words where it has letters."""
    words = _slashed(re.escape(term))
    if any_case:
        words = f"(?i:{words})"
    before = rf"(?:(?s:.*){OTHER})?" if re.match(WORD, term) else "(?s:.*)"
    after = rf"(?:{OTHER}(?s:.*))?" if re.match(WORD, term[-1]) else "(?s:.*)"
    return f"{before}{words}{after}"


def _slashed(pattern: str) -> str:
    """A pattern between slashes: bare slashes escaped, line breaks written out."""
    escaped = re.sub(r"\\(.)|/", lambda found: found[0] if found[1] else r"\/", pattern)
    return escaped.replace("\n", r"\n")


@lru_cache(maxsize=4)
def vocabulary(tokenizer: Tokenizer) -> Any:
    """The tokens as llguidance knows them; made once, since a large one takes a second."""
    end = tokenizer.id(END)
    if any(len(one) > 1 and not one.startswith("<") for one in tokenizer.tokens()):
        return llguidance.LLTokenizer(tokenizer.to_json(), eos_token=end)
    return llguidance.LLTokenizer(
        llguidance.TokenizerWrapper(_Characters(tokenizer)), eos_token=end, slices=[]
    )


class _Characters:
    """A vocabulary of characters; every longer token is special."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = tokenizer.id(END)
        names = tokenizer.tokens()
        self.special_token_ids = [number for number, one in enumerate(names) if len(one) > 1]
        self.tokens = [b"\xff" * (len(one) > 1) + one.encode() for one in names]

    def __call__(self, text: str | bytes) -> list[int]:
        return self._tokenizer.encode(text if isinstance(text, str) else text.decode())


def _require_writable(term: str, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(term)
    if not ids or tokenizer.find(UNKNOWN) in ids:
        raise ConfigError(
            "constraints.required: the model cannot write {term}; leave it out", term=term
        )


def _require_sound(state: Any, constraints: Constraints) -> None:
    if not state.is_error():
        return
    reason = " ".join(str(state.get_error()).split())[:200]
    if constraints.schema:
        raise ConfigError(
            "constraints.schema cannot be met or read ({reason}); change it", reason=reason
        )
    raise ConfigError("constraints.pattern cannot be read ({reason}); change it", reason=reason)
