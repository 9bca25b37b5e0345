"""Spoken digits: takes as records, models of pictures that speak, and what tells their worth."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import wenfang as wf
from conftest import Call
from tiny_sounds import CLASSES, SCALE, archive, dataset, recipe, word
from wenfang.atomic import write_json
from wenfang.backends.painter import PaintOptions
from wenfang.checkpoint import MANIFEST, file_hashes
from wenfang.data import prepare_named
from wenfang.data.dataset import Dataset
from wenfang.data.drawings import drawing
from wenfang.data.spoken_digits import TOO_LONG, heard, spoken_rows
from wenfang.engine.asset import Maker
from wenfang.errors import BriefError, BundleError, ConfigError, DataError, MediaError
from wenfang.media.audio import Sound, decode_sound
from wenfang.media.mel import mel_picture, sound_of
from wenfang.models.load import load
from wenfang.recipes import sound_suite
from wenfang.recipes.suite import SuiteConfig, evaluate
from wenfang.recipes.train import TrainRequest, train
from wenfang.store.manifest import read_manifest, write_manifest

DATA = os.environ.get("WENFANG_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="WENFANG_DATA names no folder of data sets")
FEW: dict[str, Any] = {"paint": {"denoising": {"steps": 2}}, "rounds": 5}
MAKERS = ("spoken-digits", "spoken-digits-dit", "spoken-digits-vae")


def takes(seconds: float = 0.4) -> dict[str, Sound]:
    draw = np.random.default_rng(0)
    return {f"{n % 2 + 1}_ann_{n // 2}": word(CLASSES[n % 2], seconds, draw) for n in range(24)}


def test_takes_become_pictures_in_the_parts_of_the_origin(tmp_path: Path) -> None:
    path = archive(tmp_path / "r.tar.xz", takes())
    lost: Counter[str] = Counter()
    rows = list(spoken_rows(path, "text", lost))
    assert Counter(part for part, _ in rows) == {"test": 10, "valid": 10, "train": 4}
    assert [record["name"] for part, record in rows if part == "train"] == [
        "1_ann_10", "1_ann_11", "2_ann_10", "2_ann_11",
    ]  # fmt: skip
    record = rows[0][1]
    assert (record["label"], record["digit"], record["speaker"]) == ("1 ann", "1", "ann")
    assert drawing(record).size == (48, 48)
    assert record["seconds"] == pytest.approx(0.4, abs=0.05)
    assert lost == {TOO_LONG: 0}
    read = [record["label"] for _, record in spoken_rows(path, "digit", Counter())]
    assert set(read) == {"1", "2"}


def test_what_is_longer_than_a_picture_is_left_out_and_counted(tmp_path: Path) -> None:
    given = takes() | {"1_ann_3": word("1 high", 1.2, np.random.default_rng(1))}
    lost: Counter[str] = Counter()
    rows = list(spoken_rows(archive(tmp_path / "r.tar.xz", given), "text", lost))
    assert (len(rows), lost[TOO_LONG]) == (23, 1)
    assert "1_ann_3" not in {record["name"] for _, record in rows}


def test_silence_around_a_take_is_cut() -> None:
    spoken = word("1 low", 0.4, np.random.default_rng(1))
    air = np.zeros((4000, 1), np.float32)
    within = Sound(samples=np.concatenate((air, spoken.samples, air)), sample_rate_hz=8000)
    assert heard(within).duration_s == pytest.approx(0.44, abs=0.03)
    silence = Sound(samples=air, sample_rate_hz=8000)
    assert heard(silence) is silence


@pytest.mark.parametrize("harm", ["cut", "no archive", "no sound", "rate"])
def test_a_broken_archive_is_refused(tmp_path: Path, harm: str) -> None:
    path = archive(tmp_path / "r.tar.xz", takes())
    if harm == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif harm == "no archive":
        path.write_bytes(b"spoken")
    elif harm == "no sound":
        import tarfile

        (tmp_path / "1_ann_0.wav").write_bytes(b"spoken")
        with tarfile.open(path, "w:xz") as packed:
            packed.add(tmp_path / "1_ann_0.wav", "recordings/1_ann_0.wav")
    else:
        fast = Sound(samples=np.full((100, 1), 0.1, np.float32), sample_rate_hz=16_000)
        archive(path, {"1_ann_0": fast})
    with pytest.raises(DataError, match=r"r\.tar\.xz is no readable archive"):
        list(spoken_rows(path, "text", Counter()))


def test_an_archive_that_holds_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wenfang.data.spoken_digits.LIMIT_FILES", 20)
    with pytest.raises(DataError, match="no set of spoken digits"):
        list(spoken_rows(archive(tmp_path / "r.tar.xz", takes()), "text", Counter()))


@needs_data
@pytest.mark.data
@pytest.mark.slow
def test_the_origins_recordings_are_all_counted(tmp_path: Path) -> None:
    spoken = prepare_named("fsdd", None, tmp_path / "spoken")
    assert spoken.counts["read"] == 3000
    assert spoken.counts["rejected"] == {TOO_LONG: 25}
    assert [spoken.count(part) for part in ("train", "valid", "test")] == [2379, 297, 299]
    assert spoken.manifest.licence == "CC-BY-SA-4.0"
    assert len({record["label"] for record in spoken.records("train")}) == 60
    read = prepare_named("fsdd_digits", None, tmp_path / "read")
    assert {record["label"] for record in read.records("test")} == set("0123456789")
    assert read.manifest.payload_sha256 != spoken.manifest.payload_sha256


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset(tmp_path_factory.mktemp("words") / "set")


@pytest.fixture(scope="module")
def bundles(words: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    read = dataset(folder / "read" / "set", "digit")
    steps = dict.fromkeys(MAKERS, 20) | {"spoken-digit-reader": 60}
    found = {}
    for name, count in steps.items():
        write_json(folder / f"{name}.json", recipe(name, count).to_dict())
        data = read if name == "spoken-digit-reader" else words
        found[name] = train(
            TrainRequest(
                recipe=str(folder / f"{name}.json"),
                run=folder / name,
                data=data.folder,
                measured=False,
            )
        )
    return found


def model(bundles: dict[str, Path], name: str) -> Maker:
    return wf.load(str(bundles[name]))


def test_a_bundle_says_that_its_pictures_are_heard(bundles: dict[str, Path]) -> None:
    for name in MAKERS:
        told = load(bundles[name]).painting
        assert told is not None
        assert told.mel == SCALE
    assert load(bundles["spoken-digit-reader"]).painting is None


@pytest.mark.parametrize("harm", ["size", "hop", "colour"])
def test_a_bundle_whose_scale_is_not_that_of_its_pictures_is_refused(
    bundles: dict[str, Path], tmp_path: Path, harm: str
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundles["spoken-digits"], folder)
    told = json.loads((folder / "config.json").read_text())
    if harm == "colour":
        told["painting"]["channels"] = 3
    else:
        told["painting"]["mel"] |= {"side": 48} if harm == "size" else {"hop": 100}
    write_json(folder / "config.json", told)
    manifest = read_manifest(folder / MANIFEST)
    write_manifest(
        folder / MANIFEST,
        replace(manifest, facts={**manifest.facts, "files": file_hashes(folder)}),
    )
    with pytest.raises(BundleError, match=r"cannot be computed" if harm == "hop" else "are grey"):
        load(folder)


@pytest.mark.parametrize("name", MAKERS)
def test_a_word_is_published_as_sound_and_as_picture_and_made_again(
    bundles: dict[str, Path], name: str, tmp_path: Path, home: Path
) -> None:
    prompt = "" if name == "spoken-digits-vae" else "2 low"
    made = model(bundles, name).generate(prompt, seed=5, **FEW)
    assert made.audio.sample_rate_hz == 8000
    assert 0 < made.audio.duration_s <= SCALE.duration_s
    assert made.record()["said"] == prompt
    for suffix in (".wav", ".mp3", ".flac", ".png"):
        sealed = made.save(tmp_path / f"x{suffix}")
        assert wf.verify(sealed.path)[0].exit_code == 0
    with Image.open(tmp_path / "x.png") as image:
        assert image.width == 384
    heard_again = decode_sound((tmp_path / "x.wav").read_bytes())
    assert heard_again.duration_s > made.audio.duration_s  # its label is heard in it
    for suffix in (".wav", ".png"):
        replayed = wf.replay(tmp_path / f"x{suffix}", model=str(bundles[name]))
        assert [one.outcome for one in replayed] == ["identical"]


def test_the_seed_alone_decides_and_several_are_as_each_alone(bundles: dict[str, Path]) -> None:
    maker = model(bundles, "spoken-digits")
    many = maker.generate_many("1 high", seeds=(3, 4), **FEW)
    alone = maker.generate("1 high", seed=4, **FEW)
    assert many[1].manifest.id == alone.manifest.id
    assert many[0].content != many[1].content


@pytest.mark.parametrize("prompt", ["2", "two", "Two", "二", "2 "])
def test_a_digit_alone_is_said_in_a_voice_of_the_seed(
    bundles: dict[str, Path], prompt: str
) -> None:
    maker = model(bundles, "spoken-digits")
    said = {maker.generate(prompt, seed=seed, **FEW).said for seed in range(8)}
    assert said == {"2 high", "2 low"}
    assert maker.generate("", seed=1, **FEW).said in CLASSES


def test_what_is_not_known_is_refused(bundles: dict[str, Path], tmp_path: Path) -> None:
    maker = model(bundles, "spoken-digits")
    for prompt in ("7", "1 ann", "low", "1 low and more"):
        with pytest.raises(BriefError, match=r"does not say .*; it says 1, 2, .*high, low"):
            maker.generate(prompt)
    with pytest.raises(BriefError, match="without being told what"):
        model(bundles, "spoken-digits-vae").generate("1")
    with pytest.raises(ConfigError, match="side_px"):
        maker.generate("1", side_px=512)
    with pytest.raises(ConfigError, match="it must be 1 to 1000"):
        maker.generate("1", rounds=0)
    with pytest.raises(MediaError, match=r"\.wav, .*\.png"):
        maker.generate("1", **FEW).save(tmp_path / "x.txt")


def test_a_command_writes_the_sound_that_it_cannot_print(
    bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ("--set", "paint.denoising.steps=2", "--set", "rounds=5")
    told = call("generate", bundles["spoken-digits"], "1", "--seed", 3, *quick, "--json").json
    assert told["files"] == ["bundle-3.wav"]
    assert told["generated"][0]["said"] in ("1 high", "1 low")
    call("generate", bundles["spoken-digits"], "2", "-n", 2, "-o", "many", *quick)
    assert {one.name for one in (tmp_path / "many").glob("*.wav")} == {"00000.wav", "00001.wav"}


def test_what_is_said_is_listened_to_where_a_recogniser_is_here(
    bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.chdir(tmp_path)
    quick = ("--set", "paint.denoising.steps=2", "--set", "rounds=5")
    asked = ("generate", bundles["spoken-digits"], "1", *quick, "--json", "-o", "a.wav", "--seed")
    assert "heard" not in call(*asked, 0).json["generated"][0]
    monkeypatch.setitem(sound_suite.LISTENERS, "words", str(bundles["spoken-digit-reader"]))
    heard = set()
    for seed in range(12):  # after twenty steps it mumbles
        done = call(*asked, seed)
        told = done.json["generated"][0]
        heard.add(told["heard"])
        assert ("another --seed" in done.err) == (told["heard"] != told["said"][0])
    assert heard <= {"1", "2"}
    facts: Any = model(bundles, "spoken-digits").generate("1", **FEW).manifest.facts
    assert facts["heard"]["by"].startswith("spoken-digit-reader@")


SMALL = SuiteConfig(pictures=12)


def test_the_suite_listens_to_what_is_made(
    bundles: dict[str, Path], words: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sound_suite.LISTENERS, "words", str(bundles["spoken-digit-reader"]))
    numbers = evaluate(load(bundles["spoken-digits"]), words, SMALL)
    assert numbers["listener"].startswith("spoken-digit-reader@")
    assert (numbers["made"], numbers["real"]) == (12, 16)
    assert numbers["real_told_rightly_share"] == 1
    assert numbers["real_as_sounds_anew_told_rightly_share"] == 1
    assert numbers["1_told_rightly"].endswith("of 6")
    right = [int(numbers[f"{digit}_told_rightly"].split()[0]) for digit in "12"]
    assert numbers["told_rightly_share"] == pytest.approx(sum(right) / 12)
    # After twenty steps it mumbles: recordings lie nearer to recordings, in the voice they are of.
    assert 0 < numbers["real_mel_cepstral_distance_db"] < numbers["mel_cepstral_distance_db"]
    assert numbers["real_nearest_is_same_voice_share"] == 1
    assert 0 < numbers["real_as_sounds_anew_mel_cepstral_distance_db"] < 3
    assert numbers["real_spread_within_a_class_db"] > 0
    assert json.loads(json.dumps(numbers)) == numbers


def test_recordings_in_place_of_made_ones_pass_the_suite(
    bundles: dict[str, Path], words: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A maker that gave back real takes would be told rightly, as near as they are."""
    monkeypatch.setitem(sound_suite.LISTENERS, "words", str(bundles["spoken-digit-reader"]))
    monkeypatch.setattr(
        sound_suite,
        "spoken",
        lambda painter, count, options: sound_suite.recorded(words, "test"),
    )
    numbers = sound_suite.measure_heard(load(bundles["spoken-digits"]), words, 16, PaintOptions())
    assert numbers["told_rightly_share"] == 1
    by_sound = numbers["real_as_sounds_anew_mel_cepstral_distance_db"]
    most = numbers["real_mel_cepstral_distance_db"] + by_sound
    assert numbers["mel_cepstral_distance_db"] < most + 0.1
    assert numbers["nearest_is_same_voice_share"] == 1


