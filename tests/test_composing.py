"""Music by `generate`: every task, every file, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_music
import wenfang as wf
from conftest import Call
from wenfang.backends.composer import Composer, PartSampling
from wenfang.data.dataset import Dataset
from wenfang.data.part_batches import part_tokenizer
from wenfang.data.part_tokens import NEXT, Asked
from wenfang.engine.composing import Composed, MusicModel
from wenfang.engine.generating import load_model
from wenfang.errors import BriefError, ConfigError, MediaError, WenfangError
from wenfang.knowledge.moods import MOODS, mood_of
from wenfang.media.four_parts import REST, four_parts_of
from wenfang.media.score import Key, read_score, write_score
from wenfang.models.load import load
from wenfang.recipes.learn_parts import learn_parts
from wenfang.recipes.part_suite import measure_parts
from wenfang.tokenizer import train_characters


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_music.bundle(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def model(bundle: Path) -> MusicModel:
    made = load_model(str(bundle))
    assert isinstance(made, MusicModel)
    return made


@pytest.fixture
def melody(tmp_path: Path) -> Path:
    path = tmp_path / "melody.mid"
    path.write_bytes(write_score(tiny_music.piece(4).score(96)))
    return path


def one(model: MusicModel, prompt: str = "", seed: int = 0, **settings: object) -> Composed:
    return model.draw(prompt, (seed,), settings)[0]


def test_a_prompt_names_mood_and_key(model: MusicModel) -> None:
    made = one(model, "思乡的夜晚, E minor", bars=3)
    assert made.score.keys == ((0, Key(tonic=4, minor=True)),)
    assert made.arrangement == MOODS["longing"].arrangement
    assert made.score.tempos[0][1] == round(60_000_000 / MOODS["longing"].bpm)
    assert four_parts_of(made.score).bars == 3


def test_words_that_say_nothing_of_music_are_told_of(
    bundle: Path, tmp_path: Path, call: Call
) -> None:
    asked = ["generate", str(bundle), "--set", "bars=1", "-o", str(tmp_path / "a.mid")]
    told = "name no mood and no key"
    assert told in call(*asked, "purple elephants").err
    for understood in (
        ["a sad night"],
        ["in E minor"],
        ["elephants", "--set", "mood=joyful"],
        [""],
    ):
        assert told not in call(*asked, *understood).err
    long = call(*asked, "elephants " * 5000)
    assert long.code > 9
    assert "at most 2000 are read" in long.err


def test_settings_say_more_than_a_prompt(model: MusicModel) -> None:
    made = one(
        model, "a sad night in E minor", key="D", metre="3/4", upbeat=1, bars=2, mood="joyful",
        tempo_bpm=90, arrangement="organ",
    )  # fmt: skip
    piece = four_parts_of(made.score)
    assert (piece.key, piece.beats, piece.upbeat, len(piece)) == (Key(tonic=2), 3, 4, 28)
    assert made.arrangement == "organ"


def test_a_seed_decides_and_company_does_not(model: MusicModel) -> None:
    together = model.draw("", (1, 2, 3), {"bars": 2})
    assert together[1].content == one(model, seed=2, bars=2).content
    assert together[0].content != together[1].content


def test_below_a_melody_it_draws_cooler_unless_it_is_told(model: MusicModel, melody: Path) -> None:
    def temperature(**settings: object) -> object:
        made = model.draw("", (0,), {"start": str(melody), **settings})[0]
        told = made.manifest.facts["settings"]
        assert isinstance(told, dict)
        return told["sampling"]["temperature"]

    assert temperature(task="harmonise") == 0.7
    assert temperature(task="harmonise", sampling={"temperature": 0.9}) == 0.9
    assert temperature(task="vary", share=0.5) == 0.95


def test_a_melody_is_harmonised(model: MusicModel, melody: Path) -> None:
    given = four_parts_of(read_score(melody.read_bytes()))
    made = four_parts_of(one(model, task="harmonise", start=str(melody)).score)
    assert np.array_equal(made.pitches[:, 0], given.pitches[:, 0])
    assert (made.pitches != REST).all()
    assert not np.array_equal(made.pitches, given.pitches)


def test_a_piece_is_continued_filled_and_varied(model: MusicModel, melody: Path) -> None:
    given = four_parts_of(read_score(melody.read_bytes()))
    start: dict[str, Any] = {"start": str(melody)}
    longer = four_parts_of(one(model, task="continue", bars=2, **start).score)
    assert longer.bars == 6
    assert np.array_equal(longer.pitches[: len(given)], given.pitches)
    filled = four_parts_of(one(model, task="fill", first_bar=2, bars=1, **start).score)
    outside = [at for at in range(len(given)) if given.place(at)[0] != 1]
    assert np.array_equal(filled.pitches[outside], given.pitches[outside])
    varied = four_parts_of(one(model, task="vary", share=0.4, **start).score)
    changed = (varied.pitches != given.pitches).mean()
    assert 0 < changed < 0.9


def test_what_was_made_here_is_gone_on_from_without_its_label(
    bundle: Path, model: MusicModel, tmp_path: Path, call: Call
) -> None:
    path = tmp_path / "made.mid"
    settings = ["--set", "bars=4", "--set", "tempo_bpm=72"]
    call("generate", str(bundle), "solemn", *settings, "-o", str(path))
    labelled = read_score(path.read_bytes())
    plain = one(model, "solemn", bars=4, tempo_bpm=72)
    given = four_parts_of(plain.score)
    assert len(labelled.parts) == 5
    longer = one(model, task="continue", bars=2, start=str(path))
    found = four_parts_of(longer.score)
    assert found.bars == 6
    assert (found.pitches != REST).any(axis=1).all()  # no bar is silent
    assert np.array_equal(found.pitches[: len(given)], given.pitches)
    assert longer.score.bpm == pytest.approx(72, abs=0.01)
    quick = one(model, task="harmonise", start=str(path), tempo_bpm=100)
    bare = tmp_path / "bare.mid"
    bare.write_bytes(write_score(plain.score))
    sung = one(model, task="harmonise", start=str(bare), tempo_bpm=100)
    assert quick.score == sung.score
    assert quick.score.bpm == pytest.approx(100, abs=0.01)


def test_a_loop_fills_its_seconds(model: MusicModel) -> None:
    made = one(model, "playful", task="loop", seconds=7.5)
    assert made.score.duration_s == pytest.approx(7.5, abs=0.01)
    sound = made.audio
    assert sound.duration_s == pytest.approx(7.5, abs=0.001)
    # Repeated, it has no seam: what sounds across it is as smooth as elsewhere.
    twice = np.concatenate([sound.samples, sound.samples])[:, 0]
    steps = np.abs(np.diff(twice))
    seam = len(sound.samples)
    assert steps[seam - 50 : seam + 50].max() <= np.quantile(steps, 0.9999)


@pytest.mark.parametrize(
    "suffix", [".mid", ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".svg"]
)
def test_every_file_is_sealed(model: MusicModel, tmp_path: Path, home: Path, suffix: str) -> None:
    made = one(model, bars=2)
    sealed = made.save(tmp_path / f"a{suffix}")
    assert wf.verify(sealed.path)[0].exit_code == 0


def test_the_command_line_composes_and_replays(
    bundle: Path, tmp_path: Path, home: Path, call: Call
) -> None:
    file = str(tmp_path / "a.mid")
    made = call("generate", str(bundle), "calm", "--set", "bars=2", "-o", file, "--json")
    assert made.json["generated"][0]["arrangement"] == "strings"
    again = wf.replay(file, model=str(bundle))
    assert [one.outcome for one in again] == ["identical"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "harmonise"}, "begins with a MIDI file"),
        ({"start": "a.mid"}, "leave settings.start out"),
        ({"mood": "funky"}, "choose one of calm"),
        ({"density": "thick"}, "choose one of sparse"),
        ({"key": "H"}, "is no key"),
        ({"metre": "5/5"}, "is no metre"),
        ({"metre": "6/8"}, "choose 2/4, 3/4 or 4/4"),
        ({"upbeat": 4}, "an upbeat shorter than a bar"),
        ({"bars": 0}, "0 bars cannot be made"),
        ({"bars": 90}, "90 bars cannot be made"),
        ({"tempo_bpm": 2.0}, "it must be 10.0 to 400.0"),
        ({"arrangement": "chior"}, "did you mean choir"),
        ({"task": "loop"}, "belongs to the task loop"),
        ({"seconds": 3.0}, "belongs to the task loop"),
        ({"task": "loop", "seconds": 0.5}, "cannot be filled by whole bars"),
        ({"barss": 3}, "bars"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    model: MusicModel, settings: Mapping[str, object], said: str
) -> None:
    with pytest.raises(WenfangError, match=said):
        model.draw("", (0,), settings)


def test_a_start_that_is_no_music_is_refused(model: MusicModel, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be read"):
        one(model, task="vary", start=str(tmp_path / "none.mid"))
    text = tmp_path / "a.mid"
    text.write_text("春江", "utf-8")
    with pytest.raises(MediaError, match="is not a MIDI file"):
        one(model, task="vary", start=str(text))
    odd = tmp_path / "b.mid"
    score = tiny_music.piece(2).score()
    odd.write_bytes(write_score(score).replace(b"\xff\x58\x04\x04\x02", b"\xff\x58\x04\x07\x02"))
    with pytest.raises(BriefError, match="bars of 7 beats"):
        one(model, task="vary", start=str(odd))


def test_only_a_gpt_learns_parts(tmp_path: Path) -> None:
    other = replace(tiny_music.recipe(), family="bert")
    with pytest.raises(ConfigError, match="layout parts is learnt by"):
        learn_parts(other, tiny_music.dataset(tmp_path), part_tokenizer())


def test_a_bundle_that_learnt_another_way_of_writing_is_refused(bundle: Path) -> None:
    loaded = load(bundle)
    names = [name for name in loaded.tokenizer.tokens() if name != NEXT] if loaded.tokenizer else []
    older = replace(loaded, tokenizer=train_characters((), specials=names))
    with pytest.raises(ConfigError, match="train it again"):
        Composer(older)


def test_the_suite_measures_beside_real_pieces(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wenfang.recipes.part_suite.MADE", 6)
    data = Dataset.open(bundle.parents[1] / "data" / "dataset")
    numbers = measure_parts(load(bundle), data)
    assert numbers["exact_length_share"] == 1.0
    assert numbers["range_violations"] == 0
    assert numbers["test_nats_a_token"] < np.log(200)
    assert numbers["test_nats_a_lower_note"] != numbers["test_nats_a_lower_note_harmonising"]
    assert 0 <= numbers["copied_share"] <= 1
    assert (
        numbers["parallels_a_bar_of_real_middle"][0] <= numbers["parallels_a_bar_of_real_middle"][1]
    )


@pytest.mark.parametrize(
    ("text", "mood"),
    [
        ("a quiet hour by quiet water", "calm"),
        ("儿童玩具", "playful"),
        ("孤独的秋天", "longing"),
        ("nightmare", None),
        ("", None),
    ],
)
def test_moods_are_read_in_both_languages(text: str, mood: str | None) -> None:
    assert mood_of(text) == mood


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a walk in Bb major", Key(tonic=10)),
        ("升f小调的歌", Key(tonic=6, minor=True)),
        ("降E大调", Key(tonic=3)),
        ("一首g小調的歌", Key(tonic=7, minor=True)),
        ("in C# minor", Key(tonic=1, minor=True)),
        ("major trouble", None),
        ("plain", None),
    ],
)
def test_keys_are_found_in_prompts(text: str, key: Key | None) -> None:
    assert Key.within(text) == key


def test_a_piece_with_parallels_is_drawn_anew(
    model: MusicModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    composer = Composer(model.loaded)
    asked = [Asked(key=Key(tonic=7), beats=4, upbeat=0, bars=4)] * 2
    streams: list[tuple[int | str, ...]] = [(1, "a"), (1, "b")]
    plain = composer.compose(asked, streams, PartSampling())
    drawn: list[tuple[int | str, ...]] = []
    draw = composer._drawn

    def noted(asked: Any, streams: Any, sampling: Any) -> Any:
        drawn.extend(streams)
        return draw(asked, streams, sampling)

    poor = {plain[1].pitches.tobytes()}
    monkeypatch.setattr(composer, "_drawn", noted)
    monkeypatch.setattr(
        "wenfang.backends.composer.parallels", lambda one: int(one.pitches.tobytes() in poor)
    )
    again = composer.compose(asked, streams, PartSampling())
    assert drawn == [*streams, (1, "b", "again", 0)]
    assert again[0].pitches.tobytes() == plain[0].pitches.tobytes()
    assert again[1].pitches.tobytes() != plain[1].pitches.tobytes()
