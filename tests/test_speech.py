"""Texts read aloud: what is said for numbers and signs, how characters are read, and when."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wenfang as wf
from conftest import Call
from wenfang.backends.speech import espeak
from wenfang.backends.speech.espeak import Espeak, syllables
from wenfang.backends.speech.speaker import SpeechOptions, phrases_of
from wenfang.compose.voice import AIR_S, polished
from wenfang.config import from_dict
from wenfang.engine.generating import load_model
from wenfang.errors import BriefError, ConfigError, DependencyError, WenfangError
from wenfang.knowledge.reading import chinese_number, runs, spoken_chinese, spoken_english
from wenfang.media.loudness import loudness_lufs, true_peak_dbtp

VALUES = {one: place for place, one in enumerate("零一二三四五六七八九")} | {"两": 2}


def value_of(said: str) -> int:
    """What a Chinese number means: the other way about."""
    total = part = digit = 0
    for sign in said:
        if sign in VALUES:
            digit = VALUES[sign]
        elif sign in "十百千":
            part += (digit or 1) * {"十": 10, "百": 100, "千": 1000}[sign]
            digit = 0
        else:
            scale = {"万": 10**4, "亿": 10**8}[sign]
            if scale == 10**8 or total % 10**8 == 0:
                total = (total + part + digit) * scale if scale == 10**8 else total
                if scale == 10**4:
                    total += (part + digit) * scale
            part = digit = 0
    return total + part + digit


@settings(max_examples=300)
@given(st.integers(0, 10**8 - 1))
def test_a_number_is_said_so_that_it_is_understood(number: int) -> None:
    assert value_of(chinese_number(str(number))) == number


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        ("0", "零"), ("10", "十"), ("15", "十五"), ("20", "二十"), ("101", "一百零一"),
        ("110", "一百一十"), ("1001", "一千零一"), ("2500", "两千五百"), ("10010", "一万零一十"),
        ("20000", "两万"), ("100000", "十万"), ("10000001", "一千万零一"), ("100000000", "一亿"),
        ("007", "七"), ("12345678901234567", "一二三四五六七八九零一二三四五六七"),
    ],
)  # fmt: skip
def test_numbers_are_said_as_people_say_them(digits: str, said: str) -> None:
    assert chinese_number(digits) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026年3月5日开门", "二零二六年三月五日开门"),
        ("2026-01-02", "二零二六年一月二日"),
        ("1998年", "一九九八年"),
        ("14:30到2:05", "十四点三十分到两点零五分"),
        ("票价¥25.50", "票价二十五元五角"),
        ("¥3.05", "三元零五分"),
        ("$1,200", "一千二百美元"),
        ("涨了30%", "涨了百分之三十"),
        ("气温-3℃", "气温负三摄氏度"),
        ("走10-20km", "走十到二十公里"),
        ("约1/2", "约二分之一"),
        ("2个人，2.5米，第2名", "两个人，二点五米，第二名"),
        ("电话010-12345678", "电话零幺零幺二三四五六七八"),
        ("13800138000", "幺三八零零幺三八零零零"),
        ("π约3.14", "π约三点一四"),
        ("茶&酒", "茶和酒"),
    ],
)
def test_signs_are_said_in_chinese(text: str, said: str) -> None:
    assert spoken_chinese(text) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$25.50 each", "25 dollars 50 cents each"),
        ("£1", "1 pound"),
        ("30% off", "30 percent off"),
        ("5 km at 9:05", "5 kilometres at 9 oh 5"),
        ("at 10:00", "at 10 o'clock"),
        ("on 2024-05-03", "on May 3, 2024"),
        ("2024-15-03 is none", "2024-15-03 is none"),
        ("call 555-0134.", "call 5 5 5, 0 1 3 4."),
        ("1-800-555-0134", "1-800-555-0134"),
        ("555-123-4567", "5 5 5, 1 2 3, 4 5 6 7"),
        ("500-1000 guests for $500-1000", "500-1000 guests for 500 dollars-1000"),
        ("1/2 or 3/4 of 5/7", "1 half or 3 quarters of 5/7"),
        ("open 24/7, 9/2", "open 24 7, 9/2"),
        ("24/12/2026", "24/12/2026"),
    ],
)
def test_signs_are_said_in_english(text: str, said: str) -> None:
    assert spoken_english(text) == said


def test_latin_words_within_chinese_are_english() -> None:
    assert runs("免费Wi-Fi很快") == [("zh", "免费"), ("en", "Wi-Fi"), ("zh", "很快")]
    assert runs("plain words") == [("en", "plain words")]
    assert runs("  ") == []


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("银行行长", "yin2 hang2 hang2 zhang3"),
        ("重新长大", "chong2 xin1 zhang3 da4"),
        ("音乐快乐", "yin1 yue4 kuai4 le4"),
        ("一不小心", "yi2 bu4 xiao3 xin1"),
        ("你好", "ni2 hao3"),
    ],
)
def test_characters_are_read_by_the_words_that_they_stand_in(text: str, read: str) -> None:
    assert " ".join(said for _, said in syllables(text)) == read


def test_marks_make_phrases_and_pauses() -> None:
    phrases = phrases_of("春江潮水，连海平。\n\n价格 3,000.50 元；Hello, world.")
    assert [one.text for one in phrases] == [
        "春江潮水",
        "连海平",
        "价格 3,000.50 元",
        "Hello",
        "world",
    ]
    pauses = [one.pause_s for one in phrases]
    assert pauses[1] > pauses[4] > pauses[0] > 0
    shortened = phrases_of("Dr. Smith, e.g. a doctor, is here. St. Mary is not.")
    assert [one.text for one in shortened] == [
        "Dr. Smith", "e.g. a doctor", "is here", "St. Mary is not",
    ]  # fmt: skip
    assert [one.pause_s for one in phrases_of("a. b.", 0.0)] == [0.0, 0.0]


def test_letters_that_the_voice_leaves_out_are_told(tmp_path: Path, call: Call) -> None:
    said = call("generate", "speech", "hello Привет, 你好 é", "-o", str(tmp_path / "a.wav"))
    assert said.code == 0
    assert "it leaves out Привет" in said.err
    assert (
        "leaves out"
        not in call("generate", "speech", "hi 你好 42", "-o", str(tmp_path / "b.wav")).err
    )


def test_a_language_that_no_voice_speaks_is_told_with_those_that_one_does() -> None:
    with pytest.raises(ConfigError, match='language: "xx" is not one of zh, en'):
        from_dict(SpeechOptions, {"language": "xx"}, where="settings")


def test_every_word_is_heard_in_its_order_and_place() -> None:
    spoken = Espeak().speak("春江潮水连海平，海上明月共潮生。", SpeechOptions())
    assert [one.text for one in spoken.words] == list("春江潮水连海平海上明月共潮生")
    assert [one.text for one in spoken.phrases] == ["春江潮水连海平，", "海上明月共潮生。"]
    for before, after in itertools.pairwise(spoken.words):
        assert before.start_s < before.end_s <= after.start_s + 1e-6
    assert spoken.words[-1].end_s == pytest.approx(spoken.sound.duration_s, abs=0.01)
    gap = spoken.phrases[1].start_s - spoken.phrases[0].end_s
    assert gap == pytest.approx(0.26, abs=0.01)
    assert len(spoken.phonemes) > len(spoken.words)


def pitches_hz(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Of each voiced piece of 40 ms, by its autocorrelation."""
    size, found = round(0.04 * rate_hz), []
    for first in range(0, len(samples) - size, size // 2):
        part = samples[first : first + size] - samples[first : first + size].mean()
        if np.abs(part).max() < 0.03:
            continue
        alike = np.correlate(part, part, "full")[size - 1 :]
        low, high = rate_hz // 330, rate_hz // 70
        best = low + int(alike[low:high].argmax())
        if alike[best] > 0.4 * alike[0]:
            found.append(rate_hz / best)
    return np.array(found)


def test_the_four_tones_have_their_shapes() -> None:
    shapes = {}
    for tone, character in enumerate("妈麻马骂", 1):
        sound = Espeak().speak(character, SpeechOptions()).sound
        shapes[tone] = pitches_hz(sound.samples[:, 0], sound.sample_rate_hz)
    high, rising, dipping, falling = (shapes[tone] for tone in (1, 2, 3, 4))
    assert high.mean() > 1.15 * dipping.mean()
    assert rising[-3:].mean() > 1.25 * rising[:3].mean()
    # It falls faster than pieces of 40 ms can tell, so that only the beginning of it is measured.
    assert falling[-1] < falling.max() > 1.2 * dipping.mean()
    assert dipping.min() < 0.85 * high.mean()


def test_speed_pitch_and_voice_are_heard() -> None:
    text = "海上明月共潮生"

    def heard(**changes: object) -> tuple[float, float]:
        sound = Espeak().speak(text, SpeechOptions(**changes)).sound  # type: ignore[arg-type]
        return sound.duration_s, float(
            np.median(pitches_hz(sound.samples[:, 0], sound.sample_rate_hz))
        )

    seconds, pitch = heard()
    assert heard(speed=1.6)[0] < 0.8 * seconds
    assert heard(speed=0.6)[0] > 1.3 * seconds
    assert heard(pitch=5.0)[1] > 1.1 * pitch
    assert heard(voice="man")[1] < 0.75 * pitch


def test_a_voice_is_polished_to_one_loudness() -> None:
    spoken = Espeak().speak("The moon rises over the sea.", SpeechOptions())
    sound = polished(spoken.sound)
    assert loudness_lufs(sound.samples, sound.sample_rate_hz) == pytest.approx(-14, abs=0.5)
    assert true_peak_dbtp(sound.samples) <= -0.9
    assert sound.duration_s == pytest.approx(spoken.sound.duration_s + AIR_S, abs=0.01)
    spectrum = np.abs(np.fft.rfft(sound.samples[:, 0].astype(np.float64)))
    frequency = np.fft.rfftfreq(len(sound.samples), 1 / sound.sample_rate_hz)
    assert spectrum[frequency < 40].sum() < 0.02 * spectrum.sum()


@pytest.mark.parametrize("text", ["", "   ", "。，！", "😀😀", "……"])
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(BriefError, match="nothing to read"):
        Espeak().speak(text, SpeechOptions())


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(BriefError, match="50000 characters; at most 20000"):
        Espeak().speak("海" * 50_000, SpeechOptions())
    with pytest.raises(ConfigError, match="no voice"):
        Espeak().speak("海", SpeechOptions(variant="nobody"))
    for name, value in (("speed", 9.0), ("pitch", float("nan")), ("pauses", -1.0)):
        with pytest.raises(ConfigError, match=f"settings.{name}"):
            SpeechOptions(**{name: value})  # type: ignore[arg-type]


def test_emoji_and_other_scripts_are_left_out_of_what_is_said() -> None:
    spoken = Espeak().speak("海😀上，привет", SpeechOptions())
    assert [one.text for one in spoken.words] == ["海", "上"]


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = espeak.CHILD.read_text("utf-8").replace("libespeak-ng.so.1", "libnone.so")
    child = child.replace('find_library("espeak-ng")', 'find_library("none-at-all")')
    (tmp_path / "child.py").write_text(child, "utf-8")
    monkeypatch.setattr(espeak, "CHILD", tmp_path / "child.py")
    with pytest.raises(DependencyError, match="apt-get install libespeak-ng1"):
        Espeak().speak("sea", SpeechOptions())


def test_a_voice_that_falls_takes_nothing_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "child.py").write_text("import os; os.abort()", "utf-8")
    monkeypatch.setattr(espeak, "CHILD", tmp_path / "child.py")
    with pytest.raises(BriefError, match="could not read the text"):
        Espeak().speak("sea", SpeechOptions())


def test_the_same_text_sounds_the_same() -> None:
    one, other = (Espeak().speak("海上明月。The moon.", SpeechOptions()) for _ in range(2))
    assert np.array_equal(one.sound.samples, other.sound.samples)
    assert one.words == other.words


def test_a_reading_is_sealed_and_made_again(tmp_path: Path, call: Call) -> None:
    told = call("generate", "speech", "海上明月共潮生", "-o", "a.mp3", "--json").json
    assert told["generated"][0]["phrases"][0]["text"] == "海上明月共潮生"
    assert wf.verify(Path("a.mp3"))[0].exit_code == 0
    again = wf.replay(Path("a.mp3"))
    assert [one.outcome for one in again] == ["identical"]


def test_a_reading_for_each_seed_is_the_same() -> None:
    one, other = load_model("speech").draw("sea", (1, 2), {})
    assert one.content == other.content
    with pytest.raises(WenfangError, match="vioce"):
        load_model("speech").draw("sea", (0,), {"vioce": "man"})