def test_an_autoencoder_is_measured_by_what_it_tells_again(
    bundles: dict[str, Path], words: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = evaluate(load(bundles["spoken-digits-vae"]), words, SMALL)
    assert "listener" not in alone
    assert alone["told_again_psnr_db"] > 0
    monkeypatch.setitem(sound_suite.LISTENERS, "words", str(bundles["spoken-digit-reader"]))
    numbers = evaluate(load(bundles["spoken-digits-vae"]), words, SMALL)
    assert 0 <= numbers["told_again_told_rightly_share"] <= 1
    assert numbers["told_again_mel_cepstral_distance_db"] > 0
    assert numbers["least_word_share"] + numbers["largest_word_share"] == 1
    assert "told_rightly_share" not in numbers


def test_a_listener_of_other_words_is_refused(
    bundles: dict[str, Path], words: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sound_suite.LISTENERS, "words", str(bundles["spoken-digits"]))
    with pytest.raises(BundleError, match="no recogniser of the 2 words"):
        evaluate(load(bundles["spoken-digits"]), words, SMALL)


def test_pairs_of_one_class_are_neighbours_within_it() -> None:
    assert sound_suite._of_one_class(["a", "b", "a", "a", "c"]) == [(0, 2), (2, 3)]


def test_each_word_is_made_as_often_by_each_voice(bundles: dict[str, Path]) -> None:
    from wenfang.backends.painter import Painter
    from wenfang.samplers.denoise import Denoising

    options = PaintOptions(denoising=Denoising(steps=1))
    made = sound_suite.spoken(Painter(load(bundles["spoken-digits"])), 6, options)
    assert made.classes == ("1 high", "2 high", "1 low", "2 low", "1 high", "2 high")
    assert (made.words[:2], made.voices[1:3]) == (["1", "2"], ["high", "low"])
    assert made.levels.shape == (6, 16, 16)
    assert np.array_equal(
        made.heard(SCALE).levels[0],
        mel_picture(sound_of(made.levels[0], SCALE), SCALE),
    )
