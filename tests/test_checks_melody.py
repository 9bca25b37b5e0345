"""Laws of the check for copied melodies."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from wenfang.checks import Check, Material, judge
from wenfang.checks.melody import melody_copy
from wenfang.data.comparison import read_comparison
from wenfang.data.melody_index import MelodyIndex
from wenfang.errors import BundleError
from wenfang.media.midi import Event, Midi, Note, write_midi

Notes = tuple[Note, ...]


def tune(seed: int, count: int = 60) -> list[int]:
    """Pitches of a random walk."""
    chance, pitches = random.Random(seed), [67]
    while len(pitches) < count:
        step = chance.choice((-7, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7))
        if 48 <= pitches[-1] + step <= 84:
            pitches.append(pitches[-1] + step)
    return pitches


def played(pitches: list[int], track: int = 0, channel: int = 0, beat_ticks: int = 480) -> Notes:
    return tuple(
        Note(
            start_ticks=place * beat_ticks,
            duration_ticks=beat_ticks,
            pitch=pitch,
            track=track,
            channel=channel,
        )
        for place, pitch in enumerate(pitches)
    )


@pytest.fixture(scope="module")
def index() -> MelodyIndex:
    return MelodyIndex.build((f"{seed}.mid", played(tune(seed))) for seed in range(50))


def check(notes: Notes, index: MelodyIndex) -> Check:
    return melody_copy(Material(melody=notes, melodies=index))


@pytest.mark.parametrize("semitones", [-12, -1, 0, 5, 11])
def test_a_copy_in_any_key_and_tempo_is_found(semitones: int, index: MelodyIndex) -> None:
    copied = [pitch + semitones for pitch in tune(7)[20:40]]
    pitches = tune(900, 30) + copied + tune(901, 30)
    answer = check(played(pitches, beat_ticks=100), index)
    assert answer.verdict == "repair"
    assert answer.value is not None
    assert 19 <= answer.value <= 21
    assert answer.evidence[0].values["name"] == "7.mid"


@pytest.mark.parametrize(("notes", "verdict"), [(12, "pass"), (13, "repair")])
def test_twelve_intervals_are_a_copy_and_eleven_are_not(
    notes: int, verdict: str, index: MelodyIndex
) -> None:
    assert check(played(tune(3)[10 : 10 + notes]), index).verdict == verdict


def test_new_melodies_pass(index: MelodyIndex) -> None:
    assert {check(played(tune(seed)), index).verdict for seed in range(500, 550)} == {"pass"}


def test_notes_struck_again_hide_nothing(index: MelodyIndex) -> None:
    stuttered = [pitch for pitch in tune(4)[5:25] for _ in range(2)]
    assert check(played(stuttered), index).verdict == "repair"


def test_a_copy_in_an_inner_voice_or_on_top_of_chords_is_found(index: MelodyIndex) -> None:
    inner = (*played([90, 86] * 15, track=0), *played(tune(2)[:30], track=1))
    chords = (*played(tune(2)[:30]), *played([40] * 30))
    for notes in (inner, chords):
        assert check(notes, index).verdict == "repair"


@pytest.mark.parametrize(
    "figure",
    [[60, 62, 64, 65, 67, 69, 71, 72] * 3, [60, 67, 64, 67] * 8, [60, 61] * 20, [60] * 40],
)
def test_scales_figures_and_drones_are_nobodys(figure: list[int]) -> None:
    index = MelodyIndex.build([("study.mid", played(figure))])
    if figure[:2] != [60, 62]:
        assert melody_copy(Material(melody=played(figure), melodies=index)).value == 0
    ascending = [60 + step for step in range(24)]
    assert (
        MelodyIndex.build([("scale", played(ascending))]).longest_copy(played(ascending)).intervals
        == 0
    )


def test_drums_have_no_melody(index: MelodyIndex) -> None:
    assert check(played(tune(2), channel=9), index).value == 0


def test_without_a_melody_or_an_index_nothing_is_measured(index: MelodyIndex) -> None:
    for material in (
        Material(melodies=index),
        Material(melody=(), melodies=index),
        Material(melody=played(tune(1))),
        Material(melody=played(tune(1)), melodies=MelodyIndex.build([])),
    ):
        answer = melody_copy(material)
        assert (answer.verdict, answer.value) == ("note", None)


def test_a_melody_of_the_users_folder_is_a_copy(tmp_path: Path) -> None:
    track: list[Event] = []
    for place, pitch in enumerate(tune(77)):
        track.append(Event(tick=place * 96, status=0x90, data=bytes((pitch, 64))))
        track.append(Event(tick=place * 96 + 90, status=0x80, data=bytes((pitch, 0))))
    midi = Midi(format=0, ticks_per_beat=96, tracks=(tuple(track),))
    (tmp_path / "song.mid").write_bytes(write_midi(midi))
    compared = read_comparison([tmp_path])
    material = Material(melody=played(tune(77)[10:40]), compared=compared)
    assert judge(material, ["melody_copy"]).verdict.decision == "repair"


def test_a_saved_index_answers_the_same(index: MelodyIndex, tmp_path: Path) -> None:
    path = tmp_path / "melodies.safetensors"
    index.save(path)
    notes = played(tune(7)[:20])
    assert MelodyIndex.load(path).longest_copy(notes) == index.longest_copy(notes)
    path.write_bytes(b"")
    with pytest.raises(BundleError, match="build it again"):
        MelodyIndex.load(path)
