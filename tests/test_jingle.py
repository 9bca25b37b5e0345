"""A brand name becomes a jingle: said once, in music that goes round, in variants that differ."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wenfang as wf
from conftest import Call
from wenfang.backends.composer import Composer, PartSampling
from wenfang.backends.loading import load_named
from wenfang.backends.shelf import find_bundle
from wenfang.backends.speech.espeak import Espeak
from wenfang.checkpoint import MANIFEST
from wenfang.checks import policy_from
from wenfang.checks.judging import Judge
from wenfang.device import set_threads
from wenfang.errors import BriefError, CheckError
from wenfang.media.audio import Sound, decode_sound
from wenfang.media.loudness import loudness_lufs, true_peak_dbtp
from wenfang.media.score import read_score, write_score
from wenfang.scenarios import jingle_music, read_brief
from wenfang.scenarios.jingle_brief import JingleBrief
from wenfang.scenarios.jingle_music import (
    BPM,
    COMPANIONS,
    LEAST_APART,
    Tune,
    distance,
    fillings,
    ranked,
    styles,
    tunes,
)
from wenfang.scenarios.jingle_sound import (
    AFTER_S,
    BEFORE_S,
    PEAK_DBTP,
    Said,
    heard,
    said,
    seam,
)
from wenfang.scenarios.jingle_variant import ROUGHEST, Variant, Workshop, distances
from wenfang.store import from_record, to_record

RATE = 48_000
VOICE = Espeak()
BRIEF = JingleBrief(brand="晨光茶馆", mood="joyful", seconds=6.0, variants=3, seed=4)


@pytest.fixture(scope="module")
def work() -> Workshop:
    set_threads(1)
    return Workshop(brief=BRIEF, composer=Composer(load_named("chorale")), judge=Judge())


@pytest.fixture(scope="module")
def words() -> dict[bool, Said]:
    return {late: said(BRIEF, late, VOICE) for late in (True, False)}


@pytest.fixture(scope="module")
def variants(work: Workshop, words: dict[bool, Said]) -> list[Variant]:
    found: list[Variant] = []
    for style in styles(BRIEF):
        tunes = [one.jingle.tune for one in found]
        found.append(work.variant(style, words[style.late], tunes))
    return found


def level_db(sound: Sound, start_s: float, end_s: float) -> float:
    part = sound.samples[round(start_s * RATE) : round(end_s * RATE)].astype(np.float64)
    return float(10 * np.log10((part**2).mean() + 1e-12))


def silent(words: Said) -> Said:
    """The same words, said without a sound."""
    sound = words.spoken.sound
    nothing = Sound(samples=np.zeros_like(sound.samples), sample_rate_hz=sound.sample_rate_hz)
    return Said(
        spoken=replace(words.spoken, sound=nothing),
        speed=words.speed,
        name_start_s=words.name_start_s,
        name_end_s=words.name_end_s,
    )


# What is heard -----------------------------------------------------------------------------------


def test_every_variant_is_as_long_and_as_loud_as_asked(variants: list[Variant]) -> None:
    for one in variants:
        for sound in (one.jingle.sound, one.jingle.bed):
            assert sound.samples.shape == (6 * RATE, 2)
            assert loudness_lufs(sound.samples, RATE) == pytest.approx(-14, abs=0.2)
            assert true_peak_dbtp(sound.samples) <= PEAK_DBTP + 0.05
        assert one.report.verdict


def test_the_name_is_heard_where_the_facts_say(
    variants: list[Variant], words: dict[bool, Said]
) -> None:
    for one in variants:
        made = one.jingle
        assert made.name_start_s >= BEFORE_S
        assert made.name_end_s <= 6 - AFTER_S
        mute = heard(BRIEF, made.tune, silent(words[one.style.late]))
        spoken = level_db(made.sound, made.name_start_s, made.name_end_s)
        under = level_db(mute.sound, made.name_start_s, made.name_end_s)
        # Against the music at that place of the bed, what lies under the voice is let down …
        let_down = under - level_db(made.bed, made.name_start_s, made.name_end_s)
        beside = level_db(mute.sound, 0, BEFORE_S) - level_db(made.bed, 0, BEFORE_S)
        assert let_down < beside - 7
        # … and the voice stands clear of it.
        assert spoken > under + 5


def test_a_late_name_leaves_the_last_chord_to_the_music(variants: list[Variant]) -> None:
    late = [one for one in variants if one.style.late]
    assert late
    assert len(late) < len(variants)
    for one in late:
        tune = one.jingle.tune
        final_s = tune.final / len(tune.piece) * 6
        assert one.jingle.voice_end_s <= final_s
        assert one.jingle.signature_s is not None
        assert one.jingle.signature_s >= one.jingle.voice_end_s
    early = next(one for one in variants if not one.style.late)
    assert early.jingle.name_start_s < late[0].jingle.name_start_s - 0.5


def test_the_end_meets_the_beginning(variants: list[Variant]) -> None:
    for one in variants:
        for sound in (one.jingle.sound, one.jingle.bed):
            whole = seam(sound)
            assert whole < 0.1  # the same music without the ring of its end: 0.2
            # What is cut short has a seam that this measure sees.
            cut = [
                seam(Sound(samples=sound.samples[: len(sound.samples) - off], sample_rate_hz=RATE))
                for off in range(20_000, 60_000, 2_003)
            ]
            assert np.median(cut) > 5 * whole


def test_music_ends_upon_its_tonic_before_the_loop_point(variants: list[Variant]) -> None:
    for one in variants:
        piece = one.jingle.tune.piece
        assert piece.pitches[-1, -1] % 12 == one.style.key.tonic
        assert one.jingle.tune.ends_clearly
        assert one.jingle.score.duration_s < 6 - 0.1  # a breath
        assert one.jingle.score.seconds_at(480 * len(piece) // 4) == pytest.approx(6, abs=0.01)


def test_the_signature_can_be_left_out(variants: list[Variant], words: dict[bool, Said]) -> None:
    made = variants[0].jingle
    bare = heard(replace(BRIEF, signature="none"), made.tune, words[True])
    assert bare.signature_s is None
    assert made.signature_s is not None

    def high(sound: Sound) -> float:
        first = round(made.signature_s * RATE)  # type: ignore[operator]
        spectrum = np.fft.rfft(sound.samples[first : first + RATE // 2, 0])
        return float((np.abs(spectrum[len(spectrum) // 12 :]) ** 2).sum())  # above 2 kHz

    assert high(made.sound) > 1.5 * high(bare.sound)


def test_music_that_does_not_go_round_dies_away(words: dict[bool, Said], work: Workshop) -> None:
    once = replace(work, brief=replace(BRIEF, loop=False))
    found = once.variant(styles(BRIEF)[0], words[True], [])
    made = found.jingle
    assert made.sound.samples.shape == (6 * RATE, 2)
    assert made.seams is None
    assert level_db(made.sound, 5.9, 6.0) < level_db(made.sound, 0.0, 5.0) - 30
    assert loudness_lufs(made.sound.samples, RATE) == pytest.approx(-14, abs=0.2)
    names = [check.name for check in found.report.checks]
    assert "loop_seam" not in names
    assert "melody_copy" in names


def test_the_same_seed_gives_the_same_jingle(
    work: Workshop, words: dict[bool, Said], variants: list[Variant]
) -> None:
    first = variants[0]
    again = work.variant(first.style, words[True], [])
    assert np.array_equal(again.jingle.sound.samples, first.jingle.sound.samples)
    others = tunes(work.composer, first.style, BRIEF.seed + 1, PartSampling())
    pieces = [one.piece.pitches.tolist() for one in others]
    assert first.jingle.tune.piece.pitches.tolist() not in pieces


# What differs ------------------------------------------------------------------------------------


def test_variants_differ_in_music_and_in_how_it_is_played(variants: list[Variant]) -> None:
    apart = distances(variants, 6.0)
    assert set(apart) == {(1, 2), (1, 3), (2, 3)}
    assert all(found.mean >= LEAST_APART for found in apart.values())
    for name in ("arrangement", "key"):
        assert len({getattr(one.style, name) for one in variants}) == 3
    assert len({one.style.filling for one in variants}) > 1


def test_the_distance_is_that_of_the_music_and_not_of_its_key(variants: list[Variant]) -> None:
    tune = variants[0].jingle.tune
    key = replace(tune.piece.key, tonic=(tune.piece.key.tonic + 3) % 12)
    piece = replace(tune.piece, pitches=(tune.piece.pitches + 3).astype(np.int16), key=key)
    higher = Tune(style=tune.style, piece=piece, copied=0)
    assert distance(tune.heard(6.0), higher.heard(6.0)) == (0, 0, 0)
    assert ranked([higher], [tune], 6.0) == []  # so it is no other variant
    assert ranked([higher], [], 6.0) == [higher]


def test_what_copies_is_tried_last(variants: list[Variant]) -> None:
    tune = variants[0].jingle.tune
    copied = Tune(style=tune.style, piece=tune.piece, copied=12)
    assert ranked([copied, tune], [], 6.0) == [tune, copied]


@pytest.mark.parametrize("seconds", [3.0, 4.2, 7.0, 8.0, 13.5, 30.0])
@pytest.mark.parametrize("bpm", [60.0, 112.0])
def test_whole_bars_fill_any_time(seconds: float, bpm: float) -> None:
    found = fillings(seconds, bpm)
    assert 1 <= len(found) <= 3
    for one in found:
        assert BPM[0] <= one.bpm <= BPM[1]
        assert one.beats * one.bars * 60 / one.bpm == pytest.approx(seconds)


def test_a_mood_chooses_who_plays_and_an_arrangement_is_kept() -> None:
    for mood, names in COMPANIONS.items():
        played = [one.arrangement for one in styles(JingleBrief(brand="a", mood=mood, variants=6))]
        assert played[1:] == list(names)
        assert len(set(played)) == 6
    organ = styles(JingleBrief(brand="a", arrangement="organ"))
    assert {one.arrangement for one in organ} == {"organ"}
    assert JingleBrief(brand="玩具乐园").felt == "playful"
    assert JingleBrief(brand="Acme", slogan="a quiet hotel").felt == "calm"
    assert JingleBrief(brand="Acme").felt == "bright"


def test_a_tune_that_is_known_gives_way_to_another(work: Workshop, tmp_path: Path) -> None:
    brief = JingleBrief(brand="Nova", mood="playful", seconds=12.0, signature="none")
    plain = Workshop(brief=brief, composer=work.composer, judge=Judge())
    style, spoken = styles(brief)[0], said(brief, True, VOICE)
    first = plain.variant(style, spoken, [])
    assert first.tried == 1
    (tmp_path / "known.mid").write_bytes(write_score(first.jingle.score))
    wary = replace(plain, judge=Judge.of(None, against=[tmp_path]))
    second = wary.variant(style, spoken, [])
    assert second.tried > 1
    assert second.report.verdict
    assert not np.array_equal(second.jingle.tune.piece.pitches, first.jingle.tune.piece.pitches)


def test_where_nothing_passes_the_reasons_are_told(
    work: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jingle_music, "LEAST_CANDIDATES", 2)
    monkeypatch.setattr(jingle_music, "MOST_CANDIDATES", 2)
    brief = JingleBrief(brand="Nova", seconds=3.0, signature="none")
    rules = {"sound_loudness": {"threshold": -1.0}}
    strict = policy_from({"uses": {"default": {"checks": rules}}}, "policy")
    asked = Workshop(brief=brief, composer=work.composer, judge=Judge(policy=strict))
    with pytest.raises(CheckError, match=r"variant 1: none of 2 pieces passes \(its loudness"):
        asked.variant(styles(brief)[0], said(brief, True, VOICE), [])


# What is said ------------------------------------------------------------------------------------


def test_the_name_is_said_first_or_last() -> None:
    brief = JingleBrief(brand="Copper Kettle", slogan="Coffee by the river", voice="man")
    early, late = said(brief, False, VOICE), said(brief, True, VOICE)
    assert early.name_start_s == 0
    assert early.name_end_s < early.duration_s / 2
    assert late.name_start_s > late.duration_s / 2
    assert late.name_end_s == pytest.approx(late.duration_s, abs=0.01)


def test_words_that_do_not_fit_are_told_with_what_does() -> None:
    brief = JingleBrief(
        brand="晨光茶馆", slogan="一杯热茶，半日清闲，满城春色都在窗前", seconds=4.0
    )
    with pytest.raises(BriefError, match=r"take \S+ s to say, and 4.0 s leave 2.9 s") as told:
        said(brief, True, VOICE)
    least = float(str(told.value.values["least"]))
    for late in (True, False):
        fitting = said(replace(brief, seconds=least + 0.2), late, VOICE)
        assert fitting.duration_s <= least + 0.2 - BEFORE_S - AFTER_S
    hurried = said(replace(brief, seconds=least), True, VOICE)
    assert hurried.speed > said(replace(brief, seconds=20.0), True, VOICE).speed


def test_words_that_never_fit_are_to_be_shortened() -> None:
    brief = JingleBrief(brand="晨光茶馆" * 10, slogan="一杯热茶半日清闲" * 10, seconds=30.0)
    with pytest.raises(BriefError, match=r"for them; shorten brand or slogan"):
        said(brief, False, VOICE)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"brand": ""}, "brand is empty"),
        ({"brand": "a" * 41}, "brand is empty, longer than 40"),
        ({"brand": "a\nb"}, "brand is empty, longer"),
        ({"brand": "☕☕"}, "nothing to read"),
        ({"slogan": "b" * 81}, "slogan is empty, longer than 80"),
        ({"slogan": "…"}, "nothing to read"),
        ({"mood": "funky"}, "mood is funky; choose one of calm"),
        ({"arrangement": "kazoo"}, "arrangement is kazoo; choose one of own"),
        ({"seconds": 2.9}, "seconds is 2.9; give 3 to 30"),
        ({"seconds": 31}, "seconds is 31.0; give 3 to 30"),
        ({"variants": 0}, "variants is 0; give 1 to 6"),
        ({"variants": 7}, "variants is 7; give 1 to 6"),
        ({"voice": "robot"}, "voice"),
        ({"language": "fr"}, "language"),
        ({"signature": "gong"}, "signature"),
        ({"loop": "yes"}, "loop"),
        ({"melody": "x"}, "melody"),
    ],
)
def test_what_no_jingle_can_be_made_of_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(BriefError, match=told):
        read_brief({"scenario": "jingle", "brand": "晨光茶馆", **fields}, "brief")


# What is sealed ----------------------------------------------------------------------------------


def write(**fields: object) -> str:
    content = {"scenario": "jingle", "brand": "晨光茶馆", "seconds": 4, "variants": 2, **fields}
    Path("brief.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return "brief.json"


def test_a_jingle_is_made_sealed_and_made_again(home: Path, call: Call) -> None:
    assert call("create", write(), "-o", "out").code == 0
    made = {path.name for path in Path("out").iterdir() if not path.name.endswith(".json")}
    for number in (1, 2):
        assert {
            f"jingle-{number}.wav", f"jingle-{number}.mp3", f"bed-{number}.wav",
            f"music-{number}.mid",
        } <= made  # fmt: skip
    assert "jingle-3.wav" not in made
    assert call("verify", "out").code == 0
    assert {one.outcome for one in wf.replay(Path("out"))} == {"identical"}
    sound = decode_sound(Path("out/jingle-1.wav").read_bytes())
    assert sound.duration_s > 4.5  # its label stands behind it …
    kept = Sound(samples=sound.samples[: 4 * RATE], sample_rate_hz=RATE)
    assert seam(kept) < ROUGHEST  # … and without it, it goes round
    assert loudness_lufs(kept.samples, RATE) == pytest.approx(-14, abs=0.5)
    assert true_peak_dbtp(kept.samples) <= -1.0
    assert read_score(Path("out/music-1.mid").read_bytes()).title == "晨光茶馆"
    page = Path("out/report.html").read_text("utf-8")
    assert page.count("<audio controls") == page.count("<svg") == 2
    assert "192000 frames" in page
    assert "melody_copy" in page
    assert "LicenseRef-public-domain" in page
    lineage = call("lineage", "out/jingle-2.mp3").out
    assert "bundle chorale" in lineage
    assert "brief 晨光茶馆" in lineage
    assert call("create", "brief.json", "-o", "out").code == 0  # nothing is left to do


def test_a_private_jingle_tells_nothing_of_its_brief(home: Path, call: Call) -> None:
    asked = write(brand="Nova", slogan="Zanzibar awaits", variants=1, seconds=5, loop=False)
    assert call("create", asked, "-o", "out", "--private").code == 0
    for path in Path("out").glob("*.json"):
        assert "Zanzibar" not in path.read_text("utf-8")
    assert "brief" not in call("lineage", "out/jingle-1.wav").out
    page = Path("out/report.html").read_text("utf-8")
    assert '"scenario"' not in page
    assert "These jingles end" in page


def test_commercial_refuses_a_composer_that_forbids_it(home: Path, call: Call) -> None:
    folder = home / "bundles" / "borrowed"
    shutil.copytree(find_bundle("chorale"), folder)
    record = json.loads((folder / MANIFEST).read_text())
    del record["id"]
    record["licence"] = "CC-BY-NC-4.0"
    (folder / MANIFEST).write_text(json.dumps(to_record(from_record(record))))
    refused = call("create", write(music="borrowed"), "-o", "out", "--commercial")
    assert refused.code == 25
    assert "CC-BY-NC-4.0" in refused.error
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"slogan": "一杯热茶，半日清闲，满城春色都在窗前，请进来坐坐"}, "ask for"),
        ({"music": "verse"}, "verse"),
        ({"music": "no-such-bundle"}, "no-such-bundle"),
    ],
)
def test_nothing_is_sealed_where_it_cannot_be_made(
    home: Path, call: Call, fields: dict[str, object], told: str
) -> None:
    refused = call("create", write(**fields), "-o", "out")
    assert refused.code >= 10
    assert told in refused.error
    assert not Path("out").exists()


def test_a_policy_forbids_what_may_not_be_said(home: Path, call: Call) -> None:
    Path("policy.json").write_text('{"uses": {"default": {"listed": ["晨光"]}}}', "utf-8")
    refused = call("create", write(), "-o", "out", "--policy", "policy.json")
    assert refused.code >= 10
    assert "what is to be said did not pass" in refused.error
    assert not Path("out").exists()
