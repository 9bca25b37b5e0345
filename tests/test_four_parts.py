"""Pieces upon a grid: what is heard of key and metre, scores and back, tokens and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiny_music import piece, random_piece, rows
from wenfang.data.batches import Share
from wenfang.data.chorales import piece_of, record_of
from wenfang.data.part_batches import PartBatches, example, part_tokenizer, read_pieces
from wenfang.data.part_tokens import (
    GIVEN,
    MOST_BARS,
    Asked,
    drawn_known,
    excerpt,
    filled,
    fits,
    moved,
    piece_from,
    piece_tokens,
)
from wenfang.device import noise
from wenfang.errors import MediaError
from wenfang.media.four_parts import REST, FourParts, four_parts_of, heard_metre
from wenfang.media.midi import Note
from wenfang.media.score import TICKS, Key, Metre, Part, Score
from wenfang.tokenizer import END, PADDING


def same(one: FourParts, other: FourParts) -> bool:
    return (
        np.array_equal(one.pitches, other.pitches)
        and np.array_equal(one.struck, other.struck)
        and (one.beats, one.upbeat, one.key) == (other.beats, other.upbeat, other.key)
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([(4, 0), (4, 4), (3, 8), (2, 2)]))
def test_tokens_tell_a_piece_whole(seed: int, bars: int, metre: tuple[int, int]) -> None:
    made = random_piece(seed, bars=bars, beats=metre[0], upbeat=metre[1])
    assert same(piece_from(piece_tokens(made), Asked.like(made)), made)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(4, 0), (3, 4)]))
def test_a_score_tells_a_piece_whole(seed: int, metre: tuple[int, int]) -> None:
    made = random_piece(seed, beats=metre[0], upbeat=metre[1])
    made.pitches[0] = made.pitches[-1] = (72, 67, 60, 48)  # silence at its ends is not written
    made.struck[0] = made.struck[-1] = True
    made.struck[1] |= (made.pitches[1] != made.pitches[0]) & (made.pitches[1] != REST)
    assert same(four_parts_of(made.score()), made)


def test_a_record_tells_a_held_piece_whole() -> None:
    made = piece(5, upbeat=4, shift=2)
    assert same(piece_of(record_of(made, "a")), made)


@pytest.mark.parametrize(("beats", "upbeat"), [(4, 0), (4, 4), (3, 0), (3, 4)])
def test_metre_is_heard_from_long_notes_and_harmony(beats: int, upbeat: int) -> None:
    bars = np.repeat([(72, 67, 64, 48), (71, 67, 62, 43), (72, 69, 65, 41)] * 3, beats * 4, axis=0)
    ahead = np.repeat([(67, 64, 60, 52)], upbeat, axis=0) if upbeat else np.zeros((0, 4), int)
    grid = np.concatenate([ahead, bars]).astype(np.int16)
    struck = np.ones(grid.shape, np.bool_)
    struck[1:] = grid[1:] != grid[:-1]
    assert heard_metre(grid, struck) == (beats, upbeat)


@pytest.mark.parametrize("shift", range(-5, 7))
def test_key_is_heard_in_every_transposition(shift: int) -> None:
    heard = FourParts.of_pitches(piece(4, shift=shift).pitches).key
    assert heard == Key(tonic=shift % 12)
    assert FourParts.of_pitches(np.full((16, 4), REST, np.int16)).key == Key(tonic=0)


def test_bars_and_places_count_an_upbeat() -> None:
    made = piece(2, upbeat=4)
    assert made.bars == 3
    assert [made.place(at) for at in (0, 3, 4, 20)] == [(0, 12), (0, 15), (1, 0), (2, 0)]


def test_singers_strike_held_notes_again_but_for_the_last_chord() -> None:
    grid = np.repeat(np.array([(72, 67, 64, 48)] * 4, np.int16), 4, axis=0)
    grid[4:8, 1:3], grid[8:12, 2:] = (69, 65), (65, 53)
    held = FourParts.of_pitches(grid)
    sung = held.articulated()
    assert [start for start, _, _ in held.events(0)] == [0]
    assert [start for start, _, _ in sung.events(0)] == [0, 4, 8]
    assert np.array_equal(sung.pitches, held.pitches)


def test_excerpts_move_and_last_bars_fill() -> None:
    made = piece(6, upbeat=4)
    assert excerpt(made, 0, 2).upbeat == 4
    end = excerpt(made, 4, 3)
    assert (end.bars, end.upbeat) == (3, 0)
    assert np.array_equal(end.pitches, made.pitches[-48:])
    cut = replace(made, pitches=made.pitches[:-6], struck=made.struck[:-6])
    assert len(filled(cut)) == len(made)
    assert moved(made, 3).key == Key(tonic=3)
    assert not fits(moved(made, 30))
    assert not fits(piece(MOST_BARS + 1))


def test_of_a_score_with_many_parts_the_four_fullest_count() -> None:
    def part(pitch: int, count: int) -> Part:
        notes = [
            Note(start_ticks=n * TICKS, duration_ticks=TICKS, pitch=pitch) for n in range(count)
        ]
        return Part(notes=tuple(notes))

    many = Score(parts=(part(50, 4), part(72, 3), part(64, 2), part(40, 4), part(80, 1)))
    assert four_parts_of(many).pitches[0].tolist() == [72, 64, 50, 40]
    one = four_parts_of(Score(parts=(part(60, 2),)))
    assert one.pitches[0].tolist() == [60, REST, REST, REST]
    drums = Part(drums=True, notes=part(36, 2).notes)
    with pytest.raises(MediaError, match="no pitched notes"):
        four_parts_of(Score(parts=(drums,)))
    endless = Note(start_ticks=0, duration_ticks=TICKS * 4 * 400, pitch=60)
    with pytest.raises(MediaError, match="400 bars, the limit is 256"):
        four_parts_of(Score(parts=(Part(notes=(endless,)),)))


def test_bars_of_silence_before_a_piece_are_left_out() -> None:
    late = Note(start_ticks=2 * Metre().bar_ticks + 3 * TICKS, duration_ticks=TICKS, pitch=60)
    found = four_parts_of(Score(parts=(Part(notes=(late,)),)))
    assert (len(found), found.upbeat) == (4, 4)


def test_what_is_given_stands_ahead_of_its_bar_and_weighs_nothing() -> None:
    made, tokenizer = piece(3), part_tokenizer()
    known = np.zeros((3, 4), np.bool_)
    known[:, 0] = True
    ids, predicted = example(made, Asked.like(made, known), tokenizer)
    names = [tokenizer.token(int(one)) for one in ids]
    assert names[:5] == ["C major", "4/4", "upbeat0", "density-sparse", "|3"]
    ahead = "<given> A? T? B? @0 S72 @8 S71 @12 S72 <next> S72 <piece>"
    assert " ".join(names[5:18]) == ahead
    weighed = [name for name, one in zip(names, predicted, strict=True) if one]
    assert not {name for name in weighed if name[0] in "S<" and name != END}
    assert weighed[:4] == ["@0", "A67", "T64", "B48"]
    assert [name for name in weighed if name[0] == "|"] == ["|2", "|1"]
    plain, predicted = example(made, Asked.like(made), tokenizer)
    assert GIVEN not in [tokenizer.token(int(one)) for one in plain]
    assert predicted.tolist() == [False] * 5 + [True] * (len(plain) - 5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(4, 0), (4, 4), (3, 8)]))
def test_tokens_tell_a_piece_whole_whatever_is_given(seed: int, metre: tuple[int, int]) -> None:
    made = random_piece(seed, bars=4, beats=metre[0], upbeat=metre[1])
    known = np.random.default_rng(seed).random((made.bars, 4)) < 0.5
    told = piece_from(piece_tokens(made, known), Asked.like(made, known))
    assert np.array_equal(told.pitches, made.pitches)
    # Where a voice is told from on, it is told anew, though it may be held.
    assert not (made.struck & ~told.struck).any()


def test_batches_are_the_same_again_and_hold_every_piece_once() -> None:
    pieces = read_pieces(record for part, record in rows() if part == "train")
    tokenizer = part_tokenizer()
    made = [PartBatches(pieces=pieces, tokenizer=tokenizer, batch_size=4, seed=1) for _ in range(2)]
    per_epoch = len(pieces) // 4
    for index in (0, 3, per_epoch, 2 * per_epoch + 1):
        one, other = (batches.batch(index, Share()) for batches in made)
        assert np.array_equal(one["tokens"], other["tokens"])
    halves = [made[0].batch(1, Share(rank=rank, world=2))["weight"].sum() for rank in (0, 1)]
    assert sum(halves) == made[0].batch(1, Share())["weight"].sum()
    padding = tokenizer.id(PADDING)
    first = made[0].batch(0, Share())
    assert not first["weight"][first["tokens"][:, 1:] == padding].any()


def test_all_kinds_of_things_are_given_in_training() -> None:
    drawn = [drawn_known(8, noise(0, number)) for number in range(300)]
    some = [one for one in drawn if one is not None]
    assert 60 < len(drawn) - len(some) < 150
    assert any((one[:, 0].all() and not one[:, 1:].any()) for one in some)  # a melody
    assert any((one[0].all() and one[-1].all() and not one.all()) for one in some)  # a gap
    assert any((one[:3].all() and not one[3:].any()) for one in some)  # a beginning
