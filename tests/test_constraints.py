"""What a text must be holds for every text that comes back, whatever the model would rather say."""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import wenfang as wf
from conftest import Call
from tiny_bundle import BYTES, CHARACTERS, write_bundle
from wenfang.backends.texts import Drawer, Shape, Written
from wenfang.device import noise
from wenfang.errors import CheckError, ConfigError
from wenfang.samplers.beam import Beam, beam_search
from wenfang.samplers.constraints import Constraints, Watch, cut_at
from wenfang.samplers.grammar import ConstraintStep, stands_in
from wenfang.samplers.tokens import Sampling
from wenfang.tokenizer import END, Tokenizer, train_bytes

WORDS = train_bytes(['the moon and the sea, "tea" and 12 boats: {"a": 1}'] * 3, vocabulary_size=300)
PLACE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z][a-z]{2,8}$"},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "kind": {"enum": ["pub", "inn"]},
    },
    "required": ["name", "stars", "kind"],
    "additionalProperties": False,
}


class Babble:
    """Logits that are noise by the tokens before them, with a taste for one token."""

    def __init__(self, size: int, seed: int, likes: dict[int, float] | None = None) -> None:
        self.size, self.seed, self.likes = size, seed, likes or {}
        self.seen = torch.zeros(0, 0, dtype=torch.int64)

    def __call__(self, tokens: Tensor) -> Tensor:
        self.seen = torch.cat((self.seen, tokens), dim=1) if self.seen.numel() else tokens
        rows = []
        for row in self.seen.tolist():
            generator = torch.Generator().manual_seed(hash((self.seed, *row)) % 2**31)
            logits = 3 * torch.randn(self.size, generator=generator)
            for token, more in self.likes.items():
                logits[token] += more
            rows.append(logits)
        return torch.stack(rows)

    def select(self, rows: Tensor) -> None:
        self.seen = self.seen[rows]


def write(
    constraints: Constraints,
    *,
    tokenizer: Tokenizer = WORDS,
    seeds: range = range(4),
    tokens: int = 120,
    likes: dict[str, float] | None = None,
    **shape: Any,
) -> list[Written]:
    """Texts of a model that babbles."""
    wanted = Shape(sampling=Sampling(maximum_tokens=tokens), constraints=constraints, **shape)
    liked = {tokenizer.id(token): more for token, more in (likes or {}).items()}
    prompt = torch.zeros(len(seeds), 1, dtype=torch.int64)
    streams = [noise(seed, "babble") for seed in seeds]
    return Drawer(tokenizer, wanted).draw(Babble(tokenizer.size, 7, liked), prompt, streams)


def test_every_text_meets_its_schema() -> None:
    found = write(Constraints(schema=json.dumps(PLACE)), seeds=range(12))
    places = [json.loads(one.text) for one in found]
    for place in places:
        jsonschema.validate(place, PLACE)
    assert len({json.dumps(place) for place in places}) > 6
    assert {one.finish for one in found} == {"stop"}


@pytest.mark.parametrize("tokenizer", [WORDS, CHARACTERS], ids=["bytes", "characters"])
def test_every_text_matches_its_pattern(tokenizer: Tokenizer) -> None:
    pattern = "(the|a) (moon|sea|boat)( over the [a-z]{3,5})?"
    for one in write(Constraints(pattern=pattern), tokenizer=tokenizer, seeds=range(12)):
        assert re.fullmatch(pattern, one.text)


def test_a_pattern_may_be_of_chinese_characters() -> None:
    for one in write(Constraints(pattern="[春秋江月]{4}，[花夜]{1,3}"), tokenizer=BYTES):
        assert re.fullmatch("[春秋江月]{4}，[花夜]{1,3}", one.text)


@pytest.mark.parametrize("likes", [{END: 9.0}, {}], ids=["would end", "would go on"])
def test_required_terms_stand_in_the_text_before_it_ends(likes: dict[str, float]) -> None:
    constraints = Constraints(required=("The Copper Kettle", "£20-25", "山"))
    for one in write(constraints, tokens=90, likes=likes):
        assert all(term in one.text for term in constraints.required)
        assert one.finish == "stop"


