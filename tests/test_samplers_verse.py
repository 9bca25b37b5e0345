"""Regulated verse by constraint: whatever the model, the form, the rhyme and the tones are kept."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from wenfang.backends.poet import Poem, Poet
from wenfang.errors import ConfigError
from wenfang.knowledge import verse
from wenfang.models.load import load
from wenfang.samplers.tokens import Sampling
from wenfang.samplers.verse import VerseRules, VerseStep
from wenfang.tokenizer import train_characters

SAMPLING = Sampling(temperature=1.0, guidance=2.0)
DRAWS = 200


@pytest.fixture(scope="module")
def poet(workshop: Path) -> Poet:
    return Poet(load(workshop / "bundles/verse"))


def draws(poet: Poet, rules: VerseRules, count: int = DRAWS, title: str = "春江") -> list[Poem]:
    return poet.draw(title, rules, SAMPLING, [(seed, "test") for seed in range(count)])


@cache
def level_classes(character: str) -> frozenset[str]:
    return frozenset(n for n in verse.rhyme_class(character) if n.startswith("level:"))


@pytest.mark.parametrize("characters", [5, 7])
@pytest.mark.parametrize("rhyme_first", [False, True])
def test_every_draw_has_form_rhyme_and_tones(
    poet: Poet, characters: int, rhyme_first: bool
) -> None:
    rules = VerseRules(characters=characters, rhyme_first=rhyme_first)
    poems = [poem.lines for poem in draws(poet, rules)]
    assert len(set(poems)) > DRAWS * 0.99
    for lines in poems:
        findings = {f.rule: f for f in verse.check(lines, verse.FORMS[characters])}
        assert [f for f in findings.values() if not f.passed] == []
        assert findings["tonal_pattern"].value == 1
        if rhyme_first:
            ends = [level_classes(lines[n][-1]) for n in (0, 1, 3)]
            assert frozenset.intersection(*ends), lines
        else:
            assert verse.tone(lines[0][-1]) == "oblique"
        assert verse.tone(lines[2][-1]) == "oblique"


def test_without_regular_tones_they_are_left_to_the_model(poet: Poet) -> None:
    poems = draws(poet, VerseRules(characters=7, regular_tones=False), 60)
    values = [verse.tonal_pattern(poem.lines) for poem in poems]
    assert min(values) < 1
    assert all(f.passed for p in poems for f in verse.check(p.lines, verse.FORMS[7]))


def test_forbidden_characters_never_appear(poet: Poet) -> None:
    seen = "".join("".join(poem.lines) for poem in draws(poet, VerseRules(characters=7), 40))
    forbidden = "".join(sorted(set(seen))[:200])
    poems = draws(poet, VerseRules(characters=7, forbidden=forbidden), 40)
    assert not set(forbidden) & set("".join("".join(poem.lines) for poem in poems))


def test_a_poem_is_the_same_alone_and_in_a_batch_of_16(poet: Poet) -> None:
    rules = VerseRules(characters=7)
    together = draws(poet, rules, 16)
    for seed in range(16):
        (alone,) = poet.draw("春江", rules, SAMPLING, [(seed, "test")])
        assert alone.lines == together[seed].lines
        assert alone.affinity_nats == pytest.approx(together[seed].affinity_nats, abs=1e-3)


def test_a_line_is_not_written_twice() -> None:
    tokenizer = train_characters(["\n" + "東中風空紅通同公花草"], specials=("<5>", "<7>", "<sep>"))
    step = VerseStep(tokenizer, VerseRules(characters=5, regular_tones=False))
    line = tokenizer.encode("花草花草東\n")
    drawn = torch.tensor([line + tokenizer.encode("花草花草中\n")[:0] + line[:4]])
    logits = step(torch.zeros(1, tokenizer.size), drawn)
    allowed = {tokenizer.token(i) for i in torch.isfinite(logits[0]).nonzero()[:, 0].tolist()}
    assert "東" not in allowed
    assert allowed


def test_a_character_of_two_rhymes_does_not_split_the_rhyme() -> None:
    classes = verse.level_rhyme_classes()
    first, second, both = next(
        (one, two, sorted(one & two))
        for i, one in enumerate(classes)
        for two in classes[i + 1 :]
        if one & two and len(one - two) > 12 and len(two - one) > 12
    )
    only_first, only_second = sorted(first - second)[:12], sorted(second - first)[:12]
    text = "\n" + both[0] + "".join(only_first + only_second)
    tokenizer = train_characters([text], specials=("<5>", "<7>", "<sep>"))
    step = VerseStep(tokenizer, VerseRules(characters=5, rhyme_first=True, regular_tones=False))
    begun = f"{'x' * 4}{both[0]}\n{'x' * 4}{only_first[0]}\n{'x' * 5}\n{'x' * 4}"
    logits = step(torch.zeros(1, tokenizer.size), torch.tensor([tokenizer.encode(begun)]))
    allowed = {tokenizer.token(i) for i in torch.isfinite(logits[0]).nonzero()[:, 0].tolist()}
    assert allowed
    # What rhymes with the first line by its other reading does not rhyme with the second.
    assert all(verse.rhymes(only_first[0], character) for character in allowed)


def test_a_vocabulary_without_a_rhyme_is_refused() -> None:
    tokenizer = train_characters(["\n花草"], specials=("<5>", "<7>", "<sep>"))
    with pytest.raises(ConfigError, match="avoid fewer"):
        VerseStep(tokenizer, VerseRules())


def test_where_no_character_has_the_tone_any_is_taken(poet: Poet) -> None:
    oblique = "".join(t for t in poet.tokenizer.tokens() if verse.tone(t) == "oblique")
    rules = VerseRules(characters=5, forbidden=oblique)
    for poem in draws(poet, rules, 10):
        findings = {f.rule: f.passed for f in verse.check(poem.lines, verse.FORMS[5])}
        assert findings["form"]
        assert findings["level_rhyme"]


def test_the_coldest_draw_is_the_same_for_every_seed(poet: Poet) -> None:
    cold = replace(SAMPLING, temperature=0.0)
    rules = VerseRules(characters=5)
    poems = poet.draw("", rules, cold, [(seed, "test") for seed in range(3)])
    assert len({poem.lines for poem in poems}) == 1
