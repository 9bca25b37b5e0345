"""Constraints upon four voices hold whatever a model says, and numbers tell what they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tiny_music import piece, random_piece
from wenfang.backends.composer import continued, filled_in, harmonised, varied
from wenfang.data.part_batches import part_tokenizer
from wenfang.data.part_tokens import RANGES, Asked, piece_from
from wenfang.device import noise
from wenfang.errors import BriefError
from wenfang.knowledge.part_writing import is_parallel
from wenfang.media.four_parts import REST, FourParts
from wenfang.media.score import Key
from wenfang.metrics.music import beside_real, crossings, parallels, piece_numbers
from wenfang.samplers.parts import PartStep
from wenfang.samplers.tokens import Sampling, sample
from wenfang.tokenizer import END

TOKENIZER = part_tokenizer()


def drawn(asked: list[Asked], seed: int) -> list[FourParts]:
    """Pieces that a model draws which knows nothing at all."""

    def predict(tokens: Tensor) -> Tensor:
        return torch.zeros(len(asked), TOKENIZER.size)

    found = sample(
        predict,
        torch.zeros(len(asked), 1, dtype=torch.int64),
        [noise(seed, number) for number in range(len(asked))],
        Sampling(maximum_tokens=3000),
        steps=[PartStep(TOKENIZER, asked)],
        stop=frozenset({TOKENIZER.id(END)}),
    )
    assert all(one.stopped for one in found)
    return [
        piece_from([TOKENIZER.token(token) for token in one.tokens], wanted)
        for one, wanted in zip(found, asked, strict=True)
    ]


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.sampled_from([(4, 0), (4, 4), (3, 0), (3, 8), (2, 0)]),
)
def test_any_model_keeps_length_ranges_order_and_ends_upon_the_tonic(
    seed: int, bars: int, metre: tuple[int, int]
) -> None:
    asked = [
        Asked(
            key=Key(tonic=(seed + number) % 12, minor=bool(number % 2)),
            beats=metre[0],
            upbeat=metre[1],
            bars=bars + (metre[1] > 0),
        )
        for number in range(3)
    ]
    for made, wanted in zip(drawn(asked, seed), asked, strict=True):
        assert len(made) == bars * made.bar + wanted.upbeat
        assert (made.pitches != REST).all()
        for column, (low, high) in zip(made.pitches.T, RANGES, strict=True):
            assert low <= column.min() <= column.max() <= high
        assert crossings(made) == 0
        assert parallels(made) <= bars  # where nothing else was left
        assert made.pitches[-1, 3] % 12 == wanted.key.tonic
        third = {(wanted.key.tonic + 4) % 12, (wanted.key.tonic + 3) % 12}
        triad = {wanted.key.tonic, (wanted.key.tonic + 7) % 12, *third}
        assert {int(pitch) % 12 for pitch in made.pitches[-1]} <= triad
        assert (made.pitches[-8:] == made.pitches[-1]).all() or len(made) < 8


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3))
def test_what_is_given_is_kept_to_the_sixteenth(seed: int, kind: int) -> None:
    made = random_piece(seed, bars=4)
    draw = np.random.default_rng(seed)
    known = [
        np.array([[True, False, False, False]] * 4),
        np.array([[True] * 4, [False] * 4, [False] * 4, [True] * 4]),
        np.array([[True] * 4] * 2 + [[False] * 4] * 2),
        draw.random((4, 4)) < 0.5,
    ][kind]
    (found,) = drawn([Asked.like(made, known)], seed)
    for at in range(len(made)):
        told = known[made.place(at)[0]]
        assert np.array_equal(found.pitches[at, told], made.pitches[at, told])


def test_voices_make_room_for_a_melody_that_dips_below_them() -> None:
    made = piece(4)
    made.pitches[36:44, 0], made.struck[36, 0], made.struck[44, 0] = 60, True, True
    known = np.array([[True, False, False, False]] * 4)
    for seed in range(5):
        (found,) = drawn([Asked.like(made, known)], seed)
        assert np.array_equal(found.pitches[:, 0], made.pitches[:, 0])
        assert crossings(found) == 0


def test_a_piece_of_which_all_is_given_comes_back() -> None:
    made = random_piece(5, bars=3)
    (found,) = drawn([Asked.like(made, np.ones((3, 4), np.bool_))], 0)
    assert np.array_equal(found.pitches, made.pitches)
    assert np.array_equal(found.struck, made.struck)


def test_what_is_drawn_does_not_depend_on_its_company() -> None:
    asked = [Asked(key=Key(tonic=n), beats=4, upbeat=0, bars=2 + n) for n in range(3)]
    together = drawn(asked, 7)
    alone = drawn(asked[:1], 7)
    assert np.array_equal(together[0].pitches, alone[0].pitches)


@pytest.mark.parametrize(
    ("before", "after", "parallel"),
    [
        ((67, 60), (69, 62), True),  # fifths
        ((72, 60), (74, 62), True),  # octaves
        ((67, 60), (67, 62), False),  # one stands still
        ((67, 60), (65, 62), False),  # against each other
        ((64, 60), (66, 62), False),  # thirds
        ((67, 60), (74, 62), False),  # a fifth to an octave
        ((67, None), (69, 62), False),
        ((67, REST), (69, 62), False),
    ],
)
def test_parallels_are_fifths_and_octaves_that_move_together(
    before: tuple[int | None, int | None], after: tuple[int | None, int | None], parallel: bool
) -> None:
    assert is_parallel(before, after) is parallel


def test_numbers_of_a_piece_tell_what_it_is() -> None:
    plain = piece(4)
    numbers = piece_numbers(plain)
    assert numbers["scale_consistency_share"] == 1.0
    assert numbers["empty_bars_share"] == numbers["crossings_a_bar"] == 0.0
    assert 0 < numbers["groove_consistency_share"] <= 1
    one_note = FourParts.of_pitches(np.full((32, 4), 60, np.int16))
    assert piece_numbers(one_note)["pitch_class_entropy_bits"] == 0.0
    assert numbers["dissonant_beats_share"] == 0.0
    rubbed = plain.pitches.copy()
    rubbed[4:8, 1] = rubbed[4:8, 0] - 2  # one beat of sixteen
    rubbed[9:12, 1] = rubbed[9:12, 0] - 2  # not upon a beat
    assert piece_numbers(replace(plain, pitches=rubbed))["dissonant_beats_share"] == 1 / 16
    crossed = plain.pitches.copy()
    crossed[0:16, 0] = 50
    assert crossings(replace(plain, pitches=crossed)) == 16
    both = np.repeat(np.array([(67, 60, 52, 40), (69, 62, 52, 40)], np.int16), 16, axis=0)
    assert parallels(FourParts.of_pitches(both)) == 1
    beside = beside_real([plain], [plain, one_note])
    assert beside["scale_consistency_share"][0] == 1.0
    assert len(beside) == len(numbers)


def test_a_melody_moves_by_octaves_to_where_sopranos_sing() -> None:
    low = replace(piece(3), pitches=(piece(3).pitches - 24).astype(np.int16))
    asked = harmonised(low)
    assert asked.given is not None
    assert set((asked.given.pitches[:, 0] - low.pitches[:, 0]).tolist()) == {24}
    wide = replace(piece(3), pitches=piece(3).pitches.copy())
    wide.pitches[:8, 0] = 40
    with pytest.raises(BriefError, match="spans 32 semitones"):
        harmonised(wide)
    silent = replace(piece(2), pitches=np.full((32, 4), REST, np.int16))
    with pytest.raises(BriefError, match="no notes"):
        harmonised(silent)


def test_what_cannot_be_gone_on_from_is_refused() -> None:
    with pytest.raises(BriefError, match="30 bars cannot be made"):
        continued(piece(10), 20)
    with pytest.raises(BriefError, match="bars 4 to 6 are not in a piece of 4"):
        filled_in(piece(4), 3, 3)
    with pytest.raises(BriefError, match=r"share is 0\.0"):
        varied(piece(4), 0.0, (0,))
    high = replace(piece(4), pitches=(piece(4).pitches + 24).astype(np.int16))
    with pytest.raises(BriefError, match="the Soprano goes from"):
        filled_in(high, 1, 1)