def test_forbidden_terms_never_stand_in_the_text() -> None:
    common = {token: 6.0 for token in (" the", "moon", " and", "sea") if WORDS.find(token)}
    loose = write(Constraints(), likes={**common}, seeds=range(8))
    assert any("e" in one.text.lower() for one in loose)
    held = write(Constraints(forbidden=("e", "MOON", "。")), likes=common, seeds=range(8))
    words = {word for one in held for word in re.split("[^a-z0-9_]", one.text.lower())}
    assert not words & {"e", "moon"}


@settings(max_examples=25, deadline=None)
@given(
    pattern=st.sampled_from(["[a-z ]{0,40}", "(?s:.*)", "[^x]*"]),
    required=st.lists(st.sampled_from(["tea", "a sea", "boats"]), max_size=2, unique=True),
    forbidden=st.lists(st.sampled_from(["moon", "12", "the"]), max_size=2, unique=True),
    seed=st.integers(0, 99),
)
def test_constraints_hold_together(
    pattern: str, required: list[str], forbidden: list[str], seed: int
) -> None:
    constraints = Constraints(pattern=pattern, required=tuple(required), forbidden=tuple(forbidden))
    (found,) = write(constraints, seeds=range(seed, seed + 1), likes={END: 4.0})
    assert re.fullmatch(pattern, found.text)
    assert all(stands_in(term, found.text) for term in required)
    assert not any(stands_in(term, found.text.lower()) for term in forbidden)


def test_a_beam_search_keeps_them_too() -> None:
    step = ConstraintStep(Constraints(pattern="[a-z]{2,4} [0-9]"), WORDS, 12)
    start = torch.zeros(1, 1, dtype=torch.int64)
    beam = Beam(beams=3, count=3, maximum_tokens=12)
    stop = frozenset({WORDS.id(END)})
    (found,) = beam_search(Babble(WORDS.size, 3), start, beam, stop=stop, steps=[step])
    texts = [WORDS.decode(one.tokens) for one in found]
    assert len(set(texts)) == 3
    assert all(re.fullmatch("[a-z]{2,4} [0-9]", text) for text in texts)


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        ({"schema": '{"type": "integer", "minimum": 5, "maximum": 3}'}, "cannot be met or read"),
        ({"schema": '{"allOf": [{"type": "string"}, {"type": "number"}]}'}, "incompatible"),
        ({"schema": '{"type": "strnig"}'}, "strnig"),
        ({"schema": '{"$ref": "https://example.org/schema.json"}'}, "not fetch"),
        ({"schema": "{"}, "no JSON"),
        ({"schema": "[]"}, "no JSON object"),
        ({"schema": '{"a": "' + "x" * 70_000 + '"}'}, "larger than 64 kB"),
        ({"schema": "{}", "forbidden": ("x",)}, "stands alone"),
        ({"pattern": "("}, "cannot be read"),
        ({"pattern": "a" * 10_001}, "10001 characters"),
        ({"pattern": "[a-z]+", "required": ("Tea 1",)}, "contradict"),
        ({"required": ("green tea",), "forbidden": ("TEA",)}, "contradict"),
        ({"required": (" ",)}, "empty"),
        ({"forbidden": ("a\nb",)}, "unprintable"),
        ({"required": tuple(map(str, range(65)))}, "65 terms"),
    ],
)
def test_what_cannot_be_met_is_refused_in_one_line(constraints: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        write(Constraints(**constraints))
    assert "\n" not in str(caught.value)


def test_a_term_that_the_vocabulary_cannot_write_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot write"):
        write(Constraints(required=("雪",)), tokenizer=CHARACTERS)
    with pytest.raises(ConfigError, match="the model cannot write"):
        write(Constraints(schema=json.dumps(PLACE)), tokenizer=CHARACTERS)


def test_a_text_that_is_cut_before_it_meets_its_schema_is_no_answer() -> None:
    with pytest.raises(CheckError, match=r"after 5 tokens .* raise sampling\.maximum_tokens"):
        write(Constraints(schema=json.dumps(PLACE)), tokens=5)


def test_a_stop_text_ends_the_text_and_is_no_part_of_it() -> None:
    likes = {"a": 9.0, "b": 9.0}
    heard: list[str] = []
    found = write(Constraints(), tokens=400, likes=likes, stop=("ab",), on_text=heard.append)
    assert all("ab" not in one.text and one.finish == "stop" for one in found)
    assert "".join(heard) == found[0].text
    (cut,) = write(Constraints(), tokens=9, seeds=range(1), stop=("never said",))
    assert cut.finish == "length"


@settings(deadline=None)
@given(
    st.text("ab江月X", max_size=30), st.lists(st.text("abX", min_size=1, max_size=3), max_size=3)
)
def test_what_is_told_piece_by_piece_is_the_text(text: str, stops: list[str]) -> None:
    tokens = [byte + 1 for byte in text.encode()]

    def decode(ids: Any) -> str:
        return bytes(one - 1 for one in ids).decode("utf-8", errors="replace")

    heard: list[str] = []
    watch = Watch(decode, stops, heard.append)
    ends = islice((n for n in range(1, len(tokens) + 1) if watch(0, tokens[:n])), 1)
    told = [decode(tokens[:end]) for end in ends] or [text]
    whole, _ = cut_at(told[0], stops)
    watch.close(whole)
    assert "".join(heard) == whole


def test_stops_that_nothing_ends_at_are_refused() -> None:
    for stops in (("",), ("x",) * 17):
        with pytest.raises(ConfigError, match="stop holds"):
            Shape(sampling=Sampling(), stop=stops)


@pytest.fixture
def babbler(home: Path) -> str:
    """A bundle of random weights that continues text."""
    write_bundle(home / "bundles/babbler", "tied")
    return "babbler"


def ask(call: Call, babbler: str, *more: str, prompt: str = "the moon") -> Any:
    return call("generate", babbler, prompt, *[w for one in more for w in ("--set", one)], "--json")


def test_generate_keeps_constraints_from_the_command_line(call: Call, babbler: str) -> None:
    Path("place.json").write_text(json.dumps(PLACE))
    said = ask(call, babbler, "constraints.schema=place.json", "sampling.maximum_tokens=200")
    assert said.code == 0, said.err
    (one,) = json.loads(said.out)["generated"]
    jsonschema.validate(json.loads(one["text"].removeprefix("the moon")), PLACE)
    assert one["tokens"] == len(one["log_probabilities"])
    assert one["log_probability_nats"] == pytest.approx(sum(one["log_probabilities"]))
    assert one["finish"] == "stop"
    same = wf.load(babbler).generate(
        "the moon", constraints={"schema": PLACE}, sampling={"maximum_tokens": 200}
    )
    assert same.text == one["text"]
    assert same.manifest.id == one["manifest"]


def test_what_generate_is_asked_wrongly_is_told_in_one_line(call: Call, babbler: str) -> None:
    for settings_, said in (
        (("constraints.schema=nowhere.json",), "nowhere.json cannot be read"),
        (("constraints.pattern=[a-z",), "cannot be read"),
        (('stop=[""]',), "stop holds an empty text"),
        (('constraints.required=["a"]', 'constraints.forbidden=["A"]'), "contradict"),
    ):
        found = ask(call, babbler, *settings_)
        assert found.code == ConfigError.exit_code, found
        assert said in found.error


def test_a_prompt_of_a_megabyte_is_refused_and_a_long_one_is_told_of(
    call: Call, babbler: str
) -> None:
    said = ask(call, babbler, prompt="x" * 1_000_000)
    assert said.code == 11
    assert "1000000 characters; at most 100000 are read" in said.error
    said = ask(call, babbler, "sampling.maximum_tokens=4", prompt="the moon " * 40)
    assert said.code == 0
    assert "the model read the last 16 of the prompt's" in said.err


def test_guidance_of_one_changes_nothing_and_more_moves_away(babbler: str) -> None:
    model = wf.load(babbler)
    plain = model.generate("the moon", seed=3, sampling={"maximum_tokens": 12})

    def guided(weight: float) -> str:
        sampling = {"maximum_tokens": 12, "guidance": weight}
        return str(model.generate("the moon", seed=3, against="sea", sampling=sampling).text)

    assert guided(1.0) == plain.text
    assert guided(3.0) != plain.text


def test_a_text_is_heard_while_it_is_drawn(babbler: str) -> None:
    heard: list[str] = []
    found = wf.load(babbler).generate(
        "the moon", seed=5, sampling={"maximum_tokens": 20}, on_text=heard.append
    )
    assert heard[0] == "the moon"
    assert "".join(heard) == found.text
    assert len(heard) > 5
